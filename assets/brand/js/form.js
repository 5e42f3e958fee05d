// Dresses the native fields of a form: why this value, changed from the preset, faults at the field, search, folds.
import {h, icon, fill} from './core.js';

const PLACE = {pretrained_model_name_or_path: 'base'};
export const fieldOf = (name) => document.getElementById(PLACE[name] || 'f-' + name);
const inputOf = (field) => field.querySelector('textarea,input');
const touched = new Set();
let faults = new Map();

/* A closed accordion has no children in the page until it was open once: search and marks could not reach them.
   Each is opened and closed once, between two frames; on a slow machine that takes as long as it takes. */
export async function prerender(all) {
  if (!all) return;
  const bar = (a) => a.querySelector(':scope>.label-wrap'),
    shut = (a) => !bar(a).classList.contains('open'),
    turned = [];
  const open = async (a, has) => {
    if (shut(a)) turned.push(a);
    for (let n = 0; n < 1500 && !a.querySelector(has); n++) {
      if (shut(a) && n % 50 === 0) bar(a).click(); // again, where the first came before anybody listened
      await new Promise((ok) => setTimeout(ok, 20));
    }
  };
  await open(all, '.fold');
  await Promise.all([...all.querySelectorAll('.fold')].map((a) => open(a, '[id^="f-"]')));
  for (const a of turned.reverse()) if (!shut(a)) bar(a).click();
}
let words = []; // what is searched for: kept, as another recipe or task changes which fields there are
/* Search over titles, help and names; opens what has a hit, hides what has none. */
export function filter(text) {
  words = String(text || '')
    .trim()
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean);
  sift();
  for (const a of document.querySelectorAll('#all .fold')) {
    const some = a.querySelector('[id^="f-"]:not(.nohit,.notours)'),
      b = a.querySelector('.label-wrap');
    if (words.length ? some && !b.classList.contains('open') : b.classList.contains('open') && a.dataset.found) {
      b.click();
      a.dataset.found = words.length ? '1' : '';
    }
  }
}
function sift() {
  let hits = 0;
  for (const f of document.querySelectorAll('#all [id^="f-"]')) {
    const all = `${f.textContent} ${f.id.slice(2)} ${f.id.slice(2).replaceAll('_', ' ')}`.toLowerCase(),
      hit = words.every((w) => all.includes(w));
    f.classList.toggle('nohit', !hit);
    hits += hit && !f.classList.contains('notours');
  }
  for (const a of document.querySelectorAll('#all .fold'))
    a.classList.toggle('nohit', words.length > 0 && !a.querySelector('[id^="f-"]:not(.nohit,.notours)'));
  const note = document.querySelector('#find-note p');
  if (note) note.textContent = !words.length ? '' : hits ? `${hits} found` : 'No setting has these words. Try “rate”, “memory” or “save”.';
}
/* why: {field: text}; changed: {field: what the preset has}; only: names that this method knows. */
export function dress({why = {}, changed = {}, only}) {
  const known = only && new Set([...only, 'name']);
  for (const f of document.querySelectorAll('[id^="f-"]')) {
    const name = f.id.slice(2),
      was = changed[name],
      text = [why[name], was !== undefined ? `The preset has ${say(was)}.` : ''].filter(Boolean).join(' ');
    f.classList.toggle('chg', was !== undefined);
    f.classList.toggle('notours', !!known && !known.has(name));
    let note = f.querySelector(':scope>.d-why');
    if (!text) note?.remove();
    else if (note) {
      if (note.textContent !== text) note.textContent = text;
    } else f.append(h('p.d-why', text));
  }
  for (const a of document.querySelectorAll('#all .fold')) {
    const n = a.querySelectorAll('.chg').length,
      label = a.querySelector('.label-wrap>span:first-of-type');
    a.classList.toggle('notours', !!known && !a.querySelector('[id^="f-"]:not(.notours)'));
    if (label) n ? label.setAttribute('data-chg', `${n} changed`) : label.removeAttribute('data-chg');
  }
  sift();
}
const say = (was) =>
  was === true ? 'it on' : was === false ? 'it off' : was === '' ? 'it empty' : String(was).includes('\n') ? 'other lines' : `${was}`;

/* Faults stand at their field once the person has been there; `insist` shows all and goes to the first. */
export function mark(list, insist) {
  faults = new Map();
  for (const {field, text} of list) if (fieldOf(field)) faults.set(field, faults.has(field) ? faults.get(field) + ' ' + text : text);
  if (insist) for (const name of faults.keys()) touched.add(name);
  paint();
  if (insist) jump();
}
function paint() {
  for (const f of document.querySelectorAll('[id^="f-"],#base')) {
    const name = f.id === 'base' ? 'pretrained_model_name_or_path' : f.id.slice(2),
      input = inputOf(f);
    if (!input) continue;
    const text = touched.has(name) ? faults.get(name) : '',
      id = 'err-' + name;
    let note = document.getElementById(id);
    f.classList.toggle('err', !!text);
    if (text) {
      if (!note) {
        note = h('p.d-err', {id, role: 'alert'});
        f.append(note);
      }
      if (note.dataset.text !== text) {
        note.dataset.text = text;
        fill(note, icon('alert', 's'), h('span', text));
      }
      input.setAttribute('aria-invalid', 'true');
      input.setAttribute('aria-describedby', id);
    } else if (note) {
      note.remove();
      input.removeAttribute('aria-invalid');
      input.removeAttribute('aria-describedby');
    }
  }
}
function jump() {
  const first = [...document.querySelectorAll('#base,[id^="f-"]')].find((f) => f.classList.contains('err'));
  if (!first) return;
  for (let a = first.closest('.fold'); a; a = a.parentElement.closest('.fold')) {
    const b = a.querySelector(':scope>.label-wrap');
    if (!b.classList.contains('open')) b.click();
  }
  first.scrollIntoView({block: 'center'});
  inputOf(first).focus({preventScroll: true});
}
addEventListener('focusout', (e) => {
  const f = e.target.closest?.('[id^="f-"],#base');
  if (!f) return;
  touched.add(f.id === 'base' ? 'pretrained_model_name_or_path' : f.id.slice(2));
  paint();
});
