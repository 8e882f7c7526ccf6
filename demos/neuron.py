"""One neuron, trained in nine lines: the update is error × input × slope of the sigmoid.

A neuron with three inputs and no bias learns to answer with its first input. The long form writes each update by hand and
checks it against `backward()`; the short form is the whole program in nine lines. Both use the same first weights (of
NumPy's legacy generator, seed 1) and end in the same number: [1, 0, 0] → 0.99993704.
"""

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import viz
from tinygrad_edu.cli import Demo

INPUTS = [[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]]
TARGETS = [[0], [1], [1], [0]]


def first_weights(seed):
    """Three numbers between −1 and 1, as 2 · random − 1."""
    return 2 * np.random.RandomState(seed).random((3, 1)) - 1  # noqa: NPY002, the legacy generator is part of the task


def nine_lines(seed, steps):
    """The neuron as a short program."""
    x = tg.tensor(INPUTS, dtype=tg.float64)
    y = tg.tensor(TARGETS, dtype=tg.float64)
    w = tg.tensor(first_weights(seed), requires_grad=True)
    optimizer = tg.optim.SGD([w], lr=1)
    for _ in range(steps):
        optimizer.zero_grad()
        ((y - tg.sigmoid(x @ w)) ** 2).sum().mul(0.5).backward()
        optimizer.step()
    return tg.sigmoid(tg.tensor([1.0, 0.0, 0.0], dtype=tg.float64) @ w).item()


def main(arguments=None):
    """Train the neuron in both forms."""
    demo = Demo("neuron", __doc__, arguments, seed=1)
    steps = 1000 if demo.quick else 10_000

    # The long form. `forward`: each output is the sigmoid of a weighted sum of the inputs.
    x = tg.tensor(INPUTS, dtype=tg.float64)
    y = tg.tensor(TARGETS, dtype=tg.float64)
    w = tg.tensor(first_weights(demo.seed), requires_grad=True)
    print("weights before training:", w.detach().flatten())
    losses, worst = [], 0.0
    for step in range(steps):
        out = tg.sigmoid(x @ w)
        error = y - out
        loss = (error**2).sum() / 2
        w.grad = None
        loss.backward()
        with tg.no_grad():
            # By hand: the sigmoid's slope is out · (1 − out); inputs that were 0 had no part in the error.
            update = x.T @ (error * out * (1 - out))
            worst = max(worst, (update + w.grad).abs().max().item())  # backward() gives the gradient, minus the update
            w += update
        losses.append(loss.item())
        if step % 100 == 99:
            demo.progress(step + 1, steps, f"loss {losses[-1]:.6f}")
    answer = tg.sigmoid(tg.tensor([1.0, 0.0, 0.0], dtype=tg.float64) @ w).item()
    short = nine_lines(demo.seed, steps)

    print("weights after training: ", w.detach().flatten())
    print("outputs for the four samples:", tg.sigmoid(x @ w).detach().flatten())
    print(f"update by hand against backward(): at most {worst:.1e} apart, in {steps} steps")
    print(f"[1, 0, 0] → {answer:.8f}   (in nine lines: {short:.8f})")

    w.grad = None
    with tg.recording():
        loss = ((y - tg.sigmoid(x @ w)) ** 2).sum() / 2
    loss.backward()
    trained = [(w.detach().numpy().T, None, "sigmoid")]
    demo.save("network.svg", lambda: viz.network(trained, [1.0, 0.0, 0.0]), "the trained neuron, answering [1, 0, 0]")
    demo.save(
        "graph.svg",
        lambda: viz.draw(loss, names=dict(x=x, y=y, w=w)),
        "the computation of the loss, with every value and gradient",
    )
    demo.save("loss.svg", lambda: viz.curves({"½ · sum of squared errors": losses}, log=True), "the loss over the steps")
    demo.finish()
    return dict(answer=answer, short=short, weights=w.tolist(), losses=losses, worst=worst)


if __name__ == "__main__":
    main()
