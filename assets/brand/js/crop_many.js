// Many pictures cut to one shape: the shape, what is kept, and the frames of the first ones before anything is done.
import {h, icon, fill, api, plural} from './core.js';
import {seenSize, toSeen} from './crop_box.js';

const SHAPES = [['bucket', 'Nearest that training knows'], ['1:1', '1:1, square'], ['2:3', '2:3, upright'], ['3:4', '3:4, upright'], ['4:5', '4:5, upright'], ['3:2', '3:2, wide'], ['4:3', '4:3, wide'], ['5:4', '5:4, wide'], ['16:9', '16:9, wide'], ['9:16', '9:16, upright']];
const KEEPS = [['subject', 'Subject', 'Faces first, else what stands out by colour and edges.'], ['face', 'Faces', 'Pictures without a face stay as they are.'], ['middle', 'Middle', 'Whatever is there.']];
const ICONS = {faces: 'person', subject: 'aim', middle: 'crop'};

/* What is to be had with a package that is not there. */
export const wanting = (what, command) => h('div.d-want.both', h('p.d-small', what), h('code', command), h('p.d-small.d-sub', 'Then start Darkroom again.'));

/* body: {places} or {} for all; started(job) when it is under way; onclose() always. */
export function openCropMany(dataset, body, {noun = 'picture', started, onclose}) {
  const path = `/datasets/${encodeURIComponent(dataset)}/crops`;
  let keep = 'subject', asked = 0;
  const shape = h('select.d-sel', {id: 'many-shape', onchange: look}, SHAPES.map(([value, words]) => h('option', {value}, words)));
  const keeps = KEEPS.map(([value, words]) => h('button', {type: 'button', aria: {pressed: String(value === keep)}, data: {keep: value}, onclick: () => { keep = value; keeps.forEach((b) => b.setAttribute('aria-pressed', String(b.dataset.keep === keep))); look(); }}, words));
  const about = h('p.d-small.d-sub'), lack = h('div.both', {hidden: true}), status = h('p.d-small.d-sub', {role: 'status'}), fault = h('p.d-err', {role: 'alert', hidden: true});
  const stage = h('div.stage', {tabIndex: 0, role: 'group', aria: {label: 'How the first ones will be cut'}}), go = h('button.d-btn.pri', {type: 'button', disabled: true, onclick: begin}, 'Crop');
  const title = h('h2.d-h2', {id: 'many-title'}, 'Crop to one shape'), sub = h('p.d-small.d-sub');
  const dialog = h('dialog.d-crop.d-many', {aria: {labelledby: 'many-title'}},
    h('header', h('div', title, sub), h('button.d-btn.ico.quiet.d-push', {type: 'button', aria: {label: 'Close'}, onclick: () => dialog.close()}, icon('x'))), stage,
    h('div.side', h('div', h('label.d-lab', {htmlFor: 'many-shape'}, 'Shape'), shape), h('div', h('span.d-lab', 'Keep'), h('div.d-seg.three', {role: 'group', aria: {label: 'What is kept'}}, keeps)), about, lack,
      h('p.d-small.d-sub', noun === 'pair' ? 'Before and after are cut alike. The files that came in stay as they are.' : 'Turned and mirrored pictures stay so. The files that came in are never changed.'), status, fault),
    h('footer', h('button.d-btn.big.d-push', {type: 'button', onclick: () => dialog.close()}, 'Cancel'), go));

  function say(text) { fault.hidden = !text; fill(fault, text && [icon('alert', 's'), text]); }
  async function look() {
    const mine = ++asked;
    dialog.dataset.state = 'looking';
    about.textContent = KEEPS.find(([value]) => value === keep)[2];
    status.textContent = 'Looking at the first ones …';
    go.disabled = true;
    say('');
    try {
      const told = await api(path + '/preview', {...body, shape: shape.value, keep});
      if (mine === asked) draw(told);
    } catch (error) { if (mine === asked) { status.textContent = ''; fill(stage); say(error.message); } }
    if (mine === asked) dialog.dataset.state = 'ready';
  }
  function draw({frames, count, base, installed, install}) {
    const stay = frames.filter((f) => !f.around).length;
    sub.textContent = `${plural(count, noun)}, one step to undo`;
    if (shape.value === 'bucket' && base) about.textContent += ` Each picture comes to the nearest shape that ${base} trains at.`;
    lack.hidden = installed;
    if (!installed) fill(lack, wanting('Faces are found where OpenCV is installed; until then a frame goes by colour and edges.', install));
    keeps.find((b) => b.dataset.keep === 'face').disabled = !installed;
    fill(stage, h('div.fms', frames.map(tile)), count > frames.length && h('p.more', `and ${(count - frames.length).toLocaleString('en')} more in the same way`));
    status.textContent = stay ? `${stay} of ${frames.length === count ? '' : 'the first '}${frames.length} ${stay === 1 ? 'stays as it is' : 'stay as they are'}.` : '';
    go.disabled = stay === count;
    go.textContent = frames.length === count ? `Crop ${plural(count - stay, noun)}` : stay ? 'Crop those that can be' : `Crop ${plural(count, noun)}`;
  }
  function tile(f) {
    const whole = {width: f.width, height: f.height}, seen = seenSize(whole, f.turns), part = Math.min(168 / seen.width, 168 / seen.height), px = (n) => Math.round(n * part) + 'px';
    const img = h('img', {src: `/media/thumb/${dataset}/${f.whole}/384.webp`, alt: '', draggable: false, style: {width: px(f.width), height: px(f.height), transform: `translate(-50%,-50%) scaleX(${f.mirrored ? -1 : 1}) rotate(${f.turns * 90}deg)`}});
    const box = f.around && toSeen(f.crop ? {x: f.crop[0], y: f.crop[1], w: f.crop[2], h: f.crop[3]} : {x: 0, y: 0, w: f.width, h: f.height}, whole, f);
    return h('figure' + (f.around ? '' : '.stays'), {data: {around: f.around || ''}}, h('div.pl', {style: {width: px(seen.width), height: px(seen.height)}}, img, box && h('span.fb', {style: {left: px(box.x), top: px(box.y), width: px(box.w), height: px(box.h)}})),
      h('figcaption', h('b', f.name), h('span', icon(f.around ? ICONS[f.around] : 'out', 's'), f.said)));
  }
  async function begin() {
    go.disabled = true;
    try {
      const job = await api(path, {...body, shape: shape.value, keep});
      dialog.close();
      started(job);
    } catch (error) { say(error.message); go.disabled = false; }
  }
  dialog.addEventListener('close', () => { asked = -1; dialog.remove(); onclose?.(); });
  document.body.append(dialog);
  dialog.showModal();
  shape.focus();
  look();
}
