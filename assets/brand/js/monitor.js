// The Monitor page: which of its faces is shown (none, before the first step, live, ended, wrong), and the dock.
import {h, icon, fill, api, ready, query, href, ring, toast, plural, keys, tellAddress} from './core.js';
import {openRun, on, span, count, draws} from './run.js';
import {crumb} from './rail.js';
import {makeTray} from './tray.js';
import {makeCurve} from './curve.js';
import {makeWall, makeOthers, makeLog} from './wall.js';
import {makePlace} from './monitor_place.js';
import {makeHardest} from './hardest.js';
import {makeFigures, makeNotices, makeAdvice, makeCheckpoints, doing} from './figures.js';

const WRONG = ['failed', 'crashed', 'interrupted'];
const CHIPS = {queued: ['in the queue', 'you'], starting: ['starting', 'live'], running: ['live', 'live'], stopping: ['saving and stopping', 'live'], stopped: ['stopped', ''], finished: ['finished', ''], failed: ['failed', 'bad'], crashed: ['crashed', 'bad'], interrupted: ['interrupted', 'you']};
keys('Monitor', [['← →', 'Go through the samples (on the scrubber)'], ['Home', 'First sample'], ['End', 'Newest sample']]);

export async function mount(el) {
  let id = query.get('run');
  if (!id) {
    try { id = (await api('/runs/latest?' + new URLSearchParams(query.get('dataset') ? {dataset: query.get('dataset')} : {}))).id; } catch { id = null; }
    if (id) { query.set('run', id); tellAddress(); }
  }
  if (!id) return empty(el);
  draw(el, openRun(id));
}

const switcher = () => { const b = h('button.d-crumb', {type: 'button'}); crumb(b); return b; };

function empty(el) {
  fill(el, h('header.d-head', h('div', switcher(), h('h1', 'Monitor'), h('p', 'Watch a model develop.'))),
    h('div.bare', h('div.d-tray.bare-strip', {aria: {hidden: 'true'}}, h('div.strip0', [1, 2, 3, 4, 5].map((n) => h('i', {style: {'--n': n}})))),
      h('h2.d-h2', 'No run yet'), h('p.d-sub', 'While a model trains, its samples, its curve and its time left stand here. Choose a recipe to start one.'),
      h('a.d-btn.pri', {href: href('train')}, 'Go to Train')));
  ready(el, 'empty');
}

function draw(el, run) {
  const state = h('span.d-state'), name = document.createTextNode(run.id), title = h('h1', name, ' ', state), sub = h('p', '\u00a0'), now = h('span.now', {role: 'status'});
  const tray = makeTray(run), figures = makeFigures(run), curve = makeCurve(run), others = makeOthers(run), notices = makeNotices(run), place = makePlace(run);
  const pick = (row, step) => { tray.pick(row, step); tray.el.scrollIntoView({block: 'nearest', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth'}); };
  const wall = makeWall(run, pick), points = makeCheckpoints(run, pick), log = makeLog(run), hardest = makeHardest(run);
  const advice = makeAdvice(run, () => null);
  const card = h('div.d-card.fk'), wrong = h('div.wrong'), dock = makeDock(run, log);
  const left = h('div', tray.el, card), right = h('div.right', place.el, figures.el, curve.el, points.el, notices.el);
  const two = h('div.mo', left, right);
  const paper = h('a.d-btn.quiet', {href: `/api/runs/${encodeURIComponent(run.id)}/dataset_report.html`, target: '_blank', rel: 'noopener', hidden: true, title: 'What the check said of the pictures and words that this run trains with'}, icon('check', 's'), ' Its data');
  fill(el, h('header.d-head', h('div', switcher(), title, sub), h('div.d-tools', paper)), wrong, two, advice.el, wall.el, hardest.el, others.el, log.el, dock.el);
  let faced = '';

  function face() {                                   // the words on top
    const m = run.meta, r = run.result, steps = m.step || run.status.step || 0;
    const [chip, cls] = run.link === 'away' ? ['reconnecting', 'you'] : CHIPS[m.state] || [m.state, ''];
    state.className = 'd-state' + (cls ? '.' + cls : '').replace('.', ' ');
    state.hidden = m.state === 'finished' && run.link === 'live';
    state.textContent = state.hidden ? '' : chip;
    const done = m.state === 'finished';
    name.data = done ? (m.learned === false ? 'Finished, but it learned little' : `Your ${m.what} is ready`) : m.name;
    const took = r?.seconds ?? m.seconds;
    const parts = done ? [`${m.name}: ${plural(r?.steps ?? steps, 'step')}${took ? ' in ' + span(took) : ''}.`, m.kept_step ? `Step ${count(m.kept_step)} is kept.` : r?.best_step ? `Step ${count(r.best_step)} has the lowest held-out loss; look for yourself before you keep one.` : '']
      : WRONG.includes(m.state) ? [`It ended at step ${count(steps)} of ${count(m.total)}${took ? `, after ${span(took)}` : ''}. Your pictures, captions and settings are untouched.`]
      : m.state === 'stopped' ? m.reason ? [`Stopped at step ${count(steps)} of ${count(m.total)}.`, m.reason] : [`Stopped at step ${count(steps)} of ${count(m.total)} and saved. It can go on from there.`] : [m.edits ? `Teaching ${m.base_model} to edit, from your pairs.` : m.trigger_word ? `Teaching ${m.base_model} what ${m.trigger_word} is.` : `Teaching ${m.base_model} from your pictures.`];
    fill(sub, parts.filter(Boolean).join(' '), run.busy() && doing(run.phase) && run.status.step != null ? [' ', fill(now, doing(run.phase) + '.')] : null);
    document.title = (run.busy() && run.status.step ? `${Math.floor((100 * run.status.step) / (m.total || 1))} % ` : '') + m.name + ' · Darkroom';
  }
  function frame() {                                  // what stands on the page in this state
    paper.hidden = !run.meta.report;
    const m = run.meta, bad = WRONG.includes(m.state), some = run.samples.size || run.x.length;
    const sign = [m.state, m.reason, !!some, m.checkpoints.length, m.lora_mb].join();
    el.classList.toggle('p-monitor-finished', !run.busy());
    el.classList.toggle('p-monitor-failed', bad);
    curve.el.hidden = !run.x.length || (run.busy() && run.status.step == null);
    two.hidden = bad && !some;
    if (sign === faced) return;
    faced = sign;
    wrong.hidden = !bad;
    (bad ? wrong : others.el).after(log.el);               // what went wrong and the log's end stand together
    if (bad) { fill(wrong, explain(run, log)); log.turn(true); }
    card.hidden = run.busy() || !m.lora_mb;
    if (!card.hidden) fill(card, file(run));
  }
  function show() {
    if (run.link === 'gone') { fill(el, h('header.d-head', h('div', switcher(), h('h1', 'This run is not here'), h('p', `There is no run called “${run.id}”. It may have been deleted.`))), h('p', h('a.d-btn', {href: href('monitor', {run: null})}, 'Show the newest run'))); ready(el, 'gone'); return; }
    if (!run.meta) { if (run.link === 'away') { state.className = 'd-state you'; state.textContent = 'reconnecting'; } return; }
    face(); frame();
    for (const part of [tray, place, figures, curve, points, notices, advice, wall, hardest, others, log, dock]) part.show();
    ready(el, run.link === 'live' ? 'ready' : 'away');
    const block = el.closest('.block'); if (block) { block.dataset.run = run.meta.state; block.dataset.step = run.status.step ?? 0; }
  }
  on(run, show);
  setInterval(() => document.visibilityState === 'visible' && run.meta && run.busy() && run.link === 'live' && (tray.show(), wall.show()), 5000);    // "14 s ago" goes on between samples
}

function file(run) {
  const m = run.meta, row = (k, v) => [h('dt', k), h('dd', v)];
  return [h('h2.d-h2', run.id + '.safetensors'), h('dl.d-kv', m.trigger_word ? row('Trigger word', m.trigger_word) : null, row('Base model', m.base_model), row('Size', `${m.lora_mb.toFixed(m.lora_mb < 10 ? 1 : 0)} MB`), row('Inside', 'the whole recipe'))];
}

/* What went wrong, why, and what is still there. */
function explain(run, log) {
  const m = run.meta, last = m.checkpoints.at(-1)?.step;
  const what = {failed: 'The trainer stopped with an error', crashed: 'The trainer ended without a word', interrupted: 'The run was cut off'}[m.state];
  const [head, ...rest] = (m.reason || '').split(/(?<=[.!?])\s+/);
  const copy = async () => { await log.show(); await navigator.clipboard.writeText(`${m.name} (${run.id}) ${m.state} at step ${m.step} of ${m.total}\n${m.reason}\n\n${log.text().split('\n').slice(-80).join('\n')}`); toast('The report is in the clipboard.'); };
  const ok = (text) => h('li', icon('check', 's'), text);
  return h('div.d-cols.fl', h('section.d-card.why', h('div.d-row.top', h('span.bi', icon('alert')), h('div', h('h2', m.reason ? head : what), m.reason ? rest.length > 0 && h('p', rest.join(' ')) : h('p', 'The end of the log below may say why.'))),
    h('div.d-row.acts', h('button.d-btn.sm', {type: 'button', onclick: copy}, icon('copy', 's'), ' Copy a report'))),
  h('aside', {aria: {label: 'What is still there'}}, h('h2.d-h2', 'Nothing is lost'), h('ul.kept', ok('Your pictures and captions'), ok(`All settings, as ${m.name}`), last ? ok(`${plural(m.checkpoints.length, 'checkpoint')}, the newest at step ${count(last)}`) : null)));
}

function makeDock(run, log) {
  const words = h('p'), light = h('span.ring'), buttons = h('div.d-row.bts'), el = h('div.d-dock', {id: 'dock', role: 'region', aria: {label: 'Main action'}}, h('div', light, words, buttons));
  let drawn = '', asked = '';
  const act = (path, done) => async (e) => {
    const b = e.currentTarget; b.disabled = true;
    try { await api(`/runs/${encodeURIComponent(run.id)}/${path}`, {}); asked = path; done && toast(done); await run.poke(); }
    catch (error) { toast(error.message); }
    b.disabled = false; drawn = ''; show();
  };
  const button = (text, cls, onclick, name, id) => h('button.d-btn' + cls, {type: 'button', id, onclick}, name && icon(name, name === 'stop' ? 's solid' : 's'), name && ' ', text);
  const link = (text, cls, to, id) => h('a.d-btn' + cls, {href: to, id}, text);
  function show() {
    const m = run.meta, s = run.status, last = m.checkpoints.at(-1)?.step, left = s.steps_per_s ? (m.total - s.step) / s.steps_per_s : null, busy = run.busy();
    const where = h('b', `Step ${count(s.step ?? m.step ?? 0)} of ${count(m.total)}.`), keep = {run: run.id, dataset: m.dataset || null};
    light.hidden = !busy;
    if (busy) fill(light, ring(Math.min(1, (s.step || 0) / (m.total || 1))));
    if (m.state === 'queued') fill(words, h('b', 'In the queue.'), m.where?.hopeless ? ' As it is asked for, it cannot begin.' : ' You can close this page; the run begins by itself.');
    else if (m.state === 'stopping') fill(words, where, ' It saves this step, then stops.');
    else if (busy && s.step == null) fill(words, h('b', doing(run.phase) || 'Starting the trainer', '.'), ' You can close this page; the run goes on.');
    else if (busy) fill(words, where, left == null ? ' ' : ` Done at about ${new Date(Date.now() + left * 1000).toLocaleTimeString('en-GB', {hour: '2-digit', minute: '2-digit'})}. `, 'Stopping saves this step first, so you can go on later.');
    else if (m.state === 'finished') fill(words, h('b', [plural(m.checkpoints.length, 'checkpoint'), m.draws.pairs && plural(m.draws.pairs, 'pair'), m.draws.prompts && plural(m.draws.prompts, 'prompt')].filter(Boolean).join(', '), '.'), ' Compare them side by side, then keep the best.');
    else fill(words, h('b', last ? `It can go on from step ${count(last)}.` : 'It can start again.'), last ? ' The steps before are not done again.' : ' Nothing had been saved before it ended.');
    const sign = [m.state, last, m.lora_mb, m.sample_every, asked].join();
    if (sign === drawn) return;
    drawn = sign;
    const stopping = m.state === 'stopping', download = m.lora_mb && h('a.d-btn.big', {href: `/api/runs/${encodeURIComponent(run.id)}/lora`, download: run.id + '.safetensors', id: 'download'}, icon('down2', 's'), ' Download');
    if (m.state === 'queued') fill(buttons, button('Take it out', '.big', act('stop'), 'stop', 'stop'));
    else if (busy) fill(buttons, draws(run) ? button('Sample now', '.big', act('sample', 'Samples are drawn after this step.'), 'strip', 'sample-now') : null, button(stopping ? 'Stopping' : 'Stop and save', '.big', act('stop'), 'stop', 'stop'));
    else if (m.state === 'finished') fill(buttons, link('Train again', '.big.d-hide-m', href('train', {...keep, run: null}), 'again'), download, link('Compare', '.pri', href('compare', keep), 'compare'));
    else fill(buttons, link('Change settings', '.big', href('train', {...keep, run: null}), 'settings'), last ? link('Compare', '.big.d-hide-m', href('compare', keep), 'compare') : null, download, button('Resume', '.pri', act('resume', last ? `It goes on from step ${count(last)}.` : 'It starts again.'), null, 'resume'));
    for (const b of buttons.querySelectorAll('button')) b.disabled = stopping;
  }
  return {el, show};
}
