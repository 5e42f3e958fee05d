// How captions are worded (how words are looked for, how many candidates, how long, what stands around them), and how well they fit.
import {h, icon, fill, api, plural, toast} from './core.js';

const shared = (window.darkroomCaptions ||= {});
const FIELDS = {num_beams: 1, top_p: 0.9, candidates: 1, max_new_tokens: 40, prefix: '', suffix: '', threshold: 0.35, ask: ''};
const KEPT = 'wording';

function read() {
  try {
    return {search: 'beam', ...FIELDS, ...JSON.parse(localStorage[KEPT])};
  } catch {
    return {search: 'beam', ...FIELDS};
  }
}

export function mountWording(after, book) {
  const {dataset} = book,
    now = read(),
    fields = {};
  let models = {captioners: [], scorers: []},
    fit = {scored: 0, doubtful: 0, worst: []},
    open = '';

  /* What is sent: only what this captioner has a use for. */
  shared.wording = () => {
    const {ask, threshold, ...rest} = now;
    return {...rest, ...(tags() ? {threshold} : {}), ...(asks() && ask ? {ask} : {})};
  };
  const named = () => (shared.captioner || 'pocket-blip').toLowerCase();
  const tags = () => /wd-|wd14|tagger/.test(named()),
    asks = () => /qwen/.test(named());

  function keep() {
    try {
      localStorage[KEPT] = JSON.stringify(now);
    } catch {
      /* private window */
    }
    draw();
  }
  function number(name, title, hint, min, max, step = 1) {
    const input = h('input.d-in.mono', {type: 'number', id: 'w-' + name, min, max, step, value: now[name], inputMode: 'decimal'});
    input.addEventListener('input', () => {
      fault(name, '');
      if (input.value !== '') now[name] = +input.value;
      keep();
    });
    return field(name, title, hint, input);
  }
  function text(name, title, hint) {
    const input = h('input.d-in', {type: 'text', id: 'w-' + name, maxLength: 200, autocomplete: 'off', value: now[name]});
    input.addEventListener('input', () => {
      fault(name, '');
      now[name] = input.value;
      keep();
    });
    return field(name, title, hint, input);
  }
  const field = (name, title, hint, input) =>
    (fields[name] = h('div.d-field', h('label.d-lab', {htmlFor: 'w-' + name}, title), h('span.d-sub', {id: 'w-' + name + '-say'}, hint), input));
  /* A value that the server refused, told at its own field. True when there is one. */
  function fault(name, words) {
    const el = fields[name];
    if (!el) return false;
    el.querySelector('.d-err')?.remove();
    el.classList.toggle('err', !!words);
    const input = el.querySelector('input');
    words ? input?.setAttribute('aria-invalid', 'true') : input?.removeAttribute('aria-invalid');
    if (words) {
      el.append(h('p.d-err', {role: 'alert'}, icon('alert', 's'), h('span', words)));
      show('words');
      input?.focus();
    }
    return true;
  }
  shared.wordingFault = (name, words) => fault(name, words);

  const seg = h('div.d-seg', {role: 'group', aria: {label: 'How words are looked for'}});
  const ways = [['beam', 'Likeliest words'], ['nucleus', 'Drawn words']].map(([value, words]) => {
    const b = h('button', {type: 'button', onclick: () => { now.search = value; keep(); }}, words);
    b.value = value;
    return b;
  });
  seg.append(...ways);
  const way = h('div.d-field', h('b', 'Looks for'), h('span.d-sub', 'the same words each time, or others'), seg);
  const words = h('div.wd', {id: 'wording-panel', hidden: true}, way,
    number('num_beams', 'Beams', '1 to 10; more is better and slower', 1, 10),
    number('top_p', 'Drawn among', 'the likeliest, 0.05 to 1', 0.05, 1, 0.05),
    number('candidates', 'Candidates', '1 to 5, to choose from', 1, 5),
    number('max_new_tokens', 'Longest', '5 to 500 tokens, 4 for 3 words', 5, 500),
    number('threshold', 'Tags from', 'this probability on, 0.05 to 0.95', 0.05, 0.95, 0.05),
    text('prefix', 'Before each', 'such as “a photo of”'),
    text('suffix', 'After each', 'such as “, film grain”'),
    text('ask', 'Ask it', 'a question of your own, in place of ours'),
  );
  const scorer = h('select.d-sel', {id: 'scorer', aria: {describedby: 'scorer-say'}}),
    sentence = h('p.d-small.d-sub', {id: 'scorer-say'}),
    go = h('button.d-btn', {type: 'button', onclick: score}, 'Score the captions'),
    look = h('button.d-btn.quiet', {type: 'button', onclick: showWorst});
  scorer.addEventListener('change', draw);
  const fits = h('div.fitp', {id: 'fit-panel', hidden: true},
    h('div.d-field', h('label.d-lab', {htmlFor: 'scorer'}, 'Who tells'), scorer), sentence, h('div.d-row', go, look));
  const tab = (name, panel) => h('button.d-btn.sm.quiet', {type: 'button', aria: {expanded: 'false', controls: panel}, onclick: () => show(open === name ? '' : name)});
  const wordsTab = tab('words', 'wording-panel'),
    fitTab = tab('fit', 'fit-panel');
  after.after(h('section.mach', {aria: {label: 'Wording and fit'}}, h('div.d-row.wrap', wordsTab, fitTab), words, fits));

  function show(name) {
    open = name;
    words.hidden = name !== 'words';
    fits.hidden = name !== 'fit';
    wordsTab.setAttribute('aria-expanded', String(name === 'words'));
    fitTab.setAttribute('aria-expanded', String(name === 'fit'));
    if (name === 'fit') refresh();
  }
  function summary() {
    if (tags()) return `tags from ${now.threshold} on`;
    const how = now.search === 'nucleus' ? 'drawn' : now.num_beams > 1 ? `${now.num_beams} beams` : 'likeliest';
    return [how, now.candidates > 1 && plural(now.candidates, 'candidate'), `up to ${now.max_new_tokens} tokens`].filter(Boolean).join(', ');
  }
  function draw() {
    const tag = tags();
    for (const b of ways) b.setAttribute('aria-pressed', String(b.value === now.search));
    const hide = {num_beams: tag || now.search !== 'beam', top_p: tag || now.search !== 'nucleus', candidates: tag, threshold: !tag, ask: !asks()};
    for (const [name, gone] of Object.entries(hide)) fields[name].classList.toggle('d-gone', gone);
    way.classList.toggle('d-gone', tag);
    fill(wordsTab, icon('sliders', 's'), h('span', 'Wording'), h('span.d-sub', summary()));
    fill(fitTab, icon(fit.doubtful ? 'alert' : fit.scored ? 'check' : 'find', 's'), h('span', 'Do they fit?'),
      h('span.d-sub', fit.scored ? (fit.doubtful ? `${fit.doubtful.toLocaleString('en')} doubtful` : `all ${fit.scored.toLocaleString('en')} do`) : 'not looked at yet'));
    const some = models.scorers.find((m) => m.key === scorer.value);
    sentence.textContent = some ? `${some.sentence} 1 fits fully, below ${fit.limit} is doubtful.` : '';
    look.classList.toggle('d-gone', !fit.doubtful);
    look.textContent = fit.doubtful === 1 ? 'Show the one that is doubtful' : `Show ${fit.doubtful > fit.worst.length ? `the ${fit.worst.length} worst` : `the ${fit.doubtful.toLocaleString('en')} doubtful`}`;
  }
  async function refresh() {
    try {
      fit = await api(`/captions/${dataset}/fit`);
    } catch {
      return; // the page says elsewhere that the server does not answer
    }
    if (!models.scorers.length) fill(scorer, fit.scorers.map((m) => h('option', {value: m.key}, m.label)));
    models = fit;
    draw();
  }
  async function score() {
    go.disabled = true;
    try {
      await book.flush();
      const {job} = await api(`/captions/${dataset}/score`, {scorer: scorer.value});
      shared.follow?.(job);
    } catch (error) {
      if (/has its score/.test(error.message)) toast(error.message, 'Score all anew', again);
      else toast(error.message);
    }
    go.disabled = false;
  }
  async function again() {
    try {
      shared.follow?.((await api(`/captions/${dataset}/score`, {scorer: scorer.value, again: true})).job);
    } catch (error) {
      toast(error.message);
    }
  }
  function showWorst() {
    const at = fit.worst.map((w) => (book.places ? book.places.get(w.id) : w.place)).filter((i) => i != null);
    book.show([...at].sort((a, b) => a - b));
  }
  shared.scored = refresh;
  shared.wordingDraw = draw;
  refresh();
  draw();
}
