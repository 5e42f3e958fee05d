// The caption notebook: pictures left, one large, its caption right. Saving is silent: 500 ms after the last key, on blur, before moving on.
import {h, icon, fill, api, plural, ready, query} from './core.js';
import {makeGrid} from './captions_grid.js';
import {mountWords} from './captions_words.js';
import {mountJob} from './captions_job.js';
import {mountDrafts} from './captions_drafts.js';
import {KINDS, makeFaces, nameHead, nothing} from './captions_kind.js';
import {mountFind} from './captions_find.js';
import {mountBar} from './captions_bar.js';
import {mountSteps} from './captions_steps.js';
import {mountHistory} from './captions_history.js';
import {makeSaver, WRITER} from './captions_save.js';
import {listenToKeys} from './captions_keys.js';
import {makeRows, placesOf, runsOf, indexIn} from './rows.js';

const PAUSE = 500;
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
  let order = placesOf(all.places),
    cur = all.pictures.find((p) => p.id === query.get('picture'))?.place ?? order[0],
    pause,
    countPause;
  const number = (place) => indexIn(order, place) + 1,
    frame = (place) => String(number(place)).padStart(2, '0');
  const rows = makeRows({
    ask: async (places) => (await api(`/captions/${dataset}/rows?places=${encodeURIComponent(places)}`)).pictures.map(fresh),
    keep: (it) => it.draft != null || it.sending || it.theirs || it.place === cur,
    came: (places) => grid.came(places),
  });
  const fresh = (p) => ({...p, draft: null});
  for (const p of all.pictures) rows.put(fresh(p));
  const here = () => rows.peek(cur);
  const faces = makeFaces(dataset, {order: () => grid.shown, load: async (place) => (await rows.load([place]), rows.peek(place))});
  const book = {
    rows,
    dataset,
    words,
    limit: all.limit,
    exact: all.exact,
    word: all.dataset.trigger_word,
    stamp: all.stamp,
    numbers: all.numbers,
    thumb: faces.thumb,
    frame,
    chosen: new Set(), // places that are selected
    changed: new Set(), // called after captions changed: with the rows, or with nothing where they were many
    selected: new Set(), // called when the selection did
    acted: new Set(), // called after a change of many
    opened: new Set(), // called when a panel was opened or closed
    moved: new Set(), // called with the row that is shown now
    get order() { return order; },
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
  const bar = h('i'),
    tok = h('span.d-num.d-sub', {id: 'cap-tok'});
  const meter = h(
    'div.d-bar.ink',
    {style: {height: '3px'}, role: 'meter', aria: {label: 'Tokens used', valuemin: 0, valuemax: all.limit, valuenow: 0}},
    bar,
  );
  const title = h('h2.d-h2'),
    only = h('button.d-btn.sm.quiet', {type: 'button', hidden: true, onclick: () => show()}, icon('x', 's'), ' Show all');
  const chips = h('div'),
    past = h('div'),
    bar0 = h('div'),
    panel = h('div'),
    grid = makeGrid({rows, order: () => order, frame, small: faces.small, chosen: book.chosen, onpick: (place) => go(place, false), onselect: () => { heading(); for (const f of book.selected) f(); }});
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
        h(
          'div.tok',
          meter,
          h(
            'div.d-row',
            {style: {'margin-top': '6px'}},
            tok,
            h('span.d-push.d-small.d-sub.d-hide-p', h('span.d-key', 'Ctrl'), ' ', h('span.d-key', 'Enter'), ' ' + words.next.toLowerCase()),
          ),
        ),
        hint,
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
    tokens(it.tokens);
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
        '” there. Yours is kept here until you choose.',
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
  function tokens(n) {
    const share = Math.min(1, n / all.limit),
      over = n > all.limit;
    bar.style.width = share * 100 + '%';
    meter.classList.toggle('bad', over);
    meter.classList.toggle('ink', !over);
    meter.setAttribute('aria-valuenow', Math.min(n, all.limit));
    const roughly = all.exact ? '' : 'about ';
    tok.textContent =
      roughly + (over ? `${n} of ${all.limit} tokens; the last ${n - all.limit} are cut off` : `${n} of ${all.limit} tokens`);
    tok.classList.toggle('over', over);
  }
  function countLater() {
    clearTimeout(countPause);
    const text = ta.value,
      i = cur;
    countPause = setTimeout(async () => {
      try {
        const r = await api(`/captions/${dataset}/tokens?text=${encodeURIComponent(text)}`, {});
        if (i === cur && ta.value === text) tokens(r.tokens);
      } catch {
        /* the count comes with the saved caption */
      }
    }, 160);
  }
  const send = makeSaver({dataset, status, tokens, after: (it) => after(it), isShown: (it) => here() === it, recount});
  const save = (it) => {
    clearTimeout(pause);
    return send(it);
  };
  /* What the page counts, when a row becomes another's words or none. */
  function recount(it, now) {
    const n = book.numbers;
    if (it.by) n[it.by]--;
    if (now.by) n[now.by]++;
    n.missing += (now.text.trim() ? 0 : 1) - (it.text.trim() ? 0 : 1);
  }
  function after(it) {
    grid.update(it.place);
    heading();
    for (const f of book.changed) f([it]);
  }
  function heading() {
    const some = grid.shown.length,
      all = order.length,
      chosen = book.chosen.size;
    title.textContent = chosen ? `${chosen.toLocaleString('en')} selected` : some < all ? `${some.toLocaleString('en')} of ${plural(all, words.row)}` : plural(all, words.row);
    only.hidden = some === all;
  }
  async function go(place, write = true) {
    if (place == null || indexIn(order, place) < 0) return;
    if (here()) save(here());
    if (!rows.has(place)) await rows.load([place]);
    if (!rows.has(place)) return;
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
  /* Captions that came from elsewhere (the captioner, replace, another window). A draft is never touched. */
  function take(pictures, isFresh = false) {
    const took = [];
    for (const p of pictures) {
      const it = rows.peek(p.place);
      if (!it || it.draft != null || it.sending || it.version === p.version) continue;
      Object.assign(it, p, {fresh: isFresh && p.place !== cur});
      took.push(it);
      grid.update(p.place);
      if (p.place === cur) shownAnew(it);
    }
    return took;
  }
  function shownAnew(it) {
    const end = ta.selectionStart === ta.value.length;
    ta.value = it.text;
    if (end) ta.setSelectionRange(it.text.length, it.text.length);
    draw();
    for (const f of book.moved) f(it);
  }
  async function pull(isFresh) {
    const r = await api(`/captions/${dataset}/changes?since=${book.stamp}`);
    book.stamp = r.stamp;
    const other = r.numbers.rows !== order.length || r.pictures.some((p) => indexIn(order, p.place) < 0);
    book.numbers = r.numbers;
    if (other) await reorder();
    if (r.pictures.length || !r.places.length) {
      const took = take(r.pictures, isFresh);
      heading();
      if (took.length || other) for (const f of book.changed) f(other ? null : took);
    } else await anew(r.places);
    return r.job;
  }
  /* So many changed that they are asked for again where somebody sees them. */
  async function anew(runs) {
    rows.forget(runs);
    const it = here(), mine = it && it.draft == null && !it.sending && (await api(`/captions/${dataset}/rows?places=${cur}`)).pictures[0];
    if (mine && it.draft == null && mine.version !== it.version) { Object.assign(it, mine); shownAnew(it); }
    grid.redraw();
    heading();
    for (const f of book.changed) f(null);
  }
  async function reorder() {
    order = placesOf((await api(`/captions/${dataset}/order`)).places);
    for (const place of book.chosen) if (indexIn(order, place) < 0) book.chosen.delete(place);
    grid.filter();
    if (indexIn(order, cur) < 0 && order.length) await go(order[0], false);
  }
  const open = () => [...rows.all()].filter((p) => p.draft != null);
  const flush = () => Promise.all(open().map(save));
  Object.assign(book, {go, show, pull, recount, after, take, flush, here, grid, shownAnew, tokens, isShown: () => grid.shown, find: (text) => finder.open(text)});

  ta.addEventListener('input', () => {
    here().draft = ta.value;
    countLater();
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
  const steps = mountSteps(panel, book);
  const bar1 = mountBar(bar0, book, {find: finder, steps});
  listenToKeys(el, ta, grid, {go, move, right, words, current: () => cur, bar: bar1, steps, flush});
  mountHistory(past, book, WRITER);
  mountWords(chips, book);
  (all.dataset.kind === 'pairs' ? mountDrafts : mountJob)(book);
  heading();
  grid.setCurrent(cur);
  draw();
  for (const f of book.moved) f(here());
}
