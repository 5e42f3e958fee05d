// Find and replace over all captions. What it would do is shown before it does it; afterwards it can be undone.
import {h, icon, fill, api, plural, toast} from './core.js';

const SHOWN = 60;

/* The parts of a caption that differ, as deleted and inserted: common beginning and end stay. */
function difference(before, after) {
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

export function mountFind(el, book, button) {
  const {dataset} = book;
  const find = h('input.d-in', {id: 'fr-find', type: 'text', maxLength: 500, autocomplete: 'off', aria: {describedby: 'fr-err'}}),
    put = h('input.d-in', {id: 'fr-put', type: 'text', maxLength: 500, autocomplete: 'off'});
  const regex = h('input', {type: 'checkbox'}),
    exact = h('input', {type: 'checkbox'});
  const error = h('p.d-err', {id: 'fr-err', role: 'alert', hidden: true}),
    sum = h('p.d-small.sum', {role: 'status'}),
    list = h('ul.d-rows.fr-list');
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
    h('div.d-row.foot', sum, act),
  );
  el.append(card);
  let changes = [],
    waiting,
    turn = 0;

  const wanted = () => ({find: find.value, replace: put.value, regex: regex.checked, match_case: exact.checked});
  function later() {
    act.disabled = true;
    clearTimeout(waiting);
    waiting = setTimeout(preview, 180);
  }
  async function preview() {
    const mine = ++turn;
    error.hidden = true;
    find.removeAttribute('aria-invalid');
    if (!find.value) {
      changes = [];
      return draw();
    }
    try {
      await book.flush();
      const r = await api(`/captions/${dataset}/replace/preview`, wanted());
      if (mine === turn) {
        changes = r.changes;
        draw();
      }
    } catch (e) {
      if (mine !== turn) return;
      changes = [];
      draw();
      fill(error, icon('alert', 's'), h('span', e.message));
      error.hidden = false;
      find.setAttribute('aria-invalid', 'true');
    }
  }
  function draw() {
    act.disabled = !changes.length;
    act.textContent = changes.length ? `Replace in ${plural(changes.length, book.words.text)}` : 'Replace';
    sum.textContent = !find.value
      ? `The ${book.words.text}s that would change are shown here first.`
      : error.hidden && !changes.length
        ? `No ${book.words.text} has this.`
        : changes.length > SHOWN
          ? `The first ${SHOWN} of ${changes.length}.`
          : changes.length
            ? 'Nothing is changed yet.'
            : '';
    fill(
      list,
      changes.slice(0, SHOWN).map((c) => {
        const i = book.places.get(c.id),
          it = book.items[i];
        return (
          it &&
          h(
            'li',
            h(
              'button.tn',
              {type: 'button', aria: {label: `Open ${book.words.row} ` + book.frame(i)}, onclick: () => book.go(i, false)},
              h('img', {src: book.thumb(it, 192), alt: '', width: 40, height: 40, loading: 'lazy'}),
            ),
            h('span.d-num.d-sub', book.frame(i)),
            h('p.diff', difference(c.before, c.after)),
          )
        );
      }),
    );
  }
  async function replace() {
    act.disabled = true;
    const number = changes.length;
    try {
      const {token} = await api(`/captions/${dataset}/replace`, wanted());
      await book.pull();
      toast(`Changed ${plural(number, book.words.text)}`, 'Undo', () => undo(book, token));
      preview();
    } catch (e) {
      fill(error, icon('alert', 's'), h('span', e.message));
      error.hidden = false;
    }
  }
  function open(given) {
    card.hidden = false;
    button.setAttribute('aria-expanded', 'true');
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
    button.setAttribute('aria-expanded', 'false');
    button.focus();
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
  button.addEventListener('click', () => (card.hidden ? open() : close()));
  addEventListener('keydown', (e) => {
    if ((e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'f' && !e.shiftKey && !e.altKey) {
      e.preventDefault();
      open();
    }
  });
  draw();
  return {open};
}
export async function undo(book, token) {
  try {
    await api(`/captions/${book.dataset}/undo`, {token});
    await book.pull();
    toast('Put back as it was');
  } catch (e) {
    toast(e.message);
  }
}
