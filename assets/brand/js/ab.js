// A | B: two cells under one slider, and what was measured of each. Only figures that exist are shown.
import {h, icon, fill} from './core.js';
import {lossText} from './curve.js';
import {count} from './run.js';
import {makeSlide} from './slide.js';
import {cellUrl, nameOf} from './strip.js';

export function makeAb(given, onStar) {
  const slider = makeSlide('Slide between A and B', 'A'), pane = slider.pane, side = h('div.abs'), el = h('aside.abp', {aria: {label: 'A and B'}}, pane, side);
  let drawn = '';

  function measures(s, a, b) {
    const near = (c) => (c.side ? null : s.closeness?.[String(c.step)] ?? null);
    const like = s.edits ? ['Colours like the target', 1] : ['Colours like the data set', 0];
    return [['Held-out loss', a.heldout_loss, b.heldout_loss, lossText, -1], [like[0], near(a), near(b), (v) => Math.round(v * 100) + ' %', like[1]]].filter(([, x, y]) => x != null || y != null);
  }
  function show(picked) {
    const {run, status: s, star} = given();
    if (!s) return;
    const [A, B] = picked, sign = JSON.stringify([picked, s.cells, s.closeness, star, s.columns]);
    if (sign === drawn) return;
    drawn = sign;
    if (!A || !B) { slider.show(); fill(side, h('p.d-small.d-sub.hint', A ? 'Click a second picture to hold it against A.' : 'Click two pictures to hold them against each other here.')); return; }
    const a = s.columns[A[1]], b = s.columns[B[1]], label = (c) => c.side || (c.step ? count(c.step) : 'base');
    const image = (p, cls, l) => { const cell = s.cells[p[0]][p[1]]; return cell.ready ? h('img' + cls, {src: cellUrl(run, cell, 768), alt: `${l}: ${s.prompts[p[0]].text}, ${nameOf(s.columns[p[1]])}`, draggable: false}) : h('span.d-ph.still' + cls); };
    slider.show(image(A, '', 'A'), image(B, '', 'B'), 'A \u00a0' + label(a), 'B \u00a0' + label(b));
    const cell = (v, other, words, sign) => h('td' + (sign && v != null && other != null && (v - other) * sign > 0 ? '.w' : ''), v == null ? '–' : words(v));
    const rows = measures(s, a, b), texts = [...new Set([s.prompts[A[0]].text, s.prompts[B[0]].text])];
    fill(side, h('p', h('b.d-strong', texts.join(' | '))),
      rows.length ? h('table.abt', h('tr', h('th', {scope: 'col'}, h('span.d-vh', 'Measure')), h('th', {scope: 'col'}, 'A, ' + label(a)), h('th', {scope: 'col'}, 'B, ' + label(b))), rows.map(([t, v, w, words, sign]) => h('tr', h('th', {scope: 'row'}, t), cell(v, w, words, sign), cell(w, v, words, sign)))) : null,
      h('div.d-row.pf', [[A, a], [B, b]].map(([, c], i) => c.step ? h('button.d-btn.sm', {type: 'button', aria: {pressed: String(star === c.step)}, onclick: () => onStar(c.step)}, icon('star', star === c.step ? 's solid' : 's'), ' Prefer ' + 'AB'[i]) : null)));
  }
  const zoom = ({z, x, y}) => { for (const [k, v] of [['--z', z], ['--x', x * 100 + '%'], ['--y', y * 100 + '%']]) pane.style.setProperty(k, v); };
  return {el, show, zoom};
}
