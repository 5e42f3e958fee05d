// Edit pairs: before | after over the instruction between them; halves that wait, swapping, one wording for many.
import {h, icon, fill, api, href, plural, query, toast} from './core.js';
import {makePairCard} from './pair_card.js';
import {openCrop} from './crop.js';
import {openCropMany} from './crop_many.js';
import {NO_PAIR_MASKS} from './mask_many.js';
import {callIt, pathOf, sendToSide} from './upload.js';
import {open} from './viewer.js';
import {makeWindowed} from './windowed.js';

const SIDES = ['before', 'after'], MOSTLY = 0.6;
const one = (n) => (n === 1 ? 'one' : n.toLocaleString('en'));

export function makePairs(page) {
  const items = new Map(), chips = h('div.d-row.wrap.chs', {role: 'group', aria: {label: 'Show'}}), grid = h('div.prs', {role: 'group', aria: {label: 'Pairs'}}), el = h('div', chips, grid);
  let filter = 'all', kept = new Set(), marks = {}, numbers = new Map(), aiming = false, wanted = query.get('picture');
  const needs = {
    text: (it) => !it.missing && !it.excluded && !it.text.trim(), before: (it) => it.missing === 'before', after: (it) => it.missing === 'after',
    draft: (it) => it.by === 'draft' && it.text.trim(), look: (it) => !it.missing && !!marks[it.id],
  };
  const card = makePairCard({page, number: (it) => numbers.get(it.id), marks: (it) => marks[it.id], changed, look, place, next, swap: (it) => swap([it.id]), remove: (it) => page.remove([it.id]), crop, exclude: (it) => page.exclude([it.id], !it.excluded)});
  const list = makeWindowed(grid, (id) => card.element(items.get(id)));
  const all = () => page.rows.map((row) => items.get(row.id));
  const shown = () => all().filter((it) => filter === 'all' || kept.has(it.id) || (filter === 'needy' ? it.missing || needs.text(it) : needs[filter](it)));

  /* What came from the server; words that are being typed stay. */
  function show(rows, now) {
    marks = now;
    numbers = new Map(rows.map((row, i) => [row.id, i + 1]));
    for (const id of items.keys()) if (!numbers.has(id)) { items.delete(id); card.forget(id); }
    for (const row of rows) {
      const it = items.get(row.id);
      if (!it) items.set(row.id, {...row, draft: null});
      else if (it.draft != null || it.sending) Object.assign(it, {missing: row.missing, before: row.before, after: row.after, excluded: row.excluded, edited: row.edited});
      else if (it.row !== row && (row.version >= it.version)) Object.assign(it, {excluded: false, edited: false}, row);
      items.get(row.id).row = row;
    }
    const found = shown();
    if (!found.length && filter !== 'all') { filter = 'all'; kept.clear(); }
    list.show((filter === 'all' ? all() : found).map((it) => it.id));
    drawChips();
    if (wanted && items.has(wanted)) { list.reveal(wanted); card.focus(items.get(wanted)); if (query.get('crop')) crop(items.get(wanted)); wanted = null; }
  }
  function changed(it) {                                               // saved: the row behind it follows, so that nothing old comes back
    kept.add(it.id);
    page.put({...it.row, text: it.text, by: it.by, version: it.version});
    it.row = page.rows[numbers.get(it.id) - 1];
    page.draw();
  }
  function choose(name) { filter = filter === name ? 'all' : name; kept = new Set(); page.draw(); scrollTo({top: 0}); }
  const count = (name) => all().filter(needs[name]).length;
  let sign = '';
  function drawChips() {
    const counts = [['text', 'Instruction missing'], ['before', 'Before missing'], ['after', 'After missing'], ['draft', 'Drafts to read'], ['look', 'Needs a look']].map(([name, words]) => [name, words, count(name)]).filter(([, , n]) => n);
    const common = mostCommon(), now = JSON.stringify([counts, common, filter, page.rows.length]);
    if (now === sign) return;
    sign = now;
    const focused = chips.contains(document.activeElement) && document.activeElement.dataset.f;
    const chip = (name, words, n) => h('button.d-chip' + (filter === name ? '.on' : ''), {type: 'button', data: {f: name}, aria: {pressed: String(filter === name)}, onclick: () => choose(name)}, words + ' ', h('b', n.toLocaleString('en')));
    fill(chips, chip('all', 'All', page.rows.length), counts.map((c) => chip(...c)),
      common && h('span.d-push.d-small.d-sub.tip', `${plural(common.n, 'pair')} say `, h('b.d-strong', common.text), '. ', h('button.ln', {type: 'button', onclick: () => sayEverywhere(common.text)}, `Say it the same way in all ${page.rows.length.toLocaleString('en')}`)));
    if (focused) chips.querySelector(`[data-f=${focused}]`)?.focus();
  }
  /* The wording of most pairs, where a few say it otherwise. */
  function mostCommon() {
    const n = new Map();
    for (const {text} of page.rows) if (text) n.set(text, (n.get(text) || 0) + 1);
    const [text, top] = [...n].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0]);
    return top >= 3 && top >= MOSTLY * page.rows.length && top < page.rows.length ? {text, n: top} : null;
  }
  const flush = () => Promise.all(all().filter((it) => it.draft != null).map(card.save));
  async function step(path, body, words) {
    try {
      await flush();
      const data = await api(`/datasets/${page.id}/${path}`, body);
      page.take(data);
      page.done(data.token, words(data));
    } catch (error) { toast(error.message); }
  }
  const sayEverywhere = (text) => step('say', {text}, () => `All ${page.rows.length} pairs say “${text}”`);
  const swap = (ids) => step('swap', {ids}, () => (ids ? 'Before and after swapped' : `Swapped in ${plural(page.rows.length, 'pair')}`));
  const match = () => step('match', {}, (data) => `${plural(data.count, 'pair')} matched by name`);

  async function place(it, side, file) {
    try {
      const outcome = await sendToSide(page.id, it.id, side, file);
      if (outcome.accepted) { page.put(outcome.picture); page.draw(); page.refresh(); page.mark(); } else page.refuse(file.name, outcome.reason);
    } catch (error) { toast(error.message); }
  }
  /* One file that hangs over the page while halves wait: their places light up instead of the page. */
  function aim(over, e) {
    aiming = over && e.dataTransfer?.items.length === 1 && page.rows.some((row) => row.missing);
    el.classList.toggle('aim', aiming);
    return aiming;
  }
  function dropped(e) {
    const zone = e.target.closest?.('.pz'), file = e.dataTransfer.files[0];
    if (!zone || !file) return false;
    place(items.get(zone.closest('.pr').dataset.id), zone.dataset.side, file);
    return true;
  }
  function look(it) {
    open(shown(), it, {dataset: page.id, marks, onremove: (gone) => page.remove([gone.id]), oncrop: crop, onmask: noMasks, onclose: (last) => { list.reveal(last.id); card.focus(last); }});
  }
  function crop(it) {
    openCrop(page.id, it, {number: String(numbers.get(it.id)).padStart(2, '0'), onsaved: page.edited, onclose: () => card.focus(it)}).catch(page.say);
  }
  const noMasks = () => toast(NO_PAIR_MASKS, null, null, 15);
  function next(it) {
    const ids = (filter === 'all' ? all() : shown()).map((x) => x.id), other = items.get(ids[ids.indexOf(it.id) + 1]);
    if (other) { list.reveal(other.id); card.focus(other); }
  }

  function sentence({length: n}, info) {
    if (!n) return 'A picture before, a picture after, and the words between them.';
    const late = info?.num_awaited ? ` The list names ${plural(info.num_awaited, 'more pair')} whose pictures have not come.` : '';
    return `${plural(n, 'pair')}. Left is the picture before, right is what the instruction makes of it.${late}`;
  }
  function dock(rows) {
    const n = rows.length, texts = rows.filter((r) => !r.missing && !r.excluded && !r.text.trim()).length, halves = SIDES.map((side) => rows.filter((r) => r.missing === side).length);
    const whole = rows.filter((r) => !r.missing && (r.excluded || r.text.trim())).length, needy = n - whole;
    const wait = halves.map((k, i) => k && `${one(k)} ${k === 1 ? 'waits for its' : 'wait for their'} ${SIDES[i]} picture`), lacks = [texts && `${one(texts)} ${texts === 1 ? 'needs' : 'need'} an instruction`, ...wait].filter(Boolean).join(', ');
    const rest = lacks ? lacks[0].toUpperCase() + lacks.slice(1) + '.' : 'Read the instructions once, then check.';
    const drafting = texts > 3 || (texts && texts > n / 5);
    return {
      strong: needy ? `${whole.toLocaleString('en')} of ${plural(n, 'pair')} ${whole === 1 ? 'is' : 'are'} complete.` : `${plural(n, 'pair')} ${n === 1 ? 'is' : 'are'} complete.`, rest,
      other: needy && filter !== 'needy' ? [needy === 1 ? 'Show it' : `Show the ${needy.toLocaleString('en')}`, () => choose('needy')] : null,
      next: drafting ? [`Draft ${plural(texts, 'instruction')}`, href('captions', {dataset: page.id, run: null, begin: 1})] : ['Next: check', href('check', {dataset: page.id, run: null})],
    };
  }
  const waiting = (rows, side) => rows.filter((r) => r.missing === side).length, halves = (rows) => rows.filter((r) => r.missing);
  const tools = (rows) => waiting(rows, 'before') > 0 && waiting(rows, 'after') > 0 && h('button.d-btn', {type: 'button', onclick: match}, icon('swap', 's'), ' Match by name');
  const menu = (rows) => [rows.length && ['swap', 'Swap before and after in all', () => swap(null)], rows.some((r) => !r.missing) && ['crop', 'Crop all to one shape', () => openCropMany(page.id, {}, {noun: 'pair', started: page.track})], rows.length && ['mask', 'Masks', noMasks],
    (halves(rows).length || page.info?.num_awaited) && ['trash', halves(rows).length ? `Remove ${plural(halves(rows).length, 'incomplete pair')}` : 'Forget what the list still names', () => page.remove(halves(rows).map((r) => r.id), true)]].filter(Boolean);
  const toolSign = (rows) => [waiting(rows, 'before'), waiting(rows, 'after'), rows.length > 0, page.info?.num_awaited];
  const arrived = (rows) => `${plural(rows.length, 'pair')} in` + (halves(rows).length ? `, ${halves(rows).length} ${halves(rows).length === 1 ? 'waits' : 'wait'} for the other picture` : '');
  const keys = [['Enter', 'Next instruction'], ['Esc', 'Leave the instruction'], ['Ctrl Z', 'Undo']];
  return {el, show, sentence, dock, tools, toolSign, menu, arrived, keys, aim, dropped};
}

/* Two folders whose names do not say which is before: asked once. null where the person changes their mind. */
const SAID = /^(input|output|before|after|source|target|original|edited|in|out|a|b|src|orig|from|to|edit|result)(s|[\s_-]?(images?|pictures?|photos?))?$/i;
export function askSides(got) {
  const parts = new Map(got.files.map((file) => [file, pathOf(file).split('/')])), deep = [...parts.values()];
  while (deep.length && deep.every((p) => p.length > 2 && p[0] === deep[0][0])) for (const p of deep) p.shift();    // one folder around both says nothing
  const folders = new Map();
  for (const [top, ...rest] of deep) if (rest.length) folders.set(top, (folders.get(top) || new Set()).add(rest.join('/').replace(/\.[^.]*$/, '')));
  const names = [...folders.keys()];
  if (names.length !== 2 || names.some((name) => SAID.test(name)) || ![...folders.get(names[0])].some((stem) => folders.get(names[1]).has(stem))) return got;
  return new Promise((resolve) => {
    const choice = (name) => h('button.d-btn', {value: name}, name);
    const dialog = h('dialog.d-dialog', {aria: {labelledby: 'sides-title'}}, h('h2.d-h2', {id: 'sides-title'}, 'Which folder holds the pictures before?'),
      h('p.d-sub', 'The other one then holds what the instructions make of them.'), h('form.d-row.wrap', {method: 'dialog'}, names.map(choice), h('button.d-btn.quiet.d-push', {value: ''}, 'Cancel')));
    dialog.addEventListener('close', () => {
      dialog.remove();
      const before = dialog.returnValue;
      if (!before) return resolve(null);
      for (const [file, [top, ...rest]] of parts) if (rest.length && folders.has(top)) callIt(file, `${top === before ? 'input_images' : 'output_images'}/${rest.join('/')}`);
      resolve(got);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
