// What changed elsewhere: by the captioner, by a change of many, in another window. A draft is never touched.
import {api} from './core.js';
import {indexIn, placesOf} from './rows.js';

/* What the page counts, when a row gets another's words or none. `counted`: as the server had counted it while it was being saved here. */
export function recountIn(numbers, it, now) {
  const was = it.counted || it;
  it.counted = null;
  if (was.by) numbers[was.by]--;
  if (now.by) numbers[now.by]++;
  if (!it.excluded) numbers.missing += (now.text.trim() ? 0 : 1) - (was.text.trim() ? 0 : 1);
}

/* -> pull(fresh): asks what is new since the last time; resolves to where the captioner stands. */
export function makePull(book) {
  const {rows, grid, dataset} = book;
  const tell = (some) => { for (const f of book.changed) f(some); };

  function take(pictures, fresh) {
    const took = [];
    for (const p of pictures) {
      const it = rows.peek(p.place);
      if (!it || p.version <= it.version) continue;                     // an answer may come late
      if (it.draft != null || it.sending) { it.counted = p; continue; }
      Object.assign(it, p, {counted: null, fresh: fresh && it !== book.here()});
      took.push(it);
      grid.update(p.place);
      if (it === book.here()) book.shownAnew(it);
    }
    return took;
  }
  /* So many changed that they are asked for again where somebody sees them. */
  async function anew(runs) {
    rows.forget(runs);
    const it = book.here(), mine = it && it.draft == null && !it.sending && (await api(`/captions/${dataset}/rows?places=${it.place}`)).pictures[0];
    if (mine && it.draft == null && !it.sending && mine.version > it.version) { Object.assign(it, mine); book.shownAnew(it); }
    grid.redraw();
  }
  /* Pictures came or went. */
  async function reorder() {
    const all = book.order.length;
    book.order = placesOf((await api(`/captions/${dataset}/order`)).places);
    for (const place of book.chosen) if (indexIn(book.order, place) < 0) book.chosen.delete(place);
    const some = grid.shown.length < all ? grid.shown.filter((place) => indexIn(book.order, place) >= 0) : [];      // what was searched for stays
    grid.filter(some.length ? some : undefined);
    if (book.order.length && indexIn(book.order, book.here()?.place) < 0) await book.go(book.order[0], false);
  }
  return async function pull(fresh) {
    const before = book.recounts, r = await api(`/captions/${dataset}/changes?since=${book.stamp}`);
    if (before !== book.recounts) return pull(fresh);                   // saved here meanwhile: that is not counted in it, or twice
    book.stamp = r.stamp;
    const other = r.numbers.rows !== book.order.length || r.pictures.some((p) => indexIn(book.order, p.place) < 0), many = r.places.length > 0 && !r.pictures.length;
    book.numbers = r.numbers;
    if (other) await reorder();
    if (many) await anew(r.places);
    const took = take(r.pictures, fresh);
    book.heading();
    if (other || many) tell(null);
    else if (took.length) tell(took);
    return r.job;
  };
}
