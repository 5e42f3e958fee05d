// Check: the dial with three sentences, findings with one button each, what is fine in one line, how each picture is cut.
import {h, icon, fill, api, href, keys, note, plural, query, ready, say, toast} from './core.js';
import {refresh} from './rail.js';
import {bare} from './bare.js';
import {bucketPreview} from './buckets.js';
import {chosenJudges, together} from './check_judges.js';
import {dial, fold, parts, pictures, round} from './check_parts.js';
import {makeMap} from './check_map.js';
import {makeMore, tile} from './check_more.js';

const dataset = query.get('dataset') || '',
  EVERY = 350;
const $ = (id) => document.getElementById(id);
const thumb = (image) => `/media/thumb/${dataset}/${image}/192.webp`;
const noun = () => (told?.dataset.kind === 'pairs' ? 'pair' : 'picture'),
  textNoun = () => (told?.dataset.kind === 'pairs' ? 'instruction' : 'caption');
const about = () => ({dataset, total: told.dataset.pictures, noun: noun(), tile: (id, row) => tile(id, row, {dataset, total: told.dataset.pictures})});
let told;

export async function mount(el) {
  document.addEventListener('click', (e) => {
    const b = e.target.closest?.('button');
    if (!b) return;
    if (b.id === 'ck-again') run(el);
    if (b.id === 'ck-next') location.href = href('train');
    if (b.id === 'ck-mend') mend(el);
  });
  keys('Check', [
    ['R', 'Check again'],
    ['Ctrl Z', 'Undo the last change'],
  ]);
  addEventListener('keydown', (e) => {
    if (e.target.closest?.('input,textarea,select,dialog')) return;
    if (e.key.toLowerCase() === 'r' && !e.ctrlKey && !e.metaKey && !e.altKey) run(el);
    if (e.key.toLowerCase() === 'z' && (e.ctrlKey || e.metaKey) && undone) {
      e.preventDefault();
      const back = undone;
      undone = null;
      back();
    }
  });
  if (!dataset)
    return nothing(el, 'Choose a data set first', 'The check looks at every picture and caption of a data set before you train.');
  try {
    told = await api(`/check/${dataset}`);
  } catch (e) {
    return nothing(el, 'This data set cannot be shown', e.message);
  }
  if (!told.dataset.pictures)
    return nothing(el, `No ${noun()}s yet`, `Put some on the light table; here you see which of them to mend before training.`);
  if (told.check.running) return follow(el);
  if (!told.report) return run(el);
  draw(el);
}
let undone;

function nothing(el, title, sentence) {
  for (const id of ['dock', 'ck-again']) $(id)?.classList.add('d-gone');
  fill(el, bare(dial(86, true), title, sentence, h('a.d-btn.pri', {href: href('dataset')}, 'Go to the pictures')));
  ready(el, 'empty');
}
let beginning = false;
async function run(el) {
  if (beginning || el.closest('.block').dataset.state === 'running') return;
  beginning = true;
  try {
    told = await api(`/check/${dataset}`, {});
    follow(el);
  } catch (e) {
    toast(e.message);
  }
  beginning = false;
}
/* While it looks: how far, in the page where there is no report yet, else in the dock only. */
async function follow(el) {
  ready(el, 'running');
  const again = $('ck-again');
  if (again) again.disabled = true;
  const bar = h('i'),
    words = h('p.d-sub', `Looking at the ${noun()}s.`);
  if (!told.report) {
    dockFor('Checking.', `Every ${noun()} and ${textNoun()} is looked at once; nothing is changed.`);
    fill(el, h('div.busy', {role: 'status'}, words, h('div.d-bar', bar)));
  }
  for (;;) {
    let now;
    try {
      now = await api(`/check/${dataset}/status`);
      if (!now.running && !now.error) told = await api(`/check/${dataset}`);
    } catch (e) {
      dockFor('Darkroom does not answer.', 'It goes on as soon as the server is back.');
      await pause(1500);
      continue;
    }
    const text = now.total ? `${now.done.toLocaleString('en')} of ${plural(now.total, noun())} looked at.` : words.textContent;
    words.textContent = text;
    bar.style.width = `${now.total ? (100 * now.done) / now.total : 4}%`;
    if (told.report) dockFor('Checking again.', text);
    if (!now.running) {
      if (now.error) {
        if (again) again.disabled = false;
        ready(el, 'failed');
        const retry = h('button.d-btn.sm', {type: 'button', onclick: () => run(el)}, 'Try again');
        fill(el, note('bad', 'The check could not be finished.', now.error, retry));
        return;
      }
      break;
    }
    await pause(EVERY);
  }
  if (again) again.disabled = false;
  draw(el);
  refresh();
}
const pause = (ms) => new Promise((ok) => setTimeout(ok, ms));

function draw(el) {
  const r = told.report,
    f = r.findings;
  document.documentElement.classList.toggle('p-check-pairs', noun() === 'pair');
  const open = new Set([...el.querySelectorAll('.d-fold[aria-expanded=true]')].map((b) => b.id));
  fill(
    el,
    told.current
      ? null
      : h(
          'div.old',
          note(
            '',
            'The data set has changed since this check.',
            'Or Darkroom has, and looks closer now. What stands below may no longer be so.',
            h('button.d-btn.sm', {type: 'button', onclick: () => run(el)}, 'Check again'),
          ),
        ),
    h(
      'section.ck',
      dial(r.score),
      h(
        'div.say',
        r.sentences.map((s, i) => h(i ? 'p.b' : 'p', s)),
      ),
    ),
    f.length
      ? h(
          'section.d-sec',
          h('div.d-row', h('h2.d-h2', plural(f.length, 'finding')), h('span.d-small.d-sub', 'what helps most comes first')),
          h(
            'div.d-card.flush.d-rows',
            f.flatMap((x) => row(el, x)),
          ),
        )
      : null,
    parts(r.parts),
    h(
      'div.folds',
      r.fine.length
        ? fold(
            'fine',
            plural(r.fine.length, 'thing is', 'things are') + ' fine',
            r.fine,
            r.fine.map((t) => h('li', icon('check', 's'), t)),
          )
        : null,
      chosenJudges(r.split, about()),
      together(r.split, about()),
      r.ignored.length
        ? fold(
            'ignored',
            plural(r.ignored.length, 'finding') + ' ignored',
            r.ignored.map((x) => x.title),
            r.ignored.map((x) =>
              h('li', x.title, h('button.d-btn.sm.quiet.d-push', {type: 'button', onclick: () => ignore(el, x, false)}, 'Show again')),
            ),
          )
        : null,
    ),
    makeMap(dataset, noun(), told.dataset.pictures),
    bucketPreview({report: r, current: told.current, base: told.base, rows: told.rows, about: about()}),
  );
  for (const id of open) {
    const b = $(id);
    if (b && b.getAttribute('aria-expanded') === 'false') b.click();
  }
  const n = r.split,
    removable = told.mend;
  const good = r.ready ? (r.score >= 60 ? 'Good enough to train.' : 'It can be trained.') : 'Not ready to train.';
  dockFor(good, r.ready ? `${plural(n.training, noun())} to learn from, ${n.held_out.toLocaleString('en')} ${n.chosen ? `to judge by${n.along ? ': ' : ', '}${n.who}` : 'held out to judge by'}.` : f[0].way_out);
  const mendButton = $('ck-mend'),
    next = $('ck-next');
  mendButton?.classList.toggle('d-gone', removable.count < 2);
  next?.classList.toggle('d-gone', !r.ready);
  if (mendButton && removable.count > 1) label(mendButton, 'Remove ' + (removable.names || plural(removable.count, noun())));
  ready(el);
}
const label = (button, text) => {
  const t = [...button.childNodes].find((x) => x.nodeType === 3 && x.data.trim());
  if (t) t.data = text;
};
const dockFor = (strong, rest) => {
  say(strong, rest);
};
function row(el, x) {
  const act = h('button.d-btn.sm', {type: 'button', onclick: () => button(el, x, act)}, x.action.label);
  const more = makeMore(x.key, about()),
    worth = x.points >= 0.05 && h('span.worth.d-num.d-small', {title: 'What it costs of the readiness'}, `−${round(x.points)} %`);
  return [
    h(
      'div.find.' + x.severity,
      {data: {code: x.code}},
      pictures(x, more, {rows: told.rows, thumb, total: told.dataset.pictures}),
      h('div.bd', h('b', x.severity === 'stop' && icon('alert', 's'), x.title, worth), h('p', x.rule, ' ', x.way_out)),
      act,
      x.severity !== 'stop' && h('button.d-btn.sm.quiet', {type: 'button', onclick: () => ignore(el, x, true)}, 'Ignore'),
    ),
    more.el,
  ];
}
async function button(el, x, b) {
  const {kind, count} = x.action,
    first = x.action.first[0] || x.shown[0];
  if (kind === 'open_captions') {
    location.href = href('captions', first ? {picture: first} : {});
    return;
  }
  if (['add_pictures', 'replace', 'crop'].includes(kind)) {
    location.href = href('dataset', first && kind !== 'add_pictures' ? {picture: first, crop: kind === 'crop' ? 1 : null} : {});
    return;
  }
  b.disabled = true;
  try {
    if (kind === 'caption') await caption(el, b);
    else await change(el, kind, [x.key], kind === 'remove' ? `Removed ${plural(count, noun())}` : kind === 'teach' ? `${plural(count, noun())} ${count === 1 ? 'teaches' : 'teach'} again` : `Changed ${plural(count, textNoun())}`);
  } catch (e) {
    toast(e.message);
  }
  b.disabled = false;
}
let changing = false;
async function change(el, kind, findings, words) {
  if (changing) return; // one press is one change, however fast the fingers are
  changing = true;
  const {token} = await api(`/check/${dataset}/act`, {kind, keys: findings}).finally(() => { changing = false; });
  undone = () => back(el, token);
  toast(words, 'Undo', () => {
    undone = null;
    back(el, token);
  });
  await run(el);
}
async function back(el, token) {
  try {
    await api(`/check/${dataset}/undo`, {token});
    toast('Put back as it was');
    await run(el);
  } catch (e) {
    toast(e.message);
  }
}
const mend = (el) => {
  const findings = told.report.findings.filter((x) => x.action.kind === 'remove').map((x) => x.key);
  if (findings.length) change(el, 'remove', findings, `Removed ${plural(told.mend.count, noun())}`).catch((e) => toast(e.message));
};
async function ignore(el, x, ignored) {
  try {
    await api(`/check/${dataset}/ignore`, {key: x.key, ignored});
    if (ignored) {
      undone = () => ignore(el, x, false);
      toast(`Ignored: ${x.title[0].toLowerCase()}${x.title.slice(1)}`, 'Undo', undone);
    }
    await run(el);
  } catch (e) {
    toast(e.message);
  }
}
/* The bundled captioner writes what is missing; here it only shows how far it is. */
async function caption(el, b) {
  let {job} = await api(`/captions/${dataset}/job`, {captioner: 'pocket-blip', trigger_word: told.dataset.trigger_word, place: 'start'});
  while (['starting', 'running'].includes(job.state)) {
    b.textContent = job.total ? `Writing, ${job.done} of ${job.total}` : 'Getting ready';
    await pause(600);
    job = (await api(`/captions/${dataset}/job`)).job;
  }
  if (job.state === 'failed') throw new Error(job.reason || 'The captioner stopped.');
  toast(`The ${textNoun()}s are written. Read them once on the Captions page.`);
  await run(el);
}
