// The next print's settings: each a field with its unit and its fault beneath. Empty means what suits the base model.
import {h, icon, fill} from './core.js';

export function makeSettings(given, onChange) {
  const fields = new Map();
  const base = () => given().bases.find((b) => b.key === values().base_model);
  function field(name, label, input, help) {
    const err = h('p.d-err', {id: `e-${name}`, role: 'alert', hidden: true}), el = h('div.d-field.sf', {data: {field: name}}, h('label.d-lab', {htmlFor: input.id}, label), h('div.in', input, help), err);
    input.setAttribute('aria-describedby', err.id);
    for (const on of ['input', 'change']) input.addEventListener(on, () => { fault(name); onChange(name); });
    fields.set(name, {el, input, err});
    return el;
  }
  const number = (id, unit) => h('input.d-in.mono', {id, type: 'text', inputMode: 'decimal', autocomplete: 'off', data: {unit: unit || ''}});
  const select = (id) => h('select.d-in', {id});
  const dice = h('button.d-btn.sm.ico.quiet', {type: 'button', id: 'new-seed', aria: {label: 'New seed'}, title: 'New seed', onclick: () => { roll(); onChange('seed'); }}, icon('dice', 's'));
  const size = h('div.in.two', h('span.d-num', '×'));
  const width = number('f-width'), height = number('f-height');
  const sizes = h('div.d-field.sf', {role: 'group', aria: {label: 'Size in px'}}, h('label.d-lab', {htmlFor: 'f-width'}, 'Size'), h('div.in.two', width, h('span.d-num', '×'), height, h('span.u', 'px')), h('p.d-err', {id: 'e-width', role: 'alert', hidden: true}));
  width.setAttribute('aria-label', 'Width in px'); height.setAttribute('aria-label', 'Height in px');
  for (const [name, input] of [['width', width], ['height', height]]) {
    fields.set(name, {el: sizes, input, err: sizes.querySelector('.d-err')});
    input.setAttribute('aria-describedby', 'e-width');
    input.addEventListener('input', () => { fault('width'); fault('height'); onChange(name); });
  }
  const negative = h('textarea.d-in', {id: 'f-negative', rows: 2}), sampler = select('f-sampler'), model = select('f-base');
  const unit = (text) => h('span.u', text);
  const fold = h('button.d-fold', {type: 'button', aria: {expanded: 'false', controls: 'gen-more'}, onclick: () => turn(more.hidden)}, 'Leave out, sampler, base model', icon('down', 's'));
  const more = h('div.more', {id: 'gen-more', hidden: true});
  const el = h('div.sets', h('h2.d-h2', 'Settings'), field('seed', 'Seed', number('f-seed'), dice), field('num_inference_steps', 'Steps', number('f-steps')), field('guidance_scale', 'Follow the words', number('f-guidance')), sizes,
    h('hr.d-rule'), fold, more);
  more.append(field('negative_prompt', 'Leave out', negative), field('sampler', 'Sampler', sampler), field('base_model', 'Base model', model));
  size.remove();

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
    return v;
  }
  function set(s) {
    for (const [name, f] of fields) if (name in s) { f.input.value = s[name] ?? ''; fault(name); }
    suit();
  }
  /* Empty fields say what the base model likes. */
  function suit() {
    const b = base();
    for (const [name, key] of [['num_inference_steps', 'num_inference_steps'], ['guidance_scale', 'guidance_scale'], ['width', 'resolution'], ['height', 'resolution']]) fields.get(name).input.placeholder = b ? String(b[key]) : '';
  }
  function options(d) {
    fill(sampler, Object.entries(d.samplers).map(([k, t]) => h('option', {value: k}, t)));
    const known = new Set(d.bases.map((b) => b.key)), extra = [...new Set(d.loras.map((l) => l.base_model).filter((b) => b && !known.has(b)))];
    fill(model, d.bases.map((b) => h('option', {value: b.key}, b.name + (b.bundled ? '' : `, ${b.size_gb} GB when downloaded`))), extra.map((b) => h('option', {value: b}, b)));
  }
  model.addEventListener('change', suit);
  return {el, values, set, fault, options, roll, clear: () => { for (const name of fields.keys()) fault(name); }, first: () => [...fields.values()].find((f) => f.input.getAttribute('aria-invalid') === 'true')?.input, turn, unit};
}
