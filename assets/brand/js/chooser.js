// Which prompts and which checkpoints are compared: a fold with one prompt a line and a chip for each checkpoint.
import {h, icon, fill, plural} from './core.js';
import {lossText} from './curve.js';
import {count} from './run.js';

const MOST = 16;

export function makeChooser(d, wish, onApply) {
  const text = h('textarea.d-in', {id: 'cmp-prompts', rows: 5, spellcheck: false, aria: {describedby: 'cmp-prompts-help cmp-prompts-err'}}), chips = h('div.chips', {role: 'group', aria: {label: 'Checkpoints'}}), err = h('p.d-err', {id: 'cmp-prompts-err', role: 'alert', hidden: true});
  const apply = h('button.d-btn', {type: 'button', id: 'cmp-apply', onclick: take}), sum = h('p.d-small.d-sub');
  const el = h('section.d-card.chz', {id: 'chooser', hidden: true, aria: {label: 'Prompts and checkpoints'}},
    h('div.d-field', h('label.d-lab', {htmlFor: 'cmp-prompts'}, 'Prompts'), h('span', {id: 'cmp-prompts-help'}, `One a line, up to ${MOST}. Keep one without the trigger word, to see what it forgets.`), text, err),
    h('div.d-field', h('b', 'Checkpoints'), h('span', 'The base without LoRA always comes first.'), chips), h('div.d-row', sum, apply));
  const button = h('button.d-btn.sm', {type: 'button', id: 'choose', aria: {expanded: 'false', controls: 'chooser'}, onclick: () => turn(el.hidden)}, icon('sliders', 's'), ' Prompts and columns');
  let chosen = new Set(), drawing = false;

  const lines = () => text.value.split('\n').map((l) => l.trim()).filter(Boolean);
  function turn(on) {
    el.hidden = !on; button.setAttribute('aria-expanded', String(on));
    if (!on) return;
    text.value = wish().prompts.join('\n'); text.rows = Math.max(4, Math.min(10, wish().prompts.length + 1)); chosen = new Set(wish().steps);
    paint(); text.focus();
  }
  function paint() {
    fill(chips, d.checkpoints.map((k) => h('button.d-chip' + (chosen.has(k.step) ? '.on' : ''), {type: 'button', aria: {pressed: String(chosen.has(k.step))}, onclick: (e) => { chosen.has(k.step) ? chosen.delete(k.step) : chosen.add(k.step); const at = [...chips.children].indexOf(e.currentTarget); paint(); chips.children[at].focus(); }},
      chosen.has(k.step) && icon('check', 's'), count(k.step), k.loss != null && h('b', lossText(k.loss)))));
    check();
  }
  function check() {
    const rows = lines(), wrong = !rows.length ? 'Write at least one prompt.' : rows.length > MOST ? `There are ${rows.length} prompts; at most ${MOST} fit on one strip.` : !chosen.size ? 'Choose at least one checkpoint.' : '';
    err.hidden = !wrong; fill(err, wrong && [icon('alert', 's'), wrong]); text.setAttribute('aria-invalid', String(!!wrong));
    apply.disabled = !!wrong;
    const number = rows.length * (chosen.size + 1);
    sum.textContent = wrong ? '' : `${plural(rows.length, 'prompt')} × ${plural(chosen.size + 1, 'column')}. Pictures that are there already are not drawn again.`;
    apply.textContent = wrong ? 'Draw' : `Draw ${plural(number, 'picture')}`;
  }
  text.addEventListener('input', check);
  function take() { onApply({prompts: lines(), steps: [...chosen].sort((a, b) => a - b)}); turn(false); }
  return {el, button, show: (going) => { drawing = going; el.dataset.drawing = String(drawing); }};
}
