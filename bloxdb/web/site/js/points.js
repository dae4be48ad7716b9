// Very many points on a canvas, by writing pixels: as fast as a graphics card is asked for some 100,000 of them,
// and the same picture where there is none, as on a machine that is reached from afar.

const STEPS = [40_487, 40_493, 40_499]; // primes, to draw points in no order: or the last class would hide the others

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
 * Draw points onto a canvas.
 *
 * layers: each {rows, colours, of, opacity, radius}: which points, the colours, for each row which colour (or
 * null for the first), from 0 to 1, and in pixels of CSS.
 * place: {x, y, left, top, xScale, yScale, ...}: where a value is on the canvas, in its own pixels.
 */
export function drawPoints(canvas, xs, ys, place, layers, paper) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d", { alpha: false });
  const image = context.createImageData(width, height);
  const pixels = new Int32Array(image.data.buffer);
  pixels.fill(packed(paper) | 0xff000000);
  for (const layer of layers) {
    const { reach, pixels: shape } = disc(layer.radius * place.density);
    const offsets = Int32Array.from(shape, ([dx, dy]) => dy * width + dx);
    const covers = Int32Array.from(shape, (pixel) => Math.round(pixel[2] * layer.opacity));
    const colours = Int32Array.from(layer.colours, packed);
    const { rows, of } = layer;
    const step = STEPS.find((prime) => rows.length % prime !== 0) % rows.length;
    for (let n = 0, at = 0; n < rows.length; n++, at = (at + step) % rows.length) {
      const row = rows[at];
      const x = Math.round(place.x0 + xs[row] * place.xScale);
      const y = Math.round(place.y0 + ys[row] * place.yScale);
      if (!(x >= reach && x < width - reach && y >= reach && y < height - reach)) continue;
      const colour = colours[of ? of[row] : 0];
      const redBlue = colour & 0xff00ff;
      const green = colour & 0xff00;
      const middle = y * width + x;
      for (let i = 0; i < offsets.length; i++) {
        const cover = covers[i];
        const pixel = middle + offsets[i];
        const old = pixels[pixel];
        const rest = 256 - cover;
        pixels[pixel] = ((Math.imul(old & 0xff00ff, rest) + Math.imul(redBlue, cover)) >>> 8) & 0xff00ff
          | ((Math.imul(old & 0xff00, rest) + Math.imul(green, cover)) >>> 8) & 0xff00
          | 0xff000000;
      }
    }
  }
  context.putImageData(image, 0, 0);
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
