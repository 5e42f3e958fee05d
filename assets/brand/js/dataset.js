// The light table: what is in this data set, and everything one does with it. Pictures and edit pairs each have a view of their own.
import {h, icon, fill, refill, api, ready, query, href, tellAddress, toast, about, plural, typing, note, KEYS} from './core.js';
import {createQueue, createDataset, pickers, dropAnywhere, takeRefused, mate, sitter} from './upload.js';
import {refresh, crumb} from './rail.js';
import {makeMarks} from './dataset_marks.js';
import {placesOf, runsOf} from './rows.js';
import {emptyTable, kindChoice, moreMenu, patiently, renameTitle} from './dataset_parts.js';
import {makePictures} from './dataset_pictures.js';
import {makePairs, askSides} from './dataset_pairs.js';
import {makeJobs, isActive, isImport} from './datajobs.js';
import {exportRows} from './exporting.js';
import {arrangeRows, fetchFromHub, push, putAway} from './arrange.js';

const TAKES = {pictures: ['Drop to add', 'Pictures, folders or a ZIP'], pairs: ['Drop to add', 'Two folders, a ZIP or single files: they find their partners by name']};

export async function mount(el) {
  let id = query.get('dataset'), info = null, rows = {length: 0}, undone = [], chosen = '';

  const title = h('h1'), sentence = h('p', {role: 'status'}), cr = h('button.d-crumb', {type: 'button'}), tools = h('div.d-tools');
  const body = h('div'), refusedBox = h('section.d-sec', {hidden: true, aria: {live: 'polite', label: 'Files that were not taken'}});
  const dockText = h('p', {role: 'status'}), dock = h('div.d-dock', {role: 'region', aria: {label: 'Main action'}}, h('div', dockText));
  const coverText = [h('b'), h('span')], cover = h('div.d-cover', {hidden: true}, h('div', icon('pic', 'l'), coverText));
  const jobs = makeJobs({wanted: (job) => (id ? job.dataset === id || (!job.dataset && isActive(job)) : false), moved: peek, done: jobDone});
  const queue = createQueue({dataset: need, outcome, change: later, job: (job) => jobs.track(job), done: settled, group: (path) => (kind() === 'pairs' ? mate(path) : sitter(path))});
  const pick = pickers(add);
  const page = {
    get id() { return id; }, track: (job) => jobs.track(job), load, get info() { return info; }, queue, pick, draw, mark, refresh, recount,
    remove: removeRows, exclude, judge, placesLike: async (kind) => placesOf((await ofSet('places?' + kind)).places), say: (error) => toast(error.message),
    edited({token, picture}, words) { page.put(picture); draw(); page.done(token, words); refresh(); mark(); },
    done(token, text) { if (!token) return; undone.push(token); toast(text, 'Undo', undo); },
    take(data) { newest = Promise.resolve(data); laid(data); draw(); refresh(); mark(); },
    async again() { page.take(await ask()); },
    put(row) { view().put(row); rows = {length: view().length}; recount(); },
    refuse(name, reason) { queue.refused.push({name, reason, file: null}); draw(); },
  };
  const views = {pictures: null, pairs: null};
  const kind = () => info?.kind || chosen || 'pictures';
  const view = () => (views[kind()] ||= (kind() === 'pairs' ? makePairs : makePictures)(page));
  fill(el, h('header.d-head', h('div', cr, title, sentence), tools), pick.files, pick.folder, jobs.el, body, refusedBox, dock, cover);
  dropAnywhere(add, (over, e) => { fill(coverText[0], TAKES[kind()][0]); fill(coverText[1], TAKES[kind()][1]); cover.hidden = !over || !!view().aim?.(over, e); }, (e) => view().dropped?.(e));
  /* How the data set stands. Where that was asked again meanwhile, what the newest answer says: an older one may come after it. */
  let newest = null;
  async function ask() {
    let mine = (newest = api('/datasets/' + encodeURIComponent(id))), now = await mine;
    while (mine !== newest) now = await (mine = newest);
    return now;
  }
  const ofSet = (path) => api(`/datasets/${encodeURIComponent(id)}/${path}`);
  /* The table knows where all rows lie, and asks for those that are looked at. `grown`: what was here is as it was. */
  function laid(now, grown) { info = now; view().take(info, grown); rows = {length: view().length}; }
  /* How many are of each kind: by the table, once the hand rests. */
  let counting = 0, counted = 0;
  function recount() {
    const mine = ++counted;
    clearTimeout(counting);
    if (id) counting = setTimeout(async () => { try { const now = await ofSet('kinds'); if (mine === counted) { Object.assign(info, now); draw(); } } catch { /* the next one tells */ } }, 300);
  }
  const marks = makeMarks({ask: (places) => ofSet('marks?places=' + encodeURIComponent(places)), came: marked});
  function marked() { if (marks.ready) el.closest('.block').dataset.marks = 'ready'; later(); }
  function mark() { if (rows.length) marks.renew(); else el.closest('.block').setAttribute('data-marks', 'ready'); }

  async function add(got) { if (kind() === 'pairs') got = await askSides(got); if (got) queue.add(got); }
  /* The data set that dropped files belong to: this one, or a fresh one whose id goes into the address. */
  let making = null;
  function need(name, files) {
    if (id) return id;
    making ??= createDataset(name, chosen, files).then((made) => {
      here(made.id);
      info = made;
      return id;
    }).finally(() => { making = null; });
    return making;
  }
  function here(made) {
    id = made;
    query.set('dataset', id);
    tellAddress();
    refresh();
  }
  let told = 0;
  function outcome(o, found) {
    if (Date.now() - told > 2000) { told = Date.now(); refresh(); }
    if (found && info) info.kind = found;
    if (o.picture) page.put(o.picture);
  }
  async function settled() {
    await load();
    if (queue.refused.length) refusedBox.scrollIntoView({block: 'nearest'});
    else if (queue.stopped) toast('Stopped. What came in stays.', null, null, 6);
    else if (queue.accepted) toast(view().arrived(rows), null, null, 4);
  }
  async function load() {
    if (!id) { draw(); ready(el); return; }
    try {
      laid(await ask());
    } catch (error) {
      fill(title, 'Dataset');
      fill(body, note('bad', 'This data set cannot be opened.', error.message, h('a.d-btn.sm', {href: href('dataset', {dataset: null, run: null})}, 'Begin a new one')));
      dock.hidden = true;
      ready(el, 'failed');
      return;
    }
    draw();
    ready(el);
    refresh();
    mark();
  }
  /* While the server takes an archive or a table in by itself, its pictures appear. */
  let peeked = 0, peeking = false;
  async function peek(job) {
    if (job.dataset !== id || !isImport(job) || queue.busy || peeking || Date.now() - peeked < 1500) return;
    peeking = true;
    try {
      laid(await ask(), true);
      draw();
    } catch { /* the next look tells */ }
    peeked = Date.now();
    peeking = false;
  }
  async function jobDone(job) {
    if (job.kind === 'fetch' && !job.dataset) return nothingCame();
    if (job.dataset !== id || job.kind === 'export') return;
    await load();
    if (job.token) { page.done(job.token, job.sentence); view().worked?.(job); if (!job.refused.length) jobs.close(job.id); }
    if (isImport(job) && job.state === 'done' && !job.refused.length) { jobs.close(job.id); toast(view().arrived(rows), null, null, 4); }
  }
  /* What was begun for a fetch is gone with it: the table is a new one again, and the card says why. */
  function nothingCame() {
    id = info = null;
    query.delete('dataset');
    tellAddress();
    rows = {length: 0};
    draw();
    refresh();
  }
  let due = 0;                                                         // many files settle within one frame: drawn once
  function later() { due ||= requestAnimationFrame(() => { due = 0; draw(); }); }
  function draw() {
    const some = rows.length || queue.busy, v = view();
    document.documentElement.classList.toggle('p-dataset-edit-pairs', kind() === 'pairs');
    if (title.dataset.name !== (info?.name || '')) { title.dataset.name = info?.name || ''; fill(title, info?.name || 'New data set'); renameTitle(title, info, rename); }
    crumb(cr);
    sentence.textContent = queue.busy ? progress() : v.sentence(rows, info);
    drawTools(v);
    if (some && v.el.parentNode !== body) fill(body, v.el);
    const empty = some ? '' : !jobs.el.hidden && jobs.el.querySelector('[data-state=running],[data-state=asks]') ? 'coming' : kind();
    if (empty && body.dataset.empty !== empty) fill(body, empty === 'coming' ? null : emptyTable(pick, kind(), fromHub));
    body.dataset.empty = empty;
    if (some) v.show(rows, marks, queue.waiting);
    drawRefused();
    drawDock(v);
  }
  function progress() {
    const left = queue.secondsLeft();
    return `${queue.settled} of ${plural(queue.total, 'file')} in` + (left > 2 ? `, ${about(left)} left.` : '.');
  }
  function drawTools(v) {
    const sign = [!!id, id && rows.length > 0, kind(), v.toolSign?.(rows)].join();
    if (tools.dataset.sign === sign) return;
    tools.dataset.sign = sign;
    const open = rows.length === 0 && kindChoice(kind(), choose);
    refill(tools, open, v.tools?.(rows), id && [h('button.d-btn', {type: 'button', onclick: pick.chooseFiles}, icon('plus', 's'), 'Add'), more]);
  }
  /* One menu that stays, open or not, whatever is drawn around it; its rows are those of the moment when it is opened. */
  const more = moreMenu(() => {
    const v = view();
    return [['folder', 'Add a folder', pick.chooseFolder], ...(v.menu?.(rows) || []), ...(undone.length ? [['undo', 'Undo the last change', undo]] : []), ['pen', 'Rename', () => title.querySelector('button')?.click()],
      ['down2', 'Add from the hub', async () => jobs.track(await fetchFromHub(info))], rows.length && ['arrow', 'Push to the hub', async () => jobs.track(await push(info))],
      ...(rows.length ? exportRows(info, (job) => jobs.track(job)) : []), ...arrangeRows(info, {all: () => api('/arrange'), started: (job) => jobs.track(job), gone: remove})].filter(Boolean);
  });
  async function choose(wanted) {
    if (id) try { info = await api(`/datasets/${id}/kind`, {kind: wanted}); } catch (error) { toast(error.message); }
    else chosen = wanted;
    draw();
    tools.querySelector('[aria-checked=true]')?.focus();
  }
  function drawRefused() {
    const list = queue.refused, again = list.filter((r) => r.file);
    refusedBox.hidden = !list.length;
    if (refusedBox.dataset.n === String(list.length) + queue.busy) return;
    refusedBox.dataset.n = String(list.length) + queue.busy;
    fill(refusedBox, list.length > 0 && [
      h('div.d-row', h('h2.d-h2', `${plural(list.length, 'file')} ${list.length === 1 ? 'was' : 'were'} not taken`),
        h('div.d-row.d-push', again.length > 1 && h('button.d-btn.sm.quiet', {type: 'button', onclick: () => queue.retry(again)}, icon('refresh', 's'), again.length === 2 ? 'Retry both' : 'Retry all'),
          h('button.d-btn.sm.quiet', {type: 'button', onclick: () => { queue.refused = []; draw(); }}, 'Close'))),
      h('div.d-card.flush.d-rows', list.slice(0, 50).map((r) => h('div', icon('alert'), h('div.bd', h('b', r.name), h('p', r.reason)), r.file && h('button.d-btn.sm', {type: 'button', aria: {label: 'Retry ' + r.name}, onclick: () => queue.retry([r])}, 'Retry'))),
        list.length > 50 && h('div', h('p.d-sub', `and ${list.length - 50} more`)))]);
  }
  function drawDock(v) {
    dock.hidden = !rows.length && !queue.busy;
    const left = queue.total - queue.settled, said = queue.busy ? {...v.dock(rows), other: ['Stop', queue.stop]} : v.dock(rows);
    fill(dockText, h('b', queue.busy ? `${rows.length} in, ${plural(left, 'file')} on the way.` : said.strong), ' ' + (queue.busy ? `${queue.percent()} %${queue.secondsLeft() > 2 ? `, ${about(queue.secondsLeft())} left` : ''}. Keep this page open until they are in; when you stop, what came in stays.` : said.rest));
    let next = dock.querySelector('a'), other = dock.querySelector('button');
    if (!next) dock.firstChild.append(other = h('button.d-btn.big', {type: 'button'}), next = h('a.d-btn.pri', {id: 'next'}));
    other.style.display = said.other ? '' : 'none';
    if (said.other) { other.textContent = said.other[0]; other.onclick = said.other[1]; }
    next.style.display = queue.busy ? 'none' : '';
    next.textContent = said.next[0];
    next.href = said.next[1];
  }

  /* Rows by the places where they stand. */
  async function removeRows(places, awaited = false) {
    if (!places.length && !awaited) return;
    try {
      const {token} = await api(`/datasets/${id}/remove`, {places: runsOf(places), awaited});
      laid(await ask());
      draw();
      if (token) page.done(token, `${plural(places.length, kind() === 'pairs' ? 'pair' : 'picture')} removed`);
      refresh();
      mark();
    } catch (error) { toast(error.message); }
  }
  function exclude(places, excluded) { return change('exclude', places, {excluded}, () => view().excluded(places, excluded), excluded ? 'excluded from training' : 'included again'); }
  /* Who judges every run, and is never learnt from. */
  function judge(places, judges) {
    const one = places.length === 1;
    return change('judge', places, {judges}, () => view().judged(places, judges), judges ? `now ${one ? 'judges' : 'judge'}, and ${one ? 'is' : 'are'} never learnt from` : `${one ? 'is' : 'are'} learnt from again`);
  }
  async function change(what, places, wanted, seen, words) {
    try {
      const {token} = await api(`/datasets/${id}/${what}`, {places: runsOf(places), ...wanted});
      seen();
      recount();
      draw();
      page.done(token, `${plural(places.length, kind() === 'pairs' ? 'pair' : 'picture')} ${words}`);
      refresh();
      mark();
    } catch (error) { toast(error.message); }
  }
  /* One after the other, as they were done. */
  let undoing = Promise.resolve();
  const undo = () => (undoing = undoing.then(undoLast));
  async function undoLast() {
    const token = undone.pop();
    if (!token) return;
    try {
      page.take(await patiently('Taking it back …', api(`/datasets/${id}/undo`, {token})));
      toast('Back again', null, null, 3);
    } catch (error) {
      if (!error.status) undone.push(token);                           // the server is away: it can still be undone when it is back
      toast(error.message);
    }
  }
  async function fromHub() {
    const job = await fetchFromHub(id && info);
    if (job && !id && job.dataset) {                                   // it may be gone again before another page stood
      here(job.dataset);
      try { info = await api('/datasets/' + encodeURIComponent(id)); } catch { /* the card says why */ }
      draw();
    }
    jobs.track(job);
  }
  async function rename(name) { const now = await api('/datasets/' + id, {name}, 'PATCH'); info = {...info, ...now}; draw(); refresh(); }
  async function remove() {
    const gone = await putAway(info);
    if (!gone) return;
    try { sessionStorage.trashed = JSON.stringify(gone); } catch { /* without it Home only says nothing */ }
    location.href = href('', {dataset: null, run: null});
  }
  addEventListener('keydown', (e) => {
    if (typing(e) || document.querySelector('dialog[open]')) return;
    if ((e.ctrlKey || e.metaKey) && e.key === 'z' && undone.length) { e.preventDefault(); undo(); } else view().key?.(e);
  });
  if (id) queue.refused = takeRefused(id);
  KEYS.push({title: 'Dataset', get rows() { return view().keys; }});
  const steps = id && ofSet('steps').then((found) => { undone = found.steps.map((s) => s.token).reverse(); }, () => {});       // also what was done before a reload
  await jobs.load();
  await steps;                                                         // who sees the table can undo
  await load();
}
