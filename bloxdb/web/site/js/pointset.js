// What a scatter shows: runs, or the means of architectures over seeds, with every measure as a column.

import { latencies, means, runs } from "./data.js";

const BEST_EPOCH = { name: "best_epoch", label: "best epoch", unit: "", decimals: 0, higher: false };

export class Points {
  /** All runs, or all means. */
  static async load(facts, space, areMeans = false) {
    return new Points(facts, space, await (areMeans ? means() : runs()), areMeans);
  }

  constructor(facts, space, { header, values }, areMeans) {
    this.facts = facts;
    this.space = space;
    this.areMeans = areMeans;
    this.groups = header.groups;
    this.count = header.rows;
    this.stored = values;
    this.arch = Int32Array.from(values.arch_id ?? []);
    this.group = new Int32Array(this.count);
    this.columns = new Map();
    let at = 0;
    header.groups.forEach((group, number) => {
      this.group.fill(number, at, at + group.rows);
      at += group.rows;
    });
  }

  /** What can be asked of the points: costs, what was measured of runs, latencies. */
  measures() {
    return [
      ...this.facts.measures.filter((one) => one.cost || one.name in this.stored),
      ...("best_epoch" in this.stored ? [BEST_EPOCH] : []),
      ...this.facts.latencies,
    ];
  }

  measure(name) {
    return this.measures().find((one) => one.name === name);
  }

  /** A measure by row, NaN where it is not known. */
  async values(name) {
    if (!this.columns.has(name)) this.columns.set(name, await this.#made(name));
    return this.columns.get(name);
  }

  async #made(name) {
    const measure = this.measure(name);
    if (!measure) throw new Error(`there is no measure ${name}`);
    if (measure.cost) return this.space.costs(this.arch, name);
    if (measure.device === undefined) return this.stored[name];
    const ofAll = (await latencies()).values[name];
    return Float64Array.from(this.arch, (arch) => ofAll?.[arch] ?? NaN);
  }

  recipe(group) {
    return this.facts.recipes.find((one) => one.id === this.groups[group].recipe);
  }

  /** The recipe of most of the points, by which a view begins; null where there are none. */
  mainRecipe() {
    const rows = new Map();
    for (const group of this.groups) rows.set(group.recipe, (rows.get(group.recipe) ?? 0) + group.rows);
    const [most] = [...rows].sort((a, b) => b[1] - a[1]);
    return most ? this.facts.recipes.find((one) => one.id === most[0]) : null;
  }

  /** How many recipes the points are of. */
  groupRecipes() {
    return new Set(this.groups.map((group) => group.recipe)).size;
  }

  groupNames() {
    const several = this.groupRecipes() > 1;
    return this.groups.map((group, at) => {
      const seed = group.seed === null ? "mean of seeds" : `seed ${group.seed}`;
      return several ? `${this.recipe(at).name}, ${seed}` : seed;
    });
  }

  groupSql(group) {
    const { recipe, seed } = this.groups[group];
    return `r.recipe_id = ${recipe}${seed === null ? "" : ` AND r.seed = ${seed}`}`;
  }

  /** The rows of a recipe's name and a seed; all where these are empty. */
  rows(recipe, seed) {
    const wanted = this.groups.map((group, at) => (
      (!recipe || this.recipe(at).name === recipe) && (!seed || group.seed === null || group.seed === seed)
    ));
    const found = new Int32Array(this.count);
    let count = 0;
    for (let row = 0; row < this.count; row++) if (wanted[this.group[row]]) found[count++] = row;
    return found.subarray(0, count);
  }
}
