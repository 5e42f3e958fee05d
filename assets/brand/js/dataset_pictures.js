// The light table of pictures: the strip above with its filters, the grid, what is chosen.
import {h, icon, fill, href, plural} from './core.js';
import {createGrid} from './grid.js';
import {open} from './viewer.js';

const SHAPES = [['9:16', 9 / 16], ['2:3', 2 / 3], ['3:4', 3 / 4], ['4:5', 4 / 5], ['1:1', 1], ['5:4', 5 / 4], ['4:3', 4 / 3], ['3:2', 3 / 2], ['16:9', 16 / 9]];
const shapeOf = (p) => SHAPES.reduce((a, b) => (Math.abs(Math.log(p.width / p.height / a[1])) <= Math.abs(Math.log(p.width / p.height / b[1])) ? a : b))[0];
const most = (values) => { const n = {}; values.forEach((v) => { n[v] = (n[v] || 0) + 1; }); return +Object.keys(n).sort((a, b) => n[b] - n[a] || b - a)[0]; };

export function makePictures(page) {
  let filter = null, size = localStorage['dataset:size'] || 'm', marks = {};
  const bar = h('div.d-row.wrap.bar'), grid = createGrid({open: look, select: drawBar}), el = h('div.lt.d-table', bar, grid.element);
  grid.lasso(el);
  grid.size(size);

  const shown = () => page.rows.filter((p) => !filter || (filter === 'look' ? marks[p.id] : shapeOf(p) === filter));
  function show(pictures, now, waiting) {
    marks = now;
    if (filter && filter !== 'look' && !pictures.some((p) => shapeOf(p) === filter)) filter = null;
    if (filter === 'look' && !pictures.some((p) => marks[p.id])) filter = null;
    grid.show(page.id, shown(), marks, filter ? [] : waiting);
    drawBar();
  }
  function sentence({length: n}) {
    if (!n) return 'Pictures of one thing, one person or one style.';
    if (n < 5) return `${plural(n, 'picture')}. Add more: 10 to 30 are enough for one subject.`;
    return `${plural(n, 'picture')}. 10 to 30 are enough for one subject; a style wants 20 to 60.`;
  }
  function drawBar() {
    const pictures = page.rows, stat = (value, unit, label) => h('div.d-stat', h('b', value, unit && h('small', ' ' + unit)), h('span', label));
    const counts = SHAPES.map(([name]) => [name, pictures.filter((p) => shapeOf(p) === name).length]).filter(([, n]) => n);
    const top = Math.max(...counts.map(([, n]) => n)), needy = pictures.filter((p) => marks[p.id]).length, chosen = grid.selection.size;
    const set = (value) => () => { filter = filter === value ? null : value; page.draw(); };
    const sizes = ['s', 'm', 'l'].map((s) => h('button', {type: 'button', aria: {pressed: String(s === size), label: {s: 'Small', m: 'Medium', l: 'Large'}[s] + ' pictures'},
      onclick: () => { size = localStorage['dataset:size'] = s; grid.size(s); drawBar(); }}, s.toUpperCase()));
    const focused = bar.contains(document.activeElement) && document.activeElement.getAttribute('aria-label');
    fill(bar,
      h('div.d-stats', stat(String(pictures.length), '', pictures.length === 1 ? 'picture' : 'pictures'), pictures.length ? stat(String(most(pictures.map((p) => p.width))), 'px', 'most are this wide') : null),
      counts.length > 1 && h('div.d-hist', {role: 'group', aria: {label: 'Filter by shape'}}, counts.map(([name, n]) =>
        h('button' + (filter === name ? '.on' : ''), {type: 'button', aria: {pressed: String(filter === name), label: `${name}: ${plural(n, 'picture')}. Show only these`}, onclick: set(name)}, h('i', {style: {height: Math.max(3, (20 * n) / top) + 'px'}}), name))),
      needy > 0 && h('button.d-chip' + (filter === 'look' ? '.on' : ''), {type: 'button', aria: {pressed: String(filter === 'look'), label: `Needs a look: ${needy}`}, onclick: set('look')}, 'Needs a look ', h('b', String(needy))),
      h('div.d-row.d-push.sizes', h('div.d-row.selt' + (chosen ? '' : '.none'), {aria: {hidden: String(!chosen)}}, h('b', {role: 'status'}, chosen ? `${chosen.toLocaleString('en')} selected` : ''),
        h('button.d-btn.sm', {type: 'button', onclick: () => removeSelected()}, icon('trash', 's'), 'Remove'), h('button.d-btn.sm.quiet', {type: 'button', onclick: () => grid.select([])}, 'Clear')),
      h('div.d-seg', {role: 'group', aria: {label: 'Size of the pictures'}}, sizes)));
    if (focused) [...bar.querySelectorAll('button')].find((b) => b.getAttribute('aria-label') === focused)?.focus();
  }
  function dock(pictures) {
    const n = pictures.length, written = pictures.filter((p) => p.text).length;
    const rest = written === n ? 'All have a caption. Read them once, then check.' : written ? `${n - written} still ${n - written === 1 ? 'needs' : 'need'} a caption.` : 'Next, a few words for each of them; you can change every word.';
    return {strong: `${plural(n, 'picture')} ${n === 1 ? 'is' : 'are'} in.`, rest,
      next: [written ? 'Next: captions' : `Caption ${plural(n, 'picture')}`, href('captions', {dataset: page.id, run: null, begin: written ? null : 1})]};
  }
  function look(p) {
    open(shown(), p, {dataset: page.id, marks, onremove: (gone) => page.remove([gone.id]), onclose: () => grid.focusActive()});
  }
  const removeSelected = () => page.remove([...grid.selection]);
  function key(e) {
    if ((e.ctrlKey || e.metaKey) && e.key === 'a' && page.rows.length) { e.preventDefault(); grid.selectAll(); }
    else if ((e.key === 'Delete' || e.key === 'Backspace') && grid.selection.size) { e.preventDefault(); removeSelected(); }
    else if (e.key === 'Escape' && grid.selection.size) grid.select([]);
  }
  function arrived(pictures) {
    const captions = pictures.filter((p) => p.text).length;
    return `${plural(pictures.length, 'picture')} in` + (captions ? `, ${captions} with a caption` : '');
  }
  const keys = [['Space', 'Select'], ['Shift →', 'Select more'], ['Ctrl A', 'Select all'], ['Enter', 'Look at it large'], ['Del', 'Remove'], ['Ctrl Z', 'Undo']];
  return {el, show, sentence, dock, key, keys, arrived, removed: () => grid.select([])};
}
