// What is selected among the cells of a windowed grid, by the places where their rows stand: one, a run, all, or what a box drawn with the mouse touches.
import {h} from './core.js';
import {indexIn} from './rows.js';

const SPARED = 'button,a,input,label,.bar,.selt,.er';

/* list: see windowed.js; shown(): the places that are shown, growing; known(): whether they are those that were asked for, or still the former ones;
   changed(): another selection stands. */
export function makeSelecting({list, shown, changed, known = () => true}) {
  const chosen = new Set();
  let anchor = null, wish = false;
  const index = (place) => indexIn(shown(), place);
  const run = (a, b) => shown().slice(Math.min(index(a), index(b)), Math.max(index(a), index(b)) + 1);
  const anchored = () => anchor != null && index(anchor) >= 0;

  function select(places, how = 'replace') {
    if (how === 'replace') chosen.clear();
    for (const place of places) if (how === 'toggle' && chosen.has(place)) chosen.delete(place); else chosen.add(place);
    if (!chosen.size) anchor = null;
    wish = false;
    changed();
  }
  /* All that are shown: where they are on their way, once they are here, and not those that a filter is about to take away. False where nothing is. */
  function all() {
    if (known()) select(shown()); else { wish = true; changed(); }
    return wish || chosen.size > 0;
  }
  const arrived = () => { if (wish && known()) select(shown()); };
  function cancel() { if (wish) { wish = false; changed(); } }
  /* A click: the one by itself, with Shift all from the last one to it. */
  function pick(place, e = {}) {
    if (e.shiftKey && anchored()) return select(run(anchor, place), e.ctrlKey || e.metaKey ? 'add' : 'replace');
    select([place], 'toggle');
    anchor = place;
  }
  /* A key on the cell `at`: the arrows go on, with Shift they take along. go(place) moves the focus. Says whether the key was one of these. */
  function key(e, at, go) {
    const all = shown(), i = index(at), step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -list.columns, ArrowDown: list.columns}[e.key], to = step ? i + step : {Home: 0, End: all.length - 1}[e.key];
    if (e.key === ' ') pick(at);
    else if (to == null) return false;
    else if (to >= 0 && to < all.length) {
      if (step && e.shiftKey) { if (!anchored()) anchor = at; const from = anchor; select(run(from, all[to])); anchor = from; }
      go(all[to]);
    }
    e.preventDefault();
    return true;
  }
  function drop(places) { for (const place of places) chosen.delete(place); changed(); }
  /* Those that are no longer there are not selected either. */
  function keep(all) { for (const place of chosen) if (indexIn(all, place) < 0) chosen.delete(place); }

  /* A box drawn with the mouse; a finger scrolls. */
  function lasso(area) {
    let start = null, band = null, drawn = false, before = [];
    area.addEventListener('pointerdown', (e) => {
      if (e.button || e.pointerType !== 'mouse' || e.target.closest(SPARED)) return;
      start = {x: e.pageX, y: e.pageY};
      before = e.shiftKey || e.ctrlKey || e.metaKey ? [...chosen] : [];
      drawn = false;
    });
    area.addEventListener('dragstart', (e) => { if (start) e.preventDefault(); });                                  // a picture stays where it is
    area.addEventListener('click', (e) => { if (drawn) { e.stopPropagation(); e.preventDefault(); } }, true);     // the end of a box is no click
    addEventListener('pointermove', (e) => {
      if (!start) return;
      if (!band) {
        if (Math.hypot(e.pageX - start.x, e.pageY - start.y) < 8) return;
        document.body.append(band = h('div.d-lasso'));
        document.body.style.userSelect = 'none';
        getSelection().removeAllRanges();
      }
      const box = {left: Math.min(start.x, e.pageX), top: Math.min(start.y, e.pageY), right: Math.max(start.x, e.pageX), bottom: Math.max(start.y, e.pageY)};
      Object.assign(band.style, {left: box.left + 'px', top: box.top + 'px', width: box.right - box.left + 'px', height: box.bottom - box.top + 'px'});
      select([...before, ...list.within(box).filter((place) => place >= 0)]);
    });
    for (const name of ['pointerup', 'pointercancel']) addEventListener(name, () => {
      if (band) { band.remove(); band = null; drawn = true; document.body.style.userSelect = ''; setTimeout(() => { drawn = false; }); }
      start = null;
    });
  }
  return {chosen, select, drop, all, arrived, cancel, pick, key, keep, lasso, get waits() { return wish; }};
}
