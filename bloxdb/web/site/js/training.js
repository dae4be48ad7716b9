// What is running, how far it is, and what failed: asked again every few seconds.

import { to } from "./address.js";
import { training } from "./data.js";
import { h, table } from "./dom.js";
import { count, duration, shown } from "./format.js";

const EVERY = 3000; // milliseconds; the questions take a tenth of a second on a full database
const SLOWLY = 30_000; // while nobody looks
const STATUSES = ["finished", "running", "pending", "failed", "diverged"];
const SILENT = 120; // seconds without a sign of life that are worth a second look

export async function show({ facts, content }) {
  const place = h("div");
  const when = h("p", { class: "faint", role: "status" });
  content.append(h("h1", {}, "Training"), when, place);
  let timer = null;
  let isOver = false;
  let before = "";

  /** Show what is new; who reads keeps his place. */
  function replace(children) {
    const focusable = () => [...place.querySelectorAll("a, [tabindex]")];
    const focused = focusable().indexOf(document.activeElement);
    const scrolled = [...place.querySelectorAll(".scrolls")].map((one) => one.scrollLeft);
    place.replaceChildren(...children);
    focusable()[focused]?.focus({ preventScroll: true });
    place.querySelectorAll(".scrolls").forEach((one, at) => { one.scrollLeft = scrolled[at] ?? 0; });
  }

  async function look() {
    try {
      const found = await training();
      if (isOver) return;
      const text = JSON.stringify(found);
      if (text !== before) replace(parts(facts, found));
      before = text;
      when.textContent = `As of ${new Date().toLocaleTimeString()}${found.workers.length ? "" : "; nothing is being trained"}.`;
      if (!facts.tables) {
        when.textContent = "As it was when this copy was written.";
        return;
      }
    } catch (error) {
      if (isOver) return;
      when.textContent = `${error.message} (asking again)`;
    }
    timer = setTimeout(look, document.hidden ? SLOWLY : EVERY);
  }
  const awake = () => {
    if (document.hidden) return;
    clearTimeout(timer);
    look();
  };
  document.addEventListener("visibilitychange", awake);
  await look();
  return () => {
    isOver = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", awake);
  };
}

export function progress(row) {
  const known = STATUSES.reduce((sum, status) => sum + row[status], 0);
  const bar = h("div", { class: "progress", role: "img", "aria-label": STATUSES.map((status) => `${row[status]} ${status}`).join(", ") });
  for (const status of STATUSES) {
    if (!row[status]) continue;
    const part = h("span", { class: status });
    part.style.width = `max(2px, ${(100 * row[status]) / known}%)`;
    bar.append(part);
  }
  return bar;
}

function parts(facts, { overview, workers, failures, failed }) {
  const measure = facts.measures.find((one) => one.name === facts.ranked_by);
  const found = [h("section", { class: "card" }, h("h2", {}, "Progress"), overview.length ? table([
    { title: "recipe", cell: (row) => row.recipe },
    { title: "seed", number: true, cell: (row) => row.seed },
    { title: "", cell: progress },
    ...STATUSES.map((status) => ({ title: status, number: true, cell: (row) => row[status].toLocaleString("en") })),
    { title: "missing", number: true, cell: (row) => row.missing.toLocaleString("en") },
    ...["best", "median", "worst"].map((name) => ({ title: `${name}${name === "best" ? `, ${measure.label}` : ""}`, number: true, cell: (row) => shown(row[name], measure) })),
  ], overview, "Runs by recipe and seed") : h("p", {}, "There are no runs yet; bloxdb train makes some."))];
  found.push(h("section", { class: "card" }, h("h2", {}, count(workers.length, "run is being trained", "runs are being trained")), workers.length ? table([
    { title: "worker", cell: (row) => row.worker },
    { title: "architecture", number: true, cell: (row) => h("a", { href: to("arch", row.arch_id) }, String(row.arch_id)) },
    { title: "recipe", cell: (row) => row.recipe },
    { title: "seed", number: true, cell: (row) => row.seed },
    { title: "epoch", number: true, cell: (row) => `${row.epoch} of ${row.epochs}` },
    { title: "", cell: (row) => epochs(row) },
    { title: "last sign of life", number: true, cell: (row) => h("span", { class: row.last_beat_s > SILENT ? "late" : null }, row.last_beat_s === null ? "–" : `${duration(row.last_beat_s)} ago`) },
  ], workers, "Runs that are being trained") : ""));
  if (failures.length) {
    found.push(h("section", { class: "card" }, h("h2", {}, count(failed, "run without success", "runs without success")), table([
      { title: "architecture", number: true, cell: (row) => h("a", { href: to("arch", row.arch_id) }, String(row.arch_id)) },
      { title: "recipe", cell: (row) => row.recipe },
      { title: "seed", number: true, cell: (row) => row.seed },
      { title: "status", cell: (row) => h("span", { class: `status ${row.status}` }, row.status) },
      { title: "message", wraps: true, cell: (row) => row.message ?? "" },
    ], failures, "Runs that failed or diverged"), failed > failures.length ? h("p", {}, `The first ${failures.length} are shown.`) : ""));
  }
  return found;
}

function epochs(row) {
  const bar = h("div", { class: "progress", role: "img", "aria-label": `${row.epoch} of ${row.epochs} epochs` });
  const part = h("span", { class: "running" });
  part.style.width = `${(100 * row.epoch) / row.epochs}%`;
  bar.append(part);
  return bar;
}
