// What training reads: the captions of the next passes, some left out, tags in another order; by the trainer's own draws.
import {h, icon, fill, api, href, plural} from './core.js';
import {runsOf} from './rows.js';

const KEPT = 'reading', FIRST = {drop: '5', shuffle: false, keep: '1', seed: '1'};
const PASSES = 5, LOOKED_AT = 60;
const FIELD = {caption_dropout: 'drop', keep_tags: 'keep', seed: 'seed'};

function remembered() {
  try { return {...FIRST, ...JSON.parse(localStorage[KEPT])}; } catch { return {...FIRST}; }
}

/* -> {open, close, on} */
export function mountReading(el, book) {
  const now = remembered();
  const number = (name, most) => h('input.d-in.mono', {id: 'rd-' + name, type: 'text', inputMode: 'decimal', maxLength: most, autocomplete: 'off', value: now[name], aria: {describedby: 'rd-err'}});
  const inputs = {drop: number('drop', 5), keep: number('keep', 3), seed: number('seed', 10)}, shuffle = h('input', {type: 'checkbox', id: 'rd-shuffle', checked: now.shuffle});
  const field = (name, title, hint, more) => h('div.d-field', h('label.d-lab', {htmlFor: 'rd-' + name}, title), h('span.d-sub', hint), h('div.rd-in', inputs[name], more));
  const keep = field('keep', 'Tags that keep their place', 'the first so many');
  const dice = h('button.d-btn.ico.quiet', {type: 'button', title: 'Another seed', aria: {label: 'Another seed'}, onclick: () => { inputs.seed.value = String(Math.floor(Math.random() * 10000)); changed(); }}, icon('dice', 's'));
  const error = h('p.d-err', {id: 'rd-err', role: 'alert', hidden: true}), sum = h('p.d-small.sum', {role: 'status'});
  const list = h('ul.d-rows.fr-list.rd-list', {tabIndex: 0, aria: {label: 'Captions, pass by pass'}});
  const use = h('a.d-btn.pri', {href: href('train')}, 'Use on Train');
  const card = h('section.d-card.fr.rd', {hidden: true, aria: {label: 'What training reads'}},
    h('div.d-row', h('h2.d-h2', 'What training reads'), h('button.d-btn.ico.quiet.d-push', {type: 'button', aria: {label: 'Close what training reads'}, onclick: close}, icon('x', 's'))),
    h('p.d-small.d-sub', `The same captions in ${PASSES} passes over the pictures, as a run with this seed reads them. Nothing is changed here.`),
    h('div.rd-f', field('drop', 'Caption dropout', '0 to 90 %; 5 is usual', h('span.d-sub', '%')),
      h('div.d-field', h('b', 'Tags'), h('span.d-sub', 'between commas, not for sentences'), h('label.ck', shuffle, ' Shuffle tags')), keep, field('seed', 'Seed', 'that of the run', dice)),
    error, list, h('div.d-row.foot', sum, use));
  el.append(card);
  let turn = 0, waiting, back = null, found = null, all = null;

  const share = () => Math.round(Number(now.drop) * 1e6) / 1e8; // per cent as a part of 1
  const settings = () => ({caption_dropout: share(), shuffle_tags: now.shuffle, keep_tags: now.keep, seed: now.seed});
  function check() {
    if (now.drop.trim() === '' || !(Number(now.drop) >= 0 && Number(now.drop) <= 90)) throw Object.assign(new Error(`Caption dropout is “${now.drop}”; it must be a number from 0 to 90 per cent, such as 5.`), {field: 'caption_dropout'});
    if (now.seed.trim() === '') throw Object.assign(new Error('Seed is empty; without one each run draws anew. Write a whole number such as 1.'), {field: 'seed'});
  }
  async function preview() {
    const mine = ++turn;
    fault();
    try {
      check();
      await book.flush();
      const shown = book.chosen.size ? [...book.chosen].sort((a, b) => a - b) : book.grid.shown;
      const answer = await api(`/captions/${book.dataset}/readings`, {...settings(), passes: PASSES, among: runsOf(shown.slice(0, LOOKED_AT))});
      if (mine !== turn) return;
      found = answer;
    } catch (e) {
      if (mine !== turn) return;
      found = all = null;
      fault(e);
    }
    draw();
    if (found && now.shuffle) try { // of many a moment later than what is shown
      const counted = await api(`/captions/${book.dataset}/readings/count`, settings());
      if (mine === turn) { all = counted; sum.textContent = told(); }
    } catch { /* it comes with the next change */ }
  }
  function fault(e) {
    error.hidden = !e;
    if (e) fill(error, icon('alert', 's'), h('span', e.message));
    for (const [name, own] of Object.entries(FIELD)) e?.field === name ? inputs[own].setAttribute('aria-invalid', 'true') : inputs[own].removeAttribute('aria-invalid');
  }
  function draw() {
    keep.classList.toggle('off', !now.shuffle);
    inputs.keep.disabled = !now.shuffle;
    use.classList.toggle('d-gone', !found);
    use.href = found ? href('train', settings()) : href('train');
    fill(list, found?.rows.map(line), found && !found.rows.length && h('li', h('p.d-sub', 'None of these pictures is trained on: all are excluded.')));
    sum.textContent = found ? told() : '';
  }
  function line(row) {
    const face = h('button.tn', {type: 'button', aria: {label: `${book.words.Row} ${book.frame(row.place)}`}, onclick: () => book.go(row.place)}, h('img', {src: `/media/thumb/${book.dataset}/${row.face}/192.webp`, alt: '', width: 40, height: 40, loading: 'lazy', decoding: 'async'}));
    const read = (text, n) => h('li' + (text ? '' : '.no') + (text === row.text ? '.as' : ''), {value: n + 1}, text || (row.text ? '(empty caption)' : '(no caption yet)'));
    return h('li', face, h('div.bd', h('b.d-num', book.frame(row.place)), h('ol', row.passes.map(read))));
  }
  function told() {
    const some = book.chosen.size ? 'The selected ones.' : `The first ${found.rows.length} that are shown; select others to see theirs.`;
    if (!now.shuffle || !all) return some;
    if (!all.moving) return `No caption changes: none has two tags or more behind those that keep their place.`;
    const once = all.texts > all.written ? ` Encoded once: ${plural(all.texts, 'text')} instead of ${all.written.toLocaleString('en')}.` : '';
    return `${some} Tags change places in ${all.moving.toLocaleString('en')} of ${plural(all.written, 'caption')}.${once}`;
  }
  function changed() {
    for (const name of Object.keys(inputs)) now[name] = inputs[name].value;
    now.shuffle = shuffle.checked;
    try { localStorage[KEPT] = JSON.stringify(now); } catch { /* private window */ }
    clearTimeout(waiting);
    waiting = setTimeout(preview, 180);
  }
  function open() { back = document.activeElement; card.hidden = false; draw(); preview(); card.scrollIntoView({block: 'nearest'}); inputs.drop.focus(); for (const f of book.opened) f(); }
  function close() { card.hidden = true; for (const f of book.opened) f(); back?.focus(); }
  for (const input of Object.values(inputs)) input.addEventListener('input', changed);
  shuffle.addEventListener('change', () => { changed(); draw(); });
  card.addEventListener('keydown', (e) => { if (e.key === 'Escape') { e.stopPropagation(); close(); } });
  const again = () => { if (!card.hidden) { clearTimeout(waiting); waiting = setTimeout(preview, 250); } };
  book.changed.add(again);
  book.selected.add(again);
  return {open, close, get on() { return !card.hidden; }};
}
