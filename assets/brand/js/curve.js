// The curve: uPlot on a canvas with colours read from the tokens; pin, tag and the readout are HTML over it.
import {h, fill, script} from './core.js';
import {count} from './run.js';

const css = (n) => getComputedStyle(document.body).getPropertyValue(n).trim();
const HEIGHT = 278;
const rate = (v) => (v ? v.toExponential(1).replace('.0e', 'e').replace('e+', 'e') : '0');
const loss = (v) => (v >= 0.0995 || v === 0 ? v.toFixed(v >= 10 ? 1 : v >= 1 ? 2 : 3) : Number(v.toPrecision(2)).toString());

export function makeCurve(run) {
  let u, width = 0, view = 'loss', log = localStorage.getItem('darkroom:log') === '1', busy = false;
  const plot = h('div.d-curve', {role: 'img', aria: {label: 'Loss'}}), pin = h('span.d-pin', {hidden: true}), tag = h('span.tag.r', {hidden: true});
  const seg = h('div.d-seg', {role: 'radiogroup', aria: {label: 'What the curve shows'}}, [['loss', 'Loss'], ['lr', 'Learning rate']].map(([k, t]) =>
    h('button', {type: 'button', role: 'radio', data: {k}, aria: {checked: String(k === view)}, onclick: () => turn(k)}, t)));
  seg.addEventListener('keydown', (e) => { if (['ArrowLeft', 'ArrowRight'].includes(e.key)) { e.preventDefault(); turn(view === 'loss' ? 'lr' : 'loss'); seg.querySelector('[aria-checked=true]').focus(); } });
  const scale = h('button.d-toggle', {type: 'button', role: 'switch', id: 'log-scale', aria: {checked: String(log), label: 'Log scale'}, onclick: () => { log = !log; localStorage.setItem('darkroom:log', log ? '1' : '0'); scale.setAttribute('aria-checked', String(log)); make(); }});
  const held = h('span', h('i.h'), 'Held out, with its error'), soft = h('span', h('i'), 'Training, smoothed'), raw = h('span', h('i.a'), 'Training, each step');
  const legend = h('div.d-legend', held, soft, raw), rates = h('div.d-legend', {hidden: true}, h('span', h('i'), 'Learning rate'));
  const readout = h('p.rd.d-num', {hidden: true}), switchLog = h('label.lg', scale, h('span', {onclick: () => scale.click()}, 'Log scale'));
  const el = h('div.curve', h('div.ct', seg, switchLog), plot, legend, rates);

  function turn(k) {
    view = k;
    for (const b of seg.children) { b.setAttribute('aria-checked', String(b.dataset.k === k)); b.tabIndex = b.dataset.k === k ? 0 : -1; }
    legend.hidden = k !== 'loss'; rates.hidden = k === 'loss'; switchLog.hidden = k !== 'loss';
    make();
  }
  /* Zero has no logarithm: such a point is left out of the log scale. */
  const above = (list) => (log && view === 'loss' ? list.map((v) => (v > 0 ? v : null)) : list);
  const data = () => (view === 'lr' ? [run.x, run.lr] : [run.x, run.raw, run.ema, run.hi, run.lo, run.ho].map((c, i) => (i ? above(c) : c)));
  const total = () => Math.max(run.meta.total || 0, run.x.at(-1) || 0, 1);

  function yScale() {
    if (view === 'lr') return {range: (_, a, b) => [0, (b || 1e-6) * 1.15]};
    if (log) return {distr: 3, range: (_, a, b) => [a * 0.9, b * 1.1]};
    return {range: () => {                                            // the curve's own range: a single wild step must not flatten it
      const known = [...run.hi, ...run.lo, ...run.ema].filter((v) => v != null), steps = run.raw.filter((v) => v != null).sort((a, b) => a - b);
      const cut = (f) => steps[Math.round((steps.length - 1) * f)];
      const low = Math.min(...thin(known), cut(0.01) ?? Infinity), high = Math.max(...thin(known), cut(0.99) ?? -Infinity);
      if (!isFinite(low)) return [0, 1];
      const pad = Math.max((high - low) * 0.06, high * 0.01, 1e-6);
      return [Math.max(0, low - pad), high + pad];
    }};
  }
  const thin = (list) => (list.length > 20000 ? list.filter((_, i) => i % Math.ceil(list.length / 20000) === 0) : list);

  async function make() {
    if (busy || !run.meta) return;
    busy = true;
    await (window.uPlot || script('vendor/uPlot.iife.min.js'));
    busy = false;
    u?.destroy();
    const c = {ink: css('--d-ink'), quiet: css('--d-ink-3'), line: css('--d-line'), line2: css('--d-line-2'), safe: css('--d-safe')};
    const font = '450 12px "Geist Mono", monospace', axis = {stroke: c.quiet, font, ticks: {show: false}}, quiet = {points: {show: false}, spanGaps: true};
    width = plot.clientWidth || 600;
    const lossLines = [{...quiet, stroke: c.quiet, width: 1, alpha: 0.32}, {...quiet, stroke: c.ink, width: 2}, {...quiet, stroke: 'transparent'}, {...quiet, stroke: 'transparent'}, {...quiet, stroke: c.safe, width: 2}];
    const few = width < 460 ? 2 : 4;
    u = new window.uPlot({
      width, height: HEIGHT, legend: {show: false}, padding: [14, 1, 0, 0],
      cursor: {y: false, points: {show: false}, drag: {x: false, y: false}},
      scales: {x: {time: false, range: () => [0, total()]}, y: yScale()},
      axes: [
        {...axis, grid: {show: false}, size: 26, gap: 8, splits: () => Array.from({length: few + 1}, (_, i) => Math.round((i / few) * total())), values: (_, v) => v.map((n, i) => (i === v.length - 1 ? '' : count(n)))},
        {...axis, grid: {stroke: c.line, width: 1}, size: view === 'lr' ? 58 : 50, gap: 10, space: log && view === 'loss' ? 30 : 42, values: (_, v) => v.map((n) => (n == null ? '' : view === 'lr' ? rate(n) : loss(n)))},
      ],
      series: [{}, ...(view === 'lr' ? [{...quiet, stroke: c.ink, width: 2}] : lossLines)],
      bands: view === 'lr' ? [] : [{series: [3, 4], fill: c.safe + '26'}],
      hooks: {drawClear: [(p) => marks(p, c.line2)], draw: [place], setCursor: [read]},
    }, data(), plot);
    u.root.classList.add('d-chart');
    u.root.append(h('span.ax.end', count(total()) + ' steps'), pin, tag, readout);
    plot.dataset.points = run.x.length; plot.dataset.view = view + (log && view === 'loss' ? '-log' : '');
    label();
  }
  /* A dashed line at every checkpoint that is on disk, behind the curves. */
  function marks(p, colour) {
    const {ctx, bbox} = p, dpr = devicePixelRatio, all = run.meta.checkpoints.map((k) => k.step), every = Math.ceil(all.length / 40);
    ctx.save(); ctx.strokeStyle = colour; ctx.lineWidth = dpr; ctx.setLineDash([2 * dpr, 4 * dpr]); ctx.beginPath();
    for (const step of all.filter((_, i) => i % every === 0)) { const x = p.valToPos(step, 'x', true); ctx.moveTo(x, bbox.top); ctx.lineTo(x, bbox.top + bbox.height); }
    ctx.stroke(); ctx.restore();
  }
  function place(p) {
    const live = run.busy(), best = run.evals.reduce((m, e) => (!m || e.loss < m.loss ? e : m), null), e = live ? run.evals.at(-1) : best;
    pin.hidden = tag.hidden = !e || view !== 'loss';
    if (pin.hidden) return;
    const x = p.valToPos(e.step, 'x') + p.bbox.left / devicePixelRatio, y = p.valToPos(e.loss, 'y') + p.bbox.top / devicePixelRatio;
    for (const n of [pin, tag]) { n.style.left = x + 'px'; n.style.top = y + 'px'; }
    pin.classList.toggle('live', live);
    tag.textContent = live ? loss(e.loss) : 'best, ' + loss(e.loss);
    tag.classList.toggle('r', live); tag.classList.toggle('left', live ? x > width - 70 : x > width - 50);
  }
  function read(p) {
    const i = p.cursor.idx;
    readout.hidden = i == null || run.x[i] == null;
    if (readout.hidden) return;
    const bits = ['step ' + count(run.x[i])];
    if (view === 'lr') { if (run.lr[i] != null) bits.push('learning rate ' + rate(run.lr[i])); }
    else {
      if (run.ema[i] != null) bits.push('smoothed ' + loss(run.ema[i]));
      if (run.raw[i] != null) bits.push('this step ' + loss(run.raw[i]));
      if (run.ho[i] != null) bits.push(`held out ${loss(run.ho[i])} ± ${loss(run.hi[i] - run.ho[i])}`);
    }
    fill(readout, bits.join('   '));
  }
  function label() { plot.setAttribute('aria-label', `${view === 'lr' ? 'Learning rate' : 'Loss'} over ${count(run.x.at(-1) || 0)} steps. ${run.advice?.sentence || ''}`.trim()); }
  function show() {
    if (!run.meta) return;
    if (!u) { if (run.x.length && el.isConnected) make(); return; }
    u.setData(data());
    plot.dataset.points = run.x.length;
    const end = u.root.querySelector('.ax.end'); if (end) end.textContent = count(total()) + ' steps';
    label();
  }
  new ResizeObserver(() => { if (u && plot.clientWidth && plot.clientWidth !== width) { width = plot.clientWidth; u.setSize({width, height: HEIGHT}); } }).observe(plot);
  new MutationObserver(() => u && make()).observe(document.body, {attributes: true, attributeFilter: ['class']});     // theme switched
  return {el, show};
}
export {loss as lossText};
