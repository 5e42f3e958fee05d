// The captioner: what will happen in one sentence, start, how far it is, stop. Captions appear in the notebook while it writes.
import {h, icon, fill, refill, api, about, href, plural, present, query, say, tellAddress, toast} from './core.js';
import {undo} from './captions_find.js';
import {mountWording} from './captions_wording.js';
import {placesOf} from './rows.js';

const EVERY = 900,
  WHERE = {subject: 'the subject', start: 'first', end: 'last'},
  PLACES = {'As the subject': 'subject', First: 'start', Last: 'end', 'Leave out': 'remove'};
const ACTIVE = ['starting', 'running'];
/* Seconds to load and for each picture. The bundled one as measured on two CPU cores; each job that ran here replaces it. */
const SPEED = {'pocket-blip': [7, 0.12]};
const speed = (captioner) => {
  try {
    return JSON.parse(localStorage['captioner:' + captioner]);
  } catch {
    return SPEED[captioner];
  }
};
const shared = (window.darkroomCaptions ||= {}); // native fields and this module meet here: {captioner, word, place} and the open book
const $ = (id) => document.getElementById(id);
/* The text node of a native button: Gradio keeps it, so only its words are changed. */
const label = (button, text) => {
  const t = button && [...button.childNodes].find((n) => n.nodeType === 3 && n.data.trim());
  if (t && t.data !== text) t.data = text;
};

/* Native field changed (page event, without a server): keep it, show what it does to the captions. Not before the data set's own word came. */
export function chosen(captioner, word, place) {
  if (!shared.filled) return;
  Object.assign(shared, {captioner, word: (word || '').trim(), place: PLACES[place] || 'subject'});
  shared.redraw?.();
}
export const filled = (...fields) => { shared.filled = true; chosen(...fields); };
export const act = (what) => shared[what]?.();

export function mountJob(book) {
  const {dataset} = book;
  let job = null,
    timer,
    wordTimer,
    asked = false,
    unlike = new Set(),
    [turn, changing] = [0, false],
    began = null,
    pressed = performance.now();
  const [line, failed, card] = [h('div.bulk', {hidden: true, role: 'status'}), h('div.lost', {hidden: true}), document.querySelector('.d-card.cpt')];
  (card.after(line, failed), mountWording(card, book));
  const active = () => job && ACTIVE.includes(job.state);

  function wordFault(text) {
    const field = $('f-trigger'),
      input = field?.querySelector('textarea,input');
    if (!field) return;
    let note = field.querySelector('.d-err');
    if (!text) {
      note?.remove();
      for (const a of ['aria-invalid', 'aria-describedby']) input.removeAttribute(a);
      field.classList.remove('err');
      return;
    }
    if (!note) {
      note = h('p.d-err', {id: 'trigger-err', role: 'alert'});
      field.append(note);
    }
    fill(note, icon('alert', 's'), h('span', text));
    field.classList.add('err');
    input.setAttribute('aria-invalid', 'true');
    input.setAttribute('aria-describedby', note.id);
  }
  function bulk() {
    const wrong = active() ? [] : among(),
      n = wrong.length,
      w = shared.word,
      some = book.chosen.size ? ' selected' : '';
    line.hidden = !n;
    if (!n) return;
    const says =
      shared.place === 'remove'
        ? [`“${w}” stands in ${n.toLocaleString('en')}${some} ${n === 1 ? 'caption' : 'captions'}.`, n === 1 ? 'Take it out' : `Take it out of ${n.toLocaleString('en')}`]
        : [
            `“${w}” is not ${WHERE[shared.place]} in ${n.toLocaleString('en')}${some} ${n === 1 ? 'caption' : 'captions'}.`,
            `${shared.place === 'subject' ? 'Make it the subject' : 'Put it ' + WHERE[shared.place]} in ${n === 1 ? 'it' : 'all ' + n.toLocaleString('en')}`,
          ];
    refill(
      line,
      h('span.d-small', says[0]),
      h(
        'button.d-btn.sm',
        {
          type: 'button',
          data: {again: 'bulk ' + shared.place},
          disabled: changing,
          onclick: async (e) => {
            e.target.disabled = changing = true; // also one that is drawn meanwhile
            try {
              await book.flush();
              const {token} = await api(`/captions/${dataset}/word`, {word: w, place: shared.place, among: book.among});
              await book.pull();
              nameLater(0);
              for (const f of book.acted) f();
              toast(`Changed ${plural(n, 'caption')}`, 'Undo', () => undo(book, token));
            } catch (error) {
              error.field === 'trigger_word' ? wordFault(error.message) : toast(error.message);
            }
            changing = false;
            bulk();
          },
        },
        says[1],
      ),
      h('button.d-btn.sm.quiet', {type: 'button', onclick: () => book.show(wrong)}, 'Show'),
    );
  }
  function draw() {
    const {captioner: own, guessed} = book.numbers;
    const go = $('cap-go'),
      stop = $('cap-stop'),
      next = $('cap-next'),
      name = shared.name || document.querySelector('#captioner input')?.value.split(',')[0] || 'The captioner',
      n = book.missing,
      total = book.numbers.wanted;
    for (const [b, on] of [
      [go, !active() && (n || own)],
      [stop, active()],
      [next, !active() && !n],
    ])
      b?.classList.toggle('d-gone', !on);
    const bar = document.querySelector('#dock-say .ring');
    if (bar && !active()) fill(bar);
    bar?.classList.toggle('d-gone', !active());
    if (active()) {
      const left = job.seconds_left == null ? '' : ` ${about(job.seconds_left)[0].toUpperCase()}${about(job.seconds_left).slice(1)} left.`;
      const scoring = job.task === 'score', words = job.state === 'running' ? `${job.done.toLocaleString('en')} of ${job.total.toLocaleString('en')}.` : job.phase ? `${job.phase}.` : 'the captioner is loading.';
      say(
        `${scoring ? 'Looking whether captions fit' : 'Writing captions'}, ${words}`,
        `${left} ${scoring ? 'Nothing is written.' : 'You can edit while it writes; your words are never overwritten.'}`,
        job.total ? job.done / job.total : 0,
      );
    } else if (job?.state === 'failed' && asked) say('The captioner stopped.', job.reason || 'It gave no reason.');
    else if (n)
      say(
        `${n === total ? plural(n, 'picture') + (n === 1 ? ' has' : ' have') + ' no caption yet.' : `${(total - n).toLocaleString('en')} of ${total.toLocaleString('en')} have a caption.`}`,
        `${name} writes ${n === 1 ? 'it' : n === total ? 'them all' : 'the other ' + n.toLocaleString('en')}${time(n)}. You can change every word.`,
      );
    else if (guessed) say(`${plural(guessed, 'caption')} ${guessed === 1 ? 'is a guess' : 'are guesses'}.`, 'Pocket BLIP learnt from drawings, and these look like photographs. Choose BLIP base above and write them anew, or write them yourself.');
    else say('Every picture has a caption.', 'Read them once: say what is in the picture, not what makes it special.');
    if (go) {
      go.classList.toggle('primary', !!n);
      go.classList.toggle('secondary', !n);
      label(go, n ? `Caption ${plural(n, 'picture')}` : `Write ${own === total ? 'all' : own.toLocaleString('en')} anew`);
      go.title = n ? '' : 'Only what the captioner wrote; your words stay.';
    }
    lost();
    bulk();
  }
  const time = (n) => {
    const s = speed(shared.captioner || 'pocket-blip');
    return s ? `, ${about(s[0] + n * s[1])}` : '';
  };
  /* What this job took, for the sentence before the next one. */
  function learn() {
    const s =
      job.task !== 'score' && job.state === 'running' && job.done && began
        ? [began.load, (performance.now() - began.at) / 1000 / Math.max(1, job.done - began.done)]
        : null;
    if (s && job.done - began.done > 2)
      try {
        localStorage['captioner:' + job.captioner] = JSON.stringify(s.map((x) => Math.round(x * 100) / 100));
      } catch {
        /* private window */
      }
    if (job.state === 'running' && job.done && !began)
      began = {at: performance.now(), done: job.done, load: (performance.now() - pressed) / 1000 || 1};
    if (!active()) began = null;
  }
  function lost() {
    const bad = (!active() && job?.failed) || [];
    failed.hidden = !bad.length;
    if (bad.length)
      fill(
        failed,
        h(
          'p.d-small',
          h('b.d-strong', `${plural(bad.length, 'picture')} could not be captioned.`),
          ' ',
          [...new Set(bad.map((b) => b.reason || b.error || b.text))].slice(0, 3).join(' '),
        ),
      );
  }
  async function tick() {
    clearTimeout(timer);
    try {
      const before = job?.done;
      job = await book.pull(true);
      if (!active()) (shared.scored?.(), shared.noted?.());
      learn();
      if (job?.done !== before || !active()) draw();
    } catch {
      say('Darkroom does not answer.', 'It goes on as soon as the server is back.');
    }
    if (active()) timer = setTimeout(tick, document.visibilityState === 'visible' ? EVERY : EVERY * 4);
  }
  async function start() {
    if (active()) return;
    wordFault('');
    asked = true;
    pressed = performance.now();
    began = null;
    const go = $('cap-go'),
      again = !book.missing;
    go.disabled = true;
    try {
      await book.flush();
      await named();
      const r = await api(`/captions/${dataset}/job`, {
        captioner: shared.captioner || 'pocket-blip',
        trigger_word: shared.word || '',
        place: shared.place || 'subject',
        again,
        wording: shared.wording?.() || {},
      });
      job = r.job;
      draw();
      tick();
    } catch (e) {
      e.field === 'trigger_word'
        ? (wordFault(e.message), $('f-trigger').querySelector('textarea,input').focus())
        : shared.wordingFault?.(e.field, e.message) || say('It cannot start.', e.message);
    }
    go.disabled = false;
  }
  async function stop() {
    try {
      job = (await api(`/captions/${dataset}/job`, undefined, 'DELETE')).job;
      draw();
      tick();
    } catch (e) {
      toast(e.message);
    }
  }
  /* Tells the server the word as it stands in the field (at once before a start, else a moment after the last key). */
  async function named() {
    const mine = ++turn,
      r = await api(`/captions/${dataset}/word`, {word: shared.word || '', place: shared.place || 'subject'}, 'PUT');
    if (mine !== turn) return;
    book.word = r.trigger_word;
    book.named(book.word);
    unlike = new Set(placesOf(r.unlike));
    wordFault('');
    bulk();
  }
  const nameLater = (ms) => {
    clearTimeout(wordTimer);
    wordTimer = setTimeout(() => named().catch((e) => wordFault(e.field === 'trigger_word' ? e.message : '')), ms);
  };
  Object.assign(shared, {
    start,
    stop,
    follow: (now) => ((job = now), (asked = true), draw(), tick()),
    next: () => (location.href = href('check')),
    redraw: () => {
      shared.wordingDraw?.();
      shared.name = document.querySelector('#captioner input')?.value.split(',')[0] || shared.captioner;
      if (shared.word !== undefined) nameLater(book.many ? 2500 : 450);
      draw();
      begin();
    },
  });
  /* The Dataset page's “Caption 12 pictures” leads here: begin once the data set and the native fields are there. */
  let pulled = false,
    wanted = query.get('begin') === '1';
  function begin() {
    if (!wanted || !pulled || shared.word === undefined) return;
    wanted = false;
    query.delete('begin');
    tellAddress();
    if (book.missing === book.numbers.wanted && !active()) start();
  }
  const among = () => (book.chosen.size ? [...book.chosen].filter((place) => unlike.has(place)) : [...unlike]).sort((a, b) => a - b);
  /* One caption says itself whether its word is in place; of many the server is asked. */
  book.changed.add((some) => {
    if (!some && shared.word && !active()) nameLater(700);
    for (const it of some || []) it.off ? unlike.add(it.place) : unlike.delete(it.place);
    draw();
  });
  book.selected.add(() => bulk());
  book.pull().then(
    (j) => {
      job = j;
      pulled = true;
      if (shared.word && !active()) nameLater(book.many ? 2500 : 0);
      draw();
      if (active()) tick();
      begin();
    },
    () => draw(),
  );
  present('cap-go', 'cap-stop', 'cap-next').then(draw);
}
