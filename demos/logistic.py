"""Logistic regression: "cat or not" on 209 small colour pictures, with one neuron, and why its loss is what it is.

A picture's 64 × 64 × 3 numbers go into one sigmoid neuron, whose output a is the probability of a cat. The probability that it
gave to the right answer is Bernoulli's likelihood, aʸ · (1 − a)¹⁻ʸ; minus its logarithm is the loss, the binary cross-entropy
BCE = −y · ln a − (1 − y) · ln(1 − a), and the sigmoid's slope cancels in its gradient: dL/dz = a − y. Learning rate 0.005, 2000
iterations over all pictures. They are drawn by this program: heads with pointed ears (cats) and with round ears (not cats), in
all colours, at any place. The demo two_layers goes on from here.
"""

import math

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.cli import Demo

SIZE = 64  # pixels along an edge
TRAINING, NEW = 209, 50  # how many pictures to train on, and to be tested with


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
    """`count` pictures as rows of numbers, and their labels: 1 for a cat, 0 for another animal."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    rows = np.stack([picture(random, label) for label in labels]).reshape(count, -1)
    return tg.tensor(rows).float(), tg.tensor(labels[:, None]).float()


def data(seed):
    """The pictures to train on with their labels, and new ones that the model never sees before it is tested."""
    return *pictures(TRAINING, seed), *pictures(NEW, seed + 1_000_000)


def one_layer():
    """All numbers of a picture into one sigmoid neuron; every weight begins at 0."""
    model = nn.Sequential(nn.Linear(SIZE * SIZE * 3, 1), nn.Sigmoid())
    nn.init.zeros_(model[0].weight)
    nn.init.zeros_(model[0].bias)
    return model


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
    """The first pictures with the model's opinion of each; a wrong one is red and has a cross."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots(3, 6)
    with tg.no_grad():
        opinions = model(x[:18]).flatten().tolist()
    for place, pixels, label, opinion in zip(axes.flat, x.numpy(), y.flatten().tolist(), opinions):
        right = (opinion > 0.5) == (label > 0.5)
        place.imshow(pixels.reshape(SIZE, SIZE, 3))
        place.set_title(f"cat: {opinion:.0%}{'' if right else '  ✗'}", color="#228833" if right else "#cc3311", fontsize=10)
        place.axis("off")
    return figure


def templates(weight, title):
    """Rows of weights as pictures: bright where a pixel speaks for a cat, dark where it speaks against; colours averaged."""
    from matplotlib.figure import Figure

    maps = weight.detach().numpy().reshape(len(weight), SIZE, SIZE, 3).mean(-1)
    figure = Figure(figsize=(1 + 2.2 * len(maps), 2.8), layout="constrained")
    figure.suptitle(title, fontsize=10)
    for place, image in zip(figure.subplots(1, len(maps), squeeze=False).flat, maps):
        top = abs(image).max()
        place.imshow(image, cmap="RdBu", vmin=-top, vmax=top)
        place.axis("off")
    return figure


def plot_loss():
    """The loss over the output: one curve for a cat, one for another animal."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes, a = figure.add_subplot(), np.linspace(0.002, 0.998, 400)
    axes.plot(a, -np.log(a), color="#1f5fae", label="y = 1:  −ln a")
    axes.plot(a, -np.log(1 - a), "--", color="#b3401f", label="y = 0:  −ln(1 − a)")
    axes.set(xlabel="a, the probability of a cat", ylabel="loss", ylim=(0, 6))
    axes.legend(frameon=False, loc="upper center")
    return figure


def the_loss(found):
    """The binary cross-entropy as a likelihood, its gradient, and what keeps it finite."""
    y = tg.tensor([1.0, 0.0, 1.0], dtype=tg.float64)
    z = tg.tensor([-2.0, 0.0, 3.0], dtype=tg.float64, requires_grad=True)
    a = tg.sigmoid(z)
    likelihood = a**y * (1 - a) ** (1 - y)
    loss = nn.BCELoss(reduction="sum")(a, y)
    found["loss"], found["-ln likelihood"] = loss.item(), -likelihood.prod().log().item()
    print(f"three outputs a = {[round(v, 4) for v in a.tolist()]} for y = {y.tolist()}")
    print(f"  binary cross-entropy, summed:                  {found['loss']:.6f}")
    print(f"  −ln of the probability of all three answers:   {found['-ln likelihood']:.6f}")
    loss.backward()
    found["gradient"], found["a - y"] = z.grad.tolist(), (a - y).tolist()
    print("  dL/dz, as the engine finds it:  ", [round(v, 6) for v in found["gradient"]])
    print("  a − y:                          ", [round(v, 6) for v in found["a - y"]])

    wrong, answer = tg.tensor([0.0, 1.0]), tg.tensor([1.0, 0.0])
    found["worst"] = nn.BCELoss()(wrong, answer).item()
    found["article"] = -math.log(1e-5)
    print("entirely wrong, a = 0 for a cat and a = 1 for another animal, where ln 0 would be −∞:")
    print(f"  BCELoss limits the logarithm at −100: loss {found['worst']:g};  1e-5 inside the logarithm: {found['article']:.2f}")
    far = nn.BCEWithLogitsLoss()(tg.tensor([-1000.0, 1000.0]), answer).item()
    found["logits"] = far
    print(f"  BCEWithLogitsLoss, which takes z = ∓1000 and never forms a: {far:g}, and its gradient is still a − y\n")


def main(arguments=None):
    """Show the loss and its gradient, then train one neuron."""
    demo = Demo("logistic", __doc__, arguments)
    iterations = 100 if demo.quick else 2000
    found = {}
    the_loss(found)

    x, y, new_x, new_y = data(demo.seed)
    model = one_layer()
    losses = train(model, x, y, iterations, 0.005, demo, "one neuron")
    found["one layer"] = (losses[-1], accuracy(model, x, y), accuracy(model, new_x, new_y))
    print(f"one neuron with {SIZE * SIZE * 3 + 1} parameters, {iterations} iterations at learning rate 0.005:")
    print(f"  loss {losses[0]:.3f} → {losses[-1]:.3f}")
    _, trained, new = found["one layer"]
    print(f"  right on {trained:.1%} of {TRAINING} training pictures and {new:.1%} of {NEW} new ones")

    with tg.recording():
        loss = nn.BCELoss()(model(x), y)
    loss.backward()
    demo.save("pictures.png", lambda: sheet(new_x, new_y, model), "new pictures, and how likely the neuron finds a cat")
    demo.save("weights.png", lambda: templates(model[0].weight, "blue speaks for a cat"), "what the neuron looks at: the ears")
    demo.save("bernoulli.svg", plot_loss, "the loss over the output")
    demo.save("loss.svg", lambda: viz.curves({"one neuron": losses}, xlabel="iteration"), "the loss over the iterations")
    demo.save("graph.svg", lambda: viz.draw(loss, model=model, names=dict(x=x, y=y)), "the computation of the loss")
    demo.finish()
    return dict(found, losses=losses)


if __name__ == "__main__":
    main()
