// Find and replace over all captions. What it would do is shown before it does it; afterwards it can be undone.
import {h, icon, fill, api, plural, toast} from './core.js';
import {placesOf} from './rows.js';

/* The parts of a caption that differ, as deleted and inserted: common beginning and end stay. */
export function difference(before, after) {
  let a = 0,
    b = 0;
  while (a < before.length && a < after.length && before[a] === after[a]) a++;
  while (b < before.length - a && b < after.length - a && before[before.length - 1 - b] === after[after.length - 1 - b]) b++;
  const end = before.length - b;
  return [
    before.slice(0, a),
    before.slice(a, end) && h('del', before.slice(a, end)),
    after.slice(a, after.length - b) && h('ins', after.slice(a, after.length - b)),
    before.slice(end),
  ];
}

/* -> {open(given), close(), on}: on() says whether it is shown. */
export function mountFind(el, book) {
  const {dataset} = book;
  const find = h('input.d-in', {id: 'fr-find', type: 'text', maxLength: 500, autocomplete: 'off', aria: {describedby: 'fr-err'}}),
    put = h('input.d-in', {id: 'fr-put', type: 'text', maxLength: 500, autocomplete: 'off'});
  const regex = h('input', {type: 'checkbox'}),
    exact = h('input', {type: 'checkbox'});
  const error = h('p.d-err', {id: 'fr-err', role: 'alert', hidden: true}),
    sum = h('p.d-small.sum', {role: 'status'}),
    list = h('ul.d-rows.fr-list');
  const look = h('button.d-btn', {type: 'button', hidden: true, onclick: () => book.show(found)}, 'Show them');
  const act = h('button.d-btn.pri', {type: 'button', disabled: true, onclick: replace}, 'Replace');
  const card = h(
    'section.d-card.fr',
    {hidden: true, aria: {label: 'Find and replace'}},
    h(
      'div.fr-top',
      h('label.d-field', {htmlFor: 'fr-find'}, h('b', 'Find'), find),
      h('label.d-field', {htmlFor: 'fr-put'}, h('b', 'Put in its place'), put),
      h('button.d-btn.ico.quiet', {type: 'button', aria: {label: 'Close find and replace'}, onclick: close}, icon('x', 's')),
    ),
    h('div.d-row.wrap.opts', h('label', regex, ' Regular expression'), h('label', exact, ' Same capitals'), error),
    list,
    h('div.d-row.foot', sum, look, act),
  );
  el.append(card);
  let changes = [],
    count = 0,
    found = null,
    waiting,
    turn = 0;

  const wanted = () => ({find: find.value, replace: put.value, regex: regex.checked, match_case: exact.checked, among: book.among});
  const none = () => { changes = []; count = 0; found = null; };
  function later() {
    act.disabled = true;
    clearTimeout(waiting);
    waiting = setTimeout(preview, 180);
  }
  async function preview() {
    const mine = ++turn;
    act.disabled = true; // until it is known what it would do now
    error.hidden = true;
    find.removeAttribute('aria-invalid');
    if (!find.value) {
      none();
      return draw();
    }
    try {
      await book.flush();
      const r = await api(`/captions/${dataset}/replace/preview`, wanted());
      if (mine === turn) {
        ({changes, count} = r);
        found = placesOf(r.places);
        draw();
      }
    } catch (e) {
      if (mine !== turn) return;
      none();
      draw();
      fill(error, icon('alert', 's'), h('span', e.message));
      error.hidden = false;
      find.setAttribute('aria-invalid', 'true');
    }
  }
  function draw() {
    const some = book.chosen.size ? ' selected' : '';
    act.disabled = !count;
    act.textContent = count ? `Replace in ${count.toLocaleString('en')}${some} ${book.words.text}${count === 1 ? '' : 's'}` : 'Replace';
    look.hidden = !count;
    look.textContent = count === 1 ? 'Show it' : `Show the ${count.toLocaleString('en')}`;
    sum.textContent = !find.value
      ? `The ${book.words.text}s that would change are shown here first${some ? ', of those that are selected' : ''}.`
      : error.hidden && !count
        ? `No${some} ${book.words.text} has this.`
        : count > changes.length
          ? `The first ${changes.length} of ${count.toLocaleString('en')}. Nothing is changed yet.`
          : count
            ? 'Nothing is changed yet.'
            : '';
    fill(list, changes.map((c) => line(book, c)));
  }
  async function replace() {
    act.disabled = true;
    const number = count,
      asked = wanted();
    try {
      await book.flush(); // what was typed a moment ago counts
      const {token} = await api(`/captions/${dataset}/replace`, asked);
      await book.pull();
      toast(`Changed ${plural(number, book.words.text)}`, 'Undo', () => undo(book, token));
      for (const f of book.acted) f();
      preview();
    } catch (e) {
      fill(error, icon('alert', 's'), h('span', e.message));
      error.hidden = false;
      act.disabled = !count;
    }
  }
  let back = null;
  function open(given) {
    if (card.hidden) back = document.activeElement;
    card.hidden = false;
    for (const f of book.opened) f();
    if (given) {
      find.value = given.find;
      put.value = '';
      regex.checked = exact.checked = false;
      preview();
    }
    card.scrollIntoView({block: 'nearest'});
    (given && !given.remove ? put : find).focus();
    find.select();
  }
  function close() {
    card.hidden = true;
    for (const f of book.opened) f();
    back?.focus();
  }
  for (const field of [find, put]) {
    field.addEventListener('input', later);
    field.addEventListener('keydown', (e) => {
      if (e.key === 'Enter' && !act.disabled) {
        e.preventDefault();
        replace();
      }
    });
  }
  for (const box of [regex, exact]) box.addEventListener('change', preview);
  card.addEventListener('keydown', (e) => {
    if (e.key === 'Escape') {
      e.stopPropagation();
      close();
    }
  });
  book.selected.add(() => !card.hidden && preview());
  addEventListener('keydown', (e) => {
    if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'f' && !e.shiftKey && !e.altKey) {
      e.preventDefault();
      open();
    }
  });
  draw();
  return {open, close, get on() { return !card.hidden; }};
}
/* One change, before and after, with its picture. */
export const line = (book, c) =>
  h(
    'li',
    h(
      'button.tn',
      {type: 'button', aria: {label: `Open ${book.words.row} ` + book.frame(c.place)}, onclick: () => book.go(c.place, false)},
      h('img', {src: `/media/thumb/${book.dataset}/${c.face}/192.webp`, alt: '', width: 40, height: 40, loading: 'lazy'}),
    ),
    h('span.d-num.d-sub', book.frame(c.place)),
    h('p.diff', difference(c.before, c.after)),
  );
export async function undo(book, token) {
  try {
    await book.flush();
    const {count} = await api(`/captions/${book.dataset}/undo`, {token});
    await book.pull();
    for (const f of book.acted) f();
    toast(count ? 'Put back as it was' : 'All of them were edited since; they stay as they are');
  } catch (e) {
    toast(e.message);
  }
}
