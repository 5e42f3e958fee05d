// The bar of what is selected: how many, what can be done with them by button or by key, and an end of it.
import {h, icon, refill, toast, about} from './core.js';
import {placesOf} from './rows.js';

const PATIENCE = 300;

/* selecting: see selecting.js; tools(): [[key, icon, words, what it is while it lasts, act, rows a second, more words]...]. -> {el, draw(), key(e)} */
export function makeSelectionBar({selecting, tools}) {
  const {chosen} = selecting, count = h('b', {role: 'status'}), buttons = h('div.d-row.acs'), clear = () => selecting.select([]);
  const el = h('div.d-row.selt.none', {aria: {hidden: 'true'}}, count, buttons,
    h('button.d-btn.sm.ico.quiet', {type: 'button', title: 'Clear the selection', aria: {label: 'Clear the selection'}, onclick: clear}, icon('x', 's')));
  let sign = '', busy = false, doing = '';

  function draw() {
    const n = chosen.size, wait = doing || (selecting.waits ? 'Selecting …' : ''), now = JSON.stringify([tools().map(([, , words]) => words), busy]);
    el.classList.toggle('none', !n && !wait);
    el.setAttribute('aria-hidden', String(!n && !wait));
    count.textContent = wait || (n ? `${n.toLocaleString('en')} selected` : '');
    if (sign === now) return;
    sign = now;
    refill(buttons, tools().map(([key, name, words, , , , title], at) => h('button.d-btn.sm', {type: 'button', title, data: {again: key}, aria: busy ? {disabled: 'true'} : {}, onclick: () => run(tools()[at])}, icon(name, 's'), words)));
  }
  /* One thing at a time; what takes long says so. */
  async function run([, , , words, act, speed = Infinity]) {
    if (busy || !chosen.size) return;
    const seconds = chosen.size / speed, told = `${words} ${chosen.size.toLocaleString('en')}${seconds > 1.5 ? `, ${about(seconds)}` : ' …'}`, late = setTimeout(() => { doing = told; draw(); }, PATIENCE);
    busy = true;
    draw();
    try { await act(); } catch (error) { toast(error.message); } finally { clearTimeout(late); busy = false; doing = ''; draw(); }
  }
  function key(e) {
    if ((e.ctrlKey || e.metaKey) && e.key === 'a') { if (selecting.all()) e.preventDefault(); return; }
    if (e.key === 'Escape' && (chosen.size || selecting.waits)) { clear(); return; }
    const pressed = e.key === 'Backspace' ? 'Delete' : e.key.length === 1 ? e.key.toLowerCase() : e.key, tool = !e.ctrlKey && !e.metaKey && !e.altKey && chosen.size && tools().find(([name]) => name === pressed);
    if (tool) { e.preventDefault(); if (!e.repeat) run(tool); }
  }
  return {el, draw, key};
}

/* Jobs of many: at the end of one those are let go that it was begun for, and none that was chosen meanwhile. begin(body) -> what takes the job */
export function makeBegun(selecting, track) {
  const begun = new Map();
  return {
    begin({places}) { const those = places ? placesOf(places) : []; return (job) => { begun.set(job.id, those); track(job); }; },
    over(job) { selecting.drop(begun.get(job.id) || []); begun.delete(job.id); },
  };
}
