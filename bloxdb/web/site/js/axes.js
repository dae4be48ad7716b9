// Ticks of axes, linear and logarithmic.

import { short } from "./format.js";

/** [value, words] of each tick between two values. */
export function ticks(low, high, count, isLog) {
  if (!(high > low)) return [];
  if (isLog) return logTicks(low, high, count);
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => power * factor >= rough) ?? 10);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high; n++) found.push([n * step, short(n * step, step)]);
  return found;
}

function logTicks(low, high, count) {
  const decades = Math.log10(high / low);
  if (decades < 0.7) return ticks(low, high, count, false);
  const factors = decades > count ? [1] : decades > count / 3 ? [1, 3] : [1, 2, 5];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const factor of factors) {
      const value = factor * 10 ** power;
      if (value >= low && value <= high) found.push([value, short(value)]);
    }
  }
  return found;
}

/** The values between which all are, with a little room; a range of its own where all are the same. */
export function extent(values, rows) {
  let low = Infinity;
  let high = -Infinity;
  for (let n = 0; n < rows.length; n++) {
    const value = values[rows[n]];
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (low === Infinity) return [0, 1];
  const room = low === high ? Math.abs(low) * 0.05 || 1 : (high - low) * 0.04;
  return [low - room, high + room];
}
