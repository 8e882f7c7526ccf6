"""Above or below the line y = x: a network of any size, first with numerical gradients, then with back propagation.

The gradient of a weight can be measured: nudge the weight by h = 0.01, and see how much the cost changes. That needs one
forward pass per weight and is only nearly right. Back propagation finds all gradients exactly in one backward pass. Then the
other two improvements: biases, and the average over mini-batches of 100 points instead of single ones.
"""

import time

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
    """Numerical beside analytic gradients: how far apart, and how long each takes."""
    model = Network([2, 5, 1])
    x, y = tg.rand(1, 2, dtype=tg.float64), tg.ones(1, 1, dtype=tg.float64)
    exact = back_propagation(model, x, y)
    count = sum(p.numel() for p in model.parameters())
    print(f"gradients of the {count} weights of a 2-5-1 network, for one point:")
    start = time.perf_counter()
    for _ in range(100):
        back_propagation(model, x, y)
    print(f"  back propagation      exact                {(time.perf_counter() - start) * 1e4:7.0f} µs")
    for h in (0.01, 1e-4, 1e-6):
        start = time.perf_counter()
        for _ in range(10):
            nudged = numerical(model, x, y, h)
        took = (time.perf_counter() - start) / 10
        found[f"error at h = {h:g}"] = max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(nudged, exact))
        print(f"  numerical, h = {h:<7g}{100 * found[f'error at h = {h:g}']:8.5f} % wrong   {took * 1e6:12.0f} µs")
    w, a, b = "layers.0", exact[0][0].tolist(), numerical(model, x, y)[0][0].tolist()
    print(f"  first neuron of {w}: back propagation {a[0]:+.5f} {a[1]:+.5f}, numerical {b[0]:+.5f} {b[1]:+.5f}")


def train(model, x, y, gradients, batch, lr, epochs, demo, title):
    """`epochs` passes over the points in random order, `batch` points at a time; returns the cost before and after each."""
    costs = [cost(model, x, y).item()]
    for epoch in range(epochs):
        order = tg.randperm(len(x))
        mixed_x, mixed_y = x[order], y[order]
        for start in range(0, len(x), batch):
            step = gradients(model, mixed_x[start : start + batch], mixed_y[start : start + batch])
            with tg.no_grad():
                for p, g in zip(model.parameters(), step):
                    p -= lr * g
            demo.progress(epoch * len(x) + start + batch, epochs * len(x), title)
        costs.append(cost(model, x, y).item())
    return costs


def plot(curves):
    """The cost after each epoch, with the legend beside the curves."""
    figure = viz.curves({title: costs[1:] for title, costs in curves.items()}, xlabel="epoch", ylabel="cost", log=True)
    figure.set_size_inches(9, 4)
    figure.axes[0].legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def main(arguments=None):
    """Compare the gradients, then train with and without each improvement."""
    demo = Demo("above_the_line", __doc__, arguments)
    points, epochs = (200, 2) if demo.quick else (1000, 10)
    tg.manual_seed(demo.seed)
    found = {}
    compare(found)

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
    best = models["back propagation, single points, rate 1"]
    with tg.recording():
        loss = cost(best, x[:1], y[:1])
    loss.backward()
    demo.save("graph.svg", lambda: viz.draw(loss, model=best))
    demo.save("network.svg", lambda: viz.network(best, x[0]))
    demo.save("loss.svg", lambda: plot(curves))
    demo.save("boundary.svg", lambda: viz.boundary(best, x, y))
    demo.finish()
    return dict(found, curves=curves)


if __name__ == "__main__":
    main()
