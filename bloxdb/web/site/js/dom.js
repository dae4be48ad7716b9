// Elements from plain values. Texts become text nodes: nothing that a database holds is ever read as HTML.

/** An element; attributes that begin with "on" are listeners, those that are null or false are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  set(element, attributes);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An element of an SVG image. */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(element, attributes);
  element.append(...children);
  return element;
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
}

/** A labelled choice; options are [value, words] or {group, options}. */
export function choice(words, options, value, onchange) {
  const option = ([key, text]) => h("option", { value: key, selected: key === value }, text);
  const select = h(
    "select",
    { "aria-label": words, onchange: (event) => onchange(event.target.value) },
    options.map((one) => (one.group ? h("optgroup", { label: one.group }, one.options.map(option)) : option(one))),
  );
  return h("label", { class: "field" }, h("span", {}, words), select);
}

/** A labelled box to tick. */
export function tick(words, checked, onchange) {
  return h(
    "label",
    { class: "tick" },
    h("input", { type: "checkbox", checked, onchange: (event) => onchange(event.target.checked) }),
    words,
  );
}

/** A table; columns are {title, number, wraps, cell(row)}, where a cell is a text or a node. */
export function table(columns, rows, caption) {
  const kind = (column) => (column.number ? "number" : column.wraps ? "wraps" : null);
  return h(
    "div",
    { class: "scrolls", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", { class: "hidden" }, caption),
      h("thead", {}, h("tr", {}, columns.map((one) => h("th", { scope: "col", class: kind(one) }, one.title)))),
      h(
        "tbody",
        {},
        rows.map((row) => h("tr", {}, columns.map((one) => h("td", { class: kind(one) }, one.cell(row) ?? "–")))),
      ),
    ),
  );
}

/** Say something to whoever listens instead of looking. */
export function say(words) {
  document.getElementById("said").textContent = words;
}

/** The colour that a variable of the style sheet has now. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Call a function whenever the system goes from light to dark or back; gives what ends that. */
export function onTheme(redraw) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", redraw);
  return () => dark.removeEventListener("change", redraw);
}

/** Save a text as a file. */
export function download(name, text, kind) {
  const url = URL.createObjectURL(new Blob([text], { type: kind }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
