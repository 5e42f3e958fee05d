// Check: the map on which pictures that look alike lie near each other, on a canvas, fetched when it comes into view.
import {h, fill, api, href} from './core.js';
import {frame} from './check_more.js';

const WORTH = 4; // fewer pictures need no map

export function makeMap(dataset, noun, total) {
  const words = h('p.d-small.d-sub', {role: 'status'}, 'Laying them out.'),
    canvas = h('canvas', {tabIndex: 0, role: 'img', aria: {label: `Map of the ${noun}s`}}),
    tip = h('span.tip.d-num', {hidden: true}),
    box = h('div.vm', canvas, tip),
    el = h('section.d-sec.dm', h('div.d-row.wrap', h('h2.d-h2', 'How varied they are'), words), box);
  if (total < WORTH) return null;
  let told = null,
    order = [],
    at = -1;
  const images = new Map();

  const middle = (id) => {
    const [x, y] = told.places[id];
    return [x * canvas.width, y * canvas.height];
  };
  function place(id) {
    const [x, y] = middle(id),
      side = told.side * canvas.width * 0.96;
    return [x - side / 2, y - side / 2, side];
  }
  /* The picture's middle square, as thumbnails everywhere are cut. */
  function paint(g, id) {
    const [x, y, side] = place(id),
      img = images.get(id);
    if (!img?.complete || !img.naturalWidth) {
      g.fillStyle = getComputedStyle(box).getPropertyValue('--d-line');
      g.fillRect(x, y, side, side);
      return;
    }
    const cut = Math.min(img.naturalWidth, img.naturalHeight);
    g.drawImage(img, (img.naturalWidth - cut) / 2, (img.naturalHeight - cut) / 2, cut, cut, x, y, side, side);
  }
  let due = 0;
  const draw = () => (due ||= requestAnimationFrame(now));
  function now() {
    due = 0;
    if (!told) return;
    const g = canvas.getContext('2d');
    g.clearRect(0, 0, canvas.width, canvas.height);
    for (const id of order) paint(g, id);
    const id = order[at];
    tip.hidden = !id;
    canvas.classList.toggle('on', !!id);
    if (!id) return;
    paint(g, id);
    const [x, y, side] = place(id),
      scale = canvas.clientWidth / canvas.width;
    g.strokeStyle = getComputedStyle(box).getPropertyValue('--d-safe');
    g.lineWidth = 2 / scale;
    g.strokeRect(x, y, side, side);
    tip.textContent = `${frame(told.rows[id].number, total)} ${told.rows[id].name}`;
    const half = tip.offsetWidth / 2;
    tip.style.left = `${Math.min(box.clientWidth - half - 4, Math.max(half + 4, (x + side / 2) * scale))}px`;
    tip.style.top = `${Math.max(28, y * scale - 4)}px`;
  }
  function fit() {
    const width = Math.round(box.clientWidth * Math.min(2, devicePixelRatio || 1));
    if (!width || width === canvas.width) return;
    canvas.width = width;
    canvas.height = Math.round((width * 9) / 16);
    draw();
  }
  async function load() {
    try {
      told = await api(`/check/${dataset}/map`);
    } catch (e) {
      fill(words, e.message);
      return;
    }
    order = Object.keys(told.places).filter((id) => told.rows[id]);
    fill(words, told.says);
    box.hidden = !order.length;
    canvas.setAttribute('aria-label', `Map of the ${noun}s. ${told.says} Arrow keys go through them, Enter opens one.`);
    for (const id of order) {
      const img = new Image();
      img.onload = draw;
      img.src = `/media/thumb/${dataset}/${told.rows[id].img}/192.webp`;
      images.set(id, img);
    }
    fit();
    draw();
    el.dataset.state = 'ready';
  }
  function hit(e) {
    const r = canvas.getBoundingClientRect(),
      x = ((e.clientX - r.left) * canvas.width) / r.width,
      y = ((e.clientY - r.top) * canvas.height) / r.height;
    return order.findLastIndex((id) => {
      const [left, top, side] = place(id);
      return x >= left && x <= left + side && y >= top && y <= top + side;
    });
  }
  const choose = (i) => {
    if (i !== at) {
      at = i;
      draw();
    }
  };
  /* The nearest one in the direction of the key. */
  function step(dx, dy) {
    if (at < 0) return choose(0);
    const [x, y] = middle(order[at]);
    let best = -1,
      least = Infinity;
    order.forEach((id, i) => {
      const [ox, oy] = middle(id),
        along = (ox - x) * dx + (oy - y) * dy,
        aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
      if (i !== at && along > 0 && along + 2 * aside < least) {
        least = along + 2 * aside;
        best = i;
      }
    });
    if (best >= 0) choose(best);
  }
  const open = () => {
    const id = order[at];
    if (id) location.href = href(noun === 'pair' ? 'dataset' : 'captions', {picture: id});
  };
  canvas.addEventListener('pointermove', (e) => told && choose(hit(e)));
  canvas.addEventListener('pointerleave', () => choose(-1));
  canvas.addEventListener('click', open);
  canvas.addEventListener('keydown', (e) => {
    const way = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[e.key];
    if (way && told) {
      e.preventDefault();
      step(...way);
    }
    if (e.key === 'Enter') open();
  });
  canvas.addEventListener('blur', () => choose(-1));
  new ResizeObserver(fit).observe(box);
  const seen = new IntersectionObserver(
    ([entry]) => {
      if (!entry.isIntersecting) return;
      seen.disconnect();
      load();
    },
    {rootMargin: '400px'},
  );
  seen.observe(box);
  return el;
}
