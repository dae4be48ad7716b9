// What is in this database, in numbers and one small figure, and how to cite it.

import { to } from "./address.js";
import { colouring } from "./colours.js";
import { training } from "./data.js";
import { colour, h, table } from "./dom.js";
import { drawing } from "./drawing.js";
import { count, shown } from "./format.js";
import { Plot } from "./plot.js";
import { front } from "./points.js";
import { Points } from "./pointset.js";
import { progress } from "./training.js";

export async function show(page) {
  const { facts, space, content } = page;
  const [points, { overview }] = await Promise.all([Points.load(facts, space), training()]);
  const seeds = new Set(facts.seeds.map((one) => one.seed)).size;
  const trained = new Set(points.arch).size;
  const number = (n, words) => h("div", { class: "tile" }, h("b", {}, typeof n === "number" ? n.toLocaleString("en") : n), h("span", {}, words));
  const measure = facts.measures.find((one) => one.name === facts.ranked_by);
  const main = points.mainRecipe();
  const own = points.rows(main?.name, "");
  const best = points.count && facts.ranked_by in points.stored ? await bestOf(points, own, measure) : null;
  const of = points.groupRecipes() > 1 ? `, ${main.name}` : "";
  content.append(
    h("h1", {}, facts.title),
    h("p", {}, `A database of the Blox benchmark: ${space.count.toLocaleString("en")} convolutional networks, made of one of ${space.blocks.length} blocks in each of ${space.stages} stages, and what training them gave.`),
    h("div", { class: "numbers" },
      number(points.count, points.count === 1 ? "finished run" : "finished runs"),
      number(trained, `of ${space.count.toLocaleString("en")} architectures trained`),
      number(facts.recipes.length, facts.recipes.length === 1 ? "recipe" : "recipes"),
      number(seeds, seeds === 1 ? "seed" : "seeds"),
      number(facts.devices.length, facts.devices.length === 1 ? "device with latencies" : "devices with latencies"),
      best && number(`${shown(best.value, measure)} ${measure.unit}`, `the best ${measure.label}${of}`)),
  );
  const cards = h("div", { class: "cards" });
  content.append(cards);
  let plot = null;
  if (best) {
    plot = new Plot({ words: `${measure.label} against FLOPs, all runs${of}`, show: () => [], pick: () => { location.hash = to("scatter"); }, brush: () => { location.hash = to("scatter"); }, moved: () => {} });
    plot.element.classList.add("small");
    plot.under = () => -1;
    const [xs, ys] = await Promise.all([points.values("flops"), points.values(measure.name)]);
    const rows = own.filter((row) => !Number.isNaN(ys[row]));
    plot.set({ xs, ys, rows, chosen: null, colouring: await colouring(points, "scheme:3", colour("mark")), front: front(xs, ys, rows, -1, measure.higher ? 1 : -1), logX: false, logY: false, xLabel: "FLOPs (multiply-accumulates)", yLabel: `${measure.label} (${measure.unit})` });
    cards.append(
      h("section", { class: "card" }, h("h2", {}, `What accuracy costs${of}`), plot.element, h("p", {}, h("a", { class: "button", href: to("scatter") }, "Explore all runs"))),
      h("section", { class: "card" }, h("h2", {}, `The best${of}`), await drawing(space, best.arch),
        h("p", {}, h("a", { href: to("arch", best.arch) }, `Architecture ${best.arch}`), ` has ${shown(best.value, measure)} ${measure.unit} with ${(space.cost(best.arch, "flops") / 1e6).toFixed(1)} MFLOPs and ${(space.cost(best.arch, "params") / 1e6).toFixed(2)} M parameters.`)),
    );
  }
  cards.append(
    h("section", { class: "card wide" }, h("h2", {}, "Runs"), overview.length ? table([
      { title: "recipe", cell: (row) => row.recipe },
      { title: "data set", cell: (row) => facts.recipes.find((one) => one.name === row.recipe)?.dataset ?? "" },
      { title: "epochs", number: true, cell: (row) => String(row.epochs) },
      { title: "seed", number: true, cell: (row) => row.seed },
      { title: "", cell: progress },
      { title: "finished", number: true, cell: (row) => row.finished.toLocaleString("en") },
      ...["best", "median", "worst"].map((name) => ({ title: name === "best" ? `best ${measure.label} (${measure.unit})` : name, number: true, cell: (row) => shown(row[name], measure) })),
    ], overview, "Runs by recipe and seed") : h("p", {}, "There are no runs yet.")),
    facts.devices.length ? h("section", { class: "card" }, h("h2", {}, "Devices"), table([
      { title: "device", cell: (row) => row.name },
      { title: "architectures", number: true, cell: (row) => row.archs.toLocaleString("en") },
      { title: "", cell: (row) => h("a", { href: to("scatter", "", { x: `latency:${row.name}` }) }, "scatter") },
    ], facts.devices, "Devices")) : "",
    h("section", { class: "card" }, h("h2", {}, "How to cite"), h("p", {}, "Whoever uses the data of this benchmark cites it:"), h("blockquote", {}, facts.citation)),
  );
  content.addEventListener("shown", () => plot?.draw());
  return () => plot?.close();
}

async function bestOf(points, rows, measure) {
  const values = await points.values(measure.name);
  let found = -1;
  for (const row of rows) {
    if (Number.isNaN(values[row])) continue;
    if (found < 0 || (measure.higher ? values[row] > values[found] : values[row] < values[found])) found = row;
  }
  return found < 0 ? null : { arch: points.arch[found], value: values[found] };
}
