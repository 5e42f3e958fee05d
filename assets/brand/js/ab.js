// A | B: two cells under one slider, and what was measured of each. Only figures that exist are shown.
import {h, icon, fill} from './core.js';
import {lossText} from './curve.js';
import {count} from './run.js';
import {makeSlider} from './slide.js';
import {cellUrl, nameOf} from './strip.js';

export function makeAb(given, onStar) {
  const {pane} = makeSlider('Slide between A and B'), side = h('div.abs'), el = h('aside.abp', {aria: {label: 'A and B'}}, pane, side);
  let drawn = '';
  pane.hidden = true;

  function measures(s, a, b) {
    const near = (c) => s.closeness?.[String(c.step)] ?? null;
    return [['Held-out loss', a.heldout_loss, b.heldout_loss, lossText, -1], ['Colours like the data set', near(a), near(b), (v) => Math.round(v * 100) + ' %', 0]].filter(([, x, y]) => x != null || y != null);
  }
  function show(picked) {
    const {run, status: s, star} = given();
    if (!s) return;
    const [A, B] = picked, sign = JSON.stringify([picked, s.cells, s.closeness, star, s.columns]);
    if (sign === drawn) return;
    drawn = sign;
    pane.hidden = !A || !B;
    if (!A || !B) { fill(pane); fill(side, h('p.d-small.d-sub.hint', A ? 'Click a second picture to hold it against A.' : 'Click two pictures to hold them against each other here.')); return; }
    const a = s.columns[A[1]], b = s.columns[B[1]], label = (c) => (c.step ? count(c.step) : 'base');
    const image = (p, cls, l) => { const cell = s.cells[p[0]][p[1]]; return cell.ready ? h('img' + cls, {src: cellUrl(run, cell, 768), alt: `${l}: ${s.prompts[p[0]].text}, ${nameOf(s.columns[p[1]])}`, draggable: false}) : h('span.d-ph.still' + cls); };
    fill(pane, image(A, '', 'A'), h('div.b', image(B, '', 'B')), h('span.ln'), h('span.kn', icon('swap')), h('span.la', 'A \u00a0' + label(a)), h('span.lb', 'B \u00a0' + label(b)));
    const cell = (v, other, words, sign) => h('td' + (sign && v != null && other != null && (v - other) * sign > 0 ? '.w' : ''), v == null ? '–' : words(v));
    const rows = measures(s, a, b), texts = [...new Set([s.prompts[A[0]].text, s.prompts[B[0]].text])];
    fill(side, h('p', h('b.d-strong', texts.join(' | '))),
      rows.length ? h('table.abt', h('tr', h('th', {scope: 'col'}, h('span.d-vh', 'Measure')), h('th', {scope: 'col'}, 'A, ' + label(a)), h('th', {scope: 'col'}, 'B, ' + label(b))), rows.map(([t, v, w, words, sign]) => h('tr', h('th', {scope: 'row'}, t), cell(v, w, words, sign), cell(w, v, words, sign)))) : null,
      h('div.d-row.pf', [[A, a], [B, b]].map(([, c], i) => c.step ? h('button.d-btn.sm', {type: 'button', aria: {pressed: String(star === c.step)}, onclick: () => onStar(c.step)}, icon('star', star === c.step ? 's solid' : 's'), ' Prefer ' + 'AB'[i]) : null)));
  }
  const zoom = ({z, x, y}) => { for (const [k, v] of [['--z', z], ['--x', x * 100 + '%'], ['--y', y * 100 + '%']]) pane.style.setProperty(k, v); };
  return {el, show, zoom};
}
