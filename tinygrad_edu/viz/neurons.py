"""Draw a small network as neurons and synapses: circles, lines with their weights, biases beneath."""

from html import escape
from math import atan2, cos, degrees, hypot, sin
from pathlib import Path

import numpy as np

from . import render, text, trace

MOST = 8  # neurons of a layer that are drawn; of larger ones the first and last few
LABELLED = 24  # lines between two layers that get their numbers written on them; of more only the tooltips tell
RADIUS, ACROSS, DOWN, MARGIN = 26, 190, 96, 40
POSITIVE, NEGATIVE, INK, FAINT = "#1f5fae", "#b3401f", "#1b2733", "#5b6b7a"
SIZE, LETTER = 11, 6.7  # font size of weights, and the width of a letter of it


class NetworkDrawing:
    """The picture of a network: `.svg` is its text, `.save("net.svg")` writes svg, png or html; notebooks show it."""

    def __init__(self, svg, title):
        self.svg, self.title = svg, title

    def save(self, path, scale=2.0):
        """Write the picture to a .svg, .png or .html file and return its path."""
        path = Path(path)
        kind = path.suffix.lower()
        if kind == ".svg":
            data = self.svg.encode()
        elif kind == ".png":
            data = render.png_of(self.svg, scale)
        elif kind == ".html":
            data = render.page(self.title, self.svg).encode()
        else:
            raise ValueError(f"save({str(path)!r}): network pictures are saved as .svg, .png or .html, not as {kind!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def _repr_mimebundle_(self, include=None, exclude=None, **options):
        return {"text/plain": repr(self), "image/svg+xml": self.svg}

    def __repr__(self):
        return f"<{self.title}; .save('network.svg') writes it>"


class Layer:
    """One affine map with what follows it: weights (out, in), biases, sums, activations, and their gradients."""

    def __init__(self, weight, bias, function="", total=None, out=None):
        self.weight, self.bias, self.function, self.total, self.out = weight, bias, function, total, out
        self.weight_gradient = self.bias_gradient = self.out_gradient = None


def network(model, x=None, *, show="values", target=None, loss=None, names=None, outputs=None, title=None, most=MOST):
    """Draw a stack of Linear layers, or one neuron, as neurons and synapses.

    `model` is a Module of Linear layers with activations between them, or the numbers themselves: a list of
    (weight, bias, activation name) with weight (out, in). With a sample `x` the circles hold activations, and a single
    neuron its sum too. `show="gradients"` shows gradients instead: those that backward() left in the parameters, or,
    given `target` and a function `loss(prediction, target)`, those of this sample. Layers of more than `most` neurons are
    abbreviated. A solid blue line is a positive weight, a dashed red one a negative; wider is larger.

    >>> import tinygrad_edu as tg
    >>> neuron = [([[7.0, 3.0]], [-2.0], "sigmoid")]
    >>> tg.viz.network(neuron, x=[1.0, 0.0])
    <network 2-1; .save('network.svg') writes it>
    """
    if show not in ("values", "gradients"):
        raise ValueError(f"network(show={show!r}): show is 'values' or 'gradients'")
    if trace.is_module(model):
        layers, inputs, gradient = layers_of_module(model, x, target, loss)
    else:
        layers, inputs, gradient = layers_of_numbers(model, x)
    if show == "gradients" and all(layer.weight_gradient is None for layer in layers):
        raise ValueError("network(show='gradients'): the parameters have no gradients yet; call backward() first, or pass "
                         "x, target and loss")  # fmt: skip
    sizes = [layers[0].weight.shape[1], *(layer.weight.shape[0] for layer in layers)]
    title = title or "network " + "-".join(map(str, sizes))
    return NetworkDrawing(Canvas(layers, inputs, gradient, show, names, outputs, most, sizes, title).svg(), title)


def layers_of_numbers(rows, x):
    """Layers given as (weight, bias, activation name)."""
    layers, h = [], None if x is None else np.asarray(trace.array_of(x), np.float64).reshape(-1)
    inputs = h
    for row in rows:
        weight, bias, function = (*row, None, None)[:3]
        weight = np.atleast_2d(np.asarray(trace.array_of(weight), np.float64))
        bias = None if bias is None else np.asarray(trace.array_of(bias), np.float64).reshape(-1)
        if h is not None and weight.shape[1] != len(h):
            raise ValueError(f"network(): a layer with weight {list(weight.shape)} takes {weight.shape[1]} inputs, and got {len(h)}")
        total = out = None
        if h is not None:
            total = weight @ h + (0 if bias is None else bias)
            out = h = activated(function, total)
        layers.append(Layer(weight, bias, function or "", total, out))
    if not layers:
        raise ValueError("network(): expected at least one layer, (weight, bias, activation)")
    return layers, inputs, None


def activated(function, total):
    """An activation by name, computed by the registered operator."""
    from ..autograd.operator import registry

    if not function:
        return total
    if function not in registry:
        raise ValueError(f"network(): no operator is called {function!r}")
    return np.asarray(registry[function].forward(total, **getattr(registry[function], "params", {})))


def layers_of_module(model, x, target, loss):
    """Layers as the module really uses them: from a recorded run on `x`, or from its Linear layers in order."""
    linears = [m for m in model.modules() if weight_of(m) is not None]
    if not linears:
        raise ValueError(f"network(): {type(model).__name__} has no Linear layers, and only those can be drawn as neurons; "
                         "draw(model, x) draws anything")  # fmt: skip
    if x is None:
        names = [type(m).__name__.lower() for m in model.modules() if not list(m.children())]
        layers, leaves = [], [m for m in model.modules() if not list(m.children())]
        for m in linears:
            after = leaves[leaves.index(m) + 1 : leaves.index(m) + 2] if m in leaves else []
            function = names[leaves.index(after[0])] if after and weight_of(after[0]) is None and not list(after[0].parameters()) else ""
            layers.append(Layer(*weights(m), function))
        with_gradients(layers, linears)
        check_stack(layers, model)
        return layers, None, None
    sample = x if isinstance(x, trace.Tensor) else trace.Tensor(np.asarray(x, linears[0].weight.dtype))
    done = trace.run(run_sample, (model, sample, target, loss))
    out, error = done.result
    root = error if error is not None else out
    if root.node is None:
        raise ValueError("network(): the model's parameters do not ask for gradients; call model.requires_grad_(True)")
    order = trace.ancestors(root.node)
    owner = {m.weight.node: m for m in linears}
    layers, used, sums = [], [], {}
    gradients = trace.all_gradients([root.node], [np.ones(root.shape, root.dtype)]) if error is not None else {}
    for node in order:
        if node.op is None:
            continue
        m = next((owner[p] for p in node.parents if p in owner), None)
        if m is not None and m not in used:
            layer = Layer(*weights(m), "", one_row(node.note.value), one_row(node.note.value))
            used.append(m)
            layers.append(layer)
            sums[node] = layer
            layer.last = node
        elif layers and len([p for p in node.parents if p is not None]) == 1 and node.parents[0] is layers[-1].last:
            if layers[-1].function == "" and node.op.kind in ("elementwise", "general") and node.shape == layers[-1].last.shape:
                if node.op.name not in ("add", "mul", "sub", "div"):
                    layers[-1].function, layers[-1].out, layers[-1].last = node.op.name, one_row(node.note.value), node
    if not layers:
        raise ValueError(f"network(): {type(model).__name__} did not use its Linear layers on this sample")
    with_gradients(layers, used)
    if error is not None:
        for layer, m in zip(layers, used):
            layer.weight_gradient = gradients.get(m.weight.node)
            layer.bias_gradient = gradients.get(m.bias.node) if layer.bias is not None else None
            g = gradients.get(layer.last)
            layer.out_gradient = one_row(g) if g is not None else None
    check_stack(layers, model)
    return layers, one_row(sample.array), None


def run_sample(model, sample, target, loss):
    """The prediction, and the loss if it can be computed."""
    out = model(sample)
    if loss is None or target is None:
        return out, None
    wanted = target if isinstance(target, trace.Tensor) else trace.Tensor(np.asarray(target, out.dtype).reshape(out.shape))
    return out, loss(out, wanted)


def weight_of(module):
    """The weight of a Linear layer, else None."""
    w = vars(module).get("weight")
    return w if w is not None and w.ndim == 2 and "in_features" in vars(module) else None


def weights(module):
    """Weight and bias as arrays."""
    bias = vars(module).get("bias")
    return module.weight.array, None if bias is None else bias.array


def with_gradients(layers, modules):
    """The gradients that backward() left in the parameters."""
    for layer, m in zip(layers, modules):
        layer.weight_gradient = m.weight.grad.array if m.weight.grad is not None else None
        layer.bias_gradient = m.bias.grad.array if layer.bias is not None and m.bias.grad is not None else None


def one_row(a):
    """The values of one sample; of a batch, the first."""
    a = np.asarray(a)
    return a.reshape(-1) if a.ndim < 2 else a.reshape(-1, a.shape[-1])[0]


def check_stack(layers, model):
    """Each layer must take what the one before gives: a picture of anything else would lie."""
    for before, after in zip(layers, layers[1:]):
        if before.weight.shape[0] != after.weight.shape[1]:
            raise ValueError(f"network(): {type(model).__name__} is not a plain stack of Linear layers: one gives {before.weight.shape[0]} "
                             f"numbers and the next takes {after.weight.shape[1]}; draw(model, x) draws anything")  # fmt: skip


class Canvas:
    """Places circles, lines and labels so that no two labels meet, and writes the SVG."""

    reserve = 0  # letters that a weight's number gets room for at least: a film writes other numbers into the same place

    def __init__(self, layers, inputs, gradient, show, names, outputs, most, sizes, title):
        self.layers, self.inputs, self.show, self.sizes, self.title = layers, inputs, show, sizes, title
        self.names, self.outputs = names, outputs
        self.columns = [shown_rows(n, most) for n in sizes]
        self.rows = max(len(c) for c in self.columns)
        densest = max(len(a) * len(b) for a, b in zip(self.columns, self.columns[1:]))
        self.across = ACROSS + 16 * max(0, min(densest, 48) - 4) ** 0.85
        self.down = DOWN + (12 if densest > 9 else 0)
        self.left = max(MARGIN + 40, RADIUS + 14 + self.longest(names))
        right = max(RADIUS + MARGIN + 20, RADIUS + 20 + self.longest(outputs))
        self.width = max(self.left + self.across * (len(sizes) - 1) + right, 300)
        self.height = MARGIN * 2 + self.down * max(self.rows - 1, 0) + 2 * RADIUS + 44
        self.taken: list = []  # (center, half width, half height, angle) of labels and circles
        self.parts: list = []

    def longest(self, names):
        """How much room the names beside a column need."""
        return max((7.4 * len(text.shortened(name, 12)) for name in names), default=0) if names is not None else 0

    def place(self, column, row):
        """The center of a neuron."""
        n = len(self.columns[column])
        top = MARGIN + RADIUS + (self.height - 2 * MARGIN - 2 * RADIUS - 44 - self.down * (n - 1)) / 2
        return self.left + column * self.across, top + row * self.down

    def svg(self):
        """The whole picture."""
        for c, column in enumerate(self.columns):
            for r in range(len(column)):
                x, y = self.place(c, r)
                self.taken.append((x, y, RADIUS + 2, RADIUS + 2, 0.0))
                if c:
                    self.taken.append((x, y + RADIUS + 16, 46, 15, 0.0))
        lines, labels = [], []
        widest = max((float(np.max(np.abs(self.of(layer)))) for layer in self.layers if self.of(layer) is not None and self.of(layer).size), default=0) or 1.0
        for c, layer in enumerate(self.layers):
            w = self.of(layer)
            pairs = [(i, j) for j in range(len(self.columns[c + 1])) for i in range(len(self.columns[c]))
                     if self.columns[c][i] is not None and self.columns[c + 1][j] is not None]  # fmt: skip
            for i, j in pairs:
                value = None if w is None else float(w[self.columns[c + 1][j], self.columns[c][i]])
                key = f'data-w="{c},{self.columns[c + 1][j]},{self.columns[c][i]}"'
                lines.append(self.line(self.place(c, i), self.place(c + 1, j), value, widest, key))
                if value is not None and len(pairs) <= LABELLED:
                    labels.append(self.label(self.place(c, i), self.place(c + 1, j), value, key))
        self.parts += lines + labels
        for c, column in enumerate(self.columns):
            for r, index in enumerate(column):
                self.neuron(c, r, index)
        self.foot()
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} {self.height:.0f}" width="{self.width:.0f}" '
                f'height="{self.height:.0f}" role="img" aria-label="{escape(self.title)}">\n<style>text{{font-family:{render.FONTS}}}</style>\n'
                f'<title>{escape(self.title)}</title>\n<rect width="100%" height="100%" fill="#ffffff"/>\n' + "\n".join(self.parts) + "\n</svg>\n")  # fmt: skip

    def of(self, layer):
        """What stands on the lines: weights, or their gradients."""
        return layer.weight if self.show == "values" else layer.weight_gradient

    def line(self, a, b, value, widest, key):
        """A synapse: colour and dash for the sign, width for the magnitude."""
        if value is None:
            return f'<line class="synapse" x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" stroke="{FAINT}"/>'
        width = 0.8 + 4.2 * abs(value) / widest
        dash = ' stroke-dasharray="7 4"' if value < 0 else ""
        color = NEGATIVE if value < 0 else POSITIVE if value > 0 else FAINT
        return (f'<line class="synapse" {key} x1="{a[0]:.1f}" y1="{a[1]:.1f}" x2="{b[0]:.1f}" y2="{b[1]:.1f}" stroke="{color}" '
                f'stroke-width="{width:.2f}" stroke-opacity="0.75"{dash}><title>{text.number(value)}</title></line>')  # fmt: skip

    def label(self, a, b, value, key):
        """A weight's number, along its line, at the first place where it meets nothing."""
        words = text.number(value, 3)
        angle = atan2(b[1] - a[1], b[0] - a[0])
        length = hypot(b[0] - a[0], b[1] - a[1])
        half = (max(len(words), self.reserve) * LETTER / 2 + 2, SIZE / 2 + 1)
        nearest = (RADIUS + half[0] + 4) / length
        steps = [t for k in range(60) for t in (0.5 + 0.008 * k * (-1) ** k,) if nearest <= t <= 1 - nearest] or [0.5]
        steps = sorted({round(t, 4) for t in [*steps, *np.linspace(nearest, 1 - nearest, 41)]}, key=lambda t: abs(t - 0.36))
        best, least = None, None
        for side in (-1, 1):
            for t in steps:
                away = side * (SIZE / 2 + 3.5)
                spot = (a[0] + (b[0] - a[0]) * t - sin(angle) * away, a[1] + (b[1] - a[1]) * t + cos(angle) * away)
                meets = sum(overlap((*spot, *half, angle), other) for other in self.taken)
                if least is None or meets < least:
                    best, least = spot, meets
                if meets == 0:
                    break
            if least == 0:
                break
        if least:
            return ""  # no room: the number is in the line's tooltip
        self.taken.append((*best, *half, angle))
        color = NEGATIVE if value < 0 else POSITIVE if value > 0 else FAINT
        return (f'<text class="weight" {key} transform="translate({best[0]:.1f} {best[1]:.1f}) rotate({degrees(angle):.1f})" text-anchor="middle" '
                f'dominant-baseline="central" dy="0" font-size="{SIZE}" fill="{color}" stroke="#ffffff" stroke-width="3" '
                f'paint-order="stroke">{words}</text>')  # fmt: skip

    def neuron(self, column, row, index):
        """A circle with its activation, and beneath it bias, sum and function."""
        x, y = self.place(column, row)
        if index is None:
            hidden = self.sizes[column] - sum(i is not None for i in self.columns[column])
            self.parts += [f'<text x="{x:.1f}" y="{y - 4:.1f}" text-anchor="middle" font-size="20" fill="{FAINT}">⋮</text>',
                           f'<text x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle" font-size="10" fill="{FAINT}">{hidden} more</text>']  # fmt: skip
            return
        layer = self.layers[column - 1] if column else None
        value = None
        if self.show == "gradients":
            value = None if layer is None or layer.out_gradient is None else layer.out_gradient[index]
        elif column == 0:
            value = None if self.inputs is None else self.inputs[index]
        elif layer.out is not None:
            value = layer.out[index]
        fill = "#eef3f8" if column == 0 else "#f3ecfa" if column == len(self.sizes) - 1 else "#fff7e6"
        self.parts.append(f'<circle class="neuron" cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}" fill="{fill}" stroke="{INK}" stroke-width="1.4"/>')
        words = text.number(value, 4 if 0.001 <= abs(value) < 10000 else 2) if value is not None else self.default_name(column, index)
        size = 13 if len(words) <= 5 else 10.5 if len(words) <= 7 else 8.5
        self.parts.append(f'<text class="activation" data-a="{column},{index}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle" dominant-baseline="central" font-size="{size}" '
                          f'fill="{INK}">{escape(words)}</text>')  # fmt: skip
        beneath = []
        if layer is not None:
            b = layer.bias if self.show == "values" else layer.bias_gradient
            if b is not None:
                beneath.append(("bias " if self.show == "values" else "∂bias ") + text.number(b[index], 3))
            if self.show == "values" and layer.total is not None and layer.function:
                beneath.append(f"sum {text.number(layer.total[index], 3)} → {SHORT.get(layer.function, layer.function)}")
            elif layer.function:
                beneath.append(SHORT.get(layer.function, layer.function))
        for k, words in enumerate(beneath):
            mark = f'data-b="{column - 1},{index}"' if words.startswith(("bias ", "∂bias ")) else 'data-s="1"'
            self.parts.append(f'<text class="bias" {mark} x="{x:.1f}" y="{y + RADIUS + 13 + 13 * k:.1f}" text-anchor="middle" font-size="10" fill="{FAINT}" '
                              f'stroke="#ffffff" stroke-width="3" paint-order="stroke">{escape(words)}</text>')  # fmt: skip
        given = self.names if column == 0 else self.outputs if column == len(self.sizes) - 1 else None
        if given is not None and index < len(given):
            at, anchor = (x - RADIUS - 8, "end") if column == 0 else (x + RADIUS + 8, "start")
            self.parts.append(f'<text class="name" x="{at:.1f}" y="{y:.1f}" text-anchor="{anchor}" dominant-baseline="central" font-size="12" '
                              f'fill="{INK}">{escape(text.shortened(given[index], 12))}</text>')  # fmt: skip

    def default_name(self, column, index):
        """What stands in a circle without a value."""
        letter = "x" if column == 0 else "y" if column == len(self.sizes) - 1 else "h"
        return f"{letter}{index + 1}"

    def foot(self):
        """How to read the lines."""
        y = self.height - 14
        what = "weight" if self.show == "values" else "gradient of the weight"
        self.parts.append(f'<g class="legend"><line x1="14" y1="{y}" x2="44" y2="{y}" stroke="{POSITIVE}" stroke-width="2.5"/>'
                          f'<text x="50" y="{y + 3.5}" font-size="10" fill="{FAINT}">positive {what}</text>'
                          f'<line x1="14" y1="{y - 15}" x2="44" y2="{y - 15}" stroke="{NEGATIVE}" stroke-width="2.5" stroke-dasharray="7 4"/>'
                          f'<text x="50" y="{y - 11.5}" font-size="10" fill="{FAINT}">negative {what}; wider is larger</text></g>')  # fmt: skip


SHORT = {"sigmoid": "σ", "identity": ""}


def shown_rows(n, most):
    """Which neurons of a layer are drawn: all, or the first and last few with None for the gap."""
    if n <= most:
        return list(range(n))
    first = (most + 1) // 2
    return [*range(first), None, *range(n - (most - first - 1), n)]


def overlap(a, b):
    """True if two turned rectangles (x, y, half width, half height, angle) meet: no axis separates them."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    reach = hypot(a[2], a[3]) + hypot(b[2], b[3])
    if dx * dx + dy * dy > reach * reach:
        return False
    for box in (a, b):
        for angle in (box[4], box[4] + 1.5707963267948966):
            ux, uy = cos(angle), sin(angle)
            distance = abs(dx * ux + dy * uy)
            extent = sum(abs(r[2] * (cos(r[4]) * ux + sin(r[4]) * uy)) + abs(r[3] * (-sin(r[4]) * ux + cos(r[4]) * uy)) for r in (a, b))
            if distance > extent:
                return False
    return True
