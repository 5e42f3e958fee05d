// “Where it runs”: which settings show for which place, the exact commands to copy, and what is handed in.
import {h, icon, fill, ready} from './core.js';

const section = () => document.getElementById('launch');
const say = (button, word) => { const s = button.querySelector('span'); s.textContent = word; setTimeout(() => (s.textContent = 'Copy'), 2000); };

function copier(what, name) {
  const button = h('button.d-btn.sm.quiet.d-push', {type: 'button', aria: {label: `Copy ${name}`}}, icon('copy', 's'), ' ', h('span', 'Copy'));
  button.addEventListener('click', async () => {
    try { await navigator.clipboard.writeText(what.textContent); say(button, 'Copied'); }
    catch { getSelection().selectAllChildren(what); say(button, 'Selected'); }
  });
  return button;
}
function command({title, line}, only) {
  const code = h('code', {tabIndex: 0}, line), name = title || (only ? 'the command' : 'a command');
  return h('section.lc', h('div.d-row', h('h3.d-lab', title || 'The command it runs'), copier(code, name)), h('div.d-code', code));
}
function file({name, text}) {
  const code = h('code', {tabIndex: 0}, text);
  return h('details.lf', h('summary', 'What is handed in: ', h('b', name)), h('div.d-row', copier(code, name)), h('div.d-code', code));
}
/* The settings of the chosen place show at once; what they come to arrives a moment later. */
function place() {
  const box = section(), by = box?.querySelector('#f-launcher input:checked')?.value, machines = box?.querySelector('#f-num_machines :is(input,textarea)')?.value;
  if (!box) return;
  if (by) box.dataset.by = by;
  box.classList.toggle('many', +machines > 1);
}
export function mount(el, {props, watch}) {
  let drawn = '';
  function show() {
    const v = props.value || {}, sign = JSON.stringify([v.commands, v.file, v.note]);
    if (section() && v.launcher && !section().dataset.by) section().dataset.by = v.launcher;
    if (sign === drawn) return;
    drawn = sign;
    const open = el.querySelector('.lf')?.open, list = v.commands || [];
    fill(el, v.note && h('p.ln', icon('bang', 's'), h('span', v.note)), list.map((c) => command(c, list.length === 1)), v.file && file(v.file));
    if (open && el.querySelector('.lf')) el.querySelector('.lf').open = true;
    if (list.length) ready(el);
  }
  section()?.addEventListener('input', place);
  section()?.addEventListener('change', place);
  watch('value', () => { show(); place(); });
  show();
  place();
}
