// The arithmetic of cutting: boxes in px, moved and resized inside a picture; a picture turned and mirrored, there and back.
export const MIN = 32;
const clamp = (x, low, high) => Math.min(Math.max(x, low), Math.max(low, high));

/* Width and height of the whole picture as it is seen. */
export const seenSize = ({width, height}, turns) => (turns % 2 ? {width: height, height: width} : {width, height});

/* A box of the whole picture as it is seen: turned clockwise, then mirrored. */
export function toSeen(box, size, {turns, mirrored}) {
  let {x, y, w, h} = box, {width, height} = size;
  for (let n = 0; n < turns; n++) { [x, y, w, h] = [height - y - h, x, h, w]; [width, height] = [height, width]; }
  return {x: mirrored ? width - x - w : x, y, w, h};
}
/* And back. */
export function toWhole(box, size, {turns, mirrored}) {
  const seen = seenSize(size, turns);
  let {x, y, w, h} = box, {width, height} = seen;
  if (mirrored) x = width - x - w;
  for (let n = 0; n < (4 - turns) % 4; n++) { [x, y, w, h] = [height - y - h, x, h, w]; [width, height] = [height, width]; }
  return {x, y, w, h};
}
/* One more step on what is seen: right, left (quarter turns), mirror (left to right), flip (top to bottom). */
export function stepped({turns, mirrored}, step) {
  const by = {right: mirrored ? -1 : 1, left: mirrored ? 1 : -1, mirror: 0, flip: 2}[step];
  return {turns: (turns + by + 4) % 4, mirrored: step === 'mirror' || step === 'flip' ? !mirrored : mirrored};
}
export const moved = (box, dx, dy, size) => ({...box, x: clamp(box.x + dx, 0, size.width - box.w), y: clamp(box.y + dy, 0, size.height - box.h)});

/* The box with the edge or corner (dx, dy: -1, 0, 1) drawn to (px, py); what lies across stays. `aspect` is width over height, or 0 for any. */
export function resized(box, dx, dy, px, py, size, aspect) {
  if (!aspect) {
    const left = dx < 0 ? clamp(px, 0, box.x + box.w - MIN) : box.x, right = dx > 0 ? clamp(px, box.x + MIN, size.width) : box.x + box.w;
    const top = dy < 0 ? clamp(py, 0, box.y + box.h - MIN) : box.y, bottom = dy > 0 ? clamp(py, box.y + MIN, size.height) : box.y + box.h;
    return {x: left, y: top, w: right - left, h: bottom - top};
  }
  const cx = box.x + box.w / 2, cy = box.y + box.h / 2, ax = dx < 0 ? box.x + box.w : dx > 0 ? box.x : cx, ay = dy < 0 ? box.y + box.h : dy > 0 ? box.y : cy;
  const wide = dx ? Math.max(0, (px - ax) * dx) : 0, high = dy ? Math.max(0, (py - ay) * dy) : 0;
  const roomX = dx < 0 ? ax : dx > 0 ? size.width - ax : 2 * Math.min(cx, size.width - cx), roomY = dy < 0 ? ay : dy > 0 ? size.height - ay : 2 * Math.min(cy, size.height - cy);
  const w = Math.min(Math.max(wide, high * aspect, MIN, MIN * aspect), roomX, roomY * aspect), h = w / aspect;
  return {x: dx < 0 ? ax - w : dx > 0 ? ax : cx - w / 2, y: dy < 0 ? ay - h : dy > 0 ? ay : cy - h / 2, w, h};
}
/* The largest box of this shape whose middle is as near to that of `box` as it can be. */
export function shaped(box, size, aspect) {
  const w = Math.min(size.width, size.height * aspect), h = w / aspect;
  return moved({x: box.x + box.w / 2 - w / 2, y: box.y + box.h / 2 - h / 2, w, h}, 0, 0, size);
}
/* Whole px inside the picture. */
export function rounded(box, size) {
  const x = clamp(Math.round(box.x), 0, size.width), y = clamp(Math.round(box.y), 0, size.height);
  return {x, y, w: clamp(Math.round(box.x + box.w), x + 1, size.width) - x, h: clamp(Math.round(box.y + box.h), y + 1, size.height) - y};
}
/* 3:2, or 1.37:1 where no small numbers say it. */
export function shapeName(w, h) {
  for (let n = 1; n <= 21; n++) { const m = (w / h) * n; if (Math.abs(m - Math.round(m)) < 0.012 * n / 3 && Math.round(m) <= 21 && Math.round(m) > 0) return `${Math.round(m)}:${n}`; }
  return `${(w / h).toFixed(2)}:1`;
}
