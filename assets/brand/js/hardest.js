// How well each training picture is learnt: a table that can be sorted, the hardest first. It finds the mislabelled one.
import {h, fill, refill, api, href, plural} from './core.js';
import {count} from './run.js';

const COLUMNS = [['name', 'Picture'], ['start', 'Before training'], ['mean', 'Over the run'], ['now', 'Now'], ['learnt', 'Learnt']];
const SHOWN = 12, NAMED = 3;

export function makeHardest(run) {
  const title = h('h2.d-h2'), note = h('p.d-small.d-sub'), head = h('tr'), body = h('tbody'), all = h('button.d-btn.sm.quiet', {type: 'button', onclick: () => { everything = !everything; draw(); }});
  const table = h('table.hard', h('caption.d-vh', 'Loss of each training picture'), h('thead', head), body);
  const el = h('section.d-sec.hardest', {hidden: true}, title, note, h('div.d-card.flush.d-scroll', {tabIndex: 0, role: 'region', aria: {label: 'Loss of each picture'}}, table), all);
  let rows = [], by = 'mean', down = true, everything = false, seen = null, step = 0;

  const sort = (key) => { down = key === by ? !down : key !== 'name' && key !== 'learnt'; by = key; draw(); };
  function heads() {
    refill(head, h('th', {scope: 'col'}, h('span.d-vh', 'Thumbnail')), COLUMNS.map(([key, text]) => h('th', {scope: 'col', class: key === 'name' ? 'l' : '', aria: {sort: key === by ? (down ? 'descending' : 'ascending') : 'none'}},
      h('button', {type: 'button', data: {again: key}, onclick: () => sort(key)}, text, h('i', {aria: {hidden: 'true'}}, key === by ? (down ? '↓' : '↑') : '')))));
  }
  function draw() {
    heads();
    title.textContent = `How well each ${run.meta?.edits ? 'pair' : 'picture'} is learnt`;
    const order = [...rows].sort((a, b) => (by === 'name' ? a.name.localeCompare(b.name, 'en', {numeric: true}) : a[by] - b[by]) * (down ? -1 : 1));
    const shown = everything ? order : order.slice(0, SHOWN);
    refill(body, shown.map((r) => h('tr' + (r.odd ? '.odd' : ''), h('td', r.src && h('img', {src: r.src, alt: '', width: 40, height: 40, loading: 'lazy', decoding: 'async'})),
      h('th.l', {scope: 'row'}, r.link ? h('a', {href: href(run.meta?.edits ? 'dataset' : 'captions', {dataset: run.meta?.dataset, run: null, picture: r.link})}, r.name) : r.name, r.caption && h('small', r.caption)),
      COLUMNS.slice(1).map(([key]) => h('td.d-num', key === 'learnt' ? `${r.learnt < 0 ? '−' : ''}${Math.abs(Math.round(100 * r.learnt))} %` : r[key].toFixed(3))))));
    all.hidden = rows.length <= SHOWN;
    all.textContent = everything ? 'Show the hardest only' : `All ${count(rows.length)}`;
    const pair = run.meta?.edits, hard = rows.filter((r) => r.odd === 'hard').length, unlearnt = rows.some((r) => r.odd === 'unlearnt');
    fill(note, `Each is asked the same at step ${count(step)}: a lower loss is better; learnt is by how much it fell, over the run. `,
      hard > 0 && h('b', `${names('hard')} ${hard > 1 ? 'are' : 'is'} far harder than the others. Look whether the ${pair ? 'instruction' : 'caption'} fits. `),
      unlearnt && h('b', `Of ${names('unlearnt')} hardly anything was learnt. Look whether ${pair ? 'it asks for what the others ask for' : 'it shows what the others show'}.`),
      !hard && !unlearnt && 'None stands out.');
  }
  function names(why) {
    const odd = rows.filter((r) => r.odd === why).sort((a, b) => b.mean - a.mean), first = odd.slice(0, NAMED).map((r) => `“${r.name}”`), more = odd.length - first.length;
    return more ? `${first.join(', ')} and ${plural(more, 'other')}` : first.join(first.length > 2 ? ', ' : ' and ');
  }
  async function show() {
    const now = run.pictures;
    if (now == null || now === seen) return;
    seen = now;
    try {
      const found = await api(`/runs/${encodeURIComponent(run.id)}/pictures`);
      rows = found.pictures; step = found.step; el.hidden = !rows.length;
      if (rows.length) draw();
    } catch { seen = null; }
  }
  return {el, show};
}
