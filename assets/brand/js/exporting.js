// A data set that leaves: what is small comes at once; what takes longer is work under way, and its card offers the file.
import {h, api, toast, fill, icon, plural, size} from './core.js';
import {fileOf, isActive} from './datajobs.js';

const path = (id) => encodeURIComponent(id);
const FORMS = {
  zip: ['Pictures and text files', 'A ZIP of PNG files with a .txt beside each and a list; masks in a folder of their own. What most trainers read.'],
  parquet: ['One table', 'A Parquet file with the pictures in it, as the Hugging Face hub keeps them.'],
  saved: ['Saved data set', 'A ZIP with a folder that datasets.load_from_disk opens.'],
  shards: ['Shards', 'A ZIP with WebDataset tars of 10,000 samples each, for what is more than a disk should hold as files.'],
  kohya: ['Folders with repeats', 'A ZIP with folders such as 10_zog, as kohya’s scripts want them. Pictures that came in such a folder keep its number.'],
};

/* Begins; sends the file at once where it is ready, else hands the job to `track`. */
async function begin(ds, body, track) {
  const job = await api(`/datasets/${path(ds.id)}/export`, body);
  if (isActive(job) || !job.file) { track(job); return job; }
  const link = h('a', {href: fileOf(job, 'close'), download: job.file.name});
  document.body.append(link);
  link.click();
  link.remove();
  toast(`${job.file.name}, ${size(job.file.bytes)}, is on its way`, null, null, 4);
  return job;
}
/* Rows for a menu. */
export function exportRows(ds, track) {
  const quick = (form) => () => begin(ds, {form}, track).catch((error) => toast(error.message));
  return [['down2', 'Export as ZIP', quick('zip')], ['down2', ds.kind === 'pairs' ? 'Export for edit trainers' : 'Export as Parquet', quick('parquet')], ['down2', 'Export in another form', () => askForm(ds, track)]];
}
function askForm(ds, track) {
  const pairs = ds.kind === 'pairs', rows = ds.num_pictures - ds.num_incomplete - ds.num_excluded, repeats = h('input.d-in', {type: 'number', min: 1, max: 1000, value: 10});
  const often = h('label.d-field', h('b', 'Repeats of the other pictures'), h('span', 'How often a picture is shown in a pass, 1 to 1,000.'), repeats), err = h('p.d-err', {role: 'alert', hidden: true}), go = h('button.d-btn.pri', {value: 'yes'}, 'Export');
  const forms = Object.entries(FORMS).filter(([name]) => !pairs || name !== 'kohya'), chosen = () => form.querySelector('input[name=form]:checked').value;
  const radio = ([name, [title, help]], n) => h('label.ck', h('input', {type: 'radio', name: 'form', value: name, checked: n === 0, onchange: show}), h('span', h('b', title), ' ', h('small', help)));
  const form = h('form', {onsubmit: async (e) => {
    e.preventDefault();
    go.disabled = true;
    try { await begin(ds, {form: chosen(), ...(chosen() === 'kohya' ? {repeats: Math.round(+repeats.value) || 1} : {})}, track); dialog.close(); } catch (error) { err.hidden = false; fill(err, icon('alert', 's'), error.message); go.disabled = false; }
  }}, h('div.fs', h('fieldset.cks', h('legend', 'Form'), forms.map(radio)), often), err,
  h('div.d-row', h('button.d-btn.quiet.d-push', {type: 'button', onclick: () => dialog.close()}, 'Cancel'), go));
  const dialog = h('dialog.d-dialog.arr.exp', {aria: {labelledby: 'export-title'}}, h('h2.d-h2', {id: 'export-title'}, `Export “${ds.name}”`),
    h('p.d-sub', `${plural(rows, pairs ? 'pair' : 'picture')} with ${pairs ? 'instructions' : 'captions and masks'}, as a training is given them.`), form);
  function show() { often.hidden = chosen() !== 'kohya'; }
  show();
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
