// Pieces of the Dataset page that stand for themselves: the empty table, the menu of rarer actions, the title that can be renamed.
import {h, icon, fill, api, href, toast} from './core.js';

const TIPS = [
  ['pic', 'One thing, many views', 'Other angles, light and backgrounds. What is the same in all pictures is what it learns.'],
  ['check', 'Sharp and large enough', 'At least as wide as the model trains: 128 px for Pocket, 1024 px for SDXL.'],
  ['folder', 'Captions may come along', 'A text file with the same name beside a picture becomes its caption.'],
];
const PAIR_TIPS = [
  ['folder', 'Two folders, one name', 'input_images and output_images, or before and after: 001.png in both makes a pair.'],
  ['pen', 'Instructions may come along', 'metadata.jsonl with input_image, instruction, output_image, or a text file beside a picture.'],
  ['check', 'One size each pair', 'Both pictures of a pair lie on each other pixel by pixel, so they must be equally large.'],
];
const WORDS = {
  pictures: {drop: 'Drop 10 to 30 pictures here', what: 'Pictures, a folder or a ZIP. They stay on this machine.', choose: 'Choose pictures', sample: ['zog', 'Use the sample pictures'], tips: TIPS},
  pairs: {drop: 'Drop your pairs here', what: 'Two folders, a ZIP, or single files called name_before and name_after. They stay on this machine.', choose: 'Choose files', sample: ['edits', 'Use the sample pairs'], tips: PAIR_TIPS},
};
/* Pictures or edit pairs: asked while nothing is in yet. */
export function kindChoice(kind, choose) {
  const one = (name, words) => h('button', {type: 'button', role: 'radio', tabIndex: kind === name ? 0 : -1, aria: {checked: String(kind === name)}, onclick: () => choose(name)}, words);
  const seg = h('div.d-seg', {role: 'radiogroup', aria: {label: 'Kind'}}, one('pictures', 'Pictures'), one('pairs', 'Edit pairs'));
  seg.addEventListener('keydown', (e) => { if (/^Arrow/.test(e.key)) { e.preventDefault(); choose(kind === 'pairs' ? 'pictures' : 'pairs'); } });
  return seg;
}
export function emptyTable(pick, kind, fromHub) {
  const w = WORDS[kind], [name, words] = w.sample;
  const sample = h('button.d-btn.quiet', {type: 'button', onclick: async () => {
    sample.disabled = true;
    try { const made = await api('/home/sample', {name}); location.href = href('dataset', {dataset: made.id, run: null}); } catch (error) { sample.disabled = false; toast(error.message); }
  }}, words);
  return h('div.d-empty',
    h('div.d-dropzone', {onclick: (e) => e.target.closest('button') || pick.chooseFiles()},
      h('div', h('span.ic', icon('pic', 'l')), h('h2.d-h2', w.drop), h('p.d-sub', w.what),
        h('div.d-row', h('button.d-btn.pri', {type: 'button', onclick: pick.chooseFiles}, w.choose), h('button.d-btn.big', {type: 'button', onclick: pick.chooseFolder}, 'Choose a folder')), h('div.d-row', sample, h('button.d-btn.quiet', {type: 'button', onclick: fromHub}, 'From the Hugging Face hub')))),
    h('ul.tips', w.tips.map(([name, title, text]) => h('li', icon(name), h('div', h('b', title), h('p.d-small.d-sub', text))))));
}

/* A button with three dots and a list of actions. rows() when it is opened: [icon, words, function] */
export function moreMenu(rows, label = 'More') {
  let list = null, open;
  const close = (focus) => { if (!list) return; open?.abort(); list.remove(); list = null; button.setAttribute('aria-expanded', 'false'); focus && button.focus(); };
  const button = h('button.d-btn.ico', {type: 'button', aria: {label, expanded: 'false'}, onclick: () => {
    if (list) return close(true);
    list = h('ul.d-menu.d-actions', rows().map(([name, words, f]) => h('li', h('button', {type: 'button', onclick: () => { close(); f(); }}, icon(name, 's'), words))));
    const r = button.getBoundingClientRect();
    Object.assign(list.style, {right: innerWidth - r.right + 'px', top: r.bottom + 6 + 'px'});
    button.after(list);
    if (r.right < list.offsetWidth + 6) Object.assign(list.style, {right: 'auto', left: '6px'});
    if (r.bottom + 6 + list.offsetHeight > innerHeight) list.style.top = Math.max(6, r.top - 6 - list.offsetHeight) + 'px';
    button.setAttribute('aria-expanded', 'true');
    list.querySelector('button').focus({preventScroll: true});
    requestAnimationFrame(() => list && listen());               // the scroll that brought the button into view comes a frame late
  }}, icon('dots'));
  function listen() {                                                  // only while it is open: a page may draw many of these, again and again
    open = new AbortController();
    const on = (name, f, more) => addEventListener(name, f, {signal: open.signal, ...more});
    on('keydown', keyed);
    on('pointerdown', (e) => { if (list && !list.contains(e.target) && !button.contains(e.target)) close(false); });
    on('scroll', () => close(false), {passive: true});
  }
  function keyed(e) {
    if (e.key === 'Escape') close(true);
    const step = {ArrowDown: 1, ArrowUp: -1}[e.key], all = [...list?.querySelectorAll('button') || []];
    if (step) { e.preventDefault(); all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus(); }
  }
  return h('div.d-more', button);
}

/* The title with a quiet pen; the pen turns it into a field. Enter or leaving saves, Esc keeps the old name. */
export function renameTitle(title, info, save) {
  if (!info) return;
  const pen = h('button.d-btn.ico.quiet.pen', {type: 'button', aria: {label: 'Rename this data set'}, onclick: () => {
    const input = h('input.d-in', {value: info.name, maxLength: 80, aria: {label: 'Name of the data set'}});
    let over = false;
    const end = async (keep) => {
      if (over) return;
      over = true;
      const name = input.value.trim();
      title.dataset.name = '\u0000';                                     // draw the title again whatever comes
      try { await save(keep && name ? name : info.name); } catch (error) { toast(error.message); await save(info.name).catch(() => {}); }
      title.querySelector('.pen')?.focus();
    };
    input.addEventListener('keydown', (e) => { if (e.key === 'Enter') end(true); if (e.key === 'Escape') { e.stopPropagation(); end(false); } });
    input.addEventListener('blur', () => end(true));
    fill(title, input);
    input.focus();
    input.select();
  }}, icon('pen', 's'));
  title.append(' ', pen);
}

/* What takes longer than a moment says so until it is there. */
export async function patiently(words, promise) {
  const late = setTimeout(() => toast(words, null, null, 120), 400);
  try { return await promise; } finally { clearTimeout(late); }
}
