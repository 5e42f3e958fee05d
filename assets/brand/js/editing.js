// Editing a picture: the picture, an instruction, two sliders, before | after, the strip over “Keep the picture”, earlier edits.
import {h, icon, fill, api, read, query, toast, about} from './core.js';
import {readyOf} from './drawjob.js';
import {calm, joined, took} from './drawing.js';
import {makeMixer, beginMix, edits} from './mixer.js';
import {makeSettings, pickKnown} from './settings.js';
import {makeStrip, makeEarlier, outputUrl, inputUrl} from './earlier.js';
import {makeSlide} from './slide.js';

const DRAFT = 'darkroom:edit', EMPTY = {seed: 42, num_inference_steps: '', negative_prompt: '', sampler: 'default'};

export function makeEditing(d, job) {
  let strip = d.strips.image_guidance_scale || null, shown = null, image = null, opened = false, taking = false, seen = '';
  const prompt = h('textarea', {id: 'instruction', rows: 1, placeholder: 'What should become of it? “make it night”', aria: {label: 'Instruction', describedby: 'e-instruction'}}), go = h('button.d-btn.pri', {type: 'button', id: 'edit', onclick: () => start(false)}), wrong = h('p.d-err', {id: 'e-instruction', role: 'alert', hidden: true});
  const progress = job.makeProgress(), slide = makeSlide('Slide between before and after', 'before'), caption = h('p.cap.d-num'), tools = h('div.d-row.wrap.tools'), wrongImage = h('p.d-err', {id: 'e-image', role: 'alert', hidden: true});
  const file = h('input.d-vh', {type: 'file', id: 'pick-image', accept: 'image/*', tabIndex: -1, aria: {label: 'Choose a picture to edit'}, onchange: () => { const f = file.files[0]; file.value = ''; if (f) take(f); }});
  const offered = h('div.offer'), zone = h('div.d-dropzone.none', h('div', icon('pic', 'l'), h('p', h('b.d-strong', 'Drop a picture here')), h('p.d-sub', 'or choose one: PNG, JPEG, WebP, BMP, TIFF or GIF'), h('button.d-btn', {type: 'button', id: 'choose-image', onclick: () => file.click()}, 'Choose a picture'), offered)), source = h('div.src');
  const mixer = makeMixer({onChange: changed, onWord: () => {}, id: 'model', title: 'Model', label: 'Models that edit', fits: edits, none: 'No model here edits yet. Train one on pairs of pictures (task “An edit”), or add a file.'}), settings = makeSettings(() => d, changed, {id: 'g', edits: true});
  const keeps = makeStrip({id: 'keeps', title: 'Strip over “Keep the picture”', word: 'value', onStart: () => start(true), onUse: useKeep}), earlier = makeEarlier({edits: true, onUse: (o) => use(o, true), onGone: (id) => { if (shown?.id === id) use(earlier.items()[0] || null, false); }});
  const el = h('div.way', h('div.gn', h('div', h('div.pb', h('div.pt', h('label.d-vh', {htmlFor: 'instruction'}, 'Instruction'), prompt), progress.stop, go), wrong, progress.el, h('div.d-tray.et', slide.pane, zone), caption),
    h('aside.d-stack.es', {aria: {label: 'Edit settings'}}, h('section', h('h2.d-lab', 'Picture to edit'), source, wrongImage, file), settings.el, mixer.el, tools)), keeps.el, earlier.el);
  /* Where this base's edits look best. */
  const suiting = (base) => ({guidance_scale: d.bases.find((b) => b.key === base)?.guidance_scale ?? 7.5, image_guidance_scale: d.keep});
  settings.options(d);
  earlier.set(d.edits);
  restore();

  function restore() {
    let draft = null;
    try { draft = JSON.parse(sessionStorage[DRAFT] || 'null'); } catch { /* broken: begin anew */ }
    const own = (strip?.pictures || []).map((p) => p.id), newest = earlier.items().find((o) => !own.includes(o.id)) || earlier.items()[0];
    const s = draft?.values || newest?.settings || {}, {fresh, mix} = beginMix(d.loras, {fits: edits, always: true, draft, newest});
    const base = d.loras.find((l) => l.key === mix[0]?.key)?.base_model || d.bases[0].key;
    settings.set({...EMPTY, ...suiting(base), base_model: base, ...(fresh ? {} : pickKnown(s))});
    mixer.set(mix, d.loras);
    prompt.value = draft?.prompt ?? newest?.settings.prompt ?? '';
    image = draft ? draft.image : newest?.settings.image || null;
    display(newest && newest.settings.image.id === image?.id ? newest : null);
    suggest(d.loras.find((l) => l.key === mix[0]?.key)?.run);
  }
  /* Pictures that the run was not trained on, to begin with. */
  async function suggest(run) {
    if (!run) return fill(offered);
    let pairs = [];
    try { pairs = await api(`/runs/${encodeURIComponent(run)}/pairs`); } catch { /* the run is gone; nothing to offer */ }
    fill(offered, pairs.length ? [h('p.d-small.d-sub', 'or one that the model has not seen:'), h('div.d-row', pairs.map((p) => h('button', {type: 'button', title: p.text, aria: {label: `Edit this one: ${p.text}`}, onclick: () => takeBy('/inputs/pair', {run, pair: p.id}, p.text)}, h('img', {src: `/media/compare/${encodeURIComponent(run)}/pair/${encodeURIComponent(p.id)}/before.webp?w=96`, alt: '', width: 56, height: 56, decoding: 'async'}))))] : null);
  }
  function grow() { prompt.style.height = 'auto'; prompt.style.height = Math.min(180, prompt.scrollHeight) + 'px'; }
  function changed(name) {
    if (name === 'base_model' || !name) mixer.complain();
    const base = mixer.first() && mixer.info(mixer.first().key)?.base_model;
    if (!name && base && base !== settings.values().base_model && settings.has(base)) settings.set({base_model: base, ...suiting(base)});
    if (!name) suggest(mixer.first() && mixer.info(mixer.first().key)?.run);
    save(); paint();
  }
  function save() { try { sessionStorage[DRAFT] = JSON.stringify({prompt: prompt.value, values: settings.values(), mix: mixer.mix(), image, run: query.get('run')}); } catch { /* storage off */ } }
  prompt.addEventListener('input', () => { grow(); complain(null); save(); });
  prompt.addEventListener('keydown', (e) => { if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); start(false); } });

  async function take(picked) {
    const body = new FormData();
    body.append('file', picked, picked.name);
    await put(async () => read(await fetch('/api/inputs', {method: 'POST', body})));
  }
  async function takeBy(path, body, instruction) {
    if ((await put(() => api(path, body))) && instruction && !prompt.value.trim()) { prompt.value = instruction; grow(); save(); }
  }
  /* A new picture to edit; what was drawn from another one gives way. */
  async function put(ask) {
    if (taking) return false;
    taking = true; complain(null); paint();
    try { image = await ask(); display(null); save(); if (image.notes?.length) toast(image.notes.at(-1)); return true; } catch (e) { complain({message: e.message, field: 'image'}); return false; } finally { taking = false; paint(); }
  }
  function complain(error) {
    settings.clear(); mixer.complain();
    for (const p of [wrong, wrongImage]) { p.hidden = true; fill(p); }
    prompt.removeAttribute('aria-invalid');
    if (!error) return;
    for (const f of error.faults || [{field: error.field, text: error.message}]) {
      const at = f.field === 'image' ? wrongImage : f.field === 'loras' || settings.fault(f.field, f.text) ? null : wrong;
      if (f.field === 'loras') mixer.complain(f.text);
      if (at) { at.hidden = false; fill(at, icon('alert', 's'), h('span', f.text)); }
    }
    settings.first()?.focus();
  }
  async function start(whole) {
    if (job.busy() || taking) return;                                  // also by the keyboard: not with the picture before the one on its way
    complain(null);
    if (!image) return complain({message: 'There is no picture to edit yet. Drop one on the page, or choose one.', field: 'image'});
    if (!mixer.first()) return complain({message: 'No model is on. Switch one on, or add one that was trained on edits.', field: 'loras'});
    const values = {...settings.values(), prompt: prompt.value.trim(), loras: mixer.used(), image: image.id};
    for (const k of Object.keys(values)) if (values[k] === '' && !['prompt', 'negative_prompt'].includes(k)) delete values[k];
    try { const begun = await job.start(values, whole); if (whole) strip = begun; else show(null); } catch (e) { complain(e); }
    paint();
  }
  const fieldOf = (reason) => (/picture to edit|edit pictures|edits pictures/.test(reason) ? 'image' : /LoRA|whole model|weights/.test(reason) ? 'loras' : '');
  job.follow('edit', {
    knows: (id) => !!earlier.find(id),
    picture: (o) => earlier.put(o),
    end: (end) => {
      if (strip && end.id === strip.id) strip = end;
      if (end.state === 'failed' || end.state === 'interrupted') complain({message: end.reason, field: fieldOf(end.reason)});
      const id = end.strip ? end.pictures.find((p) => p.ready && +p.label === +settings.values().image_guidance_scale)?.id : readyOf(end).at(-1);
      const o = id && earlier.find(id);
      if (o) display(o); else show(shown);
    },
    paint,
  });
  function use(o, back) {
    if (o && back) {
      settings.set({...EMPTY, ...pickKnown(o.settings)}); prompt.value = o.settings.prompt; image = o.settings.image; grow();
      mixer.set((o.settings.loras || []).map((l) => ({key: l.key, weight: l.weight, on: true})));
      complain(null); save();
      el.querySelector('.pb').scrollIntoView({block: 'start', behavior: calm()});
    }
    display(o); paint();
  }
  async function useKeep(p, value) {
    let o;
    try { o = earlier.find(p.id) || (await api(`/generate/history/${p.id}`)); } catch (e) { return toast(e.message); }
    if (o.settings.image.id !== image?.id || o.settings.prompt !== prompt.value.trim()) return use(o, true);      // a strip of another edit: back to its settings
    settings.set({image_guidance_scale: value}); save(); display(o); paint();
  }
  function display(o) { shown = o; show(o); }
  /* Before alone while nothing is drawn of it yet; then both, of which the one before is cut as the result is. */
  function show(o) {
    const sign = JSON.stringify([o?.id, image?.id, taking, job.mine('edit')]);
    if (sign === seen) return;
    seen = sign;
    const s = o?.settings, name = s?.image.name || image?.name || '', side = (src, alt) => h('img', {src, alt, draggable: false});
    zone.hidden = !!image || !!o;
    slide.pane.style.aspectRatio = s ? `${s.width} / ${s.height}` : image ? `${image.width} / ${image.height}` : '';
    slide.pane.classList.toggle('alone', !o);
    if (o) slide.show(side(inputUrl(s.image.id, 768), `Before: ${name}`), side(outputUrl(o.id, 768), `After: ${s.prompt || 'without words'}`), 'before', 'after');
    else if (image) slide.show(side(inputUrl(image.id, 768), `Before: ${name}`), h('span'), 'before', job.mine('edit') ? 'editing …' : '');
    else slide.show();
    const mixed = (s?.loras || []).map((l) => `${mixer.info(l.key)?.name || l.key.split(':')[1]} ${Number(l.weight).toFixed(2)}`).join(', ');
    fill(caption, s ? joined([`seed ${s.seed}`, `${s.width} × ${s.height} px`, `${s.num_inference_steps} steps`, `words ${s.guidance_scale}`, `picture ${s.image_guidance_scale}`, mixed, took(o)]) : null);
    fill(tools, o ? [h('button.d-btn.sm', {type: 'button', onclick: () => { settings.roll(); save(); start(false); }}, icon('dice', 's'), ' New seed'), h('a.d-btn.sm', {href: outputUrl(o.id), download: `darkroom-${o.id}.png`, id: 'save-edit'}, icon('down2', 's'), ' Save'), h('button.d-btn.sm', {type: 'button', id: 'edit-result', onclick: () => takeDrawn(o.id)}, icon('undo', 's'), ' Edit the result'), h('button.d-btn.sm.ico.quiet', {type: 'button', aria: {label: 'Delete this edit'}, onclick: () => earlier.remove(o)}, icon('trash', 's'))] : null);
    fill(source, image ? [h('img', {src: inputUrl(image.id, 192), alt: '', width: 56, height: 56, decoding: 'async'}), h('div', h('b.d-strong', image.name), h('span.d-small.d-sub', `${image.width} × ${image.height} px`))] : h('span.d-small.d-sub', taking ? 'On its way …' : 'None yet.'), h('button.d-btn.sm.d-push', {type: 'button', id: 'replace', onclick: () => file.click()}, image ? 'Replace' : 'Choose'));
  }
  const takeDrawn = (id) => takeBy('/inputs/drawn', {output: id});
  /* About how long: from the last edit with this base model, by steps and pixels. */
  function guess() {
    const v = settings.values(), steps = +v.num_inference_steps || settings.base()?.num_inference_steps, like = earlier.items().find((o) => o.settings.base_model === v.base_model);
    return like && steps ? (like.seconds / like.settings.num_inference_steps) * steps : null;
  }
  function paint() {
    if (!opened) return;
    const left = guess(), now = job.current(), values = strip?.strip.values || [];
    if (now && strip && now.id === strip.id) strip = now;
    go.hidden = !!now; go.disabled = job.busy() || taking;
    go.textContent = 'Edit' + (left ? ', ' + about(left) : '');
    progress.paint();
    if (!shown) show(null);
    const text = strip ? `from ${Math.min(...values)} to ${Math.max(...values)}, same seed; click one to use it` : image ? 'from 1, a free hand, to 3, only what is asked; same seed' : 'Choose a picture to see it kept more and less closely.';
    keeps.show({strip, text, ready: !!image && !!mixer.first(), value: +settings.values().image_guidance_scale, busy: job.busy()});
    earlier.show(shown?.id);
  }
  return {el, take, takeDrawn, shown: () => { opened = true; grow(); if (job.mine('edit') && !readyOf(job.current()).length && !job.current().strip) show(null); paint(); }};
}
