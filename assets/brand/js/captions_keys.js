// The keys of the caption notebook: on from the caption, around in the pictures, and between the two.
import {keys} from './core.js';

export function listenToKeys(el, ta, grid, {go, move, right, words, current}) {
  el.addEventListener('keydown', (e) => {
    const inText = e.target === ta,
      inGrid = e.target.closest('.cts');
    if (e.key === 'Enter' && (e.ctrlKey || e.metaKey) && inText) {
      e.preventDefault();
      right();
    } else if (e.altKey && e.key === 'ArrowRight') {
      e.preventDefault();
      move(1);
    } else if (e.altKey && e.key === 'ArrowLeft') {
      e.preventDefault();
      move(-1);
    } else if (inText && e.key === 'Escape') {
      e.preventDefault();
      grid.setCurrent(current(), {focus: true});
    } else if (inGrid && !e.altKey && !e.ctrlKey) {
      const step = {ArrowRight: [1], ArrowLeft: [-1], ArrowDown: [1, true], ArrowUp: [-1, true]}[e.key];
      if (step) {
        e.preventDefault();
        go(grid.neighbour(...step), false);
        grid.setCurrent(current(), {focus: true});
      } else if (e.key === 'Enter') {
        e.preventDefault();
        ta.focus();
      }
    }
  });
  keys(words.title || 'Captions', [
    ['Ctrl Enter', words.title ? 'It is right; next pair' : words.next],
    ['Alt →', words.next],
    ['Alt ←', words.before],
    ['Esc', `From the ${words.text} to the ${words.row}s`],
    ['← → ↑ ↓', `Move in the ${words.row}s`],
    ['Enter', `From the ${words.row}s to the ${words.text}`],
    ['Ctrl F', 'Find and replace'],
  ]);
}
