// The sample wall (a row a prompt, a column a step, the nearest picture of the data set last), the other runs, the log.
import {h, icon, fill, refill, api} from './core.js';
import {sampleUrl, count, draws, textOf, BUSY} from './run.js';

const SIDE = ' minmax(72px,124px) ';
const MOST = 12;        // columns shown before "all"
const STATES = {queued: 'Waits in the queue', starting: 'Starts', running: 'Trains', stopping: 'Saves and stops', finished: 'Finished', stopped: 'Stopped', failed: 'Failed', crashed: 'Crashed', interrupted: 'Interrupted'};

export function makeWall(run, onPick) {
  const note = h('span.d-small.d-sub'), wall = h('div.d-wall'), all = h('button.d-btn.sm.quiet.d-push', {type: 'button', hidden: true, onclick: () => { everything = !everything; drawn = ''; show(); }});
  const scroll = h('div.d-scroll', {tabIndex: 0, role: 'region', aria: {label: 'Samples by step'}}, wall);
  const el = h('section.d-sec.walls', h('div.d-row', h('h2.d-h2', 'Samples'), note, all), scroll);
  const cells = new Map();
  let drawn = '', everything = false, near = {}, asked = '';

  function columns(steps) {
    if (everything || steps.length <= MOST) return steps;
    return [...new Set(Array.from({length: MOST}, (_, i) => steps[Math.round((i / (MOST - 1)) * (steps.length - 1))]))];
  }
  function rows() {
    const keys = new Set(run.meta.prompts.flatMap((_, p) => Array.from({length: run.meta.seeds || 1}, (_, s) => `p${run.meta.draws.pairs + p}_s${s}`)));
    for (const x of run.samples.values()) keys.add(x.row);
    return [...keys].sort((a, b) => a.localeCompare(b, 'en', {numeric: true}));
  }
  const label = (key) => {
    const [p, seed] = /p(\d+)_s(\d+)/.exec(key).slice(1).map(Number), any = [...run.samples.values()].find((x) => x.row === key), word = run.meta.trigger_word, text = textOf(run, p, any);
    const plain = word && !text.toLowerCase().includes(word.toLowerCase());
    return h('span.q', text, (plain || seed > 0) && h('small', seed > 0 ? `another seed` : 'no trigger word: shows what is forgotten'));
  };
  function cell(x) {
    const id = x.row + '/' + x.step + '/' + x.time;
    if (!cells.has(id)) {
      const text = textOf(run, x.prompt, x);
      cells.set(id, h('button.cell', {type: 'button', aria: {label: `Show ${text}, ${x.step ? 'step ' + count(x.step) : 'before training'}`}, onclick: () => onPick(x.row, x.step)},
        h('img', {loading: 'lazy', decoding: 'async', width: 96, height: 96, src: sampleUrl(run, x, 240), alt: ''})));
    }
    return cells.get(id);
  }
  const side = (x, which) => (x?.[which] ? h('img', {loading: 'lazy', decoding: 'async', width: 96, height: 96, src: `/media/run/${encodeURIComponent(run.id)}/pair/${x.prompt}/${which}.webp`, alt: which === 'before' ? 'The picture before' : 'The picture wanted'}) : h('span'));
  function show() {
    if (!run.meta) return;
    const steps = [...new Set([...run.samples.values()].map((x) => x.step))].sort((a, b) => a - b), every = run.meta.sample_every;
    el.hidden = !steps.length && !(run.busy() && every && draws(run));
    if (el.hidden) return;
    const next = steps.length ? (Math.floor(steps.at(-1) / every) + 1) * every : 0, open = run.busy() && every > 0 && next <= run.meta.total;
    const cols = columns(steps), edits = [...run.samples.values()].some((x) => x.before);
    all.hidden = steps.length <= MOST; all.textContent = everything ? 'Show fewer' : `All ${steps.length} steps`;
    const left = open && run.status.steps_per_s ? Math.round((next - run.status.step) / run.status.steps_per_s) : null;
    note.textContent = [every ? `one seed, every ${count(every)} steps` : 'one seed', left != null && left >= 0 && steps.length ? left < 1 ? 'the next is on its way' : `the next in about ${left < 90 ? left + ' s' : Math.round(left / 60) + ' min'}` : ''].filter(Boolean).join('; ');
    const keys = rows(), sign = [keys, cols, open, run.samples.size, Object.values(near)].join('|');
    if (!edits) nearest(steps.at(-1));
    if (sign === drawn) return;
    const atEnd = scroll.scrollLeft + scroll.clientWidth >= scroll.scrollWidth - 4;
    drawn = sign;
    const has = Object.keys(near).length > 0, width = cols.length + (open ? 1 : 0);
    wall.style.gridTemplateColumns = `132px ${edits ? SIDE : ''}repeat(${width},minmax(72px,124px))${edits ? SIDE : ''}` + (has ? ' minmax(104px,138px)' : '');
    wall.style.minWidth = width > 7 ? 132 + width * 84 + (has ? 124 : 0) + 'px' : '';
    const kids = [h('span'), edits && h('span.h', 'before'), ...cols.map((c) => h('span.h' + (c === steps.at(-1) ? '.on' : ''), c === 0 ? 'base' : count(c))), open && h('span.h', next ? count(next) : 'base'), edits && h('span.h', 'wanted'), has && h('span.h.near', 'nearest')];
    for (const key of keys) {
      const any = edits && [...run.samples.values()].find((x) => x.row === key);
      kids.push(label(key));
      if (edits) kids.push(side(any, 'before'));
      for (const c of cols) { const x = run.samples.get(c + '/' + key); kids.push(x ? cell(x) : h('span')); }
      if (open) kids.push(h('div.d-ph', {role: 'img', aria: {label: 'not made yet'}}));
      if (edits) kids.push(side(any, 'target'));
      if (has) kids.push(near[key] ? h('div.near', h('img', {loading: 'lazy', decoding: 'async', width: 104, height: 104, src: near[key].src, alt: 'Nearest picture of the data set', title: `Nearest in the data set; mean difference ${near[key].distance} of 255`})) : h('span'));
    }
    refill(wall, kids);                                 // old <img> nodes are moved, not made again: no reload, no flicker
    if (atEnd) scroll.scrollLeft = scroll.scrollWidth;
  }
  /* Asked once for each new sample of the last column: a column's samples come one by one. */
  async function nearest(step) {
    const sign = `${step}/${[...run.samples.values()].filter((x) => x.step === step).length}`;
    if (!step || asked === sign) return;
    asked = sign;
    try { near = await api(`/runs/${encodeURIComponent(run.id)}/nearest?step=${step}`); show(); } catch { near = {}; }
  }
  return {el, show};
}

export function makeOthers(run) {
  const list = h('div.d-card.flush.d-rows'), el = h('section.d-sec.others', h('h2.d-h2', 'Other runs'), list);
  let drawn = '';
  const line = (o) => {
    const where = BUSY.includes(o.state) || o.state === 'stopped' || o.state === 'interrupted' ? `, step ${count(o.step)} of ${count(o.total)}` : o.state === 'finished' ? `, ${count(o.step)} steps` : '';
    return STATES[o.state] + where + (o.kept_step ? `, step ${count(o.kept_step)} kept` : '') + (o.reason && ['failed', 'crashed'].includes(o.state) ? `: ${o.reason}` : '') + (/[.!?]$/.test(o.reason || '') && ['failed', 'crashed'].includes(o.state) ? '' : '.');
  };
  function show() {
    if (!run.meta) return;
    const sign = JSON.stringify(run.meta.others);
    if (sign === drawn) return;
    drawn = sign; el.hidden = !run.meta.others.length;
    refill(list, run.meta.others.map((o) => h('div', o.sample ? h('img.ot', {src: o.sample + '?w=96', alt: '', loading: 'lazy', width: 44, height: 44}) : h('span.ot.d-ph.still'),
      h('div.bd', h('b', o.name), h('p', line(o))),
      h('a.d-btn.sm.quiet', {href: '/monitor?' + new URLSearchParams({...(o.dataset ? {dataset: o.dataset} : {}), run: o.id}), aria: {label: 'Open ' + o.name}}, 'Open'))));
  }
  return {el, show};
}

/* The end of the log, as text, read only while it is open. */
export function makeLog(run, open = false) {
  const log = h('div.d-log', {hidden: true, tabIndex: 0, role: 'region', aria: {label: 'Log'}}), last = h('span.d-num.d-sub.last.d-hide-p'), head = h('span', 'Log');
  const fold = h('button.d-fold', {type: 'button', aria: {expanded: 'false'}, onclick: () => turn(log.hidden)}, icon('log'), head, last, icon('down', 's'));
  const el = h('section.logs', fold, log);
  let text = '', reading = false, seen = -1;
  async function read() {
    if (reading || log.hidden || seen === run.offset + run.meta?.state) return;
    reading = true; seen = run.offset + run.meta?.state;
    try {
      const r = await fetch(`/api/runs/${encodeURIComponent(run.id)}/log`, {cache: 'no-store'}), now = await r.text();
      if (r.ok && now !== text) {
        const stick = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
        text = now; log.textContent = now || 'Nothing has been written yet.';
        head.textContent = `Log, the last ${count(r.headers.get('X-Lines'))} lines`;
        if (stick) log.scrollTop = log.scrollHeight;
      }
    } catch { seen = -1; }
    reading = false;
  }
  function turn(on) { log.hidden = !on; fold.setAttribute('aria-expanded', String(on)); if (on) read(); }
  function show() {
    const s = run.status;
    last.textContent = s.step != null ? `${new Date(s.time * 1000).toLocaleTimeString('en-GB')}   step ${count(s.step)}   loss ${s.loss.toFixed(3)}` : '';
    read();
  }
  if (open) turn(true);
  return {el, show, turn, text: () => text};
}
