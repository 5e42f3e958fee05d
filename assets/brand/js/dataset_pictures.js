// The light table of pictures: the strip above with its filters, the grid, what is chosen.
import {h, icon, fill, href, plural, query} from './core.js';
import {createGrid} from './grid.js';
import {openCrop} from './crop.js';
import {openMask} from './mask.js';
import {open} from './viewer.js';

const SHAPES = [['9:16', 9 / 16], ['2:3', 2 / 3], ['3:4', 3 / 4], ['4:5', 4 / 5], ['1:1', 1], ['5:4', 5 / 4], ['4:3', 4 / 3], ['3:2', 3 / 2], ['16:9', 16 / 9]];
const shapeOf = (p) => SHAPES.reduce((a, b) => (Math.abs(Math.log(p.width / p.height / a[1])) <= Math.abs(Math.log(p.width / p.height / b[1])) ? a : b))[0];
const most = (values) => { const n = {}; values.forEach((v) => { n[v] = (n[v] || 0) + 1; }); return +Object.keys(n).sort((a, b) => n[b] - n[a] || b - a)[0]; };

export function makePictures(page) {
  let wanted = query.get('crop') && query.get('picture'), filter = null, size = localStorage['dataset:size'] || 'm', marks = {};
  const bar = h('div.d-row.wrap.bar'), grid = createGrid({open: look, select: drawBar}), el = h('div.lt.d-table', bar, grid.element);
  grid.lasso(el);
  grid.size(size);

  const shown = () => page.rows.filter((p) => !filter || (filter === 'look' ? marks[p.id] && !p.excluded : filter === 'out' ? p.excluded : shapeOf(p) === filter));
  function show(pictures, now, waiting) {
    marks = now;
    if (filter && filter !== 'look' && filter !== 'out' && !pictures.some((p) => shapeOf(p) === filter)) filter = null;
    if (filter === 'look' && !pictures.some((p) => marks[p.id])) filter = null;
    if (filter === 'out' && !pictures.some((p) => p.excluded)) filter = null;
    grid.show(page.id, shown(), marks, filter ? [] : waiting);
    drawBar();
    const asked = wanted && pictures.find((p) => p.id === wanted);
    if (asked) { wanted = ''; crop(asked); }
  }
  function sentence({length: n}) {
    if (!n) return 'Pictures of one thing, one person or one style.';
    if (n < 5) return `${plural(n, 'picture')}. Add more: 10 to 30 are enough for one subject.`;
    return `${plural(n, 'picture')}. 10 to 30 are enough for one subject; a style wants 20 to 60.`;
  }
  function drawBar() {
    const pictures = page.rows, stat = (value, unit, label) => h('div.d-stat', h('b', value, unit && h('small', ' ' + unit)), h('span', label));
    const counts = SHAPES.map(([name]) => [name, pictures.filter((p) => shapeOf(p) === name).length]).filter(([, n]) => n);
    const top = Math.max(...counts.map(([, n]) => n)), needy = pictures.filter((p) => marks[p.id] && !p.excluded).length, chosen = grid.selection.size;
    const out = pictures.filter((p) => p.excluded).length, picked = chosen ? pictures.filter((p) => grid.selection.has(p.id)) : [], back = picked.length > 0 && picked.every((p) => p.excluded);
    const set = (value) => () => { filter = filter === value ? null : value; page.draw(); };
    const sizes = ['s', 'm', 'l'].map((s) => h('button', {type: 'button', aria: {pressed: String(s === size), label: {s: 'Small', m: 'Medium', l: 'Large'}[s] + ' pictures'},
      onclick: () => { size = localStorage['dataset:size'] = s; grid.size(s); drawBar(); }}, s.toUpperCase()));
    const focused = bar.contains(document.activeElement) && document.activeElement.getAttribute('aria-label');
    fill(bar,
      h('div.d-stats', stat(String(pictures.length), '', pictures.length === 1 ? 'picture' : 'pictures'), pictures.length ? stat(String(most(pictures.map((p) => p.width))), 'px', 'most are this wide') : null),
      counts.length > 1 && h('div.d-hist', {role: 'group', aria: {label: 'Filter by shape'}}, counts.map(([name, n]) =>
        h('button' + (filter === name ? '.on' : ''), {type: 'button', aria: {pressed: String(filter === name), label: `${name}: ${plural(n, 'picture')}. Show only these`}, onclick: set(name)}, h('i', {style: {height: Math.max(3, (20 * n) / top) + 'px'}}), name))),
      needy > 0 && h('button.d-chip' + (filter === 'look' ? '.on' : ''), {type: 'button', aria: {pressed: String(filter === 'look'), label: `Needs a look: ${needy}`}, onclick: set('look')}, 'Needs a look ', h('b', String(needy))),
      out > 0 && h('button.d-chip' + (filter === 'out' ? '.on' : ''), {type: 'button', aria: {pressed: String(filter === 'out'), label: `Excluded: ${out}`}, onclick: set('out')}, 'Excluded ', h('b', out.toLocaleString('en'))),
      h('div.d-row.d-push.sizes', h('div.d-row.selt' + (chosen ? '' : '.none'), {aria: {hidden: String(!chosen)}}, h('b', {role: 'status'}, chosen ? `${chosen.toLocaleString('en')} selected` : ''),
        chosen === 1 && h('button.d-btn.sm', {type: 'button', onclick: () => crop(picked[0])}, icon('crop', 's'), 'Crop'),
        h('button.d-btn.sm', {type: 'button', onclick: () => excludeSelected()}, icon(back ? 'check' : 'out', 's'), back ? 'Include' : 'Exclude'),
        h('button.d-btn.sm', {type: 'button', onclick: () => removeSelected()}, icon('trash', 's'), 'Remove'), h('button.d-btn.sm.ico.quiet', {type: 'button', title: 'Clear the selection', aria: {label: 'Clear the selection'}, onclick: () => grid.select([])}, icon('x', 's'))),
      h('div.d-seg', {role: 'group', aria: {label: 'Size of the pictures'}}, sizes)));
    if (focused) [...bar.querySelectorAll('button')].find((b) => b.getAttribute('aria-label') === focused)?.focus();
  }
  function dock(pictures) {
    const n = pictures.length, written = pictures.filter((p) => p.text).length, out = pictures.filter((p) => p.excluded).length;
    const words = written === n ? 'All have a caption. Read them once, then check.' : written ? `${n - written} still ${n - written === 1 ? 'needs' : 'need'} a caption.` : 'Next, a few words for each of them; you can change every word.';
    const rest = (out ? `${out.toLocaleString('en')} ${out === 1 ? 'is' : 'are'} excluded from training. ` : '') + words;
    return {strong: `${plural(n, 'picture')} ${n === 1 ? 'is' : 'are'} in.`, rest,
      next: [written ? 'Next: captions' : `Caption ${plural(n, 'picture')}`, href('captions', {dataset: page.id, run: null, begin: written ? null : 1})]};
  }
  function look(p) {
    open(shown(), p, {dataset: page.id, marks, onremove: (gone) => page.remove([gone.id]), oncrop: crop, onmask: paint, onclose: () => grid.focusActive()});
  }
  const edit = (dialog) => (p) => {
    const number = String(page.rows.findIndex((row) => row.id === p.id) + 1).padStart(2, '0');
    dialog(page.id, p, {number, onsaved: page.edited, onclose: () => grid.focusActive()}).catch(page.say);
  };
  const crop = edit(openCrop), paint = edit(openMask);
  function excludeSelected() {
    const picked = page.rows.filter((p) => grid.selection.has(p.id));
    if (picked.length) page.exclude(picked.map((p) => p.id), !picked.every((p) => p.excluded));
  }
  const removeSelected = () => page.remove([...grid.selection]);
  function key(e) {
    if ((e.ctrlKey || e.metaKey) && e.key === 'a' && page.rows.length) { e.preventDefault(); grid.selectAll(); }
    else if ((e.key === 'Delete' || e.key === 'Backspace') && grid.selection.size) { e.preventDefault(); removeSelected(); }
    else if ((e.key === 'c' || e.key === 'm') && !e.ctrlKey && !e.metaKey && (grid.selection.size === 1 || (!grid.selection.size && grid.active()))) { e.preventDefault(); (e.key === 'c' ? crop : paint)(page.rows.find((p) => grid.selection.has(p.id)) || grid.active()); }
    else if (e.key.toLowerCase() === 'x' && !e.ctrlKey && !e.metaKey && grid.selection.size) { e.preventDefault(); excludeSelected(); }
    else if (e.key === 'Escape' && grid.selection.size) grid.select([]);
  }
  function arrived(pictures) {
    const captions = pictures.filter((p) => p.text).length;
    return `${plural(pictures.length, 'picture')} in` + (captions ? `, ${captions} with a caption` : '');
  }
  const keys = [['Space', 'Select'], ['Shift →', 'Select more'], ['Ctrl A', 'Select all'], ['Enter', 'Look at it large'], ['C', 'Crop'], ['M', 'Mask'], ['X', 'Exclude from training, or include'], ['Del', 'Remove'], ['Ctrl Z', 'Undo']];
  return {el, show, sentence, dock, key, keys, arrived, removed: () => grid.select([])};
}
