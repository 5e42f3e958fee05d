// The caption notebook: pictures left, one large, its caption right. Saving is silent: 500 ms after the last key, on blur, before moving on.
import {h, icon, fill, api, plural, ready, query} from './core.js';
import {makeGrid, frame} from './captions_grid.js';
import {mountWords} from './captions_words.js';
import {mountJob} from './captions_job.js';
import {mountDrafts} from './captions_drafts.js';
import {KINDS, makeFaces, nameHead, nothing} from './captions_kind.js';
import {mountFind} from './captions_find.js';
import {makeSaver} from './captions_save.js';
import {listenToKeys} from './captions_keys.js';
import {mountNotes} from './captions_notes.js';

const PAUSE = 500;
const dataset = query.get('dataset') || '';

export async function mount(el) {
  const card = document.querySelector('.d-card.cpt');
  if (!dataset) return nothing(el, 'Choose a data set first', 'Captions belong to the pictures of a data set.');
  let all;
  try {
    all = await api(`/captions/${dataset}`);
  } catch (e) {
    return nothing(el, 'This data set cannot be shown', e.message);
  }
  const words = KINDS[all.dataset.kind];
  nameHead(words);
  all.pictures = all.pictures.filter((p) => p.before === undefined || (p.before && p.after)); // a half has nothing to compare
  if (!all.pictures.length) return nothing(el, ...words.none);
  card?.classList.remove('d-gone');
  notebook(el, all, words);
}

function notebook(el, all, words) {
  const items = all.pictures.map((p) => ({...p, draft: null, seen: p.text})),
    places = new Map(items.map((p, i) => [p.id, i])),
    faces = makeFaces(dataset, items);
  const book = {
    items,
    places,
    dataset,
    words,
    limit: all.limit,
    word: all.dataset.trigger_word,
    stamp: all.stamp,
    thumb: faces.thumb,
    frame,
    missing: items.filter((p) => !p.text.trim()).length,
    changed: new Set(),
    moved: new Set(), // called with the row that is shown now
    here: () => items[cur],
  };
  let cur = Math.max(0, items.findIndex((p) => p.id === query.get('picture'))),
    pause,
    countPause;

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
    only = h('button.d-btn.sm.quiet', {type: 'button', hidden: true, onclick: () => show()}, icon('x', 's'), ' Show all'),
    find = h('button.d-btn.sm.quiet.d-push', {type: 'button', aria: {expanded: 'false'}}, icon('find', 's'), ' Find and replace');
  const [chips, notes, panel] = [h('div'), h('div'), h('div')],
    grid = makeGrid({items, small: faces.small, onpick: (i) => go(i, false)});
  fill(
    el,
    panel,
    h(
      'div.cg',
      h('div.cl', h('div.d-row', {style: {'margin-bottom': '12px'}}, title, only, find), grid.el),
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
        notes,
        chips,
      ),
    ),
  );

  function draw() {
    const it = items[cur];
    faces.draw(it, frame(cur), words);
    ta.value = it.draft ?? it.text;
    label.textContent = `${words.Row} ${frame(cur)}`;
    file.textContent = it.name;
    file.title = it.name;
    const shown = grid.shown,
      place = shown.indexOf(cur);
    at.textContent = `${frame(Math.max(0, place))} of ${shown.length}`;
    prev.disabled = place <= 0;
    next.disabled = place === shown.length - 1;
    status(it.theirs ? 'clash' : it.failed ? 'fail' : it.text ? 'saved' : '');
    tokens(it.tokens);
    for (const f of book.moved) f(it);
  }
  function status(kind) {
    const it = items[cur];
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
      it.by = theirs.by;
      save(it);
    } else {
      Object.assign(it, theirs, {draft: null, seen: theirs.text});
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
  const send = makeSaver({dataset, status, tokens, after: (it) => after(it), isShown: (it) => items[cur] === it});
  const save = (it) => {
    clearTimeout(pause);
    return send(it);
  };
  function after(it) {
    grid.update(places.get(it.id));
    heading();
    for (const f of book.changed) f();
  }
  function heading() {
    const missing = items.filter((p) => !p.text.trim()).length, some = grid.shown.length;
    title.textContent = some < items.length ? `${some} of ${plural(items.length, words.row)}` : plural(items.length, words.row);
    only.hidden = some === items.length;
    book.missing = missing;
  }
  function go(i, write = true) {
    if (!items[i]) return;
    save(items[cur]);
    cur = i;
    items[i].fresh = false;
    grid.setCurrent(i);
    draw();
    if (write) {
      ta.focus({preventScroll: true});
      ta.setSelectionRange(ta.value.length, ta.value.length);
    }
  }
  const move = (by, write = true) => go(grid.neighbour(by), write);
  function show(indexes) {
    grid.filter(indexes);
    heading();
    go(indexes && !indexes.includes(cur) ? indexes[0] : cur, false);
  }
  /* Captions that came from elsewhere (the captioner, replace, another window). A draft is never touched. */
  function take(pictures, fresh = false) {
    for (const p of pictures) {
      const i = places.get(p.id);
      if (i == null) continue;
      const it = items[i];
      if (it.draft != null || it.sending || it.version === p.version) continue;
      Object.assign(it, p, {fresh: fresh && i !== cur});
      grid.update(i);
      if (i === cur) {
        const end = ta.selectionStart === ta.value.length;
        ta.value = it.text;
        if (end) ta.setSelectionRange(it.text.length, it.text.length);
        draw();
      }
    }
    heading();
    for (const f of book.changed) f();
  }
  async function pull(fresh) {
    const r = await api(`/captions/${dataset}/changes?since=${book.stamp}`);
    book.stamp = r.stamp;
    take(r.pictures, fresh);
    return r.job;
  }
  const flush = () => Promise.all(items.filter((p) => p.draft != null).map(save));
  Object.assign(book, {go, show, pull, take, flush, find: (text) => finder.open(text)});

  ta.addEventListener('input', () => {
    items[cur].draft = ta.value;
    countLater();
    clearTimeout(pause);
    pause = setTimeout(() => save(items[cur]), PAUSE);
    if (sv.className.includes('saved')) status('');
  });
  ta.addEventListener('blur', () => save(items[cur]));
  addEventListener('beforeunload', (e) => {
    const open = items.filter((p) => p.draft != null);
    if (open.length) {
      open.forEach(save);
      e.preventDefault();
    }
  });
  addEventListener('pagehide', () => flush());
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible') pull().catch(() => {});
    else flush();
  });
  const right = () => { // Ctrl Enter: these words are right, also where they are a draft that nobody changed
    const it = items[cur];
    if (it.by === 'draft' && it.draft == null) it.draft = it.text;
    move(1);
    if (items[cur] === it) save(it);
  };
  listenToKeys(el, ta, grid, {go, move, right, words, current: () => cur});
  const finder = mountFind(panel, book, find);
  mountWords(chips, book);
  if (all.dataset.kind !== 'pairs') mountNotes(notes, book);
  (all.dataset.kind === 'pairs' ? mountDrafts : mountJob)(book);
  heading();
  grid.setCurrent(cur);
  draw();
}
