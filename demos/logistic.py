"""Logistic regression, and then a hidden layer: "cat or not" on small colour pictures.

A picture's pixels go into one sigmoid neuron: logistic regression. Its loss is minus the logarithm of the probability that it
gave to the right answer (Bernoulli's likelihood): BCE = −y · ln a − (1 − y) · ln(1 − a), which makes the gradient dL/dz = a − y.
Logistic regressions joined give a neural network: one layer against two, learning rate 0.005, 2000 iterations. The pictures are
drawn by this program: heads with pointed ears (cats) and with round ears, in all colours, at any place.
"""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.cli import Demo

SIZE = 32  # pixels along an edge


def picture(random, cat):
    """One picture, (SIZE, SIZE, 3) numbers from 0 to 1: a head with two ears on a noisy background."""
    down, right = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    radius = random.uniform(0.2, 0.26)
    x, y = random.uniform(0.44, 0.56), random.uniform(0.54, 0.62)
    head = (right - x) ** 2 + (down - y) ** 2 < radius**2
    for side in (-1, 1):
        ear_x, ear_y = x + side * 0.72 * radius, y - 0.72 * radius
        if cat:  # a triangle, its tip upward and outward
            height = (ear_y + 0.35 * radius - down) / (1.35 * radius)
            ear = (height > 0) & (height < 1) & (abs(right - ear_x - side * 0.1 * radius * height) < 0.5 * radius * (1 - height))
        else:
            ear = (right - ear_x) ** 2 + (down - ear_y) ** 2 < (0.42 * radius) ** 2
        head |= ear
    eyes = sum((right - x - s * 0.4 * radius) ** 2 + (down - y + 0.1 * radius) ** 2 < (0.15 * radius) ** 2 for s in (-1, 1)) > 0
    fur, ground = random.uniform(0.45, 1.0, 3), random.uniform(0.0, 0.4, 3)
    image = np.where(head[..., None], fur, ground)
    image[eyes] = 0.05
    return np.clip(image + random.normal(0, 0.05, image.shape), 0, 1)


def pictures(count, seed):
    """`count` pictures as rows of pixels, and their labels: 1 for a cat, 0 for another animal."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    rows = np.stack([picture(random, label) for label in labels]).reshape(count, -1)
    return tg.tensor(rows).float(), tg.tensor(labels[:, None]).float()


def train(model, x, y, iterations, lr, demo, title):
    """Full-batch gradient descent on the binary cross-entropy; returns the losses."""
    loss_of, optimizer, losses = nn.BCELoss(), optim.SGD(model.parameters(), lr=lr), []
    for i in range(iterations):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        demo.progress(i + 1, iterations, f"{title}: loss {losses[-1]:.4f}")
    return losses


def accuracy(model, x, y):
    """The share of pictures that are judged rightly."""
    with tg.no_grad():
        return ((model(x) > 0.5) == (y > 0.5)).float().mean().item()


def sheet(x, y, model):
    """The first pictures with the model's opinion of each."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots(3, 6)
    with tg.no_grad():
        opinions = model(x[:18]).flatten().tolist()
    for place, pixels, label, opinion in zip(axes.flat, x.numpy(), y.flatten().tolist(), opinions):
        place.imshow(pixels.reshape(SIZE, SIZE, 3))
        place.set_title(f"cat: {opinion:.0%}", color="#228833" if (opinion > 0.5) == (label > 0.5) else "#cc3311", fontsize=10)
        place.axis("off")
    return figure


def main(arguments=None):
    """Show the loss and its gradient, then train one layer and two."""
    demo = Demo("logistic", __doc__, arguments)
    iterations = 200 if demo.quick else 2000
    found = {}

    z = tg.tensor([-2.0, 0.0, 3.0], dtype=tg.float64, requires_grad=True)
    y = tg.tensor([1.0, 0.0, 1.0], dtype=tg.float64)
    a = tg.sigmoid(z)
    loss = nn.BCELoss(reduction="sum")(a, y)
    loss.backward()
    found["gradient"], found["a - y"] = z.grad.tolist(), (a - y).tolist()
    print("dL/dz of the binary cross-entropy:", z.grad)
    print("a − y:                            ", (a - y).detach())
    found["worst"] = nn.BCELoss()(tg.tensor([0.0, 1.0]), tg.tensor([1.0, 0.0])).item()
    print(f"entirely wrong (a = 0 for 1, a = 1 for 0): loss {found['worst']:g}, limited instead of infinite\n")

    x, y = pictures(209, demo.seed)
    test_x, test_y = pictures(200, demo.seed + 1_000_000)
    tg.manual_seed(demo.seed)
    one = nn.Sequential(nn.Linear(SIZE * SIZE * 3, 1), nn.Sigmoid())
    two = nn.Sequential(nn.Linear(SIZE * SIZE * 3, 7), nn.ReLU(), nn.Linear(7, 1), nn.Sigmoid())
    nn.init.zeros_(one[0].weight)
    curves = {}
    for name, model in (("one layer", one), ("two layers", two)):
        curves[name] = train(model, x, y, iterations, 0.005, demo, name)
        found[name] = (curves[name][-1], accuracy(model, x, y), accuracy(model, test_x, test_y))
        print("{}: loss {:.3f}, right on {:.1%} of 209 training pictures and {:.1%} of 200 new ones".format(name, *found[name]))

    with tg.recording():
        loss = nn.BCELoss()(two(x), y)
    loss.backward()
    demo.save("pictures.png", lambda: sheet(test_x, test_y, two))
    demo.save("loss.svg", lambda: viz.curves(curves, xlabel="iteration"))
    demo.save("graph.svg", lambda: viz.draw(loss, model=two, names=dict(x=x, y=y)))
    demo.finish()
    return dict(found, curves=curves)


if __name__ == "__main__":
    main()
