// Long work on data sets: a card for each with how far it is, how long it takes, and Stop. It goes on when the page is closed.
import {h, icon, api, about, plural, href, rebuild, toast} from './core.js';
import {askColumns} from './columns.js';

const EVERY_MS = 500, ACTIVE = ['running', 'asks'];
const KEEPS = ['import', 'sample', 'fetch'], STAYED = ['crop', 'mask'];
export const isActive = (job) => ACTIVE.includes(job.state);
export const fileOf = (job, then = '') => `/api/jobs/${job.id}/file${then && '?then=' + then}`;
export const isImport = (job) => KEEPS.includes(job.kind);
const silent = (job) => isImport(job) && job.state === 'done' && !job.refused.length;      // its rows are there to be seen

/* `120 of 300 pictures, 40 %, about 12 s left` */
export function figures(job) {
  const count = job.total ? `${job.done.toLocaleString('en')} of ${plural(job.total, job.unit)}` : job.done ? plural(job.done, job.unit) : '';
  const part = job.part == null ? '' : `${Math.floor(job.part * 100)} %`;
  const left = job.seconds_left == null ? '' : job.seconds_left < 2 ? 'nearly done' : `${about(job.seconds_left)} left`;
  return [count, part, left].filter(Boolean).join(', ');
}
/* Looks at one job until it is over. A server that does not answer for a while says nothing about the work: it is asked again. */
export async function follow(job, onchange = () => {}) {
  let last = job;
  for (;;) {
    try { last = await api('/jobs/' + job.id); } catch (error) {
      if (error.status) throw error;
      last = {...last, what: error.message};
    }
    onchange(last);
    if (!isActive(last)) return last;
    await new Promise((ok) => setTimeout(ok, EVERY_MS));
  }
}
/* The cards of a page. wanted(job): whether it belongs here. done(job), moved(job): something came of it; closed(job): its card is put away. */
export function makeJobs({wanted = () => true, done = () => {}, moved = () => {}} = {}) {
  const el = h('section.d-jobs', {aria: {label: 'Work under way'}, hidden: true}), cards = new Map(), ended = new Set();
  let mine = new Set(), away = 0;

  async function load() {
    let jobs = [];
    try { jobs = await api('/jobs'); } catch { /* the page says it elsewhere */ }
    for (const job of jobs) if (wanted(job)) isActive(job) ? track(job) : silent(job) ? close(job) : show(job);
  }
  async function track(job) {
    if (!job || mine.has(job.id)) return job;
    mine.add(job.id);
    show(job);
    let asked = false, last = job;
    try {
      last = await follow(job, (now) => {
        if (now.done !== last.done) moved(now);
        last = now;
        show(now);
        if (now.state === 'asks' && !asked) { asked = true; question(now); }
        if (now.state === 'running') asked = false;
      });
    } catch (error) { last = {...last, state: 'failed', sentence: error.message}; show(last); }
    done(last);
    return last;
  }
  const question = (job) => askColumns(job.asks, (chosen) => api(`/jobs/${job.id}/columns`, chosen)).catch(() => {});
  async function stop(job) { try { show(await api(`/jobs/${job.id}/stop`, {})); } catch { /* it is over */ } }
  async function goOn(job) { try { const next = await api('/hub/fetch', job.again); close(job); track(next); } catch (error) { toast(error.message); } }
  async function close(job) {
    cards.get(job.id)?.el.remove();
    cards.delete(job.id);
    el.hidden = !cards.size;
    try { await api('/jobs/' + job.id, undefined, 'DELETE'); } catch { away += 1; }
  }
  function show(job) {
    if (isActive(job) && ended.has(job.id)) return;                    // an older answer that comes late
    if (!isActive(job)) ended.add(job.id);
    const sign = JSON.stringify([job.state, job.sentence, figures(job), job.what, job.stopping, job.part]);
    let card = cards.get(job.id);
    if (card?.sign === sign) return;
    if (!card) { card = {el: h('article.d-card.jb', {data: {job: job.id}})}; cards.set(job.id, card); el.append(card.el); }
    card.sign = sign;
    card.el.dataset.state = job.state;
    el.hidden = false;
    rebuild(card.el, () => card.el.replaceChildren(...(isActive(job) ? underWay(job) : over(job))));
  }
  function underWay(job) {
    const percent = Math.round((job.part || 0) * 100), asks = job.state === 'asks';
    const text = asks ? 'It waits for you: which columns are the pictures and the words?' : [job.what, figures(job)].filter(Boolean).join(': ') || 'It begins';
    return [h('div.d-row', h('div.bd', h('b', job.title), h('p.d-small.d-sub', {role: 'status'}, job.stopping ? 'Stopping' : text)),
      asks && h('button.d-btn.sm.pri', {type: 'button', onclick: () => question(job)}, 'Choose columns'),
      h('button.d-btn.sm', {type: 'button', disabled: job.stopping, title: isImport(job) ? 'What came in stays' : 'Nothing of it is kept', aria: {label: `Stop: ${job.title}`}, onclick: () => stop(job)}, 'Stop')),
    !asks && h('div.d-bar' + (job.part == null ? '.go' : ''), {role: 'progressbar', aria: {label: job.title, valuemin: 0, valuemax: 100, ...(job.part == null ? {} : {valuenow: percent})}}, h('i', {style: {width: (job.part == null ? 100 : percent) + '%'}})),
    h('p.d-small.d-sub', isImport(job) ? 'It goes on when you leave this page. When you stop it, what came in stays.' : 'It goes on when you leave this page. When you stop it, nothing of it is kept.')].filter(Boolean);
  }
  function over(job) {
    const bad = job.state === 'failed', count = job.refused.length + job.left_out;
    return [h('div.d-row', icon(bad ? 'alert' : job.state === 'stopped' ? 'stop' : 'check'), h('div.bd', h('b', job.title), h('p.d-small.d-sub', {role: 'status'}, job.sentence)),
      job.again && h('button.d-btn.sm.pri', {type: 'button', aria: {label: `Go on: ${job.title}`}, onclick: () => goOn(job)}, 'Go on'),
      job.file && h('a.d-btn.sm.pri', {href: fileOf(job), download: job.file.name}, icon('down2', 's'), 'Download'),
      job.dataset && !bad && !here(job) && !job.file && h('a.d-btn.sm', {href: href('dataset', {dataset: job.dataset, run: null})}, 'Open'),
      h('button.d-btn.sm.quiet', {type: 'button', aria: {label: `Close: ${job.title}`}, onclick: () => close(job)}, 'Close')),
    count > 0 && h('details', h('summary', STAYED.includes(job.kind) ? `${plural(count, 'picture')} ${count === 1 ? 'stayed as it was' : 'stayed as they were'}` : `${plural(count, 'file')} ${count === 1 ? 'was' : 'were'} not taken`),
      h('ul.rf', job.refused.slice(0, 100).map((r) => h('li', h('b', r.name), ' ', h('span.d-sub', r.reason))), count > 100 && h('li.d-sub', `and ${(count - 100).toLocaleString('en')} more`)))].filter(Boolean);
  }
  const here = (job) => new URLSearchParams(location.search).get('dataset') === job.dataset && location.pathname.startsWith('/dataset');
  return {el, load, track, close: (id) => cards.has(id) && close({id})};
}
