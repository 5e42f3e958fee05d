// The tray: the latest sample large, and a scrubber. Dragging cross-fades neighbouring samples, so the picture develops.
import {h, fill, drag} from './core.js';
import {samplesOf, sampleUrl, count, textOf} from './run.js';

const WIDTH = 744;      // twice the size shown: the server enlarges small pictures better than the browser does

export function makeTray(run) {
  let row = 'p0_s0', pos = null, follow = true, made = '';     // pos: step under the knob; follow: stay on the newest
  const a = h('img.pic', {width: 372, height: 372, alt: ''}), b = h('img.pic.over', {width: 372, height: 372, alt: '', aria: {hidden: 'true'}});
  const none = h('div.pic.none', h('p', 'The first sample comes here.'));
  const scrub = h('div.d-scrub', {role: 'slider', tabIndex: 0, aria: {label: 'Step of the sample shown', valuemin: 0}});
  const words = h('b'), age = h('span.d-num'), dev = h('div.dev', a, b, none);
  const tray = h('div.d-tray', dev, scrub), el = h('div.tray', tray, h('div.cap', words, age));

  const mine = () => samplesOf(run, row);
  const total = () => Math.max(1, run.meta.total || 0, run.status.step || 0, mine().at(-1)?.step || 0);
  const url = (s) => sampleUrl(run, s, WIDTH);
  const text = (s) => textOf(run, s.prompt, s);

  /* The old picture stays until the new one is there: no blank moment. */
  function load(img, address, alt) {
    if (img.dataset.next === address || (img.dataset.u === address && !img.dataset.next)) return;
    img.dataset.next = address;
    if (!img.getAttribute('src')) img.src = address.replace(/\?.*/, '');      // the first look is quick, the fine one follows
    const ahead = new Image();
    ahead.onload = ahead.onerror = () => { if (img.dataset.next !== address) return; img.src = img.dataset.u = address; img.dataset.next = ''; img.alt = alt; if (img === b) show(); };
    ahead.src = address;
  }
  function show() {
    if (!run.meta) return;
    let list = mine();
    if (!list.length && run.samples.size) { row = [...run.samples.values()][0].row; list = mine(); }
    none.hidden = !!list.length; a.hidden = !list.length; scrub.hidden = !list.length;
    if (!list.length) { words.textContent = run.meta.prompts[0] || ''; age.textContent = ''; b.style.opacity = 0; return; }
    if (follow || pos == null) pos = list.at(-1).step;
    const i = Math.max(0, list.findLastIndex((s) => s.step <= pos)), s = list[i], next = list[i + 1];
    const part = next ? (pos - s.step) / (next.step - s.step) : 0;
    load(a, url(s), `${text(s)}, step ${s.step}`);
    if (next && part > 0.02) { load(b, url(next), ''); b.style.opacity = b.dataset.u === url(next) ? part : 0; } else b.style.opacity = 0;
    words.textContent = text(s);
    const sec = run.busy() ? Date.now() / 1000 - s.time : Infinity;
    age.textContent = s.step === 0 ? 'before training' : `step ${count(s.step)}` + (sec < 3600 ? `, ${sec < 90 ? Math.max(0, Math.round(sec)) + ' s' : Math.round(sec / 60) + ' min'} ago` : '');
    draw(list);
  }
  /* The knob moves on every drag; the dots are drawn again only when a sample has come. */
  function draw(list) {
    const pct = (v) => (v / total()) * 100 + '%', sign = row + list.length + ':' + total();
    if (made !== sign) {
      made = sign;
      const thin = Math.ceil(list.length / 5), dots = Math.ceil(list.length / 40);
      fill(scrub, h('div.t'), h('div.p'), list.filter((_, n) => n % dots === 0).map((x) => h('i', {style: {left: pct(x.step)}})), h('b.l'), h('b.k'),
        list.map((x, n) => n % thin === 0 && x.step < total() * 0.9 && h('span', {data: {s: x.step}, style: {left: pct(x.step)}}, count(x.step))),
        h('span', {data: {s: total()}, style: {left: '100%'}}, count(total())), h('span.on.at'));
    }
    const now = run.status.step || run.meta.step || 0, live = run.busy();
    scrub.querySelector('.p').style.width = pct(now);
    const dot = scrub.querySelector('.l'); dot.style.left = pct(now); dot.hidden = !live;
    scrub.querySelector('.k').style.left = pct(pos);
    const at = scrub.querySelector('.at'); at.textContent = count(Math.round(pos)); at.style.left = pct(pos);
    for (const x of scrub.querySelectorAll('span[data-s]')) x.hidden = Math.abs(x.dataset.s - pos) <= total() * 0.1;
    for (const [k, v] of [['valuemax', total()], ['valuenow', Math.round(pos)], ['valuetext', 'step ' + Math.round(pos)]]) scrub.setAttribute('aria-' + k, v);
    tray.classList.toggle('live', live);
  }
  function to(step, snap) {
    const list = mine(); if (!list.length) return;
    step = Math.max(list[0].step, Math.min(list.at(-1).step, step));
    if (snap) step = list.reduce((m, s) => (Math.abs(s.step - step) < Math.abs(m - step) ? s.step : m), list[0].step);
    pos = step; follow = step === list.at(-1).step; show();
  }
  drag(scrub, (f) => { to(f * total(), false); follow = false; }, () => to(pos, true));
  scrub.addEventListener('keydown', (e) => {
    const list = mine(), i = list.findIndex((s) => s.step >= pos);
    const j = {ArrowLeft: i - 1, ArrowDown: i - 1, ArrowRight: i + 1, ArrowUp: i + 1, Home: 0, End: list.length - 1}[e.key];
    if (j == null || !list.length) return;
    e.preventDefault(); to(list[Math.max(0, Math.min(list.length - 1, j))].step, true);
  });
  /* Shows one picture of the wall. */
  function pick(newRow, step) { row = newRow; made = ''; pos = step; follow = step === mine().at(-1)?.step; show(); scrub.focus({preventScroll: true}); }
  return {el, show, pick, at: () => ({row, step: pos})};
}
