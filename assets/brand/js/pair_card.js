// One edit pair: its two pictures, or a place for the one that is awaited, and the instruction under them.
import {h, icon, fill} from './core.js';
import {makeSaver} from './captions_save.js';

const PAUSE = 500, MOST = 400;
const two = (n) => String(n).padStart(2, '0');

/* given: {page, number(it), marks(it), changed(it), look(it), place(it, side, file), next(it), swap(it), remove(it), crop(it), exclude(it),
   chosen(place), pick(place, e), walk(e, place)} */
export function makePairCard(given) {
  const cards = new Map();                                            // by the place where the pair stands
  const source = (image) => `/media/thumb/${given.page.id}/${image.id}/${(devicePixelRatio || 1) > 1 || innerWidth < 761 ? 384 : 192}.webp`;

  /* The card of a place; without its pair, which is on its way, an empty one as large. */
  function element(place, it) {
    let card = cards.get(place);
    if (!it && card?.it) return card.el;                               // what is seen stays until the new one is here
    if (!card || (it && card.it?.id !== it.id)) {
      if (cards.size > MOST) for (const [key, old] of cards) if (!old.el.isConnected) cards.delete(key);
      cards.set(place, card = it ? build(it) : blank(place));
    }
    if (it) { card.it = it; paint(card); }
    ring(card, place);
    return card.el;
  }
  function blank(place) {
    const ph = () => h('div.d-ph');
    return {el: h('article.pr', {data: {place}, aria: {busy: 'true', label: 'A pair on its way'}}, h('div.d-pair', ph(), ph()), h('div.lb.d-num', h('span', '\u00a0'), h('span', h('span.acts', h('button', {type: 'button', disabled: true, aria: {hidden: 'true'}, style: {visibility: 'hidden'}})))), h('input.d-in', {disabled: true, aria: {hidden: 'true'}}), h('p.er'))};
  }
  function build(it) {
    const card = {it}, act = (name, words, f) => h('button', {type: 'button', title: words, data: {act: name}, onclick: () => f(card.it)}, icon(name, 's'));
    card.pair = h('div.d-pair');
    card.no = h('span');
    card.label = h('label.d-vh', {htmlFor: 'in-' + it.id});
    card.input = h('input.d-in', {id: 'in-' + it.id, maxLength: 2000, autocomplete: 'off', placeholder: 'What changes from left to right?', aria: {describedby: 'er-' + it.id}});
    card.note = h('p.er', {id: 'er-' + it.id});
    card.tick = h('button.tk', {type: 'button', role: 'checkbox', title: 'Select', onclick: (e) => given.pick(card.it.place, e), onkeydown: (e) => {
      if (e.key === 'Enter') { e.preventDefault(); given.look(card.it); } else if (e.key !== ' ') given.walk(e, card.it.place);
    }}, h('span', icon('check', 's')));
    card.el = h('article.pr', {data: {id: it.id, place: it.place}}, card.pair, card.tick,
      h('div.lb.d-num', card.no, h('span', 'after', h('span.acts', act('zoom', 'Look at it large', given.look), card.crop = act('crop', 'Crop', given.crop), card.leave = act('out', 'Exclude from training, or include', given.exclude), act('swap', 'Swap before and after', given.swap), act('trash', 'Remove', given.remove)))), card.label, card.input, card.note);
    card.pair.addEventListener('click', (e) => { if (e.target.tagName === 'IMG') { if (e.shiftKey || e.ctrlKey || e.metaKey) given.pick(card.it.place, e); else given.look(card.it); } });
    card.el.addEventListener('mousedown', (e) => { if (e.shiftKey && e.target.closest('.tk,.d-pair')) e.preventDefault(); });     // no words are marked on the way
    card.input.addEventListener('input', () => type(card));
    card.input.addEventListener('blur', () => save(card.it));
    card.input.addEventListener('keydown', (e) => {
      if (e.key === 'Escape') { e.preventDefault(); card.input.blur(); }
      if (e.key !== 'Enter' || e.isComposing) return;
      e.preventDefault();
      if (card.it.by === 'draft' && card.it.draft == null) card.it.draft = card.it.text;    // Enter on a draft says that it is right
      save(card.it);
      given.next(card.it);
    });
    return card;
  }
  function paint(card) {
    const {it} = card, n = given.number(it), marks = given.marks(it) || [];
    const sign = JSON.stringify([n, it.before.id, it.after.id, it.missing, it.excluded, it.judges, source({id: ''})]);
    if (card.sign !== sign) {
      card.sign = sign;
      card.no.textContent = `${two(n)} before`;
      card.tick.setAttribute('aria-label', `Select pair ${n}`);
      for (const act of card.el.querySelectorAll('[data-act]')) act.setAttribute('aria-label', `${act.title}, pair ${n}`);
      card.el.classList.toggle('out', !!it.excluded);
      card.crop.hidden = card.leave.hidden = !!it.missing;
      card.label.textContent = `Instruction for pair ${n}`;
      fill(card.pair, side(card, 'before', n), side(card, 'after', n), it.judges && !it.excluded && h('span.d-mark', {title: 'Judges, and is never learnt from'}, icon('judge', 's'), 'judges'));
      if (!it.missing) card.pair.querySelectorAll('img').forEach((img) => { img.title = it.name; });
    }
    const text = it.draft ?? it.text;
    if (card.input.value !== text) card.input.value = text;
    card.el.classList.toggle('need', !it.missing && !it.excluded && !text.trim());
    const state = [it.status, text.trim() ? 1 : 0, it.by, it.missing, it.excluded, it.theirs?.text, marks.map((m) => m.text)].join('|');
    if (card.state === state) return;
    card.state = state;
    card.note.className = 'er';
    fill(card.note, words(card, marks, text));
  }
  function words(card, marks, text) {
    const {it} = card, button = (label, f) => h('button.d-btn.sm', {type: 'button', onclick: f}, label);
    if (it.theirs) return [`Elsewhere it now reads “${it.theirs.text || 'nothing'}”.`, button('Keep mine', () => settle(it, true)), button('Take it', () => settle(it, false))];
    if (it.status === 'fail') return [icon('alert', 's'), 'Not saved.', button('Try again', () => save(it))];
    if (it.excluded) { card.note.classList.add('calm'); return [icon('out', 's'), 'Excluded from training.']; }
    if (!it.missing && !text.trim()) return [icon('alert', 's'), 'An instruction is missing.'];
    if (it.by === 'draft' && it.draft == null) { card.note.classList.add('calm'); return ['A draft. Enter says that it is right.']; }
    if (marks.length) return [icon(marks[0].icon, 's'), marks.map((m) => m.text).join(', ')[0].toUpperCase() + marks.map((m) => m.text).join(', ').slice(1) + '.'];
    if (it.status === 'saved') { card.note.classList.add('calm'); return [icon('check', 's'), 'Saved']; }
    return [];
  }
  function side(card, name, n) {
    const image = card.it[name];
    if (image.id) return h('img', {src: source(image), alt: `${name === 'before' ? 'Before' : 'After'}, pair ${n}`, width: 192, height: 192, loading: 'lazy', decoding: 'async', draggable: false});
    const input = h('input', {type: 'file', accept: 'image/*', hidden: true, onchange: () => { if (input.files[0]) given.place(card.it, name, input.files[0]); input.value = ''; }});
    const wait = image.name ? `waits for ${image.name.split('/').pop()}` : '';
    return h('div.d-dropzone.pz', {role: 'button', tabIndex: 0, data: {side: name}, aria: {label: `Choose the picture ${name}, pair ${n}`}, onclick: (e) => e.target !== input && input.click(),
      onkeydown: (e) => { if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); input.click(); } }},
      h('span', icon('plus'), h('br'), 'Drop the', h('br'), `${name} picture`, wait && h('small', wait)), input);
  }
  function type(card) {
    const {it} = card;
    it.draft = card.input.value;
    it.status = '';
    clearTimeout(it.pause);
    it.pause = setTimeout(() => save(it), PAUSE);
    paint(card);
  }
  function save(it) {
    clearTimeout(it.pause);
    if (it.draft === it.text && it.by !== 'draft' && !it.theirs && !it.sending) it.draft = null;     // typed back; but not what is on its way
    const repaint = () => { const card = cards.get(it.place); if (card?.it === it) paint(card); };
    it.saver ||= makeSaver({dataset: given.page.id, status: (kind) => { it.status = kind; repaint(); }, tokens() {}, isShown: () => true, after: () => { repaint(); if (it.draft == null && !it.theirs && !it.failed) given.changed(it); }});
    return it.saver(it);
  }
  function settle(it, mine) {
    const {theirs} = it;
    it.theirs = null;
    it.version = theirs.version;
    if (mine) { Object.assign(it, {text: theirs.text, by: theirs.by}); save(it); return; }
    Object.assign(it, {text: theirs.text, by: theirs.by, draft: null, status: ''});
    given.changed(it);
    cards.get(it.place)?.input.focus();
  }
  function focus(it) { const card = cards.get(it.place); if (card?.el.isConnected && card.input) { card.input.focus({preventScroll: true}); card.input.select(); } }
  /* Whether it is selected. */
  function ring(card, place) {
    const on = given.chosen(place);
    card.el.classList.toggle('sel', on);
    card.tick?.setAttribute('aria-checked', String(on));
  }
  function rings() { for (const [place, card] of cards) if (card.el.isConnected) ring(card, place); }
  function focusTick(place) { cards.get(place)?.tick?.focus({preventScroll: true}); }
  /* Forgets the cards of pairs that are gone. */
  function keep(is) { for (const place of cards.keys()) if (!is(place)) cards.delete(place); }
  return {element, focus, focusTick, rings, save, keep};
}
