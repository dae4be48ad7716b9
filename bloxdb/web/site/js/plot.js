// A plot of points that can be moved, zoomed, brushed and asked: pixels below, axes and marks as SVG above.

import { extent, ticks } from "./axes.js";
import { colour, h, onTheme, s } from "./dom.js";
import { drawPoints, lined, nearest } from "./points.js";

const NEAR = 12; // pixels from a point at which it is meant
const STILL = 4; // pixels that a hand moves in a click
const ZOOM = 1.25;
const LARGEST = 2.8; // pixels of the radius of a point
const SHARE = 0.45; // of the room that it has

export class Plot {
  /**
   * show(row): what stands beside a point; pick(row): it was clicked; brush(area): {x: [..], y: [..]} or
   * {line: [[x, y], ...]} was drawn; moved(view): what is seen changed by hand.
   */
  constructor({ words, show, pick, brush, moved }) {
    Object.assign(this, { show, pick, brush, moved });
    this.tool = "box";
    this.view = null;
    this.canvas = h("canvas", { tabindex: "0", role: "img", "aria-label": words, "aria-describedby": "plot-keys" });
    this.marks = s("svg", { class: "marks", "aria-hidden": "true" });
    this.tip = h("div", { class: "tip", hidden: true });
    this.element = h("div", { class: "plot" }, this.canvas, this.marks, this.tip);
    this.watcher = new ResizeObserver(() => this.draw());
    this.watcher.observe(this.element);
    this.forgetTheme = onTheme(() => this.draw());
    this.listen();
  }

  close() {
    this.watcher.disconnect();
    this.forgetTheme();
  }

  /** data: {xs, ys, rows, chosen, colouring, front, xLabel, yLabel, logX, logY, line, box}. */
  set(data) {
    this.data = data;
    this.all = this.some = null;
    const safe = (values, isLog) => (isLog ? values.map(Math.log10) : values);
    this.xs = safe(data.xs, data.logX);
    this.ys = safe(data.ys, data.logY);
    this.whole = { x: extent(this.xs, data.rows), y: extent(this.ys, data.rows) };
    this.draw();
  }

  /** Values of the data as they are on an axis, and back. */
  on(axis, value) {
    return this.data[axis === "x" ? "logX" : "logY"] ? Math.log10(value) : value;
  }

  off(axis, value) {
    return this.data[axis === "x" ? "logX" : "logY"] ? 10 ** value : value;
  }

  draw() {
    cancelAnimationFrame(this.waiting);
    this.waiting = requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!this.data || !width || !height) return;
    const density = devicePixelRatio || 1;
    const left = 62;
    const box = { left, top: 10, width: width - left - 12, height: height - 58 };
    Object.assign(this.canvas, { width: Math.round(box.width * density), height: Math.round(box.height * density) });
    Object.assign(this.canvas.style, { left: `${box.left}px`, top: `${box.top}px`, width: `${box.width}px`, height: `${box.height}px` });
    const view = this.view ?? this.whole;
    this.box = box;
    this.seen = view;
    const xScale = this.canvas.width / (view.x[1] - view.x[0]);
    const yScale = -this.canvas.height / (view.y[1] - view.y[0]);
    this.place = { density, xScale, yScale, x0: -view.x[0] * xScale, y0: this.canvas.height - view.y[0] * yScale };
    const { rows, chosen, colouring } = this.data;
    this.all ??= lined(rows, this.xs, this.ys, chosen ? null : colouring.of);
    this.some ??= chosen && lined(chosen, this.xs, this.ys, colouring.of);
    const zoom = Math.min(4, (this.whole.x[1] - this.whole.x[0]) / (view.x[1] - view.x[0]));
    const radiusOf = (count) => {
      const room = Math.sqrt((box.width * box.height) / Math.max(1, count)); // for each point, if all lay apart
      return Math.min(LARGEST, Math.max(1, SHARE * room) + 0.35 * Math.max(0, zoom - 1));
    };
    const radius = radiusOf(rows.length);
    const opacity = rows.length > 30_000 ? Math.min(0.9, 0.5 + 0.15 * (zoom - 1)) : 0.8;
    const { colours } = colouring;
    const layers = chosen
      ? [{ points: this.all, colours: [colour("bar")], opacity: 0.35, radius }, { points: this.some, colours, opacity: Math.min(1, opacity + 0.3), radius: radiusOf(chosen.length) }]
      : [{ points: this.all, colours, opacity, radius }];
    const began = performance.now();
    drawPoints(this.canvas, this.place, layers, colour("paper"));
    this.canvas.dataset.ms = (performance.now() - began).toFixed(1);
    this.drawMarks(width, height);
  }

  /** Where a value of the data is, in pixels of CSS. */
  at(x, y) {
    const { x0, y0, xScale, yScale, density } = this.place;
    return [this.box.left + (x0 + x * xScale) / density, this.box.top + (y0 + y * yScale) / density];
  }

  /** The value at a place of the element, as it is on the axes. */
  from(px, py) {
    const { x0, y0, xScale, yScale, density } = this.place;
    return [((px - this.box.left) * density - x0) / xScale, ((py - this.box.top) * density - y0) / yScale];
  }

  drawMarks(width, height) {
    const { box, data, seen } = this;
    const right = box.left + box.width;
    const bottom = box.top + box.height;
    const parts = [s("rect", { class: "edge", x: box.left, y: box.top, width: box.width, height: box.height })];
    for (const [value, words] of ticks(...seen.x.map((one) => this.off("x", one)), box.width / 90, data.logX)) {
      const [x] = this.at(this.on("x", value), 0);
      parts.push(s("line", { class: "grid", x1: x, x2: x, y1: box.top, y2: bottom }), s("text", { x, y: bottom + 17, "text-anchor": "middle" }, words));
    }
    for (const [value, words] of ticks(...seen.y.map((one) => this.off("y", one)), box.height / 60, data.logY)) {
      const [, y] = this.at(0, this.on("y", value));
      parts.push(s("line", { class: "grid", x1: box.left, x2: right, y1: y, y2: y }), s("text", { x: box.left - 7, y: y + 4, "text-anchor": "end" }, words));
    }
    parts.push(s("text", { class: "name", x: box.left + box.width / 2, y: bottom + 40, "text-anchor": "middle" }, data.xLabel));
    parts.push(s("text", { class: "name", transform: `translate(15 ${box.top + box.height / 2}) rotate(-90)`, "text-anchor": "middle" }, data.yLabel));
    const inner = s("svg", { x: box.left, y: box.top, width: box.width, height: box.height, viewBox: `${box.left} ${box.top} ${box.width} ${box.height}` });
    if (data.front?.length) {
      const places = data.front.map((row) => this.at(this.xs[row], this.ys[row]).map((one) => one.toFixed(1)));
      inner.append(s("path", { class: "front", d: `M ${places.map((place) => place.join(" ")).join(" L ")}` }));
      for (const [cx, cy] of places) inner.append(s("circle", { class: "front", cx, cy, r: 2.6 }));
    }
    const drawn = this.drawn ?? data.drawn;
    if (drawn) inner.append(this.outline(drawn));
    this.ring = s("circle", { class: "ring", r: 6, visibility: "hidden" });
    inner.append(this.ring);
    this.marks.replaceChildren(...parts, inner);
    this.marks.setAttribute("viewBox", `0 0 ${width} ${height}`);
  }

  /** What was drawn by hand, in values of the data: a box, which may be open at a side, or a line. */
  outline({ x, y, line }) {
    if (line) {
      const places = line.map(([a, b]) => this.at(this.on("x", a), this.on("y", b)).join(" "));
      return s("path", { class: "drawn", d: `M ${places.join(" L ")} Z` });
    }
    const side = (axis, value, end) => (Number.isFinite(value) ? this.on(axis, value) : this.seen[axis][end]);
    const [left, bottom] = this.at(side("x", x[0], 0), side("y", y[0], 0));
    const [right, top] = this.at(side("x", x[1], 1), side("y", y[1], 1));
    return s("rect", { class: "drawn", x: left, y: top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) });
  }

  zoom(factor, around = null) {
    const view = this.view ?? this.whole;
    const middle = around ?? [(view.x[0] + view.x[1]) / 2, (view.y[0] + view.y[1]) / 2];
    const scaled = (range, at) => range.map((value) => at + (value - at) / factor);
    this.look({ x: scaled(view.x, middle[0]), y: scaled(view.y, middle[1]) });
  }

  pan(dx, dy) {
    const view = this.view ?? this.whole;
    const shifted = (range, share) => range.map((value) => value + share * (range[1] - range[0]));
    this.look({ x: shifted(view.x, dx), y: shifted(view.y, dy) });
  }

  look(view) {
    this.view = view;
    this.moved(view);
    this.draw();
  }

  point(row) {
    if (!this.place) return;
    const isThere = row !== null && row >= 0;
    this.tip.hidden = !isThere;
    this.ring?.setAttribute("visibility", isThere ? "visible" : "hidden");
    if (!isThere) return;
    const [x, y] = this.at(this.xs[row], this.ys[row]);
    this.ring.setAttribute("cx", x);
    this.ring.setAttribute("cy", y);
    this.tip.replaceChildren(...this.show(row));
    const isRight = x > this.element.clientWidth / 2;
    const isLow = y > this.element.clientHeight / 2;
    Object.assign(this.tip.style, {
      left: isRight ? "auto" : `${x + 14}px`,
      right: isRight ? `${this.element.clientWidth - x + 14}px` : "auto",
      top: isLow ? "auto" : `${y + 10}px`,
      bottom: isLow ? `${this.element.clientHeight - y + 10}px` : "auto",
    });
  }

  under(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    const { density } = this.place;
    const rows = this.data.chosen ?? this.data.rows;
    return nearest(this.xs, this.ys, rows, this.place, (event.clientX - left) * density, (event.clientY - top) * density, NEAR * density);
  }

  /** The place of an event in this element. */
  inside(event) {
    const { left, top } = this.element.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  listen() {
    const { canvas } = this;
    let start = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.data) return;
      canvas.setPointerCapture(event.pointerId);
      start = { place: this.inside(event), view: this.view ?? this.whole, line: [this.inside(event)], moves: false };
      this.point(null);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.data) return;
      if (!start) {
        this.point(this.under(event));
        return;
      }
      const place = this.inside(event);
      start.moves ||= Math.hypot(place[0] - start.place[0], place[1] - start.place[1]) > STILL;
      if (!start.moves) return;
      start.line.push(place);
      if (this.tool === "move") this.drag(start, place);
      else {
        this.drawn = this.area(start, place);
        this.draw();
      }
    });
    const end = (event) => {
      const begun = start;
      start = null;
      this.drawn = null;
      if (!begun) return;
      if (!begun.moves) {
        const row = this.under(event);
        if (row >= 0) this.pick(row);
      } else if (this.tool !== "move") this.brush(this.area(begun, this.inside(event)));
    };
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", () => {
      start = null;
      this.drawn = null;
      this.draw();
    });
    canvas.addEventListener("pointerleave", () => this.point(null));
    canvas.addEventListener("wheel", (event) => {
      if (!this.data) return;
      event.preventDefault();
      this.zoom(1.0015 ** -event.deltaY, this.from(...this.inside(event)));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const keys = {
        ArrowLeft: () => this.pan(-0.1, 0), ArrowRight: () => this.pan(0.1, 0),
        ArrowUp: () => this.pan(0, 0.1), ArrowDown: () => this.pan(0, -0.1),
        "+": () => this.zoom(ZOOM), "=": () => this.zoom(ZOOM), "-": () => this.zoom(1 / ZOOM), 0: () => this.look(null),
      };
      if (!this.data || !keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  drag(start, place) {
    const { density, xScale, yScale } = this.place;
    const dx = ((place[0] - start.place[0]) * density) / xScale;
    const dy = ((place[1] - start.place[1]) * density) / yScale;
    this.look({ x: start.view.x.map((one) => one - dx), y: start.view.y.map((one) => one - dy) });
  }

  /** What was drawn from one place to another, in values of the data. */
  area(start, place) {
    const value = (px) => this.from(...px);
    if (this.tool === "lasso") {
      const every = Math.max(1, Math.ceil(start.line.length / 40));
      const line = start.line.filter((_, at) => at % every === 0).map(value);
      return { line: line.map(([x, y]) => [this.off("x", x), this.off("y", y)]) };
    }
    const [[ax, ay], [bx, by]] = [value(start.place), value(place)];
    const range = (axis, a, b) => [Math.min(a, b), Math.max(a, b)].map((one) => this.off(axis, one));
    return { x: range("x", ax, bx), y: range("y", ay, by) };
  }
}
