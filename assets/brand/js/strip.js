// The test strip: a grid of prompts x checkpoints with one shared zoom (CSS variables on the grid), and two picked cells.
import {h, icon, fill} from './core.js';
import {lossText} from './curve.js';
import {count} from './run.js';

export const nameOf = (column) => column.side || (column.step ? 'step ' + count(column.step) : 'base');
const SIDES = {before: ['Before', 'as it was'], target: ['Target', 'as wanted']};
export const cellUrl = (run, cell, width) => `/media/compare/${encodeURIComponent(run)}/${cell.name}.png?w=${width}`;

/* `given()` is {run, status, star}; onStar(step), onPick(pair) and onZoom(z) tell what the person did. */
export function makeStrip(given, {onStar, onPick, onZoom}) {
  const strip = h('div.d-strip'), scroll = h('div.d-scroll', {tabIndex: 0, role: 'region', aria: {label: 'Test strip'}}, strip);
  let picked = [], offered = 0, z = 1, x = 0, y = 0, drawn = '', images = new Map();
  const at = (r, c) => strip.querySelector(`[data-cell="${r}/${c}"]`);

  function column(c, i, star) {
    const starred = c.step && c.step === star, words = [c.best && 'lowest held-out loss', c.kept && 'kept'].filter(Boolean).join(', ');
    const [title, under] = SIDES[c.side] || [c.step ? count(c.step) : 'Base', c.step ? '–' : 'as it came'];
    const inner = [h('b', starred ? icon('star', 's solid') : null, title), h('span', c.heldout_loss == null ? under : lossText(c.heldout_loss)), c.kept && h('small', 'kept')];
    const props = {data: {column: i}, title: `${nameOf(c)}${c.heldout_loss == null ? '' : `, held-out loss ${lossText(c.heldout_loss)}`}${words ? ', ' + words : ''}`};
    return c.step ? h('button.ch' + (starred ? '.best' : ''), {...props, type: 'button', aria: {pressed: String(!!starred), label: `Star ${props.title}`}, onclick: () => onStar(c.step)}, inner) : h('span.ch', props, inner);
  }
  function picture(run, cell) {                       // nodes are kept by name: a cell that was there does not flicker
    const width = z > 1.6 ? 768 : 384, id = cell.name + width;
    let img = images.get(cell.name);
    if (!img || img.dataset.w !== String(width)) { img = h('img', {src: cellUrl(run, cell, width), alt: '', decoding: 'async', draggable: false, data: {w: width, id}}); images.set(cell.name, img); }
    return img;
  }
  function cellNode(run, s, r, c) {
    const cell = s.cells[r][c], n = picked.findIndex(([a, b]) => a === r && b === c), last = c === s.columns.length - 1, text = `${s.prompts[r].text}, ${nameOf(s.columns[c])}`;
    const shared = c > 0 && !s.columns[c].side && s.cells[r].findIndex((o) => o.name === cell.name) !== c;      // at scale 0 every column is the base's picture
    const image = cell.ready ? (shared ? picture(run, cell).cloneNode() : picture(run, cell)) : h('span.d-ph' + (s.state === 'running' ? '' : '.still'));
    return h('button.d-cell' + (c === 0 ? '.first' : '') + (last ? '.last' : '') + (n >= 0 ? '.pick' : ''), {type: 'button', data: {cell: r + '/' + c}, tabIndex: r === 0 && c === 0 ? 0 : -1,
      aria: {pressed: String(n >= 0), label: text + (n >= 0 ? `, ${'AB'[n]}` : '') + (cell.ready ? '' : ', not made yet')}}, image, n >= 0 && h('span.ab', 'AB'[n]));
  }
  function show() {
    const {run, status: s, star} = given();
    if (!s) return;
    if (picked.some(([r, c]) => r >= s.prompts.length || c >= s.columns.length)) { picked = []; offered = 0; }
    const sign = JSON.stringify([s.cells, s.columns, s.prompts, s.state === 'running', star, picked, z > 1.6]);
    if (sign === drawn) return;
    drawn = sign;
    const focus = strip.contains(document.activeElement) ? document.activeElement.dataset : null;
    strip.style.setProperty('--columns', s.columns.length);
    strip.style.gridTemplateColumns = `112px repeat(${s.columns.length},minmax(${s.columns.length > 6 ? 104 : 92}px,1fr))`;
    fill(strip, h('span.rh', h('span', 'step'), h('span', 'held-out loss')), s.columns.map((c, i) => column(c, i, star)),
      s.prompts.map((p, r) => [h('span.rq', p.text, p.trained === false && s.prompts.some((o) => o.trained) && h('small', 'no trigger word')), s.columns.map((_, c) => cellNode(run, s, r, c))]));
    if (focus?.cell) focusCell(...focus.cell.split('/').map(Number));
    else if (focus?.column) strip.querySelector(`[data-column="${focus.column}"]`)?.focus();
  }
  function focusCell(r, c) { strip.querySelectorAll('[data-cell]').forEach((b) => (b.tabIndex = -1)); const b = at(r, c); if (b) { b.tabIndex = 0; b.focus({preventScroll: false}); } }
  function choose(list, open = 0) { picked = list; offered = open; show(); onPick(picked); }
  /* A pair that nobody chose gives way click by click: the first click is A, the second is B, also where they stood already. */
  function toggle(r, c) {
    const here = ([a, b]) => a === r && b === c, [one, two] = picked;
    if (offered === 2) return choose([[r, c], here(two) ? one : two], 1);
    if (offered === 1 && !here(one)) return choose([one, [r, c]]);
    const i = picked.findIndex(here);
    choose(i >= 0 ? picked.filter((_, n) => n !== i) : [...picked.slice(-1), [r, c]]);
  }
  /* One zoom for all: --z --x --y in parts of a cell, every picture follows in CSS. */
  function zoom(next, px = 0.5, py = 0.5) {
    next = Math.max(1, Math.min(8, next));
    x = px - ((px - x) * next) / z; y = py - ((py - y) * next) / z; z = next;
    pan(0, 0);
  }
  function pan(dx, dy) {
    x = Math.min(0, Math.max(1 - z, x + dx)); y = Math.min(0, Math.max(1 - z, y + dy));
    onZoom({z, x, y});
    for (const [k, v] of [['--z', z], ['--x', x * 100 + '%'], ['--y', y * 100 + '%']]) strip.style.setProperty(k, v);
    strip.classList.toggle('zoomed', z > 1);
    show();
  }
  strip.addEventListener('wheel', (e) => {                 // Ctrl or a pinch zooms; once zoomed the plain wheel does too (else the page could not scroll)
    const c = e.target.closest('.d-cell');
    if (!c || !(e.ctrlKey || e.metaKey || z > 1)) return;
    e.preventDefault();
    const r = c.getBoundingClientRect();
    zoom(z * Math.exp(-e.deltaY * 0.002), (e.clientX - r.left) / r.width, (e.clientY - r.top) / r.height);
  }, {passive: false});
  let from = null, moved = false;
  strip.addEventListener('pointerdown', (e) => { const c = e.target.closest('.d-cell'); moved = false; from = c && z > 1 ? [e.clientX, e.clientY, c.clientWidth] : null; });
  strip.addEventListener('pointermove', (e) => {
    if (!from) return;
    const dx = e.clientX - from[0], dy = e.clientY - from[1];
    if (!moved && Math.hypot(dx, dy) < 4) return;
    moved = true; pan(dx / from[2], dy / from[2]); from = [e.clientX, e.clientY, from[2]];
  });
  addEventListener('pointerup', () => (from = null));
  strip.addEventListener('click', (e) => { const c = e.target.closest('.d-cell'); if (c && !moved) toggle(...c.dataset.cell.split('/').map(Number)); });
  strip.addEventListener('dblclick', () => zoom(1));
  strip.addEventListener('mouseover', (e) => {             // the column under the pointer stands out
    const node = e.target.closest('[data-cell],[data-column]'), c = node ? (node.dataset.column ?? node.dataset.cell.split('/')[1]) : null;
    strip.querySelectorAll('.ch').forEach((b) => b.classList.toggle('hov', b.dataset.column === c));
  });
  strip.addEventListener('mouseleave', () => strip.querySelectorAll('.hov').forEach((b) => b.classList.remove('hov')));
  strip.addEventListener('keydown', (e) => {
    const cell = e.target.closest('.d-cell');
    if (!cell || e.ctrlKey || e.metaKey || e.altKey) return;
    const [r, c] = cell.dataset.cell.split('/').map(Number), key = e.key.toLowerCase();
    const go = {arrowleft: [r, c - 1], arrowright: [r, c + 1], arrowup: [r - 1, c], arrowdown: [r + 1, c]}[key];
    if (go) { e.preventDefault(); if (at(...go)) focusCell(...go); return; }
    if (key === 'a') choose([[r, c], ...picked.slice(1)]);
    else if (key === 'b') choose(picked.length ? [picked[0], [r, c]] : [[r, c]]);
    else if (key === 's') { const step = given().status.columns[c].step; step && onStar(step); }
    else if (key === '+' || key === '=') zoom(z * 1.25);
    else if (key === '-') zoom(z / 1.25);
    else if (key === '0') zoom(1);
  });
  return {el: scroll, show, zoom: (f) => zoom(f === 0 ? 1 : z * f), offer: (pair) => choose(pair, 2), picked: () => picked};
}
