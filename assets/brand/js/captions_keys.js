// The keys of the caption notebook: on from the caption, around in the pictures, and between the two.
import {keys, typing} from './core.js';

export function listenToKeys(el, ta, grid, {go, move, right, words, current, bar, steps, flush}) {
  addEventListener('keydown', (e) => {
    if (document.querySelector('dialog[open]')) return;
    const ctrl = e.ctrlKey || e.metaKey;
    if (ctrl && e.key.toLowerCase() === 'z' && !e.shiftKey && !typing(e)) {
      e.preventDefault();
      steps.undoLast();
    } else if (e.key === '/' && !ctrl && !e.altKey && !typing(e)) {
      e.preventDefault();
      bar.focus();
    }
  });
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
    } else if (inGrid && (e.ctrlKey || e.metaKey) && e.key.toLowerCase() === 'a') {
      e.preventDefault();
      grid.selectAll();
    } else if (inGrid && e.key === ' ') {
      e.preventDefault();
      grid.choose(current(), e.shiftKey);
    } else if (inGrid && e.key === 'Escape') grid.selectAll(false);
    else if (inGrid && !e.altKey && !e.ctrlKey) {
      const step = {ArrowRight: [1], ArrowLeft: [-1], ArrowDown: [1, true], ArrowUp: [-1, true]}[e.key];
      if (step) {
        e.preventDefault();
        const from = current();
        if (e.shiftKey) grid.extend(from);
        go(grid.neighbour(...step), false).then(() => {
          grid.setCurrent(current(), {focus: true});
          if (e.shiftKey) grid.choose(current(), true);
        });
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
    ['Space', 'Select'],
    ['Shift →', 'Select more'],
    ['Ctrl A', `Select all ${words.row}s that are shown`],
    ['/', `Search the ${words.text}s`],
    ['Ctrl F', 'Find and replace'],
    ['Ctrl Z', 'Undo the last change of many'],
  ]);
}
