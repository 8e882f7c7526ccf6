"""The page of the player: HTML, style and script, with @@places@@ that player.py fills in."""

PAGE = r"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>@@TITLE@@</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root{--ink:#1b2733;--faint:#5b6b7a;--page:#f6f8fa;--card:#fff;--line:#c9d2da;--forward:#1f5fae;--backward:#b3401f}
@media(prefers-color-scheme:dark){:root{--ink:#e8edf2;--faint:#a9b6c2;--page:#12181f;--card:#1c252f;--line:#3a4754;--forward:#7db4f5;--backward:#f2a07f}}
*{box-sizing:border-box}
body{margin:0 auto;padding:12px 16px;max-width:1500px;font:16px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--page)}
h1{font-size:1.15rem;margin:.1rem 0 .5rem}
#picture{background:#fff;border:1px solid var(--line);border-radius:8px;padding:8px;overflow:auto;max-height:58vh}
#picture svg{display:block;max-width:none;margin:auto}#picture.fit svg{max-width:100%;height:auto}
button[aria-pressed=true]{border-color:var(--forward);box-shadow:inset 0 0 0 1px var(--forward)}
#controls{display:flex;flex-wrap:wrap;gap:6px;align-items:center;margin:10px 0}
button{font:inherit;padding:.3em .8em;border:1px solid var(--line);border-radius:6px;background:var(--card);color:var(--ink);cursor:pointer}
button:focus-visible,input:focus-visible{outline:3px solid var(--forward)}
input[type=range]{flex:1 1 160px;min-width:120px}
#count{min-width:7.5em;text-align:right;font-variant-numeric:tabular-nums}
#step{background:var(--card);border:1px solid var(--line);border-left:6px solid var(--forward);border-radius:8px;padding:8px 14px;min-height:9.5em;overflow-x:auto}
#step.backward{border-left-color:var(--backward)}
#step h2{font-size:1rem;margin:.1rem 0}
#log{font-family:@@FONTS@@;font-size:.85rem;overflow-wrap:anywhere;margin:.3rem 0}
.note{color:var(--faint);font-size:.88rem;margin:.25rem 0}
math{font-size:1.15rem;margin:.35rem 0;max-width:100%}
table{border-collapse:collapse;margin:.4rem 0}caption{text-align:left;color:var(--faint)}
td,th{border:1px solid var(--line);padding:.15em .6em;text-align:left;font-variant-numeric:tabular-nums;font-weight:normal}
.product{display:flex;flex-wrap:wrap;gap:.4em .7em;align-items:center;margin:.5rem 0 .2rem}
.product caption{white-space:nowrap}.product table{margin:0;border-left:2px solid var(--ink);border-right:2px solid var(--ink)}.product td{text-align:right;padding:.1em .45em}
.product td:has(button){padding:0}.product button{border:0;border-radius:0;padding:.1em .45em;width:100%;text-align:right}
.product .on{font-weight:bold;outline:2px solid var(--forward);outline-offset:-2px}
#say{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.now>*:not(title):not(text){stroke-width:3.2}
.edge.now path{stroke:#1f5fae}.edge.back path{stroke:#b3401f;stroke-dasharray:6 3}
.node.now>ellipse,.node.now>polygon,.node.now>path{stroke:#1f5fae}.node.back>ellipse,.node.back>polygon,.node.back>path{stroke:#b3401f}
.hidden{visibility:hidden}
details{margin-top:10px}ol{font-family:@@FONTS@@;font-size:.8rem}
@media print{#controls{display:none}body{background:#fff;color:#000;max-width:none}#picture{max-height:none;overflow:visible;border:0}
#picture svg{max-width:100%;height:auto}details>*{display:block}#step{break-inside:avoid}}
</style></head>
<body>
<h1>@@TITLE@@</h1>
<div id="picture" tabindex="0" role="group" aria-label="the computation graph">@@SVG@@</div>
<div id="controls" role="group" aria-label="steps">
<button id="first">First</button><button id="back">Back</button><button id="play">Play</button><button id="next">Next</button><button id="last">Last</button>
<button id="fit" aria-pressed="false">Whole graph</button>
<label for="slider" class="note">step</label><input id="slider" type="range" min="0" max="@@LAST@@" value="0"><span id="count"></span>
</div>
<p id="say" aria-live="polite"></p>
<section id="step" aria-label="the step"><h2 id="title"></h2><div id="body"></div><p id="log"></p></section>
<p class="note">Keys: right and left arrow step, space plays, Home and End jump. Blue and solid is forward, red and dashed is backward.</p>
<details id="all"><summary>All steps as text</summary><ol start="0">@@STEPS@@</ol></details>
<script type="application/json" id="data">@@DATA@@</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent), steps = data.steps;
const find = id => document.getElementById(id), boxes = {}, arrows = {};
for (const group of document.querySelectorAll("#picture g.node")) boxes[group.querySelector("title").textContent] = group;
for (const group of document.querySelectorAll("#picture g.edge")) arrows[group.id] = group;
let at = 0, timer = null;
function state(k) {
  const shown = new Set(), grads = {}, passed = new Set(), numbers = {};
  for (const [id, box] of Object.entries(data.boxes)) if (box.leaf) shown.add(id);
  for (let i = 0; i <= k; i++) {
    for (const id of steps[i].show) shown.add(id);
    Object.assign(grads, steps[i].grads || {});
    Object.assign(numbers, steps[i].numbers || {});
    if (steps[i].phase === "backward") for (const e of steps[i].edges) passed.add(e);
  }
  return {shown, grads, passed, numbers};
}
function draw() {
  const step = steps[at], now = state(at), back = step.phase === "backward";
  for (const [id, box] of Object.entries(data.boxes)) {
    const texts = [...boxes[id].querySelectorAll("text")], g = now.grads[id] || ["grad —"];
    const from = box.head, to = from + box.value.length;
    for (let i = from; i < to; i++) texts[i].textContent = now.shown.has(id) ? box.value[i - from] : (i === from ? "…" : "");
    for (let i = to + box.more; i < texts.length; i++) texts[i].textContent = g[i - to - box.more] || "";
  }
  for (const group of [...Object.values(boxes), ...Object.values(arrows)]) group.classList.remove("now", "back");
  for (const id of step.focus) boxes[id].classList.add("now", ...(back ? ["back"] : []));
  for (const [id, group] of Object.entries(arrows)) {
    if (step.edges.includes(id)) group.classList.add("now", ...(back ? ["back"] : []));
    for (const t of group.querySelectorAll("text")) if (t.textContent.startsWith("∂")) t.classList.toggle("hidden", !now.passed.has(id));
  }
  find("title").textContent = step.title;
  find("body").innerHTML = step.body;
  find("log").innerHTML = step.log;
  find("say").textContent = step.title + ". " + find("log").textContent;
  if (find("body").querySelector(".product")) entry(0, 0);
  find("step").className = step.phase;
  find("slider").value = at;
  find("slider").setAttribute("aria-valuetext", step.title);
  find("count").textContent = at + " of " + (steps.length - 1);
  find("back").disabled = find("first").disabled = at === 0;
  find("next").disabled = find("last").disabled = at === steps.length - 1;
  const spot = step.focus.length && boxes[step.focus[step.focus.length - 1]], frame = find("picture");
  if (spot) {
    const a = spot.getBoundingClientRect(), b = frame.getBoundingClientRect();
    if (a.left < b.left || a.right > b.right) frame.scrollLeft += (a.left + a.right - b.left - b.right) / 2;
    if (a.top < b.top || a.bottom > b.bottom) frame.scrollTop += (a.top + a.bottom - b.top - b.bottom) / 2;
  }
}
function entry(i, j) {
  const body = find("body"), cells = kind => [...body.querySelectorAll("." + kind + " tr")].map(r => [...r.querySelectorAll("td")]);
  const left = cells("left"), right = cells("right"), whole = cells("whole"), round = t => t.startsWith("−") ? "(" + t + ")" : t;
  for (const td of body.querySelectorAll(".product .on")) td.classList.remove("on");
  for (const b of body.querySelectorAll(".whole button")) b.setAttribute("aria-pressed", "false");
  left[i].forEach(td => td.classList.add("on"));
  right.forEach(row => row[j].classList.add("on"));
  whole[i][j].classList.add("on");
  whole[i][j].firstElementChild.setAttribute("aria-pressed", "true");
  body.querySelector(".entry").textContent = `entry [${i}, ${j}] = row ${i} times column ${j} = ` +
    left[i].map((td, k) => round(td.textContent) + " · " + round(right[k][j].textContent)).join(" + ") + " = " + whole[i][j].textContent +
    (whole.length * whole[0].length > 1 ? "   (choose another entry of the result)" : "");
}
document.getElementById("body").addEventListener("click", e => {
  if (e.target.dataset.at) { entry(...e.target.dataset.at.split(",").map(Number)); find("say").textContent = find("body").querySelector(".entry").textContent; }
});
function go(k) { at = Math.max(0, Math.min(steps.length - 1, k)); draw(); }
function stop() { clearInterval(timer); timer = null; find("play").textContent = "Play"; }
function toggle() {
  if (timer) return stop();
  if (at === steps.length - 1) go(0);
  find("play").textContent = "Pause";
  timer = setInterval(() => { go(at + 1); if (at === steps.length - 1) stop(); }, 1100);
}
find("first").onclick = () => { stop(); go(0); };
find("back").onclick = () => { stop(); go(at - 1); };
find("next").onclick = () => { stop(); go(at + 1); };
find("last").onclick = () => { stop(); go(steps.length - 1); };
find("play").onclick = toggle;
find("fit").onclick = () => { find("fit").setAttribute("aria-pressed", find("picture").classList.toggle("fit")); draw(); };
find("slider").oninput = e => { stop(); go(+e.target.value); };
document.addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.id === "slider" && e.key.startsWith("Arrow")) return;
  const act = {ArrowRight: () => go(at + 1), ArrowLeft: () => go(at - 1), Home: () => go(0), End: () => go(steps.length - 1)}[e.key];
  if (act) { e.preventDefault(); stop(); act(); }
  else if (e.key === " " && e.target.tagName !== "BUTTON" && e.target.tagName !== "SUMMARY") { e.preventDefault(); toggle(); }
});
addEventListener("beforeprint", () => { find("all").open = true; });
window.player = {go, state, entry, data, get at() { return at; }};
if (document.querySelector("#picture svg").getBoundingClientRect().width * 0.68 < find("picture").clientWidth) find("fit").click();
draw();
</script></body></html>
"""
