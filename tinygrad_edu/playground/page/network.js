// The network: neurons with maps of where in the plane they are active, weights on the synapses, and one neuron's numbers.

import {colour, element, fixed, palette, surface, written} from "./drawing.js";

const COARSE = 32, HEAD = 22; // cells of a map; pixels for the names of the columns
const SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉";

export class Network {
  constructor({frame, synapses, neurons, table, byLayer, say}) {
    Object.assign(this, {frame, synapses, neurons, table, byLayer, say});
    this.sizes = [];
    this.chosen = [1, 0];
    this.tabledAt = 0;
    neurons.addEventListener("keydown", event => this.key(event));
  }

  /** Arrange a network of these layer sizes in the room there is. */
  arrange(sizes, activation, task, loss) {
    const width = this.frame.clientWidth, same = this.sizes.join() === sizes.join();
    Object.assign(this, {sizes, activation, task, loss});
    const most = Math.max(...sizes), column = width / sizes.length;
    const edge = this.edge = Math.max(16, Math.min(56, column * 0.56, 400 / most - 6));
    const row = Math.max(edge + 6, Math.min(74, 320 / most)), height = HEAD + most * row + 8;
    this.frame.style.height = `${height}px`;
    this.starts = sizes.map((_, k) => sizes.slice(0, k).reduce((a, b) => a + b, 0));
    this.places = sizes.map((n, k) => Array.from({length: n}, (_, i) => [column * (k + 0.5), HEAD + (height - HEAD) / 2 + (i - (n - 1) / 2) * row]));
    this.offsets = [];
    for (let k = 1, at = 0; k < sizes.length; k++) {
      this.offsets[k] = at;
      at += sizes[k] * sizes[k - 1] + sizes[k];
    }
    if (!same || this.neurons.childElementCount === 0) this.build();
    const narrow = column < 80;
    sizes.forEach((_, k) => {
      const head = this.heads[k];
      head.textContent = k === 0 ? (narrow ? "in" : "inputs") : k === sizes.length - 1 ? (narrow ? "out" : "output") : narrow ? String(k) : `hidden ${k}`;
      head.style.left = `${column * k}px`;
      head.style.width = `${column}px`;
      this.buttons[k].forEach((button, i) => {
        const [x, y] = this.places[k][i];
        Object.assign(button.style, {left: `${x - edge / 2}px`, top: `${y - edge / 2}px`, width: `${edge}px`, height: `${edge}px`});
      });
    });
    if (this.picture) this.draw(this.picture);
  }

  build() {
    this.heads = this.sizes.map(() => element("span", {class: "column", "aria-hidden": "true"}));
    this.buttons = this.sizes.map((n, k) => Array.from({length: n}, (_, i) =>
      element("button", {class: "neuron", "aria-label": this.called(k, i, true), "aria-pressed": "false", title: this.called(k, i, true),
        onclick: () => this.choose(k, i)}, element("canvas", {"aria-hidden": "true"}))));
    this.neurons.replaceChildren(...this.heads, ...this.buttons.flat());
    this.picture = null;
    const [k, i] = this.chosen;
    this.choose(Math.min(k, this.sizes.length - 1), k < this.sizes.length ? Math.min(i, this.sizes[k] - 1) : 0, false);
  }

  /** What a neuron is called: "hidden 1, neuron 3", or short "h₁₃". */
  called(k, i, long) {
    const sub = n => [...String(n)].map(d => SUBSCRIPTS[d]).join("");
    if (k === 0) return this.sizes[0] === 1 ? (long ? "input x" : "x") : long ? `input x${sub(i + 1)}` : `x${sub(i + 1)}`;
    if (k === this.sizes.length - 1) return long ? "output" : "y";
    return long ? `hidden layer ${k}, neuron ${i + 1}` : `h${sub(k)}${k > 9 || i > 8 ? "," : ""}${sub(i + 1)}`;
  }

  choose(k, i, aloud = true) {
    this.chosen = [k, i];
    this.buttons.forEach((column, layer) => column.forEach((button, n) => {
      const on = layer === k && n === i;
      button.setAttribute("aria-pressed", String(on));
      button.tabIndex = on ? 0 : -1;
    }));
    this.tabledAt = 0;
    if (this.picture) this.draw(this.picture);
    if (aloud) this.say(`${this.called(k, i, true)}.`);
  }

  key(event) {
    const ways = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (!ways) return;
    event.preventDefault();
    const k = Math.min(Math.max(this.chosen[0] + ways[0], 0), this.sizes.length - 1);
    const i = Math.min(Math.max(this.chosen[1] + ways[1], 0), this.sizes[k] - 1);
    this.choose(k, i);
    this.buttons[k][i].focus();
  }

  weight(values, k, to, from) { return values[this.offsets[k] + to * this.sizes[k - 1] + from]; }
  bias(values, k, to) { return values[this.offsets[k] + this.sizes[k] * this.sizes[k - 1] + to]; }

  // --- pictures ---

  draw(picture) {
    const total = this.sizes.reduce((a, b) => a + b, 0), cells = picture.maps.length / total;
    if (picture.weights.length !== this.offsets.at(-1) + this.sizes.at(-2) + 1 || !Number.isInteger(cells)) return; // of the network before
    this.picture = picture;
    this.drawSynapses(picture);
    this.buttons.flat().forEach((button, n) => {
      const canvas = button.firstChild, map = picture.maps.subarray(n * cells, (n + 1) * cells);
      if (this.task === "classify") colour(canvas, map, COARSE);
      else curve(canvas, map);
    });
    if (performance.now() - this.tabledAt > 200 || !picture.training) {
      this.tabledAt = performance.now();
      this.drawTable(picture);
      this.drawByLayer(picture);
    }
  }

  drawSynapses({weights, gradients}) {
    const {context, width, height} = surface(this.synapses), values = gradients || weights;
    let largest = 0;
    for (const v of values) if (Number.isFinite(v)) largest = Math.max(largest, Math.abs(v));
    const scale = gradients ? 5 / (largest || 1) : 5 / Math.max(largest, 2);
    context.clearRect(0, 0, width, height);
    for (const positive of [true, false]) {
      context.strokeStyle = positive ? palette.blue : palette.orange;
      context.setLineDash(positive ? [] : [5, 4]);
      for (let k = 1; k < this.sizes.length; k++) {
        for (let to = 0; to < this.sizes[k]; to++) {
          const [x, y] = this.places[k][to], [ck, ci] = this.chosen;
          for (let from = 0; from < this.sizes[k - 1]; from++) {
            const v = this.weight(values, k, to, from);
            if (v >= 0 !== positive) continue;
            const [px, py] = this.places[k - 1][from], mine = (k === ck && to === ci) || (k === ck + 1 && from === ci);
            context.globalAlpha = mine ? 1 : 0.55;
            context.lineWidth = Math.min(0.4 + Math.abs(v) * scale, 6);
            context.beginPath();
            context.moveTo(px + this.edge / 2, py);
            context.bezierCurveTo((px + x) / 2, py, (px + x) / 2, y, x - this.edge / 2, y);
            context.stroke();
          }
        }
      }
    }
    context.globalAlpha = 1;
    context.setLineDash([]);
  }

  /** The chosen neuron: its weights, their gradients, and, for a chosen point, its sum in numbers. */
  drawTable({weights, gradients, activations}) {
    const [k, i] = this.chosen, name = this.called(k, i, true), value = (layer, n) => activations[this.starts[layer] + n];
    if (k === 0) {
      this.table.replaceChildren(element("p", {}, `${capital(name)}: ${activations ? `${fixed(value(0, i))} for the chosen point.` : "it passes the point's coordinate on."}`));
      return;
    }
    const head = ["from", "weight"], last = k === this.sizes.length - 1;
    if (gradients) head.push("∂loss/∂weight");
    if (activations) head.push("input", "weight · input");
    let sum = this.bias(weights, k, i);
    const rows = [];
    for (let from = 0; from < this.sizes[k - 1]; from++) {
      const w = this.weight(weights, k, i, from), cells = [fixed(w, 3)];
      if (gradients) cells.push(written(this.weight(gradients, k, i, from)));
      if (activations) {
        const x = value(k - 1, from);
        sum += w * x;
        cells.push(fixed(x, 3), fixed(w * x, 3));
      }
      rows.push([this.called(k - 1, from), ...cells]);
    }
    const biasRow = ["bias", fixed(this.bias(weights, k, i), 3)];
    if (gradients) biasRow.push(written(this.bias(gradients, k, i)));
    if (activations) biasRow.push("1", fixed(this.bias(weights, k, i), 3));
    rows.push(biasRow);
    const table = element("table", {}, element("caption", {}, capital(name)),
      element("thead", {}, element("tr", {}, ...head.map(h => element("th", {scope: "col"}, h)))),
      element("tbody", {}, ...rows.map(([first, ...rest]) => element("tr", {}, element("th", {scope: "row"}, first), ...rest.map(c => element("td", {}, c))))));
    const parts = [table];
    if (activations) {
      const squash = !last ? {tanh: "tanh", relu: "ReLU", sigmoid: "σ", leaky: "leaky ReLU", gelu: "GELU", none: ""}[this.activation] : this.task === "classify" ? "σ" : "";
      parts.push(element("p", {class: "number"}, `For the chosen point: sum ${fixed(sum, 3)}, ${squash ? `${squash}(${fixed(sum, 3)})` : "output"} = ${fixed(value(k, i), 3)}`));
    }
    this.table.replaceChildren(...parts);
  }

  /** How large the gradient is in each layer. */
  drawByLayer({gradients}) {
    if (!gradients) return this.byLayer.replaceChildren();
    const sizes = [];
    for (let k = 1; k < this.sizes.length; k++) {
      const part = gradients.subarray(this.offsets[k], this.offsets[k] + this.sizes[k] * (this.sizes[k - 1] + 1));
      sizes.push(Math.sqrt(part.reduce((a, g) => a + g * g, 0) / part.length));
    }
    const most = Math.max(...sizes.filter(Number.isFinite), 1e-30);
    this.byLayer.replaceChildren(element("table", {}, element("caption", {}, "Typical ∂loss/∂weight per layer"),
      element("tbody", {}, ...sizes.map((size, n) => {
        const bar = element("i");
        bar.style.width = `${Math.max(1, Math.min(1, size / most || 0) * 90)}px`;
        return element("tr", {}, element("th", {scope: "row"}, n === sizes.length - 1 ? "output" : `hidden ${n + 1}`),
          element("td", {}, written(size)), element("td", {class: "meter", "aria-hidden": "true"}, bar));
      }))));
  }
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

/** A neuron's activation along x, as a line. */
function curve(canvas, map) {
  const side = 64, n = map.length;
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const context = canvas.getContext("2d"), y = v => side / 2 - (v - 128) / 127 * (side / 2 - 6);
  context.fillStyle = palette.card;
  context.fillRect(0, 0, side, side);
  context.strokeStyle = palette.line;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(0, side / 2);
  context.lineTo(side, side / 2);
  context.stroke();
  context.strokeStyle = palette.blue;
  context.lineWidth = 4;
  context.beginPath();
  for (let i = 0; i < n; i++) context.lineTo(i / (n - 1) * side, y(map[i]));
  context.stroke();
}
