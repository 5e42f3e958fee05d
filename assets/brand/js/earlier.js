// The strip over the scale, and the earlier pictures with all their settings.
import {h, icon, fill, api, ask, toast} from './core.js';

export const outputUrl = (id, width) => `/media/output/${id}.png` + (width ? `?w=${width}` : '');

export function makeScale({onStart, onUse}) {
  const note = h('span.d-small.d-sub'), start = h('button.d-btn.sm.d-push', {type: 'button', id: 'strip-start', onclick: () => onStart()}, icon('strip', 's'), ' Draw the strip');
  const row = h('div.kss'), scroll = h('div.d-scroll', {tabIndex: 0, role: 'region', aria: {label: 'Strip over the scale'}}, row), el = h('section.d-sec.scale', {id: 'scale'}, h('div.d-row', h('h2.d-h2', 'Strip over the scale'), note, start), scroll);
  let drawn = '';
  return {el, show: ({strip, name, of, weight, busy, weights}) => {
    start.disabled = busy || !name;
    note.textContent = strip && of ? `${of} from 0 to 1.5, same seed; click one to use it` : name ? `${name} from 0 to 1.5, same seed` : 'Switch a LoRA on to see it at seven strengths.';
    scroll.hidden = !strip;
    const sign = JSON.stringify([strip?.pictures, strip?.state, weight]);
    if (!strip || sign === drawn) return;
    drawn = sign;
    fill(row, strip.pictures.map((p, i) => h('button.ks' + (Math.abs(weights[i] - weight) < 0.001 ? '.on' : ''), {type: 'button', disabled: !p.ready, data: {weight: p.label}, aria: {label: `Use scale ${p.label}`}, onclick: () => onUse(p, weights[i])},
      p.ready ? h('img', {src: outputUrl(p.id, 384), alt: '', decoding: 'async'}) : h('span.d-ph' + (strip.state === 'running' ? '' : '.still')), h('span.d-num', p.label))));
  }};
}

export function makeEarlier({onUse, onGone}) {
  const grid = h('div.his'), more = h('button.d-btn.sm', {type: 'button', id: 'more', hidden: true, onclick: load}, 'Show more'), hint = h('span.d-small.d-sub', 'click one to go back to its settings'), el = h('section.d-sec.earlier', {id: 'earlier'}, h('div.d-row', h('h2.d-h2', 'Earlier pictures'), hint), grid, h('div.d-row.mr', more));
  let items = [], shown = null, drawn = '';

  async function load() {
    try { const page = await api(`/generate/history?offset=${items.length}`); items = [...items, ...page.items.filter((n) => !items.some((o) => o.id === n.id))]; more.hidden = !page.more; show(shown); } catch (e) { toast(e.message); }
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
    fill(grid, items.map((o) => {
      const text = o.settings.prompt || 'without words', node = nodes.get(o.id) || h('div.hw', {data: {id: o.id}}, h('button.hi', {type: 'button', title: text, onclick: () => onUse(o)}, h('img', {src: outputUrl(o.id, 384), alt: '', loading: 'lazy', decoding: 'async', width: 150, height: 150}), h('span', text)),
        h('button.d-btn.sm.ico.del', {type: 'button', aria: {label: `Delete “${text}”`}, onclick: () => remove(o)}, icon('trash', 's')));
      node.querySelector('.hi').classList.toggle('on', o.id === id);
      node.querySelector('.hi').setAttribute('aria-current', String(o.id === id));
      return node;
    }));
  }
  return {el, show, remove, items: () => items, set: (page) => { items = page.items; more.hidden = !page.more; }, put: (o) => { items = [o, ...items.filter((x) => x.id !== o.id)].sort((a, b) => (a.id < b.id ? 1 : -1)); }, find: (id) => items.find((o) => o.id === id)};
}
