// The rail stands OUTSIDE Gradio's tree: painted before Gradio's bundle has loaded, and no redraw can touch it.
// Loaded by the head. Also sets body.dark early (no flash).
import {h, svg, icon, api, query, href, typing} from './core.js';

const STEPS = ['Dataset', 'Captions', 'Check', 'Train', 'Monitor', 'Compare', 'Generate'];
const page = location.pathname.replace(/\//g, '') || 'home';
const WORDS = {done: 'done', run: 'running', you: 'needs you', fail: 'stopped', todo: 'not yet'};
const PATHS = {done: 'M5.3 9.4l2.5 2.5 4.9-5.5', you: 'M9 4.8v5M9 12.8v.1', fail: 'M6 6l6 6M12 6l-6 6'};
const KINDS = {dataset: {list: 'datasets', word: 'Data sets', none: 'Choose a data set'}, run: {list: 'runs', word: 'Runs', none: 'Choose a run'}};

const wanted = query.get('__theme');
if (wanted ? wanted === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches) document.body.classList.add('dark');
document.documentElement.lang = 'en';
const name = (STEPS.find((s) => s.toLowerCase() === page) || 'Home') + ' · Darkroom';
const title = () => { if (document.title === 'Darkroom') document.title = name; };
new MutationObserver(title).observe(document.head, {subtree: true, childList: true, characterData: true});   // Gradio writes its own, late
title();

function mark(kind, part) {
  const dot = h('span.d-dot.' + kind);
  if (PATHS[kind]) dot.append(svg('svg', {viewBox: '0 0 18 18'}, svg('path', {d: PATHS[kind]})));
  if (kind === 'run') {
    const circle = (cls, extra) => svg('circle', {class: cls, cx: 9, cy: 9, r: 7, fill: 'none', ...extra});
    dot.append(svg('svg', {viewBox: '0 0 18 18'}, circle('t'),
      circle('p', {'stroke-dasharray': `${44 * (part || 0)} 99`, transform: 'rotate(-90 9 9)'}), svg('circle', {class: 'c', cx: 9, cy: 9, r: 2.4})));
  }
  return dot;
}
function logo() {
  return svg('svg', {viewBox: '0 0 22 22', 'aria-hidden': 'true'}, svg('rect', {x: 1, y: 1, width: 20, height: 20, rx: 6, fill: '#1a1816'}),
    svg('rect', {x: 1.5, y: 1.5, width: 19, height: 19, rx: 5.5, fill: 'none', stroke: '#fff', 'stroke-opacity': '.14'}),
    svg('circle', {cx: 11, cy: 9, r: 3.6, fill: '#e5693d'}), svg('path', {d: 'M4.5 16.2h13', stroke: '#faf9f7', 'stroke-width': 1.8, 'stroke-linecap': 'round'}));
}
const face = (it) => (it && it.img ? h('img', {src: it.img, alt: '', width: 30, height: 30}) : h('span.ph', icon('pic', 's')));

/* Switcher: a button and a list of links, because choosing means another address. */
let rail, state, menu, drawn = '';
function place(kind, it) {
  if (kind === 'dataset') {                                            // another data set: the run in the address is not of it
    const there = ['monitor', 'compare'].includes(page) ? 'dataset' : page === 'home' ? 'dataset' : page;
    return href(there, {dataset: it.id, run: null});
  }
  return href(['monitor', 'compare', 'generate'].includes(page) ? page : 'monitor', {run: it.id, dataset: it.dataset || null});
}
export function toggleMenu(button, kind) {
  if (menu) { const same = menu.by === button; close(); if (same) return; }
  const items = (state && state[KINDS[kind].list]) || [];
  menu = h('ul.d-menu', {aria: {label: KINDS[kind].word}}, items.map((it) =>
    h('li', h('a', {href: place(kind, it), aria: it.on ? {current: 'true'} : {}}, face(it), h('span', h('b', it.name), h('span', it.sub))))),
  kind === 'dataset' && h('li', h('a', {href: href('dataset', {dataset: null, run: null})}, h('span.ph', icon('plus', 's')), h('span', h('b', 'New data set')))));
  menu.by = button;
  button.setAttribute('aria-expanded', 'true');
  const r = button.getBoundingClientRect();
  menu.style.left = r.left + 'px';
  menu.style.top = r.bottom + 6 + 'px';
  menu.style.minWidth = Math.max(224, r.width) + 'px';
  button.after(menu);
  menu.querySelector('a')?.focus();
}
function close(focus = true) {
  if (!menu) return;
  menu.by.setAttribute('aria-expanded', 'false');
  if (focus) menu.by.focus();
  menu.remove();
  menu = null;
}
addEventListener('keydown', (e) => {
  if (e.key === 'Escape') close();
  if (menu && (e.key === 'ArrowDown' || e.key === 'ArrowUp')) {
    const links = [...menu.querySelectorAll('a')], i = links.indexOf(document.activeElement) + (e.key === 'ArrowDown' ? 1 : -1);
    links[(i + links.length) % links.length].focus();
    e.preventDefault();
  }
  if (e.key === '?' && !typing(e) && !document.querySelector('dialog[open]')) showKeys();
});
addEventListener('pointerdown', (e) => { if (menu && !menu.contains(e.target) && !menu.by.contains(e.target)) close(false); });
const showKeys = () => import('./keys.js').then((m) => m.open());

function switcher(kind) {
  const it = state[kind], words = KINDS[kind];
  const text = it ? h('span', h('b', it.name), h('span', it.sub)) : h('span', h('b', words.none));
  const b = h('button', {type: 'button', aria: {expanded: 'false'}, onclick: () => toggleMenu(b, kind)},
    h('span.d-vh', kind === 'run' ? 'Switch run: ' : 'Switch data set: '), face(it), text, icon('updown', 's'));
  return b;
}
function draw(s) {
  state = s;
  drawn = JSON.stringify(s);
  const current = (name) => (name === page ? {current: 'page'} : {});
  const some = (kind) => !!s[kind] || (s[KINDS[kind].list] || []).length > 0;
  const el = h('aside.d-rail', {aria: {label: 'Studio'}},
    h('a.d-brand', {href: href('', {dataset: null, run: null}), aria: {label: 'Darkroom, home'}}, logo(), h('span', 'Darkroom')),
    some('dataset') || some('run') ? h('div.d-switch', some('dataset') && switcher('dataset'), some('run') && switcher('run')) : null,
    h('nav', {aria: {label: 'Steps'}},
      h('a.d-homelink', {href: href(''), aria: {label: 'Home', ...current('home')}}, icon('home'), h('span', 'Home')),
      h('ol.d-steps', STEPS.map((name) => {
        const key = name.toLowerCase(), m = (s.steps && s.steps[key]) || {mark: 'todo'};
        const keep = {dataset: s.dataset?.id || query.get('dataset'), run: ['monitor', 'compare', 'generate'].includes(key) ? s.run?.id || query.get('run') : query.get('run')};
        return h('li', h('a', {href: href(key, keep), aria: current(key)}, mark(m.mark, m.part), h('span.d-vh', WORDS[m.mark] + ': '), name, h('small', m.figure || '')));
      }))),
    h('div.d-hw', icon('chip', 's'), h('span', h('b', s.hw ? s.hw.name : ''), s.hw ? s.hw.free : ''),
      h('button.d-key.keys', {type: 'button', aria: {label: 'Show the keys'}, onclick: showKeys}, '?')));
  const scrolled = rail ? rail.scrollLeft : null;
  if (rail) rail.replaceWith(el); else document.body.prepend(el);      // first in the tab order
  rail = el;
  document.querySelectorAll('.d-crumb').forEach(crumb);
  const here = innerWidth < 761 && el.querySelector('[aria-current=page]');
  if (here) el.scrollLeft = scrolled ?? here.getBoundingClientRect().left - el.clientWidth / 2 + here.offsetWidth / 2;
}
/* On the phone the switcher is the small line above the page's title (shell.head makes the empty button). */
export function crumb(b) {
  const kind = state && (state.run && ['monitor', 'compare', 'generate'].includes(page) ? 'run' : 'dataset');
  const name = state && state.dataset ? [state.dataset.name, kind === 'run' && state.run.name].filter(Boolean).join(', ') : '';
  b.hidden = !name;
  if (!name) return;
  b.replaceChildren(name + ' ', icon('updown', 's'));
  b.setAttribute('aria-label', 'Switch: ' + name);
  b.onclick = () => toggleMenu(b, kind);
}

const key = () => 'rail:' + page + location.search;
try { draw(JSON.parse(sessionStorage[key()] || '{}')); } catch { draw({}); }      // last known state at once, the true one below
const listeners = new Set();
export const railState = () => state;
export const onRail = (f) => { listeners.add(f); if (state && state.steps) f(state); };
let asked = 0;
addEventListener('focusout', (e) => { if (e.relatedTarget && rail.contains(e.target) && !rail.contains(e.relatedTarget) && !menu && drawn !== JSON.stringify(state)) draw(state); });      // what came while somebody was in it
export async function refresh() {
  const mine = ++asked;
  try {
    const now = new URLSearchParams(location.search), ask = new URLSearchParams({page});
    for (const name of ['dataset', 'run']) if (now.get(name)) ask.set(name, now.get(name));
    const s = await api('/rail?' + ask), text = JSON.stringify(s);
    if (mine !== asked) return;                                        // asked again meanwhile: that answer is newer
    if (drawn !== text) {
      try { sessionStorage[key()] = text; } catch { /* storage full or off: only slower */ }
      if (!menu && !rail.contains(document.activeElement)) draw(s); else state = s;
    }
    listeners.forEach((f) => f(s));
  } catch { /* server away: keep the last state */ }
}
refresh();
setInterval(() => document.visibilityState === 'visible' && (state?.active || page === 'captions') && refresh(), 5000);
