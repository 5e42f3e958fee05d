// A table whose columns' names tell nothing: which one holds the pictures, or those before and after, and which the words.
import {h, icon, fill, plural} from './core.js';

const PLACES = [['', 'Not used'], ['picture', 'Picture'], ['before', 'Picture before'], ['after', 'Picture after']];
const ROLES = {picture: [...PLACES, ['mask', 'Mask']], file: PLACES, words: [['', 'Not used'], ['words', 'Words']]};

/* asks: {name, columns: [{name, kind, examples}], pictures, words}. send({pictures, words}) -> promise. One dialogue at a time. */
export function askColumns(asks, send) {
  document.querySelector('dialog.cols')?.close();
  let touched = false;                                                 // what is missing is said once somebody has begun to choose
  const roles = new Map(asks.columns.map((c) => [c.name, first(asks, c)])), err = h('p.d-err', {role: 'alert', hidden: true});
  const yes = h('button.d-btn.pri', {type: 'button', onclick: take}, 'Bring it in');
  const example = (c, value) => (c.kind === 'picture' ? (value ? h('img', {src: value, alt: '', width: 56, height: 56}) : h('span.none', {aria: {label: 'No picture'}})) : h(c.kind === 'file' ? 'code' : 'span', c.kind === 'file' ? value || 'no name' : value ? `“${value}”` : 'no words'));
  const row = (c, n) => {
    const select = h('select.d-sel', {id: 'col-' + n, onchange: () => { roles.set(c.name, select.value); touched = true; check(); }}, ROLES[c.kind].map(([value, text]) => h('option', {value, selected: roles.get(c.name) === value}, text)));
    return h('li', h('label', {htmlFor: 'col-' + n}, h('b', c.name)), h('div.ex' + (c.kind === 'picture' ? '.pics' : ''), c.examples.map((value) => example(c, value))), select);
  };
  const dialog = h('dialog.d-dialog.cols', {aria: {labelledby: 'cols-title'}}, h('h2.d-h2', {id: 'cols-title'}, 'Which columns hold what?'),
    h('p.d-sub', `The names in “${asks.name}” do not tell. Choose the column of pictures, or both of an edit pair: before and after. Below stand the first rows.`),
    h('ul.cl', asks.columns.map(row)), err, h('div.d-row', h('button.d-btn.quiet', {type: 'button', onclick: () => dialog.close()}, 'Later'), h('span.d-push'), yes));

  function chosen() {
    const of = (role) => asks.columns.filter((c) => roles.get(c.name) === role).map((c) => c.name);
    const [one, before, after, words, masks] = ['picture', 'before', 'after', 'words', 'mask'].map(of), more = {words: words[0] || '', mask: masks[0] || ''};
    if (words.length > 1) return {wrong: `${plural(words.length, 'column')} are set to words; one can be read.`};
    if (masks.length > 1) return {wrong: `${plural(masks.length, 'column')} are set to masks; one can be read.`};
    if (masks.length && (before.length || after.length)) return {wrong: 'Masks belong to single pictures: choose one column of pictures beside it, or set the mask to “Not used”.'};
    if (one.length === 1 && !before.length && !after.length) return {pictures: one, ...more};
    if (!one.length && before.length === 1 && after.length === 1) return {pictures: [...before, ...after], ...more};
    if (!one.length && !before.length && !after.length) return {wrong: 'Choose the column that holds the pictures.'};
    if (one.length) return {wrong: 'Choose one column of pictures; or for edit pairs one before and one after, and no other.'};
    return {wrong: before.length ? 'Choose which one column holds the pictures after.' : 'Choose which one column holds the pictures before.'};
  }
  function check() {
    const {wrong} = chosen();
    err.hidden = !wrong || !touched;
    fill(err, wrong && [icon('alert', 's'), wrong]);
    yes.disabled = !!wrong;
  }
  async function take() {
    const {wrong, ...value} = chosen();
    if (wrong) return;
    yes.disabled = true;
    try { await send(value); dialog.close(); } catch (error) { err.hidden = false; fill(err, icon('alert', 's'), error.message); yes.disabled = false; }
  }
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => { dialog.remove(); resolve(); });
    document.body.append(dialog);
    dialog.showModal();
    check();
  });
}
function first(asks, c) {
  if (c.name === asks.words) return 'words';
  if (c.name === asks.mask) return 'mask';
  const at = asks.pictures.indexOf(c.name);
  return at < 0 ? '' : asks.pictures.length === 1 ? 'picture' : at ? 'after' : 'before';
}
