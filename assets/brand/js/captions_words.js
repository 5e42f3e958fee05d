// The words that stand in the captions, as chips with counts: a click filters, then shows, replaces or takes out.
import {h, fill, plural} from './core.js';

const SMALL = new Set('a an the of and or on in at with is are its it to his her their for from by as'.split(' '));
const MOST = 14;

/* Phrases between commas that are short stay whole ("looking left"); longer ones are taken apart into words. */
export function wordsOf(text) {
  const found = new Set();
  for (const part of text.toLowerCase().split(/[,;.\n]+/)) {
    const words = part
      .split(/\s+/)
      .map((w) => w.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, ''))
      .filter(Boolean);
    const useful = words.filter((w) => !SMALL.has(w));
    if (words.length === 2 && useful.length === 2) found.add(words.join(' '));
    else for (const w of useful) found.add(w);
  }
  return found;
}
export function countWords(items) {
  const seen = new Map();
  items.forEach((it, i) => {
    for (const w of wordsOf(it.text)) (seen.get(w) || seen.set(w, []).get(w)).push(i);
  });
  return seen;
}

export function mountWords(el, book) {
  let chosen = null,
    waiting;
  const chips = h('div.d-row.wrap.chips'),
    rep = h('div.rep', {hidden: true}),
    more = h('p.d-small.d-sub', {style: {'margin-top': '8px'}});
  fill(el, h('h3.d-lab', {style: {'margin-top': '24px'}}, `Words in all ${book.words.text}s`), chips, more, rep);
  function draw() {
    const seen = countWords(book.items),
      written = book.items.length - book.missing;
    const all = [...seen].sort((a, b) => b[1].length - a[1].length || a[0].localeCompare(b[0]));
    if (chosen && !seen.has(chosen)) chosen = null;
    const top = all.slice(0, MOST);
    if (chosen && !top.some(([w]) => w === chosen)) top.push([chosen, seen.get(chosen)]);
    fill(
      chips,
      top.map(([w, at]) =>
        h(
          'button.d-chip' + (w === chosen ? '.on' : ''),
          {
            type: 'button',
            aria: {pressed: String(w === chosen)},
            title: at.length === written ? `In every ${book.words.text}` : '',
            onclick: () => {
              chosen = w === chosen ? null : w;
              draw();
              if (!chosen) book.show();
            },
          },
          w + ' ',
          h('b', String(at.length)),
        ),
      ),
    );
    more.textContent = !written
      ? `They appear here once there are ${book.words.text}s.`
      : all.length > MOST
        ? `and ${plural(all.length - MOST, 'rarer one')}`
        : '';
    rep.hidden = !chosen;
    if (!chosen) return;
    const at = seen.get(chosen),
      names = at.slice(0, 8).map(book.frame),
      rest = at.length - names.length;
    const list = rest
      ? `${names.join(', ')} and ${rest} more`
      : names.length > 1
        ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
        : names[0];
    fill(
      rep,
      h(
        'p.d-small',
        h('b.d-strong', chosen),
        at.length === written && written > 1 ? ` stands in every ${book.words.text}` : ` stands in ${plural(at.length, book.words.text)}: ${list}`,
      ),
      h(
        'div.d-row.wrap',
        {style: {gap: '8px', 'margin-top': '8px'}},
        h('button.d-btn.sm', {type: 'button', onclick: () => book.show(at)}, at.length === 1 ? 'Show it' : `Show the ${at.length}`),
        h('button.d-btn.sm', {type: 'button', onclick: () => book.find({find: chosen})}, 'Replace'),
        h('button.d-btn.sm', {type: 'button', onclick: () => book.find({find: chosen, remove: true})}, 'Take out'),
      ),
    );
  }
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(draw, 120);
  }; // many changes at once, one drawing
  book.changed.add(later);
  draw();
}
