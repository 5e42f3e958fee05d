// What a page shows while it has nothing to show: one picture of what will be here, one sentence, one way to go on.
import {h} from './core.js';

export const bare = (picture, title, sentence, ...ways) =>
  h(
    'div.bare',
    h('div.bare-pic', {aria: {hidden: 'true'}}, picture, h('span', h('b'), h('b'), h('b'))),
    h('h2.d-h2', title),
    h('p.d-sub', sentence),
    h('div.d-row', ways),
  );
