"""Linear regression by gradient descent: a line through points, how large a step may be, and why features are scaled.

The line y = a · x + b walks downhill on the mean squared error, at learning rate 0.1, and ends where the closed formula of
least squares says it must. Then the same walk with other learning rates: too small a step crawls, too large a one diverges.
Last, a feature in square metres: unscaled, only tiny steps are safe and b hardly moves; scaled, the walk is short.
"""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.cli import Demo


def descend(x, y, lr, length):
    """Fit y = a · x + b from a = b = 0; returns the model and the loss before each step, until it has grown a thousandfold."""
    model = nn.Linear(1, 1, dtype=tg.float64)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    loss_of, optimizer, losses = nn.MSELoss(), optim.SGD(model.parameters(), lr=lr), []
    for _ in range(length):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        losses.append(loss.item())
        if losses[-1] > 1000 * losses[0]:
            break
        loss.backward()
        optimizer.step()
    return model, losses


def line(model):
    """a and b."""
    return model.weight.item(), model.bias.item()


def steps(count):
    """A number of steps, in words."""
    return f"{count} step{'s' * (count != 1)}"


def largest_rate(x):
    """The learning rate from which on descent diverges: 2 / (the largest curvature of the mean squared error)."""
    features = np.column_stack([x.numpy(), np.ones(len(x))])
    return 2 / np.linalg.eigvalsh(2 * features.T @ features / len(x))[-1]


def steps_to(losses, best):
    """The steps until the loss is within 1 % of the best one possible, or None."""
    return next((i for i, loss in enumerate(losses) if loss <= 1.01 * best), None)


def plot_line(x, y, model):
    """The points and the line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.scatter(x.flatten().numpy(), y.flatten().numpy(), s=16, color="#4477aa", label="points")
    ends = tg.tensor([[x.min().item()], [x.max().item()]], dtype=tg.float64)
    with tg.no_grad():
        axes.plot(
            ends.flatten().numpy(),
            model(ends).flatten().numpy(),
            color="#ee6677",
            label="y = {:.2f} x + {:.2f}".format(*line(model)),
        )
    axes.set(xlabel="x", ylabel="y")
    axes.legend()
    return figure


def walk(x, y, lr, length=12):
    """The steps (a, b) of gradient descent, from a = b = −1 on."""
    a, b = (tg.tensor(-1.0, dtype=tg.float64, requires_grad=True) for _ in range(2))
    path = [(a.item(), b.item())]
    for _ in range(length):
        gradients = tg.autograd.grad(((a * x + b - y) ** 2).mean(), (a, b))
        with tg.no_grad():
            for value, g in zip((a, b), gradients):
                value -= lr * g
        path.append((a.item(), b.item()))
    return np.array(path)


def plot_valley(x, y, rates):
    """The loss over a and b as a map with contour lines, and twelve steps through it with each learning rate."""
    from matplotlib.figure import Figure

    a, b = np.meshgrid(np.linspace(-1.5, 4, 80), np.linspace(-2, 3, 80))
    heights = ((a[..., None] * x.numpy()[:, 0] + b[..., None] - y.numpy()[:, 0]) ** 2).mean(-1)
    figure = Figure(figsize=(11, 3.8), layout="constrained")
    for axes, lr, word in zip(figure.subplots(1, len(rates), sharey=True), rates, ("crawls", "arrives", "diverges")):
        axes.contourf(a, b, heights, levels=24, cmap="Greens_r", alpha=0.8)
        path = walk(x, y, lr)
        axes.plot(*path.T, "o-", color="#b3401f", markersize=4, linewidth=1.2)
        axes.plot(*path[0], "s", color="#1b2733")
        axes.set(xlim=(-1.5, 4), ylim=(-2, 3), xlabel="a", title=f"learning rate {lr:.3g}: {word}")
    figure.axes[0].set_ylabel("b")
    return figure


def plot_scaling(curves):
    """Both walks; the logarithmic axis shows the first steps too."""
    figure = viz.curves(curves, log=True)
    figure.axes[0].set_xscale("log")
    return figure


def main(arguments=None):
    """Fit the line, compare learning rates, scale a feature."""
    demo = Demo("regression", __doc__, arguments)
    length = 300 if demo.quick else 1000
    tg.manual_seed(demo.seed)
    x = tg.rand(50, 1, dtype=tg.float64) * 2 - 1
    y = 1.5 * x + 0.5 + 0.2 * tg.randn(50, 1, dtype=tg.float64)
    found = {}

    model, losses = descend(x, y, 0.1, length)
    found["line"] = line(model)
    found["least squares"] = tuple(np.polyfit(x.flatten().numpy(), y.flatten().numpy(), 1))
    print(f"50 points around y = 1.5 x + 0.5; {length} steps at learning rate 0.1:")
    print("  gradient descent  y = {:.6f} x + {:.6f}".format(*found["line"]))
    print("  least squares     y = {:.6f} x + {:.6f}".format(*found["least squares"]))
    print(f"  loss {losses[0]:.4f} → {losses[-1]:.4f}")

    limit, best = largest_rate(x), losses[-1]
    print(f"\nlearning rates: this valley is so steep that steps diverge from {limit:.3f} on")
    rates = {}
    for lr in (0.001, 0.01, 0.1, 0.5, round(0.99 * limit, 3), round(1.05 * limit, 3)):
        rates[lr] = descend(x, y, lr, 200)[1]
        demo.progress(len(rates), 6, f"learning rate {lr:g}")
        end, reached = rates[lr][-1], steps_to(rates[lr], best)
        word = "diverges" if end > rates[lr][0] else f"at the bottom after {steps(reached)}" if reached else "crawls"
        print(f"  {lr:<6g} loss after {len(rates[lr]):3} steps {end:10.4g}   {word}")
    found["rates"], found["limit"] = {lr: losses[-1] for lr, losses in rates.items()}, limit

    print("\nfeature scaling: rents of 50 flats of 20 to 140 m², in hundreds")
    area = 20 + 120 * tg.rand(50, 1, dtype=tg.float64)
    rent = 3 + 0.12 * area + tg.randn(50, 1, dtype=tg.float64)
    scaled = (area - area.mean()) / area.std()
    exact = np.polyfit(area.flatten().numpy(), rent.flatten().numpy(), 1)
    best = np.mean((np.polyval(exact, area.numpy()) - rent.numpy()) ** 2)
    curves = {}
    for name, feature in (("in square metres", area), ("scaled to mean 0, deviation 1", scaled)):
        lr = 0.1 * largest_rate(feature)  # each with the step that suits it
        curves[name] = descend(feature, rent, lr, length)[1]
        reached = steps_to(curves[name], best)
        found[name] = reached
        end = (
            f"at the bottom after {steps(reached)}"
            if reached is not None
            else f"loss {curves[name][-1]:.3f} after {length} steps, {best:.3f} is possible"
        )
        print(f"  {name:<30} learning rate {lr:8.2g}   {end}")

    with tg.recording():
        loss = nn.MSELoss()(model(x[:3]), y[:3])
    loss.backward()
    demo.save("line.svg", lambda: plot_line(x, y, model), "the points and the line")
    demo.save(
        "valley.svg", lambda: plot_valley(x, y, (0.05, 0.5, largest_rate(x) * 1.02)), "gradient descent as walking downhill"
    )
    named = {f"learning rate {lr:g}": c for lr, c in rates.items()}
    demo.save("rates.svg", lambda: viz.curves(named, log=True), "the loss for six learning rates; the largest diverges")
    demo.save("loss.svg", lambda: viz.curves({"mean squared error": losses}, log=True), "the loss at learning rate 0.1")
    demo.save("scaling.svg", lambda: plot_scaling(curves), "the loss with and without feature scaling")
    demo.save(
        "graph.svg", lambda: viz.draw(loss, model=model), "the computation of the loss of three points, with every gradient"
    )
    print("\nTo click points into a plane and watch the line follow: python -m tinygrad_edu playground")
    demo.finish()
    return found


if __name__ == "__main__":
    main()
