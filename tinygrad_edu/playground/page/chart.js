// The loss over the steps so far, thinned out when it gets long.

import {palette, surface, written} from "./drawing.js";

const MOST = 600;

export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.curve = [];
    this.logarithmic = false;
  }

  /** Remember the loss at a step; an earlier step than the last begins a new curve. */
  add(step, loss) {
    const last = this.curve.at(-1);
    if (last && step < last[0]) this.curve = [];
    else if (last && step === last[0]) this.curve.pop(); // the same step, with other points perhaps
    if (loss === null) return;
    this.curve.push([step, loss]);
    if (this.curve.length > MOST) this.curve = this.curve.filter((_, i) => i % 2 === 0 || i === this.curve.length - 1);
  }

  /** What the picture shows, in words. */
  summary() {
    if (this.curve.length === 0) return "The loss over the steps so far: none yet";
    const [first, last] = [this.curve[0], this.curve.at(-1)];
    return `The loss over the steps so far: ${written(first[1])} at step ${first[0]}, ${written(last[1])} at step ${last[0]}`;
  }

  clear() { this.curve = []; }

  draw() {
    const {context, width, height} = surface(this.canvas), {curve} = this;
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = palette.faint;
    if (curve.length === 0) {
      context.textAlign = "center";
      context.fillText("no loss yet", width / 2, height / 2);
      return;
    }
    const shown = v => this.logarithmic ? Math.log10(Math.max(v, 1e-12)) : v, values = curve.map(([, v]) => shown(v));
    let low = this.logarithmic ? Math.min(...values) : 0, high = Math.max(...values);
    if (!(high > low)) high = low + 1;
    const label = v => written(this.logarithmic ? 10 ** v : v, 2), ticks = [low, (low + high) / 2, high];
    const left = 8 + Math.max(...ticks.map(t => context.measureText(label(t)).width)), box = {left, top: 10, right: width - 8, bottom: height - 22};
    const first = curve[0][0], last = Math.max(curve.at(-1)[0], first + 1);
    const x = step => box.left + (step - first) / (last - first) * (box.right - box.left), y = v => box.bottom - (v - low) / (high - low) * (box.bottom - box.top);
    context.strokeStyle = palette.line;
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.beginPath();
    for (const t of ticks) {
      context.moveTo(box.left, y(t));
      context.lineTo(box.right, y(t));
      context.fillText(label(t), box.left - 5, y(t));
    }
    context.stroke();
    context.textBaseline = "top";
    context.textAlign = "left";
    context.fillText(`step ${first}`, box.left, box.bottom + 6);
    context.textAlign = "right";
    context.fillText(String(last), box.right, box.bottom + 6);
    context.strokeStyle = palette.blue;
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.beginPath();
    curve.forEach(([step], i) => context.lineTo(x(step), y(values[i])));
    context.stroke();
    context.textBaseline = "alphabetic";
  }
}
