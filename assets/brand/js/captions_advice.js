// Advice: the style that the base model reads best, what nearly all captions share, whether the base model knows the trigger word.
import {h, icon, fill, api, href, plural, toast} from './core.js';
import {placesOf} from './rows.js';

const exactly = (phrase) => `(?<![\\p{L}\\p{N}])${phrase.split(' ').map((w) => w.replace(/[^\p{L}\p{N}]/gu, '\\$&')).join('[^\\p{L}\\p{N},;.:!?]+')}(?![\\p{L}\\p{N}])`;

export function mountAdvice(el, book) {
  const box = h('div.adv');
  el.append(box);
  let waiting, asked = 0, turn = 0;

  async function read() {
    const mine = ++turn;
    try { const advice = await api(`/captions/${book.dataset}/advice`); if (mine === turn) draw(advice); } catch { if (mine === turn) fill(box); }
  }
  function draw(advice) {
    fill(box, h('h3.d-lab', 'Advice'), h('p.d-small.d-sub', advice.sentence), advice.clash && h('p.d-small.wr', icon('alert', 's'), h('span', advice.clash)),
      advice.shared.map((s) => h('div.sh', h('p.d-small', '“', h('b.d-strong', s.phrase), `” stands in ${s.count.toLocaleString('en')} of ${advice.written.toLocaleString('en')}: it may become part of your subject.`),
        h('div.d-row', h('button.d-btn.sm', {type: 'button', aria: {label: `Show where “${s.phrase}” stands`}, onclick: () => show(s.phrase)}, 'Show them'),
          h('button.d-btn.sm', {type: 'button', aria: {label: `Take “${s.phrase}” out`}, onclick: () => book.find({find: s.phrase, remove: true})}, 'Take out')))));
  }
  async function show(phrase) {
    const mine = ++asked;
    try {
      const {places} = await api(`/captions/${book.dataset}/search`, {text: exactly(phrase), expression: true});
      if (mine === asked) book.show(placesOf(places));                  // else another one was asked for meanwhile
    } catch (e) { toast(e.message); }
  }
  const later = () => { clearTimeout(waiting); waiting = setTimeout(read, 900); };
  book.changed.add((some) => (!some || !book.many) && later());              // of many only after many changed
  book.afterwards(read);
}

/* What the base model's tokenizer says of the trigger word, and a look at what it draws: a warning stands under the word's field,
   all else with the advice. -> told(word) */
export function mountKnown(field, calm, book) {
  const box = h('div.kn', {hidden: true, role: 'status'});
  let asked = '', known = null, drawing = null;

  async function told(word) {
    if (word === asked) return;
    asked = word;
    known = drawing = null;
    if (word) try {
      const found = await api(`/captions/${book.dataset}/known?word=${encodeURIComponent(word)}`);
      if (asked === word) known = found;
    } catch { /* the field says what is wrong with the word */ }
    draw();
  }
  function draw() {
    box.hidden = !known?.sentence;
    if (box.hidden) return;
    box.classList.toggle('wr', known.warns);
    if (known.warns) field.after(box);
    else calm.append(box);
    const word = asked, look = known.drawable && !drawing && h('button.d-btn.sm.quiet', {type: 'button', onclick: () => sample(word)}, icon('pic', 's'), ' See what it draws');
    fill(box, known.warns && icon('alert', 's'), h('span.d-small', known.sentence), look, drawing && h('span.d-row.dr', drawing.picture
      ? h('a', {href: href('generate', {run: null})}, h('img', {src: `/media/output/${drawing.picture}.png?w=240`, alt: `What ${known.base_name} draws for “${word}”`, width: 96, height: 96}))
      : h('span.d-small.d-sub', {}, drawing.says)));
  }
  /* One picture by the base model alone; it is kept on the Generate page too. */
  async function sample(word) {
    const mine = (drawing = {says: `${known.base_name} draws “${word}”. The first picture takes longest.`});
    draw();
    try {
      let job = await api('/generate', {values: {prompt: `a photo of ${word}`, base_model: known.base, seed: 1}});
      while (job.state === 'running') {
        await new Promise((done) => setTimeout(done, 500));
        job = await api(`/generate/jobs/${job.id}`);
        if (job.seconds_left != null) mine.says = `${job.done} of ${plural(job.total, 'step')}, about ${Math.max(1, Math.round(job.seconds_left))} s left.`;
        if (drawing === mine) draw();
      }
      const done = job.pictures.find((p) => p.ready);
      if (done) mine.picture = done.id;
      else mine.says = job.reason || 'Nothing was drawn.';
    } catch (error) { mine.says = error.message; }
    if (drawing === mine) draw();
  }
  return told;
}
