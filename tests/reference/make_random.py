"""Record what PyTorch draws: `python tests/reference/make_random.py` writes random.json beside this file (needs torch)."""

import json
import pathlib

SEEDS = (0, 2**40 + 7, -5)
FLOATS, INTEGERS = ("float32", "float64", "float16"), ("int64", "int32", "int16", "int8", "uint8", "bool")


def views(t):
    """Views are filled as they lie in memory."""
    a, b, c, d = t.zeros(20, 3), t.zeros(20, 6), t.zeros(6, 5), t.zeros(40, 2)
    a.t().normal_()
    b[:, 1:4].normal_()
    b[:, ::2].uniform_()
    c.t().bernoulli_(t.rand(6))
    d[10:30].normal_()
    return [a, b, c, d, t.rand_like(a.t()), t.randn_like(b.t()), t.bernoulli(t.rand(6, 5).t())]


def mixed(t):
    """Calls in a row share one stream, and a spare normal number waits for its turn."""
    return [t.randn(3), t.rand(2), t.randn(20), t.randn(2), t.randint(10, (3,)), t.randn(4), t.randperm(5), t.randn(1)]


def own_generator(t):
    """A generator of one's own leaves the default one alone."""
    g = t.Generator().manual_seed(3)
    return [t.randn(3, generator=g), t.rand(2), t.randperm(7, generator=g), t.zeros(3).uniform_(1, 2, generator=g),
            t.rand(2), t.bernoulli(t.full((9,), 0.5), generator=g), t.normal(t.zeros(3), 1.0, generator=g),
            t.randint(9, (4,), generator=g)]  # fmt: skip


def weights(t):
    """The default weights and biases of a linear layer and of a convolution, in the order in which they are drawn."""
    bounds = {(4, 5): 5**-0.5, (2, 3, 2, 2): 12**-0.5}
    return [t.empty(size).uniform_(-b, b) for shape, b in bounds.items() for size in (shape, shape[:1])]


def data_order(t):
    """What shuffling draws: a seed for the workers, a seed for the sampler, and its permutation."""
    base, seed = (t.empty((), dtype=t.int64).random_() for _ in range(2))
    return [base, seed, t.randperm(11, generator=t.Generator().manual_seed(int(seed.item())))]


def of(kind, make):
    """A case for one dtype."""
    return lambda t: make(t, lambda *size: t.empty(*size, dtype=getattr(t, kind)))


# name → what is drawn from a library that speaks PyTorch: a list of tensors
CASES = {
    "mixed": mixed, "own generator": own_generator, "weights": weights, "data order": data_order, "views": views,
    "randint": lambda t: [t.randint(high, (4,)) for high in (1, 2**28 - 1, 2**28, 2**32, 2**63 - 1)]
    + [t.randint(-5, 5, (2, 3)), t.randint(-(2**62), 2**62, (3,)), t.randint_like(t.zeros(3, 4), 9)],
    "randperm": lambda t: [t.randperm(n) for n in (0, 1, 2, 30)] + [t.randperm(9, dtype=t.int32)],
    "normal of tensors": lambda t: [t.normal(t.zeros(3, 1), t.rand(20)), t.normal(t.arange(20.0), 0.3), t.normal(2.0, t.rand(20)),
                                    t.normal(1.0, 3.0, (4, 5)), t.normal(t.zeros(3), t.rand(3)), t.normal(t.arange(20.0))],
    "poisson": lambda t: [t.poisson(t.rand(20) * 30), t.rand(2), t.poisson(t.rand(9, dtype=t.float64) * 1000)],
}  # fmt: skip
for _kind in FLOATS:
    CASES |= {
        f"rand {_kind}": of(_kind, lambda t, new: [t.rand(n, dtype=new(0).dtype) for n in (0, 1, 7, 33)]),
        f"randn {_kind}": of(_kind, lambda t, new: [t.randn(n, dtype=new(0).dtype) for n in (0, 1, 15, 16, 17, 47)]),
        f"uniform_ {_kind}": of(_kind, lambda t, new: [new(30).uniform_(-0.31, 0.177), new(3).uniform_(2, 3)]),
        f"normal_ {_kind}": of(_kind, lambda t, new: [new(7).normal_(0.3, 0.02), new(30).normal_(0.3, 2)]),
        f"exponential_ {_kind}": of(_kind, lambda t, new: [new(9).exponential_(), new(9).exponential_(0.3)]),
        f"log_normal_ {_kind}": of(_kind, lambda t, new: [new(20).log_normal_(), new(9).log_normal_(0.5, 0.3)]),
        f"cauchy_ {_kind}": of(_kind, lambda t, new: [new(20).cauchy_(), new(9).cauchy_(0.5, 0.3)]),
        f"bernoulli {_kind}": of(_kind, lambda t, new: [t.bernoulli(new(40).uniform_()), t.bernoulli(new(40).uniform_(), 0.2),
                                                        new(3, 4).bernoulli_(t.rand(4)), new(20).bernoulli_(t.tensor(0.5))]),
    }  # fmt: skip
for _kind in FLOATS[:2]:
    for _replacement in (True, False):
        CASES[f"multinomial {_kind} {_replacement}"] = of(
            _kind,
            lambda t, new, replacement=_replacement: [
                t.multinomial(new(*size, 9).uniform_(), n, replacement) for size in ((), (3,)) for n in (1, 5)
            ],
        )
for _kind in FLOATS + INTEGERS:
    CASES[f"random_ {_kind}"] = of(
        _kind, lambda t, new: [new(9).random_(), new(9).random_(2), new(9).random_(0, 2), new(9).random_(1, None)]
    )
    CASES[f"bernoulli_ {_kind}"] = of(_kind, lambda t, new: [new(30).bernoulli_(0.3)])
for _kind in FLOATS + INTEGERS[:1]:
    CASES[f"geometric_ {_kind}"] = of(_kind, lambda t, new: [new(9).geometric_(0.3), new(9).geometric_(0.9)])


def draw(library, name, seed):
    """The arrays that a library draws in one case."""
    library.manual_seed(seed)
    return [tensor.numpy() for tensor in CASES[name](library)]


def main():
    """Write the table."""
    import torch

    table = {
        f"{name}, seed {seed}": [[str(a.dtype), list(a.shape), a.reshape(-1).tolist()] for a in draw(torch, name, seed)]
        for seed in SEEDS[:2]
        for name in CASES
    }
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in table.items())
    pathlib.Path(__file__).with_name("random.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
