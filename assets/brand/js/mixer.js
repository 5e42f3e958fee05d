// The mixer: one slider a LoRA from -2 to 2 with 1 marked, a whole model's from 0 to 1; on and off, its trigger word by click, more to add.
import {h, icon, fill, read, query, toast, plural} from './core.js';
import {count} from './run.js';

const LIMIT = 8;
const KINDS = {model: 'whole model', edit: 'edits'};
const show2 = (v) => (v < 0 ? '−' : '') + Math.abs(v).toFixed(2);

const draws = (l) => l.kind !== 'edit';
export const edits = (l) => l.kind === 'edit';

/* Key of the result to begin with: of the run in the address its kept checkpoint, else its finished file; without a run the newest,
   with `always` also where that run has none. */
export function propose(loras, {fits = draws, always = false} = {}) {
  const run = query.get('run'), ours = loras.filter(fits);
  return ((run && ours.find((l) => l.run === run)) || (run && !always ? null : ours[0]))?.key || null;
}
/* The mix to begin with: this tab's draft, else the newest picture's, of results that there still are. Where the address newly names
   a run (`fresh`), what it proposes takes their place, also that of another checkpoint of it. */
export function beginMix(loras, {fits = draws, always = false, draft, newest}) {
  const run = query.get('run'), wanted = propose(loras, {fits, always}), ours = loras.filter(fits), own = ours.find((l) => l.key === wanted)?.run;
  const known = (draft?.mix || newest?.settings.loras || []).filter((m) => ours.some((l) => l.key === m.key));
  const fresh = !!run && own === run && draft?.run !== run && !known.some((m) => m.key === wanted);
  return {fresh, mix: wanted && (fresh || !known.length) ? [{key: wanted, weight: 1, on: true}] : known};
}

/* `mix` is [{key, weight, on}]; `all` the results there are, of which `fits(result)` are offered. onChange() after every change,
   onWord(word) for a trigger word. */
export function makeMixer({onChange, onWord, id = 'lora', title = 'LoRAs', label = 'LoRA mixer', fits = draws, none = 'No LoRA yet: this draws with the base model alone. Train one, or add a file.'}) {
  let mix = [], all = [], open = false;
  const list = h('div.los'), sum = h('p.d-small.d-sub'), fault = h('div.faults', {role: 'alert'}), menu = h('div.lmenu', {hidden: true}), file = h('input', {type: 'file', accept: '.safetensors', hidden: true, id: id + '-file'});
  const add = h('button.d-btn.sm.quiet.d-push', {type: 'button', id: id + '-add', aria: {expanded: 'false', controls: id + '-menu'}, onclick: () => turn(!open)}, icon('plus', 's'), ' Add');
  menu.id = id + '-menu';
  const el = h('aside.d-card.mixer', {aria: {label}}, h('div.d-row', h('h2.d-h2', title), add), menu, file, fault, list, h('hr.d-rule'), sum);

  const info = (key) => all.find((l) => l.key === key), whole = (m) => !!KINDS[info(m.key)?.kind], offered = () => all.filter(fits);
  const where = (l) => (!l ? 'not there any more' : KINDS[l.kind] ? KINDS[l.kind] + ', ' : '') + (!l ? '' : l.step != null ? `step ${count(l.step)}${l.kept ? ', kept' : ''}` : l.run ? 'finished' : 'added file') + (l?.base_name ? ` · ${l.base_name}` : '');

  function row(m) {
    const l = info(m.key), name = l ? l.name : m.key.split(':')[1], [low, high] = whole(m) ? [0, 1] : [-2, 2];
    m.weight = Math.max(low, Math.min(high, m.weight));
    const part = (v) => ((v - low) / (high - low)) * 100 + '%', range = h('input.d-range.bi', {type: 'range', min: low, max: high, step: 0.05, value: m.weight, aria: {label: `${name} scale`}}), value = h('span.d-num');
    const paint = () => { range.style.setProperty('--lo', part(Math.min(0, m.weight))); range.style.setProperty('--hi', part(Math.max(0, m.weight))); value.textContent = show2(m.weight); range.setAttribute('aria-valuetext', show2(m.weight)); };
    range.addEventListener('input', () => { m.weight = Math.abs(range.value - 1) < 0.03 ? 1 : +range.value; paint(); total(); });
    range.addEventListener('change', () => onChange());
    range.addEventListener('dblclick', () => { m.weight = range.value = 1; paint(); total(); onChange(); });
    paint();
    const node = h('div.lo' + (m.on ? '' : '.off'), {data: {key: m.key}},
      h('div.d-row', h('button.d-toggle', {type: 'button', role: 'switch', aria: {checked: String(m.on), label: `${name} on`}, onclick: (e) => { m.on = !m.on; e.currentTarget.setAttribute('aria-checked', String(m.on)); node.classList.toggle('off', !m.on); total(); onChange(); }}),
        h('div.bd', h('b', name), h('span.d-small.d-sub', where(l))), h('div.d-row.d-push.tools', l?.trigger_word && h('button.d-chip', {type: 'button', aria: {label: `Insert ${l.trigger_word} into the prompt`}, onclick: () => onWord(l.trigger_word)}, icon('plus', 's'), l.trigger_word),
          h('button.d-btn.sm.ico.quiet', {type: 'button', aria: {label: `Take ${name} out`}, onclick: () => { mix.splice(mix.indexOf(m), 1); draw(); onChange(); add.focus(); }}, icon('x', 's')))),
      h('div.sl2', range, whole(m) ? null : h('span.one', {aria: {hidden: 'true'}}), value),
      h('div.d-num' + (whole(m) ? '.tk3' : '.tk2'), {aria: {hidden: 'true'}}, (whole(m) ? ['0, the base', '1, as trained'] : ['−2', '0', '1', '2']).map((t) => h('span', t))));
    return node;
  }
  function total() {
    const on = mix.filter((m) => m.on && m.weight), t = on.reduce((a, m) => a + (whole(m) ? 0 : m.weight), 0), bases = new Set(on.map((m) => info(m.key)?.base_model).filter(Boolean));
    const loras = on.filter((m) => !whole(m)), wholes = on.length - loras.length;
    sum.hidden = !mix.length && !!offered().length;
    fill(sum, bases.size > 1 ? h('span.warn', 'These are for different base models; they cannot be mixed.') : wholes > 1 ? h('span.warn', 'Each of these is a whole model; only one can stand in the base model’s place.') : !offered().length ? none : wholes && !loras.length ? 'It stands in the base model’s place, by as much as the slider says.' : on.length ? `Together ${show2(t)}. Above 1.5 pictures often break.` : 'All off: this draws the base model’s own picture.');
  }
  function draw() {
    fill(list, mix.map(row));
    total();
    add.disabled = mix.length >= LIMIT; add.title = mix.length >= LIMIT ? `At most ${LIMIT} at once` : '';
  }
  /* What can be added: each run's proposed LoRA first, its other checkpoints folded under it. */
  function turn(on) {
    open = on; menu.hidden = !on; add.setAttribute('aria-expanded', String(on));
    if (!on) return;
    const groups = new Map();
    for (const l of offered()) { const k = l.run || l.key; groups.set(k, [...(groups.get(k) || []), l]); }
    const item = (l, short) => h('button.li', {type: 'button', disabled: mix.some((m) => m.key === l.key), data: {key: l.key}, onclick: () => { put(l.key); turn(false); }}, h('b', short ? where(l).split(' · ')[0] : l.name), !short && h('span', where(l)));
    const block = (ls) => { const rest = ls.slice(1), more = h('div.more', {hidden: true}, rest.map((l) => item(l, true)));
      const fold = rest.length > 0 && h('button.fold', {type: 'button', aria: {expanded: 'false'}, onclick: (e) => { more.hidden = !more.hidden; e.currentTarget.setAttribute('aria-expanded', String(!more.hidden)); }}, plural(rest.length, 'more checkpoint', 'more checkpoints'), icon('down', 's'));
      return [item(ls[0]), fold || null, rest.length ? more : null]; };
    fill(menu, [...groups.values()].map(block), h('button.li.up', {type: 'button', id: id + '-upload', onclick: () => file.click()}, h('b', 'Add a file'), h('span', '.safetensors only')));
    menu.querySelector('button:not([disabled])')?.focus();
  }
  el.addEventListener('keydown', (e) => { if (e.key === 'Escape' && open) { turn(false); add.focus(); } });
  addEventListener('pointerdown', (e) => { if (open && !menu.contains(e.target) && !add.contains(e.target)) turn(false); });
  file.addEventListener('change', async () => {
    const picked = file.files[0];
    file.value = '';
    if (!picked) return;
    turn(false); complain();
    const body = new FormData();
    body.append('file', picked, picked.name);
    add.disabled = true;
    try { const l = await read(await fetch('/api/loras', {method: 'POST', body})); all.push(l); if (fits(l)) put(l.key); else complain(l.kind === 'edit' ? `${l.name} edits pictures: choose it under “Edit a picture”.` : `${l.name} does not edit pictures: choose it under “Draw”.`); if (fits(l)) toast(`${l.name} was added.`); }
    catch (e) { complain(e.message); }
    draw();
  });
  /* A whole model takes the place of the one before it. */
  function put(key, weight = 1) { if (whole({key})) mix = mix.filter((m) => !whole(m)); if (!mix.some((m) => m.key === key) && mix.length < LIMIT) { mix.push({key, weight, on: true}); draw(); onChange(); } }
  function complain(text) { fill(fault, text ? h('p.d-err', icon('alert', 's'), text) : null); }
  return {el, complain, put,
    set: (m, a) => { if (a) all = a; mix = m.map((x) => ({on: true, ...x})); draw(); },
    mix: () => mix, used: () => mix.filter((m) => m.on).map(({key, weight}) => ({key, weight})), info, first: () => mix.find((m) => m.on)};
}
