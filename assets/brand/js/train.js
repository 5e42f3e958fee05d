// Train: recipe cards, what the run will take, its command, Start. The native fields stay native; form.js dresses them.
import {base, h, icon, fill, href, note, plural, present, query, ready, say} from './core.js';
import {endStart, isStarting, watchStart} from './train_start.js';
import {dress, fieldOf, filter, mark, prerender} from './form.js';
export {filter};

const $ = (s) => document.querySelector(s);
let busy = false,
  waiting = 0; // for an answer that does not come

let fitting = null;
/* A Radio's label is plain text: "Name\nSentence\nFigures\nWhere". Svelte's own span stays, hidden, as the accessible name;
   the card is drawn beside it, again whenever Gradio changes the choices. */
function recipes() {
  for (const [at, label] of [...document.querySelectorAll('#recipe label')].entries()) {
    label.classList.toggle('d-gone', !!fitting && !fitting.includes(at));
    const own = label.querySelector(':scope>span:not(.rc)'),
      [name, sentence, figures, where] = (own?.textContent || '').replaceAll(' GB', '\u00a0GB').split('\n');
    if (!own || label.dataset.t === own.textContent) continue;
    label.dataset.t = own.textContent;
    own.classList.add('d-vh');
    label.querySelector('.rc')?.remove();
    label.append(
      h(
        'span.rc',
        {aria: {hidden: 'true'}},
        h('b', name),
        h('span.p', sentence || ''),
        h('span.f', figures || ''),
        where && h('span.o', where),
      ),
    );
  }
}
function card(el, v) {
  if (!v.rows) return;
  const m = v.memory,
    share = (g) => ({width: `${Math.min(100, (g / Math.max(m.total, m.need)) * 100)}%`});
  const shown = m.parts.filter(([, g]) => g > 0);
  fill(
    el,
    h('h2.d-h2', 'This run'),
    h(
      'dl.d-kv',
      {style: {'margin-top': '14px'}},
      v.rows.map(([what, figure, reason]) => [
        h('dt', what),
        h('dd' + (reason ? '.bad' : ''), figure),
        reason && h('dd.why', icon('alert', 's'), h('span', reason)),
      ]),
    ),
    h('hr.d-rule'),
    h('div.d-row', h('span.d-sub', 'Memory'), h('span.d-num.d-push' + (m.over ? '.bad' : ''), `${m.need} of ${m.total} GB`)),
    h(
      'div.mem' + (m.over ? '.over' : ''),
      {role: 'img', aria: {label: `${m.need} of ${m.total} GB: ${shown.map(([n, g]) => `${n} ${g} GB`).join(', ')}`}},
      m.parts.map(([, g]) => h('i', {style: share(g)})),
    ),
    h(
      'div.ml',
      m.parts.map(([n]) => h('span', n)),
    ),
    v.levers?.length
      ? h(
          'details.levers',
          h('summary', 'Ways to need less memory'),
          h(
            'ul',
            v.levers.map((l) => h('li', h('b', l.what), h('span', `${l.saves}, ${l.costs}`))),
          ),
        )
      : null,
    v.problem && h('p.d-err', icon('alert', 's'), h('span', v.problem)),
    (v.warnings || []).map((w) => h('p.warn', icon('alert', 's'), h('span', w.text))),
    v.basis && h('p.d-small.d-sub.basis', 'Time: ' + v.basis[0].toLowerCase() + v.basis.slice(1)),
  );
}
/* Faults that belong to no field: the data set, the machine. */
const WAYS = {
  dataset: ['Open the data set', () => href('dataset')],
  machine: ['See that run', () => '/monitor'],
  captions: ['Write captions', () => href('captions')],
  trigger_word: ['Open Captions', () => href('captions')],
};
function others(v) {
  const list = (v.faults || []).filter((f) => !fieldOf(f.field)),
    el = $('#in-the-way');
  if (!list.length && !v.told) {
    el?.remove();
    return;
  }
  const box = el || h('div', {id: 'in-the-way'});
  fill(
    box,
    v.told && note('', 'That preset is not known.', v.told + ' Below stands the one that suits this machine.'),
    list.map((f) => note('bad', f.text, null, WAYS[f.field] && h('a.d-btn.sm', {href: WAYS[f.field][1]()}, WAYS[f.field][0]))),
  );
  if (!el) $('.d-cols.tr').before(box);
  if (v.insist && list.length && !document.querySelector('.err')) box.scrollIntoView({block: 'center'});
}
function around(v) {
  const more = $('#base-more p'),
    from = $('#recipe-more p'),
    code = $('#cmd code');
  if (more && v.base)
    fill(
      more,
      v.base.sentence,
      v.base.licence && [' ', h('a', {href: v.base.licence, target: '_blank', rel: 'noopener noreferrer'}, 'Read its licence')],
    );
  if (from && v.preset)
    fill(
      from,
      'Where it comes from: ',
      v.preset.sources.map((s, i) => [i ? '; ' : '', link(s)]),
      '.',
    );
  if (code && v.command != null) {
    code.textContent = v.command;
    $('#cmd').hidden = !v.command;        // several machines and other places have their commands under “Where it runs”
  }
  if (v.base) {
    const ours = v.base.bundled;
    $('#base')?.style.setProperty('--base-picture', ours ? `url(${base}img/base-${v.base.key}.webp)` : 'none');
    $('#base')?.classList.toggle('plain', !ours);
  }
  const n = Object.keys(v.changed || {}).length,
    count = $('#set-head .n'),
    all = $('#all');
  if (count && v.changed) count.textContent = n ? `${n} changed from the preset` : 'as the preset has them';
  $('#back')?.classList.toggle('d-gone', !n);
  if (all) all.style.setProperty('--more', `"${document.querySelectorAll('#all [id^=f-]:not(.notours)').length} more, with a search"`);
  if (v.problem) say('This run does not fit here.', v.problem);
  else if (v.say) say(v.say[0], v.say[1]);
  $('#start')?.classList.toggle('wont', !!v.problem);
}
const link = (text) => {
  const m = /https?:\/\/\S+/.exec(text);
  return m ? h('a', {href: m[0], target: '_blank', rel: 'noopener noreferrer'}, text) : text;
};

function take(el, v) {
  if (!v || !Object.keys(v).length) return;
  if (v.stopped) {
    release();
    say('Stopped.', 'Nothing was started, and nothing is lost.');
    return;
  }
  if (v.go) {
    endStart();
    say('Starting.', 'The monitor opens.');
    location.href = href('monitor', v.go);
    return;
  }
  release();
  v = keepTold(v);
  document.documentElement.classList.toggle('no-dataset', v.dataset === '');
  if (v.dataset === '') return nothing(el);
  card(el, v);
  if (v.changed) dress({why: v.why, changed: v.changed, only: v.fields});
  if (v.recipes) {
    fitting = v.recipes;
    recipes();
    $('#recipe').classList.add('on');
  }
  around(v);
  mark(v.faults || [], v.insist);
  others(v);
  if ((v.insist || v.still) && v.faults?.length) say(`${plural(v.faults.length, 'thing')} to mend before it can start.`, 'Each is told at its place.');
  if (v.rows || v.faults) first();
  const block = el.closest('.block');
  if (block) block.dataset.turn = String(+(block.dataset.turn || 0) + 1);
}
let first = () => {},
  insisted = {};
/* What Start has found stays until the form says something else: it looked at more than a look does, and a look that was asked for before may come after it. */
function keepTold(v) {
  if (!v.insist && v.of && v.of === insisted.of) return {...v, faults: insisted.faults, warnings: insisted.warnings, still: true};
  insisted = v.insist ? v : {};
  return v;
}
function nothing(el) {
  if ($('#nothing')) return;
  $('#dock')?.classList.add('d-gone');
  $('.d-cols.tr').before(
    h(
      'div.bare',
      {id: 'nothing'},
      h(
        'div.bare-pic',
        {aria: {hidden: 'true'}},
        h('img', {src: base + 'img/zog_01.webp', alt: '', width: 96, height: 96}),
        h('span', h('b'), h('b'), h('b')),
      ),
      h('h2.d-h2', query.get('dataset') ? 'There is no such data set' : 'Choose a data set first'),
      h(
        'p.d-sub',
        'A model learns from pictures: 10 to 50 of one subject, or of one style. Bring some, or begin with the sample pictures.',
      ),
      h('div.d-row', h('a.d-btn.pri', {href: '/dataset'}, 'Bring pictures'), h('a.d-btn.big', {href: '/'}, 'Try the samples')),
    ),
  );
  ready(el, 'empty');
}
function release() {
  busy = false;
  clearTimeout(waiting);
  endStart();
  const b = $('#start');
  if (b) {
    b.removeAttribute('aria-busy');
  }
}

export function mount(el, {props, watch}) {
  fill(el, h('h2.d-h2', 'This run'), h('p.d-sub.d-small', 'Working out what it takes.'));
  new MutationObserver(recipes).observe($('main.contain'), {subtree: true, childList: true, characterData: true});
  recipes();
  /* One start a press, however fast the fingers are: until the server has answered, further clicks do not get through. */
  document.addEventListener(
    'click',
    (e) => {
      const b = e.target.closest?.('#start');
      if (!b) return;
      if (busy) {
        e.stopImmediatePropagation();
        e.preventDefault();
        return;
      }
      busy = true;
      b.setAttribute('aria-busy', 'true');
      say('Looking at everything once more.', 'Then it starts.');
      watchStart();
      clearTimeout(waiting);
      waiting = setTimeout(function late() { if (isStarting()) waiting = setTimeout(late, 5000); else release(); }, 20000);
    },
    true,
  );
  addEventListener('pageshow', (e) => e.persisted && location.reload());
  document.addEventListener('click', async (e) => {
    const b = e.target.closest?.('#cmd button');
    if (!b) return;
    const text = $('#cmd code').textContent,
      word = b.querySelector('span');
    try {
      await navigator.clipboard.writeText(text);
      word.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren($('#cmd code'));
      word.textContent = 'Selected';
    }
    setTimeout(() => {
      word.textContent = 'Copy';
    }, 2000);
  });
  const drawn = present('all').then(() => prerender($('#all'))),
    told = new Promise((ok) => {
      first = ok;
    });
  watch('value', () => take(el, props.value));
  take(el, props.value);
  Promise.all([drawn, told]).then(() => {
    take(el, props.value);
    if (el.closest('.block').dataset.state !== 'empty') ready(el);
  });
}
