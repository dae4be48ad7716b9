// Very many points on a canvas, by writing pixels: as fast as a graphics card is asked for some 100,000 of them,
// and the same picture where there is none, as on a machine that is reached from afar.

const STEPS = [40_487, 40_493, 40_499]; // primes, of which one divides no number of points that there is

/** Discs with soft edges: for each pixel around the middle how much of it is covered, of 256. */
function disc(radius) {
  const reach = Math.ceil(radius);
  const pixels = [];
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const covered = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(dx, dy)));
      if (covered > 0) pixels.push([dx, dy, covered * 256]);
    }
  }
  return { reach, pixels };
}

/** A colour as the canvas has it in memory, without its opacity. */
function packed(text) {
  const [r, g, b] = rgb(text);
  return r | (g << 8) | (b << 16);
}

/** Red, green and blue of a colour that CSS knows. */
export function rgb(text) {
  const context = rgb.context ??= document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  context.fillStyle = text;
  context.fillRect(0, 0, 1, 1);
  return context.getImageData(0, 0, 1, 1).data.subarray(0, 3);
}

/**
 * Points as they are drawn: in no order, or the last class would hide the others; and one after the other in
 * memory, which is four times as fast as to look each up.
 */
export function lined(rows, xs, ys, of) {
  const count = rows.length;
  const found = { count, x: new Float64Array(count), y: new Float64Array(count), of: of && new Uint16Array(count) };
  const step = STEPS.find((prime) => count % prime !== 0) % count;
  for (let n = 0, at = 0; n < count; n++, at = (at + step) % count) {
    const row = rows[at];
    found.x[n] = xs[row];
    found.y[n] = ys[row];
    if (of) found.of[n] = of[row];
  }
  return found;
}

/**
 * Draw points onto a canvas.
 *
 * place: where a value is on the canvas, in its pixels: x0 + value * xScale; and pixels a pixel of CSS, density.
 * layers: each {points, colours, opacity, radius}: what `lined` gave, its colours, from 0 to 1, and in pixels of
 * CSS.
 */
export function drawPoints(canvas, place, layers, paper) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d", { alpha: false });
  const image = context.createImageData(width, height);
  const pixels = new Int32Array(image.data.buffer);
  pixels.fill(packed(paper) | 0xff000000);
  for (const layer of layers) {
    const { reach, pixels: shape } = disc(layer.radius * place.density);
    const offsets = Int32Array.from(shape, ([dx, dy]) => dy * width + dx);
    const covers = Int32Array.from(shape, (pixel) => Math.round(pixel[2] * layer.opacity));
    paint(pixels, width, height, layer.points, place, reach, offsets, covers, Int32Array.from(layer.colours, packed));
  }
  context.putImageData(image, 0, 0);
}

function paint(pixels, width, height, points, place, reach, offsets, covers, colours) {
  const { count, x: xs, y: ys, of } = points;
  const { x0, y0, xScale, yScale } = place;
  const [right, bottom] = [width - reach - 1, height - reach - 1];
  for (let n = 0; n < count; n++) {
    const px = x0 + xs[n] * xScale; // compared before it is made an integer of 32 bits, which far away it is not
    const py = y0 + ys[n] * yScale;
    if (!(px >= reach && px < right && py >= reach && py < bottom)) continue;
    const x = (px + 0.5) | 0;
    const y = (py + 0.5) | 0;
    const colour = colours[of === null ? 0 : of[n]];
    const redBlue = colour & 0xff00ff;
    const green = colour & 0xff00;
    const middle = y * width + x;
    for (let i = 0; i < offsets.length; i++) {
      const cover = covers[i];
      const at = middle + offsets[i];
      const old = pixels[at];
      const rest = 256 - cover;
      pixels[at] = ((Math.imul(old & 0xff00ff, rest) + Math.imul(redBlue, cover)) >>> 8) & 0xff00ff
        | ((Math.imul(old & 0xff00, rest) + Math.imul(green, cover)) >>> 8) & 0xff00
        | 0xff000000;
    }
  }
}

/** The row that is nearest to a place on the canvas, -1 where none is so near. */
export function nearest(xs, ys, rows, place, x, y, most) {
  let found = -1;
  let least = most * most;
  for (let n = 0; n < rows.length; n++) {
    const row = rows[n];
    const dx = place.x0 + xs[row] * place.xScale - x;
    const dy = place.y0 + ys[row] * place.yScale - y;
    const distance = dx * dx + dy * dy;
    if (distance < least) {
      least = distance;
      found = row;
    }
  }
  return found;
}

/** Whether a point is within a polygon, a list of [x, y]. */
export function within(polygon, x, y) {
  let inside = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [ax, ay] = polygon[i];
    const [bx, by] = polygon[j];
    if ((ay > y) !== (by > y) && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

/** The rows that no other beats, from the best x on; xSign and ySign are -1 where less is better. */
export function front(xs, ys, rows, xSign, ySign) {
  const order = Int32Array.from(rows).sort((a, b) => (
    xSign * (xs[b] - xs[a]) || ySign * (ys[b] - ys[a]) || a - b
  ));
  const found = [];
  let best = -Infinity;
  for (const row of order) {
    if (ySign * ys[row] > best) {
      best = ySign * ys[row];
      found.push(row);
    }
  }
  return found;
}
