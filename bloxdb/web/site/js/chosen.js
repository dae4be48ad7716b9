// Which points are chosen: by ranges of measures, and by a line drawn around some; the same as SQL.

import { spelled, unspelled } from "./address.js";
import { within } from "./points.js";

/** Six digits are more than a screen shows; the chosen points are those within what is written. */
export function rounded(value) {
  return Number(value.toPrecision(6));
}

/** Ranges out of the address: "flops:1e8~2e8,test_top1:~75". */
export function rangesOf(text) {
  const found = new Map();
  for (const part of (text ?? "").split(",").filter(Boolean)) {
    const at = part.lastIndexOf(":");
    const [low, high] = part.slice(at + 1).split("~");
    found.set(unspelled(part.slice(0, at)), [low === "" ? -Infinity : Number(low), high === "" ? Infinity : Number(high)]);
  }
  return found;
}

export function rangesText(ranges) {
  const side = (value) => (Number.isFinite(value) ? value : "");
  return [...ranges].map(([name, [low, high]]) => `${spelled(name)}:${side(low)}~${side(high)}`).join(",");
}

/** A line out of the address: x, y, then numbers: "flops~test_top1~1e8~70~…". */
export function lassoOf(text) {
  const [x, y, ...numbers] = (text ?? "").split("~");
  if (!y || numbers.length < 6) return null;
  const line = [];
  for (let n = 0; n + 1 < numbers.length; n += 2) line.push([Number(numbers[n]), Number(numbers[n + 1])]);
  return { x: unspelled(x), y: unspelled(y), line };
}

export function lassoText(lasso) {
  return lasso ? [spelled(lasso.x), spelled(lasso.y), ...lasso.line.flat()].join("~") : "";
}

/** Of some rows those that are chosen. */
export async function chosenRows(points, rows, ranges, lasso) {
  const conditions = [];
  for (const [name, [low, high]] of ranges) {
    const values = await points.values(name);
    conditions.push((row) => values[row] >= low && values[row] <= high);
  }
  if (lasso) {
    const [xs, ys] = await Promise.all([points.values(lasso.x), points.values(lasso.y)]);
    conditions.push((row) => within(lasso.line, xs[row], ys[row]));
  }
  return rows.filter((row) => conditions.every((holds) => holds(row)));
}

const AT_MOST = 500; // rows that a query names one by one

/**
 * The SQL that finds the same rows: state has recipe, seed, x, y, ranges, lasso, conditions on classes, and
 * isListed: whether no condition says which they are, as of those that a line was drawn around, and of a front.
 * Those are named row by row, as long as that is short; `rows` are they.
 */
export function sqlOf(points, state, rows) {
  const joins = new Map();
  const column = (name) => {
    const measure = points.measure(name);
    if (measure.device === undefined) return points.areMeans && !measure.cost ? `avg(r.${name})` : `r.${name}`;
    if (!joins.has(name)) joins.set(name, [`l${joins.size + 1}`, measure.device]);
    return `${joins.get(name)[0]}.latency_ms`;
  };
  const where = ["r.status = 'finished'"];
  const having = [];
  if (state.recipe) where.push(`c.name = ${quoted(state.recipe)}`);
  if (state.seed && !points.areMeans) where.push(`r.seed = ${state.seed}`);
  const shown = [...new Set([...points.facts.measures.filter((one) => one.cost).map((one) => one.name), state.x, state.y, ...state.ranges.keys()])];
  const columns = shown.map((name) => {
    const text = column(name);
    return text === `r.${name}` ? text : `${text} AS ${/^\w+$/.test(name) ? name : doubled(name)}`;
  });
  const add = (name, condition) => (column(name).startsWith("avg(") ? having : where).push(condition);
  for (const name of [state.x, state.y]) add(name, `${column(name)} IS NOT NULL`);
  for (const [name, [low, high]] of state.ranges) {
    if (Number.isFinite(low)) add(name, `${column(name)} >= ${low}`);
    if (Number.isFinite(high)) add(name, `${column(name)} <= ${high}`);
  }
  where.push(...state.conditions);
  const notes = [];
  if (state.isListed && rows.length <= AT_MOST) {
    const pairs = Array.from(rows, (row) => (points.areMeans ? points.arch[row] : `(${points.arch[row]}, ${points.groups[points.group[row]].seed})`));
    where.push(`${points.areMeans ? "r.arch_id" : "(r.arch_id, r.seed)"} IN (${points.areMeans ? "" : "VALUES "}${pairs.join(", ")})`);
  } else if (state.lasso) {
    notes.push("-- what lies in the box around the drawn line, which is more than what lies within it");
    for (const [name, at] of [[state.lasso.x, 0], [state.lasso.y, 1]]) {
      const values = state.lasso.line.map((point) => point[at]);
      add(name, `${column(name)} BETWEEN ${Math.min(...values)} AND ${Math.max(...values)}`);
    }
  }
  const seed = points.areMeans ? "count(*) AS seeds" : "r.seed";
  const ranked = points.measure(state.y);
  return [
    ...notes,
    `SELECT r.arch_id, a.hash, c.name AS recipe, ${seed}, ${columns.join(", ")}`,
    "FROM runs r JOIN archs a ON a.id = r.arch_id JOIN recipes c ON c.id = r.recipe_id",
    ...[...joins.values()].map(([name, device]) => `JOIN latencies ${name} ON ${name}.arch_id = r.arch_id AND ${name}.device_id = ${device}`),
    `WHERE ${where.join("\n  AND ")}`,
    ...(points.areMeans ? [`GROUP BY r.recipe_id, r.arch_id${having.length ? `\nHAVING ${having.join("\n  AND ")}` : ""}`] : []),
    `ORDER BY ${column(state.y)} ${ranked.higher ? "DESC" : "ASC"}`,
  ].join("\n");
}

function quoted(text) {
  return `'${text.replaceAll("'", "''")}'`;
}

function doubled(text) {
  return `"${text.replaceAll('"', '""')}"`;
}
