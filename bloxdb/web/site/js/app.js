// The page: which view an address means, the links between views, and what is shown when something fails.

import { about, runs } from "./data.js";
import { h } from "./dom.js";
import { named } from "./keys.js";
import { Space } from "./space.js";
import { parse, to } from "./address.js";

const VIEWS = {
  "": { title: "Overview", load: () => import("./home.js") },
  scatter: { title: "Scatter", load: () => import("./scatter.js") },
  compare: { title: "Compare", load: () => import("./compare.js") },
  training: { title: "Training", load: () => import("./training.js") },
  arch: { load: () => import("./arch.js") },
};

const main = document.getElementById("main");
let leave = () => {};
let shows = 0;

async function show(event) {
  const turn = ++shows;
  leave();
  leave = () => {};
  try {
    const { view, rest, params } = parse();
    mark(view);
    const known = VIEWS[view];
    if (!known) throw new Error(`there is no view called ${view}`);
    const [facts, module] = await Promise.all([about(), known.load()]);
    const space = new Space(facts);
    const content = h("div", { class: `view ${view || "home"}` });
    const page = { facts, space, content, rest, params, title: (words) => titled(words, facts) };
    titled(known.title ?? "", facts);
    links(facts, view);
    const done = await module.show(page);
    if (turn !== shows) {
      done?.();
      return;
    }
    leave = done ?? (() => {});
    main.replaceChildren(content);
    content.dispatchEvent(new Event("shown"));
    if (event) {
      main.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
  } catch (error) {
    if (turn !== shows) return;
    console.info(error); // with the place in the code, for who looks there
    main.replaceChildren(h(
      "div",
      { class: "view", role: "alert" },
      h("h1", {}, "This cannot be shown"),
      h("p", {}, error.message),
      h("p", {}, h("button", { onclick: () => show() }, "Try again"), " ", h("a", { href: "#/" }, "Overview")),
    ));
  }
}

function titled(words, facts) {
  document.title = [words, facts.title, "bloxdb"].filter(Boolean).join(" · ");
  document.getElementById("title").textContent = facts.title;
}

function links(facts, view) {
  const views = Object.entries(VIEWS).filter(([name, { title }]) => title && (name !== "training" || facts.tables));
  const nav = document.getElementById("nav");
  nav.replaceChildren(
    ...views.map(([name, { title }]) => h("a", { href: to(name), "data-view": name }, title)),
    ...(facts.tables ? [h("a", { href: facts.tables }, "Tables")] : []),
  );
  mark(view);
}

function mark(view) {
  for (const link of document.querySelectorAll("#nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

document.getElementById("find").addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = document.getElementById("key");
  const arch = await named(new Space(await about()), field);
  if (arch === null) return;
  field.value = "";
  location.hash = to("arch", arch);
});

addEventListener("hashchange", show);
if (["", "scatter", "arch"].includes(parse().view)) runs().catch(() => {}); // while the view itself is loaded; it says what fails
show();
