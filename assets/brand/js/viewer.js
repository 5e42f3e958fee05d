// One picture, large, over the page. Arrows go on; Esc closes.
import {h, icon, fill, size} from './core.js';

/* Small pictures are enlarged by a whole number with hard pixels: the truth, and not mush. Large ones are fitted. */
function fit(p) {
  const room = Math.min(innerWidth - (innerWidth < 761 ? 32 : 240), innerHeight - 180), longest = Math.max(p.width, p.height);
  const whole = Math.floor(room / longest);
  if (longest <= 256 && whole >= 2) return {width: p.width * Math.min(whole, 6), factor: Math.min(whole, 6)};
  const part = Math.min(1, (innerWidth - (innerWidth < 761 ? 32 : 240)) / p.width, (innerHeight - 180) / p.height);
  return {width: Math.round(p.width * part), factor: 1};
}
/* open(pictures, start, {dataset, marks, onclose, onremove}) */
export function open(pictures, start, {dataset, marks, onclose, onremove}) {
  let i = Math.max(0, pictures.findIndex((p) => p.id === start.id));
  const stage = h('div.stage'), title = h('b', {id: 'viewer-title'}), facts = h('span.d-sub.d-small'), text = h('p.d-small');
  const button = (name, label, f) => h('button.d-btn.ico.quiet', {type: 'button', aria: {label}, onclick: f}, icon(name));
  const dialog = h('dialog.d-viewer', {aria: {labelledby: 'viewer-title'}},
    h('header', h('div', title, facts), h('div.d-row.d-push', button('back', 'Picture before', () => go(-1)), button('arrow', 'Next picture', () => go(1)),
      button('trash', 'Remove this picture', () => { const p = pictures[i]; dialog.close(); onremove(p); }), button('x', 'Close', () => dialog.close()))), stage, text);
  function show() {
    const p = pictures[i], {width, factor} = fit(p), height = Math.round((width * p.height) / p.width);
    title.textContent = `${i + 1} of ${pictures.length}  ${p.name}`;
    facts.textContent = [`${p.width} × ${p.height} px`, size(p.bytes), factor > 1 && `shown ${factor} times as large`, ...(marks[p.id] || []).map((m) => m.text)].filter(Boolean).join(', ');
    const img = h('img', {src: `/media/picture/${dataset}/${p.id}`, width, height, alt: p.text || p.name});
    img.classList.toggle('hard', factor > 1);
    fill(stage, img);
    text.textContent = p.text || 'No caption yet.';
  }
  function go(step) { i = (i + step + pictures.length) % pictures.length; show(); }
  dialog.addEventListener('keydown', (e) => { const step = {ArrowLeft: -1, ArrowRight: 1}[e.key]; if (step) { e.preventDefault(); go(step); } });
  dialog.addEventListener('click', (e) => { if (e.target === dialog || e.target === stage) dialog.close(); });
  dialog.addEventListener('close', () => { dialog.remove(); onclose?.(pictures[i]); });
  document.body.append(dialog);
  dialog.showModal();
  show();
}
