"""XOR: what a neuron is, and three hidden ones that learn what a single one cannot.

One sigmoid neuron computes σ(w · x + b): inputs 1 and 0, weights 7 and 3, bias −2 give σ(5) = 0.9933. A single neuron draws
one straight line through the plane, and no line separates the XOR's ones from its zeros; a 2-3-1 network can. It is trained for
20 000 iterations of four steps, one per sample, with learning rate 0.3 on the squared error: forward ("activate"), backward
("propagate"), then each weight takes a step downhill. Then ten seeds, to see that no lucky start was needed.
"""

import tinygrad_edu as tg
from tinygrad_edu import nn, optim, viz
from tinygrad_edu.cli import Demo, whole_number

SAMPLES = [([0.0, 0.0], [0.0]), ([0.0, 1.0], [1.0]), ([1.0, 0.0], [1.0]), ([1.0, 1.0], [0.0])]
DATA = [(tg.tensor(x), tg.tensor(y)) for x, y in SAMPLES]


def network(seed):
    """The 2-3-1 network of sigmoid neurons."""
    tg.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1), nn.Sigmoid())


def train(model, iterations, lr=0.3, each=None, until=None):
    """One step per sample and iteration; returns the mean loss of every hundredth iteration, and the iterations made."""
    loss_of = nn.MSELoss()
    optimizer = optim.SGD(model.parameters(), lr=lr)
    losses = []
    for iteration in range(iterations):
        total = 0.0
        for x, y in DATA:
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        if iteration % 100 == 99:
            losses.append(total / len(DATA))
            if each:
                each(iteration + 1, losses[-1])
            if until and until(model):
                break
    return losses, iteration + 1


def outputs(model):
    """The four outputs, as numbers."""
    with tg.no_grad():
        return [model(x).item() for x, _ in DATA]


def solved(model):
    """True if every output, rounded, is the XOR of its inputs."""
    return [round(out) for out in outputs(model)] == [int(y[0]) for _, y in SAMPLES]


def well_solved(model):
    """True if every output is within 0.1 of its target."""
    return all(abs(out - y[0]) < 0.1 for out, (_, y) in zip(outputs(model), SAMPLES))


def diagnosis(model):
    """Why a network did not learn XOR, and what to change."""
    outs = outputs(model)
    undecided = [f"{[int(v) for v in x]} → {out:.2f}" for out, (x, y) in zip(outs, SAMPLES) if abs(out - y[0]) > 0.4]
    return (f"stuck where the outputs {', '.join(undecided)} pull against each other and their gradients cancel (a local "
            "minimum); begin with other weights (--seed), or give it more hidden neurons")  # fmt: skip


def main(arguments=None):
    """Show one neuron, train the network, then train it from other seeds."""

    def add(parser):
        parser.add_argument("--seeds", type=whole_number, metavar="N", help="also try this many seeds, from 0 on (default: 10)")

    demo = Demo("xor", __doc__, arguments, add=add)
    iterations = 3000 if demo.quick else 20_000

    neuron = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid())
    with tg.no_grad():
        neuron[0].weight.copy_(tg.tensor([[7.0, 3.0]]))
        neuron[0].bias.fill_(-2.0)
    one = neuron(tg.tensor([1.0, 0.0])).item()
    print(f"one neuron: σ(7 · 1 + 3 · 0 − 2) = σ(5) = {one:.4f}")
    demo.save(
        "neuron.svg", lambda: viz.network(neuron, tg.tensor([1.0, 0.0])), "one neuron: weights on the arrows, bias and sum at it"
    )

    model = network(demo.seed)
    x, y = DATA[2]
    with tg.recording():
        loss = nn.MSELoss()(model(x), y)
    loss.backward()
    demo.save(
        "graph.svg",
        lambda: viz.draw(loss, model=model, names=dict(x=x, y=y), direction="TB"),
        "the computation of the first loss, with every gradient",
    )

    losses, _ = train(model, iterations, each=lambda i, loss: demo.progress(i, iterations, f"loss {loss:.5f}"))
    print(f"\nafter {iterations} iterations from seed {demo.seed}:")
    for (inputs, _), out in zip(SAMPLES, outputs(model)):
        print(f"  {inputs[0]:.0f} XOR {inputs[1]:.0f} = {round(out)}   ({out:.4f})")
    if not solved(model):
        print(f"  not XOR: {diagnosis(model)}")

    demo.save("network.svg", lambda: viz.network(model, x), "the trained 2-3-1 network, answering 1 XOR 0")
    demo.save(
        "loss.svg",
        lambda: viz.curves({"squared error": losses}, x=range(100, iterations + 1, 100), xlabel="iteration", log=True),
        "the loss over the iterations",
    )
    corners, targets = tg.stack([x for x, _ in DATA]), tg.stack([y for _, y in DATA])
    demo.save("boundary.svg", lambda: viz.boundary(model, corners, targets), "where the network says 1: not one line, but two")

    seeds = demo.options.seeds if demo.options.seeds is not None else 2 if demo.quick else 10
    limit, learned = (5000 if demo.quick else 20_000), {}
    if seeds:
        print(f"\nother first weights, until every output is within 0.1 of its target (at most {limit} iterations):")
    for seed in range(seeds):
        other = network(seed)
        _, made = train(other, limit, until=well_solved)
        learned[seed] = made if well_solved(other) else None
        print(f"  seed {seed}: " + (f"XOR after {made} iterations" if learned[seed] else diagnosis(other)))
    demo.finish()
    return dict(neuron=one, outputs=outputs(model), solved=solved(model), losses=losses, learned=learned)


if __name__ == "__main__":
    main()
