// Curves as SVG: hover and arrow keys read values, dragging or + and - zoom, names hide curves.
"use strict";
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const DASHES = ["", "7 3", "2 3", "9 3 2 3"];
  const CLASS_COLOURS = { T4: 0, O6: 1, S5: 2 };
  const LEFT = 58, RIGHT = 14, TOP = 10, BOTTOM = 44;

  function make(name, attributes, parent) {
    const element = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
    if (parent) parent.append(element);
    return element;
  }

  function html(name, text, parent) {
    const element = document.createElement(name);
    element.textContent = text;
    parent.append(element);
    return element;
  }

  function ticks(low, high, about) {
    const raw = (high - low) / about, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
    const found = [];
    for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step)
      found.push(value);
    const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    return found.map((value) => [value, value.toFixed(decimals)]);
  }

  class Plot {
    constructor(root, data) {
      this.root = root;
      this.data = data;
      this.series = data.series.map((one, index) => ({ ...one, shown: true, ...this.look(one, index) }));
      this.cursor = null;
      this.build();
      this.whole();
      new ResizeObserver(() => this.draw()).observe(this.root);
    }

    look(one, index) {
      const classes = new Set(this.data.series.map((s) => s.label));
      const byClass = classes.size === this.data.series.length && one.label in CLASS_COLOURS;
      return { colour: byClass ? CLASS_COLOURS[one.label] : index % 8,
        dash: DASHES[Math.floor(index / 8) % DASHES.length] };
    }

    build() {
      this.root.replaceChildren();
      const tools = html("div", "", this.root);
      tools.className = "tools";
      for (const [words, action] of [["Zoom in", () => this.zoom(0.6)], ["Zoom out", () => this.zoom(1 / 0.6)], ["All", () => this.whole()]]) {
        const button = html("button", words, tools);
        button.type = "button";
        button.className = "plain";
        button.addEventListener("click", action);
      }
      this.svg = make("svg", { tabindex: 0, role: "img", "data-own-keys": "", focusable: "true" }, this.root);
      const names = this.series.map((one) => one.name).join("; ");
      this.svg.setAttribute("aria-label", `Plot of ${names}. Arrow keys read values, plus and minus zoom.`);
      this.readout = html("p", "", this.root);
      this.readout.className = "readout";
      this.readout.setAttribute("aria-live", "polite");
      this.legend();
      for (const note of this.data.notes) html("p", note, this.root).className = "note";
      this.svg.addEventListener("keydown", (event) => this.key(event));
      this.svg.addEventListener("pointermove", (event) => this.move(event));
      this.svg.addEventListener("pointerleave", () => { this.cursor = null; this.draw(); });
      this.svg.addEventListener("pointerdown", (event) => this.press(event));
      this.svg.addEventListener("pointerup", (event) => this.release(event));
      this.svg.addEventListener("dblclick", () => this.whole());
    }

    legend() {
      const list = html("ul", "", this.root);
      list.className = "key-list";
      for (const one of this.series) {
        const button = html("button", "", html("li", "", list));
        button.type = "button";
        button.className = `c${one.colour}`;
        button.setAttribute("aria-pressed", "true");
        const svg = make("svg", { viewBox: "0 0 30 8", "aria-hidden": "true" }, button);
        make("path", { d: "M1 4H29", class: "swatch", "stroke-width": 3, "stroke-dasharray": one.dash }, svg);
        html("span", one.name, button);
        button.addEventListener("click", () => {
          one.shown = !one.shown;
          button.setAttribute("aria-pressed", String(one.shown));
          this.draw();
        });
      }
    }

    range(index) {
      return [Math.min(...this.series.map((s) => s.x[0])),
        Math.max(...this.series.map((s) => s.x[s.x.length - 1]))][index];
    }

    whole() {
      this.low = this.range(0);
      this.high = this.range(1);
      this.draw();
    }

    zoom(factor) {
      const centre = this.cursor ?? (this.low + this.high) / 2;
      const low = centre - (centre - this.low) * factor, high = centre + (this.high - centre) * factor;
      this.window(low, high);
    }

    window(low, high) {
      low = Math.max(low, this.range(0));
      high = Math.min(high, this.range(1));
      if (high - low < 0.5) return;
      [this.low, this.high] = [low, high];
      this.draw();
    }

    heights() {
      let low = Infinity, high = -Infinity;
      for (const one of this.series.filter((s) => s.shown))
        one.x.forEach((x, i) => {
          if (x < this.low || x > this.high) return;
          low = Math.min(low, one.low ? one.low[i] : one.y[i]);
          high = Math.max(high, one.high ? one.high[i] : one.y[i]);
        });
      if (!(high > low)) return [0, 1];
      if (low >= 0 && low < 0.5 * high) low = 0;
      return [low, high + 0.06 * (high - low)];
    }

    draw() {
      const width = Math.max(320, this.root.clientWidth - 26);
      const height = this.root.classList.contains("tall") ? 420 : 330;
      this.size = [width, height];
      const [bottom, top] = this.heights();
      this.px = (x) => LEFT + ((x - this.low) / (this.high - this.low)) * (width - LEFT - RIGHT);
      this.py = (y) => height - BOTTOM - ((y - bottom) / (top - bottom)) * (height - TOP - BOTTOM);
      this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      this.svg.setAttribute("height", height);
      this.svg.replaceChildren();
      this.axes(width, height, bottom, top);
      const clip = make("clipPath", { id: "inside" }, make("defs", {}, this.svg));
      make("rect", { x: LEFT, y: TOP, width: width - LEFT - RIGHT, height: height - TOP - BOTTOM }, clip);
      const inside = make("g", { "clip-path": "url(#inside)" }, this.svg);
      for (const one of this.series.filter((s) => s.shown)) this.curve(one, inside);
      this.hair = make("g", {}, this.svg);
      this.read();
    }

    axes(width, height, bottom, top) {
      for (const [value, text] of ticks(this.low, this.high, Math.max(3, width / 110))) {
        const x = this.px(value);
        make("line", { x1: x, x2: x, y1: height - BOTTOM, y2: height - BOTTOM + 5, class: "axis" }, this.svg);
        make("text", { x, y: height - BOTTOM + 19, "text-anchor": "middle" }, this.svg).textContent = text;
      }
      for (const [value, text] of ticks(bottom, top, 5)) {
        const y = this.py(value);
        make("line", { x1: LEFT, x2: width - RIGHT, y1: y, y2: y, class: "grid" }, this.svg);
        make("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, this.svg).textContent = text;
      }
      make("path", { d: `M${LEFT} ${TOP}V${height - BOTTOM}H${width - RIGHT}`, class: "axis", fill: "none" }, this.svg);
      make("text", { x: (LEFT + width - RIGHT) / 2, y: height - 6, "text-anchor": "middle", class: "name" }, this.svg).textContent = this.data.x_label;
      make("text", { transform: `translate(13 ${(height - BOTTOM + TOP) / 2}) rotate(-90)`, "text-anchor": "middle", class: "name" }, this.svg).textContent = this.data.y_label;
    }

    curve(one, parent) {
      const path = (values) => values.map((y, i) => `${this.px(one.x[i]).toFixed(1)} ${this.py(y).toFixed(1)}`);
      if (one.low && one.n > 1)
        make("path", { d: `M${path(one.high).join("L")}L${path(one.low).reverse().join("L")}Z`, class: `band c${one.colour}` }, parent);
      make("path", { d: `M${path(one.y).join("L")}`, class: `curve c${one.colour}`, "stroke-dasharray": one.dash }, parent);
    }

    read() {
      if (this.cursor === null) {
        this.readout.textContent = "Point to read values, drag to zoom; or use the arrow keys, + and −.";
        return;
      }
      const x = this.px(this.cursor);
      make("line", { x1: x, x2: x, y1: TOP, y2: this.size[1] - BOTTOM, class: "hair" }, this.hair);
      const said = [`${this.cursor.toFixed(1)} eV`];
      for (const one of this.series.filter((s) => s.shown)) {
        const value = this.at(one, this.cursor);
        if (value === null) continue;
        make("circle", { cx: x, cy: this.py(value), r: 4, class: `dot c${one.colour}` }, this.hair);
        said.push(this.series.length > 1 ? `${one.name}: ${value.toPrecision(4)}` : value.toPrecision(5));
      }
      this.readout.textContent = said.slice(0, 7).join("   ") + (said.length > 7 ? " …" : "");
    }

    at(one, x) {
      const last = one.x.length - 1;
      if (x < one.x[0] || x > one.x[last]) return null;
      let low = 0, high = last;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (one.x[middle] <= x) low = middle; else high = middle;
      }
      const part = (x - one.x[low]) / (one.x[high] - one.x[low] || 1);
      return one.y[low] + part * (one.y[high] - one.y[low]);
    }

    energy(event) {
      const box = this.svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * this.size[0];
      const part = (x - LEFT) / (this.size[0] - LEFT - RIGHT);
      return this.low + Math.min(1, Math.max(0, part)) * (this.high - this.low);
    }

    move(event) {
      this.cursor = this.energy(event);
      this.hair.replaceChildren();
      this.read();
      if (this.from !== undefined) {
        const [a, b] = [this.px(this.from), this.px(this.cursor)].sort((p, q) => p - q);
        make("rect", { x: a, width: b - a, y: TOP, height: this.size[1] - TOP - BOTTOM, class: "drag" }, this.hair);
      }
    }

    press(event) {
      this.from = this.energy(event);
      this.svg.setPointerCapture(event.pointerId);
    }

    release(event) {
      const to = this.energy(event), from = this.from;
      this.from = undefined;
      if (from !== undefined && Math.abs(this.px(to) - this.px(from)) > 6)
        this.window(Math.min(from, to), Math.max(from, to));
    }

    key(event) {
      const span = this.high - this.low, step = span / 100;
      const sign = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (sign && event.shiftKey) {
        const by = Math.max(this.range(0) - this.low, Math.min(this.range(1) - this.high, sign * span / 5));
        this.window(this.low + by, this.high + by);
      } else if (sign) {
        const middle = this.cursor ?? (this.low + this.high) / 2;
        this.cursor = Math.min(this.high, Math.max(this.low, middle + sign * step));
        this.draw();
      } else if (event.key === "+" || event.key === "=") this.zoom(0.6);
      else if (event.key === "-") this.zoom(1 / 0.6);
      else if (event.key === "0") this.whole();
      else return;
      event.preventDefault();
      event.stopPropagation();
    }
  }

  for (const root of document.querySelectorAll("[data-plot]")) {
    html("p", "Reading …", root).className = "note";
    fetch(root.dataset.plot, { credentials: "same-origin" })
      .then(async (response) => {
        const answer = await response.json();
        if (!response.ok) throw new Error(answer.message);
        if (!answer.series.length) throw new Error("No spectrum matches.");
        root.plot = new Plot(root, answer);
      })
      .catch((error) => { root.replaceChildren(); html("p", error.message, root).className = "empty"; });
  }
})();
