// The crop dialog: a frame over the whole picture, its shape, turning and mirroring, and what training will make of it.
import {h, icon, fill, api} from './core.js';
import {wanting} from './crop_many.js';
import {MIN, moved, resized, rounded, seenSize, shapeName, shaped, stepped, toSeen, toWhole} from './crop_box.js';

const HANDLES = [['nw', -1, -1], ['n', 0, -1], ['ne', 1, -1], ['e', 1, 0], ['se', 1, 1], ['s', 0, 1], ['sw', -1, 1], ['w', -1, 0]];
const STEPS = [['left', 'turnl', 'Turn left'], ['right', 'turnr', 'Turn right'], ['mirror', 'mirror', 'Mirror left to right'], ['flip', 'flip', 'Mirror top to bottom']];
const KEY_STEPS = {r: 'right', l: 'left', m: 'mirror'};

/* onsaved({token, picture}, words) after it is written; onclose() always. It opens once the server has told how the picture is, and once only. */
let asked = 0;
export async function openCrop(dataset, row, {onsaved, onclose, number}) {
  const path = `/datasets/${dataset}/pictures/${row.id}`, mine = ++asked;
  const told = await api(path + '/edit');
  if (mine !== asked || document.querySelector('dialog[open]')) return;
  const whole = {width: told.width, height: told.height}, all = {x: 0, y: 0, w: told.width, h: told.height};
  let way = {turns: told.turns, mirrored: told.mirrored}, aspect = 0, scale = 1, due = 0;
  let box = toSeen(told.crop ? {x: told.crop[0], y: told.crop[1], w: told.crop[2], h: told.crop[3]} : all, whole, way);
  const size = () => seenSize(whole, way.turns);

  const img = h('img', {src: `/media/picture/${dataset}/${told.whole}`, alt: told.name, draggable: false});
  const frame = h('div.cbox', {tabIndex: 0, role: 'group', aria: {label: 'Frame. Arrows move it, Shift and arrows make it larger or smaller.'}}, h('i'), h('i'), HANDLES.map(([name, dx, dy]) => h('span.hd.' + name, {data: {dx, dy}})));
  const plate = h('div.plate', img, frame), stage = h('div.stage', plate);
  const fields = Object.fromEntries([['x', 'Left'], ['y', 'Top'], ['w', 'Width'], ['h', 'Height']].map(([key, label]) =>
    [key, h('input.d-in.mono', {id: 'crop-' + key, type: 'number', min: key === 'w' || key === 'h' ? MIN : 0, step: 1, aria: {label: `${label}, px`}, onchange: () => typed(key)})]));
  const shape = h('select.d-sel', {id: 'crop-shape', onchange: () => { aspect = +shape.value; if (aspect) set(shaped(box, size(), aspect)); }});
  const kept = h('p.d-small.d-sub.kept.both', {role: 'status', hidden: true}), result = h('p.d-small.res', {role: 'status'}), fault = h('p.d-err', {role: 'alert', hidden: true});
  const subject = h('button.d-btn', {type: 'button', onclick: keepSubject}, icon('aim', 's'), 'Keep the subject');
  const reset = h('button.d-btn.quiet', {type: 'button', onclick: startOver}, icon('undo', 's'), 'Whole picture');
  const save = h('button.d-btn.pri', {type: 'button', onclick: write}, 'Save');
  const steps = STEPS.map(([step, name, words]) => h('button.d-btn.ico', {type: 'button', title: words, aria: {label: words}, onclick: () => turn(step)}, icon(name)));
  const dialog = h('dialog.d-crop', {aria: {labelledby: 'crop-title'}},
    h('header', h('div', h('h2.d-h2', {id: 'crop-title'}, 'Crop'), h('p.d-small.d-sub', `${number ? number + '  ' : ''}${told.name}`)), h('button.d-btn.ico.quiet.d-push', {type: 'button', aria: {label: 'Close'}, onclick: () => dialog.close()}, icon('x'))),
    stage,
    h('div.side', told.pair && h('p.d-small.d-sub.both', 'Before and after are edited alike; you see the picture after.'),
      h('div', h('label.d-lab', {htmlFor: 'crop-shape'}, 'Shape'), shape), subject, kept,
      h('div', h('span.d-lab', 'Turn and mirror'), h('div.d-row.steps', steps)),
      h('div', h('span.d-lab', 'Frame, px'), h('div.nums', Object.entries(fields).map(([key, input]) => h('label', h('span', {x: 'Left', y: 'Top', w: 'Width', h: 'Height'}[key]), input)))), result, fault, !told.finds_faces && wanting('“Keep the subject” goes by colour and edges. Faces are found too where OpenCV is installed.', told.install)),
    h('footer', reset, h('button.d-btn.big.d-push', {type: 'button', onclick: () => dialog.close()}, 'Cancel'), save));

  function drawShapes() {
    const at = shape.selectedIndex, seen = size(), one = (value, words) => h('option', {value: String(value)}, words);
    fill(shape, one(0, 'Free'), one(seen.width / seen.height, `As the picture is, ${shapeName(seen.width, seen.height)}`),
      told.buckets.map(([w, t]) => one(w / t, `${shapeName(w, t)}, trained at ${w} × ${t} px`)));
    shape.selectedIndex = Math.max(0, at);
  }
  function fit() {
    const seen = size(), room = stage.getBoundingClientRect(), part = Math.min((room.width - 32) / seen.width, (room.height - 32) / seen.height);
    scale = Math.max(0.01, Math.min(part, Math.max(1, Math.min(4, part))));
    Object.assign(plate.style, {width: seen.width * scale + 'px', height: seen.height * scale + 'px'});
    Object.assign(img.style, {width: whole.width * scale + 'px', height: whole.height * scale + 'px', transform: `translate(-50%,-50%) scaleX(${way.mirrored ? -1 : 1}) rotate(${way.turns * 90}deg)`});
    draw();
  }
  function draw() {
    const px = rounded(box, size());
    Object.assign(frame.style, {left: box.x * scale + 'px', top: box.y * scale + 'px', width: box.w * scale + 'px', height: box.h * scale + 'px'});
    for (const [key, input] of Object.entries(fields)) if (document.activeElement !== input) input.value = px[key];
    const untouched = px.w === size().width && px.h === size().height && !way.turns && !way.mirrored;
    reset.disabled = untouched;
    subject.disabled = !aspect && Math.abs(px.w / px.h / (size().width / size().height) - 1) < 0.01;      // of its own shape all of it is kept
    subject.title = subject.disabled ? 'Choose a shape first' : '';
    clearTimeout(due);
    due = setTimeout(() => foretell(px), 120);
  }
  async function foretell({w, h: high}) {
    try {
      const p = await api(`/datasets/${dataset}/place?width=${w}&height=${high}`);
      const now = rounded(box, size());
      if (now.w !== w || now.h !== high) return;
      const much = p.enlarged > 1.15 ? `, enlarged ${p.enlarged.toFixed(1)} times: too small to be sharp` : p.enlarged > 1 ? `, enlarged ${p.enlarged.toFixed(2)} times` : '';
      result.classList.toggle('warn', p.enlarged > 1.15);
      fill(result, p.enlarged > 1.15 && icon('small', 's'), h('span', `${told.base} trains on it at ${p.width} × ${p.height} px${much}.` + (p.lost >= 0.005 ? ` ${Math.max(1, Math.round(p.lost * 100))} % at the edges is cut off to fit.` : '')));
      dialog.dataset.state = 'ready';
    } catch { result.textContent = ''; }
  }
  function set(next) { box = next; kept.hidden = true; say(''); draw(); }
  function say(text) { fault.hidden = !text; fill(fault, text && [icon('alert', 's'), text]); }
  function free() { if (aspect) { aspect = 0; shape.value = '0'; } }
  function typed(key) {
    const value = fields[key].valueAsNumber, seen = size();
    if (!Number.isFinite(value)) return draw();
    if (key === 'x' || key === 'y') return set(moved(box, key === 'x' ? value - box.x : 0, key === 'y' ? value - box.y : 0, seen));
    set(key === 'w' ? resized(box, 1, 0, box.x + value, 0, seen, aspect) : resized(box, 0, 1, 0, box.y + value, seen, aspect));
    fields[key].value = rounded(box, seen)[key];
  }
  function turn(step) {
    const kept = toWhole(box, whole, way);
    way = stepped(way, step);
    box = toSeen(kept, whole, way);
    if (step === 'left' || step === 'right') free();
    drawShapes();
    fit();
  }
  function startOver() { way = {turns: 0, mirrored: false}; box = {...all}; free(); drawShapes(); say(''); fit(); frame.focus(); }
  async function keepSubject() {
    const wanted = aspect || box.w / box.h, had = box;
    subject.disabled = true;
    try {
      const {crop: [x, y, w, high], around, said} = await api(`${path}/subject?aspect=${way.turns % 2 ? 1 / wanted : wanted}`);
      if (box !== had) return draw();                                  // moved or turned by hand meanwhile
      set(toSeen({x, y, w, h: high}, whole, way));
      kept.hidden = false;
      fill(kept, icon(around === 'faces' ? 'person' : 'aim', 's'), said + '.');
    } catch (error) { say(error.message); draw(); }
  }
  async function write() {
    const px = rounded(toWhole(box, whole, way), whole);
    save.disabled = true;
    try {
      const saved = await api(path + '/edit', {crop: [px.x, px.y, px.w, px.h], turns: way.turns, mirrored: way.mirrored}, 'PUT');
      dialog.close();
      onsaved(saved, saved.picture.edited ? 'Edited' : 'Whole again');
    } catch (error) { say(error.message); save.disabled = false; }
  }

  /* Pointer: a handle resizes, inside moves, outside draws a new frame. */
  function point(e) { const r = plate.getBoundingClientRect(); return [(e.clientX - r.left) / scale, (e.clientY - r.top) / scale]; }
  stage.addEventListener('pointerdown', (e) => {
    if (e.button || !e.isPrimary) return;
    const [px, py] = point(e), hd = e.target.closest('.hd'), inside = e.target.closest('.cbox'), start = box, seen = size();
    if (!hd && !inside && (px < 0 || py < 0 || px > seen.width || py > seen.height)) return;
    e.preventDefault();
    frame.focus({preventScroll: true});
    stage.setPointerCapture(e.pointerId);
    const drag = (ev) => {
      const [x, y] = point(ev);
      if (hd) set(resized(start, +hd.dataset.dx, +hd.dataset.dy, x, y, seen, aspect));
      else if (inside) set(moved(start, x - px, y - py, seen));
      else if (Math.hypot(x - px, y - py) * scale > 6) {
        const dx = x < px ? -1 : 1, dy = y < py ? -1 : 1, seed = {x: px, y: py, w: 0, h: 0};
        const [tx, ty] = aspect ? [x, y] : [dx * Math.max(MIN, Math.abs(x - px)) + px, dy * Math.max(MIN, Math.abs(y - py)) + py];
        const drawn = aspect ? resized(seed, dx, dy, tx, ty, seen, aspect) : {x: Math.min(px, tx), y: Math.min(py, ty), w: Math.abs(tx - px), h: Math.abs(ty - py)};
        const left = Math.max(0, drawn.x), top = Math.max(0, drawn.y);
        set(aspect ? drawn : moved({x: left, y: top, w: Math.min(drawn.x + drawn.w, seen.width) - left, h: Math.min(drawn.y + drawn.h, seen.height) - top}, 0, 0, seen));
        if (box.w < MIN || box.h < MIN) set(moved({...box, w: Math.max(MIN, box.w), h: Math.max(MIN, box.h)}, 0, 0, seen));
      }
    };
    stage.addEventListener('pointermove', drag);
    const end = () => { stage.removeEventListener('pointermove', drag); stage.removeEventListener('pointerup', end); stage.removeEventListener('pointercancel', end); };
    stage.addEventListener('pointerup', end);
    stage.addEventListener('pointercancel', end);
  });
  frame.addEventListener('keydown', (e) => {
    const by = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[e.key], seen = size();
    if (!by || e.ctrlKey || e.metaKey) return;
    e.preventDefault();
    const step = e.altKey ? 1 : Math.max(1, Math.round(Math.max(seen.width, seen.height) / 100));
    set(e.shiftKey ? resized(box, by[0] ? 1 : 0, by[1] ? 1 : 0, box.x + box.w + by[0] * step, box.y + box.h + by[1] * step, seen, aspect) : moved(box, by[0] * step, by[1] * step, seen));
  });
  dialog.addEventListener('keydown', (e) => {
    if (e.target.closest('input,select,button') || e.ctrlKey || e.metaKey || e.altKey) return;
    const step = KEY_STEPS[e.key.toLowerCase()];
    if (step) turn(step); else if (e.key === 'Enter') write(); else if (e.key.toLowerCase() === 'k') keepSubject(); else return;
    e.preventDefault();
  });
  const watch = new ResizeObserver(fit);
  dialog.addEventListener('close', () => { watch.disconnect(); clearTimeout(due); dialog.remove(); onclose?.(); });
  document.body.append(dialog);
  drawShapes();
  dialog.showModal();
  fit();
  watch.observe(stage);
  frame.focus();
}
