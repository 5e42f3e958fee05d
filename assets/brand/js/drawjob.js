// The drawing under way, shared by both ways of the Generate page: started, followed to its end, stopped. It goes on in the worker
// whatever the page does; a page that comes later finds it again.
import {h, fill, icon, api, ready, toast, about, typing} from './core.js';
import {count} from './run.js';

const PHASES = {waiting: 'Waiting for the drawing worker', loading: 'Loading the base model', drawing: 'Drawing'};
const DOING = {true: 'Editing', false: 'Drawing'};
export const readyOf = (job) => job.pictures.filter((p) => p.ready).map((p) => p.id);

/* `first` is the job that the server knows of. Whoever `follow`s is told of its own drawings: kind 'edit' or 'words',
   {picture(output, job), end(job, shown), paint()}. */
export function makeJob(el, first) {
  const kinds = {}, kindOf = (j) => (j.edits ? 'edit' : 'words');
  let job = first?.state === 'running' ? first : null, timer, away = false, asking = false, stopping = false, turn = 0, ended = 0;
  const told = new Set(job ? readyOf(job) : []);            // pictures that need not be asked for: the page has them, had them, or they were deleted

  async function start(values, strip) {
    if (asking || job) return null;
    asking = true; paint();
    try { job = await api('/generate', {values, strip}); return job; } finally { asking = false; paint(); if (job) poll(); }
  }
  async function halt() {
    if (!job) return;
    stopping = true; paint();
    try { await api(`/generate/jobs/${job.id}/stop`, {}); } catch (e) { stopping = false; toast(e.message); }
    poll();
  }
  async function poll() {
    clearTimeout(timer);
    const mine = ++turn;                                    // one at a time: Stop asks at once, and then the one before gives way
    if (job && document.visibilityState === 'visible') {
      let now;
      try { now = await api(`/generate/jobs/${job.id}`); away = false; } catch (e) { now = e.status === 404 ? null : job; away = !!now; }
      if (mine !== turn) return;
      job = now;
      if (job && !away) away = !(await gather(kinds[kindOf(job)]));
      if (mine !== turn) return;
      if (!job) over();
      else if (!away && job.state !== 'running') { const end = job; over(); if (end.notices?.length) toast(end.notices.at(-1)); kinds[kindOf(end)]?.end(end); }
      paint();
    }
    if (job) timer = setTimeout(poll, 400);
  }
  /* What has come since. A picture that was deleted meanwhile is passed over; false where the server does not answer. */
  async function gather(kind) {
    for (const id of readyOf(job)) {
      if (told.has(id)) continue;
      try { if (!kind?.knows(id)) kind?.picture(await api(`/generate/history/${id}`), job); } catch (e) { if (!e.status) return false; }
      told.add(id);
    }
    return true;
  }
  function over() { job = null; stopping = false; ended += 1; }
  /* `data-ended` counts the drawings that came to their end on this page: it stays, where “drawing” passes. */
  function paint() {
    for (const k of Object.values(kinds)) k.paint();
    const block = el.closest('.block');
    if (block) block.dataset.ended = ended;
    ready(el, job ? 'drawing' : 'ready');
  }
  addEventListener('keydown', (e) => { if (e.key === 'Escape' && job && !document.querySelector('dialog[open]') && !typing(e)) halt(); });
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && job && poll());

  /* The bar under the prompt and the Stop button in it. */
  function makeProgress() {
    const bar = h('i'), progress = h('div.d-bar', {role: 'progressbar', hidden: true, aria: {label: 'Drawing', valuemin: 0, valuemax: 100}}, bar), doing = h('p.doing', {role: 'status'});
    const stop = h('button.d-btn.big.stop', {type: 'button', hidden: true, onclick: halt}, icon('stop', 's solid'), ' Stop');
    return {el: h('div.going', progress, doing), stop, paint: () => {
      progress.hidden = doing.hidden = stop.hidden = !job;
      stop.disabled = stopping;
      if (!job) return;
      const part = job.total ? job.done / job.total : 0;
      bar.style.width = part * 100 + '%'; progress.setAttribute('aria-valuenow', Math.round(part * 100));
      const phase = job.phase === 'drawing' ? DOING[!!job.edits] : PHASES[job.phase];
      fill(doing, away ? 'Reconnecting' : phase + (job.phase === 'drawing' && job.total ? `, step ${count(job.done)} of ${count(job.total)}` : '') + (job.seconds_left ? `, ${about(job.seconds_left)} left` : ''));
    }};
  }
  return {start, halt, makeProgress, begin: () => { paint(); if (job) poll(); },
    follow: (kind, what) => { kinds[kind] = what; }, current: () => job, mine: (kind) => !!job && kindOf(job) === kind, busy: () => !!job || asking};
}
