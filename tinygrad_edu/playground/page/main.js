// The page: what is pressed goes to Python, what comes back is shown.

import {Chart} from "./chart.js";
import {Connection} from "./connection.js";
import {element, fixed, readPalette, written} from "./drawing.js";
import {Network} from "./network.js";
import {Plane} from "./plane.js";

const find = id => document.getElementById(id);
const NAMES = {xor: "XOR", circles: "circles", moons: "moons", spiral: "spiral", blobs: "two clouds", line: "line", sine: "sine", step: "jump"};
const SETS = {classify: ["xor", "circles", "moons", "spiral", "blobs"], fit: ["line", "sine", "step"]};
const LOSSES = {classify: ["bce", "mse"], fit: ["mse", "l1", "huber"]};
const CHOICES = ["activation", "loss", "optimizer", "rate", "batch", "decay", "speed"];
const TEXTS = new Set(["activation", "loss", "optimizer"]);
let state = null, kept = null, picture = null, waiting = false, lessons = [];

const say = text => { find("status").textContent = text; };
const checked = name => document.querySelector(`input[name="${name}"]:checked`)?.value;

// --- the way to Python ---

const connection = new Connection({state: take, problem, code: showCode, closed, picture: arrived});
const ask = (what, fields) => connection.send(what, fields);
const set = values => ask("set", {values});

function take(message) {
  const first = message.lessons !== undefined, before = state;
  state = {...state, ...message};
  if (first) begin(message);
  if (message.answered !== null && find("problem").dataset.kind === "problem") clearProblem();
  if (message.notice) problem(message.notice, "notice");
  else if (find("problem").dataset.kind === "notice") clearProblem();
  const {settings} = state;
  for (const id of CHOICES) choose(find(id), String(settings[id]));
  for (const radio of document.querySelectorAll('input[name="task"]')) radio.checked = radio.value === settings.task;
  find("gradients").checked = settings.gradients;
  if (document.activeElement !== find("seed")) find("seed").value = settings.seed;
  if (before?.settings.task !== settings.task || first) taskChanged(settings.task);
  if (before?.training !== state.training) {
    find("train").textContent = state.training ? "Pause" : "Train";
    find("chart").setAttribute("aria-label", chart.summary());
    if (before) say(state.training ? "Training." : `Paused at step ${find("at-step").textContent}, loss ${find("at-loss").textContent}.`);
  }
  find("undo").disabled = !state.undo;
  find("clear").disabled = state.points.length === 0;
  find("more").disabled = !state.preset;
  choose(find("preset"), state.preset?.name ?? "");
  if (state.preset) {
    choose(find("points"), String(state.preset.count));
    choose(find("noise"), String(state.preset.noise));
  }
  const n = state.points.length;
  find("how-many").textContent = n === 1 ? "1 point" : `${n} points`;
  plane.task = settings.task;
  plane.points = state.points;
  if (message.points) plane.pending = [];
  plane.selected = state.selected;
  plane.drawDots();
  if (plane.picture && settings.task === "fit" && plane.picture.curve) plane.drawField(plane.picture); // its errors have moved
  if (first || before.sizes.join() !== state.sizes.join() || before.settings.activation !== settings.activation || before.settings.task !== settings.task
      || before.settings.loss !== settings.loss) {
    find("shape").textContent = state.sizes.join("-");
    layerEditor(settings.units);
    network.arrange(state.sizes, settings.activation, settings.task, settings.loss);
  }
  legends();
  if (find("code-card").open && message.answered !== null) ask("code");
  kept = {settings: state.settings, points: state.points};
}

/** The first message of a session. */
function begin(message) {
  lessons = message.lessons;
  find("lesson").replaceChildren(...lessons.map((lesson, i) => element("option", {value: i}, lesson.title)));
  find("lesson-text").textContent = lessons[0].text;
  find("player").href = `/player/${message.token}`;
  clearProblem();
  chart.clear();
  ask("look", {on: !document.hidden});
  if (kept) ask("restore", kept);
  else if (location.hash.length > 1) openLink(location.hash.slice(1));
}

/** What a copied link holds: settings and points, as for a restored session. */
function openLink(text) {
  try {
    const {settings, points} = JSON.parse(decodeURIComponent(text));
    ask("restore", {settings, points});
    find("lesson-text").textContent = "From a link.";
  } catch {
    problem("The link holds no network that could be read: it may have been cut off on its way.");
  }
}

function problem(text, kind = "problem") {
  if (plane.pending.length) {
    plane.pending = [];
    plane.drawDots();
  }
  const box = find("problem");
  box.dataset.kind = kind;
  box.replaceChildren(element("span", {}, text), element("button", {onclick: clearProblem, "aria-label": "Dismiss this message"}, "Dismiss"));
}

function clearProblem() {
  find("problem").replaceChildren();
  find("problem").dataset.kind = "";
}

function closed(reason) {
  const box = find("problem");
  box.dataset.kind = "closed";
  box.replaceChildren(element("span", {}, `The connection to Python has ended${reason ? `: ${reason}` : ""}. Start the playground again, then reconnect: points and settings are kept here.`),
    element("button", {onclick: () => connection.open()}, "Reconnect"));
  if (state) {
    state.training = false;
    find("train").textContent = "Train";
  }
}

// --- pictures: drawn once for each frame of the screen at most ---

function arrived(next) {
  picture = next;
  if (!waiting) {
    waiting = true;
    requestAnimationFrame(draw);
  }
}

function draw() {
  waiting = false;
  const p = picture;
  find("at-step").textContent = p.step;
  find("at-epoch").textContent = p.epoch >= 100 ? Math.round(p.epoch) : fixed(p.epoch, 1);
  find("at-loss").textContent = state.points.length ? fixed(p.loss, 4) : "—";
  find("at-accuracy").textContent = p.accuracy === undefined ? "—" : `${(100 * p.accuracy).toFixed(p.accuracy === 1 ? 0 : 1)} %`;
  find("at-speed").textContent = p.speed >= 100 ? Math.round(p.speed) : p.speed;
  plane.drawField(p);
  network.draw(p);
  chart.add(p.step, p.loss);
  chart.draw();
  equation(p);
  ask("seen", {frame: p.frame});
}

/** The formula of a network without hidden layers. */
function equation({weights}) {
  const box = find("equation"), sizes = state.sizes;
  if (sizes.length !== 2 || weights.length !== sizes[0] + 1) box.textContent = "";
  else if (state.settings.task === "fit") box.textContent = `y = ${fixed(weights[0])} · x ${signed(weights[1])}`;
  else box.textContent = `P(class 1) = σ(${fixed(weights[0])} · x₁ ${signed(weights[1])} · x₂ ${signed(weights[2])})`;
}

function signed(v) {
  return v < 0 ? `− ${fixed(-v)}` : `+ ${fixed(v)}`;
}

// --- what is shown beside the pictures ---

/** Select a value, also one that the list does not have. */
function choose(select, value) {
  if (![...select.options].some(option => option.value === value)) select.append(element("option", {value}, value));
  select.value = value;
}

function taskChanged(task) {
  const fit = task === "fit";
  find("preset").replaceChildren(element("option", {value: "", disabled: true}, "your own"), ...SETS[task].map(name => element("option", {value: name}, NAMES[name])));
  for (const option of find("loss").options) option.hidden = option.disabled = !LOSSES[task].includes(option.value);
  find("tool-1").hidden = fit;
  find("tool-0").replaceChildren(...(fit ? ["Add ● a point"] : ["Add ", element("i", {class: "class0"}, "●"), " class 0"]));
  if (fit && checked("tool") === "1") document.querySelector('input[name="tool"][value="0"]').checked = true;
  find("accuracy").hidden = fit;
  chart.clear();
}

function legends() {
  const {task, gradients} = state.settings;
  find("legend").replaceChildren(...(task === "fit" ? ["● points; solid line: what the network says; dashed lines: its errors."]
    : [element("i", {class: "class0"}, "●"), " class 0, ", element("i", {class: "class1"}, "▲"), " class 1. Background: what the network says, from ",
      element("i", {class: "class0"}, "class 0"), " to ", element("i", {class: "class1"}, "class 1"), "; on the thick line it is undecided."]));
  const what = gradients ? "Lines: the gradient of the loss for each weight" : "Lines: weights";
  find("synapse-legend").replaceChildren(`${what}, the wider the larger; `, element("i", {class: "class1"}, "solid blue"), " is positive, ",
    element("i", {class: "class0"}, "dashed orange"), " negative. ", task === "fit" ? "In each neuron: its activation along x." : "In each neuron: where in the plane it is active.");
}

/** One number for each hidden layer, to change, to remove, to add. */
function layerEditor(units) {
  const inside = find("layers").contains(document.activeElement), focused = document.activeElement?.id;
  const change = next => set({units: next});
  find("layers").replaceChildren(...units.map((n, k) => element("span", {class: "choice"}, element("label", {}, `Hidden ${k + 1} `,
    element("input", {type: "number", id: `units-${k}`, min: 1, max: 12, value: n, "aria-label": `Neurons in hidden layer ${k + 1}`,
      onchange: event => {
        const wanted = Math.min(Math.max(Math.round(Number(event.target.value)) || 1, 1), 12);
        event.target.value = wanted;
        change(units.map((u, j) => j === k ? wanted : u));
      }})),
    element("button", {"aria-label": `Remove hidden layer ${k + 1}`, title: "Remove this layer", onclick: () => change(units.filter((_, j) => j !== k))}, "✕"))),
    element("button", {id: "add-layer", disabled: units.length >= 5, onclick: () => change([...units, units.at(-1) ?? 4])}, "Add a layer"));
  if (inside) (find(focused) ?? find("add-layer")).focus();
}

async function share() {
  const {settings, points} = state, link = `${location.origin}/#${encodeURIComponent(JSON.stringify({settings, points}))}`;
  try {
    await navigator.clipboard.writeText(link);
    find("share").textContent = "Copied";
    say("The link has been copied.");
    setTimeout(() => { find("share").textContent = "Copy link"; }, 1500);
  } catch {
    problem("The browser does not let this page copy a link.");
  }
}

function showCode(text) {
  find("code").textContent = text;
}

async function copy() {
  try {
    await navigator.clipboard.writeText(find("code").textContent);
    find("copy").textContent = "Copied";
    say("The code has been copied.");
    setTimeout(() => { find("copy").textContent = "Copy"; }, 1500);
  } catch {
    const range = document.createRange();
    range.selectNodeContents(find("code"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    say("The browser does not let this page copy: the code is selected, press Ctrl and C.");
  }
}

// --- what a person presses ---

const plane = new Plane(find("field"), find("dots"), {ask, say, tool: () => checked("tool")});
const chart = new Chart(find("chart"));
const network = new Network({frame: find("network"), synapses: find("synapses"), neurons: find("neurons"), table: find("neuron"), byLayer: find("by-layer"), say});

find("train").onclick = () => ask(state.training ? "pause" : "train");
find("step").onclick = () => ask("step", {count: Number(find("count").value)});
find("reset").onclick = () => { ask("reset"); say("New weights, step 0."); };
find("undo").onclick = () => ask("undo");
find("clear").onclick = () => { ask("clear"); say("All points are deleted."); };
find("lesson").onchange = event => {
  find("lesson-text").textContent = lessons[event.target.value].text;
  ask("lesson", {name: Number(event.target.value)});
};
const preset = seed => { // with points of one's own, size and noise are for the next data set
  const name = find("preset").value;
  if (name) ask("preset", {name, count: Number(find("points").value), noise: Number(find("noise").value), seed});
};
for (const id of ["preset", "points", "noise"]) find(id).onchange = () => preset(state.preset?.seed ?? 1);
find("more").onclick = () => preset(Math.floor(Math.random() * 10000));
for (const radio of document.querySelectorAll('input[name="task"]')) radio.onchange = () => set({task: radio.value});
for (const id of CHOICES) find(id).onchange = event => set({[id]: TEXTS.has(id) ? event.target.value : Number(event.target.value)});
find("gradients").onchange = event => set({gradients: event.target.checked});
find("seed").onchange = event => set({seed: Math.min(Math.max(Math.round(Number(event.target.value)) || 0, 0), 2147483647)});
find("dice").onclick = () => set({seed: Math.floor(Math.random() * 10000)});
find("log").onchange = event => { chart.logarithmic = event.target.checked; chart.draw(); };
find("code-card").ontoggle = event => { if (event.target.open) ask("code"); };
find("fresh").onclick = () => ask("code");
find("copy").onclick = copy;
find("share").onclick = share;
find("theme").onchange = event => {
  if (event.target.value) document.documentElement.dataset.theme = event.target.value;
  else delete document.documentElement.dataset.theme;
  redraw();
};

function redraw() {
  readPalette();
  plane.drawDots();
  if (state) network.arrange(state.sizes, state.settings.activation, state.settings.task, state.settings.loss);
  if (picture) plane.drawField(picture);
  chart.draw();
}

readPalette();
plane.drawDots();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new ResizeObserver(redraw).observe(find("network"));
new ResizeObserver(redraw).observe(find("plane"));
document.addEventListener("visibilitychange", () => ask("look", {on: !document.hidden}));
