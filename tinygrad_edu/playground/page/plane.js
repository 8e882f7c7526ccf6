// The plane: points that a person clicks, drags and deletes, over what the network says there: regions of two classes, or a curve.

import {colour, fixed, palette, surface} from "./drawing.js";

const SIDE = 2, FINE = 96, NEAR = 9; // NEAR: pixels within which a point is meant
const MARGIN = {left: 28, right: 8, top: 8, bottom: 22};

export class Plane {
  /** `ask(what, fields)` sends a command, `tool()` is "0", "1" or "delete", `say(text)` tells those who cannot see. */
  constructor(field, dots, {ask, tool, say}) {
    Object.assign(this, {field, dots, ask, tool, say});
    this.points = [];
    this.pending = []; // clicked, but Python has not answered yet
    this.task = "classify";
    this.selected = -1;
    this.cross = {x: 0, y: 0};
    this.drag = null;
    this.cells = document.createElement("canvas");
    dots.addEventListener("pointerdown", event => this.press(event));
    dots.addEventListener("pointermove", event => this.pull(event));
    dots.addEventListener("pointerup", event => this.release(event));
    dots.addEventListener("pointercancel", () => { this.drag = null; });
    dots.addEventListener("contextmenu", event => event.preventDefault());
    dots.addEventListener("keydown", event => this.key(event));
    dots.addEventListener("focus", () => this.drawDots());
    dots.addEventListener("blur", () => this.drawDots());
  }

  // --- places ---

  box() {
    const width = this.dots.clientWidth, height = this.dots.clientHeight;
    return {left: MARGIN.left, top: MARGIN.top, width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom};
  }

  pixel(x, y) {
    const box = this.box();
    return [box.left + (x + SIDE) / (2 * SIDE) * box.width, box.top + (SIDE - y) / (2 * SIDE) * box.height];
  }

  place(event) {
    const frame = this.dots.getBoundingClientRect(), box = this.box();
    const x = (event.clientX - frame.left - box.left) / box.width * 2 * SIDE - SIDE;
    const y = SIDE - (event.clientY - frame.top - box.top) / box.height * 2 * SIDE;
    return {x: clamp(x), y: clamp(y), inside: Math.abs(x) <= SIDE * 1.02 && Math.abs(y) <= SIDE * 1.02};
  }

  /** The point nearest to a place, if it is near enough; the last drawn wins. */
  nearest(place, within = NEAR) {
    const [px, py] = this.pixel(place.x, place.y);
    let best = -1, least = within;
    this.points.forEach(([x, y], i) => {
      const [qx, qy] = this.pixel(x, y), distance = Math.hypot(qx - px, qy - py);
      if (distance <= least) [best, least] = [i, distance];
    });
    return best;
  }

  // --- what a person does ---

  press(event) {
    const place = this.place(event);
    if (!place.inside) return;
    this.cross = place;
    const index = this.nearest(place);
    if (this.tool() === "delete") {
      if (index >= 0) this.remove(index);
      else this.say("There is no point here.");
    } else if (index >= 0 && event.button === 0) {
      this.drag = {index, moved: false, from: [event.clientX, event.clientY], last: 0};
      this.dots.setPointerCapture(event.pointerId);
    } else {
      const other = event.button === 2 || event.shiftKey;
      this.add(place, this.task === "classify" ? Number(this.tool()) ^ (other ? 1 : 0) : 0);
    }
  }

  pull(event) {
    const drag = this.drag;
    if (!drag) {
      this.dots.style.cursor = this.nearest(this.place(event)) >= 0 ? (this.tool() === "delete" ? "pointer" : "grab") : "crosshair";
      return;
    }
    if (Math.hypot(event.clientX - drag.from[0], event.clientY - drag.from[1]) > 3) drag.moved = true;
    if (drag.moved && event.timeStamp - drag.last > 30) {
      drag.last = event.timeStamp;
      const {x, y} = this.place(event);
      this.ask("move", {index: drag.index, x, y, done: false});
    }
  }

  release(event) {
    const drag = this.drag;
    this.drag = null;
    if (!drag) return;
    const {x, y} = this.place(event);
    if (drag.moved) this.ask("move", {index: drag.index, x, y, done: true});
    else this.choose(drag.index);
  }

  key(event) {
    const far = event.shiftKey ? 0.5 : 0.1, ways = {ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, far], ArrowDown: [0, -far]};
    if ((event.ctrlKey || event.metaKey) && event.key === "z") this.ask("undo");
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (ways[event.key]) {
      this.cross = {x: clamp(this.cross.x + ways[event.key][0]), y: clamp(this.cross.y + ways[event.key][1])};
      this.say(`${fixed(this.cross.x)}, ${fixed(this.cross.y)}`);
      this.drawDots();
    } else if (event.key === "Enter" || event.key === " ") {
      const index = this.nearest(this.cross);
      if (this.tool() !== "delete") this.add(this.cross, this.task === "classify" ? Number(this.tool()) : 0);
      else if (index >= 0) this.remove(index);
      else this.say("There is no point here.");
    } else if (event.key === "s" || event.key === "S") {
      const index = this.nearest(this.cross, Infinity);
      if (index >= 0) this.choose(index);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      const index = this.selected >= 0 ? this.selected : this.nearest(this.cross, 40);
      if (index >= 0) this.remove(index);
      else this.say("There is no point near the cross.");
    } else {
      return;
    }
    event.preventDefault();
  }

  add({x, y}, label) {
    if (!this.ask("add", {x, y, label})) return;
    this.pending.push([x, y, label]);
    this.drawDots();
    this.say(`Added ${this.task === "classify" ? `class ${label}` : "a point"} at ${fixed(x)}, ${fixed(y)}.`);
  }

  remove(index) {
    const [x, y] = this.points[index];
    this.ask("delete", {index});
    this.say(`Deleted the point at ${fixed(x)}, ${fixed(y)}.`);
  }

  choose(index) {
    const again = index === this.selected;
    this.ask("select", {index: again ? -1 : index});
    const [x, y] = this.points[index];
    this.say(again ? "No point is chosen." : `Chose the point at ${fixed(x)}, ${fixed(y)}.`);
  }

  // --- pictures ---

  /** Regions and the border between them, or the curve. */
  drawField(picture) {
    this.picture = picture;
    const {context, width, height} = surface(this.field), box = this.box();
    context.fillStyle = palette.card;
    context.fillRect(0, 0, width, height);
    context.save();
    context.beginPath();
    context.rect(box.left, box.top, box.width, box.height);
    context.clip();
    if (picture.plane) {
      colour(this.cells, picture.plane, FINE, palette.soft);
      context.imageSmoothingEnabled = true;
      context.drawImage(this.cells, box.left, box.top, box.width, box.height);
      context.strokeStyle = palette.ink;
      context.lineWidth = 2;
      context.beginPath();
      border(context, picture.plane, box);
      context.stroke();
    } else if (picture.curve) {
      this.drawCurve(context, picture.curve);
    }
    context.restore();
  }

  drawCurve(context, curve) {
    const n = curve.length;
    const at = x => { // the curve between two of its places
      const t = (x + SIDE) / (2 * SIDE) * (n - 1), i = Math.min(Math.floor(t), n - 2);
      return curve[i] + (curve[i + 1] - curve[i]) * (t - i);
    };
    context.strokeStyle = palette.orange;
    context.lineWidth = 1;
    context.setLineDash([3, 3]);
    context.beginPath();
    for (const [x, y] of this.points) { // the errors whose squares the loss sums
      const [px, py] = this.pixel(x, y), [, qy] = this.pixel(x, limited(at(x)));
      context.moveTo(px, py);
      context.lineTo(px, qy);
    }
    context.stroke();
    context.setLineDash([]);
    context.strokeStyle = palette.blue;
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.beginPath();
    for (let i = 0; i < n; i++) context.lineTo(...this.pixel(-SIDE + 2 * SIDE * i / (n - 1), limited(curve[i])));
    context.stroke();
  }

  /** Axes, points, the chosen one, and the cross of those who use keys. */
  drawDots() {
    const {context, width, height} = surface(this.dots), box = this.box();
    context.clearRect(0, 0, width, height);
    context.strokeStyle = palette.line;
    context.lineWidth = 1;
    context.strokeRect(box.left, box.top, box.width, box.height);
    context.fillStyle = palette.faint;
    context.font = "12px system-ui, sans-serif";
    for (let k = -SIDE; k <= SIDE; k++) {
      const [x, y] = this.pixel(k, k), text = String(k).replace("-", "−");
      context.textAlign = "center";
      context.textBaseline = "top";
      context.fillText(text, Math.min(x, width - 8), box.top + box.height + 6);
      context.textAlign = "right";
      context.textBaseline = "middle";
      context.fillText(text, box.left - 6, Math.min(Math.max(y, 8), height - 10));
    }
    context.globalAlpha = 0.6;
    context.beginPath();
    for (const [a, b] of [[[-SIDE, 0], [SIDE, 0]], [[0, -SIDE], [0, SIDE]]]) {
      context.moveTo(...this.pixel(...a));
      context.lineTo(...this.pixel(...b));
    }
    context.stroke();
    context.globalAlpha = 1;
    const size = this.points.length > 150 ? 3.6 : 5;
    for (const wanted of [0, 1]) {
      context.fillStyle = wanted ? palette.blue : palette.orange;
      context.strokeStyle = palette.card;
      context.lineWidth = 1.5;
      context.beginPath();
      this.points.forEach(([x, y, label]) => { if (label === wanted) mark(context, ...this.pixel(x, y), label, size); });
      context.stroke();
      context.fill();
    }
    context.lineWidth = 2;
    for (const [x, y, label] of this.pending) { // hollow
      context.strokeStyle = label ? palette.blue : palette.orange;
      context.beginPath();
      mark(context, ...this.pixel(x, y), label, size);
      context.stroke();
    }
    context.strokeStyle = palette.ink;
    if (this.selected >= 0 && this.selected < this.points.length) {
      const [x, y] = this.points[this.selected];
      context.beginPath();
      context.arc(...this.pixel(x, y), size + 5, 0, 2 * Math.PI);
      context.stroke();
    }
    if (document.activeElement === this.dots && this.dots.matches(":focus-visible")) {
      const [x, y] = this.pixel(this.cross.x, this.cross.y);
      context.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
        context.moveTo(x + 4 * dx, y + 4 * dy);
        context.lineTo(x + 12 * dx, y + 12 * dy);
      }
      context.stroke();
    }
  }
}

function clamp(x) {
  return Math.round(Math.min(Math.max(x, -SIDE), SIDE) * 100) / 100;
}

function limited(y) {
  return Math.min(Math.max(y, -20 * SIDE), 20 * SIDE);
}

/** ● for class 0 and points of a curve, ▲ for class 1. */
function mark(context, x, y, label, size) {
  if (label === 0) {
    context.moveTo(x + size, y);
    context.arc(x, y, size, 0, 2 * Math.PI);
  } else {
    context.moveTo(x, y - size * 1.25);
    context.lineTo(x + size * 1.15, y + size * 0.85);
    context.lineTo(x - size * 1.15, y + size * 0.85);
    context.closePath();
  }
}

/** The line where neither class is more likely: for each square of four cells, where their values pass 128. */
function border(context, bytes, box) {
  const w = box.width / FINE, h = box.height / FINE, left = box.left + w / 2, top = box.top + h / 2;
  for (let r = 0; r + 1 < FINE; r++) {
    for (let c = 0; c + 1 < FINE; c++) {
      const i = r * FINE + c, corners = [bytes[i], bytes[i + 1], bytes[i + FINE + 1], bytes[i + FINE]];
      if (corners.every(v => v >= 128) || corners.every(v => v < 128)) continue;
      const cuts = [];
      for (let k = 0; k < 4; k++) {
        const a = corners[k] - 127.5, b = corners[(k + 1) % 4] - 127.5;
        if (a < 0 === b < 0) continue;
        const t = a / (a - b);
        cuts.push([[c + t, r], [c + 1, r + t], [c + 1 - t, r + 1], [c, r + 1 - t]][k]);
      }
      for (let k = 0; k + 1 < cuts.length; k += 2) {
        context.moveTo(left + cuts[k][0] * w, top + cuts[k][1] * h);
        context.lineTo(left + cuts[k + 1][0] * w, top + cuts[k + 1][1] * h);
      }
    }
  }
}
