// The mask dialog: what of a picture is learnt is painted over it; the rest is dimmed. Kept beside the picture, for trainings that learn inside masks.
import {h, icon, fill, api, read} from './core.js';
import {wanting} from './crop_many.js';

const MOST = 2048, DIM = 'rgba(19,18,17,.74)';                         // longest side that is painted on, px; the server brings it to the picture's size

/* onsaved({token, picture}, words) after it is written; onclose() always. It opens once the server has told how the mask is, and once only. */
let asked = 0;
export async function openMask(dataset, row, {onsaved, onclose, number}) {
  const path = `/datasets/${dataset}/pictures/${row.id}/mask`, mine = ++asked, told = await api(path);
  const part = Math.min(1, MOST / Math.max(told.width, told.height)), width = Math.round(told.width * part), height = Math.round(told.height * part);
  const paper = () => Object.assign(document.createElement('canvas'), {width, height});
  const mask = paper(), veil = paper(), ink = mask.getContext('2d', {willReadFrequently: true}), cover = veil.getContext('2d');
  let ground = null, strokes = [], erasing = false, brush = Math.max(8, Math.round(Math.max(width, height) / 14)), at = {x: width / 2, y: height / 2}, scale = 1;

  const img = h('img', {src: `/media/picture/${dataset}/${told.whole}`, alt: told.name, draggable: false}), ring = h('span.ring');
  veil.className = 'veil';
  const plate = h('div.plate', {tabIndex: 0, role: 'application', aria: {label: 'Picture to paint on. Arrows move the brush, Space paints.'}}, img, veil, ring), stage = h('div.stage.paint', plate);
  const modes = [['Paint', false], ['Erase', true]].map(([words, value]) => h('button', {type: 'button', aria: {pressed: String(value === erasing)}, onclick: () => mode(value)}, words));
  const size = h('input', {type: 'range', id: 'mask-brush', min: 4, max: Math.round(Math.max(width, height) / 3), value: brush, oninput: () => { brush = +size.value; show(); }});
  const share = h('p.d-small.res', {role: 'status'}), fault = h('p.d-err', {role: 'alert', hidden: true});
  const button = (words, name, f) => h('button.d-btn', {type: 'button', onclick: f}, name && icon(name, 's'), words);
  const subject = h('button.d-btn', {type: 'button', disabled: !told.installed, onclick: maskSubject}, icon('aim', 's'), 'Mask the subject'), made = h('p.d-small.d-sub.both', {role: 'status', hidden: !told.auto}, 'This mask was made without a hand. Save it when it is right, or mend it.');
  const back = button('Undo', '', undo), save = h('button.d-btn.pri', {type: 'button', onclick: write}, 'Save');
  const dialog = h('dialog.d-crop.d-paint', {aria: {labelledby: 'mask-title'}},
    h('header', h('div', h('h2.d-h2', {id: 'mask-title'}, 'Mask'), h('p.d-small.d-sub', `${number ? number + '  ' : ''}${told.name}`)), h('button.d-btn.ico.quiet.d-push', {type: 'button', aria: {label: 'Close'}, onclick: () => dialog.close()}, icon('x'))), stage,
    h('div.side', h('p.d-small.d-sub.both', 'Paint over what is to be learnt. Train uses it where “Learn inside the masks” is on.' + (row.edited ? ' The whole picture is shown; the mask is cropped as the picture is.' : '')), subject, !told.installed && wanting('The subject is masked without a hand where OpenCV is installed.', told.install), made,
      h('div', h('span.d-lab', 'Brush'), h('div.d-seg.two', {role: 'group', aria: {label: 'Brush'}}, modes)), h('div', h('label.d-lab', {htmlFor: 'mask-brush'}, 'Size'), size),
      h('div.tools', back, button('Invert', '', () => act('invert')), button('Clear', '', () => act('clear')), button('From transparency', 'pic', fromAlpha)), share, fault),
    h('footer', told.masked && h('button.d-btn.quiet', {type: 'button', onclick: () => send('DELETE')}, icon('trash', 's'), 'Take the mask away'),
      h('button.d-btn.big.d-push', {type: 'button', onclick: () => dialog.close()}, 'Cancel'), save));

  function mode(value) { erasing = value; modes.forEach((b, n) => b.setAttribute('aria-pressed', String(!!n === value))); }
  function say(text) { fault.hidden = !text; fill(fault, text && [icon('alert', 's'), text]); }
  function run(step) {
    ink.globalCompositeOperation = 'source-over';
    if (step === 'clear') return ink.clearRect(0, 0, width, height);
    if (step === 'invert') { ink.globalCompositeOperation = 'xor'; ink.fillStyle = '#fff'; return ink.fillRect(0, 0, width, height); }
    if (step.image) { ink.clearRect(0, 0, width, height); return ink.drawImage(step.image, 0, 0); }
    ink.globalCompositeOperation = step.erasing ? 'destination-out' : 'source-over';
    Object.assign(ink, {strokeStyle: '#fff', lineWidth: step.brush, lineCap: 'round', lineJoin: 'round'});
    ink.beginPath();
    step.points.forEach(([x, y], n) => (n ? ink.lineTo(x, y) : ink.moveTo(x, y)));
    const [x, y] = step.points.at(-1);
    ink.lineTo(x + 0.01, y);                                           // a single point is a dot
    return ink.stroke();
  }
  function act(step) { strokes.push(step); run(step); show(); count(); }
  function undo() {
    strokes.pop();
    ink.globalCompositeOperation = 'source-over';
    ink.clearRect(0, 0, width, height);
    if (ground) ink.drawImage(ground, 0, 0);
    strokes.forEach(run);
    show();
    count();
  }
  function show() {
    cover.globalCompositeOperation = 'copy';
    cover.fillStyle = DIM;
    cover.fillRect(0, 0, width, height);
    cover.globalCompositeOperation = 'destination-out';
    cover.drawImage(mask, 0, 0);
    Object.assign(ring.style, {width: brush * scale + 'px', height: brush * scale + 'px', left: at.x * scale + 'px', top: at.y * scale + 'px'});
    back.disabled = !strokes.length;
  }
  function count() {
    const small = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    Object.assign(small.canvas, {width: 96, height: 96});
    small.drawImage(mask, 0, 0, 96, 96);
    const found = small.getImageData(0, 0, 96, 96).data;
    let sum = 0;
    for (let n = 3; n < found.length; n += 4) sum += found[n];
    const covered = sum / 255 / 96 / 96;
    save.disabled = !sum;
    share.textContent = sum ? `${covered < 0.01 ? 'Less than 1' : Math.round(covered * 100)} % of the picture is learnt.` : 'Nothing is covered yet.';
    say('');
  }
  function fit() {
    const room = stage.getBoundingClientRect(), factor = Math.min((room.width - 32) / width, (room.height - 32) / height);
    scale = Math.max(0.01, Math.min(factor, Math.max(1, Math.min(4, factor))));
    for (const el of [plate, img, veil]) Object.assign(el.style, {width: width * scale + 'px', height: height * scale + 'px'});
    show();
  }
  /* A grey picture from the server as white of that opacity. */
  async function load(from) {
    const answer = await fetch('/api' + from, {cache: 'no-store'});
    if (!answer.ok) await read(answer);
    const grey = await createImageBitmap(await answer.blob()), image = paper(), g = image.getContext('2d');
    g.drawImage(grey, 0, 0, width, height);
    const pixels = g.getImageData(0, 0, width, height);
    for (let n = 0; n < pixels.data.length; n += 4) { pixels.data[n + 3] = pixels.data[n]; pixels.data[n] = pixels.data[n + 1] = pixels.data[n + 2] = 255; }
    g.putImageData(pixels, 0, 0);
    image.faces = answer.headers.get('Darkroom-Faces');
    return image;
  }
  async function maskSubject() {
    subject.disabled = true;
    fill(subject, icon('aim', 's'), 'Looking …');
    try {
      const image = await load(path + '/subject.png'), faces = +image.faces;
      act({image});
      fill(made, `Made around ${faces ? (faces === 1 ? 'one face' : `${faces} faces`) : 'what stands out'}. Look at its edge, and mend it with the brush.`);
      made.hidden = false;
    } catch (error) { say(error.message); }
    fill(subject, icon('aim', 's'), 'Mask the subject');
    subject.disabled = false;
  }
  async function fromAlpha() { try { act({image: await load(path + '/alpha.png')}); } catch (error) { say(error.message); } }
  async function send(method, body) {
    save.disabled = true;
    try {
      const saved = await read(await fetch('/api' + path, {method, body, headers: body ? {'Content-Type': 'image/png'} : {}}));
      dialog.close();
      onsaved(saved, saved.picture.masked ? 'Mask saved' : 'Mask taken away');
    } catch (error) { say(error.message); save.disabled = false; }
  }
  function write() {
    if (save.disabled) return;
    const flat = paper(), g = flat.getContext('2d');
    g.fillRect(0, 0, width, height);
    g.drawImage(mask, 0, 0);
    flat.toBlob((blob) => send('PUT', blob), 'image/png');
  }

  function point(e) { const r = plate.getBoundingClientRect(); at = {x: (e.clientX - r.left) / scale, y: (e.clientY - r.top) / scale}; return [at.x, at.y]; }
  stage.addEventListener('pointermove', (e) => { point(e); show(); });
  stage.addEventListener('pointerdown', (e) => {
    if (e.button || !e.isPrimary) return;
    e.preventDefault();
    plate.focus({preventScroll: true});
    stage.setPointerCapture(e.pointerId);
    const stroke = {erasing, brush, points: [point(e)]};
    strokes.push(stroke);
    run(stroke);
    show();
    const drag = (ev) => { const last = stroke.points.at(-1); stroke.points.push(point(ev)); run({...stroke, points: [last, stroke.points.at(-1)]}); show(); };
    const end = () => { stage.removeEventListener('pointermove', drag); stage.removeEventListener('pointerup', end); stage.removeEventListener('pointercancel', end); count(); };
    stage.addEventListener('pointermove', drag);
    stage.addEventListener('pointerup', end);
    stage.addEventListener('pointercancel', end);
  });
  dialog.addEventListener('keydown', (e) => {
    if ((e.ctrlKey || e.metaKey) && e.key === 'z') { e.preventDefault(); e.stopPropagation(); if (strokes.length) undo(); return; }
    if (e.target !== plate || e.ctrlKey || e.metaKey) return;
    const by = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[e.key], clamp = (x, most) => Math.min(most, Math.max(0, x));
    if (by) { at = {x: clamp(at.x + (by[0] * brush) / 2, width), y: clamp(at.y + (by[1] * brush) / 2, height)}; show(); }
    else if (e.key === ' ') act({erasing, brush, points: [[at.x, at.y]]});
    else if (e.key.toLowerCase() === 'e') mode(!erasing);
    else if (e.key === '[' || e.key === ']') { size.value = brush * (e.key === '[' ? 0.8 : 1.25); brush = +size.value; show(); }
    else if (e.key === 'Enter') write();
    else return;
    e.preventDefault();
  });
  const watch = new ResizeObserver(fit);
  dialog.addEventListener('close', () => { watch.disconnect(); dialog.remove(); onclose?.(); });
  if (told.masked) { ground = await load(path + '/picture.png'); ink.drawImage(ground, 0, 0); }
  if (mine !== asked || document.querySelector('dialog[open]')) return;
  document.body.append(dialog);
  dialog.showModal();
  fit();
  count();
  watch.observe(stage);
  plate.focus();
  dialog.dataset.state = 'ready';
}
