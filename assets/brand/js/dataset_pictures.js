// The light table of pictures: the strip above with its filters, the grid, what is chosen.
import {h, icon, fill, rebuild, api, href, plural, query, toast} from './core.js';
import {createGrid} from './grid.js';
import {openCrop} from './crop.js';
import {openCropMany} from './crop_many.js';
import {openMask} from './mask.js';
import {maskMany} from './mask_many.js';
import {indexIn, makeRows, placesOf, runsOf} from './rows.js';
import {makeBegun, makeSelectionBar} from './selection_bar.js';
import {open} from './viewer.js';

export function makePictures(page) {
  let wanted = query.get('crop') && query.get('picture'), out = new Set(), judging = new Set(), judges = [], filter = null, size = localStorage['dataset:size'] || 'm', marks = null, all = [], some = null, unseen = [];
  const OWN = ['out', 'judges', 'unseen'];
  const rows = makeRows({
    ask: async (places) => (await api(`/datasets/${encodeURIComponent(page.id)}/rows?places=${encodeURIComponent(places)}`)).pictures,
    came: (places) => grid.came(places),
  });
  const bar = h('div.d-row.wrap.bar'), grid = createGrid({open: look, select: drawBar, known: () => !filter || OWN.includes(filter) || !!some, row: (place) => rows.get(place)}), el = h('div.lt.d-table', bar, grid.element);
  const {selecting} = grid, {chosen} = selecting, {begin, over} = makeBegun(selecting, page.track), selection = makeSelectionBar({selecting, tools: selectionTools});
  selecting.lasso(el);
  el.append(selection.el);
  grid.size(size);

  const shown = () => (filter === 'out' ? all.filter((place) => out.has(place)) : filter === 'judges' ? judges : filter === 'unseen' ? unseen : filter ? some || all : all);
  /* Who judges: what is left out of training keeps its mark and judges nothing. */
  function countJudges() { judges = [...judging].filter((place) => !out.has(place)).sort((a, b) => a - b); }
  /* What the server says of the data set: where its pictures stand, and the first of them. */
  function take(info, grown) {
    all = placesOf(info.places);
    if (!grown) rows.forget();
    out = new Set(placesOf(info.excluded));
    judging = new Set(placesOf(info.judges));
    countJudges();
    unseen = placesOf(info.unseen);
    info.pictures.forEach(rows.put);
    if (filter && !OWN.includes(filter)) choose(filter);
  }
  function put(row) {
    if (row.masked !== 'auto') unseen = unseen.filter((place) => place !== row.place);      // a person's now, or gone
    rows.put({edited: false, masked: false, mask: '', excluded: false, judges: false, ...row});
    if (indexIn(all, row.place) < 0) all.push(row.place);
  }
  function show(_, now, waiting) {
    marks = now;
    if ((filter === 'out' && !out.size) || (filter === 'judges' && !judges.length)) filter = null;
    if (filter && filter !== 'look' && !OWN.includes(filter) && !page.info.shapes.some(([name]) => name === filter)) filter = null;
    if (filter === 'unseen' && !unseen.length) filter = null;
    grid.veil(filter === 'unseen');
    grid.show(page.id, shown(), all, marks, filter ? [] : waiting);
    drawBar();
    if (wanted) { const id = wanted; wanted = ''; cropById(id); }
  }
  async function choose(value) {
    if (filter !== value) { some = null; selecting.cancel(); }         // what another filter showed is not what this one shows
    filter = value;
    if (!value || OWN.includes(value)) return page.draw();
    try {
      const places = await page.placesLike(value === 'look' ? 'kind=look' : 'shape=' + encodeURIComponent(value));
      if (filter !== value) return;                                    // another was chosen meanwhile
      some = places;
      if (value === 'look' && !places.length) filter = null;
    } catch (error) { if (filter === value) filter = null; toast(error.message); }
    if (!filter) selecting.cancel();
    page.draw();
    selecting.arrived();
  }
  function sentence({length: n}) {
    if (!n) return 'Pictures of one thing, one person or one style.';
    if (n < 5) return `${plural(n, 'picture')}. Add more: 10 to 30 are enough for one subject.`;
    return `${plural(n, 'picture')}. 10 to 30 are enough for one subject; a style wants 20 to 60.`;
  }
  function drawBar() { selection.draw(); rebuild(bar, layBar); }
  function layBar() {
    const n = all.length, {shapes = [], width = 0} = page.info || {}, stat = (value, unit, label) => h('div.d-stat', h('b', value, unit && h('small', ' ' + unit)), h('span', label));
    const top = Math.max(...shapes.map(([, count]) => count)), needy = marks?.count || 0;
    const chip = (kind, words, count) => count > 0 && h('button.d-chip' + (filter === kind ? '.on' : ''), {type: 'button', data: {again: 'show ' + kind}, aria: {pressed: String(filter === kind), label: `${words}: ${count}`}, onclick: set(kind)}, words + ' ', h('b', count.toLocaleString('en')));
    const set = (value) => () => choose(filter === value ? null : value);
    const sizes = ['s', 'm', 'l'].map((s) => h('button', {type: 'button', aria: {pressed: String(s === size), label: {s: 'Small', m: 'Medium', l: 'Large'}[s] + ' pictures'},
      onclick: () => { size = localStorage['dataset:size'] = s; grid.size(s); drawBar(); }}, s.toUpperCase()));
    fill(bar,
      h('div.d-stats', stat(n.toLocaleString('en'), '', n === 1 ? 'picture' : 'pictures'), width ? stat(String(width), 'px', 'most are this wide') : null),
      shapes.length > 1 && h('div.d-hist', {role: 'group', aria: {label: 'Filter by shape'}}, shapes.map(([name, n]) =>
        h('button' + (filter === name ? '.on' : ''), {type: 'button', data: {again: 'shape ' + name}, aria: {pressed: String(filter === name), label: `${name}: ${plural(n, 'picture')}. Show only these`}, onclick: set(name)}, h('i', {style: {height: Math.max(3, (20 * n) / top) + 'px'}}), name))),
      chip('look', 'Needs a look', needy), chip('judges', 'Judges', judges.length), chip('out', 'Excluded', out.size), chip('unseen', 'Automatic masks', unseen.length),
      h('div.d-row.d-push.sizes', h('div.d-seg', {role: 'group', aria: {label: 'Size of the pictures'}}, sizes)));
    if (filter === 'unseen') bar.append(decision(chosen.size));
  }
  function dock({length: n}) {
    const written = Math.max(0, n - (page.info?.kinds?.text ?? n));
    const words = written === n ? 'All have a caption. Read them once, then check.' : written ? `${(n - written).toLocaleString('en')} still ${n - written === 1 ? 'needs' : 'need'} a caption.` : 'Next, a few words for each of them; you can change every word.';
    const judge = judges.length ? `${plural(judges.length, 'picture')} ${judges.length === 1 ? 'judges' : 'judge'}, chosen by you. ` : '';
    const rest = judge + (out.size ? `${out.size.toLocaleString('en')} ${out.size === 1 ? 'is' : 'are'} excluded from training. ` : '') + words;
    return {strong: `${plural(n, 'picture')} ${n === 1 ? 'is' : 'are'} in.`, rest,
      next: [written ? 'Next: captions' : `Caption ${plural(n, 'picture')}`, href('captions', {dataset: page.id, run: null, begin: written ? null : 1})]};
  }
  async function look(place) {
    const places = shown(), at = async (i) => (await rows.load([places[i]]), rows.peek(places[i])), index = indexIn(places, place), first = await at(index);
    if (first) open({length: places.length, at}, first, {dataset: page.id, marks: marks.of, index, onremove: (gone) => page.remove([gone.place]), oncrop: crop, onmask: paint, onclose: () => grid.focusActive()});
  }
  const dialog = (show) => (p) => show(page.id, p, {number: String(indexIn(all, p.place) + 1).padStart(2, '0'), onsaved: page.edited, onclose: () => grid.focusActive()}).catch(page.say);
  const crop = dialog(openCrop), paint = dialog(openMask);
  async function edit(show, place) { await rows.load([place]); const p = rows.peek(place); if (p) show(p); }
  /* A picture that a link names; it may lie far down. */
  async function cropById(id) { try { const {place} = await api(`/datasets/${encodeURIComponent(page.id)}/pictures/${encodeURIComponent(id)}/place`); edit(crop, place); } catch (error) { page.say(error); } }
  const chosenPlaces = () => [...chosen].sort((a, b) => a - b), every = (set) => chosen.size > 0 && [...chosen].every((place) => set.has(place));
  function selectionTools() {
    const back = every(out), teach = every(judging);
    return [['c', 'crop', 'Crop', 'Cropping', cropSelected], ['m', 'mask', 'Mask', 'Masking', maskSelected],
      ['j', teach ? 'check' : 'judge', teach ? 'Let teach' : 'Let judge', 'Marking', () => page.judge([...chosen], !teach), Infinity, teach ? 'Learn from them again' : 'Every run is judged by them, and never learns from them'],
      ['x', back ? 'check' : 'out', back ? 'Include' : 'Exclude', back ? 'Including' : 'Excluding', () => page.exclude([...chosen], !back)], ['Delete', 'trash', 'Remove', 'Removing', () => page.remove([...chosen])]];
  }
  function cropSelected() { const places = chosenPlaces(); if (places.length === 1) edit(crop, places[0]); else if (places.length) cropMany({places: runsOf(places)}); }
  function maskSelected() { const places = chosenPlaces(); if (places.length === 1) edit(paint, places[0]); else if (places.length) masks({places: runsOf(places)}); }
  function cropMany(body) { openCropMany(page.id, body, {started: begin(body), onclose: () => grid.focusActive()}); }
  async function masks(body) { try { const job = await maskMany(page.id, body); if (job) begin(body)(job); } catch (error) { page.say(error); } }
  /* What a person says of the masks that nobody has looked at: of those that are chosen, else of all. */
  function decision(chosen) {
    const places = chosen ? chosenPlaces() : unseen, some = chosen ? plural(chosen, 'mask') : unseen.length === 1 ? 'This mask' : 'All';
    const button = (name, words, keep) => h('button.d-btn.sm', {type: 'button', onclick: () => decide(places, keep)}, icon(name, 's'), words);
    return h('div.d-row.wrap.seen', h('p.d-small.d-sub', 'Dimmed is what is not learnt. Choose one, then Mask, to mend it.'), h('div.d-row.d-push', button('check', `${some} ${places.length === 1 ? 'is' : 'are'} right`, true), button('trash', chosen ? 'Take them away' : unseen.length === 1 ? 'Take it away' : 'Take all away', false)));
  }
  async function decide(places, keep) {
    try {
      const {token, count} = await api(`/datasets/${encodeURIComponent(page.id)}/masks/decide`, {places: runsOf(places), keep});
      selecting.drop(places);
      await page.load();
      if (token) page.done(token, `${plural(count, 'mask')} ${keep ? 'looked at and kept' : 'taken away'}`);
    } catch (error) { page.say(error); }
  }
  /* A job of many pictures is over, and the rows are here as they are now. */
  function worked(job) { over(job); if (job.kind === 'mask' && job.token) choose('unseen'); }
  const menu = () => all.length > 1 && [['crop', 'Crop all to one shape', () => cropMany({})], ['mask', 'Mask the subjects of all', () => masks({})]];
  /* Excluded from training, or included again: seen at once, without asking for the rows anew. */
  function excluded(places, on) {
    for (const place of places) { if (on) out.add(place); else out.delete(place); const p = rows.peek(place); if (p) p.excluded = on; }
    if (filter === 'look') some = some?.filter((place) => !out.has(place));
    countJudges();
  }
  function judged(places, on) {
    for (const place of places) { if (on) judging.add(place); else judging.delete(place); const p = rows.peek(place); if (p) p.judges = on; }
    countJudges();
  }
  function key(e) {
    const one = {c: crop, m: paint}[e.key];
    if (one && !chosen.size && grid.active() != null && !e.ctrlKey && !e.metaKey) { e.preventDefault(); edit(one, grid.active()); } else selection.key(e);
  }
  function arrived({length: n}) {
    const captions = page.info?.num_captions || 0;
    return `${plural(n, 'picture')} in` + (captions ? `, ${captions.toLocaleString('en')} with a caption` : '');
  }
  const keys = [['Space', 'Select'], ['Shift →', 'Select more'], ['Ctrl A', 'Select all'], ['Enter', 'Look at it large'], ['C', 'Crop'], ['M', 'Mask'], ['X', 'Exclude from training, or include'], ['J', 'Let judge, or let teach again'], ['Del', 'Remove'], ['Ctrl Z', 'Undo']];
  return {el, menu, worked, show, take, put, excluded, judged, get length() { return all.length; }, sentence, dock, key, keys, arrived};
}
