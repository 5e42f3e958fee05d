// Home: recent work as large cards, or the two ways to begin.
import {h, icon, fill, refill, api, ready, href, base, toast, plural, about, note} from './core.js';
import {createQueue, createDataset, pickers, dropAnywhere, keepRefused} from './upload.js';
import {makeJobs, follow, figures} from './datajobs.js';
import {arrangeRows, openTrash, putAway, restore} from './arrange.js';
import {moreMenu} from './dataset_parts.js';
import {refresh} from './rail.js';

const SAMPLES = [1, 2, 3, 4, 5, 6].map((n) => `img/zog_0${n}.webp`);
/* Samples of a real run of the small model that comes with Darkroom; img/README.md says how they were made. */
const DEVELOPED = [['000', 'base model', 'Before training: the base model does not know Zog'], ['020', 'step 20', 'After 20 steps: a green shape'], ['040', 'step 40', 'After 40 steps: a body with one eye'],
  ['100', 'step 100', 'After 100 steps: Zog with feet and a belly'], ['300', 'step 300', 'After 300 steps: Zog with his antennae']].map(([step, text, alt]) => ({img: `img/developed_${step}.webp`, text, alt}));
const link = (work, page) => href(page, {dataset: work.id, run: work.run});

export async function mount(el) {
  const cover = h('div.d-cover', {hidden: true}, h('div', icon('pic', 'l'), h('b', 'Drop to begin a data set'), h('span', 'Pictures, folders or a ZIP')));
  const page = h('div'), lost = h('div', {hidden: true, style: {'margin-bottom': '24px'}}, note('', 'Reconnecting.', 'Darkroom does not answer. Below stands how things were last.'));
  let id = null, making = null, shown = '', turn = 0, timer, drawProgress = () => {};
  const queue = createQueue({
    dataset: (name, files) => id || (making ??= createDataset(name, '', files).then((made) => (id = made.id)).finally(() => { making = null; })),        // what is dropped meanwhile comes into the same
    outcome() {}, change: (q) => drawProgress(q), job: (job, first) => first && jobs.track(job),
    done(q) {
      if (!id) { toast(q.refused[0]?.reason || 'Nothing was taken.'); return; }
      if (q.refused.length) keepRefused(id, q.refused);
      location.href = href('dataset', {dataset: id, run: null});
    },
  });
  const jobs = makeJobs({done: () => changed()});
  const pick = pickers(queue.add);
  dropAnywhere(queue.add, (over) => { cover.hidden = !over; });
  fill(el, pick.files, pick.folder, lost, page, cover);

  async function load() {
    clearTimeout(timer);
    const mine = ++turn;
    let data;
    try { data = await api('/home'); } catch (error) {
      if (mine !== turn) return;
      if (shown) { lost.hidden = false; ready(el, 'away'); return later(); }            // what is shown stays
      fill(page, note('bad', 'Home cannot be shown.', error.message, h('button.d-btn.sm', {type: 'button', onclick: load}, 'Try again')));
      ready(el, 'failed');
      return;
    }
    if (mine !== turn) return;                                          // asked again meanwhile: that answer is newer
    lost.hidden = true;
    const now = JSON.stringify(data), open = page.querySelector('.d-actions');
    if (now !== shown && !open) { shown = now; if (data.works.length) recent(data); else first(data); }
    ready(el);
    if (open || data.works.some((w) => w.live)) later();                // an open menu is not drawn over
  }
  function later() {
    const again = () => el.isConnected && load();
    timer = setTimeout(() => (document.visibilityState === 'visible' ? again() : document.addEventListener('visibilitychange', again, {once: true})), 4000);
  }

  /* First visit ------------------------------------------------------------ */
  async function startSample(button, name, page) {
    const words = button.textContent;
    button.disabled = true;
    fill(button, 'Making the data set');
    try {
      const made = await api('/home/sample', {name});
      const job = await follow(made.job, (now) => { const far = figures(now); fill(button, far ? 'Making it: ' + far : 'Making the data set'); });
      if (job.state !== 'done') throw new Error(job.sentence);
      location.href = href(page, {dataset: made.id, run: null});
    } catch (error) { button.disabled = false; fill(button, words); toast(error.message); }
  }
  function first(data) {
    const zone = h('div.d-dropzone.two2'), recipes = data.machine.recipes.filter((r) => r.fits);
    const quickest = recipes[0];
    const rest = () => fill(zone, h('div', h('span.ic', icon('pic', 'l')), h('h2.d-h2', 'Drop your own'), h('p.d-sub', 'Pictures, a folder or a ZIP.', h('br'), 'They stay on this machine.'),
      h('div.d-row.cf', h('button.d-btn.big', {type: 'button', onclick: pick.chooseFiles}, 'Choose files'), h('button.d-btn.big.quiet', {type: 'button', onclick: pick.chooseFolder}, 'Choose a folder'))));
    rest();
    zone.addEventListener('click', (e) => e.target.closest('button') || queue.busy || pick.chooseFiles());
    drawProgress = (q) => {
      if (!q.busy) return;
      const left = q.secondsLeft(), part = q.bytes ? q.sent / q.bytes : 0;
      fill(zone, h('div.up', {role: 'status'}, h('h2.d-h2', `${q.settled} of ${plural(q.total, 'file')} in`), h('p.d-sub', `${q.percent()} %, ` + (left > 2 ? `${about(left)} left` : 'nearly done')),
        h('div.d-bar', {role: 'progressbar', aria: {label: 'Files in', valuemin: 0, valuemax: 100, valuenow: Math.round(part * 100)}}, h('i', {style: {width: part * 100 + '%'}})),
        h('button.d-btn.sm', {type: 'button', title: 'What came in stays', onpointerdown: q.stop, onclick: q.stop}, 'Stop')));
    };
    const start = h('button.d-btn.pri', {type: 'button', id: 'start-sample', onclick: () => startSample(start, 'zog', 'train')}, 'Start with Zog');
    const edits = data.pairs.map((p) => { const button = h('button.d-btn.big.quiet', {type: 'button', onclick: () => startSample(button, p.key, 'dataset')}, `Or teach an edit: ${p.count} pairs`); return button; });
    fill(page, h('div.p-home-first-visit', h('div.fv',
      h('div.rowp', {role: 'group', aria: {label: 'A picture developing while the model learns'}}, DEVELOPED.map((d, n) =>
        h('figure', {style: {'--n': n}}, h('img', {src: base + d.img, alt: d.alt, width: 165, height: 165}), h('figcaption', d.text)))),
      h('h1', 'Develop your first model'), h('p.ld', 'Show it 10 to 30 pictures of one thing. In a few minutes it can draw that thing anywhere.'),
      h('div.two', h('section.d-card.one', h('div.mini', SAMPLES.map((name) => h('img', {src: base + name, alt: '', width: 60, height: 60}))),
        h('h2.d-h2', 'Try it with the sample pictures'), h('p.d-sub', `Zog the mascot: 12 drawings with captions. Ready to train${quickest ? `: ${quickest.text} here` : ''}.`), h('div.d-row.wrap', start, edits)), zone),
      jobs.el, trashLink(data), h('p.hwl', icon('chip', 's'), h('span', h('b', recipes.length ? 'This machine can train. ' : 'This machine. '), data.machine.sentence)))));
  }

  /* Recent work ------------------------------------------------------------ */
  function recent(data) {
    const live = data.works.filter((w) => w.live).length, you = data.works.filter((w) => !w.live && w.state.kind).length;
    const hero = data.works.find((w) => w.run && w.strip.length), cards = data.works.filter((w) => w !== hero);
    const sentence = [live ? (live === 1 ? 'One model is in the tray.' : `${live} models are in the tray.`) : '', you ? (you === 1 ? 'One thing waits for you.' : `${you} things wait for you.`) : ''].filter(Boolean).join(' ') || 'Go on where you left off.';
    refill(page, h('header.d-head', h('div', h('h1', 'Recent work'), h('p', {role: 'status'}, sentence)),
      h('div.d-tools', trashLink(data), h('a.d-btn', {href: href('dataset', {dataset: null, run: null})}, icon('plus', 's'), 'New data set'))),
    jobs.el, hero && heroOf(hero),
    cards.length > 0 && h('section' + (hero ? '.d-sec' : ''), {aria: {label: 'Recent work'}}, h('div.wks', cards.map(card))),
    data.more > 0 && h('p.d-sub.d-sec', `and ${data.more} more; the switcher at the top left lists all data sets.`),
    machine(data.machine));
  }
  const state = (w) => h('span.d-state' + (w.state.kind ? '.' + w.state.kind : ''), w.state.text);
  function heroOf(w) {
    const part = w.max_steps ? (w.step / w.max_steps) * 100 : 0, newest = w.strip.at(-1), end = w.strip.length - 1;
    const middle = (n) => end > 3 && ![0, Math.round(end / 3), Math.round((2 * end) / 3), end].includes(n);      // four of them fit on a phone
    return h('section.hero', {aria: {label: w.live ? 'Training now' : 'Newest model'}},
      h('a.pc', {href: link(w, w.next.page), aria: {label: `${w.next.text}: ${w.name}`}}, h('img', {src: w.sample, alt: `Latest sample: ${w.prompt}, step ${newest.step}`, width: 328, height: 328})),
      h('div.tx', h('div.d-row', state(w), w.live && w.left && h('span.d-small.d-sub.d-push', `about ${w.left} left`)),
        h('h2', {style: {'margin-top': '12px'}}, w.name), h('p.d-sub', w.facts + '. ' + w.sentence),
        w.live && [h('div.d-bar', {style: {'margin-top': '18px'}, role: 'progressbar', aria: {label: `Step ${w.step} of ${w.max_steps}`, valuenow: Math.round(part), valuemin: 0, valuemax: 100}}, h('i', {style: {width: part + '%'}})),
          h('div.d-row', {style: {'margin-top': '8px'}}, h('span.d-num.d-sub', `step ${w.step} of ${w.max_steps}`))],
        h('div.dev', w.strip.map((s, n) => h('div' + (middle(n) ? '.m' : ''), h('img', {src: s.img, alt: `Sample at step ${s.step}`, width: 96, height: 96}), h('span', s.step ? String(s.step) : 'base')))),
        h('div.d-row', {style: {'margin-top': '20px'}}, h('a.d-btn.pri', {href: link(w, w.next.page)}, w.next.text), w.id && h('a.d-btn.big.quiet', {href: href('dataset', {dataset: w.id, run: null})}, 'Open data set'), menuOf(w))));
  }
  /* What one does with the data set as a whole. */
  function changed() { load(); refresh(); }
  function menuOf(w) {
    return w.data && moreMenu(() => arrangeRows(w.data, {all: () => api('/arrange'), started: (job) => jobs.track(job), changed, gone: async (ds) => { if (await putAway(ds, changed)) changed(); }}), `More for ${w.name}`);
  }
  const trashLink = (data) => data.trash > 0 && h('button.d-btn.quiet', {type: 'button', id: 'trash', onclick: () => openTrash(changed)}, icon('trash', 's'), `Trash (${data.trash})`);
  function card(w) {
    const pictures = [w.sample?.replace('w=768', 'w=384'), ...w.pictures].filter(Boolean).slice(0, 3);
    const img = (src) => (src ? h('img', {src, alt: '', loading: 'lazy', decoding: 'async', width: 180, height: 180}) : h('div.none'));
    return h('article.wk', h('a.pc', {href: link(w, w.next.page), tabIndex: -1, aria: {hidden: 'true'}}, img(pictures[0]), h('span.st', img(pictures[1]), img(pictures[2]))),
      h('div.tx', h('div.d-row.tt', h('h3', h('a', {href: link(w, w.next.page)}, w.name)), menuOf(w)), h('p.d-sub.d-small', w.facts),
        h('div.ft', state(w), h('a.go', {href: link(w, w.next.page), aria: {label: `${w.next.text}: ${w.name}`}}, w.next.text, ' ', icon('arrow', 's')))));
  }
  function machine(m) {
    return h('section.mc', {aria: {label: 'This machine'}}, h('div', h('h2.d-h2', m.can ? `This machine can train ${m.can}` : 'This machine'), h('p.d-small.d-sub', `${m.sentence} ${m.disk_gb} GB of free disk.`)),
      h('ul', m.recipes.map((r) => h('li', h('b', r.base), h('span', r.text)))));
  }
  await load();
  await jobs.load();
  const gone = sessionStorage.trashed && JSON.parse(sessionStorage.trashed);
  delete sessionStorage.trashed;
  if (gone) toast(`“${gone.name}” is in the trash for 30 days`, 'Undo', () => restore(gone, changed), 12);
}
