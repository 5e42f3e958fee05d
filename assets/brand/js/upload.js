// Bringing files in: gather them from a drop or a picker, send them in small parts four at a time, tell how far it is.
import {h, api, read} from './core.js';

const PARALLEL = 4, PART_FILES = 20, PART_BYTES = 16e6, SMALL_BYTES = 2e6;
const IGNORED = /(^|\/)(\.|__MACOSX\/|Thumbs\.db$|desktop\.ini$)/i;    // what systems leave in folders
const isCaption = (file) => /\.txt$/i.test(file.name);
const isTable = (file) => /\.(parquet|arrow)$/i.test(file.name);
const isList = (file) => /\.(jsonl|ndjson|json|csv|tsv)$/i.test(file.name);
const MOST_NAMES = 4000, WORD = 'before|after|input|output|source|target|original|edited';
const paths = new WeakMap();                                           // a dropped file does not know the folder that it came from
export const pathOf = (file) => paths.get(file) || file.webkitRelativePath || file.name;

export const callIt = (file, path) => paths.set(file, path);
/* Roughly what both pictures of an edit pair share, so that they travel together; the server matches them exactly. */
export const mate = (path) => path.split('/').pop().replace(/\.[^.]*$/, '').toLowerCase().replace(new RegExp(`[\\s_.-]+\\(?(${WORD}|[01ab])\\)?$`), '').replace(new RegExp(`^(${WORD})[\\s_.-]+`), '');

/* What a picture shares with its caption and its mask, so that they travel together: `cat` of cat.png, cat.txt, cat-masklabel.png, masks/cat.png. */
export const sitter = (path) => path.replace(/\.[^./]*$/, '').replace(/-masklabel$/i, '').replace(/(^|\/)(masks?|\d{1,4}_[^/]+)\//i, '$1');
/* Everything in a drop, folders to any depth. -> {files, name}: name is that of the folder or ZIP, if there is just one. */
export async function filesFrom(transfer) {
  const items = [...(transfer.items || [])].filter((item) => item.kind === 'file');
  const entries = items.map((item) => item.webkitGetAsEntry?.()).filter(Boolean);    // at once: the list is empty after an await
  if (!entries.length) return {files: wanted([...transfer.files]), name: nameOf([...transfer.files])};
  const files = [];
  for (const entry of entries) await walk(entry, files);
  const folder = entries.length === 1 && entries[0].isDirectory ? entries[0].name : '';
  return {files: wanted(files), name: folder || nameOf(files)};
}
async function walk(entry, files) {
  if (IGNORED.test(entry.name)) return;
  if (entry.isFile) {
    const file = await new Promise((ok) => entry.file(ok, () => ok(null)));
    if (file) { paths.set(file, entry.fullPath.replace(/^\//, '')); files.push(file); }
    return;
  }
  const reader = entry.createReader();
  for (;;) {                                                           // readEntries gives at most 100 at a time
    const more = await new Promise((ok) => reader.readEntries(ok, () => ok([])));
    if (!more.length) return;
    for (const child of more) await walk(child, files);
  }
}
const wanted = (files) => files.filter((f) => !IGNORED.test(pathOf(f))).sort((a, b) => pathOf(a).localeCompare(pathOf(b), 'en', {numeric: true}));
function nameOf(files) {
  const folder = files[0]?.webkitRelativePath?.split('/')[0];
  if (folder) return folder;
  const zip = files.find((f) => isTable(f) || /\.(zip|tar|tgz|tar\.gz)$/i.test(f.name)) || files.find((f) => !isCaption(f));
  const stem = (zip?.name || '').replace(/\.[^.]*$/, '').replace(/-\d+-of-\d+$/, '').replace(/[\s_-]*\(?\d+\)?$/, '').replace(/_+/g, ' ').trim();
  return /^(img|image|dsc|dscn|pxl|photo|screenshot|p)?$/i.test(stem) ? '' : stem;   // a camera's counter is no name
}

/* Real inputs, hidden by sight only: for the button, for assistive technology and for tests. */
export function pickers(onfiles) {
  const input = (id, label, extra) => {
    const el = h('input.d-vh', {type: 'file', id, multiple: true, tabIndex: -1, aria: {label}, onchange: () => {
      const files = [...el.files];
      el.value = '';
      if (files.length) onfiles({files: wanted(files), name: nameOf(files)});
    }, ...extra});
    return el;
  };
  const files = input('pick-files', 'Choose pictures, captions, ZIP files or tables', {accept: 'image/*,.zip,.tar,.tgz,.gz,.bz2,.xz,.parquet,.arrow,.txt,.jsonl,.ndjson,.json,.csv,.tsv'});
  const folder = input('pick-folder', 'Choose a folder', {});
  folder.webkitdirectory = true;
  return {files, folder, chooseFiles: () => files.click(), chooseFolder: () => folder.click()};
}

/* A drop anywhere on the page. onover(true|false, event) while something hangs over it; ondrop(event) may take it for a place of its own. */
export function dropAnywhere(onfiles, onover, ondrop) {
  let depth = 0;
  const holds = (e) => [...(e.dataTransfer?.types || [])].includes('Files');
  const on = (name, f) => addEventListener(name, (e) => { if (holds(e)) { e.preventDefault(); f(e); } });
  on('dragenter', (e) => { if (depth++ === 0) onover(true, e); });
  on('dragleave', (e) => { if (--depth <= 0) { depth = 0; onover(false, e); } });
  on('dragover', (e) => { e.dataTransfer.dropEffect = 'copy'; });
  on('drop', async (e) => { depth = 0; onover(false, e); if (ondrop?.(e)) return; const got = await filesFrom(e.dataTransfer); if (got.files.length) onfiles(got); });
  addEventListener('paste', (e) => { const files = [...(e.clipboardData?.files || [])]; if (files.length) onfiles({files, name: ''}); });
}

/* The queue of a page. handlers: dataset(name, files) -> id (made where there is none), outcome(o, kind), change(queue), done(queue),
   group(path): files with the same answer travel together; job(job): work that goes on by itself, of an archive or a table. */
export function createQueue(handlers) {
  const q = {total: 0, settled: 0, accepted: 0, bytes: 0, sent: 0, waiting: [], refused: [], began: 0, busy: false};
  let parts = [], running = 0, id = null, alone = false;
  const requests = new Set();
  const secondsLeft = () => { const s = (performance.now() - q.began) / 1000; return q.sent > 0 && s > 1 ? (s / q.sent) * (q.bytes - q.sent) : null; };
  q.secondsLeft = secondsLeft;
  q.percent = () => (q.bytes ? Math.floor((100 * q.sent) / q.bytes) : 0);
  /* What has come in stays; what is on its way may have come or not, and the rest is not sent. */
  q.stop = () => {
    q.stopped = true;
    q.settled += parts.flat().length;
    q.waiting = [];
    parts = [];
    for (const request of requests) request.abort();
    pump();
  };

  /* A caption travels in the same part as its picture; few files go one by one, so that they appear one by one. A list goes first
     and alone: what it names is known when the pictures come. */
  function split(files) {
    const lists = files.filter(isList);
    if (lists.length) return [Object.assign(lists, {first: true}), ...split(files.filter((f) => !isList(f)))];
    const tables = files.filter(isTable);                              // one table in several files: its columns are asked once
    if (tables.length) return [...split(files.filter((f) => !isTable(f))), tables];
    const each = Math.min(PART_FILES, Math.max(1, Math.ceil(files.length / 24))), pairs = new Map();
    for (const file of files) {
      const key = handlers.group ? handlers.group(pathOf(file)) : sitter(pathOf(file));
      pairs.set(key, isCaption(file) ? [...(pairs.get(key) || []), file] : [file, ...(pairs.get(key) || [])]);
    }
    const out = [];
    let part = [], bytes = 0;
    for (const pair of pairs.values()) {
      const size = pair.reduce((sum, f) => sum + f.size, 0);
      if (part.length && (part.length >= each || bytes + size > PART_BYTES || size > SMALL_BYTES)) { out.push(part); part = []; bytes = 0; }
      part.push(...pair);
      bytes += size;
    }
    return part.length ? [...out, part] : out;
  }
  function refuse(file, reason, retry = true) { q.refused.push({name: file.name, reason, file: retry ? file : null}); }

  q.add = async ({files, name}) => {
    if (!files.length) return;
    if (!q.busy) Object.assign(q, {total: 0, settled: 0, accepted: 0, bytes: 0, sent: 0, began: performance.now(), busy: true, stopped: false});
    q.total += files.length;
    q.bytes += files.reduce((sum, f) => sum + f.size, 0);
    q.waiting.push(...files);
    handlers.change(q);
    try { id = await handlers.dataset(name, files); } catch (error) {
      for (const file of files) { refuse(file, error.message); q.settled += 1; }
      q.waiting = q.waiting.filter((f) => !files.includes(f));
      return finish();
    }
    if (q.stopped) return;                                             // before there was a data set
    parts.push(...split(files));
    pump();
  };
  q.retry = (entries) => {
    q.refused = q.refused.filter((r) => !entries.includes(r));
    return q.add({files: entries.map((r) => r.file).filter(Boolean), name: ''});
  };
  function pump() {
    while (!alone && running < (parts[0]?.first ? 1 : PARALLEL) && parts.length) { running += 1; alone = !!parts[0].first; send(parts.shift()); }
    if (!running && !parts.length) finish();
  }
  function finish() {
    if (running || parts.length) return;
    q.busy = false;
    q.waiting = [];
    handlers.change(q);
    handlers.done(q);
  }
  async function send(files) {
    const form = new FormData(), size = files.reduce((sum, f) => sum + f.size, 0), before = {sent: 0};
    for (const file of files) form.append('files', file, pathOf(file));
    const progress = (loaded) => { const now = Math.min(size, loaded); q.sent += now - before.sent; before.sent = now; handlers.change(q); };
    try {
      const {outcomes, kind, job} = await post(`/api/datasets/${id}/files`, form, progress, requests);
      for (const outcome of outcomes) {
        if (outcome.accepted) q.accepted += 1;
        else { const file = files.find((f) => pathOf(f).endsWith(outcome.name)); refuse(file || {name: outcome.name}, outcome.reason, !!file); }
        handlers.outcome(outcome, kind);
      }
      if (job) { const over = handlers.job?.(job, !!files.first); if (files.first) await over; }             // what a list names is known before its pictures come
    } catch (error) {
      if (!q.stopped) for (const file of files) refuse(file, error.message);
    }
    progress(size);
    q.settled += files.length;
    q.waiting = q.waiting.filter((f) => !files.includes(f));
    running -= 1;
    alone = false;
    handlers.change(q);
    pump();
  }
  addEventListener('beforeunload', (e) => { if (q.busy) e.preventDefault(); });
  return q;
}
/* fetch cannot tell how much has been sent; XMLHttpRequest can. */
function post(url, form, onprogress, requests = new Set()) {
  return new Promise((ok, no) => {
    const request = new XMLHttpRequest();
    request.open('POST', url);
    request.upload.onprogress = (e) => onprogress(e.loaded);
    requests.add(request);
    request.onloadend = () => requests.delete(request);
    request.onabort = () => no(new Error('It was stopped.'));
    request.onload = () => read(new Response(request.status === 204 ? null : request.responseText, {status: request.status})).then(ok, no);
    request.onerror = () => no(new Error('The connection broke off while it was on its way. Try again.'));
    request.send(form);
  });
}
/* A new data set. Where nobody chose its kind, the names of the files that come tell it, or the head of their list. */
export async function createDataset(name, kind = '', files = []) {
  const list = files.find(isList), listed = list ? (await list.slice(0, 4000).text()).slice(0, 4000) : '';
  const names = [...files].sort((a, b) => mate(pathOf(a)).localeCompare(mate(pathOf(b)))).slice(0, MOST_NAMES).map(pathOf);
  return api('/datasets', {name: (name || (kind === 'pairs' ? 'My edits' : 'My pictures')).slice(0, 80), kind, files: names, listed});
}
/* One file for one side of a pair. */
export async function sendToSide(id, pair, side, file) {
  const form = new FormData();
  form.append('files', file, file.name);
  return (await post(`/api/datasets/${id}/files?pair=${pair}&side=${side}`, form, () => {})).outcomes[0];
}
export const keepRefused = (id, refused) => { try { sessionStorage['refused:' + id] = JSON.stringify(refused.map(({name, reason}) => ({name, reason}))); } catch { /* only the list is lost */ } };
export function takeRefused(id) {
  const text = sessionStorage['refused:' + id];
  delete sessionStorage['refused:' + id];
  return text ? JSON.parse(text).map((r) => ({...r, file: null})) : [];
}
