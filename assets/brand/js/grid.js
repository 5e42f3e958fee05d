// The grid of the light table: frames with numbers and marks, which can be selected (selecting.js).
import {h, icon} from './core.js';
import {indexIn} from './rows.js';
import {makeSelecting} from './selecting.js';
import {makeWindowed} from './windowed.js';

const EXCLUDED = [{icon: 'out', text: 'excluded'}], UNSEEN = [{icon: 'mask', text: 'automatic mask'}], JUDGES = {icon: 'judge', text: 'judges'};
const FRAME = {s: 112, m: 160, l: 248}, MOST = 400;
const two = (n) => String(n).padStart(2, '0');

/* handlers: open(place), select() another selection, known(): see selecting.js, row(place) -> the row, once it is here. Pictures are known by their place.
   -> {show(dataset, places, marks, pending), came(places), selecting, size(name)} */
export function createGrid(handlers) {
  const grid = h('div.d-thumbs', {role: 'group', aria: {label: 'Pictures'}}), frames = new Map(), list = makeWindowed(grid, cell);
  const selecting = makeSelecting({list, shown: () => order, known: handlers.known, changed: () => { redraw(); handlers.select(); }}), {chosen} = selecting;
  let order = [], numbers = [], marks = null, active = null, size = 'm', dataset = '', veiled = false;

  const source = (p) => {
    const want = FRAME[size] * Math.min(2, devicePixelRatio || 1);
    const px = want <= 192 ? 192 : want <= 384 ? 384 : 768;
    return veiled && p.mask ? `/api/datasets/${dataset}/pictures/${p.id}/masked/${px}.webp?v=${p.mask}_${p.img}` : `/media/thumb/${dataset}/${p.img || p.id}/${px}.webp`;
  };
  const dimensions = (p) => (p.width === p.height ? String(p.width) : `${p.width} × ${p.height}`);

  /* The cell of a place, or one for a file that is on its way (its number below 0). */
  function cell(place) {
    if (place < 0) return placeholder(-place - 1);
    const p = handlers.row(place), had = frames.get(place);
    if (had && had.p === p && had.look === lookOf(p)) return (draw(had), had.frame);
    const f = p ? build(p, place) : blank(place);
    if (frames.size > MOST) for (const [key, old] of frames) if (!old.frame.isConnected) frames.delete(key);
    f.look = lookOf(p);
    frames.set(place, f);
    draw(f);
    return f.frame;
  }
  /* What is seen of a row may change: it is cut, turned. */
  const lookOf = (p) => p && [p.img, p.width, p.height].join();
  function blank(place) {
    const box = h('div.w', {role: 'checkbox', tabIndex: -1, data: {again: 'picture ' + place}, aria: {checked: 'false'}}, h('div.d-ph', {style: {width: '100%', height: '100%'}})), no = h('div.no');
    return {p: undefined, place, box, no, frame: h('div.d-thumb', {data: {place}}, box, h('div.fc', no, h('span', ' ')))};
  }
  function build(p, place) {
    const img = h('img', {loading: 'lazy', decoding: 'async', width: p.width, height: p.height, alt: '', draggable: false});
    const aspect = p.width / p.height;
    if (aspect < 1) img.style.width = aspect * 100 + '%'; else img.style.height = 100 / aspect + '%';
    const box = h('div.w', {role: 'checkbox', tabIndex: -1, data: {again: 'picture ' + place}, aria: {checked: 'false'}}, img);
    const no = h('div.no'), frame = h('div.d-thumb', {data: {id: p.id, place}}, box,
      h('button.zoom', {type: 'button', tabIndex: -1, aria: {label: `Look at ${p.name} large`}, onclick: () => handlers.open(place)}, icon('zoom', 's')),
      h('div.fc', no, h('span', dimensions(p))));
    return {frame, box, img, no, p, place};
  }
  function draw(f) {
    const {place} = f, on = chosen.has(place), n = indexIn(numbers, place) + 1, judges = f.p?.judges && !f.p.excluded;
    const told = f.p?.excluded ? EXCLUDED : [...(marks?.of(place) || []), ...(f.p?.masked === 'auto' && !veiled ? UNSEEN : [])], mine = judges ? [...told, JUDGES] : told;
    f.no.textContent = two(n);
    f.frame.classList.toggle('sel', on);
    f.frame.classList.toggle('out', !!f.p?.excluded);
    f.box.setAttribute('aria-checked', String(on));
    f.box.setAttribute('aria-label', [`Picture ${n}${f.p ? ', ' + f.p.name : ''}`, ...mine.map((m) => m.text)].join(', '));
    f.box.tabIndex = place === active ? 0 : -1;
    if (f.img && f.img.dataset.u !== source(f.p)) f.img.src = f.img.dataset.u = source(f.p);
    const sign = on + '|' + mine.map((m) => m.text).join();
    if (f.sign === sign) return;
    f.sign = sign;
    f.box.querySelectorAll('.d-mark,.tick').forEach((x) => x.remove());
    if (mine.length) f.box.append(h('span.d-mark', {title: mine.map((m) => m.text).join(', ')}, icon(mine[0].icon, 's'), mine[0].text));
    if (judges && told.length) f.box.append(h('span.d-mark.jd', {title: JUDGES.text}, icon(JUDGES.icon, 's')));
    if (on) f.box.append(h('span.tick', icon('check', 's')));
  }
  function placeholder(n) {
    return h('div.d-thumb', h('div.w', h('div.d-ph', {style: {width: '100%', height: '100%'}}, n === 0 ? 'coming in' : '')), h('div.fc', two(numbers.length + n + 1), h('span', n < 4 ? '' : 'waits')));
  }
  function redraw() { for (const f of frames.values()) if (f.frame.isConnected) draw(f); }

  const index = (place) => indexIn(order, place);
  function focus(n) {
    n = Math.max(0, Math.min(order.length - 1, n));
    if (order[n] == null) return;
    active = order[n];
    list.reveal(active);
    redraw();
    frames.get(active)?.box.focus({preventScroll: true});
  }
  const frameOf = (e) => e.target.closest?.('.d-thumb[data-place]'), placeOf = (e) => { const frame = frameOf(e); return frame ? +frame.dataset.place : null; };

  grid.addEventListener('click', (e) => {
    const place = placeOf(e);
    if (place == null || e.target.closest('.zoom')) return;
    selecting.pick(place, e);
    active = place;
    redraw();
  });
  grid.addEventListener('dblclick', (e) => { const place = placeOf(e); if (place != null && !e.target.closest('.zoom')) handlers.open(place); });
  grid.addEventListener('keydown', (e) => {
    if (!e.target.closest('.w')) return;
    if (selecting.key(e, active, (place) => focus(index(place))) || e.key !== 'Enter') return;
    e.preventDefault();
    handlers.open(active);
  });
  grid.addEventListener('focusin', (e) => { const place = placeOf(e); if (place != null && place !== active) { active = place; redraw(); } });

  return {
    element: grid, selecting,
    active: () => active,
    focusActive: () => active != null && focus(index(active)),
    /* Whether pictures are shown as their masks leave them. */
    veil(on) { if (veiled !== on) { veiled = on; list.redraw(); redraw(); } },
    size(name) { size = name; grid.style.setProperty('--frame', FRAME[name] + 'px'); list.redraw(); },
    /* places: those that are shown; all: those that are there, which number them; marks: see dataset_marks.js. */
    show(id, places, all, newMarks, pending = []) {
      if (id !== dataset) frames.clear();
      dataset = id; order = places; numbers = all; marks = newMarks;
      selecting.keep(all);
      if (active == null || index(active) < 0) active = order[0] ?? null;
      const waits = pending.slice(0, 12).map((_, n) => -1 - n);
      list.show(waits.length ? [...order, ...waits] : order);
      redraw();
    },
    came(places) {
      const had = document.activeElement === frames.get(active)?.box;
      if (places.some((place) => frames.get(place)?.frame.isConnected)) list.redraw();
      if (had) frames.get(active)?.box.focus({preventScroll: true});
    },
  };
}
