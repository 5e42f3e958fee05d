// The keys sheet: `?` lists what the keyboard does on this page.
import {h, icon, KEYS} from './core.js';

const COMMON = {title: 'Everywhere', rows: [['?', 'Show this'], ['Tab', 'Next thing'], ['Esc', 'Close, or let go'], ['Ctrl Z', 'Undo the last change']]};

export function open() {
  const back = document.activeElement;
  const keycaps = (text) => text.split(' ').filter(Boolean).map((k) => h('kbd.d-key', k));
  const dialog = h('dialog.d-dialog.d-keys', {aria: {labelledby: 'keys-title'}},
    h('div.d-row', h('h2.d-h2', {id: 'keys-title'}, 'Keys'), h('button.d-btn.ico.quiet.d-push', {type: 'button', aria: {label: 'Close'}, onclick: () => dialog.close()}, icon('x', 's'))),
    [...KEYS, COMMON].map((group) => h('section', h('h3', group.title), h('dl', group.rows.map(([combination, what]) => [h('dt', what), h('dd', keycaps(combination))])))));
  dialog.addEventListener('click', (e) => e.target === dialog && dialog.close());
  dialog.addEventListener('close', () => { dialog.remove(); back?.focus?.(); });
  document.body.append(dialog);
  dialog.showModal();
}
