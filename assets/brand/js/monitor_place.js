// Where a run of a cluster or a cloud stands: which job it is, on which machines, and why it waits.
import {h, fill, icon} from './core.js';

const NAMES = {slurm: 'Slurm job', skypilot: 'Cloud job'};
const sentence = (text) => (text && !/[.!?]$/.test(text) ? text + '.' : text);

/* "Slurm job 12, partition main, on node-3" */
export const describe = (w) => [`${NAMES[w.launcher] || 'Job'} ${w.job}`.trim(), w.partition && `partition ${w.partition}`, w.nodes && `on ${w.nodes}`].filter(Boolean).join(', ');

export function makePlace(run) {
  const words = h('b'), why = h('span'), sign = h('span'), el = h('p.place', {role: 'status'}, sign, h('span', words, why));
  let drawn = '';
  return {el, show: () => {
    const m = run.meta, w = m.where;
    el.hidden = !w;
    if (!w) return;
    const waits = m.state === 'queued', text = w.silence || (waits ? w.words : ''), now = JSON.stringify([w, waits]);
    if (now === drawn) return;
    drawn = now;
    el.classList.toggle('warn', !!w.silence);
    fill(sign, icon(w.silence ? 'alert' : waits ? 'clock' : 'chip', 's'));
    words.textContent = describe(w) + '.';
    why.textContent = text ? ' ' + sentence(text) : '';
  }};
}
