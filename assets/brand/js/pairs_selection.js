// Many edit pairs at once: chosen by tick, run, box or all that are shown; then cropped, swapped, told one instruction, left out or removed, each as one step.
import {h, api, plural} from './core.js';
import {field, formDialog} from './arrange.js';
import {openCropMany} from './crop_many.js';
import {patiently} from './dataset_parts.js';
import {indexIn, placesOf, runsOf} from './rows.js';
import {makeSelecting} from './selecting.js';
import {makeBegun, makeSelectionBar} from './selection_bar.js';

const SWAPPED = 6000, MARKED = 12000;                                  // rows a second, about (docs/data.md)

/* table: {page, list, shown(), known(), drawn() another selection is to be seen, load(place) -> the pair, go(place) to its tick, crop(pair), flush() saves what is typed,
   step(path, body, words(answer)) does something, taken(answer, words) shows what came of it} */
export function makePairsSelection({page, list, shown, known, drawn, load, go, crop, flush, step, taken}) {
  let out = new Set(), judging = new Set();                            // where excluded ones stand and those that judge, also those that are not here
  const selecting = makeSelecting({list, shown, known, changed: () => { bar.draw(); drawn(); }}), {chosen} = selecting, bar = makeSelectionBar({selecting, tools}), {begin, over} = makeBegun(selecting, page.track);
  const places = () => [...chosen].sort((a, b) => a - b);

  function tools() {
    const every = (set) => chosen.size > 0 && [...chosen].every((place) => set.has(place)), back = every(out), teach = every(judging);
    return [['c', 'crop', 'Crop', 'Cropping', cropChosen], ['s', 'swap', 'Swap', 'Swapping', swap, SWAPPED], ['i', 'pen', 'Instruction', 'Writing', say],
      ['j', teach ? 'check' : 'judge', teach ? 'Let teach' : 'Let judge', 'Marking', () => page.judge(places(), !teach), MARKED, teach ? 'Learn from them again' : 'Every run is judged by them, and never learns from them'],
      ['x', back ? 'check' : 'out', back ? 'Include' : 'Exclude', back ? 'Including' : 'Excluding', () => page.exclude(places(), !back), MARKED], ['Delete', 'trash', 'Remove', 'Removing', removeChosen, MARKED]];
  }
  async function cropChosen() {
    const all = places(), it = all.length === 1 && await load(all[0]);
    if (it) crop(it); else if (all.length > 1) { const body = {places: runsOf(all)}; openCropMany(page.id, body, {noun: 'pair', started: begin(body)}); }
  }
  function swap() {
    const all = places();
    return step('swap', {places: runsOf(all)}, () => `Before and after swapped in ${plural(all.length, 'pair')}`);
  }
  /* Who was among those that go stands where they stood. */
  async function removeChosen() {
    const all = places(), inside = document.activeElement.closest('.pr'), at = Math.max(0, indexIn(shown(), all[0]));
    await page.remove(all);
    if (inside && !inside.isConnected && shown().length) go(shown()[Math.min(at, shown().length - 1)]);
  }
  /* One wording for all of them: what they say now gives way. */
  async function say() {
    const all = places(), first = await load(all[0]), words = h('input.d-in', {maxLength: 2000, autocomplete: 'off', value: first?.draft ?? first?.text ?? '', placeholder: 'What changes from left to right?'});
    const many = plural(all.length, 'pair');
    formDialog(`One instruction for ${many}`, 'What they say now gives way. It is one step to undo.', field('Instruction', words), `Say it in ${all.length === 1 ? 'this pair' : many}`, async () => {
      if (!words.value.trim()) throw new Error('The instruction is empty. Write what changes from the left picture to the right one.');
      await flush();
      taken(await patiently('Writing …', api(`/datasets/${encodeURIComponent(page.id)}/say`, {text: words.value, places: runsOf(all)})), `“${words.value.trim()}” in ${many}`);
    });
    words.select();
  }
  function mark(set, some, on) { for (const place of some) if (on) set.add(place); else set.delete(place); bar.draw(); }
  return {
    el: bar.el, key: bar.key, pick: selecting.pick, walk: selecting.key, arrived: selecting.arrived, cancel: selecting.cancel, lasso: selecting.lasso, worked: over,
    has: (place) => chosen.has(place), get size() { return chosen.size; },
    /* What the server says of the data set: those that are gone are not selected any more. */
    take(info, all) { out = new Set(placesOf(info.excluded)); judging = new Set(placesOf(info.judges)); selecting.keep(all); bar.draw(); drawn(); },
    excluded: (some, on) => mark(out, some, on), judged: (some, on) => mark(judging, some, on),
  };
}
