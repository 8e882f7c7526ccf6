"""Predict a person's sex from weight and height: a network from scratch, with every derivative worked out by hand.

One neuron, a network of three, the mean squared error, one partial derivative followed factor by factor along the chain rule:
each by hand and as the engine finds it. Then the 2-2-1 network learns from four people, one at a time, and judges two more.
Weights are in pounds less 135, heights in inches less 66; 1 stands for female, 0 for male.
"""

import tinygrad_edu as tg
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.cli import Demo

PEOPLE = {"Alice": ([-2, -1], 1), "Bob": ([25, 6], 0), "Charlie": ([17, 4], 0), "Diana": ([-15, -6], 1)}
STRANGERS = {"Emily": [-7, -3], "Frank": [20, 2]}


class Network(nn.Module):
    """Two inputs, a hidden layer of two sigmoid neurons (h1, h2), an output neuron (o1)."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(2, 2, dtype=tg.float64)
        self.output = nn.Linear(2, 1, dtype=tg.float64)

    def forward(self, x):
        return tg.sigmoid(self.output(tg.sigmoid(self.hidden(x))))


def numbers(values):
    """A float64 tensor of numbers."""
    return tg.tensor(values, dtype=tg.float64)


def same_neurons(weights):
    """The network with these weights in each neuron, and biases of 0."""
    model = Network()
    with tg.no_grad():
        for layer in (model.hidden, model.output):
            layer.weight.copy_(numbers([weights] * layer.out_features))
            layer.bias.zero_()
    return model


def by_hand(found):
    """The worked example: one neuron, a network, a loss, and one partial derivative, each as in the textbook."""
    w, b, x = numbers([0, 1]), 4, numbers([2, 3])
    found["neuron"] = tg.sigmoid(w @ x + b).item()
    print(f"one neuron, w = [0, 1], b = 4, x = [2, 3]:          {found['neuron']}")
    found["network"] = same_neurons([0.0, 1.0])(x).item()
    print(f"2-2-1, all weights [0, 1], biases 0, x = [2, 3]:    {found['network']}")
    found["mse"] = nn.MSELoss()(numbers([0, 0, 0, 0]), numbers([1, 0, 0, 1])).item()
    print(f"mean squared error of [0, 0, 0, 0] for [1, 0, 0, 1]: {found['mse']}")

    print("\nby hand: all weights 1, biases 0, Alice = (−2, −1), target 1; w1 leads from the weight to h1")
    w1 = numbers(1.0).requires_grad_()
    x1, x2 = numbers(-2.0), numbers(-1.0)
    with tg.recording():  # keeps the values, for the explanation
        h1 = tg.sigmoid(w1 * x1 + x2)
        h2 = tg.sigmoid(x1 + x2)
        y = tg.sigmoid(h1 + h2)
        L = (1 - y).square()
    print(f"prediction y = {y.item():.3f}")
    print(tg.explain(L, w1))
    factors = [tg.autograd.grad(a, b, retain_graph=True)[0].item() for a, b in ((L, y), (y, h1), (h1, w1))]
    L.backward()
    found["prediction"], found["factors"], found["gradient"] = y.item(), factors, w1.grad.item()
    found["on_paper"] = -2 * (1 - round(y.item(), 3)) * round(factors[1], 3) * round(factors[2], 4)
    print(f"on paper, going on from y = 0.524 with three digits: −0.952 · 0.249 · −0.0904 = {found['on_paper']:.4f}")


def main(arguments=None):
    """Work the example by hand, train on four people, judge two more."""
    demo = Demo("people", __doc__, arguments)
    epochs = 200 if demo.quick else 1000
    found = {}
    by_hand(found)

    tg.manual_seed(demo.seed)
    model = Network()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    loss_of = nn.MSELoss()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    data = [(numbers(x), numbers([y])) for x, y in PEOPLE.values()]
    everyone = numbers([x for x, _ in PEOPLE.values()])
    targets = numbers([[y] for _, y in PEOPLE.values()])
    losses = [loss_of(model(everyone), targets).item()]
    for epoch in range(epochs):
        for x, y in data:
            optimizer.zero_grad()
            loss_of(model(x), y).backward()
            optimizer.step()
        if epoch % 10 == 9:
            with tg.no_grad():
                losses.append(loss_of(model(everyone), targets).item())
            demo.progress(epoch + 1, epochs, f"loss {losses[-1]:.4f}")
    print(f"\ntraining from seed {demo.seed}, {epochs} epochs of one step per person: loss {losses[0]:.3f} → {losses[-1]:.4f}")
    for name, x in STRANGERS.items():
        found[name] = model(numbers(x)).item()
        print(f"{name}: {found[name]:.3f}, {'female' if found[name] > 0.5 else 'male'}")

    alice, target = data[0]
    with tg.recording():
        loss = loss_of(model(alice), target)
    loss.backward()
    pictured = dict(alice=alice, target=target)
    demo.save(
        "graph.svg", lambda: viz.draw(loss, model=model, names=pictured), "the computation of Alice's loss, with every gradient"
    )
    demo.save(
        "network.svg",
        lambda: viz.network(model, alice, names=["weight", "height"], outputs=["female"]),
        "the trained network, judging Alice",
    )
    demo.save(
        "loss.svg",
        lambda: viz.curves({"mean squared error": losses}, x=range(0, epochs + 1, 10), xlabel="epoch"),
        "the loss over the epochs",
    )
    print("\nOnward: other optimizers and softmax (demo digits), convolutions (demo digits), attention (demo gpt),")
    print("and a page where you choose layers and watch them train: python -m tinygrad_edu playground")
    demo.finish()
    return dict(found, losses=losses)


if __name__ == "__main__":
    main()
