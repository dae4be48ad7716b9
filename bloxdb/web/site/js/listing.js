// Points as a table with a link to each architecture, and boxes to tick for those to compare.

import { to } from "./address.js";
import { h, table } from "./dom.js";
import { shown } from "./format.js";

export const MOST_COMPARED = 8;
const AT_ONCE = 25;

/** names: the measures that are shown; point(row): show where a row is; most: how many can be compared. */
export function listing(points, rows, names, { point, most }) {
  const marked = new Set();
  const measures = names.map((name) => points.measure(name));
  const groups = points.groupNames();
  const compare = h("a", { class: "button", "aria-disabled": "true" }, "Compare");
  const place = h("div");
  let count = AT_ONCE;

  function mark(arch, isMarked) {
    if (isMarked) marked.add(arch);
    else marked.delete(arch);
    const isPossible = marked.size > 0 && marked.size <= most;
    if (isPossible) compare.setAttribute("href", to("compare", "", { archs: [...marked].join(",") }));
    else compare.removeAttribute("href");
    compare.setAttribute("aria-disabled", String(!isPossible));
    compare.textContent = marked.size > most ? `Compare at most ${most}` : marked.size ? `Compare ${marked.size}` : "Compare";
  }

  function fill() {
    const columns = [
      { title: "", cell: (row) => h("input", { type: "checkbox", "aria-label": `Compare architecture ${points.arch[row]}`, checked: marked.has(points.arch[row]), onchange: (event) => mark(points.arch[row], event.target.checked) }) },
      { title: "architecture", number: true, cell: (row) => h("a", { href: to("arch", points.arch[row]), onfocus: () => point(row), onblur: () => point(null), onmouseenter: () => point(row), onmouseleave: () => point(null) }, String(points.arch[row])) },
      ...(groups.length > 1 ? [{ title: "run", cell: (row) => groups[points.group[row]] }] : []),
      ...measures.map((one) => ({ title: one.unit && one.unit.length < 5 ? `${one.label} (${one.unit})` : one.label, number: true, cell: (row) => shown((points.columns.get(one.name) ?? points.stored[one.name])?.[row] ?? NaN, one) })),
      ...Array.from({ length: points.space.stages }, (_, stage) => ({ title: `stage ${stage + 1}`, cell: (row) => points.space.blockName(points.space.block(points.arch[row], stage)) })),
    ];
    const left = rows.length - count;
    place.replaceChildren(
      table(columns, Array.from(rows.slice(0, count)), "Chosen runs, the best first"),
      left > 0 ? h("p", {}, h("button", { onclick: () => { count += 8 * AT_ONCE; fill(); } }, `Show ${Math.min(left, 8 * AT_ONCE)} more`), ` ${left.toLocaleString("en")} are not shown`) : "",
    );
  }

  Promise.all(measures.map((one) => points.values(one.name))).then(fill);
  return h("div", {}, h("p", {}, compare), place);
}
