"""How fast compiled steps are: ratios to the same work written by hand in NumPy, measured side by side in one run.

    python tests/benchmarks/compiled.py                  # every workload of run.py that is a training step
    python tests/benchmarks/compiled.py xor --rounds 31

The columns are hand-written NumPy, the step itself, the step compiled with backend="numpy" and, for tiny networks, with
backend="scalar", called step by step and in a loop of its own (repeat). Method and workloads are those of run.py; before
timing, losses and parameters of every column are compared.
"""

import argparse
import statistics
import sys

import run

WORKLOADS = ("xor", "neuron", "digits", "mnist", "adam", "wide")
TINY = ("xor", "neuron")
COLUMNS = ("numpy", "eager", "replay", "scalar", "loop")


def step_of(name, column):
    """(step, numbers) of a workload, as in run.py; ours take their arguments as a compiled step wants them."""
    import numpy as np

    import tinygrad_edu as tg

    nn, backend = tg.nn, {"replay": "numpy", "scalar": "scalar", "loop": "scalar"}.get(column)
    if backend == "scalar" and name not in TINY:
        return None
    if name == "neuron":
        inputs = tg.tensor([[0.0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], dtype=tg.float64)
        targets = tg.tensor([[0.0], [1], [1], [0]], dtype=tg.float64)
        model = nn.Sequential(nn.Linear(3, 1, bias=False), nn.Sigmoid()).double()
        weights = 2 * np.random.RandomState(1).random_sample((3, 1)) - 1
        model[0].weight.data.copy_(tg.tensor(weights.T.copy()))
        loss_of, optimizer, samples = nn.MSELoss(reduction="sum"), tg.optim.SGD(model.parameters(), lr=0.5), [(inputs, targets)]
        numbers = lambda loss: [model[0].weight.array]
    elif name == "wide":
        rng = run.random_state()
        leaves = [tg.tensor(rng.standard_normal(10**6).astype(np.float32), requires_grad=True) for _ in range(3)]
        x, w, b = leaves

        def step():
            x.grad = w.grad = b.grad = None
            y = tg.mean(tg.sigmoid(x * w + b) * tg.tanh(x))
            y.backward()
            return y

        samples, numbers = [()], lambda loss: [loss.item(), *(t.grad.array for t in leaves)]
    else:
        sizes, batch, kind, activation, rate, *adam = SETTINGS[name]
        layers, x, target = run.network_data(sizes, batch, kind)
        modules = []
        for i, (m, n) in enumerate(zip(sizes, sizes[1:])):
            modules.append(nn.Linear(m, n))
            if activation == "sigmoid" or i < len(sizes) - 2:
                modules.append(nn.Sigmoid() if activation == "sigmoid" else nn.ReLU())
        model = nn.Sequential(*modules)
        if kind == "float64":
            model.double()
        with tg.no_grad():
            for layer, (w, b) in zip([m for m in modules if isinstance(m, nn.Linear)], layers):
                layer.weight.copy_(tg.tensor(w))
                layer.bias.copy_(tg.tensor(b))
        x, target = tg.tensor(x), tg.tensor(target)
        samples = [(x[k : k + 1], target[k : k + 1]) for k in range(4)] if batch == 4 else [(x, target)]
        optimizer = (tg.optim.Adam if adam else tg.optim.SGD)(model.parameters(), lr=rate)
        loss_of, parameters = nn.MSELoss(), list(model.parameters())
        numbers = lambda loss: [loss.item(), *(p.array for p in parameters[::2]), *(p.array for p in parameters[1::2])]
    if name != "wide":

        def step(x, y):
            optimizer.zero_grad()
            loss = loss_of(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

    step = tg.compile(step, backend=backend) if backend else step
    last = [None]

    def one(k=0):
        last[0] = step(*samples[k % len(samples)])

    one.step, one.samples = step, samples
    return one, lambda: numbers(last[0])


SETTINGS = {"xor": ((2, 3, 1), 4, "float64", "sigmoid", 0.3), "digits": ((64, 128, 10), 64, "float32", "relu", 0.05),
            "mnist": ((784, 512, 256, 10), 256, "float32", "relu", 0.05), "adam": ((784, 512, 256, 10), 256, "float32", "relu", 1e-3, True)}  # fmt: skip


def serve(name, column):
    """One column, in a process of its own, on a pipe: `check`, then `time`, as in run.py."""
    import gc
    import json
    import time

    import numpy as np

    built = run.WORKLOADS[name][0]("numpy") if column == "numpy" else step_of(name, column)
    print(json.dumps(built is not None), flush=True)
    if built is None:
        return
    (step, numbers), repeat = built, run.WORKLOADS[name][1]
    for line in sys.stdin:
        if line.strip() == "check":
            for k in range(8):
                step(k)
            print(json.dumps([float(np.asarray(v, np.float64).sum()) for v in numbers()]), flush=True)
            continue
        gc.collect()
        start = time.process_time()
        if column == "loop":
            for sample in step.samples:  # as many steps in all, one sample after the other
                step.step.repeat(repeat // len(step.samples), *sample)
        else:
            for k in range(repeat):
                step(k)
        print(json.dumps((time.process_time() - start) / repeat), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []], help="which ones; all unless given")
    parser.add_argument("--rounds", type=int, default=11, help="how many rounds (11)")
    parser.add_argument("--columns", nargs="*", default=COLUMNS[1:], help="which columns beside NumPy")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(*options.serve)
    run.__file__ = __file__  # the processes serve this file's columns
    columns = ["numpy", *options.columns]
    print(f"{'':8}{'numpy, µs':>12}" + "".join(f"{c:>22}" for c in columns[1:]))
    for name in options.workloads or WORKLOADS:
        times, _ = run.measure(name, columns, options.rounds)
        base = statistics.median(times["numpy"])
        row = f"{name:8}{base * 1e6:12.2f}"
        for column in columns[1:]:
            if column not in times:
                row += f"{'–':>22}"
                continue
            ratios = sorted(a / b for a, b in zip(times[column], times["numpy"]))
            low, middle, high = (ratios[int(q * (len(ratios) - 1))] for q in (0.25, 0.5, 0.75))
            row += f"{middle:8.3f} ({low:.3f}–{high:.3f})".rjust(22)
        print(row, flush=True)


if __name__ == "__main__":
    main()
