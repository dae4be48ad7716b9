// All about one architecture.

import { keep, to } from "./address.js";
import { curveChart, linesOf } from "./curves.js";
import { forgetCurves, latencies, runsOf } from "./data.js";
import { choice, h, table } from "./dom.js";
import { drawing } from "./drawing.js";
import { count, shown, signed } from "./format.js";
import { find } from "./keys.js";
import { rankOf, valuesOf } from "./ranks.js";

export async function show(page) {
  const { facts, space, content, params } = page;
  const arch = await find(space, page.rest[0] ?? "");
  if (arch === null) throw new Error(`there is no architecture ${page.rest[0] ?? ""}: an index is in 0 … ${space.count - 1}, a hash has its first eight digits at least`);
  page.title(`architecture ${arch}`);
  if (facts.tables) forgetCurves();
  const [{ hash, runs }, image] = await Promise.all([runsOf(arch), drawing(space, arch)]);
  const settings = { measure: params.get("measure"), log: params.has("log"), recipe: params.get("recipe"), by: params.get("by") };
  const chart = curveChart(facts, linesOf(facts, [{ arch, runs }]), settings, (what) => write(what));
  const around = h("section", { class: "card wide" }, h("h2", {}, "Neighbours"), h("p", { class: "wait" }, "Loading …"));
  const ranks = h("div");

  content.append(
    h("div", { class: "heading" },
      h("h1", {}, `Architecture ${arch}`),
      h("p", { class: "faint" }, h("code", {}, hash)),
      h("p", {}, h("a", { class: "button", href: to("compare", "", { archs: arch }) }, "Compare with others"), " ",
        arch > 0 && h("a", { class: "button", href: to("arch", arch - 1), "aria-label": "the architecture before" }, "←"), " ",
        arch < space.count - 1 && h("a", { class: "button", href: to("arch", arch + 1), "aria-label": "the next architecture" }, "→")),
    ),
    h("div", { class: "cards" },
      h("section", { class: "card" }, h("h2", {}, "Network"), image, h("p", { class: "faint" }, h("code", {}, space.vec(arch)))),
      h("section", { class: "card" }, h("h2", {}, "Costs"), costs(space, arch), await ofDevices(facts, arch), ranks),
      h("section", { class: "card wide" }, h("h2", {}, `Runs`), runTable(facts, runs), environments(facts, runs)),
      h("section", { class: "card wide" }, h("h2", {}, "Learning curves"), chart.element, note(facts, runs)),
      around,
    ),
  );
  // what needs the numbers of all runs comes after what is about this one
  compareAll().catch((error) => around.replaceChildren(h("h2", {}, "Neighbours"), h("p", { role: "alert" }, error.message)));
  return () => chart.close();

  function write(what) {
    Object.assign(settings, what);
    keep("arch", arch, settings);
  }

  async function compareAll() {
    const recipe = facts.recipes.find((one) => one.name === settings.recipe) ?? facts.recipes.find((one) => runs.some((run) => run.recipe_id === one.id)) ?? facts.recipes[0];
    if (!recipe) {
      around.replaceChildren(h("h2", {}, "Neighbours"), h("p", {}, "Nothing was trained yet, so nothing is known of them."));
      return;
    }
    const measures = facts.measures.filter((one) => !one.cost);
    const measure = measures.find((one) => one.name === settings.by) ?? measures.find((one) => one.name === facts.ranked_by);
    const values = await valuesOf(facts, space, recipe, measure.name);
    const controls = h("div", { class: "controls" },
      choice("Measure", measures.map((one) => [one.name, one.label]), measure.name, (by) => { write({ by }); compareAll(); }),
      facts.recipes.length > 1 && choice("Recipe", facts.recipes.map((one) => [one.name, one.name]), recipe.name, (name) => { write({ recipe: name }); compareAll(); }));
    around.replaceChildren(h("h2", {}, "Neighbours"), controls, ...neighbours(values, measure));
    const found = await Promise.all(measures.map(async (one) => [one, rankOf(await valuesOf(facts, space, recipe, one.name), arch, one.higher)]));
    const known = found.filter(([, rank]) => rank);
    ranks.replaceChildren(...(known.length ? [
      h("h3", {}, "Rank among all"),
      table([
        { title: "measure", cell: ([one]) => one.label },
        { title: "rank", number: true, cell: ([, rank]) => `${rank.rank.toLocaleString("en")} of ${rank.of.toLocaleString("en")}` },
        { title: "percentile", number: true, cell: ([, rank]) => `${rank.share.toFixed(rank.share > 99 ? 2 : 1)} %` },
      ], known, "Rank and percentile"),
    ] : []));
  }

  function neighbours(values, measure) {
    const own = values[arch];
    const found = space.neighbours(arch).map(([stage, block, other]) => ({ stage, block, other, gain: values[other] - own }));
    const known = found.filter((one) => !Number.isNaN(one.gain));
    if (!known.length) return [h("p", {}, `Of none of the ${found.length} neighbours and this one ${measure.label} is known.`)];
    const good = (one) => (measure.higher ? one.gain > 0 : one.gain < 0);
    const best = known.reduce((a, b) => ((measure.higher ? b.gain > a.gain : b.gain < a.gain) ? b : a));
    const most = Math.max(...known.map((one) => Math.abs(one.gain))) || 1;
    const decimals = measure.decimals === 0 ? 0 : 2;
    const ownBlocks = space.blocksOf(arch);
    const blocks = space.blocks.map((_, block) => block).sort((a, b) => space.blockName(a).localeCompare(space.blockName(b)));
    const cell = (block, stage) => {
      if (ownBlocks[stage] === block) return h("span", { class: "own" }, "this");
      const one = found.find((other) => other.stage === stage && other.block === block);
      const link = h("a", { class: "gain", href: to("arch", one.other), "aria-label": `stage ${stage + 1}: ${space.blockName(block)}, ${signed(one.gain, decimals)}` }, signed(one.gain, decimals));
      if (!Number.isNaN(one.gain)) {
        link.style.setProperty("--share", `${(100 * Math.abs(one.gain)) / most}%`);
        link.classList.add(good(one) ? "better" : one.gain === 0 ? "same" : "worse");
      }
      return link;
    };
    return [
      h("p", {}, `Change one block: ${known.filter(good).length} of ${known.length} neighbours that are known are better in ${measure.label}. The best, with ${space.blockName(best.block)} in stage ${best.stage + 1}, is `,
        h("a", { href: to("arch", best.other) }, `architecture ${best.other}`), `, ${signed(best.gain, decimals)} ${measure.unit}.`),
      h("div", { class: "schemes" }, [...new Set(blocks.map((block) => space.blocks[block].scheme))].map((scheme) => table([
        { title: scheme, cell: (block) => space.blockName(block).slice(scheme.length + 1) },
        ...ownBlocks.map((_, stage) => ({ title: `stage ${stage + 1}`, number: true, cell: (block) => cell(block, stage) })),
      ], blocks.filter((block) => space.blocks[block].scheme === scheme), `What ${measure.label} gains or loses with another block of ${scheme} in a stage`))),
    ];
  }
}

function costs(space, arch) {
  const { block_costs: ofBlocks, skeleton, costs: names } = space.facts;
  const blocks = space.blocksOf(arch);
  const rows = [
    ...blocks.map((block, stage) => ({ name: `stage ${stage + 1}: ${space.blockName(block)}`, costs: ofBlocks[block][stage] })),
    { name: "stem, reductions, head", costs: skeleton },
    { name: "all", costs: names.map((name) => space.cost(arch, name)) },
  ];
  const all = rows.at(-1).costs;
  const bar = (value, which) => {
    const element = h("span", { class: "share" });
    element.style.setProperty("--share", `${(100 * value) / all[which]}%`);
    return h("span", { class: "cost" }, element, value.toLocaleString("en"));
  };
  return table([
    { title: "part", cell: (row) => row.name },
    ...["FLOPs", "parameters"].map((title, which) => ({ title, number: true, cell: (row) => bar(row.costs[which], which) })),
  ], rows, "Costs by part");
}

async function ofDevices(facts, arch) {
  if (!facts.devices.length) return "";
  const { values } = await latencies();
  const rows = facts.latencies.filter((one) => values[one.name] && !Number.isNaN(values[one.name][arch]));
  if (!rows.length) return "";
  const faster = (one) => rankOf(values[one.name], arch, false);
  return h("div", {}, h("h3", {}, "Latency"), table([
    { title: "device", cell: (one) => one.name.slice("latency:".length) },
    { title: "latency (ms)", number: true, cell: (one) => shown(values[one.name][arch], one) },
    { title: "rank", number: true, cell: (one) => { const { rank, of } = faster(one); return `${rank.toLocaleString("en")} of ${of.toLocaleString("en")}`; } },
  ], rows, "Latencies"));
}

export function runTable(facts, runs) {
  if (!runs.length) return h("p", {}, "It was not trained yet.");
  const measures = facts.measures.filter((one) => !one.cost && runs.some((run) => run[one.name] !== null));
  return table([
    { title: "recipe", cell: (run) => facts.recipes.find((one) => one.id === run.recipe_id).name },
    { title: "seed", number: true, cell: (run) => run.seed },
    { title: "status", cell: (run) => h("span", { class: `status ${run.status}` }, run.status) },
    { title: "best epoch", number: true, cell: (run) => (run.best_epoch === null ? "–" : String(run.best_epoch)) },
    ...measures.map((one) => ({ title: one.unit && one.unit.length < 5 ? `${one.label} (${one.unit})` : one.label, number: true, cell: (run) => shown(run[one.name], one) })),
    ...(runs.some((run) => run.finished_at) ? [{ title: "ended", cell: (run) => run.finished_at?.replace("T", " ").replace("Z", " UTC") ?? "–" }] : []),
    ...(runs.some((run) => run.message) ? [{ title: "message", wraps: true, cell: (run) => run.message ?? "" }] : []),
  ], runs, "Runs");
}

function environments(facts, runs) {
  const ids = [...new Set(runs.map((run) => run.env_id).filter((id) => id !== null))];
  if (!ids.length) return "";
  return h("details", {}, h("summary", {}, ids.length > 1 ? `${ids.length} environments` : "Environment"), ids.map((id) => {
    const rows = Object.entries(facts.envs[id] ?? {}).filter(([, value]) => value);
    const seeds = runs.filter((run) => run.env_id === id).map((run) => run.seed);
    return h("div", {}, h("p", { class: "faint" }, `of seed ${seeds.join(", ")}`), h("dl", {}, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
  }));
}

function note(facts, runs) {
  const isHidden = runs.some((run) => facts.recipes.find((one) => one.id === run.recipe_id).first_epoch_is_best);
  return isHidden ? h("p", { class: "hint" }, "Epoch 1 has the best epoch’s validation in these files instead of its own, so it is not shown.") : "";
}
