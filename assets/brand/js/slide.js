// Two pictures under one slider, by pointer and by arrow keys: A | B of the test strip, before | after of an edit.
import {h, icon, fill, drag} from './core.js';

/* The pane alone; its contents are the caller's. `one` says in words what the share is of. */
export function makeSlider(label, one = 'of the first') {
  const pane = h('div.d-ab', {role: 'slider', tabIndex: 0, aria: {label, valuemin: 0, valuemax: 100}});
  let at = 50;
  function slide(v) {
    at = Math.max(0, Math.min(100, v));
    pane.style.setProperty('--at', at + '%');
    pane.setAttribute('aria-valuenow', Math.round(at));
    pane.setAttribute('aria-valuetext', `${Math.round(at)} percent ${one}`);
  }
  drag(pane, (f) => slide(f * 100));
  pane.addEventListener('keydown', (e) => {
    const v = {ArrowLeft: at - 5, ArrowRight: at + 5, Home: 0, End: 100}[e.key];
    if (v == null) return;
    e.preventDefault();
    e.stopPropagation();
    slide(v);
  });
  slide(at);
  return {pane, slide, get at() { return at; }};
}

/* The pane with its two pictures and the words in its corners. */
export function makeSlide(label, one) {
  const slider = makeSlider(label, one), {pane} = slider;
  pane.hidden = true;
  /* `a` and `b` are pictures, or places for them. Nothing at all empties it. */
  function show(a, b, wordA, wordB) {
    pane.hidden = !a;
    if (!a) return fill(pane);
    fill(pane, a, h('div.b', b), h('span.ln'), h('span.kn', icon('swap')), h('span.la', wordA), h('span.lb', wordB));
    slider.slide(slider.at);
    return pane;
  }
  return {pane, show, slide: slider.slide};
}
