// Two pictures under one slider, by pointer and by arrow keys.
import {h, drag} from './core.js';

export function makeSlider(label) {
  const pane = h('div.d-ab', {role: 'slider', tabIndex: 0, aria: {label, valuemin: 0, valuemax: 100}});
  let at = 50;
  function slide(v) {
    at = Math.max(0, Math.min(100, v));
    pane.style.setProperty('--at', at + '%');
    pane.setAttribute('aria-valuenow', Math.round(at));
    pane.setAttribute('aria-valuetext', `${Math.round(at)} percent of the first`);
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
