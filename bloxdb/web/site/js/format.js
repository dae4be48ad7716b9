// Numbers as people read them.

const LEAST = 2; // decimals of what is no whole number
const HUGE = 1e15; // from which on a number is written with its power of ten
const tenths = new Intl.NumberFormat("en", { maximumFractionDigits: 1 }); // a mean of whole numbers has them
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** How a value of a measure is written, with all decimals that the database keeps. */
export function shown(value, measure) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!measure || measure.decimals === 0) return tenths.format(value);
  const text = trimmed(value, measure.decimals);
  const decimals = text.length - 1 - text.indexOf(".");
  return text.includes(".") && decimals >= LEAST ? text : value.toFixed(LEAST); // a column of numbers is read by its points
}

/** The same with its unit, where that is short. */
export function withUnit(value, measure) {
  const text = shown(value, measure);
  return text === "–" || measure.unit.length > 4 || !measure.unit ? text : `${text} ${measure.unit}`;
}

function trimmed(value, decimals) {
  const text = value.toFixed(decimals);
  return text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text;
}

/** Few digits, for axes and for what is compared at a glance. */
export function short(value, step = 0) {
  if (Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size >= HUGE) return value.toExponential(2).replace(/\.?0+e/, "e");
  for (const [unit, sign] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (size >= unit) {
      const by = sign === "k" ? 1e3 : unit;
      return `${trimmed(value / by, step ? decimalsOf(step / by) : 2)} ${sign}`;
    }
  }
  return trimmed(value, step ? decimalsOf(step) : size >= 100 ? 1 : size >= 1 ? 2 : 4);
}

function decimalsOf(step) {
  return Math.min(8, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}

/** A difference with its sign. */
export function signed(value, decimals = 2) {
  if (Number.isNaN(value)) return "–";
  const text = Math.abs(value).toFixed(decimals);
  return Number(text) === 0 ? text : `${value < 0 ? "−" : "+"}${text}`;
}

export function count(n, one, many = `${one}s`) {
  return `${whole.format(n)} ${n === 1 ? one : many}`;
}

export function duration(seconds) {
  if (seconds === null || Number.isNaN(seconds)) return "–";
  if (seconds < 120) return `${trimmed(seconds, seconds < 10 ? 1 : 0)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${trimmed(seconds / 3600, 1)} h` : `${trimmed(seconds / 86_400, 1)} d`;
}
