// What machines noted about the caption that is shown: how well it fits its picture, and other wordings to choose from.
import {h, fill, api, keys} from './core.js';

const FEW = 180; // ms: going through pictures quickly asks for nothing

export function mountNotes(el, book) {
  let choices = [],
    turn = 0,
    pause;
  const box = document.getElementById.bind(document, 'cap');
  const fit = h('p.d-small.fit', {hidden: true}),
    list = h('div.choices', {role: 'group', aria: {label: 'Other wordings'}, hidden: true});
  fill(el, fit, list);

  function draw(score) {
    const ta = box();
    fit.hidden = !score;
    if (score)
      fill(fit, h('span.d-bar' + (score.value < 0.5 ? '.bad' : ''), {role: 'img', aria: {label: `${score.value.toFixed(2)} of 1`}}, h('i', {style: {width: score.value * 100 + '%'}})),
        h('span', score.meaning[0].toUpperCase() + score.meaning.slice(1), ' ', h('span.d-num', score.value.toFixed(2))), h('span.d-sub', 'says ' + score.scorer));
    list.hidden = choices.length < 2;
    fill(list, h('h3.d-lab', 'Choose a wording'),
      choices.map((text, n) => h('button', {type: 'button', aria: {pressed: String(ta.value.trim() === text)}, onclick: () => choose(n)}, h('kbd.d-key', String(n + 1)), h('span', text))));
  }
  /* A chosen wording is written as if it were typed: saved, counted, in the history. */
  function choose(n) {
    const ta = box();
    if (choices[n] == null) return;
    ta.value = choices[n];
    ta.dispatchEvent(new Event('input', {bubbles: true}));
  }
  function look() {
    const it = book.here(),
      mine = ++turn;
    clearTimeout(pause);
    choices = [];
    draw(null);
    if (!it) return;
    pause = setTimeout(async () => {
      try {
        const now = await api(`/captions/${book.dataset}/pictures/${it.id}/notes`);
        if (mine !== turn) return;
        choices = now.choices;
        draw(now.score);
      } catch {
        /* a picture that was just taken out has no notes */
      }
    }, FEW);
  }
  addEventListener('keydown', (e) => {
    const n = e.altKey && !e.ctrlKey && !e.metaKey && /^Digit[1-5]$/.test(e.code) ? +e.code.at(-1) - 1 : -1;
    if (n >= 0 && choices[n] != null) {
      e.preventDefault();
      choose(n);
    }
  });
  keys('Wordings', [['Alt 1', 'The first wording; to Alt 5']]);
  box().addEventListener('input', () => {
    fit.hidden = true; // the score was of other words
    [...list.querySelectorAll('button')].forEach((b, i) => b.setAttribute('aria-pressed', String(choices[i] === box().value.trim())));
  });
  book.moved.add(look);
  (window.darkroomCaptions ||= {}).noted = look;
}
