// Learning curves of some runs in one chart, of any measure of epochs.

/* global uPlot */

import { choice, colour, h, onTheme, tick } from "./dom.js";
import { short, shown } from "./format.js";

/**
 * lines: {label, colour, dash, curves}; params: measure and log as the address says; changed({measure, log}).
 * Gives {element, close}.
 */
export function curveChart(facts, lines, settings, changed) {
  const measures = facts.epoch_measures.filter((one) => lines.some((line) => line.curves[one.name]?.some((value) => !Number.isNaN(value))));
  if (measures.length === 0) return { element: h("p", {}, "No epochs are known."), close: () => {} };
  let measure = measures.find((one) => one.name === settings.measure) ?? measures.find((one) => one.name === "val_top1") ?? measures[0];
  let isLog = Boolean(settings.log);
  const place = h("div", { class: "curves" });
  const told = h("p", { class: "hint" });
  let chart = null;

  function draw() {
    chart?.destroy();
    const last = Math.max(...lines.map((line) => line.curves[measure.name]?.length ?? 0));
    const epochs = Float64Array.from({ length: last }, (_, at) => at + 1);
    const ink = { stroke: colour("faint"), grid: { stroke: colour("panel"), width: 1 }, ticks: { stroke: colour("bar"), width: 1 }, font: "12px system-ui, sans-serif" };
    const own = lines.map((line) => Array.from({ length: last }, (_, at) => {
      const value = line.curves[measure.name]?.[at];
      return value === undefined || Number.isNaN(value) || (isLog && value <= 0) ? null : value;
    }));
    const name = measure.unit ? `${measure.label} (${measure.unit})` : measure.label;
    chart = new uPlot({
      width: Math.max(260, place.clientWidth),
      height: Math.min(420, Math.max(240, innerHeight * 0.45)),
      scales: { x: { time: false }, y: { distr: isLog ? 3 : 1 } },
      axes: [
        { ...ink, label: "epoch", labelFont: ink.font, labelSize: 22, size: 34 },
        { ...ink, label: name, labelFont: ink.font, size: 58, values: (_, values) => values.map((value) => (value === null ? "" : short(value))) },
      ],
      series: [
        { label: "epoch" },
        ...lines.map((line) => ({
          label: line.label, stroke: line.colour, dash: line.dash, width: 1.7, points: { show: last < 3 },
          value: (_, value) => (value === null ? "–" : shown(value, measure)),
        })),
      ],
      cursor: { drag: { x: true, y: true, uni: 30 } },
      legend: { live: true },
    }, [epochs, ...own], place);
    for (const one of place.querySelectorAll(".u-legend .u-series:not(:first-child) th")) {
      one.setAttribute("tabindex", "0"); // uPlot takes clicks only
      one.setAttribute("role", "button");
      one.setAttribute("aria-label", `Show or hide ${one.textContent}`);
      one.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        one.click();
      });
    }
    place.setAttribute("aria-label", `${name} over ${last} epochs, ${lines.length} curves`);
    const ends = lines.map((line, at) => {
      const known = own[at].filter((value) => value !== null);
      return `${line.label}: ${known.length ? shown(known.at(-1), measure) : "nothing"}`;
    });
    told.textContent = `At the last epoch: ${ends.join("; ")}. Drag to zoom, double-click for all; with the keyboard + and −, arrows, and 0 for all.`;
  }

  const settingsChanged = () => {
    draw();
    changed({ measure: measure.name, log: isLog });
  };
  place.setAttribute("role", "group");
  place.setAttribute("tabindex", "0");
  place.addEventListener("keydown", (event) => {
    if (event.target !== place || event.ctrlKey || event.metaKey || event.altKey) return;
    const { min, max } = chart.scales.x;
    const size = max - min;
    const [first, last] = [1, Math.max(2, chart.data[0].length)];
    const ranges = {
      "+": [min + size / 6, max - size / 6], "=": [min + size / 6, max - size / 6],
      "-": [min - size / 4, max + size / 4], 0: [first, last],
      ArrowLeft: [min - size / 8, max - size / 8], ArrowRight: [min + size / 8, max + size / 8],
    };
    if (!ranges[event.key]) return;
    event.preventDefault();
    const [low, high] = ranges[event.key];
    chart.setScale("x", { min: Math.max(first, low), max: Math.min(last, high) });
  });
  const element = h(
    "div",
    {},
    h("div", { class: "controls" },
      choice("Measure", measures.map((one) => [one.name, one.label]), measure.name, (value) => { measure = measures.find((one) => one.name === value); settingsChanged(); }),
      tick("log", isLog, (value) => { isLog = value; settingsChanged(); })),
    place,
    told,
  );
  let width = 0;
  const watcher = new ResizeObserver(() => {
    if (place.clientWidth !== width && place.clientWidth > 0) {
      width = place.clientWidth;
      if (chart) chart.setSize({ width: Math.max(260, width), height: chart.height });
      else draw();
    }
  });
  watcher.observe(place);
  const forget = onTheme(() => chart && draw());
  return { element, close: () => { watcher.disconnect(); forget(); chart?.destroy(); } };
}

/** Lines of the runs of some architectures: a colour each, a dash each seed; or a colour each run of a single one. */
export function linesOf(facts, found) {
  const { series } = facts.colours;
  const dashes = [[], [6, 4], [2, 3], [10, 3, 2, 3]];
  const several = new Set(found.flatMap(({ runs }) => runs.map((run) => run.recipe_id))).size > 1;
  return found.flatMap(({ arch, runs }, at) => runs.map((run, which) => {
    const recipe = several ? `${facts.recipes.find((one) => one.id === run.recipe_id).name}, ` : "";
    const alone = found.length === 1;
    return {
      label: `${alone ? "" : `${arch}, `}${recipe}seed ${run.seed}`,
      colour: series[(alone ? which : at) % series.length],
      dash: alone ? dashes[Math.floor(which / series.length) % 4] : dashes[which % 4],
      curves: run.curves,
    };
  }));
}
