// Up to eight architectures side by side.

import { keep, to } from "./address.js";
import { curveChart, linesOf } from "./curves.js";
import { forgetCurves, latencies, runsOf } from "./data.js";
import { h, table } from "./dom.js";
import { drawing } from "./drawing.js";
import { shown } from "./format.js";
import { find, named } from "./keys.js";
import { MOST_COMPARED } from "./listing.js";
import { valuesOf } from "./ranks.js";

export async function show(page) {
  const { facts, space, content, params } = page;
  const keys = (params.get("archs") ?? "").split(",").filter(Boolean);
  const known = await Promise.all(keys.map((key) => find(space, key).catch(() => null)));
  const archs = [...new Set(known.filter((arch) => arch !== null))].slice(0, MOST_COMPARED);
  if (facts.tables) forgetCurves();
  const address = (others, more = {}) => to("compare", "", { archs: others.join(","), measure: params.get("measure"), log: params.has("log"), ...more });
  const add = h("form", { class: "controls", onsubmit: added },
    h("label", { class: "field" }, h("span", {}, "Add"), h("input", { name: "key", placeholder: "index, hash or vector", autocomplete: "off", "aria-label": "Architecture to add" })),
    h("button", { disabled: archs.length >= MOST_COMPARED }, "Add"));
  content.append(h("h1", {}, "Compare"), h("p", { class: "faint" }, `Up to ${MOST_COMPARED} architectures, side by side.`), add);

  async function added(event) {
    event.preventDefault();
    const arch = await named(space, add.elements.key);
    if (arch !== null) location.hash = address([...new Set([...archs, arch])]);
  }

  const left = keys.length - archs.length;
  if (left) content.append(h("p", { role: "status" }, `${left} of the ${keys.length} that the address names ${left === 1 ? "is" : "are"} not shown: at most ${MOST_COMPARED} are, each once, by an index in 0 … ${space.count - 1} or a hash.`));
  if (!archs.length) {
    content.append(h("p", {}, "Name some here, or tick them in the table below the scatter."));
    return () => {};
  }
  const found = await Promise.all(archs.map(async (arch) => ({ arch, ...(await runsOf(arch)) })));
  const images = await Promise.all(archs.map((arch) => drawing(space, arch)));
  const lines = linesOf(facts, found.map(({ arch, runs }) => ({ arch, runs })));
  const chart = curveChart(facts, lines, { measure: params.get("measure"), log: params.has("log") },
    ({ measure, log }) => keep("compare", "", { archs: archs.join(","), measure, log }));
  content.append(
    h("div", { class: "sides" }, found.map(({ arch, hash }, at) => {
      const mark = h("span", { class: "dot" });
      mark.style.background = facts.colours.series[at % facts.colours.series.length];
      return h("section", { class: "card" },
        h("h2", {}, mark, " ", h("a", { href: to("arch", arch) }, `Architecture ${arch}`)),
        h("p", { class: "faint" }, h("code", {}, hash.slice(0, 8))),
        images[at],
        h("p", {}, h("a", { class: "button", href: address(archs.filter((other) => other !== arch)), "aria-label": `Leave out architecture ${arch}` }, "Leave out")));
    })),
    h("section", { class: "card" }, h("h2", {}, "Numbers"), await numbers(facts, space, found)),
    h("section", { class: "card" }, h("h2", {}, "Learning curves"), chart.element),
  );
  return () => chart.close();
}

async function numbers(facts, space, found) {
  const rows = [];
  for (let stage = 0; stage < space.stages; stage++) {
    rows.push({ name: `stage ${stage + 1}`, cells: found.map(({ arch }) => space.blockName(space.block(arch, stage))) });
  }
  for (const one of facts.measures.filter((measure) => measure.cost)) {
    rows.push({ name: one.label, measure: one, values: found.map(({ arch }) => space.cost(arch, one.name)) });
  }
  const ofAll = facts.devices.length ? (await latencies()).values : {};
  for (const one of facts.latencies) {
    rows.push({ name: `${one.label} (${one.unit})`, measure: one, values: found.map(({ arch }) => ofAll[one.name]?.[arch] ?? NaN) });
  }
  for (const recipe of facts.recipes) {
    const several = facts.seeds.filter((one) => one.recipe === recipe.id).length > 1;
    for (const one of facts.measures.filter((measure) => !measure.cost)) {
      const values = await valuesOf(facts, space, recipe, one.name);
      const words = `${one.label}${one.unit ? ` (${one.unit})` : ""}${several ? ", mean of seeds" : ""}${facts.recipes.length > 1 ? `, ${recipe.name}` : ""}`;
      rows.push({ name: words, measure: one, values: found.map(({ arch }) => values[arch]) });
    }
  }
  const known = rows.filter((row) => row.cells || row.values.some((value) => !Number.isNaN(value)));
  const cell = (row, at) => {
    if (row.cells) return row.cells[at];
    const sure = row.values.filter((value) => !Number.isNaN(value));
    const best = row.measure.higher ? Math.max(...sure) : Math.min(...sure);
    const text = shown(row.values[at], row.measure);
    return sure.length > 1 && row.values[at] === best ? h("b", { class: "best", title: "the best of these" }, text) : text;
  };
  return table([
    { title: "", cell: (row) => row.name },
    ...found.map(({ arch }, at) => ({ title: String(arch), number: true, cell: (row) => cell(row, at) })),
  ], known, "What is known of each");
}
