// Tags between commas: a table of them with counts; added, taken out, renamed, moved or sorted, shown first, undone later.
import {h, icon, fill, api, plural, toast} from './core.js';
import {line, undo} from './captions_find.js';
import {placesOf} from './rows.js';

const ACTS = [['add', 'Add'], ['remove', 'Take out'], ['rename', 'Rename'], ['move', 'Move'], ['sort', 'Sort A to Z']];
const PLACES = [['end', 'last'], ['second', 'second, behind the first tag'], ['start', 'first']];
const MOST = 200;

export function mountTags(el, book) {
  const {dataset, words} = book;
  const tag = h('input.d-in', {id: 'tg-tag', maxLength: 200, autocomplete: 'off', aria: {describedby: 'tg-err'}}), to = h('input.d-in', {id: 'tg-to', maxLength: 200, autocomplete: 'off'});
  const place = h('select.d-sel', {id: 'tg-place'}, PLACES.map(([value, label]) => h('option', {value}, label)));
  const seg = h('div.d-seg', {role: 'radiogroup', aria: {label: 'What is done'}}), look = h('button.d-btn', {type: 'button', hidden: true, onclick: () => book.show(found)}, 'Show them');
  const act = h('button.d-btn.pri', {type: 'button', disabled: true, onclick: run}, 'Change'), sum = h('p.d-small.sum', {role: 'status'}), error = h('p.d-err', {id: 'tg-err', role: 'alert', hidden: true});
  const list = h('ul.d-rows.fr-list'), table = h('ul.tgs', {tabIndex: 0, aria: {label: 'Tags and how many captions have them'}}), like = h('input.d-in', {type: 'search', placeholder: 'Find a tag', aria: {label: 'Find a tag'}, maxLength: 200}), more = h('p.d-small.d-sub');
  const fields = [h('label.d-field', {htmlFor: 'tg-tag'}, h('b', 'Tag'), tag), h('label.d-field', {htmlFor: 'tg-to'}, h('b', 'New name'), to), h('label.d-field', {htmlFor: 'tg-place'}, h('b', 'Its place'), place)];
  const card = h('section.d-card.fr.tg', {hidden: true, aria: {label: 'Tags'}},
    h('div.d-row', h('h2.d-h2', 'Tags'), h('span.d-small.d-sub', `What stands between the commas of a ${words.text}.`), h('button.d-btn.ico.quiet.d-push', {type: 'button', aria: {label: 'Close tags'}, onclick: close}, icon('x', 's'))),
    h('div.tg-cols', h('div', seg, h('div.tg-f', fields), error, list, h('div.d-row.foot', sum, look, act)), h('div.tg-r', like, table, more)));
  el.append(card);
  let doing = 'add', count = 0, changes = [], found = null, turn = 0, looked = 0, used = 0, waiting, back = null, top = [];

  const wanted = () => ({act: doing, tag: tag.value, to: to.value, place: place.value, among: book.among});
  const ask = () => doing === 'sort' || (tag.value.trim() && (doing !== 'rename' || to.value.trim()));
  async function preview() {
    const mine = ++turn;
    act.disabled = true;                                                // until it is known what it would do now
    error.hidden = true;
    [changes, count, found] = [[], 0, null];
    if (ask()) try {
      await book.flush();
      const r = await api(`/captions/${dataset}/tags/preview`, wanted());
      if (mine !== turn) return;
      ({changes, count} = r);
      found = placesOf(r.places);
    } catch (e) {
      if (mine !== turn) return;
      fill(error, icon('alert', 's'), h('span', e.message));
      error.hidden = false;
    }
    draw();
  }
  function draw() {
    const some = book.chosen.size ? ' selected' : '';
    fill(seg, ACTS.map(([value, label]) => h('button', {type: 'button', role: 'radio', tabIndex: doing === value ? 0 : -1, aria: {checked: String(doing === value)}, onclick: () => choose(value)}, label)));
    fields[0].hidden = doing === 'sort';
    fields[1].hidden = doing !== 'rename';
    fields[2].hidden = !['add', 'move'].includes(doing);
    act.disabled = !count;
    act.textContent = count ? `${ACTS.find(([a]) => a === doing)[1]} in ${count.toLocaleString('en')}${some} ${words.text}${count === 1 ? '' : 's'}` : ACTS.find(([a]) => a === doing)[1];
    look.hidden = !count;
    sum.textContent = !ask() ? `The${some} ${words.text}s that would change are shown here first.` : !error.hidden ? '' : !count ? `No${some} ${words.text} would change.` : count > changes.length ? `The first ${changes.length} of ${count.toLocaleString('en')}. Nothing is changed yet.` : 'Nothing is changed yet.';
    fill(list, changes.map((c) => line(book, c)));
  }
  async function readTable() {
    if (card.hidden) return;
    const mine = ++looked;
    try {
      const r = await api(`/captions/${dataset}/words?kind=tags&limit=${MOST}&like=${encodeURIComponent(like.value.trim())}`);
      if (mine !== looked) return;
      top = r.top;
      const most = top[0]?.[1] || 1;
      fill(table, top.map(([name, n]) => h('li', h('button', {type: 'button', title: name, onclick: () => use(name)}, h('i', {style: {width: (100 * n) / most + '%'}}), h('span', name), h('b', n.toLocaleString('en'))))));
      more.textContent = !top.length ? (like.value ? 'No tag is like this.' : `They appear here once there are ${words.text}s.`) : r.different > top.length ? `and ${plural(r.different - top.length, 'rarer one')}` : `${plural(r.different, 'tag')}. A click shows where one stands.`;
    } catch (e) { if (mine === looked) more.textContent = e.message; }
  }
  /* A tag of the table: where it stands, and the one that is changed. */
  async function use(name) {
    tag.value = name;
    if (doing === 'add' || doing === 'sort') doing = 'remove';
    draw();
    preview();
    const mine = ++used;
    try {
      const {places} = await api(`/captions/${dataset}/search`, {tag: name});
      if (mine === used) book.show(placesOf(places));                   // else another one was clicked meanwhile
    } catch (e) { toast(e.message); }
  }
  function choose(value) { doing = value; preview(); draw(); seg.querySelector('[aria-checked=true]').focus(); }
  async function run() {
    act.disabled = true;
    const number = count, asked = wanted();
    try {
      await book.flush();
      const {token} = await api(`/captions/${dataset}/tags`, asked);
      await book.pull();
      for (const f of book.acted) f();
      toast(`Changed ${plural(number, words.text)}`, 'Undo', () => undo(book, token));
      preview();
    } catch (e) { toast(e.message); draw(); }
  }
  function open() { back = document.activeElement; card.hidden = false; draw(); preview(); readTable(); card.scrollIntoView({block: 'nearest'}); tag.focus(); for (const f of book.opened) f(); }
  function close() { card.hidden = true; for (const f of book.opened) f(); back?.focus(); }
  const later = () => { act.disabled = true; clearTimeout(waiting); waiting = setTimeout(preview, 200); };
  for (const field of [tag, to]) {
    field.addEventListener('input', later);
    field.addEventListener('keydown', (e) => { if (e.key === 'Enter' && !act.disabled) { e.preventDefault(); run(); } });
  }
  place.addEventListener('change', preview);
  like.addEventListener('input', () => readTable());
  seg.addEventListener('keydown', (e) => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[e.key];
    if (step) { e.preventDefault(); choose(ACTS[(ACTS.findIndex(([a]) => a === doing) + step + ACTS.length) % ACTS.length][0]); }
  });
  card.addEventListener('keydown', (e) => { if (e.key === 'Escape') { e.stopPropagation(); close(); } });
  book.changed.add(() => !card.hidden && readTable());
  book.selected.add(() => !card.hidden && preview());
  draw();
  return {open, close, get on() { return !card.hidden; }};
}
