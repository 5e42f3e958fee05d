// Pieces of the Check page: the dial, a fold with its list, and how each picture is cut.
import {h, href, icon, plural, svg} from './core.js';

const MOST = 24;
export const frame = (i) => String(i + 1).padStart(2, '0');

export function dial(score, small) {
  const whole = 395.8,
    arc = (stroke, part) =>
      svg('circle', {cx: 92, cy: 92, r: 84, stroke, 'stroke-dasharray': `${part} 527.8`, transform: 'rotate(135 92 92)'});
  const ring = svg(
    'svg',
    {viewBox: '0 0 184 184', fill: 'none', 'stroke-width': small ? 12 : 8, 'stroke-linecap': 'round', 'aria-hidden': 'true'},
    arc('var(--d-line)', whole),
    score > 0 ? arc('var(--d-ink)', (whole * score) / 100) : '',
  );
  return small
    ? h('div.dial-s', ring)
    : h('div.d-dial', {role: 'img', aria: {label: `Score ${score} of 100`}}, ring, h('div', h('b', String(score)), h('span', 'of 100')));
}
export function fold(id, title, list, body) {
  const inside = h('ul.inside', {id: id + '-list', hidden: true}, body);
  const b = h(
    'button.d-fold',
    {
      id,
      type: 'button',
      aria: {expanded: 'false', controls: inside.id},
      onclick: () => {
        const open = inside.hidden;
        inside.hidden = !open;
        b.setAttribute('aria-expanded', String(open));
      },
    },
    icon(id === 'fine' ? 'check' : 'dots'),
    title,
    h('span.d-sub.d-small.d-hide-p.few', list.slice(0, 6).join(', ') + (list.length > 6 ? ` and ${list.length - 6} more` : '')),
    icon('down', 's'),
  );
  return h('div', b, inside);
}
export function cuts(r, {base, places, thumb, noun}) {
  const all = r.buckets.flatMap((b) => b.cuts),
    lose = all.filter((c) => c.lost >= 0.005).length,
    whole = all.length - lose;
  if (!all.length) return null;
  return h(
    'section.d-sec',
    h(
      'div.d-row',
      h('h2.d-h2', `How each ${noun} will be cut`),
      h(
        'span.d-small.d-sub',
        `for ${base} at ${r.resolution} px: ` +
          (lose ? `${whole} stay whole, ${lose} ${lose === 1 ? 'loses' : 'lose'} an edge` : 'all stay whole'),
      ),
    ),
    h(
      'div.bks',
      r.buckets.map((b) =>
        h(
          'div',
          h('p.d-num.d-strong', `${b.width} × ${b.height} `, h('span.d-sub', plural(b.cuts.length, noun))),
          h(
            'div.br',
            b.cuts.slice(0, MOST).map((c) => cut(b, c, places, thumb)),
            b.cuts.length > MOST && h('span.d-small.d-sub.mr', `and ${b.cuts.length - MOST} more`),
          ),
        ),
      ),
    ),
  );
}
function cut(b, c, places, thumb) {
  const i = places.get(c.picture_id);
  if (i == null) return null;
  const w = c.scaled_width,
    t = c.scaled_height,
    pct = (x, of) => `${(100 * x) / of}%`,
    whole = c.lost < 0.005;
  const where = whole ? 'whole' : `loses ${Math.max(1, Math.round(c.lost * 100))} % at the ${c.left > c.top ? 'sides' : 'top and bottom'}`,
    words = `Picture ${frame(i)}, ${where}`;
  return h(
    'figure',
    {title: words},
    h(
      'div.bx',
      {style: {'aspect-ratio': String(w / t)}},
      h('img', {src: thumb(c.picture_id, 192), alt: words, loading: 'lazy', decoding: 'async'}),
      !whole &&
        h('i', {style: {inset: `${pct(c.top, t)} ${pct(w - b.width - c.left, w)} ${pct(t - b.height - c.top, t)} ${pct(c.left, w)}`}}),
    ),
  );
}

/* The first pictures that a finding is about; each leads to its caption, a pair to its place on the light table. */
export function pictures(x, {places, thumb, told}) {
  const all = x.picture_ids.filter((id) => places.has(id)),
    some = all.slice(0, all.length > 3 ? 2 : 3);
  if (!some.length) return h('span.tn', h('span.tni', icon(x.severity === 'stop' ? 'alert' : 'pic')));
  const img = (src, alt) => h('img', {src, alt, width: 56, height: 56, loading: 'lazy', decoding: 'async'});
  const one = (id) => {
    const row = told.pictures[places.get(id)],
      pair = row.before !== undefined,
      name = `${pair ? 'Pair' : 'Picture'} ${frame(places.get(id))}`,
      before = row.before && (row.before !== row.img || !row.missing) && `/media/thumb/${told.dataset.id}/${row.before}/192.webp`;
    return h(
      'a' + (pair ? '.pp' : ''),
      {href: href(pair ? 'dataset' : 'captions', {picture: id}), aria: {label: 'Open ' + name.toLowerCase()}},
      before && img(before, ''),
      img(thumb(id, 192), name),
    );
  };
  return h('span.tn', some.map(one), all.length > some.length && h('span.tnm.d-num', `+${all.length - some.length}`));
}
