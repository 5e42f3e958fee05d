// While a start looks at a large data set: how far it is, how long it takes, and Stop.
import {h, about, api, query, say} from './core.js';

const AFTER_MS = 700, EVERY_MS = 400;
let timer = 0, stop = null, found = false;

/* From the press on Start until its answer is here. */
export function watchStart() { endStart(); timer = setTimeout(look, AFTER_MS); }
export function endStart() { clearTimeout(timer); timer = 0; found = false; stop?.remove(); stop = null; }
export const isStarting = () => found;

async function look() {
  let job = null;
  try { job = (await api('/jobs?dataset=' + encodeURIComponent(query.get('dataset') || ''))).find((one) => one.kind === 'start' && one.state === 'running'); } catch { /* the next look tells */ }
  if (!timer) return;
  found = !!job;
  if (job) show(job);
  timer = setTimeout(look, EVERY_MS);
}
function show(job) {
  const count = job.total ? `: ${job.done.toLocaleString('en')}` : '', left = job.seconds_left == null ? '' : job.seconds_left < 2 ? ', nearly done' : `, ${about(job.seconds_left)} more`;
  say(`${job.what || 'Looking at everything'}${count}${left}.`, job.stopping ? 'It stops.' : 'Then it starts. You can stop it: nothing is lost.', job.part ?? 0);
  const start = document.querySelector('#start');
  if (!stop && start) start.before(stop = h('button.d-btn.big', {type: 'button', id: 'start-stop', onclick: () => { stop.disabled = true; api(`/jobs/${job.id}/stop`, {}).catch(() => {}); }}, 'Stop'));
}
