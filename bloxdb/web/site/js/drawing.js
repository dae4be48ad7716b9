// Drawings of architectures, put together from pieces that bloxdb.draw made.

import { pieces } from "./data.js";
import { s } from "./dom.js";

let drawn = 0;

/** The drawing of an architecture as an SVG element. */
export async function drawing(space, arch) {
  const { box, frame, stages, end } = await pieces();
  const blocks = space.blocksOf(arch);
  const shapes = [frame, ...blocks.map((block, stage) => stages[stage][block].shapes)].join("\n");
  const text = `<svg xmlns="http://www.w3.org/2000/svg">${shapes}</svg>`;
  const parsed = new DOMParser().parseFromString(text, "image/svg+xml").documentElement;
  const name = `drawing-${++drawn}`;
  const image = s("svg", { class: "drawing", viewBox: box.join(" "), role: "img", "aria-labelledby": `${name}-title ${name}-desc` });
  const words = blocks.map((block, stage) => stages[stage][block].words);
  image.append(
    s("title", { id: `${name}-title` }, `Blox architecture ${arch}`),
    s("desc", { id: `${name}-desc` }, [...words, end].join(" ")),
    ...parsed.childNodes,
  );
  return image;
}
