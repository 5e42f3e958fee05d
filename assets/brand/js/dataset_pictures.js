// The light table of pictures: the strip above with its filters, the grid, what is chosen.
import {h, icon, fill, api, href, plural, toast} from './core.js';
import {createGrid} from './grid.js';
import {indexIn, makeRows, placesOf} from './rows.js';
import {open} from './viewer.js';

export function makePictures(page) {
  let filter = null, size = localStorage['dataset:size'] || 'm', marks = {}, all = [], some = null, looked = [];
  const rows = makeRows({
    ask: async (places) => (await api(`/datasets/${encodeURIComponent(page.id)}/rows?places=${encodeURIComponent(places)}`)).pictures,
    came: (places) => grid.came(places),
  });
  const bar = h('div.d-row.wrap.bar'), grid = createGrid({open: look, select: drawBar, row: (place) => rows.get(place)}), el = h('div.lt.d-table', bar, grid.element);
  grid.lasso(el);
  grid.size(size);

  const shown = () => (filter === 'look' ? looked : filter ? some || all : all);
  /* What the server says of the data set: where its pictures stand, and the first of them. */
  function take(info) {
    all = placesOf(info.places);
    rows.forget();
    info.pictures.forEach(rows.put);
    if (filter && filter !== 'look') choose(filter);
  }
  function put(row) { rows.put(row); if (indexIn(all, row.place) < 0) all.push(row.place); }
  function show(_, now, waiting) {
    if (marks !== now) { marks = now; looked = all.filter((place) => marks[place]); }
    else if (filter === 'look') looked = looked.filter((place) => indexIn(all, place) >= 0);
    if (filter && filter !== 'look' && !page.info.shapes.some(([name]) => name === filter)) filter = null;
    if (filter === 'look' && !looked.length) filter = null;
    grid.show(page.id, shown(), all, marks, filter ? [] : waiting);
    drawBar();
  }
  async function choose(value) {
    filter = value;
    if (!value || value === 'look') return page.draw();
    try {
      const {places} = await api(`/datasets/${encodeURIComponent(page.id)}/places?shape=${encodeURIComponent(value)}`);
      if (filter === value) some = placesOf(places);
    } catch (error) { filter = null; toast(error.message); }
    page.draw();
  }
  function sentence({length: n}) {
    if (!n) return 'Pictures of one thing, one person or one style.';
    if (n < 5) return `${plural(n, 'picture')}. Add more: 10 to 30 are enough for one subject.`;
    return `${plural(n, 'picture')}. 10 to 30 are enough for one subject; a style wants 20 to 60.`;
  }
  function drawBar() {
    const n = all.length, {shapes = [], width = 0} = page.info || {}, stat = (value, unit, label) => h('div.d-stat', h('b', value, unit && h('small', ' ' + unit)), h('span', label));
    const top = Math.max(...shapes.map(([, count]) => count)), needy = looked.length, chosen = grid.selection.size;
    const set = (value) => () => choose(filter === value ? null : value);
    const sizes = ['s', 'm', 'l'].map((s) => h('button', {type: 'button', aria: {pressed: String(s === size), label: {s: 'Small', m: 'Medium', l: 'Large'}[s] + ' pictures'},
      onclick: () => { size = localStorage['dataset:size'] = s; grid.size(s); drawBar(); }}, s.toUpperCase()));
    const focused = bar.contains(document.activeElement) && document.activeElement.getAttribute('aria-label');
    fill(bar,
      h('div.d-stats', stat(n.toLocaleString('en'), '', n === 1 ? 'picture' : 'pictures'), width ? stat(String(width), 'px', 'most are this wide') : null),
      shapes.length > 1 && h('div.d-hist', {role: 'group', aria: {label: 'Filter by shape'}}, shapes.map(([name, n]) =>
        h('button' + (filter === name ? '.on' : ''), {type: 'button', aria: {pressed: String(filter === name), label: `${name}: ${plural(n, 'picture')}. Show only these`}, onclick: set(name)}, h('i', {style: {height: Math.max(3, (20 * n) / top) + 'px'}}), name))),
      needy > 0 && h('button.d-chip' + (filter === 'look' ? '.on' : ''), {type: 'button', aria: {pressed: String(filter === 'look'), label: `Needs a look: ${needy}`}, onclick: set('look')}, 'Needs a look ', h('b', needy.toLocaleString('en'))),
      h('div.d-row.d-push.sizes', h('div.d-row.selt' + (chosen ? '' : '.none'), {aria: {hidden: String(!chosen)}}, h('b', {role: 'status'}, chosen ? `${chosen.toLocaleString('en')} selected` : ''),
        h('button.d-btn.sm', {type: 'button', onclick: () => removeSelected()}, icon('trash', 's'), 'Remove'), h('button.d-btn.sm.quiet', {type: 'button', onclick: () => grid.select([])}, 'Clear')),
      h('div.d-seg', {role: 'group', aria: {label: 'Size of the pictures'}}, sizes)));
    if (focused) [...bar.querySelectorAll('button')].find((b) => b.getAttribute('aria-label') === focused)?.focus();
  }
  function dock({length: n}) {
    const written = Math.min(n, page.info?.num_captions || 0);
    const rest = written === n ? 'All have a caption. Read them once, then check.' : written ? `${(n - written).toLocaleString('en')} still ${n - written === 1 ? 'needs' : 'need'} a caption.` : 'Next, a few words for each of them; you can change every word.';
    return {strong: `${plural(n, 'picture')} ${n === 1 ? 'is' : 'are'} in.`, rest,
      next: [written ? 'Next: captions' : `Caption ${plural(n, 'picture')}`, href('captions', {dataset: page.id, run: null, begin: written ? null : 1})]};
  }
  async function look(place) {
    const places = shown(), at = async (i) => (await rows.load([places[i]]), rows.peek(places[i])), index = indexIn(places, place), first = await at(index);
    if (first) open({length: places.length, at}, first, {dataset: page.id, marks, index, onremove: (gone) => page.remove([gone.place]), onclose: () => grid.focusActive()});
  }
  const removeSelected = () => page.remove([...grid.selection]);
  function key(e) {
    if ((e.ctrlKey || e.metaKey) && e.key === 'a' && all.length) { e.preventDefault(); grid.selectAll(); }
    else if ((e.key === 'Delete' || e.key === 'Backspace') && grid.selection.size) { e.preventDefault(); removeSelected(); }
    else if (e.key === 'Escape' && grid.selection.size) grid.select([]);
  }
  function arrived({length: n}) {
    const captions = page.info?.num_captions || 0;
    return `${plural(n, 'picture')} in` + (captions ? `, ${captions.toLocaleString('en')} with a caption` : '');
  }
  const keys = [['Space', 'Select'], ['Shift →', 'Select more'], ['Ctrl A', 'Select all'], ['Enter', 'Look at it large'], ['Del', 'Remove'], ['Ctrl Z', 'Undo']];
  return {el, show, take, put, get length() { return all.length; }, sentence, dock, key, keys, arrived, removed: () => grid.select([])};
}
