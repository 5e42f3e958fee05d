// Check: who judges, where a person chose it, and the copies that a split does not part.
import {h, plural} from './core.js';
import {fold} from './check_parts.js';
import {makeMore, opener} from './check_more.js';

const wide = (words, button, more) => [h('li.wide', h('span', words), button), more && h('li.wide', more.el)];

/* Those that a person chose, and the near copies that judge with them. `about` as `makeMore` wants it. */
export function chosenJudges(split, about) {
  if (!split.chosen) return null;
  const more = split.along > 0 && makeMore('along', about),
    all = plural(split.held_out, about.noun),
    words = `Exactly these are held out, with their near copies; the share that a recipe gives says nothing. ${plural(split.training, about.noun)} ${split.training === 1 ? 'is' : 'are'} left to learn from.`;
  const open = more && opener(more, 'd-btn.sm.quiet.mr', split.along === 1 ? 'Show the copy' : 'Show the copies', 'Show the near copies that judge with them');
  const bare = split.along ? ':' : ',';
  return fold('judges', `${all} ${split.held_out === 1 ? 'judges' : 'judge'}${bare} ${split.who}`, [], wide(words, open, more));
}

/* Told because it is why fewer or other pictures judge than one would think. */
export function together(split, about) {
  if (!split.groups) return null;
  const more = makeMore('together', about),
    one = split.groups === 1;
  const words = `None of these ${about.noun}s judges while a near copy of it teaches: each group stands on one side as a whole.`;
  const open = opener(more, 'd-btn.sm.quiet.mr', one ? 'Show it' : 'Show them', 'Show the copies');
  const title = `${plural(split.groups, 'group')} of copies ${one ? 'stays' : 'stay'} on one side`;
  return fold('together', title, [plural(split.together, about.noun)], wide(words, open, more));
}
