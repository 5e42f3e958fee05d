// One picture, large, over the page, or a pair under a slider. Arrows go on; Esc closes.
import {h, icon, fill, size} from './core.js';
import {makeSlider} from './slide.js';

/* Small pictures are enlarged by a whole number with hard pixels: the truth, and not mush. Large ones are fitted. */
function fit(p) {
  const room = Math.min(innerWidth - (innerWidth < 761 ? 32 : 240), innerHeight - 180), longest = Math.max(p.width, p.height);
  const whole = Math.floor(room / longest);
  if (longest <= 256 && whole >= 2) return {width: p.width * Math.min(whole, 6), factor: Math.min(whole, 6)};
  const part = Math.min(1, (innerWidth - (innerWidth < 761 ? 32 : 240)) / p.width, (innerHeight - 180) / p.height);
  return {width: Math.round(p.width * part), factor: 1};
}
/* open(pictures, start, {dataset, marks(place), index, onclose, onremove, oncrop, onmask}); pictures: an array, or {length, at(i)} where not all are here, with the index of the first. */
export function open(pictures, start, {dataset, marks = () => [], index, onclose, onremove, oncrop, onmask}) {
  if (document.querySelector('dialog[open]')) return;                  // it was asked for twice before its picture was here
  let i = index ?? Math.max(0, pictures.findIndex((p) => p.id === start.id)), shown = start;
  const stage = h('div.stage'), title = h('b', {id: 'viewer-title'}), facts = h('span.d-sub.d-small'), text = h('p.d-small'), what = start.before ? 'pair' : 'picture';
  const button = (name, label, f) => h('button.d-btn.ico.quiet', {type: 'button', aria: {label}, onclick: f}, icon(name));
  const leaving = (name, words, f) => h('button.d-btn.tx', {type: 'button', onclick: () => { dialog.close(); f(shown); }}, icon(name, 's'), words);
  const cropButton = oncrop && leaving('crop', 'Crop', oncrop);
  const dialog = h('dialog.d-viewer', {aria: {labelledby: 'viewer-title'}},
    h('header', h('div', title, facts), h('div.d-row.d-push', button('back', `Previous ${what}`, () => go(-1)), button('arrow', `Next ${what}`, () => go(1)),
      onmask && leaving('mask', 'Mask', onmask), oncrop && cropButton,
      onremove && button('trash', `Remove this ${what}`, () => { dialog.close(); onremove(shown); }), button('x', 'Close', () => dialog.close()))), stage, text);
  function show() {
    const p = shown, {width, factor} = fit(p), height = Math.round((width * p.height) / p.width);
    title.textContent = `${(i + 1).toLocaleString('en')} of ${pictures.length.toLocaleString('en')}  ${p.name}`;
    facts.textContent = [`${p.width} × ${p.height} px`, p.bytes && size(p.bytes), p.edited && 'edited', p.masked && (p.masked === 'auto' ? 'has an automatic mask' : 'has a mask'), p.excluded && 'excluded from training', p.judges && !p.excluded && 'judges, and is never learnt from', factor > 1 && `shown ${factor} times as large`, ...marks(p.place).map((m) => m.text)].filter(Boolean).join(', ');
    const picture = (image, alt, extra) => { const img = h('img', {src: `/media/picture/${dataset}/${image}`, alt, ...extra}); img.classList.toggle('hard', factor > 1); return img; };
    fill(stage, p.before ? pairOf(p, picture, width, height, factor) : picture(p.img || p.id, p.text || p.name, {width, height}));
    if (cropButton) cropButton.hidden = !!p.missing;
    text.textContent = p.text || (p.before ? 'No instruction yet.' : 'No caption yet.');
  }
  function pairOf(p, picture, width, height, factor) {
    if (p.missing) { const there = p.before.id ? 'before' : 'after'; return picture(p[there].id, `The picture ${there}`, {width, height}); }
    const {pane} = makeSlider('Slide between before and after');
    pane.style.cssText += `;width:${width}px;max-width:100%;aspect-ratio:${width}/${height}`;
    fill(pane, picture(p.before.id, 'Before', {draggable: false}), Object.assign(picture(p.after.id, 'After', {draggable: false}), {className: 'b' + (factor > 1 ? ' hard' : '')}), h('span.ln'), h('span.kn', icon('swap')), h('span.la', 'before'), h('span.lb', 'after'));
    return pane;
  }
  async function go(step) {
    const wanted = (i + step + pictures.length) % pictures.length;
    i = wanted;
    const p = await pictures.at(wanted);
    if (wanted === i && p) { shown = p; show(); }                     // the one that was asked for last
  }
  dialog.addEventListener('keydown', (e) => { const step = {ArrowLeft: -1, ArrowRight: 1}[e.key]; if (step) { e.preventDefault(); go(step); } });
  dialog.addEventListener('click', (e) => { if (e.target === dialog || e.target === stage) dialog.close(); });
  dialog.addEventListener('close', () => { dialog.remove(); onclose?.(shown); });
  document.body.append(dialog);
  dialog.showModal();
  show();
}
