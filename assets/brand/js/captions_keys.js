// The keys of the caption notebook: on from the caption, around in the pictures, and between the two.
import {keys} from './core.js';

export function listenToKeys(el, ta, grid, {go, move, current}) {
  el.addEventListener('keydown', (e) => {
    const inText = e.target === ta,
      inGrid = e.target.closest('.cts');
    if ((e.key === 'Enter' && (e.ctrlKey || e.metaKey) && inText) || (e.altKey && e.key === 'ArrowRight')) {
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
  keys('Captions', [
    ['Ctrl Enter', 'Next picture'],
    ['Alt →', 'Next picture'],
    ['Alt ←', 'Picture before'],
    ['Esc', 'From the caption to the pictures'],
    ['← → ↑ ↓', 'Move in the pictures'],
    ['Enter', 'From the pictures to the caption'],
    ['Ctrl F', 'Find and replace'],
  ]);
}
