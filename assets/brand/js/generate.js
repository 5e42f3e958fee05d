// The Generate page: prompt, print, mixer, strip, history. A drawing goes on in the worker whatever the page does.
import {h, icon, fill, api, ready, query, toast, about, keys, note, typing} from './core.js';
import {crumb} from './rail.js';
import {makeMixer} from './mixer.js';
import {makeSettings} from './settings.js';
import {makeScale, makeEarlier, outputUrl} from './earlier.js';
import {count} from './run.js';

keys('Generate', [['Ctrl Enter', 'Draw'], ['Esc', 'Stop drawing']]);
const DRAFT = 'darkroom:generate', PHASES = {waiting: 'Waiting for the drawing worker', loading: 'Loading the base model', drawing: 'Drawing'};

export async function mount(el) {
  let d;
  try { d = await api('/generate'); } catch (e) { fill(el, note('bad', 'This page cannot be drawn now.', e.message)); ready(el, 'failed'); return; }
  let job = d.job?.state === 'running' ? d.job : null, strip = d.strip, stripKey = d.strip_key, shown = null, timer, away = false, asking = false;
  const prompt = h('textarea', {id: 'prompt', rows: 1, placeholder: 'What should the picture show?', aria: {label: 'Prompt', describedby: 'e-prompt'}}), draw = h('button.d-btn.pri', {type: 'button', id: 'draw', onclick: () => start(false)}), stop = h('button.d-btn.big', {type: 'button', id: 'stop', hidden: true, onclick: halt}, icon('stop', 's solid'), ' Stop');
  const bar = h('i'), progress = h('div.d-bar', {role: 'progressbar', hidden: true, aria: {label: 'Drawing', valuemin: 0, valuemax: 100}}, bar), doing = h('p.doing', {role: 'status'}), wrong = h('p.d-err', {id: 'e-prompt', role: 'alert', hidden: true});
  const picture = h('img.pic', {width: 416, height: 416, alt: ''}), blank = h('div.pic.none', h('p', 'Your picture comes here.')), caption = h('p.cap.d-num'), tools = h('div.d-row.tools');
  const mixer = makeMixer({onChange: changed, onWord: insert}), settings = makeSettings(() => d, changed);
  const scale = makeScale({onStart: () => start(true), onUse: useScale}), earlier = makeEarlier({onUse: (o) => use(o, true), onGone: (id) => { if (shown?.id === id) use(earlier.items()[0] || null, false); }});
  const crumbs = h('button.d-crumb', {type: 'button'}); crumb(crumbs);
  fill(el, h('header.d-head', h('div', crumbs, h('h1', 'Generate'))), h('div.gn', h('div', h('div.pb', h('div.pt', h('label.d-vh', {htmlFor: 'prompt'}, 'Prompt'), prompt), stop, draw), wrong, h('div.going', progress, doing),
    h('div.pw', h('div', h('div.d-tray', picture, blank), caption, tools), settings.el), scale.el, earlier.el), mixer.el));

  settings.options(d);
  earlier.set(d.history);
  restore();

  /* Where the person was: the draft of this tab, else the newest picture's settings, else the run in the address. */
  function restore() {
    let draft = null;
    try { draft = JSON.parse(sessionStorage[DRAFT] || 'null'); } catch { /* broken: begin anew */ }
    const wanted = propose(query.get('run')), own = (strip?.pictures || []).map((p) => p.id), newest = earlier.items().find((o) => !own.includes(o.id)) || earlier.items()[0];      // a strip's last picture is nobody's choice
    const s = draft?.values || newest?.settings || {};
    settings.set({seed: 42, num_inference_steps: '', guidance_scale: '', width: '', height: '', negative_prompt: '', sampler: 'default', base_model: d.loras.find((l) => l.key === wanted)?.base_model || d.bases[0].key, ...pickKnown(s)});
    prompt.value = draft?.prompt ?? newest?.settings.prompt ?? '';
    let mix = (draft?.mix || newest?.settings.loras || []).filter((m) => d.loras.some((l) => l.key === m.key));
    if (wanted && draft?.run !== query.get('run') && !mix.some((m) => m.key.startsWith(`run:${query.get('run')}`))) mix = [{key: wanted, weight: 1, on: true}];
    if (!mix.length && wanted) mix = [{key: wanted, weight: 1, on: true}];
    mixer.set(mix, d.loras);
    const l = d.loras.find((x) => x.key === wanted);
    if (!prompt.value && l?.trigger_word) prompt.value = l.trigger_word + ' ';
    display(newest || null);
    grow();
  }
  function pickKnown(s) { return Object.fromEntries(['seed', 'num_inference_steps', 'guidance_scale', 'width', 'height', 'negative_prompt', 'sampler', 'base_model'].filter((k) => s[k] != null).map((k) => [k, s[k]])); }
  /* The kept checkpoint of this run, or its finished LoRA; without a run that of the newest. */
  function propose(run) { return (d.loras.find((l) => l.run && l.run === run) || (run ? null : d.loras[0]))?.key || null; }
  function grow() { prompt.style.height = 'auto'; prompt.style.height = Math.min(180, prompt.scrollHeight) + 'px'; }
  function changed(name) {
    if (name === 'base_model' || !name) mixer.complain();
    const first = mixer.first(), base = first && mixer.info(first.key)?.base_model;
    if (!name && base && base !== settings.values().base_model && [...el.querySelectorAll('#f-base option')].some((o) => o.value === base)) settings.set({base_model: base});
    save(); paint();
  }
  function save() { try { sessionStorage[DRAFT] = JSON.stringify({prompt: prompt.value, values: settings.values(), mix: mixer.mix(), run: query.get('run')}); } catch { /* storage off */ } }
  function insert(word) {
    const at = document.activeElement === prompt ? prompt.selectionStart : prompt.value.length, before = prompt.value.slice(0, at), after = prompt.value.slice(at);
    prompt.value = before + (before && !/\s$/.test(before) ? ' ' : '') + word + (after && !/^[\s,]/.test(after) ? ' ' : '') + after;
    grow(); save(); prompt.focus();
  }
  prompt.addEventListener('input', () => { grow(); complain(null); save(); });
  prompt.addEventListener('keydown', (e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); start(false); } });
  addEventListener('keydown', (e) => { if (e.key === 'Escape' && job && !document.querySelector('dialog[open]') && !typing(e)) halt(); });

  function complain(error) {
    settings.clear(); mixer.complain(); wrong.hidden = true; fill(wrong); prompt.removeAttribute('aria-invalid');
    if (!error) return;
    for (const f of error.faults || [{field: error.field, text: error.message}]) {
      if (f.field === 'prompt' || !f.field || (f.field !== 'loras' && !settings.fault(f.field, f.text))) { wrong.hidden = false; fill(wrong, icon('alert', 's'), h('span', f.text)); if (f.field === 'prompt') prompt.setAttribute('aria-invalid', 'true'); }
      if (f.field === 'loras') mixer.complain(f.text);
    }
    settings.first()?.focus();
  }
  async function start(whole) {
    if (asking || job) return;
    asking = true; complain(null); paint();
    const v = settings.values(), values = {...v, prompt: prompt.value.trim(), loras: mixer.used()};
    for (const k of Object.keys(values)) if (values[k] === '' && !['prompt', 'negative_prompt'].includes(k)) delete values[k];
    try { job = await api('/generate', {values, strip: whole}); if (whole) { strip = job; stripKey = mixer.used()[0]?.key; } else show(null); } catch (e) { complain(e); }
    asking = false; paint(); if (job) poll();
  }
  async function halt() { if (job) { stop.disabled = true; try { await api(`/generate/jobs/${job.id}/stop`, {}); } catch (e) { toast(e.message); } poll(); } }

  async function poll() {
    clearTimeout(timer);
    if (!job) return;
    if (document.visibilityState === 'visible') {
      try {
        const before = ready_of(job);
        job = await api(`/generate/jobs/${job.id}`);
        away = false;
        if (strip && job.id === strip.id) strip = job;
        for (const id of ready_of(job)) if (!before.includes(id) || !earlier.find(id)) earlier.put(await api(`/generate/history/${id}`));
        if (job.state !== 'running') ended();
      } catch (e) { if (e.status === 404) job = null; else away = true; }
      paint();
    }
    if (job) timer = setTimeout(poll, 400);
  }
  function ready_of(j) { return j.pictures.filter((p) => p.ready).map((p) => p.id); }
  function ended() {
    const end = job, last = ready_of(end).at(-1), isStrip = strip && end.id === strip.id;
    job = null; stop.disabled = false;
    if (end.state === 'failed' || end.state === 'interrupted') complain({message: end.reason, field: /LoRA/.test(end.reason) ? 'loras' : ''});
    if (end.notices?.length) toast(end.notices.at(-1));
    const show_id = isStrip ? end.pictures.find((p) => p.ready && p.label === (mixer.first() ? mixer.first().weight.toFixed(2) : ''))?.id : last;
    if (show_id) display(earlier.find(show_id));
  }
  /* Shows a picture; `take` also goes back to its settings. */
  function use(o, take) {
    if (o && take) {
      settings.set(pickKnown({negative_prompt: '', ...o.settings})); prompt.value = o.settings.prompt; grow();
      mixer.set((o.settings.loras || []).map((l) => ({key: l.key, weight: l.weight, on: true})));
      complain(null); save();
      el.querySelector('.pb').scrollIntoView({block: 'start', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth'});
    }
    display(o); paint();
  }
  async function useScale(p, weight) {
    const first = mixer.first();
    let o;
    try { o = earlier.find(p.id) || (await api(`/generate/history/${p.id}`)); } catch (e) { return toast(e.message); }
    if (first?.key !== stripKey) return use(o, true);             // a strip of another LoRA: back to its settings
    first.weight = weight; mixer.set(mixer.mix()); save(); display(o); paint();
  }
  function display(o) { shown = o; show(o); }
  function show(o) {
    picture.hidden = !o; blank.hidden = !!o;
    blank.firstChild.textContent = job && !o ? 'Drawing …' : 'Your picture comes here.';
    if (!o) { fill(caption); fill(tools); return; }
    const s = o.settings, mixed = (s.loras || []).map((l) => `${mixer.info(l.key)?.name || l.key.split(':')[1]} ${Number(l.weight).toFixed(2)}`).join(', ');
    picture.src = outputUrl(o.id, 768); picture.alt = `${s.prompt || 'without words'}, seed ${s.seed}`;
    fill(caption, [`seed ${s.seed}`, `${s.width} × ${s.height} px`, `${s.num_inference_steps} steps`, mixed && mixed, `took ${o.seconds < 10 ? o.seconds.toFixed(1) : Math.round(o.seconds)} s`].filter(Boolean).map((x) => x.replaceAll(' ', '\u00a0')).join(' · '));
    fill(tools, h('button.d-btn.sm', {type: 'button', onclick: () => { settings.roll(); save(); start(false); }}, icon('dice', 's'), ' New seed'), h('a.d-btn.sm', {href: outputUrl(o.id), download: `darkroom-${o.id}.png`, id: 'save'}, icon('down2', 's'), ' Save'), h('button.d-btn.sm', {type: 'button', id: 'use-settings', onclick: () => use(o, true)}, icon('undo', 's'), ' Use its settings'), h('button.d-btn.sm.ico.quiet', {type: 'button', aria: {label: 'Delete this picture'}, onclick: () => earlier.remove(o)}, icon('trash', 's')));
  }
  /* About how long: from the last picture of this size, by steps. */
  function guess() {
    const v = settings.values(), base = d.bases.find((b) => b.key === v.base_model), steps = +v.num_inference_steps || base?.num_inference_steps, like = earlier.items().find((o) => o.settings.base_model === v.base_model && String(o.settings.width) === String(v.width || base?.resolution));
    return like && steps ? (like.seconds / like.settings.num_inference_steps) * steps : null;
  }
  function paint() {
    const left = guess(), first = mixer.first();
    draw.hidden = !!job; stop.hidden = !job; draw.disabled = asking;
    draw.textContent = 'Draw' + (left ? ', ' + about(left) : '');
    progress.hidden = doing.hidden = !job;
    if (job) {
      const part = job.total ? job.done / job.total : 0;
      bar.style.width = part * 100 + '%'; progress.setAttribute('aria-valuenow', Math.round(part * 100));
      doing.textContent = away ? 'Reconnecting' : PHASES[job.phase] + (job.phase === 'drawing' && job.total ? `, step ${count(job.done)} of ${count(job.total)}` : '') + (job.seconds_left ? `, ${about(job.seconds_left)} left` : '');
    }
    scale.show({strip, name: first ? mixer.info(first.key)?.name || '' : '', of: mixer.info(stripKey)?.name || '', weight: first && first.key === stripKey ? first.weight : NaN, busy: !!job || asking, weights: d.strip_weights});
    earlier.show(shown?.id);
    ready(el, job ? 'drawing' : 'ready');
  }
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && job && poll());
  paint();
  if (job) { if (!ready_of(job).length && !(strip && job.id === strip.id)) show(null); poll(); }
}
