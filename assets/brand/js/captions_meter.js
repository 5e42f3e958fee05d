// How many tokens the caption has of those that the base model reads: counted by the server, a moment after the last key.
import {h, api} from './core.js';

/* -> {el(beside), show(number), countLater()} */
export function makeMeter({dataset, limit, exact, text}) {
  const bar = h('i'), tok = h('span.d-num.d-sub', {id: 'cap-tok'});
  const meter = h('div.d-bar.ink', {style: {height: '3px'}, role: 'meter', aria: {label: 'Tokens used', valuemin: 0, valuemax: limit, valuenow: 0}}, bar);
  let pause;

  function show(n) {
    const over = n > limit, roughly = exact ? '' : 'about ';
    bar.style.width = Math.min(1, n / limit) * 100 + '%';
    meter.classList.toggle('bad', over);
    meter.classList.toggle('ink', !over);
    meter.setAttribute('aria-valuenow', Math.min(n, limit));
    tok.textContent = roughly + (over ? `${n} of ${limit} tokens; the last ${n - limit} are cut off` : `${n} of ${limit} tokens`);
    tok.classList.toggle('over', over);
  }
  function countLater() {
    clearTimeout(pause);
    const asked = text();
    pause = setTimeout(async () => {
      try {
        const r = await api(`/captions/${dataset}/tokens?text=${encodeURIComponent(asked)}`, {});
        if (text() === asked) show(r.tokens);
      } catch { /* the count comes with the saved caption */ }
    }, 160);
  }
  const el = (beside) => h('div.tok', meter, h('div.d-row', {style: {'margin-top': '6px'}}, tok, beside));
  return {el, show, countLater};
}
