// The Compare page: tools on top, the test strip, A | B, and the dock with "Keep".
import {h, icon, fill, api, ready, query, href, ring, toast, plural, about, keys, note} from './core.js';
import {count, BUSY} from './run.js';
import {crumb, refresh} from './rail.js';
import {makeStrip} from './strip.js';
import {makeAb} from './ab.js';
import {makeChooser} from './chooser.js';

keys('Compare', [['← → ↑ ↓', 'Go through the pictures'], ['A', 'Hold this one as A'], ['B', 'Hold this one as B'], ['S', 'Star this step'], ['+ -', 'Zoom all'], ['0', 'Zoom back']]);
const PHASES = {waiting: 'Waiting for the drawing worker', loading: 'Loading the base model', drawing: 'Drawing', measuring: 'Measuring', ready: 'Ready'};

export async function mount(el) {
  let id = query.get('run');
  try {
    if (!id) id = (await api('/runs/latest?' + new URLSearchParams(query.get('dataset') ? {dataset: query.get('dataset')} : {}))).id;
    if (!id) return empty(el, 'Nothing to compare yet', 'When a run has saved its first checkpoints, they stand here side by side.');
    draw(el, id, await api(`/runs/${encodeURIComponent(id)}/compare`));
  } catch (e) {
    if (e.status === 404) return empty(el, 'This run is not here', e.message);
    fill(el, head(), note('bad', 'This page cannot be drawn now.', e.message)); ready(el, 'failed');
  }
}
const switcher = () => { const b = h('button.d-crumb', {type: 'button'}); crumb(b); return b; };
const head = (...tools) => h('header.d-head', h('div', switcher(), h('h1', 'Compare'), h('p', 'One seed, one scale. Only the checkpoint changes.')), tools.length ? h('div.d-tools', tools) : null);

function empty(el, title, text) {
  fill(el, head(), h('div.bare', h('div.strip1.bare-strip', {aria: {hidden: 'true'}}, [0, 1, 2, 3, 4].map((n) => h('i', {style: {'--n': n}}))), h('h2.d-h2', title), h('p.d-sub', text), h('a.d-btn.pri', {href: href('train')}, 'Go to Train')));
  ready(el, 'empty');
}

function draw(el, id, d) {
  if (!d.checkpoints.length) {
    const going = BUSY.includes(d.run.state);
    empty(el, going ? 'No checkpoint yet' : 'This run has no checkpoint', going ? `${d.run.name} is training and has not saved yet. Its checkpoints come here one by one.` : `${d.run.name} ended before it saved. Start it again on the Monitor page.`);
    fill(el.querySelector('.d-btn'), 'Go to Monitor').href = href('monitor', {run: id});
    return;
  }
  const path = `/runs/${encodeURIComponent(id)}/compare`, given = () => ({run: id, status: d.status || blank(), star: d.star});
  const edits = !!d.proposed.edits, most = d.proposed.largest_scale || 1.5, rowWord = edits ? 'pair' : 'prompt', sides = edits ? ['before', 'target'] : [];
  let timer, wish = from(d), away = false, docked = '';
  const range = h('input.d-range', {id: 'sc', type: 'range', min: 0, max: most, step: 0.05, value: wish.scale}), value = h('span.d-num'), seed = h('input.d-in.mono.sd', {id: 'seed', type: 'text', inputMode: 'numeric', value: wish.seed, aria: {describedby: 'cmp-fault'}}), percent = h('span.d-num.d-sub', '100 %');
  const stop = h('button.d-btn.big', {type: 'button', id: 'stop', onclick: halt}, icon('stop', 's solid'), ' Stop'), fault = h('div.faults', {id: 'cmp-fault', role: 'alert'});
  const exporter = h('a.d-btn', {href: `/api${path}/sheet.png`, download: `${id}-compare.png`, id: 'export'}, icon('down2', 's'), ' Export PNG');
  const ab = makeAb(given, star), strip = makeStrip(given, {onStar: star, onPick: (p) => d.status && ab.show(p), onZoom: (v) => { percent.textContent = Math.round(v.z * 100) + ' %'; ab.zoom(v); }});
  const chooser = makeChooser(d, () => wish, (changes) => { wish = {...wish, ...changes}; begin(); });
  const button = (label, name, onclick) => h('button.d-btn.sm.ico.quiet', {type: 'button', aria: {label}, onclick}, icon(name, 's'));
  const words = h('p'), light = h('span.ring'), buttons = h('div.d-row.bts');
  fill(el, head(exporter),
    h('div.tb', h('div.d-row.sc', h('label.d-lab', {htmlFor: 'sc'}, most > 1 ? 'LoRA scale' : 'Scale'), range, value), h('div.d-row', h('label.d-lab', {htmlFor: 'seed'}, 'Seed'), seed, button('Another seed', 'dice', () => { seed.value = Math.floor(Math.random() * 2 ** 32); reseed(); })),
      h('div.d-row.zm', h('span.d-lab', 'Zoom'), percent, button('Zoom in', 'zoom', () => strip.zoom(1.5)), button('Zoom back', 'undo', () => strip.zoom(0))), h('div.d-row.d-push', chooser.button)),
    fault, chooser.el, h('div.cmp', strip.el, ab.el), h('div.d-dock', {id: 'dock', role: 'region', aria: {label: 'Main action'}}, h('div', light, words, buttons)));

  function from(x) { const s = x.status; return s ? {prompts: s.prompts.map((p) => (edits ? p.pair : p.text)), steps: s.columns.map((c) => c.step).filter(Boolean), seed: s.seed, scale: s.scale} : {...x.proposed}; }
  /* Before anything is drawn: the strip as it will be, with empty places. */
  function blank() {
    const losses = new Map(d.checkpoints.map((k) => [k.step, k.loss])), columns = [...(edits ? sides.map((side) => ({side, step: 0, heldout_loss: null})) : []), ...(edits ? wish.steps : [0, ...wish.steps]).map((step) => ({side: '', step, heldout_loss: losses.get(step) ?? null, best: step === d.best, kept: step === d.kept}))];
    return {state: 'none', edits, prompts: wish.prompts.map((p) => ({text: edits ? d.pairs.find((x) => x.id === p)?.text ?? '' : p})), columns, cells: wish.prompts.map(() => columns.map(() => ({name: '', ready: false})))};
  }
  function paint() { range.style.setProperty('--v', (range.value / most) * 100 + '%'); value.textContent = (+range.value).toFixed(2); range.setAttribute('aria-valuetext', value.textContent); }
  range.addEventListener('input', paint);
  range.addEventListener('change', () => { wish.scale = +range.value; if (d.status) begin(); });
  seed.addEventListener('change', reseed);
  function reseed() { const n = Number(seed.value); if (!/^\d+$/.test(seed.value.trim()) || n >= 2 ** 32) return wrong(new Error(`Seed is “${seed.value}”; it must be a whole number from 0 to 4,294,967,295.`)); wish.seed = n; fill(fault); if (d.status) begin(); }
  function wrong(e) { fill(fault, h('p.d-err', icon('alert', 's'), e.message)); }

  async function begin() {
    fill(fault);
    try { d.status = await api(path, {prompts: wish.prompts, steps: wish.steps, seed: wish.seed, scale: wish.scale}); } catch (e) { return wrong(e); }
    show(); poll();
  }
  async function halt() { try { await api(path + '/stop', {}); } catch (e) { wrong(e); } poll(); }
  async function star(step) { const before = d.star; d.star = step; show(); try { await api(`/runs/${encodeURIComponent(id)}/star`, {step}); } catch (e) { d.star = before; show(); toast(e.message); } }
  async function keep() {
    const step = d.star;                                               // the star may move while it is being kept
    try { await api(`/runs/${encodeURIComponent(id)}/keep`, {step}); d.kept = step; for (const c of d.status?.columns || []) c.kept = c.step === step; show(); refresh(); toast(`Step ${count(step)} is kept. The others stay on disk.`); } catch (e) { toast(e.message); }
  }
  function show() {
    const s = d.status, going = s?.state === 'running';
    exporter.hidden = !s?.done;
    if (s && ['failed', 'interrupted'].includes(s.state)) wrong(new Error(s.reason));
    ab.el.hidden = !s;
    strip.show(); if (s) ab.show(strip.picked());
    if (s && !strip.picked().length && s.done >= 2) first(s);
    dock(s, going);
    chooser.show(going);
    ready(el, going ? 'drawing' : 'ready');
    const block = el.closest('.block'); if (block) block.dataset.done = s ? `${s.done}/${s.total}` : '';
  }
  /* Two pictures to begin with: the base and the starred step, of the first row that has both. */
  function first(s) {
    const c = Math.max(1, s.columns.findIndex((o) => o.step === d.star)), r = s.cells.findIndex((row) => row[0].ready && row[c]?.ready);
    if (r >= 0) strip.offer([[r, 0], [r, c]]);
  }
  function dock(s, going) {
    const columns = wish.steps.length + (edits ? 0 : 1), number = wish.prompts.length * columns, col = s?.columns.find((c) => c.step === d.star), low = d.checkpoints.filter((k) => k.loss != null).reduce((a, k) => (!a || k.loss < a.loss ? k : a), null);
    light.hidden = !going;
    if (going) fill(light, ring(s.total ? s.done / s.total : 0));
    const far = going && (away ? 'Reconnecting' : s.phase === 'drawing' ? `Drawing ${s.done} of ${s.total}` + (s.seconds_left ? `, ${about(s.seconds_left)} left` : '') : PHASES[s.phase] ?? s.phase);
    if (going) fill(words, h('b', far + '.'), ' The likely best comes first. You can close this page; it goes on.');
    else if (!s) fill(words, h('b', `${plural(wish.prompts.length, rowWord)}, ${plural(columns, edits ? 'checkpoint' : 'column')}.`), ` Comparing draws ${plural(number, 'picture')}, the likely best first.`);
    else if (d.kept === d.star) fill(words, h('b', `Step ${count(d.star)} is kept.`), ' Draw with it on the Generate page; the others stay on disk.');
    else fill(words, h('b', `Step ${count(d.star)} has the star`), low ? (low.step === d.star ? ' and the lowest held-out loss.' : `; step ${count(low.step)} has the lowest held-out loss.`) : '.', ' Keeping it leaves the others on disk.');
    const left = s && !going && s.done < s.total, rest = left && h('button.d-btn.big', {type: 'button', id: 'draw-rest', onclick: begin}, `Draw ${plural(s.total - s.done, 'more picture', 'more pictures')}`);
    const sign = [!s, going, left, s?.total - s?.done, d.kept, d.star, !!col, number].join();
    if (sign === docked) return;
    docked = sign;
    fill(buttons, going && stop, !s ? h('button.d-btn.pri', {type: 'button', id: 'draw', onclick: begin}, `Draw ${plural(number, 'picture')}`) : [rest || null, d.kept === d.star ? h('a.d-btn.pri', {href: href('generate', {run: id, dataset: d.run.dataset || null}), id: 'go-generate'}, 'Generate') : h('button.d-btn.pri', {type: 'button', id: 'keep', disabled: !col, onclick: keep}, `Keep step ${count(d.star)}`)]);
  }
  async function poll() {
    clearTimeout(timer);
    if (document.visibilityState === 'visible') {
      try { d.status = await api(path + '/status'); away = false; } catch { away = true; }
      show();
    }
    if (away || d.status?.state === 'running') timer = setTimeout(poll, 800);
  }
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && (away || d.status?.state === 'running') && poll());
  paint(); show();
  if (innerWidth < 761) requestAnimationFrame(() => { const best = strip.el.querySelector('.ch.best'); if (best) strip.el.scrollLeft += best.getBoundingClientRect().left - strip.el.getBoundingClientRect().left - 210; });   // the star in sight
  if (d.status?.state === 'running') poll();
}
