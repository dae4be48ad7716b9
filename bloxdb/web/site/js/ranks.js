// Where an architecture stands among all, and what its neighbours gain: from the mean over seeds of each.

import { Points } from "./pointset.js";

/** The value of every architecture under a recipe, NaN where it has none; means where there are several seeds. */
export async function valuesOf(facts, space, recipe, name) {
  const isOne = facts.seeds.filter((one) => one.recipe === recipe.id).length < 2;
  const points = await Points.load(facts, space, !isOne);
  const found = new Float64Array(space.count).fill(NaN);
  if (!points.measure(name)) return found;
  const values = await points.values(name);
  for (const row of points.rows(recipe.name, "")) found[points.arch[row]] = values[row];
  return found;
}

/** {rank, of, share}: how many are better, and one; of how many; the share that is not better, in percent. */
export function rankOf(values, arch, isHigher) {
  const own = values[arch];
  if (Number.isNaN(own)) return null;
  let better = 0;
  let of = 0;
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    of += 1;
    if (isHigher ? value > own : value < own) better += 1;
  }
  return { rank: better + 1, of, share: (100 * (of - better)) / of };
}
