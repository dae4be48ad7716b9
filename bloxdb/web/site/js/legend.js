// What the colours of points mean, and the classes that are switched off.

import { h } from "./dom.js";
import { ramp } from "./colours.js";
import { shown } from "./format.js";

/** Fill an element; change(hidden) is called with the names of the classes that are switched off. */
export function legend(element, painted, hidden, isHidden, change) {
  if (painted.measure) {
    element.replaceChildren(scale(painted));
    return;
  }
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.name : null;
  const toggled = (name) => {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    return next;
  };
  element.replaceChildren(...painted.classes.map(({ name }, at) => h(
    "button",
    { class: "class", "aria-pressed": String(!isHidden[at]), "data-name": name, onclick: () => change(toggled(name)) },
    dot(painted.colours[at]),
    name,
  )));
  if (focused) [...element.children].find((one) => one.dataset.name === focused)?.focus();
}

function dot(colour) {
  const element = h("span", { class: "dot" });
  element.style.background = colour;
  return element;
}

function scale({ low, high, measure }) {
  const bar = h("span", { class: "ramp" });
  bar.style.background = `linear-gradient(to right, ${ramp().join(", ")})`;
  return h(
    "div",
    { class: "scale" },
    h("span", {}, measure.unit ? `${measure.label} (${measure.unit})` : measure.label),
    bar,
    h("span", { class: "ends" }, h("span", {}, shown(low, measure)), h("span", {}, shown(high, measure))),
  );
}
