"""Two layers: logistic regressions joined, with back propagation written by hand and compared with the engine's.

Seven neurons look at the same picture as the demo logistic's one, and an eighth decides from what they say. Forward, each step
keeps its result; backward, the influence of each W and b on the total loss is found from the last step to the first, with
those results: dZ2 = A2 − Y, dW2 = dZ2ᵀ · A1, dA1 = dZ2 · W2, dZ1 = dA1 where Z1 > 0, dW1 = dZ1ᵀ · X. Then the network
learns "cat or not" on the same 209 pictures, learning rate 0.005, 2000 iterations, beside the single neuron.
"""

import tinygrad_edu as tg
from tinygrad_edu import nn, viz
from tinygrad_edu.cli import Demo, load_demo

logistic = load_demo("logistic")  # the pictures, the training loop and the single neuron


def two_layers():
    """All numbers of a picture into seven neurons, and those into one."""
    pixels = logistic.SIZE * logistic.SIZE * 3
    return nn.Sequential(nn.Linear(pixels, 7), nn.ReLU(), nn.Linear(7, 1), nn.Sigmoid())


@tg.no_grad()
def by_hand(model, x, y):
    """Forward and backward, step by step: the loss, and the gradients of W1, b1, W2, b2."""
    w1, b1, w2, b2 = model.parameters()
    n = len(x)
    z1 = x @ w1.T + b1  # forward: keep every result
    a1 = z1.clamp(min=0)
    z2 = a1 @ w2.T + b2
    a2 = 1 / (1 + tg.exp(-z2))
    loss = -(y * tg.log(a2) + (1 - y) * tg.log(1 - a2)).sum() / n
    dz2 = (a2 - y) / n  # backward: from the loss to the first layer
    dw2, db2 = dz2.T @ a1, dz2.sum(0)
    da1 = dz2 @ w2
    dz1 = da1 * (z1 > 0)
    dw1, db1 = dz1.T @ x, dz1.sum(0)
    return loss.item(), (dw1, db1, dw2, db2)


def main(arguments=None):
    """Back propagation by hand, then one layer against two."""
    demo = Demo("two_layers", __doc__, arguments)
    iterations = 100 if demo.quick else 2000
    x, y, new_x, new_y = logistic.data(demo.seed)
    tg.manual_seed(demo.seed)
    one, two = logistic.one_layer(), two_layers()
    found = {}

    loss, gradients = by_hand(two, x, y)
    value = nn.BCELoss()(two(x), y)
    value.backward()
    print(f"before training, by hand and by the engine: loss {loss:.6f} and {value.item():.6f}")
    found["apart"] = {}
    for name, parameter, g in zip(("W1", "b1", "W2", "b2"), two.parameters(), gradients):
        found["apart"][name] = ((parameter.grad - g).abs().max() / g.abs().max()).item()
        shape = " × ".join(map(str, g.shape))
        print(
            f"  d{name} ({shape}): largest element {g.abs().max().item():.6f}, the two differ by {found['apart'][name]:.0e} of it"
        )
    found["loss by hand"], found["loss"] = loss, value.item()

    print(f"\n{iterations} iterations at learning rate 0.005:")
    curves = {}
    for name, model in (("one layer", one), ("two layers", two)):
        curves[name] = logistic.train(model, x, y, iterations, 0.005, demo, name)
        found[name] = (curves[name][-1], logistic.accuracy(model, x, y), logistic.accuracy(model, new_x, new_y))
        count = sum(p.numel() for p in model.parameters())
        print(f"  {name}, {count} parameters: loss {curves[name][0]:.3f} → {found[name][0]:.3f}, right on {found[name][1]:.1%} "
              f"of {len(x)} training pictures and {found[name][2]:.1%} of {len(new_x)} new ones")  # fmt: skip

    with tg.no_grad():
        found["silent"] = int(((two[0](x) > 0).sum(0) == 0).sum().item())
    print(
        f"  {found['silent']} of the seven neurons are below 0 for every picture: "
        "ReLU stops their gradient, and their weights stay noise"
    )

    with tg.recording():
        loss = nn.BCELoss()(two(x), y)
    loss.backward()
    seven = "what the seven neurons look at: blue raises, red lowers their sum"
    demo.save("pictures.png", lambda: logistic.sheet(new_x, new_y, two), "new pictures, and how likely the network finds a cat")
    demo.save("neurons.png", lambda: logistic.templates(two[0].weight, seven), "the weights of the seven neurons")
    demo.save("loss.svg", lambda: viz.curves(curves, xlabel="iteration"), "the loss of one layer and of two")
    demo.save("graph.svg", lambda: viz.draw(loss, model=two, names=dict(x=x, y=y)), "the computation of the loss")
    demo.finish()
    return dict(found, curves=curves)


if __name__ == "__main__":
    main()
