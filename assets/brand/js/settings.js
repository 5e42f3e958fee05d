// The next print's settings: each a field with its unit and its fault beneath. Empty means what suits the base model. What a family
// of base models does not know is not offered, and said.
import {h, icon, fill} from './core.js';

export const NAMES = ['seed', 'num_inference_steps', 'guidance_scale', 'width', 'height', 'negative_prompt', 'sampler', 'base_model', 'refiner', 'refiner_share', 'image_guidance_scale'];
export const pickKnown = (s) => Object.fromEntries(NAMES.filter((k) => s[k] != null).map((k) => [k, s[k]]));
const GUIDE = 'stabilityai/stable-diffusion-xl-refiner-1.0';

/* `given()` is what /api/generate answered; `id` goes before the ids of the fields, because both ways of the page have them. */
export function makeSettings(given, onChange, {id = 'f', edits = false} = {}) {
  const fields = new Map(), ranges = new Map();
  const base = () => given().bases.find((b) => b.key === values().base_model);
  const place = (name) => `${id}-${name}`;
  function watch(el, input, name) {
    const err = h('p.d-err', {id: id === 'f' ? `e-${name}` : place(`e-${name}`), role: 'alert', hidden: true});
    input.setAttribute('aria-describedby', err.id);
    for (const on of ['input', 'change']) input.addEventListener(on, () => { fault(name); onChange(name); });
    fields.set(name, {el, input, err});
    el.append(err);
    return el;
  }
  const field = (name, label, input, help) => watch(h('div.d-field.sf', {data: {field: name}}, h('label.d-lab', {htmlFor: input.id}, label), h('div.in', input, help)), input, name);
  const number = (key, unit) => h('input.d-in.mono', {id: place(key), type: 'text', inputMode: 'decimal', autocomplete: 'off', data: {unit: unit || ''}});
  /* A range with its value above and the words of both ends beneath. */
  function slider(name, label, {min, max, step, low, high, help}) {
    const input = h('input.d-range', {id: place(name), type: 'range', min, max, step, aria: {label}}), shown = h('span.d-num.d-push');
    const paint = () => { input.style.setProperty('--v', ((input.value - input.min) / (input.max - input.min)) * 100 + '%'); shown.textContent = Number(input.value).toFixed(step < 0.1 ? 2 : 1); input.setAttribute('aria-valuetext', shown.textContent); };
    input.addEventListener('input', paint);
    ranges.set(name, {paint, set: (v) => { input.max = Math.max(max, v); input.value = v; paint(); }});
    return watch(h('section.rg', {data: {field: name}}, h('div.d-row', h('label.d-lab', {htmlFor: input.id}, label), shown), input, h('div.en', h('span', low), h('span', high)), help && h('p.d-small.d-sub', help)), input, name);
  }
  const dice = h('button.d-btn.sm.ico.quiet', {type: 'button', id: place('new-seed'), aria: {label: 'New seed'}, title: 'New seed', onclick: () => { roll(); onChange('seed'); }}, icon('dice', 's'));
  const width = number('width'), height = number('height');
  width.setAttribute('aria-label', 'Width in px'); height.setAttribute('aria-label', 'Height in px');
  function sizes() {
    const err = h('p.d-err', {id: place('e-width'), role: 'alert', hidden: true}), el = h('div.d-field.sf', {role: 'group', aria: {label: 'Size in px'}}, h('label.d-lab', {htmlFor: width.id}, 'Size'), h('div.in.two', width, h('span.d-num', '×'), height, h('span.u', 'px')), err);
    for (const [name, input] of [['width', width], ['height', height]]) {
      fields.set(name, {el, input, err});
      input.setAttribute('aria-describedby', err.id);
      input.addEventListener('input', () => { fault('width'); fault('height'); onChange(name); });
    }
    return el;
  }
  const negative = h('textarea.d-in', {id: place('negative'), rows: 2}), sampler = h('select.d-in', {id: place('sampler')}), model = h('select.d-in', {id: place('base')});
  const refiner = h('input.d-in', {id: place('refiner'), type: 'text', autocomplete: 'off', spellcheck: false, placeholder: 'none'}), refining = h('div.refining');
  const unread = h('p.d-small.d-sub.unread', {hidden: true});
  const more = h('div.more', {id: place('more'), hidden: true});
  const fold = h('button.d-fold', {type: 'button', aria: {expanded: 'false', controls: more.id}, onclick: () => turn(more.hidden)}, edits ? 'Seed, steps, leave out, sampler' : 'Leave out, sampler, base model', icon('down', 's'));
  const seed = field('seed', 'Seed', number('seed'), dice), steps = field('num_inference_steps', 'Steps', number('steps'));
  const follow = {min: 1, max: 15, step: 0.5, low: 'gently', high: 'strictly'}, keep = {min: 1, max: 3, step: 0.1, low: 'free hand', high: 'only what is asked'};
  const el = edits
    ? h('div.sets', slider('guidance_scale', 'Follow the words', follow), slider('image_guidance_scale', 'Keep the picture', keep), h('div', fold, more))
    : h('div.sets', h('h2.d-h2', 'Settings'), seed, steps, field('guidance_scale', 'Follow the words', number('guidance')), sizes(), h('hr.d-rule'), fold, more);
  if (edits) more.append(seed, steps);
  more.append(field('negative_prompt', 'Leave out', negative), unread, field('sampler', 'Sampler', sampler), field('base_model', 'Base model', model));
  if (!edits) {
    refining.append(field('refiner', 'Refiner', refiner), h('p.d-small.d-sub', `A second model that draws the last steps of an SDXL picture: a folder, or a name such as ${GUIDE}. LoRAs do not reach it.`),
      slider('refiner_share', 'Refiner’s share', {min: 0.05, max: 0.5, step: 0.05, low: 'a last touch', high: 'half of the steps'}));
    refiner.addEventListener('input', shares);
    more.append(refining);
  }

  function shares() { const row = fields.get('refiner_share')?.el; if (row) row.hidden = !refiner.value.trim(); }
  function turn(on) { more.hidden = !on; fold.setAttribute('aria-expanded', String(on)); }
  function roll() { fields.get('seed').input.value = String(Math.floor(Math.random() * 2 ** 32)); fault('seed'); }
  function fault(name, text) {
    const f = fields.get(name);
    if (!f) return false;
    f.err.hidden = !text; fill(f.err, text ? [icon('alert', 's'), h('span', text)] : null);
    f.el.classList.toggle('err', !!text); f.input.setAttribute('aria-invalid', String(!!text));
    if (text && more.contains(f.el)) turn(true);
    return true;
  }
  function values() {
    const v = {};
    for (const [name, f] of fields) v[name] = f.input.value.trim();
    if (!v.refiner) { delete v.refiner; delete v.refiner_share; }
    return v;
  }
  function set(s) {
    for (const [name, f] of fields) if (name in s) { const r = ranges.get(name), v = s[name] ?? ''; if (!r) f.input.value = v; else if (v !== '') r.set(v); fault(name); }
    suit();
  }
  /* What the base model likes stands in the empty fields; what it does not know goes. */
  function suit() {
    const b = base();
    for (const [name, key] of [['num_inference_steps', 'num_inference_steps'], ['guidance_scale', 'guidance_scale'], ['width', 'resolution'], ['height', 'resolution']]) if (fields.has(name) && !ranges.has(name)) fields.get(name).input.placeholder = b ? String(b[key]) : '';
    const own = b?.samplers || Object.keys(given().samplers);
    for (const o of sampler.options) o.hidden = o.disabled = !own.includes(o.value);
    if (!own.includes(sampler.value)) sampler.value = 'default';
    negative.disabled = b ? !b.reads_negative : false;
    unread.hidden = !negative.disabled; fill(unread, unread.hidden ? null : `${b.name} draws with the words only: say what should be there instead.`);
    refining.hidden = !b?.refines;
    if (refining.hidden) refiner.value = '';
    shares();
  }
  function options(d) {
    fill(sampler, Object.entries(d.samplers).map(([k, t]) => h('option', {value: k}, t)));
    fill(model, d.bases.filter((b) => !edits || b.family !== 'flux').map((b) => h('option', {value: b.key}, b.name + (b.bundled || b.size_gb == null ? '' : `, ${b.size_gb} GB when downloaded`))));
    for (const [name, value] of [['refiner_share', d.refiner_share], ['image_guidance_scale', d.keep]]) ranges.get(name)?.set(value);
    shares();
  }
  const has = (key) => [...model.options].some((o) => o.value === key);
  model.addEventListener('change', suit);
  return {el, values, set, fault, options, roll, has, base, clear: () => { for (const name of fields.keys()) fault(name); }, first: () => [...fields.values()].find((f) => f.input.getAttribute('aria-invalid') === 'true')?.input, turn};
}
