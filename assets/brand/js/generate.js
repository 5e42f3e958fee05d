// The Generate page: drawing from words, or editing a picture. One drawing at a time goes on in the worker, whichever way began it.
import {h, icon, fill, api, ready, query, note, keys, tellAddress} from './core.js';
import {crumb} from './rail.js';
import {dropAnywhere} from './upload.js';
import {makeJob} from './drawjob.js';
import {makeDrawing} from './drawing.js';
import {makeEditing} from './editing.js';

keys('Generate', [['Ctrl Enter', 'Draw'], ['Esc', 'Stop drawing']]);
const WAYS = {words: 'Draw', edit: 'Edit a picture'}, KEPT = 'darkroom:generate-way';

export async function mount(el) {
  let d;
  try { d = await api('/generate'); } catch (e) { fill(el, note('bad', 'This page cannot be drawn now.', e.message)); ready(el, 'failed'); return; }
  const job = makeJob(el, d.job), room = h('div'), seg = h('div.d-seg', {role: 'radiogroup', aria: {label: 'Mode'}}), crumbs = h('button.d-crumb', {type: 'button'});
  const ways = {words: makeDrawing(d, job, {edit: (take) => { turn('edit'); take(ways.edit); }}), edit: makeEditing(d, job)};
  const cover = h('div.d-cover', {hidden: true}, h('div', icon('pic', 'l'), h('b', 'Drop to edit'), h('span', 'One picture')));
  crumb(crumbs);
  fill(el, h('header.d-head', h('div', crumbs, h('h1', 'Generate')), h('div.d-tools', seg)), room, cover);
  const buttons = Object.entries(WAYS).map(([way, text]) => h('button', {type: 'button', role: 'radio', data: {way}, onclick: () => turn(way)}, text));
  fill(seg, buttons);
  seg.addEventListener('keydown', (e) => { const step = {ArrowLeft: -1, ArrowRight: 1}[e.key]; if (!step) return; e.preventDefault(); const i = (buttons.findIndex((b) => b.tabIndex === 0) + step + 2) % 2; turn(buttons[i].dataset.way); buttons[i].focus(); });
  dropAnywhere(({files}) => { if (!files.length) return; turn('edit'); ways.edit.take(files[0]); }, (over) => { cover.hidden = !over; });

  function turn(way, first) {
    fill(room, ways[way].el);
    for (const b of buttons) { b.setAttribute('aria-checked', String(b.dataset.way === way)); b.tabIndex = b.dataset.way === way ? 0 : -1; }
    document.body.classList.toggle('p-generate-edit', way === 'edit');
    try { sessionStorage[KEPT] = way; } catch { /* storage off */ }
    if (!first) { query.set('mode', way === 'edit' ? 'edit' : ''); if (!query.get('mode')) query.delete('mode'); tellAddress(); }
    ways[way].shown();
  }
  /* Where the person is: a drawing under way, the address, a run that edits, what this tab did last. */
  function begin() {
    if (job.current()) return job.current().edits ? 'edit' : 'words';
    if (query.get('mode')) return query.get('mode') === 'edit' ? 'edit' : 'words';
    const run = query.get('run'), own = run && d.loras.find((l) => l.run === run);
    if (own) return own.kind === 'edit' ? 'edit' : 'words';
    try { return sessionStorage[KEPT] === 'edit' ? 'edit' : 'words'; } catch { return 'words'; }
  }
  turn(begin(), true);
  job.begin();
}
