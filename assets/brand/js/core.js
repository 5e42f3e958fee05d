// What every widget shares. An ES module: the browser loads it once, whichever widget asks first.
export const base = new URL('..', import.meta.url).pathname;          // "/brand/<version>/"
export const query = new URLSearchParams(location.search);
const SVG = 'http://www.w3.org/2000/svg';

/* h('div.a.b', {aria: {label: 'x'}, onclick, style: {'--v': '3%'}}, kids...)
   Words go in as text nodes: nothing is ever parsed as HTML. */
export function h(spec, props, ...kids) {
  if (props == null || typeof props !== 'object' || props instanceof Node || Array.isArray(props)) {
    if (props != null) kids.unshift(props);
    props = {};
  }
  const [tag, ...classes] = spec.split('.');
  const el = document.createElement(tag || 'div');
  if (classes.length) el.className = classes.join(' ');
  for (const [key, value] of Object.entries(props)) {
    if (value == null || value === false) continue;
    if (key.startsWith('on')) el.addEventListener(key.slice(2), value);
    else if (key === 'style') for (const [name, x] of Object.entries(value)) el.style.setProperty(name, x);
    else if (key === 'aria') for (const [name, x] of Object.entries(value)) el.setAttribute('aria-' + name, x);
    else if (key === 'data') Object.assign(el.dataset, value);
    else if (key in el && key !== 'role' && key !== 'list') el[key] = value;
    else el.setAttribute(key, value === true ? '' : value);
  }
  el.append(...kids.flat(9).filter((kid) => kid != null && kid !== false));
  return el;
}
export function svg(tag, attributes, ...kids) {
  const el = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes || {})) el.setAttribute(key, value);
  el.append(...kids);
  return el;
}
export const icon = (name, cls = '') =>
  svg('svg', {class: 'd-i ' + cls, viewBox: '0 0 20 20', 'aria-hidden': 'true'}, svg('use', {href: base + 'icons.svg#' + name}));
export const num = (text) => h('span.d-num', String(text));
export const fill = (el, ...kids) => (el.replaceChildren(...kids.flat(9).filter((kid) => kid != null && kid !== false)), el);

/* What a person may be in is rebuilt without throwing them out: whoever had the focus has it again afterwards, in the same element where it
   is still there, else in the one of the same name: `data-again`, or its id, or where it leads and what it is called. */
const named = (el) => el.dataset.again || el.id || [el.getAttribute('href'), el.getAttribute('aria-label') || el.textContent].join(' ');
export function rebuild(root, change) {
  const had = root.contains(document.activeElement) ? document.activeElement : null, name = had && named(had);
  change();
  if (!had || document.activeElement === had) return;
  const again = had.isConnected ? had : [...root.querySelectorAll(had.tagName)].find((el) => named(el) === name);
  again?.focus({preventScroll: true});
}
export const refill = (el, ...kids) => (rebuild(el, () => fill(el, ...kids)), el);

/* A press on a button that is drawn anew before it is let go is a press of the new one: what saves on leaving a field, an answer, a job's
   next look draw under the finger, and a browser clicks only what it also saw pressed. */
let pressed = null;
const PRESSED = 'button,a[href],[role=checkbox]';
addEventListener('pointerdown', (e) => { const el = e.button ? null : e.target.closest?.(PRESSED); pressed = el && {el, name: named(el)}; }, true);
addEventListener('pointercancel', () => { pressed = null; }, true);
addEventListener('pointerup', (e) => {
  const had = pressed;
  pressed = null;
  if (!had || had.el.isConnected) return;
  const now = document.elementFromPoint(e.clientX, e.clientY)?.closest(PRESSED);
  if (now && named(now) === had.name) now.click();
}, true);

/* The ring that shows how far a job is: in the dock, in a card. */
export function ring(part, r = 10.5, box = 26, w = 3) {
  const length = 2 * Math.PI * r, c = box / 2;
  const circle = (stroke, extra) => svg('circle', {cx: c, cy: c, r, fill: 'none', stroke, 'stroke-width': w, ...extra});
  return svg('svg', {viewBox: `0 0 ${box} ${box}`, 'aria-hidden': 'true'}, circle('var(--d-line-2)'),
    circle('var(--d-safe)', {'stroke-linecap': 'round', 'stroke-dasharray': `${length * part} ${length + 1}`, transform: `rotate(-90 ${c} ${c})`}));
}

/* Our JSON routes. A refusal becomes an Error whose message is the server's plain sentence; .field and .faults with it. */
export async function api(path, body, method) {
  const options = body === undefined && !method ? {cache: 'no-store'}
    : {method: method || 'POST', headers: {'Content-Type': 'application/json'}, body: body === undefined ? undefined : JSON.stringify(body)};
  let response;
  try { response = await fetch('/api' + path, options); } catch { throw Object.assign(new Error('Darkroom does not answer. Is it still running?'), {status: 0}); }
  return read(response);
}
export async function read(response) {
  if (response.status === 401) { location.href = '/login?next=' + encodeURIComponent(location.pathname + location.search); return new Promise(() => {}); }
  const text = response.status === 204 ? '' : await response.text();
  let value = null;
  try { value = text && JSON.parse(text); } catch { /* not ours: a proxy's page, perhaps */ }
  if (response.ok) return value || null;
  const error = (value && value.error) || {text: `The server answered ${response.status}. Try again.`};
  throw Object.assign(new Error(error.text), {status: response.status, ...error});
}
export const script = (src) => new Promise((ok, no) =>
  document.head.append(Object.assign(document.createElement('script'), {src: base + src, onload: ok, onerror: no})));

/* Gradio keeps no pointer to our DOM, so a widget is ready when it says so: tests wait for [data-state=ready]. */
/* The address says what `query` says now. By its whole path: “?…” alone would lead to Home, because Gradio's pages have a base. */
export const tellAddress = () => history.replaceState(history.state, '', location.pathname + (query.size ? '?' + query : ''));
/* Once elements of these ids are there: Gradio draws its own when their code has come, which may be after ours. */
export const present = (...ids) => new Promise((ok) => {
  const look = () => { if (ids.every((id) => document.getElementById(id))) { watcher.disconnect(); ok(); } }, watcher = new MutationObserver(look);
  watcher.observe(document.body, {childList: true, subtree: true});
  look();
});
export const ready = (el, state = 'ready') => { const block = el.closest('.block'); if (block) block.dataset.state = state; };
export function broken(el, error) {
  fill(el, note('bad', 'This part of the page could not be drawn.', `Reload the page. If it stays so, this is what went wrong: ${error.message}.`));
  ready(el, 'failed');
}
export const note = (kind, strong, rest, ...tools) =>
  h('div.d-note' + (kind === 'bad' ? '.bad' : ''), {role: 'status'}, icon('alert'), h('div', h('b.d-strong', strong), ' ', rest), tools.length ? h('div.d-push.d-row', tools) : null);

/* The native dock's sentence: strong + rest. */
export function say(strong, rest, part) {
  const p = document.querySelector('#dock-say p');
  if (!p) return;
  fill(p, h('b', strong), rest ? ' ' + rest : null);
  const place = document.querySelector('#dock-say .ring');
  if (place && part != null) fill(place, ring(part));
}

/* A short word at the bottom right, with one action (undo). It goes by itself, not while it is touched. */
let toasted, toasts = 0;
export function toast(text, action, onaction, seconds = 8) {
  toasted && toasted();
  const el = h('div.d-toast', {role: 'status'}, h('span', text));
  let timer, held = false;
  const close = () => { clearTimeout(timer); el.remove(); if (toasted === close) toasted = null; };
  const wait = () => { clearTimeout(timer); timer = setTimeout(() => !held && close(), seconds * 1000); };
  toasts += 1;
  if (action) el.append(h('button', {type: 'button', data: {again: 'toast ' + toasts}, onclick: () => { close(); onaction(); }}, action));
  for (const [on, hold] of [['pointerenter', true], ['focusin', true], ['pointerleave', false], ['focusout', false]])
    el.addEventListener(on, () => { held = hold; if (!hold) wait(); });
  document.body.append(el);
  toasted = close;
  wait();
  return close;
}

/* A question before something that cannot be undone. Resolves true or false. */
export function ask(title, text, yes, no = 'Keep it') {
  return new Promise((resolve) => {
    const dialog = h('dialog.d-dialog', {aria: {labelledby: 'ask-title'}}, h('h2.d-h2', {id: 'ask-title'}, title), h('p.d-sub', text),
      h('form.d-row', {method: 'dialog'}, h('button.d-btn.d-push', {value: ''}, no), h('button.d-btn.danger', {value: 'yes'}, yes)));
    dialog.addEventListener('close', () => { resolve(dialog.returnValue === 'yes'); dialog.remove(); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/* Pointer position 0..1 over el while dragging: scrubber, A|B. */
export function drag(el, onmove, onend) {
  const at = (e) => { const r = el.getBoundingClientRect(); onmove(Math.min(1, Math.max(0, (e.clientX - r.left) / r.width)), e); };
  el.addEventListener('pointerdown', (e) => {
    if (e.button) return;
    el.setPointerCapture(e.pointerId);
    at(e);
    el.addEventListener('pointermove', at);
  });
  for (const name of ['pointerup', 'pointercancel'])
    el.addEventListener(name, () => { el.removeEventListener('pointermove', at); onend && onend(); });
  el.style.touchAction = 'none';
}

/* Figures in words. */
export const plural = (n, one, many = one + 's') => `${n.toLocaleString('en')} ${n === 1 ? one : many}`;
export const clock = (seconds) => {
  const s = Math.max(0, Math.round(seconds)), two = (n) => String(n).padStart(2, '0');
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
};
export const about = (seconds) => (seconds < 90 ? `about ${Math.max(1, Math.round(seconds))} s`
  : seconds < 5400 ? `about ${Math.round(seconds / 60)} min` : `about ${(seconds / 3600).toFixed(1)} h`);
export const size = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} KB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);

/* Links keep the data set and the run: href('captions'), href('monitor', {run: 'zog-03'}). null takes a key away. */
export function href(page, changes = {}) {
  const q = new URLSearchParams();
  for (const key of ['dataset', 'run', '__theme']) if (query.get(key)) q.set(key, query.get(key));
  for (const [key, value] of Object.entries(changes)) value == null ? q.delete(key) : q.set(key, value);
  const text = q.toString();
  return '/' + page + (text ? '?' + text : '');
}

/* Keys that a page has beside the common ones; `?` lists them (keys.js). keys('Dataset', [['Space', 'Select'], ...]) */
export const KEYS = [];
export const keys = (title, rows) => { KEYS.push({title, rows}); };
export const typing = (e) => e.target.closest?.('input:not([type=checkbox],[type=radio],[type=range]),textarea,select,[contenteditable]');
