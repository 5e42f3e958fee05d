// Marks on what lies on the light table: asked for where somebody looks; the server works them out beside the page.
import {makeRows} from './rows.js';

const AGAIN = 1000, NONE = [];

/* ask(runs) -> {ready, count, rows: [{place, marks}]}; came(): draw again. -> {of(place), renew(), count, ready} */
export function makeMarks({ask, came}) {
  let count = 0, ready = false, due = 0, seen = [], asked = 0, told = 0;
  const rows = makeRows({ask: take, came});

  async function take(runs) {
    const mine = ++asked, found = await ask(runs);
    if (mine < told) return found.rows;                                // a newer answer has said how many there are, and whether it asks again
    told = mine;
    ({count, ready} = found);
    if (found.rows.length) seen = found.rows.map((row) => row.place);
    clearTimeout(due);
    if (!ready) due = setTimeout(renew, AGAIN);
    return found.rows;
  }
  /* What is looked at is asked for anew, and stays as it is until the answer is there; the rest when it is looked at. */
  async function renew() {
    const now = seen;
    rows.forget(null, now);
    try {
      if (now.length) await rows.reload(now);
      else await take('');
      came(now);
    } catch { due = setTimeout(renew, 2 * AGAIN); }                     // without marks the table is still right; Check tells the rest
  }
  return {of: (place) => rows.get(place)?.marks || NONE, renew, get count() { return count; }, get ready() { return ready; }};
}
