"""Above or below the line y = x: a network of any size, first with numerical gradients, then with back propagation.

The gradient of a weight can be measured: nudge the weight by h = 0.01, and see how much the cost changes. That needs one
forward pass per weight and is only nearly right. Back propagation finds all gradients exactly in one backward pass. Then the
other two improvements: biases, and the average over mini-batches of 100 points instead of single ones. At last the decision
boundary moves while the network learns: in the terminal, in a window (--live window), and in a film that is saved as a page.
"""

import sys
import time

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, viz
from tinygrad_edu.cli import Demo

BELOW, ABOVE = [0.5, 0.1], [0.3, 0.7]


class Network(nn.Module):
    """A network given by the sizes of its layers, as in Network([2, 5, 1]); sigmoid everywhere."""

    def __init__(self, sizes, bias=False):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(a, b, bias=bias, dtype=tg.float64) for a, b in zip(sizes, sizes[1:])])
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1, 1)

    def forward(self, x):
        for layer in self.layers:
            x = tg.sigmoid(layer(x))
        return x


def cost(model, x, y):
    """The squared error, summed over the outputs and averaged over the samples."""
    return ((model(x) - y) ** 2).sum() / len(x)


def back_propagation(model, x, y):
    """All gradients, in one backward pass."""
    model.zero_grad()
    cost(model, x, y).backward()
    return [p.grad for p in model.parameters()]


@tg.no_grad()
def numerical(model, x, y, h=0.01):
    """Each gradient as (new cost − cost) / h, after nudging that one weight by h."""
    before, gradients = cost(model, x, y), []
    for p in model.parameters():
        g = tg.zeros_like(p)
        for i in range(p.shape[0]):
            for j in range(p.shape[1]):
                weight = p[i, j].item()
                p[i, j] = weight + h
                g[i, j] = (cost(model, x, y) - before) / h
                p[i, j] = weight
        gradients.append(g)
    return gradients


def compare(found):
    """Numerical beside analytic gradients: how far apart, and how long each takes; returns both."""
    model = Network([2, 5, 1])
    x, y = tg.tensor([ABOVE], dtype=tg.float64), tg.ones(1, 1, dtype=tg.float64)
    exact, nudged = back_propagation(model, x, y), numerical(model, x, y)
    rows = []
    print(f"gradients of the weights of a 2-5-1 network, for the point {ABOVE} above the line:")
    print(f"  {'weight':<22} back propagation   numerical, h = 0.01      error")
    for (name, p), a, b in zip(model.named_parameters(), exact, nudged):
        for i, j in np.ndindex(*p.shape):
            rows.append((f"{name}[{i}, {j}]", a[i, j].item(), b[i, j].item()))
            title, analytic, slope = rows[-1]
            print(f"  {title:<22} {analytic:+16.8f} {slope:+21.8f} {abs(slope - analytic):10.1e}")

    def timed(gradients, *options, times):
        start = time.perf_counter()
        for _ in range(times):
            found_here = gradients(model, x, y, *options)
        return found_here, (time.perf_counter() - start) / times * 1e6

    print(f"\n  {'':<24} largest error   time")
    print(f"  {'back propagation':<24} {'exact':>13}   {timed(back_propagation, times=50)[1]:.0f} µs, one backward pass")
    for h in (0.01, 1e-4, 1e-6):
        nudged, took = timed(numerical, h, times=10)
        error = max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(nudged, exact))
        found[f"error at h = {h:g}"] = error
        print(f"  {f'numerical, h = {h:g}':<24} {error:>12.5%}    {took:.0f} µs, {len(rows) + 1} forward passes")
    found["gradients"] = rows
    return rows


def train(model, x, y, gradients, batch, lr, epochs, demo=None, title="", each=None):
    """`epochs` passes over the points in random order, `batch` points at a time; returns the cost before and after each.

    `each(done)`, if given, sees every step, with the number of points used before it.
    """
    costs = [cost(model, x, y).item()]
    for epoch in range(epochs):
        order = tg.randperm(len(x))
        mixed_x, mixed_y = x[order], y[order]
        for start in range(0, len(x), batch):
            if each:
                each(epoch * len(x) + start)
            step = gradients(model, mixed_x[start : start + batch], mixed_y[start : start + batch])
            with tg.no_grad():
                for p, g in zip(model.parameters(), step):
                    p -= lr * g
            if demo:
                demo.progress(epoch * len(x) + start + batch, epochs * len(x), title)
        costs.append(cost(model, x, y).item())
    return costs


class Live:
    """The decision boundary while the network learns: a film, a few still pictures, and what the person can watch."""

    def __init__(self, model, x, y, total, where):
        self.model, self.x, self.y, self.where, self.window, self.drawn = model, x, y, where, None, False
        self.film = viz.Film(tg.nn.Sequential(*self.parts()), x, y, title="above the line, while it learns")
        self.moments = {int(n) for n in np.geomspace(1, total, 40)} | {0}  # the first steps change the most
        self.stills = {int(n): None for n in (0, total // 100, total // 30, total // 10, total)}
        if where == "window":
            self.window = open_window()
            self.where = "window" if self.window else "terminal"

    def parts(self):
        """The layers with their sigmoids, as a plain stack."""
        return [part for layer in self.model.layers for part in (layer, nn.Sigmoid())]

    def __call__(self, done):
        if done in self.stills:
            self.stills[done] = [p.detach().clone() for p in self.model.parameters()]
        if done not in self.moments:
            return
        back_propagation(self.model, self.x, self.y)
        with tg.no_grad():
            self.film.shoot(cost(self.model, self.x, self.y), done)
        if self.where == "window":
            self.window.clf()
            viz.boundary(self.model, self.x, self.y, axes=self.window.add_subplot(), resolution=60, title=f"after {done} points")
            self.window.canvas.draw()
            self.window.canvas.flush_events()
        elif self.where == "terminal":
            lines = terminal_picture(self.model, done)
            sys.stderr.write((f"\x1b[{len(lines)}A" if self.drawn else "") + "\n".join(lines) + "\n")  # over the last one
            sys.stderr.flush()
            self.drawn = True

    def strip(self):
        """The stills in one row."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3.1 * len(self.stills), 3.4), layout="constrained")
        model = Network([2, 5, 1], bias=self.model.layers[0].bias is not None)
        for axes, (done, parameters) in zip(figure.subplots(1, len(self.stills)), self.stills.items()):
            with tg.no_grad():
                for p, value in zip(model.parameters(), parameters):
                    p.copy_(value)
            level = tg.linspace(-0.1, 1.1, 60, dtype=tg.float64)
            grid = tg.stack(tg.meshgrid(level, level, indexing="xy"), dim=-1).reshape(-1, 2)
            with tg.no_grad():
                surface = model(grid).reshape(60, 60).numpy()
            axes.contourf(level.numpy(), level.numpy(), surface, levels=np.linspace(0, 1, 21), cmap="RdBu", alpha=0.75)
            if surface.min() < 0.5 < surface.max():
                axes.contour(level.numpy(), level.numpy(), surface, levels=[0.5], colors="#1b2733", linewidths=1.6)
            for value, marker, color in ((0, "o", "#b3401f"), (1, "s", "#1f5fae")):
                chosen = self.x[self.y[:, 0] == value][:60].numpy()
                axes.plot(*chosen.T, marker, color=color, markersize=3, markeredgecolor="white", markeredgewidth=0.4)
            axes.plot([-0.1, 1.1], [-0.1, 1.1], ":", color="#1b2733", linewidth=1)
            axes.set(title=f"after {done} points", xticks=[0, 1], yticks=[0, 1], aspect="equal")
        return figure


def open_window():
    """A matplotlib window, or None where there is no screen."""
    try:
        from matplotlib import pyplot

        if pyplot.get_backend().lower() in ("agg", "svg", "pdf", "ps", "cairo", "template"):
            return None
        pyplot.ion()
        window = pyplot.figure(figsize=(5.5, 4.8))
        window.show()
        return window
    except Exception:  # no screen, no toolkit, no matplotlib: each raises its own
        return None


def terminal_picture(model, done, rows=16, columns=48):
    """The unit square in coloured characters: blue and # where the output is above 0.5, red and · below."""
    across, up = np.meshgrid((np.arange(columns) + 0.5) / columns, 1 - (np.arange(rows) + 0.5) / rows)
    with tg.no_grad():
        out = model(tg.tensor(np.stack([across, up], -1).reshape(-1, 2))).numpy().reshape(rows, columns)
    lines = [f"\x1b[Kafter {done} points: blue # says above, red · below; the dots of the line y = x are +"]
    for i, row in enumerate(out):
        line = ""
        for j, value in enumerate(row):
            on_line = abs(across[i, j] - up[i, j]) < 0.5 / rows
            line += f"\x1b[{'44;97' if value > 0.5 else '41;97'}m{'+' if on_line else '#' if value > 0.5 else '·'}"
        lines.append("  " + line + "\x1b[0m")
    return lines


def plot_gradients(rows):
    """Each weight's gradient, found in both ways, beside each other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    axes, place = figure.add_subplot(), np.arange(len(rows))
    axes.bar(place - 0.2, [a for _, a, _ in rows], 0.4, color="#1f5fae", label="back propagation")
    axes.bar(
        place + 0.2, [b for _, _, b in rows], 0.4, color="#b3401f", hatch="///", edgecolor="white", label="numerical, h = 0.01"
    )
    axes.set_xticks(place, [name for name, _, _ in rows], rotation=45, ha="right", fontsize=8)
    axes.set_ylabel("gradient of the cost")
    axes.axhline(0, color="#1b2733", linewidth=0.8)
    axes.legend(frameon=False)
    return figure


def plot(curves):
    """The cost after each epoch, with the legend beside the curves."""
    figure = viz.curves({title: costs[1:] for title, costs in curves.items()}, xlabel="epoch", ylabel="cost", log=True)
    figure.set_size_inches(9, 4)
    figure.axes[0].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def main(arguments=None):
    """Compare the gradients, then train with and without each improvement."""

    def add(parser):
        parser.add_argument(
            "--live",
            choices=("terminal", "window", "off"),
            default="terminal" if sys.stderr.isatty() else "off",
            help="where to show the boundary while it moves (default: the terminal, where there is one)",
        )

    demo = Demo("above_the_line", __doc__, arguments, add=add)
    points, epochs = (200, 2) if demo.quick else (1000, 10)
    tg.manual_seed(demo.seed)
    found = {}
    rows = compare(found)

    x = tg.rand(points, 2, dtype=tg.float64)
    y = (x[:, 1:] > x[:, :1]).double()  # 1 above the line, 0 below
    print(f"\n{points} points, up to {epochs} epochs; the output should be 0 at {BELOW} and 1 at {ABOVE}:")
    print(f"  {'':<50}{'steps':>6}   time  at {BELOW}  at {ABOVE}  right")
    few = 1  # numerical gradients take so long that one epoch must do
    runs = [
        (numerical, few, False, 1, 1),
        (back_propagation, few, False, 1, 1),
        (back_propagation, epochs, False, 1, 1),
        (back_propagation, epochs, True, 1, 1),
        (back_propagation, epochs, False, 100, 1),
        (back_propagation, epochs, False, 100, 10),
        (back_propagation, epochs, True, 100, 10),
    ]
    curves, models = {}, {}
    for gradients, length, bias, batch, lr in runs:
        tg.manual_seed(demo.seed)
        model = Network([2, 5, 1], bias)
        title = gradients.__name__.replace("_", " ") + (", biases" if bias else "")
        title += f", {f'batches of {batch}' if batch > 1 else 'single points'}, rate {lr}"
        start = time.perf_counter()
        curves[title] = train(model, x, y, gradients, batch, lr, length, demo, title)
        took, models[title] = time.perf_counter() - start, model
        with tg.no_grad():
            below, above = (model(tg.tensor([p], dtype=tg.float64)).item() for p in (BELOW, ABOVE))
            right = ((model(x) > 0.5) == (y > 0.5)).double().mean().item()
        found[title] = (below, above, right)
        steps = length * -(-points // batch)
        print(f"  {title:<50}{steps:>6} {took:>5.1f}s  {below:>13.7f}  {above:>13.7f}  {right:.1%}")
    print("single points make the cost jump up and down; the average of 100 falls steadily, and stands a larger rate")
    print("the line y = x passes through the corner (0, 0), so biases gain nothing here; most lines do not, and need them")
    best = models["back propagation, single points, rate 1"]

    tg.manual_seed(demo.seed)
    model = Network([2, 5, 1])
    print(f"\nonce more, to watch ({epochs} epochs of single points, without biases):")
    live = Live(model, x, y, epochs * points, demo.options.live)
    train(model, x, y, back_propagation, 1, 1, epochs, each=live)
    live(epochs * points)
    with tg.no_grad():
        found["live"] = tuple(model(tg.tensor([p], dtype=tg.float64)).item() for p in (BELOW, ABOVE))
    print(f"  at {BELOW}: {found['live'][0]:.7f}   at {ABOVE}: {found['live'][1]:.7f}   (the article: 0.0000193 and 0.99992)")

    with tg.recording():
        loss = cost(best, x[:1], y[:1])
    loss.backward()
    demo.save("gradients.svg", lambda: plot_gradients(rows), "numerical and analytic gradients, side by side")
    demo.save("loss.svg", lambda: plot(curves), "the cost over the epochs: biases, single points, mini-batches")
    demo.save("boundary.svg", lambda: viz.boundary(best, x, y), "the points and the learned decision boundary")
    demo.save("stages.svg", live.strip, "the boundary at five moments of the training; dotted: y = x")
    demo.save("training.html", lambda: live.film, "the training as a film, to open in a browser")
    demo.save("network.svg", lambda: viz.network(best, x[0]), "the trained network, judging one point")
    demo.save("graph.svg", lambda: viz.draw(loss, model=best), "the computation of one point's cost, with every gradient")
    demo.finish()
    return dict(found, curves=curves)


if __name__ == "__main__":
    main()
