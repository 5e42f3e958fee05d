// The caption notebook: pictures left, one large, its caption right. Saving is silent: 500 ms after the last key, on blur, before moving on.
import {h, icon, fill, api, plural, ready, query, toast} from './core.js';
import {makeGrid} from './captions_grid.js';
import {mountWords} from './captions_words.js';
import {mountJob} from './captions_job.js';
import {mountDrafts} from './captions_drafts.js';
import {KINDS, makeFaces, nameHead, nothing} from './captions_kind.js';
import {mountFind} from './captions_find.js';
import {mountBar} from './captions_bar.js';
import {mountAdvice, mountKnown} from './captions_advice.js';
import {mountTags} from './captions_tags.js';
import {mountReading} from './captions_reading.js';
import {mountSteps} from './captions_steps.js';
import {mountHistory} from './captions_history.js';
import {makePull, recountIn} from './captions_news.js';
import {makeMeter} from './captions_meter.js';
import {makeSaver, WRITER} from './captions_save.js';
import {mountNotes} from './captions_notes.js';
import {listenToKeys} from './captions_keys.js';
import {makeRows, placesOf, runsOf, indexIn} from './rows.js';

const PAUSE = 500,
  MANY = 2000;
const dataset = query.get('dataset') || '';

export async function mount(el) {
  const card = document.querySelector('.d-card.cpt');
  if (!dataset) return nothing(el, 'Choose a data set first', 'Captions belong to the pictures of a data set.');
  let all;
  try {
    all = await api(`/captions/${dataset}?at=${encodeURIComponent(query.get('picture') || '')}`);
  } catch (e) {
    return nothing(el, 'This data set cannot be shown', e.message);
  }
  const words = KINDS[all.dataset.kind];
  nameHead(words);
  if (!all.numbers.rows) return nothing(el, ...words.none);
  card?.classList.remove('d-gone');
  notebook(el, all, words);
}

function notebook(el, all, words) {
  let cur = all.pictures.find((p) => p.id === query.get('picture'))?.place ?? all.places[0][0],
    going = 0,
    pause;
  const frame = (place) => String(indexIn(book.order, place) + 1).padStart(2, '0');
  const rows = makeRows({
    ask: async (places) => (await api(`/captions/${dataset}/rows?places=${encodeURIComponent(places)}`)).pictures.map(fresh),
    keep: (it) => it.draft != null || it.sending || it.theirs || it.place === cur,
    came: (places) => grid.came(places),
  });
  const fresh = (p) => ({...p, draft: null});
  for (const p of all.pictures) rows.put(fresh(p));
  const here = () => rows.peek(cur);
  /* What looks at all captions: of many one after the other, once the pictures are there. */
  let idle = new Promise((done) => setTimeout(done, all.numbers.rows > MANY ? 1500 : 0));
  const afterwards = (f) => { idle = idle.then(f).catch(() => {}); };
  const faces = makeFaces(dataset, {order: () => grid.shown, load: async (place) => (await rows.load([place]), rows.peek(place))});
  const book = {
    rows,
    afterwards,
    many: all.numbers.rows > MANY,
    dataset,
    words,
    limit: all.limit,
    exact: all.exact,
    word: all.dataset.trigger_word,
    stamp: all.stamp,
    numbers: all.numbers,
    recounts: 0, // how often one caption changed them
    thumb: faces.thumb,
    frame,
    chosen: new Set(), // places that are selected
    changed: new Set(), // called after captions changed: with the rows, or with nothing where they were many
    selected: new Set(), // called when the selection did
    acted: new Set(), // called after a change of many
    opened: new Set(), // called when a panel was opened or closed
    moved: new Set(), // called with the row that is shown now
    order: placesOf(all.places),
    get missing() { return book.numbers.missing; },
    get among() { return book.chosen.size ? runsOf(book.chosen) : null; },
  };

  const at = h('span.d-num.d-sub'),
    hint = h('p.d-small.d-sub.clip', {hidden: true});
  const prev = h('button.d-btn.ico.quiet', {type: 'button', aria: {label: words.before}, onclick: () => move(-1)}, icon('back'));
  const next = h('button.d-btn.ico.quiet', {type: 'button', aria: {label: words.next}, onclick: () => move(1)}, icon('arrow'));
  const label = h('label.d-h2', {htmlFor: 'cap'}),
    file = h('span.d-small.d-sub.nm'),
    sv = h('span.sv.d-push', {role: 'status'});
  const ta = h('textarea.d-in', {
    id: 'cap',
    rows: 5,
    spellcheck: true,
    maxLength: 2000,
    placeholder: words.ask,
    aria: {describedby: 'cap-tok'},
  });
  const meter = makeMeter({dataset, limit: all.limit, exact: all.exact, text: () => ta.value});
  const title = h('h2.d-h2'),
    only = h('button.d-btn.sm.quiet', {type: 'button', hidden: true, onclick: () => show()}, icon('x', 's'), ' Show all');
  const chips = h('div'),
    past = h('div'),
    notes = h('div'),
    bar0 = h('div'),
    panel = h('div'),
    grid = makeGrid({rows, order: () => book.order, frame, small: faces.small, chosen: book.chosen, onpick: (place) => go(place, false), onselect: () => { heading(); for (const f of book.selected) f(); }});
  fill(
    el,
    bar0,
    panel,
    h(
      'div.cg',
      h('div.cl', h('div.d-row', {style: {'margin-bottom': '12px'}}, title, only), grid.el),
      h('div.ce', h('div.d-tray', faces.stage, h('div.nvr', prev, at, next))),
      h(
        'div.cx',
        h('div.d-row', label, file, sv),
        ta,
        meter.el(h('span.d-push.d-small.d-sub.d-hide-p', h('span.d-key', 'Ctrl'), ' ', h('span.d-key', 'Enter'), ' ' + words.next.toLowerCase())),
        hint,
        notes,
        past,
        chips,
      ),
    ),
  );

  function draw() {
    const it = here();
    faces.draw(it, frame(cur), words);
    ta.value = it.draft ?? it.text;
    label.textContent = `${words.Row} ${frame(cur)}`;
    file.textContent = it.name;
    file.title = it.name;
    const shown = grid.shown,
      place = indexIn(shown, cur);
    at.textContent = `${String(Math.max(0, place) + 1).padStart(2, '0')} of ${shown.length.toLocaleString('en')}`;
    prev.disabled = place <= 0;
    next.disabled = place === shown.length - 1;
    status(it.theirs ? 'clash' : it.failed ? 'fail' : it.text ? 'saved' : '');
    meter.show(it.tokens);
  }
  function status(kind) {
    const it = here();
    sv.className = 'sv d-push ' + kind;
    if (kind === 'fail')
      fill(sv, h('button.d-btn.sm.danger', {type: 'button', onclick: () => save(it)}, icon('alert', 's'), 'Not saved, try again'));
    else
      fill(
        sv,
        kind === 'saved'
          ? it.by === 'draft'
            ? 'Draft'
            : [icon('check', 's'), ' Saved']
          : kind === 'saving'
            ? 'Saving'
            : kind === 'clash'
              ? [icon('alert', 's'), ' Changed elsewhere']
              : [],
      );
    const isDraft = it.by === 'draft' && it.draft == null && kind === 'saved';
    hint.hidden = kind !== 'clash' && !isDraft;
    if (isDraft) fill(hint, 'A draft, made by comparing both pictures. Read it; ', h('span.d-key', 'Ctrl'), ' ', h('span.d-key', 'Enter'), ' says that it is right.');
    if (kind === 'clash')
      fill(
        hint,
        'It now reads “',
        h('b.d-strong', it.theirs.text || 'nothing'),
        '” there. Both are kept: whichever you choose, the other one stays in the history.',
        h(
          'span.d-row',
          h('button.d-btn.sm', {type: 'button', onclick: () => settle(it, true)}, 'Keep mine'),
          h('button.d-btn.sm', {type: 'button', onclick: () => settle(it, false)}, 'Take the other'),
        ),
      );
    ready(el, {saving: 'saving', fail: 'failed', clash: 'clash'}[kind] || 'ready');
  }
  function settle(it, mine) {
    const {theirs} = it;
    it.theirs = null;
    it.version = theirs.version;
    if (mine) {
      recount(it, theirs);
      it.by = theirs.by;
      it.text = theirs.text;
      save(it);
    } else {
      recount(it, theirs);
      Object.assign(it, theirs, {draft: null});
      draw();
      after(it);
    }
    ta.focus();
  }
  const recount = (it, now) => { book.recounts += 1; recountIn(book.numbers, it, now); };
  const send = makeSaver({dataset, status, tokens: meter.show, after: (it) => after(it), isShown: (it) => here() === it, recount});
  const save = (it) => {
    clearTimeout(pause);
    return send(it);
  };
  function after(it) {
    grid.update(it.place);
    heading();
    for (const f of book.changed) f([it]);
  }
  function heading() {
    const some = grid.shown.length,
      all = book.order.length,
      chosen = book.chosen.size;
    title.textContent = chosen ? `${chosen.toLocaleString('en')} selected` : some < all ? `${some.toLocaleString('en')} of ${plural(all, words.row)}` : plural(all, words.row);
    only.hidden = some === all;
  }
  async function go(place, write = true) {
    if (place == null || indexIn(book.order, place) < 0) return;
    if (here()) save(here());
    const mine = ++going;
    if (!rows.has(place)) await rows.load([place]).catch((e) => toast(e.message));
    if (mine !== going || !rows.has(place)) return; // another one was asked for meanwhile
    cur = place;
    here().fresh = false;
    grid.setCurrent(place);
    draw();
    for (const f of book.moved) f(here());
    if (write) {
      ta.focus({preventScroll: true});
      ta.setSelectionRange(ta.value.length, ta.value.length);
    }
  }
  const move = (by, write = true) => go(grid.neighbour(by), write);
  function show(places) {
    grid.filter(places);
    heading();
    go(places && indexIn(places, cur) < 0 ? places[0] : cur, false);
  }
  function shownAnew(it) {
    const end = ta.selectionStart === ta.value.length;
    ta.value = it.text;
    if (end) ta.setSelectionRange(it.text.length, it.text.length);
    draw();
    for (const f of book.moved) f(it);
  }
  const open = () => [...rows.all()].filter((p) => p.draft != null);
  const flush = () => Promise.all(open().map(save));
  Object.assign(book, {go, show, recount, after, flush, here, heading, grid, shownAnew, find: (text) => finder.open(text)});
  const pull = (book.pull = makePull(book));

  ta.addEventListener('input', () => {
    here().draft = ta.value;
    meter.countLater();
    clearTimeout(pause);
    const it = here();
    pause = setTimeout(() => save(it), PAUSE);
    if (sv.className.includes('saved')) status('');
  });
  ta.addEventListener('blur', () => save(here()));
  addEventListener('beforeunload', (e) => {
    if (open().length) {
      open().forEach(save);
      e.preventDefault();
    }
  });
  addEventListener('pagehide', () => flush());
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') pull().catch(() => {});
    else flush();
  });
  const right = () => { // Ctrl Enter: these words are right, also where they are a draft that nobody changed
    const it = here();
    if (it.by === 'draft' && it.draft == null) it.draft = it.text;
    move(1);
    if (here() === it) save(it);
  };
  const finder = mountFind(panel, book);
  const tags = mountTags(panel, book),
    steps = mountSteps(panel, book),
    reading = all.dataset.kind === 'pairs' ? null : mountReading(panel, book); // instructions are read as they are written
  const bar1 = mountBar(bar0, book, {find: finder, tags, reading, steps});
  listenToKeys(el, ta, grid, {go, move, right, words, current: () => cur, bar: bar1, steps, flush});
  mountHistory(past, book, WRITER);
  mountWords(chips, book);
  mountAdvice(chips, book);
  if (all.dataset.kind !== 'pairs') mountNotes(notes, book);
  book.named = mountKnown(document.querySelector('.d-card.cpt'), chips, book);
  (all.dataset.kind === 'pairs' ? mountDrafts : mountJob)(book);
  heading();
  grid.setCurrent(cur);
  draw();
  for (const f of book.moved) f(here());
}
