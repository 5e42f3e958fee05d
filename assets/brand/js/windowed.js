// A long grid of which only the rows in view are in the page. Columns and gaps are its stylesheet's; all its rows have one height.
import {fill} from './core.js';

const OVERSCAN = 3;

/* element(key) builds or updates the cell of a key and gives it. -> {show(keys), reveal(key), within(box), columns, redraw()} */
export function makeWindowed(grid, element) {
  let keys = [], height = 0, columns = 1, waiting = 0, drawn = '';

  function measure() {
    const style = getComputedStyle(grid), first = grid.firstElementChild;
    columns = style.gridTemplateColumns.split(' ').length || 1;
    if (first) height = first.getBoundingClientRect().height + (parseFloat(style.rowGap) || 0);
  }
  const top = () => grid.getBoundingClientRect().top + scrollY;
  function draw(force) {
    if (!keys.length) { fill(grid); drawn = ''; grid.style.padding = ''; return; }
    if (!grid.firstElementChild) grid.append(element(keys[0]));
    measure();
    const rows = Math.ceil(keys.length / columns), from = Math.max(0, Math.min(rows - 1, Math.floor((scrollY - top()) / (height || 1))) - OVERSCAN);
    const to = Math.min(rows, from + Math.ceil(innerHeight / (height || innerHeight)) + 2 * OVERSCAN + 1), sign = [from, to, columns, keys.length].join();
    if (!force && sign === drawn) return;
    drawn = sign;
    const want = keys.slice(from * columns, to * columns).map(element), wanted = new Set(want);
    for (const el of [...grid.children]) if (!wanted.has(el)) el.remove();
    let at = grid.firstChild;                                          // what stays is not moved: a field keeps its focus
    for (const el of want) { if (el === at) at = at.nextSibling; else grid.insertBefore(el, at); }
    grid.style.paddingTop = from * height + 'px';
    grid.style.paddingBottom = (rows - to) * height + 'px';
  }
  function reveal(key) {
    const i = keys.indexOf(key);
    if (i < 0) return;
    measure();
    const y = top() + Math.floor(i / columns) * height;
    if (y < scrollY + 20 || y + height > scrollY + innerHeight - 130) scrollTo({top: Math.max(0, y - 120)});
    draw();
  }
  /* The keys whose cells touch a box {left, top, right, bottom} of the page, in view or not: with what stands first in them, their picture. */
  function within(box) {
    measure();
    const reach = grid.firstElementChild?.firstElementChild?.offsetHeight || 0, area = grid.getBoundingClientRect(), gap = parseFloat(getComputedStyle(grid).columnGap) || 0, width = (area.width + gap) / columns, left = area.left + scrollX;
    const rows = [Math.floor((box.top - top()) / height), Math.floor((box.bottom - top()) / height)], found = [];
    for (let row = Math.max(0, rows[0]); row <= Math.min(rows[1], Math.ceil(keys.length / columns) - 1); row++)
      for (let column = 0; column < columns && row * columns + column < keys.length; column++) {
        const x = left + column * width, y = top() + row * height;
        if (x < box.right && x + width - gap > box.left && y < box.bottom && y + reach > box.top) found.push(keys[row * columns + column]);
      }
    return found;
  }
  addEventListener('scroll', () => { waiting ||= requestAnimationFrame(() => { waiting = 0; if (grid.isConnected) draw(); }); }, {passive: true});
  new ResizeObserver(() => grid.isConnected && draw(true)).observe(document.body);
  return {show(now) { keys = now; draw(true); }, reveal, within, redraw: () => draw(true), get columns() { measure(); return columns; }};
}
