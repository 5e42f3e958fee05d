// What one does with whole data sets: copy, merge, split, put into the trash; and the trash itself.
import {h, icon, fill, api, ask, plural, toast} from './core.js';

const noun = (kind) => (kind === 'pairs' ? 'pair' : 'picture');
const path = (id) => encodeURIComponent(id);

/* A dialogue with fields. send() -> promise; its refusal is shown and the dialogue stays. Resolves with what it answered, or null. */
export function formDialog(title, text, fields, yes, send) {
  return new Promise((resolve) => {
    const err = h('p.d-err', {role: 'alert', hidden: true}), go = h('button.d-btn.pri', {value: 'yes'}, yes);
    let answer = null;
    const form = h('form', {onsubmit: async (e) => {
      e.preventDefault();
      go.disabled = true;
      try { answer = await send(); dialog.close(); } catch (error) { err.hidden = false; fill(err, icon('alert', 's'), error.message); go.disabled = false; }
    }}, h('div.fs', fields), err, h('div.d-row', h('button.d-btn.quiet.d-push', {type: 'button', onclick: () => dialog.close()}, 'Cancel'), go));
    const dialog = h('dialog.d-dialog.arr', {aria: {labelledby: 'arr-title'}}, h('h2.d-h2', {id: 'arr-title'}, title), h('p.d-sub', text), form);
    dialog.addEventListener('close', () => { dialog.remove(); resolve(answer); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
export const field = (label, input, help) => h('label.d-field', h('b', label), help && h('span', help), input);
const nameInput = (value) => h('input.d-in', {value, maxLength: 80});

export function copy(ds) {
  const name = nameInput(`${ds.name.slice(0, 73)} (copy)`);
  return formDialog(`Copy “${ds.name}”`, 'The copy has the same pictures and words and can be changed without the first one. It takes nearly no space: files that are equal lie on the disk once.',
    field('Name of the copy', name), 'Copy', () => api(`/arrange/${path(ds.id)}/copy`, {name: name.value}));
}
export async function merge(ds, all) {
  const others = all.filter((d) => d.id !== ds.id && d.kind === ds.kind && d.rows > 0);
  if (!others.length) { toast(`There is no other data set of ${ds.kind === 'pairs' ? 'edit pairs' : 'pictures'} to merge with.`); return null; }
  const boxes = others.map((d) => h('label.ck', h('input', {type: 'checkbox', value: d.id, onchange: say}), h('span', h('b', d.name), ' ', h('small', plural(d.rows, noun(d.kind))))));
  const into = h('select.d-sel', {onchange: say}, h('option', {value: ''}, 'A new data set; all stay as they are'), h('option', {value: ds.id}, `“${ds.name}”, which then has them too`));
  const name = nameInput(''), sum = h('p.d-small.d-sub', {role: 'status'}), named = field('Its name', name);
  const chosen = () => boxes.map((b) => b.querySelector('input')).filter((i) => i.checked).map((i) => i.value);
  let own = '';
  function say() {
    const some = others.filter((d) => chosen().includes(d.id)), rows = some.reduce((n, d) => n + d.rows, ds.rows);
    named.hidden = !!into.value;
    if (name.value === own) name.value = own = [ds.name, ...some.map((d) => d.name)].join(' and ').slice(0, 80);
    sum.textContent = some.length ? `At most ${plural(rows, noun(ds.kind))}. The same picture comes once, and you are told which.` : 'Choose at least one.';
  }
  say();
  return formDialog(`Merge “${ds.name}”`, 'Brings the rows of the chosen data sets together, with their words.', [h('fieldset.cks', h('legend', 'With'), boxes), field('Into', into), named, sum], 'Merge', () => {
    if (!chosen().length) throw new Error('Choose at least one data set to merge with.');
    return api('/arrange/merge', into.value ? {sources: chosen(), into: into.value} : {sources: [ds.id, ...chosen()], name: name.value});
  });
}
export function split(ds) {
  const radio = (value, text, on) => h('label.ck', h('input', {type: 'radio', name: 'how', value, checked: on, onchange: show}), h('span', h('b', text)));
  const percent = h('input.d-in', {type: 'number', min: 1, max: 99, value: 20, oninput: show}), text = h('input.d-in', {maxLength: 200}), small = h('input.d-in', {type: 'number', min: 0, value: 512});
  const how = [radio('share', 'A share, by chance', true), radio('text', ds.kind === 'pairs' ? 'Those whose instruction says' : 'Those whose caption says'), radio('silent', `Those without ${ds.kind === 'pairs' ? 'an instruction' : 'a caption'}`), radio('small', 'Those that are small')];
  const names = [nameInput(`${ds.name.slice(0, 70)} (rest)`), nameInput(`${ds.name.slice(0, 70)} (20 %)`)];
  const fields = {share: field('Share in per cent', percent), text: field('Words', text, 'As they stand, in any case of letters.'), small: field('Shorter side below, in px', small)};
  let own = names[1].value;
  const chosen = () => how.map((l) => l.querySelector('input')).find((i) => i.checked).value;
  function show() {
    for (const [key, el] of Object.entries(fields)) el.hidden = key !== chosen();
    const what = {share: `${percent.value} %`, text: 'some words', silent: 'no words', small: 'small'}[chosen()];
    if (names[1].value === own) names[1].value = own = `${ds.name.slice(0, 70)} (${what})`;
  }
  show();
  return formDialog(`Split “${ds.name}”`, `Makes two data sets of one, which stays as it is. Near copies stay on one side, so that none teaches while its twin judges.`,
    [h('fieldset.cks', h('legend', 'What goes into the second one'), how), Object.values(fields), field('Name of the rest', names[0]), field('Name of the second one', names[1])], 'Split', () => {
      const asked = {share: {percent: +percent.value}, text: {text: text.value}, silent: {silent: true}, small: {smaller_px: +small.value}}[chosen()];
      if (chosen() === 'text' && !text.value.trim()) throw new Error('Write the words that are looked for.');
      return api(`/arrange/${path(ds.id)}/split`, {...asked, names: names.map((n) => n.value)});
    });
}
export async function rename(ds) {
  const name = nameInput(ds.name);
  return formDialog('Rename this data set', 'Runs and links find it all the same.', field('Name', name), 'Rename', () => api('/datasets/' + path(ds.id), {name: name.value}, 'PATCH'));
}
/* A data set of the hub: into this one where it is there, else into a new one. */
export function fetchFromHub(ds) {
  const repo = h('input.d-in', {placeholder: 'owner/name', maxLength: 200, spellcheck: false}), split = h('input.d-in', {placeholder: 'train', maxLength: 60}), revision = h('input.d-in', {placeholder: 'newest', maxLength: 100});
  return formDialog('From the Hugging Face hub', ds ? `Its rows come into “${ds.name}”.` : 'Its rows become a data set here.',
    [field('Data set', repo, 'Its name on the hub. For a gated or private one the studio needs a token in HF_TOKEN.'), h('div.two', field('Split', split), field('Revision', revision))],
    'Fetch', () => { if (!repo.value.trim()) throw new Error('Write the name of a data set, such as owner/name.'); return api('/hub/fetch', {repo: repo.value, split: split.value, revision: revision.value, dataset: ds ? ds.id : ''}); });
}
export function push(ds) {
  const repo = h('input.d-in', {placeholder: 'owner/name', maxLength: 200, spellcheck: false});
  const box = (label, help, checked) => { const input = h('input', {type: 'checkbox', checked}); return {input, el: h('label.ck', input, h('span', h('b', label), ' ', h('small', help)))}; };
  const own = box('Only I may see it', 'private, where it is made now', true), over = box('Tables that are there give way', '', false);
  return formDialog(`Push “${ds.name}” to the hub`, 'It goes to huggingface.co as Parquet files with the pictures in them. Who may see it there sees the pictures and the words.',
    [field('Where to', repo, 'Your name and one for the data set. The studio needs a token with the right to write in HF_TOKEN.'), h('div', own.el, over.el)], 'Push',
    () => api(`/hub/push/${path(ds.id)}`, {repo: repo.value, private: own.input.checked, replace: over.input.checked}));
}
/* Puts it away; the toast brings it back. Resolves with what is in the trash then, or null. */
export async function putAway(ds, back) {
  try {
    const gone = await api('/datasets/' + path(ds.id), undefined, 'DELETE');
    if (back) toast(`“${gone.name}” is in the trash for 30 days`, 'Undo', () => restore(gone, back), 12);
    return gone;
  } catch (error) { toast(error.message); return null; }
}
export async function restore(one, then) {
  try { then(await api(`/trash/${path(one.id)}/restore`, {})); } catch (error) { toast(error.message); }
}
/* Rows for a menu. all(): every data set; started(job), changed(): what the page does then. */
export function arrangeRows(ds, {all, started, changed, gone}) {
  const begin = (make) => async () => { const job = await make(); if (job) started(job); };
  return [['copy', 'Copy', begin(() => copy(ds))], ['plus', 'Merge with others', begin(async () => merge(ds, await all()))], ['crop', 'Split in two', begin(() => split(ds))],
    changed && ['pen', 'Rename', async () => { if (await rename(ds)) changed(); }], ['trash', 'Move to the trash', () => gone(ds)]].filter(Boolean);
}

/* The trash: what is in it, how large, how long; back, or for good. changed(): after every step. */
export async function openTrash(changed) {
  const list = h('div.d-rows.tr'), dialog = h('dialog.d-dialog.arr.wide', {aria: {labelledby: 'trash-title'}},
    h('div.d-row', h('h2.d-h2', {id: 'trash-title'}, 'Trash'), h('button.d-btn.ico.quiet.d-push', {type: 'button', aria: {label: 'Close'}, onclick: () => dialog.close()}, icon('x', 's'))),
    h('p.d-sub', 'Data sets stay here for 30 days, whole, then they go for good.'), list);
  async function draw() {
    let found;
    try { found = await api('/trash'); } catch (error) { fill(list, h('p', error.message)); return; }
    fill(list, found.length ? found.map((one) => h('div', h('div.bd', h('b', one.name), h('p', `${one.size}. ${one.days_left < 1 ? 'It goes today' : `${plural(one.days_left, 'day')} left`}.`)),
      h('button.d-btn.sm', {type: 'button', aria: {label: `Restore ${one.name}`}, onclick: () => restore(one, (info) => { toast(`“${info.name}” is back`, null, null, 4); step(); })}, 'Restore'),
      h('button.d-btn.sm.danger', {type: 'button', aria: {label: `Delete ${one.name} for good`}, onclick: () => remove(one)}, 'Delete for good'))) : h('div', h('p', 'Nothing is in the trash.')));
  }
  const step = async () => { await draw(); changed(); };
  async function remove(one) {
    if (!(await ask(`Delete “${one.name}” for good?`, `${one.size}. This cannot be undone. Trained models stay.`, 'Delete for good', 'Keep it'))) return;
    try { await api('/trash/' + path(one.id), undefined, 'DELETE'); } catch (error) { toast(error.message); }
    step();
  }
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  await draw();
}
