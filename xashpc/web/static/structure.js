// Balls and sticks on a canvas: drag or arrow keys rotate, + and - zoom, the absorber has a ring.
"use strict";
(() => {
  const START = [0.38, -0.24];

  function node(name, text, parent) {
    const element = document.createElement(name);
    element.textContent = text;
    parent.append(element);
    return element;
  }

  function shade(colour, factor) {
    const number = parseInt(colour.slice(1), 16);
    const parts = [number >> 16, (number >> 8) & 255, number & 255];
    return `rgb(${parts.map((part) => Math.round(factor > 1 ? part + (255 - part) * (factor - 1) : part * factor)).join(" ")})`;
  }

  class Viewer {
    constructor(root, scene) {
      this.root = root;
      this.scene = scene;
      this.view = "cluster";
      this.build();
      this.reset();
      new ResizeObserver(() => this.draw()).observe(this.canvas);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    }

    build() {
      this.root.replaceChildren();
      const tools = node("div", "", this.root);
      tools.className = "tools";
      this.choice = {};
      for (const [name, words] of [["cluster", "Around the absorber"], ["cell", "Unit cell"]]) {
        if (!this.scene.views[name]) continue;
        const button = node("button", words, tools);
        button.type = "button";
        button.className = "plain";
        button.addEventListener("click", () => this.show(name));
        this.choice[name] = button;
      }
      this.canvas = node("canvas", "", this.root);
      this.canvas.tabIndex = 0;
      this.canvas.setAttribute("role", "img");
      this.canvas.setAttribute("data-own-keys", "");
      this.canvas.setAttribute("aria-label", `${this.scene.formula}, the absorbing ${this.scene.absorber} atom in its middle has a ring. Arrow keys rotate, plus and minus zoom, c changes between cluster and cell.`);
      const list = node("ul", "", this.root);
      for (const [symbol, look] of Object.entries(this.scene.elements)) {
        const item = node("li", "", list);
        const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        svg.setAttribute("viewBox", "0 0 12 12");
        const ball = document.createElementNS("http://www.w3.org/2000/svg", "circle");
        for (const [key, value] of Object.entries({ cx: 6, cy: 6, r: 5, fill: look.colour })) ball.setAttribute(key, value);
        svg.append(ball);
        item.append(svg, symbol + (symbol === this.scene.absorber ? " (absorber, ringed)" : ""));
      }
      const near = this.scene.neighbours.map((n) => `${n.element} ${n.distance_angstrom.toFixed(3)}`);
      node("p", `Nearest, Å: ${near.slice(0, 8).join(", ")}`, this.root);
      this.canvas.addEventListener("keydown", (event) => this.key(event));
      this.canvas.addEventListener("pointerdown", (event) => { this.from = [event.clientX, event.clientY]; this.canvas.setPointerCapture(event.pointerId); });
      this.canvas.addEventListener("pointermove", (event) => this.drag(event));
      this.canvas.addEventListener("pointerup", () => { this.from = null; });
    }

    show(name) {
      this.view = name;
      this.reset();
    }

    reset() {
      for (const [name, button] of Object.entries(this.choice)) button.setAttribute("aria-pressed", String(name === this.view));
      this.zoom = 1;
      this.turn = [1, 0, 0, 0, 1, 0, 0, 0, 1];
      this.rotate(...START);
    }

    rotate(about_y, about_x) {
      const [cy, sy, cx, sx] = [Math.cos(about_y), Math.sin(about_y), Math.cos(about_x), Math.sin(about_x)];
      // In the frame of the screen: first about its vertical, then about its horizontal axis.
      const by = [cy, 0, sy, sx * sy, cx, -sx * cy, -cx * sy, sx, cx * cy];
      const old = this.turn;
      this.turn = by.map((_, i) => [0, 1, 2].reduce((sum, k) => sum + by[3 * Math.floor(i / 3) + k] * old[3 * k + (i % 3)], 0));
      this.draw();
    }

    key(event) {
      const steps = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] };
      if (event.key in steps) this.rotate(...steps[event.key]);
      else if (event.key === "+" || event.key === "=") { this.zoom = Math.min(6, this.zoom * 1.2); this.draw(); }
      else if (event.key === "-") { this.zoom = Math.max(0.3, this.zoom / 1.2); this.draw(); }
      else if (event.key === "0") this.reset();
      else if (event.key === "c" && this.choice.cell) this.show(this.view === "cell" ? "cluster" : "cell");
      else return;
      event.preventDefault();
      event.stopPropagation();
    }

    drag(event) {
      if (!this.from) return;
      this.rotate((event.clientX - this.from[0]) / 120, (event.clientY - this.from[1]) / 120);
      this.from = [event.clientX, event.clientY];
    }

    turned([x, y, z]) {
      const t = this.turn;
      return [t[0] * x + t[1] * y + t[2] * z, t[3] * x + t[4] * y + t[5] * z, t[6] * x + t[7] * y + t[8] * z];
    }

    middle(points) {
      if (this.view === "cluster") return [0, 0, 0];
      return [0, 1, 2].map((i) => (Math.min(...points.map((p) => p[i])) + Math.max(...points.map((p) => p[i]))) / 2);
    }

    draw() {
      const view = this.scene.views[this.view], canvas = this.canvas;
      const [width, height] = [canvas.clientWidth, canvas.clientHeight];
      if (!width) return;
      const ratio = window.devicePixelRatio || 1;
      canvas.width = width * ratio;
      canvas.height = height * ratio;
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      const raw = view.atoms.map((a) => [a.x, a.y, a.z]);
      const middle = this.middle(view.lines.length ? view.lines.flat() : raw);
      const moved = (p) => this.turned(p.map((value, i) => value - middle[i]));
      const reach = Math.max(2, ...[...raw, ...view.lines.flat()].map((p) => Math.hypot(...p.map((value, i) => value - middle[i])))) + 0.6;
      const scale = (this.zoom * Math.min(width, height)) / 2 / reach;
      const put = ([x, y, z]) => { const near = 1 + z / (6 * reach); return [width / 2 + x * scale * near, height / 2 - y * scale * near, near]; };
      const points = raw.map(moved);
      const things = points.map((p, i) => [p[2], () => this.ball(pen, view.atoms[i], put(p), scale, p[2] / reach)]);
      for (const [i, j] of view.bonds)
        things.push([(points[i][2] + points[j][2]) / 2 - 0.05, () => this.stick(pen, [view.atoms[i], view.atoms[j]], [put(points[i]), put(points[j])], scale)]);
      pen.strokeStyle = getComputedStyle(canvas).getPropertyValue("--faint");
      pen.lineWidth = 1;
      for (const [a, b] of view.lines) {
        const [p, q] = [put(moved(a)), put(moved(b))];
        pen.beginPath(); pen.moveTo(p[0], p[1]); pen.lineTo(q[0], q[1]); pen.stroke();
      }
      things.sort((a, b) => a[0] - b[0]).forEach(([, paint]) => paint());
    }

    ball(pen, atom, [x, y, near], scale, depth) {
      const look = this.scene.elements[atom.element], radius = look.radius * scale * near;
      const light = pen.createRadialGradient(x - radius * 0.35, y - radius * 0.35, radius * 0.1, x, y, radius);
      const fade = 0.82 + 0.18 * depth;
      light.addColorStop(0, shade(look.colour, 1.6));
      light.addColorStop(0.5, shade(look.colour, Math.min(1, fade)));
      light.addColorStop(1, shade(look.colour, 0.55 * fade));
      pen.fillStyle = light;
      pen.beginPath(); pen.arc(x, y, radius, 0, 7); pen.fill();
      pen.strokeStyle = "rgb(0 0 0 / 0.35)";
      pen.lineWidth = 0.8;
      pen.stroke();
      if (!atom.absorber) return;
      const style = getComputedStyle(this.canvas);
      pen.strokeStyle = style.getPropertyValue("--quarantined");
      pen.lineWidth = 3;
      pen.beginPath(); pen.arc(x, y, radius + 4, 0, 7); pen.stroke();
      pen.fillStyle = style.getPropertyValue("--ink");
      pen.font = "600 14px system-ui, sans-serif";
      pen.fillText(atom.element, x + radius + 8, y - radius);
    }

    stick(pen, atoms, [p, q], scale) {
      const middle = [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2];
      [[p, atoms[0]], [q, atoms[1]]].forEach(([end, atom]) => {
        for (const [width, factor] of [[0.2, 0.5], [0.15, 0.85]]) {
          pen.strokeStyle = shade(this.scene.elements[atom.element].colour, factor);
          pen.lineWidth = Math.max(1, width * scale * end[2]);
          pen.beginPath(); pen.moveTo(end[0], end[1]); pen.lineTo(middle[0], middle[1]); pen.stroke();
        }
      });
    }
  }

  for (const root of document.querySelectorAll("[data-structure]")) {
    fetch(root.dataset.structure, { credentials: "same-origin" })
      .then(async (response) => {
        const answer = await response.json();
        if (!response.ok) throw new Error(answer.message);
        root.viewer = new Viewer(root, answer);
      })
      .catch((error) => { root.replaceChildren(); node("p", error.message, root); });
  }
})();
