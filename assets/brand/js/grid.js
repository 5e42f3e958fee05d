// The grid of the light table: frames with numbers and marks; selecting by click, shift, lasso and keyboard.
import {h, icon} from './core.js';

const EXCLUDED = [{icon: 'out', text: 'excluded'}];
const FRAME = {s: 112, m: 160, l: 248};
const two = (n) => String(n).padStart(2, '0');

/* handlers: open(picture), select(set), remove(). -> {show(pictures, marks, pending), selection, select(ids), size(name)} */
export function createGrid(handlers) {
  const grid = h('div.d-thumbs', {role: 'group', aria: {label: 'Pictures'}}), frames = new Map();
  const selection = new Set();
  let order = [], marks = {}, active = null, anchor = null, size = 'm', dataset = '';

  const source = (p) => {
    const want = FRAME[size] * Math.min(2, devicePixelRatio || 1);
    return `/media/thumb/${dataset}/${p.img}/${want <= 192 ? 192 : want <= 384 ? 384 : 768}.webp`;
  };
  const dimensions = (p) => (p.width === p.height ? String(p.width) : `${p.width} × ${p.height}`);

  function build(p) {
    const img = h('img', {loading: 'lazy', decoding: 'async', alt: '', draggable: false});
    const box = h('div.w', {role: 'checkbox', tabIndex: -1, aria: {checked: 'false'}}, img);
    const no = h('div.no'), size = h('span'), frame = h('div.d-thumb', {data: {id: p.id}}, box,
      h('button.zoom', {type: 'button', tabIndex: -1, aria: {label: `Look at ${p.name} large`}, onclick: () => handlers.open(f.p)}, icon('zoom', 's')),
      h('div.fc', no, size));
    const f = {frame, box, img, no, size, p: null};
    put(f, p);
    return f;
  }
  /* What is seen of a row may change: it is cut, turned, excluded. */
  function put(f, p) {
    if (f.p === p) return;
    const aspect = p.width / p.height;
    f.p = p;
    Object.assign(f.img, {width: p.width, height: p.height});
    Object.assign(f.img.style, {width: aspect < 1 ? aspect * 100 + '%' : '', height: aspect < 1 ? '' : 100 / aspect + '%'});
    f.size.textContent = dimensions(p);
  }
  function draw(f, n) {
    const id = f.p.id, on = selection.has(id), mine = f.p.excluded ? EXCLUDED : marks[id] || [];
    f.no.textContent = two(n + 1);
    f.frame.classList.toggle('sel', on);
    f.frame.classList.toggle('out', !!f.p.excluded);
    f.box.setAttribute('aria-checked', String(on));
    f.box.setAttribute('aria-label', [`Picture ${n + 1}, ${f.p.name}`, ...mine.map((m) => m.text)].join(', '));
    f.box.tabIndex = id === active ? 0 : -1;
    if (f.img.dataset.u !== source(f.p)) f.img.src = f.img.dataset.u = source(f.p);
    const sign = on + '|' + mine.map((m) => m.text).join();
    if (f.sign === sign) return;
    f.sign = sign;
    f.box.querySelectorAll('.d-mark,.tick').forEach((x) => x.remove());
    if (mine.length) f.box.append(h('span.d-mark', {title: mine.map((m) => m.text).join(', ')}, icon(mine[0].icon, 's'), mine[0].text));
    if (on) f.box.append(h('span.tick', icon('check', 's')));
  }
  function placeholder(pending, n) {
    return h('div.d-thumb', h('div.w', h('div.d-ph', {style: {width: '100%', height: '100%'}}, n === 0 ? 'coming in' : '')), h('div.fc', two(order.length + n + 1), h('span', n < 4 ? '' : 'waits')));
  }
  function redraw() { order.forEach((p, n) => draw(frames.get(p.id), n)); }

  function select(ids, how = 'replace') {
    if (how === 'replace') selection.clear();
    for (const id of ids) if (how === 'toggle' && selection.has(id)) selection.delete(id); else selection.add(id);
    redraw();
    handlers.select(selection);
  }
  const index = (id) => order.findIndex((p) => p.id === id);
  const between = (a, b) => order.slice(Math.min(a, b), Math.max(a, b) + 1).map((p) => p.id);
  function focus(n) {
    n = Math.max(0, Math.min(order.length - 1, n));
    if (!order[n]) return;
    active = order[n].id;
    redraw();
    frames.get(active).box.focus();
  }
  const columns = () => getComputedStyle(grid).gridTemplateColumns.split(' ').length;
  const frameOf = (e) => e.target.closest?.('.d-thumb[data-id]');

  grid.addEventListener('click', (e) => {
    const frame = frameOf(e);
    if (!frame || e.target.closest('.zoom') || lassoed) return;
    const id = frame.dataset.id;
    if (e.shiftKey && anchor) select(between(index(anchor), index(id)), e.ctrlKey || e.metaKey ? 'add' : 'replace');
    else { select([id], 'toggle'); anchor = id; }
    active = id;
    redraw();
  });
  grid.addEventListener('dblclick', (e) => { const frame = frameOf(e); if (frame && !e.target.closest('.zoom')) handlers.open(frames.get(frame.dataset.id).p); });
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
    else if (e.key === 'Enter') handlers.open(frames.get(active).p);
    else return;
    e.preventDefault();
  });
  grid.addEventListener('focusin', (e) => { const frame = frameOf(e); if (frame && frame.dataset.id !== active) { active = frame.dataset.id; redraw(); } });

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
      const hit = order.filter((p) => {
        const r = frames.get(p.id).box.getBoundingClientRect(), x = r.left + scrollX, y = r.top + scrollY;
        return x < box.right && x + r.width > box.left && y < box.bottom && y + r.height > box.top;
      });
      select([...before, ...hit.map((p) => p.id)]);
    });
    for (const name of ['pointerup', 'pointercancel']) addEventListener(name, () => {
      if (band) { band.remove(); band = null; lassoed = true; document.body.style.userSelect = ''; setTimeout(() => { lassoed = false; }); }
      start = null;
    });
  }

  return {
    element: grid, selection, lasso,
    select,
    selectAll: () => select(order.map((p) => p.id)),
    active: () => frames.get(active)?.p,
    focusActive: () => active && frames.get(active)?.box.focus(),
    size(name) { size = name; grid.style.setProperty('--frame', FRAME[name] + 'px'); redraw(); },
    show(id, pictures, newMarks, pending = []) {
      dataset = id; order = pictures; marks = newMarks;
      const there = new Set(pictures.map((p) => p.id));
      for (const [key, f] of frames) if (!there.has(key)) { f.frame.remove(); frames.delete(key); selection.delete(key); }
      if (!there.has(active)) active = pictures[0]?.id ?? null;
      for (const p of pictures) if (frames.has(p.id)) put(frames.get(p.id), p); else frames.set(p.id, build(p));
      redraw();
      grid.querySelectorAll('.d-thumb:not([data-id])').forEach((el) => el.remove());
      let at = grid.firstChild;                                        // only what is new or out of place is moved: thousands stay as they are
      for (const p of pictures) { const el = frames.get(p.id).frame; if (el === at) at = at.nextSibling; else grid.insertBefore(el, at); }
      grid.append(...pending.slice(0, 12).map(placeholder));
    },
  };
}
