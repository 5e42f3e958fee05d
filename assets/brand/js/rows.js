// Rows of a data set of which only those are here that somebody looks at. A row is known by its place in the table; where all rows stand
// comes as runs ([[1, 50000]]), the rows themselves in parts.
const PART = 150, MOST = 1500;

export function placesOf(runs) {
  const places = [];
  for (const [first, count] of runs) for (let i = 0; i < count; i++) places.push(first + i);
  return places;
}
export function runsOf(places) {
  const runs = [];
  for (const place of [...places].sort((a, b) => a - b)) {
    const last = runs[runs.length - 1];
    if (last && last[0] + last[1] === place) last[1]++;
    else runs.push([place, 1]);
  }
  return runs;
}
/* Where a place stands among growing places; -1 where it does not. */
export function indexIn(places, place) {
  let a = 0, b = places.length - 1;
  while (a <= b) {
    const m = (a + b) >> 1;
    if (places[m] === place) return m;
    if (places[m] < place) a = m + 1;
    else b = m - 1;
  }
  return -1;
}

/* ask(runs) -> rows; came(places): they are here now; keep(row): it must not be forgotten, and takes from newer ones what `merge` gives it. */
export function makeRows({ask, came, keep = () => false, merge = () => ({})}) {
  const known = new Map(), wanted = new Set(), asked = new Set();
  let due = 0;

  function get(place) {
    const row = known.get(place);
    if (!row && !asked.has(place)) {
      wanted.delete(place);
      wanted.add(place);                                                // what was looked for last comes first
      due ||= setTimeout(send, 30);
    }
    return row;
  }
  async function fetch(places) {
    for (const place of places) { asked.add(place); wanted.delete(place); }
    try {
      for (const row of await ask(runsOf(places).map(([first, n]) => (n > 1 ? `${first}+${n}` : first)).join(','))) put(row);
    } finally { for (const place of places) asked.delete(place); }
  }
  async function send() {
    due = 0;
    const part = [...wanted].slice(-PART);
    wanted.clear();                                                     // what was scrolled past meanwhile is asked for when it is seen
    if (!part.length) return;
    try { await fetch(part); trim(part); came(part); } catch { setTimeout(() => came(part), 2000); }
  }
  /* Waits until these rows are here. */
  const load = (places) => reload(places.filter((place) => !known.has(place)));
  /* The same, also where they were here before. */
  async function reload(places) {
    for (let i = 0; i < places.length; i += PART) await fetch(places.slice(i, i + PART));
  }
  function put(row) {
    const had = known.get(row.place);
    if (had) Object.assign(had, keep(had) || row.version < had.version ? merge(row) : row);     // an answer may come late
    else known.set(row.place, row);
    return had || row;
  }
  function trim(now) {
    if (known.size <= MOST) return;
    const fresh = new Set(now);
    for (const [place, row] of known) {
      if (known.size <= MOST * 0.7) break;
      if (!fresh.has(place) && !keep(row)) known.delete(place);
    }
  }
  /* Forgets rows, all or those of some runs, without some places, so that they are asked for anew. */
  function forget(runs, without = []) {
    const within = runs && ((place) => runs.some(([first, n]) => place >= first && place < first + n)), spared = new Set(without);
    for (const [place, row] of known) if (!keep(row) && !spared.has(place) && (!within || within(place))) known.delete(place);
  }
  return {get, has: (place) => known.has(place), peek: (place) => known.get(place), load, reload, put, drop: (place) => known.delete(place), forget, all: () => known.values()};
}
