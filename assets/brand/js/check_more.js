// Check: the pictures behind the first ones of a finding or a bucket, asked for part by part while somebody wants to see them.
import {h, icon, fill, api, href, plural} from './core.js';

/* A panel that fills itself when it is opened. `about` has dataset, noun, number(row) and tile(id, row, part, i); -> {el, toggle(button)} */
export function makeMore(key, about) {
  const list = h('div.mg'),
    foot = h('div.mf'),
    el = h('div.more', {hidden: true, id: 'more-' + key}, list, foot);
  let have = 0,
    all = 0,
    group = 0,
    place = list;

  let loading = false;
  async function load() {
    if (loading) return; // closed and opened again before it was here
    loading = true;
    const wait = h('button.d-btn.sm', {type: 'button', disabled: true}, 'One moment');
    fill(foot, wait);
    try {
      const part = await api(`/check/${about.dataset}/part/${encodeURIComponent(key)}?offset=${have}`);
      part.ids.forEach((id, i) => {
        const row = part.rows[id],
          of = part.groups?.[i] || 0;
        if (of && of !== group) list.append((place = h('div.mgr', {role: 'group', aria: {label: `Group ${of}`}})));
        group = of;
        if (row) place.append(about.tile(id, row, part, i));
      });
      have += part.ids.length;
      all = part.count;
    } catch (e) {
      fill(foot, h('span.d-small.d-sub', e.message), h('button.d-btn.sm', {type: 'button', onclick: load}, 'Try again'));
      return;
    } finally {
      loading = false;
    }
    const left = all - have;
    fill(
      foot,
      left > 0
        ? h('button.d-btn.sm', {type: 'button', onclick: load}, `Show ${Math.min(60, left)} more`)
        : null,
      h('span.d-small.d-sub.d-num', left > 0 ? `${have.toLocaleString('en')} of ${plural(all, about.noun)}` : `all ${plural(all, about.noun)}`),
    );
  }
  function toggle(button) {
    el.hidden = !el.hidden;
    button.setAttribute('aria-expanded', String(!el.hidden));
    if (!el.hidden && !have) load();
  }
  return {el, toggle};
}

/* A picture with its number; it leads to its caption, a pair to its place on the light table. */
export function tile(id, row, {dataset, total}) {
  const pair = row.before !== undefined,
    name = `${pair ? 'Pair' : 'Picture'} ${frame(row.number, total)}`;
  return h(
    'a.mt',
    {href: href(pair ? 'dataset' : 'captions', {picture: id}), title: row.name, aria: {label: 'Open ' + name.toLowerCase()}},
    h('img', {src: `/media/thumb/${dataset}/${row.img}/192.webp`, alt: '', width: 84, height: 84, loading: 'lazy', decoding: 'async'}),
    h('span.d-num', frame(row.number, total)),
  );
}
export const frame = (number, total) => String(number).padStart(Math.max(2, String(total).length), '0');

/* The button that opens a panel. */
export const opener = (more, cls, words, label) =>
  h(
    'button.' + cls,
    {type: 'button', aria: {expanded: 'false', controls: more.el.id, label}, onclick: (e) => more.toggle(e.currentTarget)},
    words,
    cls.includes('mr') ? icon('down', 's') : null,
  );
