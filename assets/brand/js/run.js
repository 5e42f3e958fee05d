// One poller per run, shared by every widget of the page (an ES module is a singleton).
// events.jsonl is append-only; the server answers with the bytes from ?offset= up to the last newline, or 204.
// A long file is answered once with a thinned copy (X-Thinned), whose step lines carry `ema`, the smoothed loss.
import {api} from './core.js';

const SMOOTH = 0.92;                       // as in studio/runs/digest.py
export const BUSY = ['queued', 'starting', 'running', 'stopping'];
const COLUMNS = ['x', 'raw', 'ema', 'hi', 'lo', 'ho', 'lr'];
const runs = new Map();

export function openRun(id) {
  if (runs.has(id)) return runs.get(id);
  const s = {id, meta: null, samples: new Map(), link: 'live', offset: 0, loaded: false, advice: null, fns: new Set(), busy: () => !s.meta || BUSY.includes(s.meta.state)};
  const path = '/runs/' + encodeURIComponent(id);
  let timer, asked = 0, judged = '', running = false, looked = null;
  clear();

  function clear() {
    for (const k of COLUMNS) s[k] = [];
    Object.assign(s, {evals: [], notices: [], status: {}, phase: null, result: null, offset: 0});
    s.samples.clear();
  }
  /* Row of a step. A resumed run writes steps again that a crash had taken: the new ones replace the old. */
  function row(step, fresh) {
    let n = s.x.length - 1;
    if (fresh && n >= 0 && s.x[n] > step) {
      while (s.x.length && s.x.at(-1) >= step) for (const k of COLUMNS) s[k].pop();
      s.evals = s.evals.filter((e) => e.step < step);
      n = s.x.length - 1;
    }
    if (n >= 0 && s.x[n] >= step) return s.x.lastIndexOf(step);
    for (const k of COLUMNS) s[k].push(null);
    s.x[n + 1] = step;
    return n + 1;
  }
  const take = {
    step(e) {
      const i = row(e.step, true);
      let before = null;
      for (let j = i - 1; j >= 0 && before == null; j--) before = s.ema[j];
      s.raw[i] = e.loss; s.lr[i] = e.lr;
      s.ema[i] = e.ema ?? (before == null ? e.loss : before * SMOOTH + e.loss * (1 - SMOOTH));
      s.status = e; s.phase = null;
    },
    eval(e) {
      const i = row(e.step, false);
      if (i < 0) return;
      s.ho[i] = e.loss; s.lo[i] = e.loss - (e.se || 0); s.hi[i] = e.loss + (e.se || 0);
      s.evals = [...s.evals.filter((x) => x.step !== e.step), e];
    },
    pictures(e) { s.pictures = e.step; },
    sample(e) { const name = /([^/]*)\.png$/.exec(e.file)?.[1] || `p${e.prompt}_s0`; s.samples.set(e.step + '/' + name, {...e, row: name}); },
    notice(e) { s.notices.push(e); },
    phase(e) { s.phase = e.phase === 'training' ? null : e; },
    result(e) { s.result = e; asked = 0; },
    checkpoint() { asked = 0; },
    state(e) { asked = 0; if (e.state !== 'running') s.phase = null; },
  };
  async function events() {
    const r = await fetch(`/api${path}/events?offset=${s.offset}`, {cache: 'no-store'});
    if (r.status === 204) return false;
    if (r.status !== 200) throw Object.assign(new Error(r.statusText), {status: r.status});
    const text = await r.text();
    if (r.headers.get('X-Reset')) clear();
    for (const line of text.split('\n')) {
      let e = null;
      try { e = line && JSON.parse(line); } catch { continue; }           // a line that a crash tore
      if (e && take[e.t]) take[e.t](e);
    }
    s.offset = +r.headers.get('X-Offset');
    return true;
  }
  /* What is not in the events: asked now and then while it runs, and after everything that may change it. */
  async function facts() {
    if (s.meta && Date.now() - asked < (s.busy() ? 2500 : 30000)) return false;
    const now = await api(path), same = JSON.stringify(now) === JSON.stringify(s.meta);
    s.meta = now; asked = Date.now();
    return !same;
  }
  async function advise() {               // the sentence changes with a judgement or an end, not with every step
    const now = [s.evals.length, s.evals.at(-1)?.step, s.meta.state, !!s.result].join();
    if (now === judged) return false;
    try { s.advice = await api(path + '/advice'); } catch (e) { if (!e.status) throw e; }      // a fault of the advice must not stop the page
    judged = now;
    return true;
  }
  const tell = (what) => s.fns.forEach((f) => f(s, what));
  async function tick() {
    clearTimeout(timer);
    if (document.visibilityState === 'visible' && !running) {
      let done;
      running = true;
      looked = new Promise((ok) => { done = ok; });
      let news = false, link = 'live';
      try {
        news = await events();
        news = (await facts()) || news;
        news = (await advise()) || news;
      } catch (e) { link = e.status === 404 ? 'gone' : 'away'; }
      running = false;
      done();
      const turned = link !== s.link;
      s.link = link;
      clearTimeout(timer);
      if (link !== 'gone') timer = setTimeout(tick, link === 'away' || s.busy() ? 1000 : 10000);      // set first: a widget's fault must not end the polling
      if (link === 'live' && (news || turned || !s.loaded)) { s.loaded = true; tell('data'); } else if (turned) tell('link');
      return;
    }
    timer = setTimeout(tick, s.link === 'away' || s.busy() ? 1000 : 10000);
  }
  /* After something was done: what a look under way says may be from before it. */
  s.poke = async () => { while (running) await looked; asked = 0; return tick(); };
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && s.link !== 'gone' && tick());
  tick();
  runs.set(id, s);
  return s;
}
export const on = (s, f) => { s.fns.add(f); if (s.loaded) f(s, 'data'); };
export const samplesOf = (s, row) => [...s.samples.values()].filter((x) => x.row === row).sort((a, b) => a.step - b.step);
export const sampleUrl = (s, x, width) => `/media/run/${encodeURIComponent(s.id)}/sample/${x.step}/${x.row}.png` + (width ? `?w=${width}` : '');
/* Seconds as a person says it: "41 s", "4 min 42 s", "2 h 5 min". */
export function span(sec) {
  sec = Math.max(0, Math.round(sec));
  if (sec < 60) return sec + ' s';
  if (sec < 3600) return Math.floor(sec / 60) + ' min' + (sec % 60 ? ` ${sec % 60} s` : '');
  return Math.floor(sec / 3600) + ' h' + (Math.floor(sec / 60) % 60 ? ` ${Math.floor(sec / 60) % 60} min` : '');
}
/* How many rows of samples the run draws, and the words of one: a pair's instruction is known when its first sample is. */
export const draws = (s) => s.meta.draws.pairs + s.meta.draws.prompts;
export const textOf = (s, row, sample) => sample?.text ?? s.meta.prompts[row - s.meta.draws.pairs] ?? '';
export const count = (n) => Number(n).toLocaleString('en');
