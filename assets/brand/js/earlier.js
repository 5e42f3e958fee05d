// A strip over one setting, and the earlier pictures or edits with all their settings.
import {h, icon, refill, api, ask, toast} from './core.js';

export const outputUrl = (id, width) => `/media/output/${id}.png` + (width ? `?w=${width}` : '');
export const inputUrl = (id, width) => `/media/input/${id}.png` + (width ? `?w=${width}` : '');

/* `word` is what one value is called: “Use scale 0.50”. */
export function makeStrip({id, title, word, onStart, onUse}) {
  const note = h('span.d-small.d-sub'), start = h('button.d-btn.sm.d-push', {type: 'button', id: id + '-start', onclick: () => onStart()}, icon('strip', 's'), ' Draw the strip');
  const row = h('div.kss'), scroll = h('div.d-scroll', {tabIndex: 0, role: 'region', aria: {label: title}}, row), el = h('section.d-sec.scale', {id}, h('div.d-row', h('h2.d-h2', title), note, start), scroll);
  let drawn = '';
  return {el, show: ({strip, text, ready: can, value, busy}) => {
    start.disabled = busy || !can;
    note.textContent = text;
    scroll.hidden = !strip;
    const sign = JSON.stringify([strip?.pictures, strip?.state, value]), values = strip?.strip.values || [];
    if (!strip || sign === drawn) return;
    drawn = sign;
    row.style.setProperty('--n', values.length);
    refill(row, strip.pictures.map((p, i) => h('button.ks' + (Math.abs(values[i] - value) < 0.001 ? '.on' : ''), {type: 'button', disabled: !p.ready, data: {weight: p.label}, aria: {label: `Use ${word} ${p.label}`}, onclick: () => onUse(p, values[i])},
      p.ready ? h('img', {src: outputUrl(p.id, 384), alt: '', decoding: 'async'}) : h('span.d-ph' + (strip.state === 'running' ? '' : '.still')), h('span.d-num', p.label))));
  }};
}

export function makeEarlier({onUse, onGone, edits = false}) {
  const grid = h('div.his' + (edits ? '.pr3' : '')), more = h('button.d-btn.sm', {type: 'button', id: edits ? 'more-edits' : 'more', hidden: true, onclick: load}, 'Show more'), hint = h('span.d-small.d-sub', 'click one to go back to its settings'), el = h('section.d-sec.earlier', {id: edits ? 'earlier-edits' : 'earlier'}, h('div.d-row', h('h2.d-h2', edits ? 'Earlier edits' : 'Earlier pictures'), hint), grid, h('div.d-row.mr', more));
  const image = (src) => h('img', {src, alt: '', loading: 'lazy', decoding: 'async', width: 150, height: 150});
  const face = (o) => (edits ? h('span.d-pair', image(inputUrl(o.settings.image.id, 192)), image(outputUrl(o.id, 192))) : image(outputUrl(o.id, 384)));
  let items = [], shown = null, drawn = '';

  async function load() {
    try { const page = await api(`/generate/history?offset=${items.length}` + (edits ? '&edits=true' : '')); items = [...items, ...page.items.filter((n) => !items.some((o) => o.id === n.id))]; more.hidden = !page.more; show(shown); } catch (e) { toast(e.message); }
  }
  async function remove(o) {
    if (!(await ask('Delete this picture?', `“${o.settings.prompt || 'without words'}”, seed ${o.settings.seed}. It cannot be brought back.`, 'Delete'))) return;
    try { await api(`/generate/history/${o.id}`, undefined, 'DELETE'); } catch (e) { return toast(e.message); }
    items = items.filter((x) => x.id !== o.id); onGone(o.id); show(shown === o.id ? null : shown);
  }
  function show(id) {
    shown = id;
    el.hidden = !items.length;
    const sign = JSON.stringify([items.map((o) => o.id), id]);
    if (sign === drawn) return;
    drawn = sign;
    const nodes = new Map([...grid.children].map((n) => [n.dataset.id, n]));
    refill(grid, items.map((o) => {
      const text = o.settings.prompt || 'without words', node = nodes.get(o.id) || h('div.hw', {data: {id: o.id}}, h('button.hi', {type: 'button', title: text, onclick: () => onUse(o)}, face(o), h('span', text)),
        h('button.d-btn.sm.ico.del', {type: 'button', aria: {label: `Delete “${text}”`}, onclick: () => remove(o)}, icon('trash', 's')));
      node.querySelector('.hi').classList.toggle('on', o.id === id);
      node.querySelector('.hi').setAttribute('aria-current', String(o.id === id));
      return node;
    }));
  }
  return {el, show, remove, items: () => items, set: (page) => { items = page.items; more.hidden = !page.more; }, put: (o) => { items = [o, ...items.filter((x) => x.id !== o.id)].sort((a, b) => (a.id < b.id ? 1 : -1)); }, find: (id) => items.find((o) => o.id === id)};
}
