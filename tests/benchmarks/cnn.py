"""How fast a small CNN trains: ratios to the same step written by hand in NumPy, measured side by side in one run.

    python tests/benchmarks/cnn.py                # hand-written NumPy, tinygrad_edu, and PyTorch if installed
    python tests/benchmarks/cnn.py --rounds 31    # more rounds

One step of SGD on 64 images of 28 × 28: conv 3 × 3 × 8, ReLU, 2 × 2 max pool, linear, cross-entropy; float32, one thread. As in
run.py each column runs in a process of its own and processor time is compared, A B C B C A …, after the losses and all
parameters have been found equal. `numpy` is im2col as tutorials write it (sliding windows, one product per layer);
`numpy, warm` is the same after the allocation that lets the C library keep freed memory, as importing tinygrad_edu does.
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
COLUMNS = ("numpy", "numpy, warm", "tinygrad_edu", "torch")
RATE = 0.1


def data():
    """Images, classes and parameters, the same for every column."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 1, 28, 28)).astype(np.float32)
    y = rng.integers(0, 10, 64)
    filters, weight = rng.standard_normal((8, 1, 3, 3)) / 3, rng.standard_normal((10, 8 * 13 * 13)) / 40
    return x, y, [p.astype(np.float32) for p in (filters, np.zeros(8), weight, np.zeros(10))]


def by_hand():
    """The step as a person writes it."""
    import numpy as np

    x, y, (filters, b1, weight, b2) = data()
    n, rows, losses = len(x), np.arange(len(x)), []

    def step():
        windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))  # (N, C, 26, 26, 3, 3)
        columns = windows.transpose(0, 1, 4, 5, 2, 3).reshape(n, 9, 26 * 26)
        z = (filters.reshape(8, 9) @ columns + b1[:, None]).reshape(n, 8, 26, 26)
        h = np.maximum(z, 0)
        corners = [h[:, :, i::2, j::2] for i in range(2) for j in range(2)]
        pooled = np.maximum(np.maximum(corners[0], corners[1]), np.maximum(corners[2], corners[3]))
        flat = pooled.reshape(n, -1)
        scores = flat @ weight.T + b2
        scores -= scores.max(1, keepdims=True)
        p = np.exp(scores)
        p /= p.sum(1, keepdims=True)
        losses.append(-np.log(p[rows, y]).mean())
        p[rows, y] -= 1
        p /= n
        g_weight, g_b2 = p.T @ flat, p.sum(0)
        g_pooled = (p @ weight).reshape(pooled.shape)
        g_h = np.zeros_like(h)
        taken = np.zeros(pooled.shape, bool)
        for k, corner in enumerate(corners):
            hit = (corner == pooled) & ~taken
            taken |= hit
            g_h[:, :, k // 2 :: 2, k % 2 :: 2] = g_pooled * hit
        g_z = (g_h * (z > 0)).reshape(n, 8, 26 * 26)
        filters[...] -= RATE * (g_z @ columns.transpose(0, 2, 1)).sum(0).reshape(filters.shape)
        b1[...] -= RATE * g_z.sum((0, 2))
        weight[...] -= RATE * g_weight
        b2[...] -= RATE * g_b2

    return step, lambda: [losses[-1], filters, b1, weight, b2]


def by_module(torch):
    """The same with Modules and an optimizer: one text for PyTorch and for us."""
    nn = torch.nn
    x, y, parameters = data()
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 13 * 13, 10))
    with torch.no_grad():
        for p, value in zip(model.parameters(), parameters):
            p.copy_(torch.tensor(value))
    x, y = torch.tensor(x), torch.tensor(y)
    loss_of, optimizer, losses = nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters(), lr=RATE), [None]

    def step():
        optimizer.zero_grad()
        losses[0] = loss_of(model(x), y)
        losses[0].backward()
        optimizer.step()

    return step, lambda: [losses[0].item(), *(p.detach().numpy() for p in model.parameters())]


def worker(column):
    """One column: build the step, then for each line read run it some times and print the processor time."""
    import numpy as np

    if column == "numpy, warm":
        np.empty(2**25 - 2**16, np.uint8)
    if column.startswith("numpy"):
        step, numbers = by_hand()
    else:
        module = __import__(column)
        if column == "torch":
            module.set_num_threads(1)
        step, numbers = by_module(module)
    for _ in range(5):
        step()
    values = np.concatenate([np.ravel(np.asarray(v, np.float64)) for v in numbers()])
    weights = np.random.default_rng(1).standard_normal(values.size)
    print(json.dumps([float(values[0]), float(values @ weights)]), flush=True)
    for line in sys.stdin:
        gc.collect()
        count = int(line)
        start = time.process_time_ns()
        for _ in range(count):
            step()
        print((time.process_time_ns() - start) / count / 1000, flush=True)


def main():
    """Start the columns, check that they compute the same, time them in turn, and print the table."""
    parser = argparse.ArgumentParser(description="Time a CNN's training step against hand-written NumPy.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()
    environment = {**os.environ, **THREADS}
    running = {}
    for column in COLUMNS:
        process = subprocess.Popen([sys.executable, __file__, "--worker", column], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   env=environment, stderr=subprocess.DEVNULL if column == "torch" else None)  # fmt: skip
        line = process.stdout.readline()
        if not line:
            print(f"{column}: not available")
            continue
        running[column] = process, json.loads(line)
    first = running["numpy"][1]
    for column, (_, numbers) in running.items():
        if any(abs(a - b) > 2e-4 * max(1, abs(a)) for a, b in zip(first, numbers)):
            sys.exit(f"{column} computes {numbers}, hand-written NumPy {first}")
    order, times = list(running), {column: [] for column in running}
    for _ in range(options.rounds):
        for column in order:
            process = running[column][0]
            process.stdin.write(f"{options.steps}\n")
            process.stdin.flush()
            times[column].append(float(process.stdout.readline()))
        order.append(order.pop(0))
    for process, _ in running.values():
        process.stdin.close()
        process.wait()
    print(f"{'':14}{'median µs':>10}   ratio to numpy (quartiles)")
    for column, values in times.items():
        ratios = [a / b for a, b in zip(values, times["numpy"])]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(f"{column:14}{statistics.median(values):10.0f}   {middle:.2f} ({low:.2f}–{high:.2f})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2])
    else:
        main()
