// Pieces of the Check page: the dial, a fold with its list, a picture as it is cut, the pictures of a finding.
import {h, href, icon, svg} from './core.js';
import {frame, opener} from './check_more.js';

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
    : h('div.d-dial', {role: 'img', aria: {label: `Readiness ${score} %`}}, ring, h('div', h('b', String(score), h('small', '%')), h('span', 'ready')));
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
    icon({fine: 'check', judges: 'judge'}[id] || 'dots'),
    title,
    h('span.d-sub.d-small.d-hide-p.few', list.slice(0, 6).join(', ') + (list.length > 6 ? ` and ${list.length - 6} more` : '')),
    icon('down', 's'),
  );
  return h('div', b, inside);
}
/* What counts how much, and what was lost where. */
export function parts(list) {
  return h(
    'section.d-sec.pts',
    h('div.d-row', h('h2.d-h2', 'What counts how much')),
    h(
      'div.pt',
      list.map((p) =>
        h(
          'div',
          h('p', h('b', p.name), h('span.d-num.d-sub', `${round(p.points)} of ${p.out_of} %`)),
          h('div.d-bar', {aria: {hidden: 'true'}}, h('i', {style: {width: `${(100 * p.points) / p.out_of}%`}})),
          h('p.d-small.d-sub', p.says),
        ),
      ),
    ),
  );
}
export const round = (x) => (Math.abs(x - Math.round(x)) < 0.05 ? String(Math.round(x)) : x.toFixed(1));

/* A picture as it comes into its bucket; what is cut away is dimmed. */
export function cut(b, c, row, thumb, total) {
  const w = c.width,
    t = c.height,
    pct = (x, of) => `${(100 * x) / of}%`,
    whole = c.lost < 0.005;
  const where = whole ? 'whole' : `loses ${Math.max(1, Math.round(c.lost * 100))} % at the ${c.left > c.top ? 'sides' : 'top and bottom'}`,
    words = `Picture ${frame(row.number, total)}, ${where}`;
  return h(
    'figure',
    {title: words},
    h(
      'div.bx',
      {style: {'aspect-ratio': String(w / t)}},
      h('img', {src: thumb(row.img), alt: words, loading: 'lazy', decoding: 'async'}),
      !whole &&
        h('i', {style: {inset: `${pct(c.top, t)} ${pct(w - b.width - c.left, w)} ${pct(t - b.height - c.top, t)} ${pct(c.left, w)}`}}),
    ),
  );
}

/* The first pictures that a finding is about; each leads to its caption, a pair to its place on the light table; the others open below. */
export function pictures(x, more, {rows, thumb, total}) {
  const there = x.shown.filter((id) => rows[id]),
    some = there.slice(0, x.count > 3 ? 2 : 3);
  if (!some.length) return h('span.tn', h('span.tni', icon(x.severity === 'stop' ? 'alert' : 'pic')));
  const img = (src, alt) => h('img', {src, alt, width: 56, height: 56, loading: 'lazy', decoding: 'async'});
  const one = (id) => {
    const row = rows[id],
      pair = row.before !== undefined,
      name = `${pair ? 'Pair' : 'Picture'} ${frame(row.number, total)}`,
      before = row.before && (row.before !== row.img || !row.missing) && thumb(row.before);
    return h(
      'a' + (pair ? '.pp' : ''),
      {href: href(pair ? 'dataset' : 'captions', {picture: id}), aria: {label: 'Open ' + name.toLowerCase()}},
      before && img(before, ''),
      img(thumb(row.img), name),
    );
  };
  const left = x.count - some.length;
  return h('span.tn', some.map(one), left > 0 && opener(more, 'tnm.d-num', `+${left.toLocaleString('en')}`, `Show all ${x.count.toLocaleString('en')}`));
}
