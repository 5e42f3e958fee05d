// The light table: what is in this data set, and everything one does with it.
import {h, icon, fill, api, ready, query, href, toast, ask, about, plural, keys, typing, note} from './core.js';
import {createQueue, createDataset, pickers, dropAnywhere, takeRefused} from './upload.js';
import {createGrid} from './grid.js';
import {open} from './viewer.js';
import {refresh, crumb} from './rail.js';
import {emptyTable, moreMenu, renameTitle} from './dataset_parts.js';

const SHAPES = [['9:16', 9 / 16], ['2:3', 2 / 3], ['3:4', 3 / 4], ['4:5', 4 / 5], ['1:1', 1], ['5:4', 5 / 4], ['4:3', 4 / 3], ['3:2', 3 / 2], ['16:9', 16 / 9]];
const shapeOf = (p) => SHAPES.reduce((a, b) => (Math.abs(Math.log(p.width / p.height / a[1])) <= Math.abs(Math.log(p.width / p.height / b[1])) ? a : b))[0];
const most = (values) => { const n = {}; values.forEach((v) => { n[v] = (n[v] || 0) + 1; }); return +Object.keys(n).sort((a, b) => n[b] - n[a] || b - a)[0]; };

export async function mount(el) {
  let id = query.get('dataset'), info = null, pictures = [], marks = {}, filter = null, undone = [];
  let size = localStorage['dataset:size'] || 'm', marking = 0;

  const title = h('h1'), sentence = h('p', {role: 'status'}), cr = h('button.d-crumb', {type: 'button'}), tools = h('div.d-tools');
  const bar = h('div.d-row.wrap.bar'), body = h('div'), refusedBox = h('section.d-sec', {hidden: true, aria: {live: 'polite', label: 'Files that were not taken'}});
  const dockText = h('p', {role: 'status'}), dock = h('div.d-dock', {role: 'region', aria: {label: 'Main action'}}, h('div', dockText));
  const cover = h('div.d-cover', {hidden: true}, h('div', icon('pic', 'l'), h('b', 'Drop to add'), h('span', 'Pictures, folders or a ZIP')));
  const grid = createGrid({open: look, select: drawBar});
  const table = h('div.lt.d-table', bar, grid.element);
  const queue = createQueue({dataset: need, outcome, change: later, done: settled});
  const pick = pickers(queue.add);
  fill(el, h('header.d-head', h('div', cr, title, sentence), tools), pick.files, pick.folder, body, refusedBox, dock, cover);
  grid.lasso(table);
  dropAnywhere(queue.add, (over) => { cover.hidden = !over; });
  keys('Dataset', [['Space', 'Select'], ['Shift →', 'Select more'], ['Ctrl A', 'Select all'], ['Enter', 'Look at it large'], ['Del', 'Remove'], ['Ctrl Z', 'Undo']]);

  /* The data set that dropped files belong to: this one, or a fresh one whose id goes into the address. */
  let making = null;
  function need(name) {
    if (id) return id;
    making ??= createDataset(name).then((made) => {
      id = made.id;
      info = made;
      query.set('dataset', id);
      history.replaceState(null, '', location.pathname + '?' + query);
      refresh();
      return id;
    }).finally(() => { making = null; });
    return making;
  }
  let told = 0;
  function outcome(o) {
    if (Date.now() - told > 2000) { told = Date.now(); refresh(); }
    const i = o.picture ? pictures.findIndex((p) => p.id === o.picture.id) : -1;
    if (o.picture && i < 0) pictures = [...pictures, o.picture];
    else if (i >= 0) pictures = pictures.with ? pictures.with(i, o.picture) : pictures.map((p, n) => (n === i ? o.picture : p));
  }
  async function settled() {
    await load();
    const captions = pictures.filter((p) => p.text).length;
    if (queue.refused.length) refusedBox.scrollIntoView({block: 'nearest'});
    else if (queue.accepted) toast(`${plural(pictures.length, 'picture')} in` + (captions ? `, ${captions} with a caption` : ''), null, null, 4);
  }
  async function load() {
    if (!id) { draw(); ready(el); return; }
    try {
      info = await api('/datasets/' + encodeURIComponent(id));
      pictures = info.pictures;
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
  async function mark() {
    const mine = ++marking;
    try {
      const found = pictures.length ? await api(`/datasets/${id}/marks`) : {};
      if (mine === marking) { marks = found; draw(); el.closest('.block').dataset.marks = 'ready'; }
    } catch { /* without marks the table is still right; Check tells the rest */ }
  }

  let due = 0;                                                         // many files settle within one frame: drawn once
  function later() { due ||= requestAnimationFrame(() => { due = 0; draw(); }); }
  const shown = () => pictures.filter((p) => !filter || (filter === 'look' ? marks[p.id] : shapeOf(p) === filter));
  function draw() {
    if (filter && filter !== 'look' && !pictures.some((p) => shapeOf(p) === filter)) filter = null;
    if (filter === 'look' && !pictures.some((p) => marks[p.id])) filter = null;
    const some = pictures.length || queue.busy;
    if (title.dataset.name !== (info?.name || '')) { title.dataset.name = info?.name || ''; fill(title, info?.name || 'New data set'); renameTitle(title, info, rename); }
    crumb(cr);
    sentence.textContent = queue.busy ? progress() : advice(pictures.length);
    drawTools();
    if (some && table.parentNode !== body) fill(body, table);
    if (!some && !body.querySelector('.d-empty')) fill(body, emptyTable(pick));
    if (some) { grid.show(id, shown(), marks, filter ? [] : queue.waiting); drawBar(); }
    drawRefused();
    drawDock();
  }
  function progress() {
    const left = queue.secondsLeft();
    return `${queue.settled} of ${plural(queue.total, 'file')} in` + (left > 2 ? `, ${about(left)} left.` : '.');
  }
  function advice(n) {
    if (!n) return 'Pictures of one thing, one person or one style.';
    if (n < 5) return `${plural(n, 'picture')}. Add more: 10 to 30 are enough for one subject.`;
    return `${plural(n, 'picture')}. 10 to 30 are enough for one subject; a style wants 20 to 60.`;
  }
  function drawTools() {
    if (tools.children.length === (id ? 2 : 0)) return;
    fill(tools, id && [h('button.d-btn', {type: 'button', onclick: pick.chooseFiles}, icon('plus', 's'), 'Add'),
      moreMenu([['folder', 'Add a folder', pick.chooseFolder], ['pen', 'Rename', () => title.querySelector('button')?.click()],
        ['down2', 'Export as ZIP', () => { location.href = `/api/datasets/${id}/export.zip`; }], ['trash', 'Delete this data set', remove]])]);
  }
  function drawBar() {
    const stat = (value, unit, label) => h('div.d-stat', h('b', value, unit && h('small', ' ' + unit)), h('span', label));
    const counts = SHAPES.map(([name]) => [name, pictures.filter((p) => shapeOf(p) === name).length]).filter(([, n]) => n);
    const top = Math.max(...counts.map(([, n]) => n)), look = pictures.filter((p) => marks[p.id]).length, chosen = grid.selection.size;
    const set = (value) => () => { filter = filter === value ? null : value; draw(); };
    const sizes = ['s', 'm', 'l'].map((s) => h('button', {type: 'button', aria: {pressed: String(s === size), label: {s: 'Small', m: 'Medium', l: 'Large'}[s] + ' pictures'},
      onclick: () => { size = localStorage['dataset:size'] = s; grid.size(s); drawBar(); }}, s.toUpperCase()));
    const focused = bar.contains(document.activeElement) && document.activeElement.getAttribute('aria-label');
    fill(bar,
      h('div.d-stats', stat(String(pictures.length), '', pictures.length === 1 ? 'picture' : 'pictures'), pictures.length ? stat(String(most(pictures.map((p) => p.width))), 'px', 'most are this wide') : null),
      counts.length > 1 && h('div.d-hist', {role: 'group', aria: {label: 'Filter by shape'}}, counts.map(([name, n]) =>
        h('button' + (filter === name ? '.on' : ''), {type: 'button', aria: {pressed: String(filter === name), label: `${name}: ${plural(n, 'picture')}. Show only these`}, onclick: set(name)}, h('i', {style: {height: Math.max(3, (20 * n) / top) + 'px'}}), name))),
      look > 0 && h('button.d-chip' + (filter === 'look' ? '.on' : ''), {type: 'button', aria: {pressed: String(filter === 'look'), label: `Needs a look: ${look}`}, onclick: set('look')}, 'Needs a look ', h('b', String(look))),
      h('div.d-row.d-push.sizes', h('div.d-row.selt' + (chosen ? '' : '.none'), {aria: {hidden: String(!chosen)}}, h('b', {role: 'status'}, chosen ? `${chosen} selected` : ''),
        h('button.d-btn.sm', {type: 'button', onclick: () => removeSelected()}, icon('trash', 's'), 'Remove'), h('button.d-btn.sm.quiet', {type: 'button', onclick: () => grid.select([])}, 'Clear')),
      h('div.d-seg', {role: 'group', aria: {label: 'Size of the pictures'}}, sizes)));
    if (focused) [...bar.querySelectorAll('button')].find((b) => b.getAttribute('aria-label') === focused)?.focus();
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
  function drawDock() {
    dock.hidden = !pictures.length;
    const written = pictures.filter((p) => p.text).length, n = pictures.length, left = queue.total - queue.settled;
    const what = written === n ? 'All have a caption. Read them once, then check.' : written ? `${n - written} still ${n - written === 1 ? 'needs' : 'need'} a caption.` : 'Next, a few words for each of them; you can change every word.';
    fill(dockText, h('b', queue.busy ? `${n} in, ${plural(left, 'file')} on the way.` : `${plural(n, 'picture')} ${n === 1 ? 'is' : 'are'} in.`), ' ' + (queue.busy ? (queue.secondsLeft() > 2 ? `${about(queue.secondsLeft())} left. ` : '') + 'Keep this page open until they are in.' : what));
    let next = dock.querySelector('a');
    if (!next) dock.firstChild.append(next = h('a.d-btn.pri', {id: 'next'}));
    next.style.display = queue.busy ? 'none' : '';
    next.textContent = written || queue.busy ? 'Next: captions' : `Caption ${plural(n, 'picture')}`;
    next.href = href('captions', {dataset: id, run: null, begin: written || queue.busy ? null : 1});
  }

  function look(p) {
    open(shown(), p, {dataset: id, marks, onremove: (gone) => removeSelected([gone.id]), onclose: () => grid.focusActive()});
  }
  async function removeSelected(ids = [...grid.selection]) {
    if (!ids.length) return;
    try {
      const {token} = await api(`/datasets/${id}/remove`, {ids});
      undone.push(token);
      pictures = pictures.filter((p) => !ids.includes(p.id));
      grid.select([]);
      draw();
      toast(`${plural(ids.length, 'picture')} removed`, 'Undo', undo);
      refresh();
      mark();
    } catch (error) { toast(error.message); }
  }
  async function undo() {
    const token = undone.pop();
    if (!token) return;
    try {
      info = await api(`/datasets/${id}/undo`, {token});
      pictures = info.pictures;
      draw();
      toast('Back again', null, null, 3);
      refresh();
      mark();
    } catch (error) { toast(error.message); }
  }
  async function rename(name) { info = {...info, ...(await api('/datasets/' + id, {name}, 'PATCH'))}; draw(); refresh(); }
  async function remove() {
    if (!(await ask(`Delete “${info.name}”?`, `${plural(pictures.length, 'picture')} with their captions go from this machine for good. Trained models stay.`, 'Delete', 'Keep it'))) return;
    try { await api('/datasets/' + id, undefined, 'DELETE'); location.href = href('', {dataset: null, run: null}); } catch (error) { toast(error.message); }
  }
  addEventListener('keydown', (e) => {
    if (typing(e) || document.querySelector('dialog[open]')) return;
    const command = e.ctrlKey || e.metaKey;
    if (command && e.key === 'a' && pictures.length) { e.preventDefault(); grid.selectAll(); }
    else if (command && e.key === 'z' && undone.length) { e.preventDefault(); undo(); }
    else if ((e.key === 'Delete' || e.key === 'Backspace') && grid.selection.size) { e.preventDefault(); removeSelected(); }
    else if (e.key === 'Escape' && grid.selection.size) grid.select([]);
  });
  if (id) queue.refused = takeRefused(id);
  grid.size(size);
  await load();
}
