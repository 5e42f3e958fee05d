// Which prompts and which checkpoints are compared: a fold with one prompt a line and a chip for each checkpoint.
import {h, icon, fill, plural} from './core.js';
import {lossText} from './curve.js';
import {count} from './run.js';

const MOST = 16;
const thumb = (run, pair, side) => h('img', {src: `/media/compare/${encodeURIComponent(run)}/pair/${encodeURIComponent(pair)}/${side}.webp?w=96`, alt: '', width: 40, height: 40, loading: 'lazy', decoding: 'async'});

export function makeChooser(d, wish, onApply) {
  const edits = !!d.proposed.edits, what = edits ? 'pair' : 'prompt';
  const pairs = h('div.prs', {id: 'cmp-pairs', role: 'group', aria: {label: 'Pairs', describedby: 'cmp-prompts-err'}}), text = h('textarea.d-in', {id: 'cmp-prompts', rows: 5, spellcheck: false, aria: {describedby: 'cmp-prompts-help cmp-prompts-err'}}), chips = h('div.chips', {role: 'group', aria: {label: 'Checkpoints'}}), err = h('p.d-err', {id: 'cmp-prompts-err', role: 'alert', hidden: true});
  const apply = h('button.d-btn', {type: 'button', id: 'cmp-apply', onclick: take}), sum = h('p.d-small.d-sub');
  const el = h('section.d-card.chz', {id: 'chooser', hidden: true, aria: {label: 'Prompts and checkpoints'}},
    edits ? h('div.d-field', h('b', 'Pairs'), h('span', `Held out from the training; up to ${MOST}. Each is drawn from its picture before.`), pairs, err)
      : h('div.d-field', h('label.d-lab', {htmlFor: 'cmp-prompts'}, 'Prompts'), h('span', {id: 'cmp-prompts-help'}, `One a line, up to ${MOST}. Keep one without the trigger word, to see what it forgets.`), text, err),
    h('div.d-field', h('b', 'Checkpoints'), h('span', edits ? 'The base model cannot edit, so it has no column.' : 'The base as it came always stands first.'), chips), h('div.d-row', sum, apply));
  const button = h('button.d-btn.sm', {type: 'button', id: 'choose', aria: {expanded: 'false', controls: 'chooser'}, onclick: () => turn(el.hidden)}, icon('sliders', 's'), ' ' + (edits ? 'Pairs and columns' : 'Prompts and columns'));
  let chosen = new Set(), rows = new Set(), drawing = false;

  const lines = () => edits ? d.pairs.map((p) => p.id).filter((id) => rows.has(id)) : text.value.split('\n').map((l) => l.trim()).filter(Boolean);
  function turn(on) {
    el.hidden = !on; button.setAttribute('aria-expanded', String(on));
    if (!on) return;
    rows = new Set(wish().prompts); text.value = edits ? '' : wish().prompts.join('\n'); text.rows = Math.max(4, Math.min(10, wish().prompts.length + 1)); chosen = new Set(wish().steps);
    paint(); (edits ? pairs.querySelector('button') : text)?.focus();
  }
  function paint() {
    if (edits) fill(pairs, d.pairs.map((p) => h('button.prr' + (rows.has(p.id) ? '.on' : ''), {type: 'button', aria: {pressed: String(rows.has(p.id))}, onclick: (e) => { rows.has(p.id) ? rows.delete(p.id) : rows.add(p.id); e.currentTarget.classList.toggle('on', rows.has(p.id)); e.currentTarget.setAttribute('aria-pressed', String(rows.has(p.id))); check(); }},
      h('span.d-pair', thumb(d.run.id, p.id, 'before'), thumb(d.run.id, p.id, 'target')), h('span', p.text))));
    fill(chips, d.checkpoints.map((k) => h('button.d-chip' + (chosen.has(k.step) ? '.on' : ''), {type: 'button', aria: {pressed: String(chosen.has(k.step))}, onclick: (e) => { chosen.has(k.step) ? chosen.delete(k.step) : chosen.add(k.step); const at = [...chips.children].indexOf(e.currentTarget); paint(); chips.children[at].focus(); }},
      chosen.has(k.step) && icon('check', 's'), count(k.step), k.loss != null && h('b', lossText(k.loss)))));
    check();
  }
  function check() {
    const rows = lines(), wrong = !rows.length ? (edits ? 'Choose at least one pair.' : 'Write at least one prompt.') : rows.length > MOST ? `There are ${rows.length} ${what}s; at most ${MOST} fit on one strip.` : !chosen.size ? 'Choose at least one checkpoint.' : '';
    err.hidden = !wrong; fill(err, wrong && [icon('alert', 's'), wrong]); text.setAttribute('aria-invalid', String(!!wrong));
    apply.disabled = !!wrong;
    const columns = chosen.size + (edits ? 0 : 1), number = rows.length * columns;
    sum.textContent = wrong ? '' : `${plural(rows.length, what)} × ${plural(columns, edits ? 'checkpoint' : 'column')}. Pictures that are there already are not drawn again.`;
    apply.textContent = wrong ? 'Draw' : `Draw ${plural(number, 'picture')}`;
  }
  text.addEventListener('input', check);
  function take() { onApply({prompts: lines(), steps: [...chosen].sort((a, b) => a - b)}); turn(false); }
  return {el, button, show: (going) => { drawing = going; el.dataset.drawing = String(drawing); }};
}
