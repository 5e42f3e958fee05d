// The pictures of a data set as a grid of thumbnails, of which only the rows in view are in the page.
import {h, refill, rebuild, icon} from './core.js';
import {indexIn} from './rows.js';

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

/* rows: see rows.js; order(): all places; chosen: the set of selected places. */
export function makeGrid({rows, order, frame, small, chosen, onpick, onselect}) {
  const box = h('div.cts', {role: 'group', aria: {label: 'Pictures'}}),
    room = h('div.room', box);
  const cells = new Map();
  let shown = order(),
    current = shown[0],
    rowHeight = 116,
    columns = 3,
    anchor = null;

  const kind = (it) => (it.draft != null ? 'unsaved' : !it.text.trim() ? 'none' : it.by || 'file');
  function cell(place) {
    const it = rows.get(place),
      state = it && kind(it),
      [mark, words] = (it && MARKS[state]) || [null, ', on its way'],
      on = chosen.has(place);
    const img = it ? small(it) : h('div.d-ph');
    const b = h(
      'button.ct' + (state === 'none' ? '.wait' : '') + (it?.fresh ? '.fresh' : '') + (on ? '.sel' : ''),
      {type: 'button', data: {index: indexIn(order(), place), place, again: 'picture ' + place}, tabIndex: place === current ? 0 : -1, aria: place === current ? {current: 'true'} : {}},
      img,
      h('span', h('span.d-vh', 'Picture '), frame(place), h('span.d-vh', words + (on ? ', selected' : '')), on ? icon('check', 's') : mark && icon(mark, 's')),
    );
    b._img = img;
    b._row = it;
    return b;
  }
  function draw(force) {
    const long = shown.length > LONG;
    room.classList.toggle('long', long);
    let first = 0,
      last = shown.length;
    if (long) {
      if (!box.firstElementChild) box.append(cell(shown[0]));
      measure();
      const top = Math.min(Math.max(0, Math.floor(room.scrollTop / rowHeight) - OVERSCAN), Math.floor(shown.length / columns)),
        many = Math.ceil((room.clientHeight || 700) / rowHeight) + 2 * OVERSCAN;
      first = top * columns;
      last = Math.min(shown.length, (top + many) * columns);
      box.style.paddingTop = top * rowHeight + 'px';
      box.style.paddingBottom = Math.max(0, Math.ceil((shown.length - last) / columns)) * rowHeight + 'px';
    } else box.style.padding = box.style.gridAutoRows = '';
    const want = shown.slice(first, last),
      wanted = new Set(want);
    if (force) cells.clear();
    for (const place of [...cells.keys()]) if (!wanted.has(place)) cells.delete(place);
    refill(
      box,
      want.map((place) => {
        const had = cells.get(place);
        if (!had || (!had._row && rows.has(place))) cells.set(place, cell(place));
        return cells.get(place);
      }),
    );
  }
  function measure() {
    columns = getComputedStyle(box).gridTemplateColumns.split(' ').length || 3;
    const c = box.firstElementChild;
    if (!c) return;
    const height = Math.ceil(c.getBoundingClientRect().height - 0.01); // whole: a part of a pixel, times many rows, is a screen
    if (shown.length > LONG && height > 20) box.style.gridAutoRows = height + 'px';
    rowHeight = height + 12;
  }
  function update(place) {
    if (!cells.has(place)) return;
    const old = cells.get(place),
      now = cell(place);
    if (old._row && now._row && old._row.id === now._row.id) {
      now._img.replaceWith(old._img);
      now._img = old._img; // the picture stays: no flicker, no new request
    }
    cells.set(place, now);
    rebuild(box, () => old.replaceWith(now));
  }
  function setCurrent(place, {focus = false} = {}) {
    const old = current;
    current = place;
    update(old);
    update(place);
    const at = indexIn(shown, place);
    if (at < 0) return;
    if (shown.length > LONG) {
      measure();
      const top = Math.floor(at / columns) * rowHeight;
      if (top < room.scrollTop || top + rowHeight > room.scrollTop + room.clientHeight) {
        room.scrollTop = Math.max(0, top - rowHeight);
        draw();
      }
    } else if (focus) cells.get(place)?.scrollIntoView({block: 'nearest'});
    if (focus) cells.get(place)?.focus({preventScroll: shown.length > LONG});
  }
  /* The picture that lies `by` places (or rows) further on among those that are shown. */
  function neighbour(by, whole = false) {
    const at = indexIn(shown, current);
    if (whole) measure();
    if (at < 0) return shown[0];
    return shown[Math.min(shown.length - 1, Math.max(0, at + by * (whole ? columns : 1)))];
  }
  function filter(places) {
    shown = places || order();
    room.scrollTop = 0;
    draw(true);
  }
  /* Selects by hand: one more or less, or all from the last one to this one. */
  function choose(place, range) {
    const from = range && anchor != null ? indexIn(shown, anchor) : -1,
      to = indexIn(shown, place);
    if (from >= 0 && to >= 0) for (const p of shown.slice(Math.min(from, to), Math.max(from, to) + 1)) chosen.add(p);
    else if (chosen.has(place)) chosen.delete(place);
    else chosen.add(place);
    anchor = place;
    for (const p of [...cells.keys()]) update(p);
    onselect();
  }
  /* Selecting by the keyboard begins here, where it has not begun yet. */
  function extend(place) {
    if (anchor == null || !chosen.size) {
      anchor = place;
      chosen.add(place);
    }
  }
  function selectAll(on = true) {
    chosen.clear();
    anchor = null;
    if (on) for (const p of shown) chosen.add(p);
    for (const p of [...cells.keys()]) update(p);
    onselect();
  }

  box.addEventListener('click', (e) => {
    const b = e.target.closest('.ct');
    if (!b) return;
    const place = +b.dataset.place;
    if (e.shiftKey || e.ctrlKey || e.metaKey) choose(place, e.shiftKey);
    else onpick(place);
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
  new ResizeObserver(() => {
    box.style.gridAutoRows = '';
    if (shown.length > LONG) draw();
  }).observe(room);
  draw();
  return {
    el: room,
    update,
    setCurrent,
    neighbour,
    filter,
    choose,
    extend,
    selectAll,
    came: (places) => { for (const place of places) update(place); },
    redraw: () => draw(true),
    get shown() {
      return shown;
    },
  };
}
