// The bucket preview: the sizes that training will bring the pictures to at a resolution, who loses an edge, who must be enlarged.
import {h, icon, fill, api, plural} from './core.js';
import {cut as reported} from './check_parts.js';
import {frame, makeMore, opener} from './check_more.js';

const LARGER = 1.15;

/* A section that fills itself. `report` is the last check's: all pictures of a bucket can be listed where it is `current` and of this resolution. */
export function bucketPreview({report, current, base, rows, about}) {
  const {dataset, noun, total} = about, thumb = (image) => `/media/thumb/${dataset}/${image}/192.webp`;
  const words = h('span.d-small.d-sub', {role: 'status'}), body = h('div.bks'), fault = h('p.d-err', {role: 'alert', hidden: true});
  const side = h('input.d-in.mono', {id: 'cut-resolution', type: 'number', min: 32, max: 4096, aria: {label: 'Resolution, px'}, onchange: () => load()});
  const square = h('button.d-chip', {type: 'button', aria: {pressed: 'false'}, onclick: () => { square.setAttribute('aria-pressed', String(square.classList.toggle('on'))); load(); }}, 'All square');
  const section = h('section.d-sec.cuts', {hidden: true}, h('div.d-row.wrap', h('h2.d-h2', `How each ${noun} will be cut`), words,
    h('div.d-row.d-push.res', square, h('label.d-small', {htmlFor: 'cut-resolution'}, 'at'), side, h('span.d-small', 'px'))), fault, body);
  let asked = 0;

  async function load() {
    const mine = ++asked, wanted = side.value ? `resolution=${encodeURIComponent(side.value)}&` : '';
    section.dataset.state = 'loading';
    try {
      const told = await api(`/datasets/${dataset}/buckets?${wanted}square=${square.classList.contains('on')}`);
      if (mine === asked) draw(told);
    } catch (error) {
      if (mine !== asked) return;
      fault.hidden = false;
      fill(fault, icon('alert', 's'), error.message);
      section.hidden = false;
    }
    section.dataset.state = 'ready';
  }
  function draw({buckets, resolution, step}) {
    const sum = (key) => buckets.reduce((n, b) => n + b[key], 0), all = sum('count'), lose = sum('cut'), larger = sum('enlarged');
    section.hidden = !all;
    fault.hidden = true;
    side.step = step;
    side.value = resolution;
    fill(words, `for ${base}: ` + (lose ? `${(all - lose).toLocaleString('en')} stay whole, ${lose.toLocaleString('en')} ${lose === 1 ? 'loses' : 'lose'} an edge` : 'all stay whole'),
      larger ? [', ', h('b.warn', `${larger.toLocaleString('en')} ${larger === 1 ? 'is' : 'are'} enlarged by more than ${Math.round((LARGER - 1) * 100)} %`)] : '');
    const listed = current && resolution === report.resolution && !square.classList.contains('on');
    fill(body, buckets.map((b) => {
      const rest = b.count - b.examples.length, all = b.count.toLocaleString('en');
      const more = listed && rest > 0 && makeMore(`${b.width}x${b.height}`, {...about, tile: (id, row, part, i) => reported(b, part.cuts[i], row, thumb, total)});
      return h('div', {data: {bucket: `${b.width}x${b.height}`}},
      h('p.d-num.d-strong', `${b.width} × ${b.height} `, h('span.d-sub', plural(b.count, noun))),
      b.enlarged > 0 && h('p.d-small.warn', icon('small', 's'), `${b.enlarged === b.count ? 'all' : b.enlarged.toLocaleString('en')} enlarged, up to ${b.most_enlarged.toFixed(1)} times`),
      h('div.br', b.examples.map((one) => cut(b, one)),
          more ? opener(more, 'd-btn.sm.quiet.mr', `All ${all}`, `All ${all} ${noun}s of ${b.width} × ${b.height}`) : rest > 0 && h('span.d-small.d-sub.mr', `and ${rest.toLocaleString('en')} more`)), more && more.el);
    }));
  }
  function cut(b, c) {
    const w = c.scaled_width, t = c.scaled_height, pct = (x, of) => `${(100 * x) / of}%`, whole = c.lost < 0.005, larger = w / c.width;
    const row = rows[c.picture_id], name = `${noun[0].toUpperCase()}${noun.slice(1)}` + (row ? ` ${frame(row.number, total)}` : '');
    const told = `${name}, ${whole ? 'whole' : `loses ${Math.max(1, Math.round(c.lost * 100))} % at the ${c.left > c.top ? 'sides' : 'top and bottom'}`}` + (larger > LARGER ? `, enlarged ${larger.toFixed(1)} times` : '');
    return h('figure', {title: told}, h('div.bx' + (larger > LARGER ? '.larger' : ''), {style: {'aspect-ratio': String(w / t)}},
      h('img', {src: thumb(c.img), alt: told, loading: 'lazy', decoding: 'async'}),
      !whole && h('i', {style: {inset: `${pct(c.top, t)} ${pct(w - b.width - c.left, w)} ${pct(t - b.height - c.top, t)} ${pct(c.left, w)}`}})));
  }
  load();
  return section;
}
