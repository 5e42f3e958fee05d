// Drafts of missing instructions: made by comparing both pictures, told apart from a person's words until they are read.
import {h, icon, fill, refill, api, about, href, plural, present, query, say, tellAddress, toast} from './core.js';
import {undo} from './captions_find.js';
import {placesOf} from './rows.js';

const EVERY = 900, ACTIVE = ['starting', 'running'];
const CAPTIONERS = [['pocket-blip', 'Pocket BLIP'], ['none', 'Compare pictures only']]; // and those that the server knows besides
const shared = (window.darkroomCaptions ||= {});                       // the page's native buttons call these
const $ = (id) => document.getElementById(id);
const label = (button, text) => { const t = button && [...button.childNodes].find((n) => n.nodeType === 3 && n.data.trim()); if (t && t.data !== text) t.data = text; };

export function mountDrafts(book) {
  const {dataset} = book;
  let job = null, timer, asked = false, filter = '';
  const captioner = h('select.d-sel', {id: 'drafter', aria: {label: 'Where the pictures alone do not tell'}}, CAPTIONERS.map(([value, words]) => h('option', {value}, words)));
  const chips = h('div.d-row.wrap.chs', {role: 'group', aria: {label: 'Show'}}), failed = h('div.lost', {hidden: true});
  const card = h('section.d-card.dft', {aria: {label: 'Drafts'}}, h('div.bd', h('h2.d-h2', 'Draft missing instructions'),
    h('p.d-small.d-sub', 'Both pictures are compared: another background, light, size or colour says itself. For the rest a captioner names what it sees in each. You read every draft; your own words are never touched.')),
  h('label.d-field', {htmlFor: 'drafter'}, h('b', 'For the rest'), captioner));
  document.querySelector('.d-card.cpt').after(card, chips, failed);
  api(`/captions/${dataset}/fit`).then(({captioners}) => captioner.lastChild.before(...captioners.slice(1).filter((m) => !/tags/i.test(m.label)).map((m) => h('option', {value: m.key}, m.label))), () => {});
  const active = () => job && ACTIVE.includes(job.state);
  const WANTED = {bare: {state: 'missing'}, draft: {by: 'draft', state: 'written'}};

  async function show(name) {
    const wanted = (filter = filter === name ? '' : name);
    draw();
    try {
      const some = filter && placesOf((await api(`/captions/${dataset}/search`, WANTED[filter])).places);
      if (filter === wanted) book.show(some && some.length ? some : undefined);      // else another was chosen meanwhile
    } catch (error) { if (filter === wanted) filter = ''; draw(); toast(error.message); }
  }
  function drawChips(missing, drafts) {
    if (filter && !(filter === 'bare' ? missing : drafts)) { filter = ''; book.show(); }
    const chip = (name, words, n) => h('button.d-chip' + (filter === name ? '.on' : ''), {type: 'button', data: {again: 'show ' + name}, aria: {pressed: String(filter === name)}, onclick: () => show(name)}, words + ' ', h('b', n.toLocaleString('en')));
    refill(chips, missing > 0 && chip('bare', 'Instruction missing', missing), drafts > 0 && chip('draft', 'Drafts to read', drafts),
      drafts > 0 && !active() && h('button.d-btn.sm', {type: 'button', data: {again: 'right'}, onclick: confirm}, icon('check', 's'), drafts === 1 ? ' The draft is right' : ` All ${drafts.toLocaleString('en')} drafts are right`));
    chips.hidden = !chips.children.length;
  }
  function draw() {
    const {missing, draft: drafts} = book.numbers, n = book.numbers.wanted;
    const go = $('cap-go'), stop = $('cap-stop'), next = $('cap-next');
    for (const [button, on] of [[go, !active() && (missing || drafts)], [stop, active()], [next, !active() && !missing]]) button?.classList.toggle('d-gone', !on);
    const bar = document.querySelector('#dock-say .ring');
    if (bar && !active()) fill(bar);
    bar?.classList.toggle('d-gone', !active());
    if (active()) {
      const left = job.seconds_left == null ? '' : ` ${about(job.seconds_left)[0].toUpperCase()}${about(job.seconds_left).slice(1)} left.`;
      say(`Drafting, ${job.state === 'running' ? `${job.done} of ${job.total}.` : 'getting ready.'}`, `${left} You can write while it drafts; your words are never overwritten.`, job.total ? job.done / job.total : 0);
    } else if (job?.state === 'failed' && asked) say('Drafting stopped.', job.reason || 'It gave no reason.');
    else if (asked && missing && job?.silent) say(`${plural(missing, 'pair')} could not be told from the pictures.`, 'Write what changes in your own words.');
    else if (missing) say(`${(n - missing).toLocaleString('en')} of ${plural(n, 'pair')} ${n - missing === 1 ? 'has' : 'have'} an instruction.`, 'Drafts are made by comparing before and after. You read each one.');
    else if (drafts) say(`${plural(drafts, 'draft')} to read.`, 'Ctrl Enter says that a draft is right and goes on; write over it where it is not.');
    else say('Every pair has an instruction.', 'Say what changes, as you would ask for it: “make the background blue”.');
    if (go) {
      go.classList.toggle('primary', !!missing);
      go.classList.toggle('secondary', !missing);
      label(go, missing ? `Draft ${plural(missing, 'instruction')}` : `Draft ${drafts === n ? 'all' : drafts.toLocaleString('en')} anew`);
      go.title = missing ? '' : 'Only drafts that nobody has read; your words stay.';
    }
    drawChips(missing, drafts);
    const bad = (!active() && job?.failed) || [];
    failed.hidden = !bad.length;
    if (bad.length) fill(failed, h('p.d-small', h('b.d-strong', `${plural(bad.length, 'pair')} could not be looked at.`), ' ', [...new Set(bad.map((b) => b.reason))].slice(0, 3).join(' ')));
  }
  async function confirm() {
    try {
      await book.flush();
      const {token, count} = await api(`/captions/${dataset}/confirm`, {});
      await book.pull();
      for (const f of book.acted) f();
      toast(`${plural(count, 'draft')} confirmed`, 'Undo', () => undo(book, token));
    } catch (error) { toast(error.message); }
  }
  async function tick() {
    clearTimeout(timer);
    try { job = await book.pull(true); draw(); } catch { say('Darkroom does not answer.', 'It goes on as soon as the server is back.'); }
    if (active()) timer = setTimeout(tick, document.visibilityState === 'visible' ? EVERY : EVERY * 4);
  }
  async function start() {
    if (active()) return;
    const go = $('cap-go'), again = !book.missing;
    asked = true;
    go.disabled = true;
    try {
      await book.flush();
      job = (await api(`/captions/${dataset}/job`, {captioner: captioner.value, again})).job;
      draw();
      tick();
    } catch (error) { say('It cannot start.', error.message); }
    go.disabled = false;
  }
  async function stop() {
    try { job = (await api(`/captions/${dataset}/job`, undefined, 'DELETE')).job; draw(); tick(); } catch (error) { toast(error.message); }
  }
  Object.assign(shared, {start, stop, next: () => { location.href = href('check'); }, redraw() {}});
  book.changed.add(draw);
  book.pull().then((now) => {
    job = now;
    draw();
    if (active()) tick();
    else if (query.get('begin') === '1' && book.missing) start();
    query.delete('begin');
    tellAddress();
  }, draw);
  draw();
  present('cap-go', 'cap-stop', 'cap-next').then(draw);
}
