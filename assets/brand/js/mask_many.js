// Masks of many pictures made without a hand: asked for here, looked through on the light table.
import {h, api, plural} from './core.js';
import {formDialog} from './arrange.js';
import {wanting} from './crop_many.js';

export const NO_PAIR_MASKS = 'Edit pairs have no masks: a pair is learnt whole, at every place, as the words may change any of them. Masks belong to single pictures.';

/* body: {places} or {} for all. Resolves with the job, or null. */
export async function maskMany(dataset, body) {
  const path = `/datasets/${encodeURIComponent(dataset)}/masks`, {count, by_hand: byHand, auto, installed, install} = await api(path + '/count', body);
  if (document.querySelector('dialog[open]')) return null;             // it was asked for twice
  const free = count - byHand, over = h('input', {type: 'checkbox', onchange: () => { go().disabled = !free && !over.checked; }});
  const go = () => document.querySelector('dialog.arr .d-btn.pri');
  const said = [
    h('p.d-small', 'Each mask begins at the head and shoulders below a face, else at what has other colours than the rim of the picture. Before a background of its own colours a subject is cut wrongly: look through them.'),
    auto > 0 && h('p.d-small', `${plural(auto, 'automatic mask')} ${auto === 1 ? 'is' : 'are'} made anew.`),
    byHand > 0 && h('label.ck', over, h('span', h('b', `Replace ${byHand === 1 ? 'the mask' : `the ${byHand.toLocaleString('en')} masks`} made by hand, too`))),
    !installed && wanting('Masks are made where OpenCV is installed.', install)].filter(Boolean);
  const asked = formDialog(`Mask ${count === 1 ? 'the subject' : 'the subjects'} of ${plural(count, 'picture')}`, 'A training learns what is inside where “Learn inside the masks” is on.', said, 'Make the masks', () => api(path, {...body, over: over.checked}));
  go().disabled = !installed || (!free && !over.checked);
  return asked;
}
