// Chosen rows as a file of comma-separated values.

import { hashes } from "./data.js";
import { hashAt } from "./keys.js";

export async function csvOf(points, rows) {
  const measures = points.measures();
  const [all, ...columns] = await Promise.all([hashes(), ...measures.map((one) => points.values(one.name))]);
  const kept = measures.map((_, at) => at).filter((at) => rows.some((row) => !Number.isNaN(columns[at][row])));
  const lines = [["arch_id", "hash", "vec", "recipe", points.areMeans ? "seeds" : "seed", ...kept.map((at) => measures[at].name)]];
  for (const row of rows) {
    const arch = points.arch[row];
    const { seed } = points.groups[points.group[row]];
    const numbers = kept.map((at) => (Number.isNaN(columns[at][row]) ? "" : String(columns[at][row])));
    lines.push([arch, hashAt(all, arch), points.space.vec(arch), points.recipe(points.group[row]).name, seed ?? "mean", ...numbers]);
  }
  return lines.map((line) => `${line.map(field).join(",")}\r\n`).join("");
}

/** A text in quotes where it needs them; one that a spreadsheet would compute begins with a quote. */
function field(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) && Number.isNaN(Number(value)) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
