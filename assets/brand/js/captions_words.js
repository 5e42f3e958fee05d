// The words that stand in the captions, as chips with counts: a click filters, then shows, replaces or takes out.
import {h, fill, refill, api, plural, toast} from './core.js';
import {placesOf} from './rows.js';

const MOST = 14;

export function mountWords(el, book) {
  let chosen = null,
    at = [],
    top = [],
    different = 0,
    took = 0,
    waiting;
  const chips = h('div.d-row.wrap.chips'),
    rep = h('div.rep', {hidden: true}),
    more = h('p.d-small.d-sub', {style: {'margin-top': '8px'}});
  fill(el, h('h3.d-lab', {style: {'margin-top': '24px'}}, `Words in all ${book.words.text}s`), chips, more, rep);
  async function read() {
    const begun = performance.now();
    try {
      ({top, different} = await api(`/captions/${book.dataset}/words?limit=${MOST}`));
      if (chosen) await choose(chosen);
      else draw();
    } catch {
      /* they come with the next change */
    }
    took = performance.now() - begun;
  }
  /* In which captions the word stands. */
  async function choose(word) {
    chosen = word;
    at = word ? placesOf((await api(`/captions/${book.dataset}/search`, {word})).places) : [];
    if (chosen !== word) return;
    if (word && !at.length) chosen = null;
    draw();
  }
  function draw() {
    const written = book.numbers.wanted - book.missing,
      all = chosen && !top.some(([w]) => w === chosen) ? [...top, [chosen, at.length]] : top;
    refill(
      chips,
      all.map(([w, n]) =>
        h(
          'button.d-chip' + (w === chosen ? '.on' : ''),
          {
            type: 'button',
            data: {again: 'word ' + w},
            aria: {pressed: String(w === chosen)},
            title: n === written ? `In every ${book.words.text}` : '',
            onclick: () => {
              if (w === chosen) book.show();
              choose(w === chosen ? null : w).catch((e) => toast(e.message));
            },
          },
          w + ' ',
          h('b', n.toLocaleString('en')),
        ),
      ),
    );
    more.textContent = !written
      ? `They appear here once there are ${book.words.text}s.`
      : different > top.length
        ? `and ${plural(different - top.length, 'rarer one')}`
        : '';
    rep.hidden = !chosen;
    if (!chosen) return;
    const names = at.slice(0, 8).map(book.frame),
      rest = at.length - names.length;
    const list = rest
      ? `${names.join(', ')} and ${rest.toLocaleString('en')} more`
      : names.length > 1
        ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
        : names[0];
    refill(
      rep,
      h(
        'p.d-small',
        h('b.d-strong', chosen),
        at.length === written && written > 1 ? ` stands in every ${book.words.text}` : ` stands in ${plural(at.length, book.words.text)}: ${list}`,
      ),
      h(
        'div.d-row.wrap',
        {style: {gap: '8px', 'margin-top': '8px'}},
        h('button.d-btn.sm', {type: 'button', data: {again: 'show word'}, onclick: () => book.show(at)}, at.length === 1 ? 'Show it' : `Show the ${at.length.toLocaleString('en')}`),
        h('button.d-btn.sm', {type: 'button', onclick: () => book.find({find: chosen})}, 'Replace'),
        h('button.d-btn.sm', {type: 'button', onclick: () => book.find({find: chosen, remove: true})}, 'Take out'),
      ),
    );
  }
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(read, Math.max(120, 4 * took));
  }; // many changes at once, one reading
  book.changed.add(later);
  draw();
  book.afterwards(read);
}
