// One poller a run, shared by tray, curve, wall and dock (an ES module is a singleton).
// events.jsonl is append-only; the server returns the lines from byte ?offset= on, untouched, and 204 when there is nothing new.
import {api, clock} from './core.js';
export {clock};

const OVER = new Set(['finished', 'stopped', 'failed', 'crashed', 'interrupted']);
const SMOOTH = 0.92;                                                   // weight of the past in the smoothed loss
const runs = new Map();

/* The run's state as the page sees it: meta (GET /api/runs/<id>), series for the chart, samples, checkpoints, notices. */
export function openRun(id) {
  if (runs.has(id)) return runs.get(id);
  const s = {id, meta: null, offset: 0, link: 'live', fns: new Set()};
  let ema, timer;
  function clear() {
    Object.assign(s, {x: [], raw: [], ema: [], ho: [], lo: [], hi: [], evals: [], samples: [], checkpoints: [], notices: [],
      status: {}, phase: null, result: null, offset: 0});
    ema = null;
  }
  clear();
  const since = (list, step) => { while (list.length && list.at(-1).step >= step) list.pop(); };
  const take = {
    step(e) {
      while (s.x.length && s.x.at(-1) >= e.step) for (const k of ['x', 'raw', 'ema', 'ho', 'lo', 'hi']) s[k].pop();   // resumed: the later wins
      ema = e.ema ?? (ema == null ? e.loss : ema * SMOOTH + e.loss * (1 - SMOOTH));
      s.x.push(e.step); s.raw.push(e.loss); s.ema.push(ema); s.ho.push(null); s.lo.push(null); s.hi.push(null);
      s.status = {...s.status, step: e.step, rate: e.steps_per_s, memory_mib: e.memory_mib, lr: e.lr, epoch: e.epoch, time: e.time};
    },
    eval(e) {
      since(s.evals, e.step);
      s.evals.push(e);
      let i = s.x.lastIndexOf(e.step);
      if (i < 0) {                                                     // measured between two logged steps: a point of its own
        i = s.x.findIndex((x) => x > e.step);
        if (i < 0) i = s.x.length;
        for (const k of ['raw', 'ema', 'ho', 'lo', 'hi']) s[k].splice(i, 0, null);
        s.x.splice(i, 0, e.step);
      }
      s.ho[i] = e.loss; s.lo[i] = e.loss - (e.se || 0); s.hi[i] = e.loss + (e.se || 0);
    },
    sample(e) {
      const i = s.samples.findIndex((old) => old.step === e.step && old.prompt === e.prompt && old.file === e.file);
      if (i >= 0) s.samples[i] = e; else s.samples.push(e);
    },
    checkpoint(e) { since(s.checkpoints, e.step); s.checkpoints.push(e); },
    notice(e) { s.notices.push(e); },
    phase(e) { s.phase = e; },
    result(e) { s.result = e; },
    state(e) { s.status = {...s.status, state: e.state, reason: e.reason, time: e.time}; },
  };
  const tell = (what) => s.fns.forEach((f) => f(s, what));
  async function tick() {
    clearTimeout(timer);
    if (document.visibilityState === 'visible') {
      try {
        if (!s.meta || s.changed) { s.meta = await api('/runs/' + encodeURIComponent(id)); s.changed = false; }
        const r = await fetch(`/api/runs/${encodeURIComponent(id)}/events?offset=${s.offset}`, {cache: 'no-store'});
        if (r.status === 200) {
          const text = await r.text(), before = s.status.state;
          if (r.headers.get('X-Reset')) clear();
          for (const line of text.split('\n')) {
            if (!line) continue;
            let e;
            try { e = JSON.parse(line); } catch { continue; }          // a torn line of an old crash
            take[e.t] && take[e.t](e);
          }
          s.offset = +r.headers.get('X-Offset');
          if (s.status.state !== before) s.changed = true;
          tell('data');
        } else if (r.status !== 204) throw new Error(String(r.status));
        if (s.link !== 'live') { s.link = 'live'; s.changed = true; tell('link'); }
      } catch (error) {
        s.fault = error;
        if (s.link === 'live') { s.link = error.status === 404 ? 'gone' : 'away'; tell('link'); }
      }
    }
    if (s.link !== 'gone') timer = setTimeout(tick, OVER.has(s.status.state) ? 8000 : 1000);
  }
  s.refresh = () => { s.changed = true; return tick(); };
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && tick());
  tick();
  runs.set(id, s);
  return s;
}
export const on = (s, f) => { s.fns.add(f); if (s.meta) f(s, 'data'); };
export const over = (s) => OVER.has(s.status.state) || OVER.has(s.meta?.state);
