// What one caption read before: what changed it, when, and each with a way back.
import {h, icon, fill, api, toast} from './core.js';
import {WHAT, when} from './captions_steps.js';

export function mountHistory(el, book, writer) {
  const list = h('ul.d-rows.hist', {hidden: true}), fold = h('button.d-btn.sm.quiet.hs', {type: 'button', aria: {expanded: 'false'}, onclick: () => turn(list.hidden)}, icon('clock', 's'), ' History');
  fill(el, fold, list);
  let turned = 0;

  function turn(on) { list.hidden = !on; fold.setAttribute('aria-expanded', String(on)); if (on) read(); }
  async function read() {
    const it = book.here(), mine = ++turned;
    if (list.hidden || !it) return;
    try {
      const {entries} = await api(`/captions/${book.dataset}/pictures/${it.id}/history`);
      if (mine === turned && book.here() === it) draw(it, entries);
    } catch (error) { fill(list, h('li', h('p.d-small', error.message))); }
  }
  /* An entry knows what stood there before it; what came then is what the next one knows. */
  function draw(it, entries) {
    let after = it.text;
    const lines = [];
    entries.forEach((entry) => {
      const aside = entry.what === 'aside', text = aside ? entry.text : after;
      if (!aside) after = entry.text;
      lines.push({number: aside ? entry.number : null, text, what: WHAT[entry.what] || entry.what, time: entry.time, aside});
    });
    /* What came with a change is restored as what stood there before the one that followed. */
    let newer = null;
    entries.forEach((entry, i) => { if (entry.what !== 'aside') { lines[i].number = newer; newer = entry.number; } });
    if (entries.some((entry) => entry.what !== 'aside')) lines.push({number: newer, text: after, what: 'At first', time: null});
    const told = lines.filter((line, i) => line.aside || line.text !== lines[i + 1]?.text);                    // typed and taken back says nothing
    fill(list, told.map((line) => h('li', h('div.bd', h('p.tx', line.text || h('i', 'no words')), h('p.d-small.d-sub', line.what + (line.time ? ', ' + when(line.time) : ''))),
      line.number != null && line.text !== it.text && h('button.d-btn.sm', {type: 'button', aria: {label: `Bring back: ${line.text || 'no words'}`}, onclick: () => restore(it, line.number)}, 'Bring back'))),
    !told.length && h('li', h('p.d-small.d-sub', 'It has not been changed yet.')));
  }
  async function restore(it, number) {
    try {
      await book.flush();
      const now = await api(`/captions/${book.dataset}/pictures/${it.id}/restore`, {number, writer});
      book.recount(it, now);
      Object.assign(it, now, {draft: null});
      if (book.here() === it) book.shownAnew(it);
      book.after(it);
      read();
    } catch (error) { toast(error.message); }
  }
  book.moved.add(read);
  book.changed.add((some) => (!some || some.includes(book.here())) && read());
}
