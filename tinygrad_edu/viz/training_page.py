"""The page of a filmed training: HTML, style and script, with @@places@@ that training.py fills in."""

PAGE = r"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>@@TITLE@@</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root{--ink:#1b2733;--faint:#5b6b7a;--page:#f6f8fa;--card:#fff;--line:#c9d2da;--mark:#1f5fae}
@media(prefers-color-scheme:dark){:root{--ink:#e8edf2;--faint:#a9b6c2;--page:#12181f;--card:#1c252f;--line:#3a4754;--mark:#7db4f5}}
*{box-sizing:border-box}
body{margin:0 auto;padding:12px 16px;max-width:1400px;font:16px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--page)}
h1{font-size:1.15rem;margin:.1rem 0 .5rem}h2{font-size:.95rem;margin:0 0 .3rem;color:var(--faint);font-weight:normal}
#views{display:flex;flex-wrap:wrap;gap:10px}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:8px;overflow:auto;min-width:0}
.white{background:#fff;color:#1b2733}.white h2{color:#5b6b7a}
.card svg{max-width:100%;height:auto;display:block}#curve{max-width:420px}
canvas{width:100%;max-width:340px;image-rendering:pixelated;border:1px solid var(--line);display:block}
#controls{display:flex;flex-wrap:wrap;gap:6px;align-items:center;margin:10px 0}
button{font:inherit;padding:.3em .8em;border:1px solid var(--line);border-radius:6px;background:var(--card);color:var(--ink);cursor:pointer}
button:focus-visible,input:focus-visible{outline:3px solid var(--mark)}
input[type=range]{flex:1 1 160px;min-width:120px}
#log{font-family:@@FONTS@@;font-size:.9rem;font-variant-numeric:tabular-nums}
pre{font:.8rem/1.4 @@FONTS@@;white-space:pre-wrap}
.note{color:var(--faint);font-size:.88rem}
[hidden]{display:none!important}
@media print{#controls{display:none}body{background:#fff;color:#000}}
</style></head>
<body>
<h1>@@TITLE@@</h1>
<div id="views">
<div class="card white" style="flex:3 1 380px"><h2 id="what">weights, and the activations of one sample</h2>@@NETWORK@@</div>
<div class="card white" style="flex:1 1 240px" @@HIDDEN@@><h2>output over both inputs; the line is 0.5</h2><canvas id="map" width="340" height="340" role="img" aria-label="decision boundary"></canvas>
<p class="note" style="color:#5b6b7a;margin:.2rem 0">blue: high, red: low; squares: target 1, circles: target 0</p></div>
<div class="card" style="flex:1 1 300px"><h2>loss (logarithmic where it can be)</h2><svg id="curve" viewBox="0 0 340 200" role="img" aria-label="loss curve"></svg></div>
</div>
<div id="controls" role="group" aria-label="frames">
<button id="first">First</button><button id="back">Back</button><button id="play">Play</button><button id="next">Next</button><button id="last">Last</button>
<button id="mode" aria-pressed="false">Show gradients</button>
<label for="slider" class="note">frame</label><input id="slider" type="range" min="0" max="@@LAST@@" value="0">
</div>
<p id="log" aria-live="polite"></p>
<p class="note">Keys: right and left arrow step, space plays, Home and End jump. Solid blue is positive, dashed red negative, wider is larger.</p>
<details><summary>All numbers of this frame</summary><pre id="numbers"></pre></details>
<script type="application/json" id="data">@@DATA@@</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent), frames = data.frames, find = id => document.getElementById(id);
const synapses = [...document.querySelectorAll("[data-w]")], biases = [...document.querySelectorAll("[data-b]")];
const circles = [...document.querySelectorAll("[data-a]")], sums = [...document.querySelectorAll("[data-s]")];
let at = 0, timer = null, gradients = false;
const text = (x, n = 3) => x === null || x === undefined ? "NaN" : String(Number(x.toPrecision(n))).replace("-", "−");
const key = (e, name) => e.dataset[name].split(",").map(Number);
const widest = {w: 1e-12, gw: 1e-12};
for (const f of frames) for (const l of f.layers) for (const kind of ["w", "gw"]) for (const row of l[kind] || []) for (const v of row) widest[kind] = Math.max(widest[kind], Math.abs(v || 0));
function draw() {
  const frame = frames[at], w = gradients ? "gw" : "w", b = gradients ? "gb" : "b";
  for (const e of synapses) {
    const [l, j, i] = key(e, "w"), v = frame.layers[l][w] ? frame.layers[l][w][j][i] : null;
    const color = v > 0 ? "@@POSITIVE@@" : v < 0 ? "@@NEGATIVE@@" : "#5b6b7a";
    if (e.tagName === "line") {
      e.setAttribute("stroke", color);
      e.setAttribute("stroke-width", 0.8 + 4.2 * Math.abs(v || 0) / widest[w]);
      v < 0 ? e.setAttribute("stroke-dasharray", "7 4") : e.removeAttribute("stroke-dasharray");
      e.firstElementChild.textContent = text(v, 4);
    } else { e.textContent = text(v); e.setAttribute("fill", color); }
  }
  for (const e of biases) { const [l, j] = key(e, "b"), v = frame.layers[l][b]; e.textContent = (gradients ? "∂bias " : "bias ") + text(v ? v[j] : null); }
  for (const e of circles) { const [c, j] = key(e, "a"); if (c) e.textContent = text(frame.layers[c - 1].a[j], 3); }
  for (const e of sums) e.style.visibility = "hidden";
  find("what").textContent = gradients ? "gradients of the weights" : "weights, and the activations of one sample";
  find("log").textContent = `step ${frame.step}: loss ${text(frame.loss, 4)}   (frame ${at + 1} of ${frames.length})`;
  find("slider").value = at;
  find("numbers").textContent = frame.layers.map((l, k) => `layer ${k + 1}\n  weight   ${JSON.stringify(l.w)}\n  bias     ${JSON.stringify(l.b)}\n  gradient ${JSON.stringify(l.gw)}\n  output   ${JSON.stringify(l.a)}`).join("\n");
  if (frame.grid) map(frame.grid);
  curve();
}
function map(grid) {
  const canvas = find("map"), c = canvas.getContext("2d"), n = data.size, side = canvas.width / n, [x0, x1, y0, y1] = data.corners;
  for (let k = 0; k < n * n; k++) {
    const v = Math.max(0, Math.min(1, grid[k] ?? 0.5)), strength = Math.abs(v - 0.5) * 2;
    const end = v > 0.5 ? [49, 112, 190] : [190, 74, 45];
    c.fillStyle = `rgb(${end.map(e => Math.round(250 + (e - 250) * strength * 0.85)).join(",")})`;
    c.fillRect(k % n * side, Math.floor(k / n) * side, side + 1, side + 1);
  }
  c.strokeStyle = "#1b2733"; c.lineWidth = 1.5; c.beginPath();
  for (let r = 0; r < n; r++) for (let q = 0; q < n; q++) {
    const here = grid[r * n + q] > 0.5;
    if (q + 1 < n && here !== grid[r * n + q + 1] > 0.5) { c.moveTo((q + 1) * side, r * side); c.lineTo((q + 1) * side, (r + 1) * side); }
    if (r + 1 < n && here !== grid[(r + 1) * n + q] > 0.5) { c.moveTo(q * side, (r + 1) * side); c.lineTo((q + 1) * side, (r + 1) * side); }
  }
  c.stroke();
  const px = v => (v - x0) / (x1 - x0) * (canvas.width - side) + side / 2, py = v => (y1 - v) / (y1 - y0) * (canvas.height - side) + side / 2;
  data.points.forEach(([x, y], k) => {
    const one = data.targets[k] > 0.5, size = data.points.length > 40 ? 3 : 6;
    c.fillStyle = one ? "#0d3f86" : "#8a2409"; c.strokeStyle = "#fff"; c.lineWidth = 1.5; c.beginPath();
    one ? c.rect(px(x) - size, py(y) - size, 2 * size, 2 * size) : c.arc(px(x), py(y), size + 1, 0, 7);
    c.fill(); c.stroke();
  });
}
function curve() {
  const known = frames.map(f => f.loss).filter(v => v !== null), log = known.every(v => v > 0), scale = v => log ? Math.log10(v) : v;
  const low = Math.min(...known.map(scale)), high = Math.max(...known.map(scale)), span = high - low || 1, last = frames[frames.length - 1].step || 1;
  const x = s => 44 + 284 * s / last, y = v => 12 + 156 * (high - scale(v)) / span, now = frames[at];
  const points = frames.filter(f => f.loss !== null).map(f => `${x(f.step).toFixed(1)},${y(f.loss).toFixed(1)}`).join(" ");
  find("curve").innerHTML = `<polyline points="${points}" fill="none" stroke="var(--mark)" stroke-width="2"/>` +
    `<line x1="44" y1="172" x2="330" y2="172" stroke="var(--faint)"/><line x1="44" y1="8" x2="44" y2="172" stroke="var(--faint)"/>` +
    `<g font-size="11" fill="var(--faint)"><text x="40" y="16" text-anchor="end">${text(log ? 10 ** high : high, 2)}</text>` +
    `<text x="40" y="170" text-anchor="end">${text(log ? 10 ** low : low, 2)}</text><text x="44" y="188">0</text>` +
    `<text x="328" y="188" text-anchor="end">step ${last}</text></g>` +
    (now.loss === null ? "" : `<circle cx="${x(now.step)}" cy="${y(now.loss)}" r="5" fill="var(--mark)" stroke="var(--card)" stroke-width="2"/>`);
}
function go(k) { at = Math.max(0, Math.min(frames.length - 1, k)); draw(); }
function stop() { clearInterval(timer); timer = null; find("play").textContent = "Play"; }
function toggle() {
  if (timer) return stop();
  if (at === frames.length - 1) go(0);
  find("play").textContent = "Pause";
  timer = setInterval(() => { go(at + 1); if (at === frames.length - 1) stop(); }, 120);
}
find("first").onclick = () => { stop(); go(0); };
find("back").onclick = () => { stop(); go(at - 1); };
find("next").onclick = () => { stop(); go(at + 1); };
find("last").onclick = () => { stop(); go(frames.length - 1); };
find("play").onclick = toggle;
find("mode").onclick = () => { gradients = !gradients; find("mode").setAttribute("aria-pressed", gradients); draw(); };
find("slider").oninput = e => { stop(); go(+e.target.value); };
document.addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.id === "slider" && e.key.startsWith("Arrow")) return;
  const act = {ArrowRight: () => go(at + 1), ArrowLeft: () => go(at - 1), Home: () => go(0), End: () => go(frames.length - 1)}[e.key];
  if (act) { e.preventDefault(); stop(); act(); }
  else if (e.key === " " && e.target.tagName !== "BUTTON" && e.target.tagName !== "SUMMARY") { e.preventDefault(); toggle(); }
});
window.film = {go, data, get at() { return at; }};
draw();
</script></body></html>
"""
