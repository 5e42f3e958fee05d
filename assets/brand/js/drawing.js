// Drawing from words: prompt, print, mixer, strip over the scale, earlier pictures.
import {h, icon, fill, api, query, toast, about} from './core.js';
import {readyOf} from './drawjob.js';
import {makeMixer, beginMix, propose, edits} from './mixer.js';
import {makeSettings, pickKnown} from './settings.js';
import {makeStrip, makeEarlier, outputUrl} from './earlier.js';

const DRAFT = 'darkroom:generate', EMPTY = {seed: 42, num_inference_steps: '', guidance_scale: '', width: '', height: '', negative_prompt: '', sampler: 'default', refiner: ''};
export const calm = () => (matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth');
export const took = (o) => `took ${o.seconds < 10 ? o.seconds.toFixed(1) : Math.round(o.seconds)} s`;
export const joined = (parts) => parts.filter(Boolean).map((x) => x.replaceAll(' ', '\u00a0')).join(' · ');

export function makeDrawing(d, job, {edit}) {
  let strip = d.strips.weight || null, shown = null, opened = false;
  const prompt = h('textarea', {id: 'prompt', rows: 1, placeholder: 'What should the picture show?', aria: {label: 'Prompt', describedby: 'e-prompt'}}), draw = h('button.d-btn.pri', {type: 'button', id: 'draw', onclick: () => start(false)}), wrong = h('p.d-err', {id: 'e-prompt', role: 'alert', hidden: true});
  const progress = job.makeProgress(), picture = h('img.pic', {width: 416, height: 416, alt: ''}), blank = h('div.pic.none', h('p', 'Your picture comes here.')), caption = h('p.cap.d-num'), tools = h('div.d-row.tools');
  progress.stop.id = 'stop';
  const mixer = makeMixer({onChange: changed, onWord: insert}), settings = makeSettings(() => d, changed);
  const scale = makeStrip({id: 'scale', title: 'Strip over the scale', word: 'scale', onStart: () => start(true), onUse: useScale}), earlier = makeEarlier({onUse: (o) => use(o, true), onGone: (id) => { if (shown?.id === id) use(earlier.items()[0] || null, false); }});
  const el = h('div.way', h('div.gn', h('div', h('div.pb', h('div.pt', h('label.d-vh', {htmlFor: 'prompt'}, 'Prompt'), prompt), progress.stop, draw), wrong, progress.el,
    h('div.pw', h('div', h('div.d-tray', picture, blank), caption, tools), settings.el), scale.el, earlier.el), mixer.el));
  settings.options(d);
  earlier.set(d.history);
  restore();

  /* Where the person was: the draft of this tab, else the newest picture's settings, else the run in the address. */
  function restore() {
    let draft = null;
    try { draft = JSON.parse(sessionStorage[DRAFT] || 'null'); } catch { /* broken: begin anew */ }
    const run = query.get('run'), wanted = propose(d.loras), own = (strip?.pictures || []).map((p) => p.id), drawn = earlier.items().filter((o) => !own.includes(o.id));      // a strip's last picture is nobody's choice
    const newest = drawn.find((o) => run && (o.settings.loras || []).some((l) => l.key === wanted)) || drawn[0] || earlier.items()[0];
    const s = draft?.values || newest?.settings || {}, base = d.loras.find((l) => l.key === wanted)?.base_model;
    settings.set({...EMPTY, base_model: settings.has(base) ? base : d.bases[0].key, ...pickKnown(s)});
    prompt.value = draft?.prompt ?? newest?.settings.prompt ?? '';
    const {fresh, mix} = beginMix(d.loras, {draft, newest});
    if (fresh && settings.has(base) && base !== settings.values().base_model) settings.set({...EMPTY, base_model: base});
    mixer.set(mix, d.loras);
    const l = d.loras.find((x) => x.key === wanted);
    if (!prompt.value && l?.trigger_word) prompt.value = l.trigger_word + ' ';
    display(newest || null);
  }
  function grow() { prompt.style.height = 'auto'; prompt.style.height = Math.min(180, prompt.scrollHeight) + 'px'; }
  function changed(name) {
    if (name === 'base_model' || !name) mixer.complain();
    const first = mixer.first(), base = first && mixer.info(first.key)?.base_model;
    if (!name && base && base !== settings.values().base_model && settings.has(base)) settings.set({base_model: base});
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
    if (job.busy()) return;
    complain(null);
    const values = {...settings.values(), prompt: prompt.value.trim(), loras: mixer.used()};
    for (const k of Object.keys(values)) if (values[k] === '' && !['prompt', 'negative_prompt'].includes(k)) delete values[k];
    try { const begun = await job.start(values, whole); if (whole) strip = begun; else show(null); } catch (e) { complain(e); }
    paint();
  }
  job.follow('words', {
    knows: (id) => !!earlier.find(id),
    picture: (o) => earlier.put(o),
    end: (end) => {
      if (strip && end.id === strip.id) strip = end;
      if (end.state === 'failed' || end.state === 'interrupted') complain({message: end.reason, field: fieldOf(end.reason)});
      const first = mixer.first(), id = end.strip ? end.pictures.find((p) => p.ready && p.label === (first ? first.weight.toFixed(2) : ''))?.id : readyOf(end).at(-1);
      const o = id && earlier.find(id);
      if (o) display(o); else show(shown);
    },
    paint,
  });
  const fieldOf = (reason) => (/refiner/i.test(reason) ? 'refiner' : /LoRA|whole model|weights/.test(reason) ? 'loras' : '');
  /* Shows a picture; `take` also goes back to its settings. */
  function use(o, take) {
    if (o && take) {
      settings.set({...EMPTY, ...pickKnown(o.settings)}); prompt.value = o.settings.prompt; grow();
      mixer.set((o.settings.loras || []).map((l) => ({key: l.key, weight: l.weight, on: true})));
      complain(null); save();
      el.querySelector('.pb').scrollIntoView({block: 'start', behavior: calm()});
    }
    display(o); paint();
  }
  async function useScale(p, weight) {
    const first = mixer.first();
    let o;
    try { o = earlier.find(p.id) || (await api(`/generate/history/${p.id}`)); } catch (e) { return toast(e.message); }
    if (first?.key !== strip.strip.key) return use(o, true);             // a strip of another LoRA: back to its settings
    first.weight = weight; mixer.set(mixer.mix()); save(); display(o); paint();
  }
  function display(o) { shown = o; show(o); }
  function show(o) {
    picture.hidden = !o; blank.hidden = !!o;
    blank.firstChild.textContent = job.mine('words') && !o ? 'Drawing …' : 'Your picture comes here.';
    if (!o) { fill(caption); fill(tools); return; }
    const s = o.settings, mixed = (s.loras || []).map((l) => `${mixer.info(l.key)?.name || l.key.split(':')[1]} ${Number(l.weight).toFixed(2)}`).join(', ');
    picture.src = outputUrl(o.id, 768); picture.alt = `${s.prompt || 'without words'}, seed ${s.seed}`;
    fill(caption, joined([`seed ${s.seed}`, `${s.width} × ${s.height} px`, `${s.num_inference_steps} steps`, mixed, s.refiner && `refined, ${Math.round(s.refiner_share * 100)} %`, took(o)]));
    fill(tools, h('button.d-btn.sm', {type: 'button', onclick: () => { settings.roll(); save(); start(false); }}, icon('dice', 's'), ' New seed'), h('a.d-btn.sm', {href: outputUrl(o.id), download: `darkroom-${o.id}.png`, id: 'save'}, icon('down2', 's'), ' Save'), h('button.d-btn.sm', {type: 'button', id: 'use-settings', onclick: () => use(o, true)}, icon('undo', 's'), ' Use its settings'),
      d.loras.some(edits) && h('button.d-btn.sm', {type: 'button', id: 'edit-this', onclick: () => edit((editing) => editing.takeDrawn(o.id))}, icon('edit', 's'), ' Edit it'),
      h('button.d-btn.sm.ico.quiet', {type: 'button', aria: {label: 'Delete this picture'}, onclick: () => earlier.remove(o)}, icon('trash', 's')));
  }
  /* About how long: from the last picture of this size, by steps. */
  function guess() {
    const v = settings.values(), base = settings.base(), steps = +v.num_inference_steps || base?.num_inference_steps, like = earlier.items().find((o) => o.settings.base_model === v.base_model && String(o.settings.width) === String(v.width || base?.resolution));
    return like && steps ? (like.seconds / like.settings.num_inference_steps) * steps : null;
  }
  function paint() {
    if (!opened) return;
    const left = guess(), first = mixer.first(), name = first ? mixer.info(first.key)?.name || '' : '', now = job.current();
    if (now && strip && now.id === strip.id) strip = now;
    draw.hidden = !!now; draw.disabled = job.busy();
    draw.textContent = 'Draw' + (left ? ', ' + about(left) : '');
    progress.paint();
    const of = strip && mixer.info(strip.strip.key), top = of ? Math.max(...strip.strip.values) : first && mixer.info(first.key)?.kind === 'model' ? 1 : 1.5;
    const text = of ? `${of.name} from 0 to ${top}, same seed; click one to use it` : name ? `${name} from 0 to ${top}, same seed` : 'Switch a LoRA on to see it at seven strengths.';
    scale.show({strip, text, ready: !!name, value: first && strip && first.key === strip.strip.key ? first.weight : NaN, busy: job.busy()});
    earlier.show(shown?.id);
  }
  return {el, shown: () => { opened = true; grow(); if (job.mine('words') && !readyOf(job.current()).length && !job.current().strip) show(null); paint(); }};
}
