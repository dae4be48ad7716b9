// The scatter: all runs at once, what is chosen of them, and that as a table, as CSV and as SQL.

import { keep, spelled, to, unspelled } from "./address.js";
import { chosenRows, lassoOf, lassoText, rangesOf, rangesText, rounded, sqlOf } from "./chosen.js";
import { colouring, colourings } from "./colours.js";
import { choice, colour, download, h, say, tick } from "./dom.js";
import { count, shown, withUnit } from "./format.js";
import { legend } from "./legend.js";
import { listing, MOST_COMPARED } from "./listing.js";
import { Plot } from "./plot.js";
import { front } from "./points.js";
import { Points } from "./pointset.js";
import { csvOf } from "./csv.js";

const TOOLS = [["box", "Box"], ["lasso", "Lasso"], ["move", "Move"]];

function settings(params, facts) {
  return {
    x: params.get("x") ?? "flops",
    y: params.get("y") ?? facts.ranked_by,
    logX: params.has("logx"),
    logY: params.has("logy"),
    colour: params.get("colour") ?? "scheme:3",
    recipe: params.get("recipe") === "*" ? "" : params.get("recipe"), // as bloxdb.top has it
    seed: /^(\d+|mean)$/.test(params.get("seed")) ? params.get("seed") : "",
    front: params.get("front") !== "0",
    hidden: new Set((params.get("hide") ?? "").split(";").filter(Boolean).map(unspelled)),
    ranges: rangesOf(params.get("range")),
    lasso: lassoOf(params.get("lasso")),
    view: params.get("view")?.split("~").map(Number) ?? null,
    tool: params.get("tool") ?? "box",
  };
}

export async function show(page) {
  const { facts, space, content } = page;
  const state = settings(page.params, facts);
  let points = await Points.load(facts, space, state.seed === "mean");
  state.recipe ??= points.groupRecipes() > 1 ? points.mainRecipe().name : "";
  let current = {};
  let turn = 0;

  const plot = new Plot({
    words: "Scatter of runs",
    show: tip,
    pick: (row) => { location.hash = to("arch", points.arch[row]); },
    brush: brushed,
    moved: (view) => {
      state.view = view && [...view.x, ...view.y].map(rounded);
      write();
    },
  });
  const controls = h("div", { class: "controls" });
  const key = h("div", { class: "legend" });
  const below = h("section", { class: "chosen", "aria-label": "Chosen runs" });
  const heading = h("h1", { class: "hidden" }, "Scatter");
  const buttons = h("div", { class: "tools" });
  content.append(
    heading, controls,
    h("div", { class: "stage" }, h("div", { class: "plotting" }, buttons, plot.element), key),
    h("p", { id: "plot-keys", class: "hint" },
      "Draw a box to choose, click a point for its architecture, turn the wheel to zoom. With the keyboard: arrows move, + and − zoom, 0 shows all; the fields below choose."),
    below,
  );
  if (state.view) plot.view = { x: state.view.slice(0, 2), y: state.view.slice(2) };
  plot.tool = state.tool;
  await update();
  content.addEventListener("shown", () => plot.draw());
  return () => plot.close();

  function write() {
    keep("scatter", "", {
      x: state.x, y: state.y, logx: state.logX, logy: state.logY, colour: state.colour, recipe: state.recipe || (points.groupRecipes() > 1 ? "*" : ""),
      seed: state.seed, front: state.front ? null : "0", hide: [...state.hidden].map(spelled).join(";"),
      range: rangesText(state.ranges), lasso: lassoText(state.lasso), view: state.view?.join("~"),
      tool: state.tool === "box" ? null : state.tool,
    });
  }

  function change(what) {
    Object.assign(state, what);
    if ("x" in what || "y" in what || "logX" in what || "logY" in what || "recipe" in what || "seed" in what) {
      state.view = plot.view = null;
    }
    if ("colour" in what) state.hidden.clear();
    update().catch((error) => below.replaceChildren(h("p", { role: "alert" }, error.message)));
  }

  async function update() {
    const mine = ++turn;
    if (points.areMeans !== (state.seed === "mean")) points = await Points.load(facts, space, state.seed === "mean");
    for (const axis of ["x", "y"]) if (!points.measure(state[axis])) state[axis] = axis === "x" ? "flops" : points.measures()[0].name;
    const [xs, ys] = await Promise.all([points.values(state.x), points.values(state.y)]);
    const painted = await colouring(points, state.colour, colour("mark"));
    const isHidden = painted.classes.map((one) => state.hidden.has(one.name));
    const fits = (values, row, isLog) => values[row] > (isLog ? 0 : -Infinity);
    const rows = points.rows(state.recipe, state.seed === "mean" ? "" : state.seed).filter((row) => (
      fits(xs, row, state.logX) && fits(ys, row, state.logY) && !(painted.of && isHidden[painted.of[row]])
    ));
    const isChosen = state.ranges.size > 0 || state.lasso;
    const chosen = isChosen ? await chosenRows(points, rows, state.ranges, state.lasso) : null;
    if (mine !== turn) return;
    const [x, y] = [points.measure(state.x), points.measure(state.y)];
    const sign = (measure) => (measure.higher ? 1 : -1);
    const unbeaten = state.front ? front(xs, ys, rows, sign(x), sign(y)) : [];
    current = { xs, ys, x, y, rows, chosen, painted, unbeaten };
    plot.set({
      xs, ys, rows, chosen, colouring: painted, front: unbeaten, logX: state.logX, logY: state.logY,
      xLabel: named(x), yLabel: named(y), drawn: drawn(),
    });
    write();
    showControls();
    legend(key, painted, state.hidden, isHidden, (hidden) => change({ hidden }));
    showChosen();
    plot.canvas.setAttribute("aria-label", `Scatter: ${y.label} against ${x.label}, ${count(rows.length, points.areMeans ? "architecture" : "run")}${chosen ? `, ${chosen.length} chosen` : ""}`);
    plot.canvas.dataset.rows = rows.length;
  }

  function named(measure) {
    return measure.unit ? `${measure.label} (${measure.unit})` : measure.label;
  }

  /** What is chosen, as it is drawn on these axes. */
  function drawn() {
    if (state.lasso) return state.lasso.x === state.x && state.lasso.y === state.y ? state.lasso : null;
    const [x, y] = [state.ranges.get(state.x), state.ranges.get(state.y)];
    const open = [-Infinity, Infinity];
    return x || y ? { x: x ?? open, y: y ?? open } : null;
  }

  function brushed(area) {
    if (area.line) {
      change({ lasso: { x: state.x, y: state.y, line: area.line.map((point) => point.map(rounded)) }, ranges: new Map() });
      return;
    }
    const ranges = new Map(state.ranges);
    ranges.set(state.x, area.x.map(rounded));
    ranges.set(state.y, area.y.map(rounded));
    change({ ranges, lasso: null });
  }

  function tip(row) {
    const { x, y } = current;
    const also = points.measures().filter((one) => one.name === facts.ranked_by && one.name !== x.name && one.name !== y.name);
    const lines = [y, x, ...also].map((one) => {
      const values = points.columns.get(one.name) ?? points.stored[one.name];
      return h("div", {}, `${one.label} `, h("b", {}, withUnit(values[row], one)));
    });
    const groups = points.groupNames();
    return [
      h("div", {}, h("b", {}, `architecture ${points.arch[row]}`), groups.length > 1 ? `, ${groups[points.group[row]]}` : ""),
      ...lines,
      h("div", { class: "faint" }, space.name(points.arch[row])),
    ];
  }

  function showControls() {
    const focused = controls.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    const measures = points.measures().map((one) => [one.name, named(one)]);
    const seeds = [...new Set(facts.seeds.filter((one) => !state.recipe || facts.recipes.find((r) => r.id === one.recipe)?.name === state.recipe).map((one) => one.seed))];
    const parts = [
      choice("Across", measures, state.x, (x) => change({ x })),
      tick("log", state.logX, (logX) => change({ logX })),
      choice("Up", measures, state.y, (y) => change({ y })),
      tick("log", state.logY, (logY) => change({ logY })),
      choice("Colour", colourings(points), state.colour, (value) => change({ colour: value })),
      facts.recipes.length > 1 && choice("Recipe", [["", "all"], ...facts.recipes.map((one) => [one.name, one.name])], state.recipe, (recipe) => change({ recipe, seed: "" })),
      seeds.length > 1 && choice("Seeds", [["", "each run"], ["mean", "mean of seeds"], ...seeds.map((seed) => [seed, `seed ${seed}`])], state.seed, (seed) => change({ seed })),
      tick("Pareto front", state.front, (value) => change({ front: value })),
    ].filter(Boolean);
    controls.replaceChildren(...parts);
    [...controls.querySelectorAll("select, input")].forEach((one, at) => { one.dataset.id = at; });
    if (focused) controls.querySelector(`[data-id="${focused}"]`)?.focus();
    if (buttons.childElementCount) return;
    const tool = ([name, words]) => h("label", { class: "tool" },
      h("input", { type: "radio", name: "tool", value: name, checked: name === state.tool, onchange: () => { state.tool = plot.tool = name; write(); } }), words);
    buttons.append(
      h("fieldset", {}, h("legend", { class: "hidden" }, "What drawing on the plot does"), TOOLS.map(tool)),
      h("button", { "aria-label": "Zoom in", onclick: () => plot.zoom(1.5) }, "+"),
      h("button", { "aria-label": "Zoom out", onclick: () => plot.zoom(1 / 1.5) }, "−"),
      h("button", { onclick: () => plot.look(null) }, "Show all"),
    );
  }

  function showChosen() {
    const { rows, chosen, unbeaten, x, y, ys } = current;
    const one = points.areMeans ? "architecture" : "run";
    const listed = Int32Array.from(chosen ?? (unbeaten.length ? unbeaten : rows));
    listed.sort((a, b) => (y.higher ? ys[b] - ys[a] : ys[a] - ys[b]) || a - b);
    const words = chosen
      ? `${count(chosen.length, one)} of ${rows.length.toLocaleString("en")} chosen`
      : unbeaten.length ? `Pareto front: ${count(unbeaten.length, one)} of ${rows.length.toLocaleString("en")}` : count(rows.length, one);
    say(words);
    const also = [...new Set([y.name, x.name, facts.ranked_by, "flops", "params"])].filter((name) => points.measure(name));
    const sql = h("div", { class: "sql", hidden: true });
    below.replaceChildren(
      h("div", { class: "bar" },
        h("h2", {}, words),
        h("button", { onclick: async () => download(`${facts.title}.csv`, await csvOf(points, listed), "text/csv") }, "CSV"),
        h("button", { "aria-expanded": "false", onclick: (event) => showSql(event.target, sql, listed) }, "SQL"),
        chosen && h("button", { onclick: () => change({ ranges: new Map(), lasso: null }) }, "Choose all"),
      ),
      fields(x, y),
      sql,
      listing(points, listed, also, { point: (row) => plot.point(row), most: MOST_COMPARED }),
    );
  }

  /** The limits of what is chosen, as numbers to write: what a box on the plot sets. */
  function fields(x, y) {
    const names = [...new Set([x.name, y.name, ...state.ranges.keys()])];
    const field = (name, end) => h("input", {
      type: "number", step: "any", "aria-label": `${points.measure(name)?.label ?? name}, ${end ? "at most" : "at least"}`,
      placeholder: end ? "any" : "any",
      value: Number.isFinite(state.ranges.get(name)?.[end]) ? String(state.ranges.get(name)[end]) : "",
      onchange: (event) => {
        const range = [...(state.ranges.get(name) ?? [-Infinity, Infinity])];
        range[end] = event.target.value === "" ? [-Infinity, Infinity][end] : Number(event.target.value);
        const ranges = new Map(state.ranges).set(name, range);
        if (!range.some(Number.isFinite)) ranges.delete(name);
        change({ ranges, lasso: null });
      },
    });
    return h("div", { class: "limits" }, names.map((name) => h("span", { class: "limit" }, field(name, 0), ` ≤ ${points.measure(name)?.label ?? name} ≤ `, field(name, 1))));
  }

  function showSql(button, place, listed) {
    const conditions = current.painted.classes.filter((one) => state.hidden.has(one.name)).map((one) => `NOT (${one.sql})`);
    const isListed = Boolean(state.lasso) || (!current.chosen && current.unbeaten.length > 0);
    const text = sqlOf(points, { ...state, conditions, isListed }, listed);
    place.hidden = !place.hidden;
    button.setAttribute("aria-expanded", String(!place.hidden));
    const where = facts.tables ? `${facts.tables}?sql=${encodeURIComponent(text)}` : null;
    place.replaceChildren(
      h("pre", { tabindex: "0" }, text),
      h("div", {},
        h("button", { onclick: async (event) => { await navigator.clipboard.writeText(text); event.target.textContent = "Copied"; } }, "Copy"),
        where && where.length < 8_000 && h("a", { class: "button", href: where }, "Run it"),
      ),
    );
  }
}
