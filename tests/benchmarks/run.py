"""How fast: ratios to the same work written by hand in NumPy, measured side by side in one run.

    python tests/benchmarks/run.py                  # every workload, every library that is installed
    python tests/benchmarks/run.py xor chain        # some workloads
    python tests/benchmarks/run.py --rounds 31      # more rounds

Each column (hand-written NumPy, tinygrad_edu, PyTorch, …) runs in a process of its own, so that no library profits from
memory that another one has freed; the columns are timed in turn, A B C B C A …, and a ratio is taken within one round.
Processor time is compared, with one BLAS thread. Before timing, the losses and all parameters of every column must be equal
to those of the first. The table gives the median ratio with its quartiles, and the first column's microseconds.
"""

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import time

THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
COLUMNS = ("numpy", "tinygrad_edu", "torch", "autograd")


# --- the workloads: build(column) returns a function that does one step, and one that returns numbers to compare -------


def random_state():
    import numpy as np

    return np.random.default_rng(0)


def network_data(sizes, batch, dtype):
    """Weights (out, in), biases, inputs and targets, the same for every column."""
    import numpy as np

    rng = random_state()
    layers = [((rng.random((n, m)) - 0.5).astype(dtype) * 2 / np.sqrt(m), (rng.random(n) - 0.5).astype(dtype)) for m, n in zip(sizes, sizes[1:])]
    return layers, rng.random((batch, sizes[0])).astype(dtype), rng.random((batch, sizes[-1])).astype(dtype)


def numpy_network(sizes, batch, dtype, activation, rate, adam=False):
    """One SGD step on the mean squared error, as a person writes it."""
    import numpy as np

    layers, x, target = network_data(sizes, batch, dtype)
    weights = [np.ascontiguousarray(w.T) for w, _ in layers]
    biases = [b.copy() for _, b in layers]
    losses, steps = [], [0]
    m, v = ([[np.zeros_like(w), np.zeros_like(b)] for w, b in zip(weights, biases)] for _ in range(2))

    def act(z):
        return 1 / (1 + np.exp(-z)) if activation == "sigmoid" else np.maximum(z, 0)

    def slope(h):
        return h * (1 - h) if activation == "sigmoid" else h > 0

    def step(k=0):
        steps[0] += 1
        hidden = [x if batch > 4 else x[k % 4 : k % 4 + 1] if batch == 4 else x]
        y = target if batch != 4 else target[k % 4 : k % 4 + 1]
        last = len(weights) - 1
        for i, (w, b) in enumerate(zip(weights, biases)):
            z = hidden[-1] @ w + b
            hidden.append(act(z) if i < last or activation == "sigmoid" else z)
        error = hidden[-1] - y
        losses.append(np.mean(error**2))
        g = 2 / error.size * error
        if activation == "sigmoid":
            g = g * slope(hidden[-1])
        for i in range(last, -1, -1):
            gw, gb = hidden[i].T @ g, g.sum(0)
            if i:
                g = (g @ weights[i].T) * slope(hidden[i])
            if adam:
                for k, (p, dp) in enumerate(((weights[i], gw), (biases[i], gb))):
                    m[i][k] = 0.9 * m[i][k] + 0.1 * dp
                    v[i][k] = 0.999 * v[i][k] + 0.001 * dp**2
                    p -= rate * (m[i][k] / (1 - 0.9**steps[0])) / (np.sqrt(v[i][k] / (1 - 0.999**steps[0])) + 1e-8)
            else:
                weights[i] -= rate * gw
                biases[i] -= rate * gb

    return step, lambda: [losses[-1], *(w.T for w in weights), *biases]


def module_network(torch, sizes, batch, dtype, activation, rate, adam=False):
    """The same with Modules and an optimizer: one text for PyTorch and for us."""
    import numpy as np

    nn = torch.nn
    layers, x, target = network_data(sizes, batch, dtype)
    modules = []
    for i, (m, n) in enumerate(zip(sizes, sizes[1:])):
        modules.append(nn.Linear(m, n))
        if activation == "sigmoid" or i < len(sizes) - 2:
            modules.append(nn.Sigmoid() if activation == "sigmoid" else nn.ReLU())
    model = nn.Sequential(*modules)
    if np.dtype(dtype) == np.float64:
        model.double()
    with torch.no_grad():
        for layer, (w, b) in zip([m for m in modules if isinstance(m, nn.Linear)], layers):
            layer.weight.copy_(torch.tensor(w))
            layer.bias.copy_(torch.tensor(b))
    x, target = torch.tensor(x), torch.tensor(target)
    xs = [x[k : k + 1] for k in range(4)] if batch == 4 else [x] * 4
    ys = [target[k : k + 1] for k in range(4)] if batch == 4 else [target] * 4
    kind = torch.optim.Adam if adam else torch.optim.SGD
    loss_of, optimizer = nn.MSELoss(), kind(model.parameters(), lr=rate)
    losses = [None]

    def step(k=0):
        optimizer.zero_grad()
        loss = loss_of(model(xs[k % 4]), ys[k % 4])
        loss.backward()
        optimizer.step()
        losses[0] = loss

    return step, lambda: [losses[0].item(), *(p.detach().numpy() for p in list(model.parameters())[::2]), *(p.detach().numpy() for p in list(model.parameters())[1::2])]


def network(sizes, batch, kind, activation, rate, adam=False):
    """A workload made of a network; a batch of 4 is taken one sample at a time."""

    def build(column):
        if column == "numpy":
            return numpy_network(sizes, batch, kind, activation, rate, adam)
        if column in ("tinygrad_edu", "torch"):
            return module_network(__import__(column), sizes, batch, kind, activation, rate, adam)
        return None

    return build


def neuron(column):
    """Article 5: one sigmoid neuron, four samples at once, gradient descent on half the squared error."""
    import numpy as np

    inputs = np.array([[0.0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]])
    targets = np.array([[0.0, 1, 1, 0]]).T
    weights = 2 * np.random.RandomState(1).random_sample((3, 1)) - 1
    if column == "numpy":

        def step(k=0):
            nonlocal weights
            out = 1 / (1 + np.exp(-(inputs @ weights)))
            weights += inputs.T @ ((targets - out) * out * (1 - out))

        return step, lambda: [weights]
    if column not in ("tinygrad_edu", "torch"):
        return None
    torch = __import__(column)
    x, y = torch.tensor(inputs), torch.tensor(targets)
    model = torch.nn.Sequential(torch.nn.Linear(3, 1, bias=False), torch.nn.Sigmoid()).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor(weights.T))
    loss_of, optimizer = torch.nn.MSELoss(reduction="sum"), torch.optim.SGD(model.parameters(), lr=0.5)

    def step(k=0):
        optimizer.zero_grad()
        loss_of(model(x), y).backward()
        optimizer.step()

    return step, lambda: [model[0].weight.detach().numpy()]


def wide(column):
    """mean(sigmoid(x·w + b) · tanh x) of a million float32 numbers, with all three gradients."""
    import numpy as np

    rng = random_state()
    x, w, b = (rng.standard_normal(10**6).astype(np.float32) for _ in range(3))
    if column == "numpy":
        results = [None]

        def step(k=0):
            s, t = 1 / (1 + np.exp(-(x * w + b))), np.tanh(x)
            y = np.mean(s * t)
            g = np.float32(1 / x.size)
            gz = g * t * s * (1 - s)
            results[0] = [y, gz * w + g * s * (1 - t**2), gz * x, gz]

        return step, lambda: results[0]
    if column in ("tinygrad_edu", "torch"):
        torch = __import__(column)
        leaves = [torch.tensor(v, requires_grad=True) for v in (x, w, b)]
        value = [None]

        def step(k=0):
            for leaf in leaves:
                leaf.grad = None
            y = torch.mean(torch.sigmoid(leaves[0] * leaves[1] + leaves[2]) * torch.tanh(leaves[0]))
            y.backward()
            value[0] = y

        return step, lambda: [value[0].item(), *(leaf.grad.numpy() for leaf in leaves)]
    return None


def chain(length):
    """y = y·1.0000001 (one operator), `length` times, forward and backward."""

    def build(column):
        import numpy as np

        if column == "numpy":
            result = [None]

            def step(k=0):
                y, factor = np.float64(1.0), np.float64(1.0000001)
                values = []
                for _ in range(length):
                    values.append(y)
                    y = y * factor
                g = np.float64(1.0)
                for _ in values:
                    g = g * factor
                result[0] = [y, g]

            return step, lambda: result[0]
        if column not in ("tinygrad_edu", "torch"):
            return None
        torch = __import__(column)
        x = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
        value = [None]

        def step(k=0):
            x.grad = None
            y = x
            for _ in range(length):
                y = y * 1.0000001
            y.backward()
            value[0] = y.detach()

        return step, lambda: [value[0].item(), x.grad.item()]

    return build


def operator(backward):
    """A product of 4 × 4 matrices element by element, forward, or forward and backward, 100 times."""

    def build(column):
        import numpy as np

        rng = random_state()
        a, b = rng.random((4, 4)).astype(np.float32), (rng.random((4, 4)) + 0.5).astype(np.float32)
        if column == "numpy":
            ones = np.ones((4, 4), np.float32)

            def step(k=0):
                y = a
                before = []
                for _ in range(100):
                    before.append(y)
                    y = y * b
                if backward:
                    g, gb = ones, 0
                    for v in reversed(before):
                        gb = gb + g * v
                        g = g * b

            return step, lambda: []
        if column not in ("tinygrad_edu", "torch"):
            return None
        torch = __import__(column)
        x, w = torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)
        ones = torch.ones(4, 4)

        def step(k=0):
            y = x
            for _ in range(100):
                y = y * w
            if backward:
                y.backward(ones)

        return step, lambda: []

    return build


WORKLOADS = {
    "forward": (operator(False), 20, 100),
    "both": (operator(True), 20, 100),
    "xor": (network((2, 3, 1), 4, "float64", "sigmoid", 0.3), 200, 1),
    "neuron": (neuron, 200, 1),
    "digits": (network((64, 128, 10), 64, "float32", "relu", 0.05), 50, 1),
    "mnist": (network((784, 512, 256, 10), 256, "float32", "relu", 0.05), 3, 1),
    "adam": (network((784, 512, 256, 10), 256, "float32", "relu", 1e-3, adam=True), 3, 1),
    "wide": (wide, 3, 1),
    "chain10k": (chain(10_000), 1, 10_000),
    "chain100k": (chain(100_000), 1, 100_000),
    "chain1M": (chain(1_000_000), 1, 1_000_000),
}


# --- one column, in a process of its own ------------------------------------------------------------------------------


def serve(name, column, workloads=None):
    """Answer on a pipe: `check` with numbers after five steps, `time` with seconds of processor time per step."""
    import numpy as np

    if column == "torch":
        import torch

        torch.set_num_threads(1)
    build, repeat, _ = (workloads or WORKLOADS)[name]
    built = build(column)
    print(json.dumps(built is not None), flush=True)
    if built is None:
        return
    step, numbers = built
    for line in sys.stdin:
        if line.strip() == "check":
            for k in range(4):
                step(k)
            print(json.dumps([float(np.asarray(v, np.float64).sum()) for v in numbers()]), flush=True)
        elif line.strip() == "memory":
            import resource

            print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024), flush=True)
        else:
            gc.collect()
            start = time.process_time()
            for k in range(repeat):
                step(k)
            print(json.dumps((time.process_time() - start) / repeat), flush=True)


class Worker:
    """The other end of the pipe."""

    def __init__(self, name, column, script=None):
        command = [sys.executable, script or __file__, "--serve", name, column]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **THREADS})
        self.ready = self.read()

    def read(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def ask(self, question):
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def agree(reference, numbers):
    """True if the sums of loss and parameters are the same, up to rounding."""
    return len(reference) == len(numbers) and all(abs(a - b) <= 1e-4 * (1 + abs(a)) for a, b in zip(reference, numbers))


def measure(name, columns, rounds):
    """Times per round and column; the columns that do this workload and agree."""
    workers = {c: Worker(name, c) for c in columns}
    workers = {c: w for c, w in workers.items() if w.ready}
    reference = workers["numpy"].ask("check")
    for column, worker in workers.items():
        if column != "numpy":
            numbers = worker.ask("check")
            if not agree(reference, numbers):
                raise SystemExit(f"{name}: {column} computes {numbers}, and hand-written NumPy {reference}")
    times = {c: [] for c in workers}
    order = list(workers)
    for worker in workers.values():
        worker.ask("time")
    for _ in range(rounds):
        for column in order:
            times[column].append(workers[column].ask("time"))
        order = order[1:] + order[:1]
    memory = {c: w.ask("memory") for c, w in workers.items()}
    for worker in workers.values():
        worker.close()
    return times, memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", choices=[*WORKLOADS, []], help="which ones; all unless given")
    parser.add_argument("--rounds", type=int, default=11, help="how many rounds (11)")
    parser.add_argument("--columns", nargs="*", default=COLUMNS, help="which libraries beside NumPy")
    parser.add_argument("--json", help="write the figures to this file")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(*options.serve)
        return
    import importlib.util

    columns = ["numpy"] + [c for c in options.columns if c != "numpy" and importlib.util.find_spec(c)]
    print(f"{'':12}{'numpy, µs':>12}" + "".join(f"{c:>26}" for c in columns[1:]))
    results = {}
    for name in options.workloads or WORKLOADS:
        rounds = min(options.rounds, 5) if name == "chain1M" else options.rounds
        times, memory = measure(name, columns, rounds)
        per = WORKLOADS[name][2]
        base = statistics.median(times["numpy"]) / per
        row = f"{name:12}{base * 1e6:12.3f}"
        results[name] = {"numpy µs": base * 1e6}
        for column in columns[1:]:
            if column not in times:
                row += f"{'–':>26}"
                continue
            ratios = sorted(a / b for a, b in zip(times[column], times["numpy"]))
            low, middle, high = (ratios[int(q * (len(ratios) - 1))] for q in (0.25, 0.5, 0.75))
            extra = (statistics.median(times[column]) / per - base) * 1e6
            results[name][column] = dict(ratio=middle, low=low, high=high, extra=extra)
            note = f" +{extra:.2f} µs" if name in ("forward", "both") or name.startswith("chain") else f" ({low:.2f}–{high:.2f})"
            row += f"{middle:14.2f}{note:>12}"
        if name == "chain1M":
            extra = {c: (m - memory["numpy"]) / per for c, m in memory.items() if c != "numpy"}
            row += "   bytes per node: " + ", ".join(f"{c} {v:.0f}" for c, v in extra.items())
            results[name]["bytes"] = extra
        print(row, flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
