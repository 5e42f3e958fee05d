// Above the pictures: which captions are shown (by words, length, who wrote them), and what is done to many.
import {h, icon, fill, api, plural} from './core.js';
import {placesOf} from './rows.js';

const WHO = [['', 'All'], ['missing', 'Without words'], ['person', 'Edited by hand'], ['file', 'From their file'], ['captioner', 'By a captioner'], ['draft', 'Drafts to read']];

export function mountBar(el, book, panels) {
  const name = book.words.text;
  const text = h('input.d-in.q', {type: 'search', maxLength: 500, placeholder: `Search the ${name}s`, aria: {label: `Search the ${name}s`, describedby: 'flt-err'}, autocomplete: 'off'});
  const expression = h('input', {type: 'checkbox'}), who = h('select.d-sel', {aria: {label: 'Written by'}}, WHO.map(([value, words]) => h('option', {value}, words)));
  const number = (label) => h('input.d-in.nr', {type: 'text', inputMode: 'numeric', maxLength: 5, placeholder: 'any', aria: {label}}), least = number('At least so many tokens'), most = number('At most so many tokens');
  const poor = h('button.d-chip', {type: 'button', hidden: true, aria: {pressed: 'false'}, title: `The score says that the ${name} fits its picture poorly: less than 0.5 of 1`, onclick: () => { fits = !fits; later(0); }}, 'Fits poorly');
  let fits = false;
  const said = h('p.d-small', {role: 'status'}), error = h('p.d-err', {id: 'flt-err', role: 'alert', hidden: true}), clear = h('button.d-btn.sm.quiet', {type: 'button', hidden: true, onclick: () => reset()}, icon('x', 's'), ' Clear');
  const long = h('button.d-chip', {type: 'button', aria: {pressed: 'false'}, title: `The base model reads ${book.limit} tokens`, onclick: () => { const on = least.value === String(book.limit + 1); least.value = on ? '' : book.limit + 1; most.value = ''; later(0); }}, 'Too long');
  const tool = (key, name, words) => h('button.d-btn.sm.quiet', {type: 'button', data: {key}, aria: {expanded: 'false'}, onclick: () => toggle(key)}, icon(name, 's'), ' ' + words);
  const tools = [tool('find', 'find', 'Find and replace'), panels.tags && tool('tags', 'sliders', 'Tags'), panels.reading && tool('reading', 'strip', 'Preview'), tool('steps', 'undo', 'Changes')].filter(Boolean);
  const chosen = h('span.d-row.sl', {hidden: true});
  fill(el, h('div.flt', {role: 'search'}, h('div.d-row.wrap', text, h('label.ck', expression, ' Expression'), who, h('span.d-row.tk', least, h('span.d-small.d-sub', 'to'), most, h('span.d-small.d-sub', 'tokens')), long, poor, clear, h('div.d-row.d-push.tl', tools)),
    h('div.d-row.wrap.sd', said, error, chosen)));
  let waiting, turn = 0, kept = null;

  function toggle(key) {
    const was = panels[key].on;
    for (const other of Object.values(panels)) if (other?.on) other.close();
    if (!was) panels[key].open();
    draw();
  }
  const whole = (field) => (field.value.trim() === '' ? null : Number(field.value.trim()));
  function wanted() {
    const bounds = {tokens_min: whole(least), tokens_max: whole(most)};
    for (const field of [least, most]) if (whole(field) != null && !(Number.isInteger(whole(field)) && whole(field) >= 0)) throw new Error(`“${field.value}” is not a number of tokens. Write a whole number such as ${book.limit}, or leave it empty.`);
    if (bounds.tokens_min != null && bounds.tokens_max != null && bounds.tokens_min > bounds.tokens_max) throw new Error(`From ${bounds.tokens_min} to ${bounds.tokens_max} tokens has nothing in it. The first number must be the smaller one.`);
    const state = who.value === 'missing' ? 'missing' : '';
    return {text: text.value.trim() && (expression.checked ? text.value : text.value.trim()), expression: expression.checked, by: state ? '' : who.value, state, score_max: fits ? 0.5 : null, ...bounds};
  }
  const isOpen = (w) => !w.text && !w.by && !w.state && w.tokens_min == null && w.tokens_max == null && w.score_max == null;
  async function run() {
    const mine = ++turn;
    error.hidden = true;
    text.removeAttribute('aria-invalid');
    try {
      const w = wanted();
      if (isOpen(w)) { if (kept) book.show(); kept = null; return draw(); }
      await book.flush();
      const r = await api(`/captions/${book.dataset}/search`, w);
      if (mine !== turn) return;
      kept = {count: r.count};
      book.show(r.count ? placesOf(r.places) : undefined);
    } catch (e) {
      if (mine !== turn) return;
      fill(error, icon('alert', 's'), h('span', e.message));
      error.hidden = false;
      if (e.field === 'find') text.setAttribute('aria-invalid', 'true');
    }
    draw();
  }
  function later(ms = 220) { clearTimeout(waiting); waiting = setTimeout(run, ms); draw(); }
  function reset() { for (const field of [text, least, most, who]) field.value = ''; expression.checked = fits = false; kept = null; turn++; error.hidden = true; book.show(); draw(); text.focus(); }
  function draw() {
    const on = text.value || least.value || most.value || who.value || fits;
    poor.hidden = !book.numbers.scored;
    poor.classList.toggle('on', fits);
    poor.setAttribute('aria-pressed', String(fits));
    clear.hidden = !on;
    long.classList.toggle('on', least.value === String(book.limit + 1) && !most.value);
    long.setAttribute('aria-pressed', String(long.classList.contains('on')));
    said.textContent = kept && error.hidden ? (kept.count ? `${plural(kept.count, name)} of ${book.order.length.toLocaleString('en')}${book.exact ? '' : ', tokens are estimated'}.` : `No ${name} is like this; all are shown.`) : '';
    for (const b of tools) b.setAttribute('aria-expanded', String(!!panels[b.dataset.key].on));
    const n = book.chosen.size;
    chosen.hidden = !n;
    if (n) fill(chosen, h('b', `${n.toLocaleString('en')} selected.`), h('span.d-small.d-sub', 'Replace, tags and the trigger word then change these only.'), h('button.d-btn.sm.quiet', {type: 'button', onclick: () => book.grid.selectAll(false)}, 'Clear the selection'));
    el.querySelector('.sd').hidden = !said.textContent && error.hidden && !n;
  }
  text.addEventListener('input', () => later());
  text.addEventListener('keydown', (e) => {
    if (e.key === 'Enter') { e.preventDefault(); later(0); }
    if (e.key === 'Escape' && text.value) { e.preventDefault(); e.stopPropagation(); reset(); }
  });
  for (const field of [least, most]) field.addEventListener('input', () => later(400));
  for (const field of [expression, who]) field.addEventListener('change', () => later(0));
  book.selected.add(draw);
  book.changed.add(draw);
  book.opened.add(draw);
  draw();
  return {focus: () => { text.focus(); text.select(); }};
}
