// Two pictures under one slider: A | B of the test strip, before | after of an edit.
import {h, icon, fill, drag} from './core.js';

export function makeSlide(label, one) {
  const pane = h('div.d-ab', {role: 'slider', tabIndex: 0, hidden: true, aria: {label, valuemin: 0, valuemax: 100}});
  let at = 50;
  function slide(v) {
    at = Math.max(0, Math.min(100, v));
    pane.style.setProperty('--at', at + '%');
    pane.setAttribute('aria-valuenow', Math.round(at)); pane.setAttribute('aria-valuetext', `${Math.round(at)} percent ${one}`);
  }
  drag(pane, (f) => slide(f * 100));
  pane.addEventListener('keydown', (e) => { const v = {ArrowLeft: at - 5, ArrowRight: at + 5, Home: 0, End: 100}[e.key]; if (v != null) { e.preventDefault(); slide(v); } });
  /* `a` and `b` are pictures, or places for them; the words stand in the corners. Nothing at all empties it. */
  function show(a, b, wordA, wordB) {
    pane.hidden = !a;
    if (!a) return fill(pane);
    fill(pane, a, h('div.b', b), h('span.ln'), h('span.kn', icon('swap')), h('span.la', wordA), h('span.lb', wordB));
    slide(at);
    return pane;
  }
  return {pane, show, slide};
}
