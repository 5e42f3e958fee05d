// What differs between captions of pictures and instructions of edit pairs: the words on the page, and what is shown of one row.
import {base, h, fill, href, ready} from './core.js';
import {bare} from './bare.js';
import {open} from './viewer.js';

export const KINDS = {
  pictures: {
    row: 'picture', Row: 'Picture', text: 'caption', ask: 'What is in this picture?', before: 'Picture before', next: 'Next picture',
    none: ['No pictures yet', 'Put some pictures on the light table; their captions are written here.'],
  },
  pairs: {
    row: 'pair', Row: 'Pair', text: 'instruction', ask: 'What changes from left to right?', before: 'Previous pair', next: 'Next pair',
    none: ['No complete pairs yet', 'Drop a picture before and a picture after on the light table; the words between them are written here.'],
    title: 'Instructions', sentence: 'Say what changes from left to right, as you would ask for it.',
  },
};

/* The head of the page is drawn before anybody knows the kind. */
export function nameHead(words) {
  const head = document.querySelector('#page-head');
  document.documentElement.classList.toggle('p-captions-pairs', !!words.title);
  if (!words.title || !head) return;
  head.querySelector('h1').textContent = words.title;
  head.querySelector('h1 + p').textContent = words.sentence;
}

/* Pictures of one row. thumb(image id, px) is its address. */
/* list: {order() -> places that are shown, load(place) -> its row}. */
export function makeFaces(dataset, list) {
  const thumb = (id, px) => `/media/thumb/${dataset}/${id}/${px}.webp`;
  const face = (it, px) => thumb(it.before !== undefined ? it.after || it.before : it.img, px);
  const small = (it) => {
    const img = (id) => h('img', {src: thumb(id, 192), alt: '', width: 82, height: 82, loading: 'lazy', decoding: 'async'});
    return it.before === undefined ? img(it.img) : h('span.hp', img(it.before), img(it.after));
  };
  const look = (it) => {
    const places = list.order(), sides = (x) => x && {...x, before: {id: x.before}, after: {id: x.after}};
    open({length: places.length, at: async (i) => sides(await list.load(places[i]))}, sides(it), {dataset, index: places.indexOf(it.place)});
  };
  const pic = h('img.pic', {width: 512, height: 512}), pair = h('button.d-pair.big', {type: 'button', hidden: true});
  let shown = '';
  function draw(it, frame, words) {
    const alt = it.text ? `${words.Row} ${frame}: ${it.text}` : `${words.Row} ${frame}, no ${words.text} yet`;
    pic.hidden = it.before !== undefined;
    pair.hidden = !pic.hidden;
    if (!pic.hidden) { pic.src = thumb(it.img, 768); pic.alt = alt; return; }
    pair.setAttribute('aria-label', `${alt}. Look at it large`);
    pair.onclick = () => look(it);
    if (shown === it.before + it.after) return;
    shown = it.before + it.after;
    fill(pair, [it.before, it.after].map((id, n) => h('img', {src: thumb(id, 768), alt: n ? 'after' : 'before', width: 384, height: 384})));
  }
  return {thumb: face, small, draw, stage: [pic, pair]};
}

/* An empty page teaches: one sentence, one picture of what will be here, one button. */
export function nothing(el, title, sentence) {
  document.querySelector('.d-card.cpt')?.classList.add('d-gone');
  document.querySelector('#dock')?.classList.add('d-gone');
  const picture = h('img', {src: base + 'img/zog_01.webp', alt: '', width: 96, height: 96});
  fill(el, bare(picture, title, sentence, h('a.d-btn.pri', {href: href('dataset')}, 'Go to the pictures')));
  ready(el, 'empty');
}
