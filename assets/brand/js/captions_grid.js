// The pictures of a data set as a grid of thumbnails. Beyond LONG pictures only the rows in view are in the page.
import {h, refill, rebuild, icon} from './core.js';

const LONG = 300,
  OVERSCAN = 4;
const MARKS = {
  captioner: ['check', ', caption written'],
  file: ['check', ', caption from its file'],
  person: ['pen', ', edited by hand'],
  draft: ['dots', ', a draft to read'],
  none: [null, ', no caption yet'],
  unsaved: ['alert', ', not saved yet'],
};
export const frame = (i) => String(i + 1).padStart(2, '0');

export function makeGrid({items, small, onpick}) {
  const box = h('div.cts', {role: 'group', aria: {label: 'Pictures'}}),
    room = h('div.room', box);
  const cells = new Map();
  let shown = items.map((_, i) => i),
    current = 0,
    rowHeight = 116,
    columns = 3,
    first = 0,
    last = 0;

  function kind(it) {
    return it.draft != null ? 'unsaved' : !it.text.trim() ? 'none' : it.by || 'file';
  }
  function cell(i) {
    const it = items[i],
      state = kind(it),
      [mark, words] = MARKS[state] || MARKS.file;
    const img = small(it);
    const b = h(
      'button.ct' + (state === 'none' ? '.wait' : '') + (it.fresh ? '.fresh' : ''),
      {type: 'button', data: {index: i, again: 'picture ' + i}, tabIndex: i === current ? 0 : -1, aria: i === current ? {current: 'true'} : {}},
      img,
      h('span', h('span.d-vh', 'Picture '), frame(i), h('span.d-vh', words), mark && icon(mark, 's')),
    );
    b._img = img;
    return b;
  }
  function draw(force) {
    const long = shown.length > LONG;
    room.classList.toggle('long', long);
    first = 0;
    last = shown.length;
    if (long) {
      measure();
      const top = Math.max(0, Math.floor(room.scrollTop / rowHeight) - OVERSCAN),
        rows = Math.ceil((room.clientHeight || 700) / rowHeight) + 2 * OVERSCAN;
      first = top * columns;
      last = Math.min(shown.length, (top + rows) * columns);
      box.style.paddingTop = top * rowHeight + 'px';
      box.style.paddingBottom = Math.max(0, Math.ceil((shown.length - last) / columns)) * rowHeight + 'px';
    } else box.style.padding = '';
    const want = shown.slice(first, last),
      wanted = new Set(want);
    if (force) cells.clear();
    for (const i of [...cells.keys()]) if (!wanted.has(i)) cells.delete(i);
    refill(
      box,
      want.map((i) => {
        if (!cells.has(i)) cells.set(i, cell(i));
        return cells.get(i);
      }),
    );
  }
  function measure() {
    columns = getComputedStyle(box).gridTemplateColumns.split(' ').length || 3;
    const c = box.firstElementChild;
    if (c) rowHeight = c.getBoundingClientRect().height + 12;
  }
  function update(i) {
    if (!cells.has(i)) return;
    const old = cells.get(i),
      now = cell(i);
    now._img.replaceWith(old._img);
    now._img = old._img; // the picture stays: no flicker, no new request
    cells.set(i, now);
    rebuild(box, () => old.replaceWith(now));
  }
  function setCurrent(i, {focus = false} = {}) {
    const old = current;
    current = i;
    update(old);
    update(i);
    const at = shown.indexOf(i);
    if (at < 0) return;
    if (shown.length > LONG) {
      measure();
      const top = Math.floor(at / columns) * rowHeight;
      if (top < room.scrollTop || top + rowHeight > room.scrollTop + room.clientHeight) {
        room.scrollTop = Math.max(0, top - rowHeight);
        draw();
      }
    } else if (focus) cells.get(i)?.scrollIntoView({block: 'nearest'});
    if (focus) cells.get(i)?.focus({preventScroll: shown.length > LONG});
  }
  /* The picture that lies `by` places (or rows) further on among those that are shown. */
  function neighbour(by, rows = false) {
    const at = shown.indexOf(current);
    if (rows) measure();
    if (at < 0) return shown[0];
    return shown[Math.min(shown.length - 1, Math.max(0, at + by * (rows ? columns : 1)))];
  }
  function filter(indexes) {
    shown = indexes || items.map((_, i) => i);
    room.scrollTop = 0;
    draw(true);
  }

  box.addEventListener('click', (e) => {
    const b = e.target.closest('.ct');
    if (b) onpick(+b.dataset.index);
  });
  let waiting = 0;
  room.addEventListener(
    'scroll',
    () => {
      if (shown.length > LONG && !waiting)
        waiting = requestAnimationFrame(() => {
          waiting = 0;
          draw();
        });
    },
    {passive: true},
  );
  new ResizeObserver(() => shown.length > LONG && draw()).observe(room);
  draw();
  return {
    el: room,
    update,
    setCurrent,
    neighbour,
    filter,
    get shown() {
      return shown;
    },
    get columns() {
      return columns;
    },
  };
}
