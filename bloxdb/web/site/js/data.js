// What the page reads, each URL once: JSON, and columns of numbers (bloxdb/web/columns.py says how they lie).

const kept = new Map();

function once(name, make) {
  if (!kept.has(name)) {
    const found = make();
    kept.set(name, found);
    found.catch(() => kept.delete(name)); // the next who asks tries again
  }
  return kept.get(name);
}

async function get(name) {
  const response = await fetch(`data/${name}`).catch(() => {
    throw new Error(`data/${name} cannot be reached; is the server still running?`);
  });
  if (!response.ok) {
    const words = response.headers.get("content-type")?.startsWith("text/plain") ? await response.text() : "";
    throw new Error(words || `data/${name} was answered with ${response.status} ${response.statusText}`);
  }
  return response;
}

export const about = () => once("about", async () => (await get("about.json")).json());
export const pieces = () => once("pieces", async () => (await get("drawing.json")).json());
export const runs = () => once("runs", () => columns("runs.bin"));
export const means = () => once("means", () => columns("means.bin"));
export const latencies = () => once("latencies", () => columns("latencies.bin"));
export const hashes = () => once("hashes", async () => new Uint8Array(await (await get("hashes.bin")).arrayBuffer()));

/** How far the training is, always asked anew. */
export const training = async () => (await get("training.json")).json();

/** All runs of an architecture: what is known of each, with `curves`, Float64Arrays by measure. */
export async function runsOf(arch) {
  const { shelf } = await about();
  const number = String(Math.floor(arch / shelf)).padStart(4, "0");
  const { header, values } = await once(number, () => columns(`curves/${number}.bin`));
  let at = 0;
  const found = [];
  for (const run of header.runs) {
    if (run.arch_id === arch) {
      const curves = Object.entries(values).map(([name, all]) => [name, all.subarray(at, at + run.epochs)]);
      found.push({ ...run, curves: Object.fromEntries(curves) });
    }
    at += run.epochs;
  }
  return { hash: header.hashes[arch - header.first], runs: found };
}

/** Forget curves, which grow while training goes on. */
export function forgetCurves() {
  for (const name of kept.keys()) if (/^\d+$/.test(name)) kept.delete(name);
}

async function columns(name) {
  return decoded(await inflated(await (await get(name)).arrayBuffer()));
}

async function inflated(bytes) {
  const [first, second] = new Uint8Array(bytes, 0, 2);
  if (first !== 0x1f || second !== 0x8b) return bytes; // a server that inflates what ends as if it were packed
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

const TYPES = { int32: Int32Array, float32: Float32Array, float64: Float64Array };

/** The header, and each column as a Float64Array: an integer by its scale is the very number that SQL gives. */
export async function decoded(bytes) {
  const { absent } = await about();
  const size = new DataView(bytes).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, size)));
  const values = {};
  for (const column of header.columns) {
    const stored = new TYPES[column.type](bytes, 4 + size + column.at, column.length);
    const found = new Float64Array(column.length);
    let sum = 0;
    for (let i = 0; i < column.length; i++) {
      sum = column.steps ? sum + stored[i] : stored[i];
      found[i] = column.type === "int32" && sum === absent ? NaN : sum / column.scale;
    }
    values[column.name] = found;
  }
  return { header, values };
}
