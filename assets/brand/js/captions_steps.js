// Changes of many captions: what was done and when, each with a way back, also after a reload.
import {h, icon, fill, api, plural} from './core.js';
import {undo} from './captions_find.js';

export const WHAT = {
  hand: 'Edited by hand', captioner: 'Written by a captioner', file: 'From a file', replace: 'Find and replace', trigger: 'Trigger word', tags: 'Tags',
  say: 'Said for many', confirm: 'Drafts confirmed', restore: 'An older one brought back', undo: 'Undone', aside: 'Not taken: others stood there already',
};
export function when(seconds) {
  const date = new Date(seconds * 1000), ago = Date.now() / 1000 - seconds;
  if (ago < 45) return 'just now';
  if (ago < 3600) return `${Math.max(1, Math.round(ago / 60))} min ago`;
  const clock = date.toLocaleTimeString('en-GB', {hour: '2-digit', minute: '2-digit'});
  return date.toDateString() === new Date().toDateString() ? `today ${clock}` : `${date.toLocaleDateString('en-GB', {day: 'numeric', month: 'short'})} ${clock}`;
}

export function mountSteps(el, book) {
  const list = h('ul.d-rows.st-list'), card = h('section.d-card.fr.st', {hidden: true, aria: {label: 'Changes of many'}},
    h('div.d-row', h('h2.d-h2', 'Changes of many'), h('button.d-btn.ico.quiet.d-push', {type: 'button', aria: {label: 'Close the changes'}, onclick: close}, icon('x', 's'))), list);
  el.append(card);
  let acts = [], back = null;

  async function read() {
    try { ({acts} = await api(`/captions/${book.dataset}/acts`)); draw(); } catch { /* they come with the next change */ }
    return acts;
  }
  function draw() {
    fill(list, acts.map((act) => h('li', h('div.bd', h('b', WHAT[act.what] || act.what), h('p', [act.detail, plural(act.count, book.words.text), when(act.time)].filter(Boolean).join(', ') + '.')),
      act.undone ? h('span.d-small.d-sub', 'undone') : h('button.d-btn.sm', {type: 'button', aria: {label: `Undo: ${WHAT[act.what]}, ${act.detail}`}, onclick: () => undo(book, act.token)}, icon('undo', 's'), 'Undo'))),
    !acts.length && h('li', h('p.d-sub', `Nothing has been done to many ${book.words.text}s at once yet. What is done can be undone here, also tomorrow. Of one ${book.words.text} see its history.`)));
    for (const f of book.opened) f();
  }
  function open() { back = document.activeElement; card.hidden = false; read(); card.scrollIntoView({block: 'nearest'}); }
  function close() { card.hidden = true; for (const f of book.opened) f(); back?.focus(); }
  let before = Promise.resolve();                                       // two quick presses take back two changes, not one twice
  const undoLast = () => (before = before.then(async () => {
    const last = (await read()).find((act) => !act.undone);
    if (last) await undo(book, last.token);
  }));
  card.addEventListener('keydown', (e) => { if (e.key === 'Escape') { e.stopPropagation(); close(); } });
  book.acted.add(read);
  read();
  return {open, close, undoLast, get on() { return !card.hidden; }, get last() { return acts.find((act) => !act.undone); }};
}
