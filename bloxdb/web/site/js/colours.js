// What points are coloured by: classes with a colour each, or a measure from dark to bright.

const RAMP = ["#472f7d", "#39568c", "#2a788e", "#22a884", "#7ad151", "#fde725"];
const STEPS = 64;
const HUES = [205, 28, 158, 325, 265, 45]; // of the six schemes, as far apart as those of SERIES

/** The choices: [value, words], in groups. */
export function colourings(points) {
  const { space } = points;
  const stages = Array.from({ length: space.stages }, (_, stage) => stage + 1);
  const of = (kind, words) => ({ group: words, options: stages.map((n) => [`${kind}:${n}`, `${words}, stage ${n}`]) });
  return [
    ["", "nothing"],
    ...(points.groupNames().length > 1 ? [["run", "recipe and seed"]] : []),
    of("scheme", "scheme"),
    of("op1", "first operation"),
    of("op2", "second operation"),
    of("block", "block"),
    { group: "a measure", options: points.measures().map((one) => [one.name, one.label]) },
  ];
}

/**
 * What a choice means: {of, colours, classes} with the place of each row's colour; classes have names and a
 * condition in SQL. A measure has {low, high, measure} instead of classes.
 */
export async function colouring(points, chosen, plain) {
  const nothing = { of: null, colours: [plain], classes: [] };
  if (!chosen) return nothing;
  if (chosen === "run") return byRun(points);
  const [kind, stage] = chosen.split(":");
  if (["scheme", "op1", "op2", "block"].includes(kind)) return byBlock(points, kind, Number(stage) - 1);
  return points.measure(chosen) ? byMeasure(points, chosen) : nothing;
}

function byRun(points) {
  const names = points.groupNames();
  const { series } = points.facts.colours;
  return {
    of: points.group,
    colours: names.map((_, at) => series[at % series.length]),
    classes: names.map((name, at) => ({ name, sql: points.groupSql(at) })),
  };
}

function byBlock(points, kind, stage) {
  const { space, facts } = points;
  const named = space.blocks.map((block, at) => (kind === "block" ? space.blockName(at) : block[kind] ?? "none"));
  const names = [...new Set(named)].sort((a, b) => order(a, facts) - order(b, facts) || a.localeCompare(b));
  const place = named.map((name) => names.indexOf(name));
  const of = Int32Array.from(points.arch, (arch) => place[space.block(arch, stage)]);
  const classes = names.map((name) => {
    const ids = named.flatMap((other, at) => (other === name ? [at] : []));
    return { name, sql: `a.block${stage + 1}_id IN (${ids.join(", ")})` };
  });
  return { of, colours: colourOf(kind, names, facts), classes };
}

function order(name, facts) {
  return name === "none" ? 99 : facts.space.ops.indexOf(name);
}

function colourOf(kind, names, facts) {
  if (kind === "scheme") return names.map((_, at) => facts.colours.series[at]);
  if (kind !== "block") return names.map((name) => facts.colours.ops[name] ?? "#8b96a1");
  const schemes = [...new Set(names.map((name) => name.split(" ")[0]))].sort();
  return names.map((name) => {
    const scheme = name.split(" ")[0];
    const same = names.filter((other) => other.startsWith(scheme));
    const lightness = 30 + (45 * same.indexOf(name)) / Math.max(1, same.length - 1);
    return `hsl(${HUES[schemes.indexOf(scheme)]} 75% ${lightness}%)`;
  });
}

async function byMeasure(points, name) {
  const values = await points.values(name);
  const sorted = Float64Array.from(values).filter((value) => !Number.isNaN(value)).sort();
  const low = sorted[Math.floor(sorted.length * 0.01)] ?? 0; // a few strange runs leave the others their colours
  const high = sorted[Math.ceil(sorted.length * 0.99) - 1] ?? 1;
  const scale = (STEPS - 1) / (high - low || 1);
  const of = Int32Array.from(values, (value) => (
    Number.isNaN(value) ? STEPS : Math.round(Math.min(STEPS - 1, Math.max(0, (value - low) * scale)))
  ));
  return { of, colours: [...ramp(), "#8b96a1"], classes: [], low, high, measure: points.measure(name) };
}

/** The colours from low to high. */
export function ramp() {
  return Array.from({ length: STEPS }, (_, step) => {
    const at = (step / (STEPS - 1)) * (RAMP.length - 1);
    const low = Math.min(RAMP.length - 2, Math.floor(at));
    const mixed = [1, 3, 5].map((digit) => {
      const [a, b] = [RAMP[low], RAMP[low + 1]].map((text) => parseInt(text.slice(digit, digit + 2), 16));
      return Math.round(a + (b - a) * (at - low));
    });
    return `rgb(${mixed.join(" ")})`;
  });
}
