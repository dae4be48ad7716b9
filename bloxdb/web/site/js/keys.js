// What a text names, by the rule of `bloxdb.space.find_arch` (bloxdb/space/keys.py); a test asks both.

import { hashes } from "./data.js";
import { say } from "./dom.js";

// what Python's `str.strip` takes away, which is not what `trim` does
const BLANK = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const AROUND = new RegExp(`^${BLANK}|${BLANK}$`, "g");
const INDEX = /^(?:[+-]?[0-9]{1,7}|[+-][0-9]{8,}|[0-9]{33,})$/;
const LONGEST = 100; // letters of an index; longer ones are out of range whatever they are
const HASH = /^[0-9a-fA-F]{8,32}$/;
const INTEGERS = /^[[\]0-9,\- \t\n\r]*$/; // JSON of nothing else: for `JSON.parse` 1.0 would be an integer

/** The architecture that a text names, null if there is none; an error where the text is malformed. */
export async function find(space, text) {
  const key = text.replace(AROUND, "");
  if (INDEX.test(key)) {
    const index = key.length <= LONGEST ? Number(key) : -1;
    return index >= 0 && index < space.count ? index + 0 : null; // + 0: "-0" is 0
  }
  if (HASH.test(key)) return ofHash(space, key.toLowerCase());
  const blocks = parsed(space, text, key.startsWith("[")).map((cell) => space.facts.cells[cell.join(",")]);
  return blocks.includes(undefined) ? null : space.archOf(blocks); // a cell without a path is no block
}

async function ofHash(space, digits) {
  const all = await hashes();
  const starts = new DataView(all.buffer);
  const start = parseInt(digits.slice(0, 8), 16);
  for (let arch = 0; arch < space.count; arch++) {
    if (starts.getUint32(16 * arch) === start && hashAt(all, arch).startsWith(digits)) return arch;
  }
  return null;
}

/** The hash of an architecture, out of the bytes of all. */
export function hashAt(all, arch) {
  let text = "";
  for (const byte of all.subarray(16 * arch, 16 * arch + 16)) text += byte.toString(16).padStart(2, "0");
  return text;
}

/** The cells of a vector, nested or flat, with brackets around it or without. */
function parsed(space, text, isListed) {
  const vec = json(space, isListed ? text : `[${text}]`, text);
  const { stages } = space;
  const fields = Object.entries(space.facts.fields);
  let flat = vec;
  if (vec.length === stages) flat = vec.flatMap((cell, stage) => numbersOf(cell, stage, stages));
  else if (vec.length !== stages * fields.length) {
    throw new Error(`an architecture vector has ${stages} cells or ${stages * fields.length} flat integers, this one has ${vec.length} entries; write it like ${space.vec(0)}`);
  }
  flat.forEach((value, place) => {
    const [name, limit] = fields[place % fields.length];
    if (typeof value !== "number" || value < 0 || value >= limit) {
      const stage = Math.floor(place / fields.length) + 1;
      throw new Error(`${name} of cell ${stage} of ${stages} must be an integer in 0 … ${limit - 1}, not ${JSON.stringify(value).slice(0, 80)}`);
    }
  });
  return Array.from({ length: stages }, (_, stage) => flat.slice(stage * fields.length, (stage + 1) * fields.length));
}

function json(space, listed, text) {
  try {
    if (INTEGERS.test(listed)) return JSON.parse(listed);
  } catch {
    // told below
  }
  throw new Error(`“${text.slice(0, 80)}” is not an architecture vector like ${space.vec(0)}, nor a model hash or its first 8 or more hex digits, nor an index`);
}

function numbersOf(cell, stage, stages) {
  const [ops, wiring] = Array.isArray(cell) && cell.length === 2 ? cell : [];
  if (Array.isArray(ops) && Array.isArray(wiring) && ops.length === 1 && wiring.length === 4) return [...ops, ...wiring];
  throw new Error(`cell ${stage + 1} of ${stages} must look like [[op1], [op2, prev, input, skip]], but is ${JSON.stringify(cell).slice(0, 80)}`);
}

/** The architecture that a field names; null, and the field says why, where there is none. */
export async function named(space, field) {
  let words = "There is no such architecture: write an index from 0 on, a hash or its first eight digits, or a vector.";
  try {
    const arch = await find(space, field.value);
    if (arch !== null) return arch;
  } catch (error) {
    words = error.message;
  }
  field.setCustomValidity(words);
  field.addEventListener("input", () => field.setCustomValidity(""), { once: true });
  field.reportValidity();
  say(words);
  return null;
}
