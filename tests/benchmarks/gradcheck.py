"""What a gradient check costs: ratios to the same central differences written by hand in NumPy, measured side by side in one run.

    python tests/benchmarks/gradcheck.py                # hand-written NumPy, gradcheck, fast mode, and PyTorch if installed
    python tests/benchmarks/gradcheck.py --rounds 60    # more rounds, for a noisy machine

The function: a network of two layers with 200 parameters (9 → 14 → 4, tanh) on 16 rows, mean squared error, float64, one thread.
By hand means two evaluations per parameter and nothing else: no gradient to compare with, no second call, no report. All columns
run in one process, A B C A B C …, and the least processor time of all rounds is compared, as other programs only add to it. The
import of tinygrad_edu lets the C library keep freed memory, from which the hand-written column gains too.
"""

import argparse
import os
import time

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402

import tinygrad_edu as tg  # noqa: E402
from tinygrad_edu import nn  # noqa: E402
from tinygrad_edu.autograd import check_gradients  # noqa: E402

EPS = 1e-6


def data():
    """Rows, targets and parameters (out, in), the same for every column."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((16, 9)), rng.standard_normal((16, 4))
    return x, t, [rng.standard_normal(s) / 2 for s in ((14, 9), (14,), (4, 14), (4,))]


def by_hand():
    """The loss as a person writes it, and central differences in a loop; returns the slopes."""
    x, t, (w1, b1, w2, b2) = data()
    w1, w2 = np.ascontiguousarray(w1.T), np.ascontiguousarray(w2.T)

    def loss():
        h = np.tanh(x @ w1 + b1)
        d = h @ w2 + b2 - t
        return (d * d).mean()

    def check():
        slopes = []
        for p in (w1, b1, w2, b2):
            flat, found = p.reshape(-1), np.empty(p.size)
            for k in range(p.size):
                former = flat[k]
                flat[k] = former + EPS
                up = loss()
                flat[k] = former - EPS
                down = loss()
                flat[k] = former
                found[k] = (up - down) / (2 * EPS)
            slopes.append(found.reshape(p.shape))
        return [slopes[0].T, slopes[1], slopes[2].T, slopes[3]]

    return check


def network():
    x, t, parameters = data()
    model = nn.Sequential(nn.Linear(9, 14), nn.Tanh(), nn.Linear(14, 4)).double()
    for p, array in zip(model.parameters(), parameters):
        p.data = tg.tensor(array)
    return model, tg.tensor(x), tg.tensor(t)


def ours(fast):
    """gradcheck of the same loss, all parameters."""
    model, x, t = network()
    parameters = list(model.named_parameters())

    def check():
        result = check_gradients(lambda: nn.functional.mse_loss(model(x), t), parameters=parameters, fast_mode=fast)
        assert result.ok, result.report
        return None if fast else [result.numeric[i, 0].reshape(p.shape) for i, (_, p) in enumerate(parameters)]

    return check


def operators():
    """The same, the network written with operators: six small steps instead of two layers."""
    x, t, arrays = data()
    x, t = tg.tensor(x), tg.tensor(t)
    inputs = tuple(tg.tensor(a, requires_grad=True) for a in arrays)

    def loss(w1, b1, w2, b2):
        d = (x @ w1.T + b1).tanh() @ w2.T + b2 - t
        return (d * d).mean()

    def check():
        result = check_gradients(loss, inputs)
        assert result.ok, result.report
        return [result.numeric[i, 0].reshape(a.shape) for i, a in enumerate(arrays)]

    return check


def pytorch(fast):
    import torch

    torch.set_num_threads(1)
    x, t, arrays = data()
    x, t = torch.tensor(x), torch.tensor(t)
    inputs = tuple(torch.tensor(a, requires_grad=True) for a in arrays)

    def loss(w1, b1, w2, b2):
        h = torch.tanh(torch.nn.functional.linear(x, w1, b1))
        return torch.nn.functional.mse_loss(torch.nn.functional.linear(h, w2, b2), t)

    return lambda: None if torch.autograd.gradcheck(loss, inputs, fast_mode=fast) else 1 / 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    columns = {"by hand": by_hand(), "gradcheck": ours(False), "gradcheck, operators": operators(), "fast mode": ours(True)}
    try:
        columns |= {"PyTorch": pytorch(False), "PyTorch, fast mode": pytorch(True)}
    except ImportError:
        print("PyTorch is not installed: left out")
    expected = columns["by hand"]()
    for name, check in columns.items():
        found = check()
        assert found is None or all(np.allclose(a, b, 1e-6, 1e-8) for a, b in zip(found, expected, strict=True)), name
    best = dict.fromkeys(columns, np.inf)
    for _ in range(rounds):
        for name, check in columns.items():
            for _ in range(5 if "fast" in name else 1):
                begun = time.process_time()
                check()
                best[name] = min(best[name], time.process_time() - begun)
    for name, seconds in best.items():
        print(f"{name:22} {seconds * 1e3:8.2f} ms   {seconds / best['by hand']:6.3f} × by hand")


if __name__ == "__main__":
    main()
