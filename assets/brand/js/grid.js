// The grid of the light table: frames with numbers and marks; selecting by click, shift, lasso and keyboard.
import {h, icon} from './core.js';
import {indexIn} from './rows.js';
import {makeWindowed} from './windowed.js';

const EXCLUDED = [{icon: 'out', text: 'excluded'}], UNSEEN = [{icon: 'mask', text: 'automatic mask'}], JUDGES = {icon: 'judge', text: 'judges'};
const FRAME = {s: 112, m: 160, l: 248}, MOST = 400;
const two = (n) => String(n).padStart(2, '0');

/* handlers: open(place), select(set), row(place) -> the row, once it is here. Pictures are known by their place.
   -> {show(dataset, places, marks, pending), came(places), selection, select(places), size(name)} */
export function createGrid(handlers) {
  const grid = h('div.d-thumbs', {role: 'group', aria: {label: 'Pictures'}}), frames = new Map(), list = makeWindowed(grid, cell);
  const selection = new Set();
  let order = [], numbers = [], marks = null, active = null, anchor = null, size = 'm', dataset = '', veiled = false;

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
    const box = h('div.w', {role: 'checkbox', tabIndex: -1, aria: {checked: 'false'}}, h('div.d-ph', {style: {width: '100%', height: '100%'}})), no = h('div.no');
    return {p: undefined, place, box, no, frame: h('div.d-thumb', {data: {place}}, box, h('div.fc', no, h('span', ' ')))};
  }
  function build(p, place) {
    const img = h('img', {loading: 'lazy', decoding: 'async', width: p.width, height: p.height, alt: '', draggable: false});
    const aspect = p.width / p.height;
    if (aspect < 1) img.style.width = aspect * 100 + '%'; else img.style.height = 100 / aspect + '%';
    const box = h('div.w', {role: 'checkbox', tabIndex: -1, aria: {checked: 'false'}}, img);
    const no = h('div.no'), frame = h('div.d-thumb', {data: {id: p.id, place}}, box,
      h('button.zoom', {type: 'button', tabIndex: -1, aria: {label: `Look at ${p.name} large`}, onclick: () => handlers.open(place)}, icon('zoom', 's')),
      h('div.fc', no, h('span', dimensions(p))));
    return {frame, box, img, no, p, place};
  }
  function draw(f) {
    const {place} = f, on = selection.has(place), n = indexIn(numbers, place) + 1, judges = f.p?.judges && !f.p.excluded;
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

  function select(places, how = 'replace') {
    if (how === 'replace') selection.clear();
    for (const place of places) if (how === 'toggle' && selection.has(place)) selection.delete(place); else selection.add(place);
    redraw();
    handlers.select(selection);
  }
  const index = (place) => indexIn(order, place);
  const between = (a, b) => order.slice(Math.min(a, b), Math.max(a, b) + 1);
  function focus(n) {
    n = Math.max(0, Math.min(order.length - 1, n));
    if (order[n] == null) return;
    active = order[n];
    list.reveal(active);
    redraw();
    frames.get(active)?.box.focus({preventScroll: true});
  }
  const columns = () => getComputedStyle(grid).gridTemplateColumns.split(' ').length;
  const frameOf = (e) => e.target.closest?.('.d-thumb[data-place]'), placeOf = (e) => { const frame = frameOf(e); return frame ? +frame.dataset.place : null; };

  grid.addEventListener('click', (e) => {
    const place = placeOf(e);
    if (place == null || e.target.closest('.zoom') || lassoed) return;
    if (e.shiftKey && anchor != null) select(between(index(anchor), index(place)), e.ctrlKey || e.metaKey ? 'add' : 'replace');
    else { select([place], 'toggle'); anchor = place; }
    active = place;
    redraw();
  });
  grid.addEventListener('dblclick', (e) => { const place = placeOf(e); if (place != null && !e.target.closest('.zoom')) handlers.open(place); });
  grid.addEventListener('keydown', (e) => {
    if (!e.target.closest('.w')) return;
    const i = index(active), step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(), ArrowDown: columns()}[e.key];
    if (step) {
      if (i + step < 0 || i + step >= order.length) return e.preventDefault();
      if (e.shiftKey) { anchor = anchor ?? active; select(between(index(anchor), i + step)); }
      focus(i + step);
    } else if (e.key === 'Home') focus(0);
    else if (e.key === 'End') focus(order.length - 1);
    else if (e.key === ' ') { select([active], 'toggle'); anchor = active; }
    else if (e.key === 'Enter') handlers.open(active);
    else return;
    e.preventDefault();
  });
  grid.addEventListener('focusin', (e) => { const place = placeOf(e); if (place != null && place !== active) { active = place; redraw(); } });

  /* Lasso with the mouse; a finger scrolls. */
  let start = null, band = null, lassoed = false, before = null;
  function lasso(area) {
    area.addEventListener('pointerdown', (e) => {
      if (e.button || e.pointerType !== 'mouse' || e.target.closest('button,a,input,.bar')) return;
      start = {x: e.pageX, y: e.pageY};
      before = e.shiftKey || e.ctrlKey || e.metaKey ? [...selection] : [];
      lassoed = false;
    });
    addEventListener('pointermove', (e) => {
      if (!start) return;
      if (!band) {
        if (Math.hypot(e.pageX - start.x, e.pageY - start.y) < 8) return;
        document.body.append(band = h('div.d-lasso'));
        document.body.style.userSelect = 'none';
      }
      const box = {left: Math.min(start.x, e.pageX), top: Math.min(start.y, e.pageY), right: Math.max(start.x, e.pageX), bottom: Math.max(start.y, e.pageY)};
      Object.assign(band.style, {left: box.left + 'px', top: box.top + 'px', width: box.right - box.left + 'px', height: box.bottom - box.top + 'px'});
      select([...before, ...list.within(box).filter((place) => place >= 0)]);
    });
    for (const name of ['pointerup', 'pointercancel']) addEventListener(name, () => {
      if (band) { band.remove(); band = null; lassoed = true; document.body.style.userSelect = ''; setTimeout(() => { lassoed = false; }); }
      start = null;
    });
  }

  return {
    element: grid, selection, lasso,
    select,
    selectAll: () => select(order),
    active: () => active,
    focusActive: () => active != null && focus(index(active)),
    /* Whether pictures are shown as their masks leave them. */
    veil(on) { if (veiled !== on) { veiled = on; list.redraw(); redraw(); } },
    size(name) { size = name; grid.style.setProperty('--frame', FRAME[name] + 'px'); list.redraw(); },
    /* places: those that are shown; all: those that are there, which number them; marks: see dataset_marks.js. */
    show(id, places, all, newMarks, pending = []) {
      if (id !== dataset) frames.clear();
      dataset = id; order = places; numbers = all; marks = newMarks;
      for (const place of selection) if (indexIn(all, place) < 0) selection.delete(place);
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
