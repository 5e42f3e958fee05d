// Edit pairs: before | after over the instruction between them; halves that wait, swapping, one wording for many.
import {h, icon, fill, api, href, plural, query, toast} from './core.js';
import {patiently} from './dataset_parts.js';
import {makePairCard} from './pair_card.js';
import {openCrop} from './crop.js';
import {openCropMany} from './crop_many.js';
import {NO_PAIR_MASKS} from './mask_many.js';
import {makePairsSelection} from './pairs_selection.js';
import {callIt, pathOf, sendToSide} from './upload.js';
import {open} from './viewer.js';
import {indexIn, makeRows, placesOf} from './rows.js';
import {makeWindowed} from './windowed.js';

const SIDES = ['before', 'after'], one = (n) => (n === 1 ? 'one' : n.toLocaleString('en'));
const CHIPS = [['text', 'Instruction missing'], ['before', 'Before missing'], ['after', 'After missing'], ['draft', 'Drafts to read'], ['look', 'Needs a look'], ['judges', 'Judges'], ['excluded', 'Excluded']];

export function makePairs(page) {
  const chips = h('div.d-row.wrap.chs', {role: 'group', aria: {label: 'Show'}}), grid = h('div.prs', {role: 'group', aria: {label: 'Pairs'}}), el = h('div', chips, grid);
  let filter = 'all', some = null, kept = new Set(), marks = null, all = [], aiming = false, asked = 0, wanted = query.get('picture');
  const busy = (it) => it.draft != null || it.sending || !!it.theirs;
  const rows = makeRows({
    ask: async (places) => (await api(`/datasets/${encodeURIComponent(page.id)}/rows?places=${encodeURIComponent(places)}`)).pictures.map(asCard),
    came: () => list.redraw(),
    keep: busy,
    merge: ({missing, before, after, excluded, judges, edited, img, width, height}) => ({missing, before, after, excluded, judges, edited, img, width, height}),   // words that are being typed stay
  });
  const asCard = (row) => ({edited: false, excluded: false, judges: false, ...row});
  const number = (it) => indexIn(all, it.place) + 1;
  const card = makePairCard({page, number, marks: (it) => marks?.of(it.place) || [], changed, look, place, next, swap: (it) => swap([it.id]), remove: (it) => page.remove([it.place]), crop, exclude: (it) => page.exclude([it.place], !it.excluded),
    chosen: (at) => selection.has(at), pick: (at, e) => selection.pick(at, e), walk: (e, at) => selection.walk(e, at, walkTo)});
  const list = makeWindowed(grid, (at) => card.element(at, rows.get(at)));
  const shown = () => (filter === 'all' ? all : some || all), kinds = () => page.info?.kinds || {};
  const selection = makePairsSelection({page, list, shown, known: () => filter === 'all' || !!some, drawn: () => { grid.classList.toggle('picking', selection.size > 0); card.rings(); }, load, go: walkTo, crop, flush, step, taken});
  el.append(selection.el);
  selection.lasso(el);

  /* What the server says of the data set: where its pairs stand, how many are of each kind, and the first of them. `grown`: those that are here stay. */
  function take(info, grown) {
    all = placesOf(info.places);
    some = some?.filter((at) => indexIn(all, at) >= 0) ?? null;        // what is gone is not shown until the filter's answer is here
    selection.take(info, all);
    if (!grown) rows.forget();
    info.pictures.map(asCard).forEach(rows.put);
    const held = [...rows.all()].filter(busy).map((it) => it.place);
    for (const at of held) if (indexIn(all, at) < 0) rows.drop(at);
    if (held.length && !grown) rows.reload(held.filter((at) => indexIn(all, at) >= 0)).then(() => list.redraw(), () => {});
    card.keep((at) => indexIn(all, at) >= 0);
    if (filter !== 'all') refilter();
  }
  function put(row) { rows.put(asCard(row)); if (indexIn(all, row.place) < 0) all.push(row.place); }
  function show(_, now) {
    marks = now;
    if (filter !== 'all' && some && !some.length) { filter = 'all'; kept.clear(); selection.cancel(); }
    list.show(shown());
    drawChips();
    if (wanted) { const id = wanted; wanted = ''; goTo(id); }
  }
  /* A pair that a link names; it may lie far down. */
  async function goTo(id) {
    try {
      const {place: at} = await api(`/datasets/${encodeURIComponent(page.id)}/pictures/${encodeURIComponent(id)}/place`), it = await focus(at);
      if (it && query.get('crop')) crop(it);
    } catch (error) { page.say(error); }
  }
  async function focus(at, to = card.focus) {
    list.reveal(at);
    const it = await load(at);
    if (it) { list.reveal(at); list.redraw(); to(it); }
    return it;
  }
  async function load(at) { await rows.load([at]); return rows.peek(at); }
  function walkTo(at) { return focus(at, () => card.focusTick(at)).catch(page.say); }
  function changed(it) { kept.add(it.place); page.recount(); }
  async function choose(name) {
    filter = filter === name ? 'all' : name;
    some = null;                                                       // not known yet: until the answer is here all stay, whatever else is drawn meanwhile
    kept = new Set();
    selection.cancel();
    page.draw();
    if (filter !== 'all') await refilter();
    scrollTo({top: 0});
  }
  /* Those that the server says are of this kind, and those that were made otherwise here: nothing vanishes under the hand. */
  async function refilter() {
    const name = filter, mine = ++asked;
    try {
      const found = new Set([...await page.placesLike('kind=' + name), ...kept]);
      if (filter !== name || mine !== asked) return;                   // another one was chosen, or this one asked anew
      some = all.filter((at) => found.has(at));
    } catch (error) { if (filter === name && mine === asked) { filter = 'all'; selection.cancel(); } toast(error.message); }
    page.draw();
    selection.arrived();
  }
  let sign = '';
  function drawChips() {
    const counts = CHIPS.map(([name, words]) => [name, words, name === 'look' ? marks?.count || 0 : kinds()[name] || 0]).filter(([, , n]) => n);
    const {common} = page.info || {}, now = JSON.stringify([counts, common, filter, all.length]);
    if (now === sign) return;
    sign = now;
    const focused = chips.contains(document.activeElement) && document.activeElement.dataset.f;
    const chip = (name, words, n) => h('button.d-chip' + (filter === name ? '.on' : ''), {type: 'button', data: {f: name, again: 'show ' + name}, aria: {pressed: String(filter === name)}, onclick: () => choose(name)}, words + ' ', h('b', n.toLocaleString('en')));
    fill(chips, chip('all', 'All', all.length), counts.map((c) => chip(...c)),
      common && h('span.d-push.d-small.d-sub.tip', `${plural(common[1], 'pair')} say `, h('b.d-strong', common[0]), '. ', h('button.ln', {type: 'button', onclick: () => sayEverywhere(common[0])}, `Say it the same way in all ${all.length.toLocaleString('en')}`)));
    if (focused) chips.querySelector(`[data-f=${focused}]`)?.focus();
  }
  function flush() { return Promise.all([...rows.all()].filter((it) => it.draft != null).map(card.save)); }
  async function step(path, body, words) {
    try {
      await flush();
      const data = await patiently('Changing the pairs …', api(`/datasets/${page.id}/${path}`, body));
      taken(data, words(data));
    } catch (error) { toast(error.message); }
  }
  function taken(data, words) {
    page.take(data);
    if (data.token) page.done(data.token, words); else toast('Nothing had to be changed');
  }
  const sayEverywhere = (text) => step('say', {text}, () => `All ${all.length.toLocaleString('en')} pairs say “${text}”`);
  const swap = (ids) => step('swap', {ids}, () => (ids ? 'Before and after swapped' : `Swapped in ${plural(all.length, 'pair')}`));
  const match = () => step('match', {}, (data) => `${plural(data.count, 'pair')} matched by name`);

  async function place(it, side, file) {
    try {
      const outcome = await sendToSide(page.id, it.id, side, file);
      if (outcome.accepted) await page.again(); else page.refuse(file.name, outcome.reason);
    } catch (error) { toast(error.message); }
  }
  /* One file that hangs over the page while halves wait: their places light up instead of the page. */
  function aim(over, e) {
    aiming = over && e.dataTransfer?.items.length === 1 && kinds().half > 0;
    el.classList.toggle('aim', aiming);
    return aiming;
  }
  function dropped(e) {
    const zone = e.target.closest?.('.pz'), file = e.dataTransfer.files[0], it = zone && rows.peek(+zone.closest('.pr').dataset.place);
    if (!it || !file) return false;
    place(it, zone.dataset.side, file);
    return true;
  }
  async function look(it) {
    const places = shown(), at = (i) => load(places[i]), index = indexIn(places, it.place);
    open({length: places.length, at}, it, {dataset: page.id, marks: marks.of, index, onremove: (gone) => page.remove([gone.place]), oncrop: crop, onmask: noMasks, onclose: (last) => focus(last.place)});
  }
  function crop(it) {
    openCrop(page.id, it, {number: String(number(it)).padStart(2, '0'), onsaved: page.edited, onclose: () => card.focus(it)}).catch(page.say);
  }
  const noMasks = () => toast(NO_PAIR_MASKS, null, null, 15);
  function next(it) {
    const places = shown(), at = places[indexIn(places, it.place) + 1];
    if (at != null) focus(at);
  }
  /* Excluded from training, or included again: seen at once, without asking for the rows anew. */
  function excluded(places, on) {
    for (const at of places) { const it = rows.peek(at); if (it) it.excluded = on; }
    selection.excluded(places, on);
    if (filter !== 'all' && places.length > 1) refilter();
  }
  function judged(places, on) {
    for (const at of places) { const it = rows.peek(at); if (it) it.judges = on; }
    selection.judged(places, on);
    if (filter !== 'all' && places.length > 1) refilter();
  }
  async function removeHalves() {
    try { page.remove(await page.placesLike('kind=half'), true); } catch (error) { toast(error.message); }
  }

  function sentence({length: n}, info) {
    if (!n) return 'A picture before, a picture after, and the words between them.';
    const late = info?.num_awaited ? ` The list names ${plural(info.num_awaited, 'more pair')} whose pictures have not come.` : '';
    return `${plural(n, 'pair')}. Left is the picture before, right is what the instruction makes of it.${late}`;
  }
  function dock({length: n}) {
    const {text: texts = 0, needy = 0} = kinds(), whole = n - needy;
    const wait = SIDES.map((side) => kinds()[side] && `${one(kinds()[side])} ${kinds()[side] === 1 ? 'waits for its' : 'wait for their'} ${side} picture`), lacks = [texts && `${one(texts)} ${texts === 1 ? 'needs' : 'need'} an instruction`, ...wait].filter(Boolean).join(', ');
    const rest = lacks ? lacks[0].toUpperCase() + lacks.slice(1) + '.' : 'Read the instructions once, then check.';
    const drafting = texts > 3 || (texts && texts > n / 5);
    return {
      strong: needy ? `${whole.toLocaleString('en')} of ${plural(n, 'pair')} ${whole === 1 ? 'is' : 'are'} complete.` : `${plural(n, 'pair')} ${n === 1 ? 'is' : 'are'} complete.`, rest,
      other: needy && filter !== 'needy' ? [needy === 1 ? 'Show it' : `Show the ${needy.toLocaleString('en')}`, () => choose('needy')] : null,
      next: drafting ? [`Draft ${plural(texts, 'instruction')}`, href('captions', {dataset: page.id, run: null, begin: 1})] : ['Next: check', href('check', {dataset: page.id, run: null})],
    };
  }
  const tools = () => kinds().before > 0 && kinds().after > 0 && h('button.d-btn', {type: 'button', onclick: match}, icon('swap', 's'), ' Match by name');
  const menu = () => [all.length && ['swap', 'Swap before and after in all', () => swap(null)], all.length > (kinds().half || 0) && ['crop', 'Crop all to one shape', () => openCropMany(page.id, {}, {noun: 'pair', started: page.track})], all.length && ['mask', 'Masks', noMasks],
    (kinds().half || page.info?.num_awaited) && ['trash', kinds().half ? `Remove ${plural(kinds().half, 'incomplete pair')}` : 'Forget what the list still names', removeHalves]].filter(Boolean);
  const toolSign = () => [kinds().before, kinds().after, kinds().half, all.length > 0, page.info?.num_awaited];
  const arrived = ({length: n}) => `${plural(n, 'pair')} in` + (kinds().half ? `, ${kinds().half.toLocaleString('en')} ${kinds().half === 1 ? 'waits' : 'wait'} for the other picture` : '');
  const keys = [['Enter', 'Next instruction'], ['Esc', 'Leave the instruction'], ['Space', 'Select, on its tick'], ['Shift →', 'Select more'], ['Ctrl A', 'Select all that are shown'], ['C', 'Crop'], ['S', 'Swap before and after'], ['I', 'One instruction for all of them'], ['X', 'Exclude from training, or include'], ['J', 'Let judge, or let teach again'], ['Del', 'Remove'], ['Ctrl Z', 'Undo']];
  return {el, show, take, put, excluded, judged, get length() { return all.length; }, sentence, dock, tools, toolSign, menu, arrived, keys, key: selection.key, worked: selection.worked, aim, dropped};
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
