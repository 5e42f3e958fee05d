// How well each training picture is learnt: a table that can be sorted, the hardest first. It finds the mislabelled one.
import {h, fill, refill, api, href, plural} from './core.js';
import {count} from './run.js';

const COLUMNS = [['name', 'Picture'], ['start', 'Before training'], ['mean', 'Over the run'], ['now', 'Now']];
const SHOWN = 12, NAMED = 3;

export function makeHardest(run) {
  const title = h('h2.d-h2'), note = h('p.d-small.d-sub'), head = h('tr'), body = h('tbody'), all = h('button.d-btn.sm.quiet', {type: 'button', onclick: () => { everything = !everything; draw(); }});
  const table = h('table.hard', h('caption.d-vh', 'Loss of each training picture'), h('thead', head), body);
  const el = h('section.d-sec.hardest', {hidden: true}, title, note, h('div.d-card.flush.d-scroll', {tabIndex: 0, role: 'region', aria: {label: 'Loss of each picture'}}, table), all);
  let rows = [], by = 'mean', down = true, everything = false, seen = null, step = 0;

  const sort = (key) => { down = key === by ? !down : key !== 'name'; by = key; draw(); };
  function heads() {
    refill(head, h('th', {scope: 'col'}, h('span.d-vh', 'Thumbnail')), COLUMNS.map(([key, text]) => h('th', {scope: 'col', class: key === 'name' ? 'l' : '', aria: {sort: key === by ? (down ? 'descending' : 'ascending') : 'none'}},
      h('button', {type: 'button', data: {again: key}, onclick: () => sort(key)}, text, h('i', {aria: {hidden: 'true'}}, key === by ? (down ? '↓' : '↑') : '')))));
  }
  function draw() {
    heads();
    title.textContent = `How well each ${run.meta?.edits ? 'pair' : 'picture'} is learnt`;
    const order = [...rows].sort((a, b) => (by === 'name' ? a.name.localeCompare(b.name, 'en', {numeric: true}) : a[by] - b[by]) * (down ? -1 : 1));
    const shown = everything ? order : order.slice(0, SHOWN);
    refill(body, shown.map((r) => h('tr' + (r.odd ? '.odd' : ''), h('td', r.src && h('img', {src: r.src, alt: '', width: 40, height: 40, loading: 'lazy', decoding: 'async'})),
      h('th.l', {scope: 'row'}, r.link ? h('a', {href: href(run.meta?.edits ? 'dataset' : 'captions', {dataset: run.meta?.dataset, run: null, picture: r.link})}, r.name) : r.name, r.caption && h('small', r.caption)),
      COLUMNS.slice(1).map(([key]) => h('td.d-num', r[key].toFixed(3))))));
    all.hidden = rows.length <= SHOWN;
    all.textContent = everything ? 'Show the hardest only' : `All ${count(rows.length)}`;
    const odd = rows.filter((r) => r.odd).sort((a, b) => b.mean - a.mean), first = odd.slice(0, NAMED).map((r) => `“${r.name}”`), more = odd.length - first.length;
    const names = more ? `${first.join(', ')} and ${plural(more, 'other')}` : first.join(first.length > 2 ? ', ' : ' and ');
    fill(note, `Each is asked the same at step ${count(step)}: lower is better. `, odd.length ? h('b', `${names} ${odd.length > 1 ? 'stand' : 'stands'} out. Look whether the ${run.meta?.edits ? 'instruction' : 'caption'} fits.`) : 'None stands out.');
  }
  async function show() {
    const now = run.pictures;
    if (now == null || now === seen) return;
    seen = now;
    try {
      const found = await api(`/runs/${encodeURIComponent(run.id)}/pictures`);
      rows = found.pictures; step = found.step; el.hidden = !rows.length;
      if (rows.length) draw();
    } catch { seen = null; }
  }
  return {el, show};
}
