// What stands beside the tray: figures, progress, the sentence, phases before the first step, checkpoints, advice.
import {h, fill, icon, clock, size} from './core.js';
import {span, count, sampleUrl, draws} from './run.js';
import {lossText} from './curve.js';

const PHASES = [['queued', 'Wait in the queue'], ['starting', 'Start the trainer'], ['loading', 'Load the base model'], ['drawing', 'Draw pictures of the class'], ['caching', 'Prepare the pictures'], ['sampling', 'Draw the first samples'], ['training', 'Train']];
const DOING = {starting: 'Starting the trainer', loading: 'Loading the base model', caching: 'Preparing the pictures', drawing: 'Drawing pictures of the class', sampling: 'Drawing samples', saving: 'Saving', exporting: 'Writing its file'};

/* "Preparing the pictures, 5 of 12", or nothing while it simply trains. */
export const doing = (p) => (p && DOING[p.phase] ? DOING[p.phase] + (p.total ? `, ${count(Math.min(p.total, p.done || 0))} of ${count(p.total)}` : '') : '');

const stat = (value, small, label) => h('div.d-stat', h('b', value, small && ' ', small && h('small', small)), h('span', label));

export function makeFigures(run) {
  const stats = h('div.d-stats'), bar = h('i'), progress = h('div.d-bar', {role: 'progressbar', aria: {label: 'Progress', valuemin: 0, valuemax: 100}}, bar);
  const sentence = h('p.say', {role: 'status'}, '\u00a0'), phases = h('ol.phases', {aria: {label: 'Before the first step'}}), el = h('div.figs', stats, progress, phases, sentence);
  let said = null, listed = '';

  function live() {
    const s = run.status, m = run.meta, rate = s.steps_per_s || 0, left = rate ? (m.total - (s.step || 0)) / rate : m.eta_s;
    const gb = s.memory_mib != null ? (s.memory_mib * 1.048576) / 1000 : null;
    fill(stats, stat(count(s.step ?? m.step ?? 0), 'of ' + count(m.total), 'steps'), stat(left == null ? '–' : clock(left), left >= 3600 ? 'h' : left == null ? '' : 'min', 'left'),
      stat(rate ? (rate >= 10 ? rate.toFixed(1) : rate.toFixed(2)) : '–', rate ? 'a second' : '', 'steps'),
      stat(gb == null ? '–' : gb.toFixed(1), gb == null ? '' : m.memory_gb ? `of ${Math.round(m.memory_gb)} GB` : 'GB', 'memory'));
  }
  function ended() {
    const m = run.meta, r = run.result, best = run.evals.reduce((a, e) => (!a || e.loss < a.loss ? e : a), null), ratio = r?.heldout_loss_ratio ?? m.heldout_ratio;
    const change = ratio == null ? null : Math.round((ratio - 1) * 100);
    fill(stats, best && stat(lossText(best.loss), '', `held-out loss, step ${count(best.step)}`),
      change != null && stat((change > 0 ? '+' : change < 0 ? '−' : '') + Math.abs(change), '%', 'against the base model'),
      stat(count(m.step || run.status.step || 0), 'of ' + count(m.total), 'steps'),
      m.lora_mb ? stat(size(m.lora_mb * 1e6).split(' ')[0], size(m.lora_mb * 1e6).split(' ')[1], `size of the ${m.what}`) : m.seconds ? stat(span(m.seconds), '', 'trained') : null);
  }
  function steps() {
    const list = PHASES.filter(([k]) => (k !== 'queued' || run.meta.where) && (k !== 'drawing' || run.phase?.phase === 'drawing') && (k !== 'sampling' || (run.meta.sample_every && draws(run)))), waits = run.meta.state === 'queued', p = waits ? null : run.phase;
    const at = Math.max(0, list.findIndex(([k]) => k === (p?.phase || (['queued', 'starting'].includes(run.meta.state) ? run.meta.state : 'training')))), sign = JSON.stringify([p, at]);
    if (sign === listed) return;
    listed = sign;
    fill(phases, list.map(([, text], i) => {
      const here = i === at;
      const words = here && p ? doing(p) || text : text;
      return h('li' + (i < at ? '.done' : here ? '.now' : ''), {aria: here ? {current: 'step'} : {}}, h('span.d-dot.' + (i < at ? 'done' : here ? 'live' : 'todo'), i < at && icon('check', 's')), h('span', words, here && p?.note && h('small', p.note)));
    }));
  }
  function show() {
    const m = run.meta;
    if (!m) return;
    const busy = run.busy(), before = busy && run.status.step == null;
    el.classList.toggle('before', before);
    phases.hidden = !before;
    progress.hidden = !busy;
    if (before) fill(stats, stat(count(m.total), '', 'steps to go')); else if (busy) live(); else ended();
    if (before) steps();
    const p = before && run.phase?.total ? (run.phase.done || 0) / run.phase.total : Math.min(1, (run.status.step ?? m.step ?? 0) / (m.total || 1));
    bar.style.width = p * 100 + '%';
    progress.setAttribute('aria-valuenow', Math.round(p * 100));
    const text = before ? '' : run.advice?.sentence || '';
    if (text !== said) {                      // the first sentence strong, the rest quiet
      said = text;
      const cut = /^(.*?[.!?])\s+(.*)$/s.exec(text);
      fill(sentence, cut ? [cut[1] + ' ', h('span', cut[2])] : text);
    }
    sentence.hidden = !text;
  }
  return {el, show};
}

/* Every notice of the trainer, such as "bf16 is not available on this CPU: using fp32". */
export function makeNotices(run) {
  const el = h('ul.notices', {aria: {label: 'Notices'}});
  return {el, show: () => {
    el.hidden = !run.notices.length;
    if (el.childElementCount !== Math.min(6, run.notices.length)) fill(el, run.notices.slice(-6).map((n) => h('li' + (n.level === 'warning' ? '.warn' : ''), icon(n.level === 'warning' ? 'alert' : 'bang', 's'), h('span', n.text))));
  }};
}

/* What to do differently next time, computed from this run's own curves. */
export function makeAdvice(run, link) {
  const list = h('ul.adv'), el = h('section.d-sec', h('h2.d-h2', 'What the curves say'), list);
  let drawn = '';
  return {el, show: () => {
    const all = run.busy() ? [] : run.advice?.list || [], sign = JSON.stringify(all);
    el.hidden = !all.length;
    if (sign === drawn) return;
    drawn = sign;
    fill(list, all.map((a) => h('li', icon(a.kind === 'good' ? 'check' : 'arrow', 's'), h('span', a.text, a.action && h('span.do', ' ', typeof a.action === 'string' ? a.action : '')), link(a))));
  }};
}

export function makeCheckpoints(run, onPick) {
  const grid = h('div.kps'), el = h('section.ckp', h('h2.d-lab', 'Checkpoints'), grid);
  let drawn = '';
  return {el, show: () => {
    const m = run.meta, all = m.checkpoints, with_loss = all.filter((k) => k.loss != null), best = with_loss.reduce((a, k) => (!a || k.loss < a.loss ? k : a), null);
    const row = [...run.samples.values()][0]?.row, sign = JSON.stringify([all, m.kept_step, row, run.samples.size]);
    el.hidden = run.busy() || !all.length;
    if (sign === drawn || el.hidden) return;
    drawn = sign;
    const shown = all.length > 8 ? all.filter((k, i) => i >= all.length - 7 || k === best) : all;
    fill(grid, shown.map((k) => {
      const x = run.samples.get(k.step + '/' + row), words = [k.step === m.kept_step && 'kept', k === best && all.length > 1 && 'lowest held-out loss'].filter(Boolean).join(', ');
      return h('button.kp' + (k.step === m.kept_step || (!m.kept_step && k === best) ? '.on' : ''), {type: 'button', disabled: !x, onclick: () => onPick(row, k.step)},
        x ? h('img', {src: sampleUrl(run, x, 320), alt: `${m.prompts[x.prompt] ?? ''}, step ${k.step}`, loading: 'lazy', width: 150, height: 150}) : h('span.d-ph.still'),
        h('span', h('b', 'Step ' + count(k.step)), h('span.d-num', k.loss == null ? '' : lossText(k.loss))), words && h('em', words));
    }));
  }};
}
