"""Layers against PyTorch: one text is run by both libraries, and everything it computes is compared.

A case is (text, shapes of the inputs). The text is a module or a function of tensors, in PyTorch's words, with `nn`, `F` and `lib`
of the library that runs it. `measure` returns its results, the gradients of inputs and parameters, the second derivatives and
the buffers. `tests/reference/layers.json` holds PyTorch's numbers as projections (two sums per array), made by
`tests/reference/make_layers.py`, so that the comparison needs no PyTorch.
"""

import functools
import json
import re
import warnings
from pathlib import Path

import numpy as np

REFERENCE = Path(__file__).parent / "reference" / "layers.json"


def plain(t):
    """A tensor of either library as an array."""
    return np.asarray((t.detach() + 0).numpy() if hasattr(t, "detach") else t)  # + 0: PyTorch has zeros without memory


def flat(out):
    """The tensors in nested tuples."""
    if isinstance(out, (tuple, list)):
        return [t for o in out for t in flat(o)]
    return [] if out is None else [out]


def measure(lib, text, shapes, modes=("train", "eval")):
    """Every number that the case computes in a library, as {name: array}, and its repr and state_dict keys."""
    rng = np.random.default_rng(sum(text.encode()))
    nn = lib.nn
    thing = eval(text, {"nn": nn, "F": nn.functional, "lib": lib, "np": np})
    inputs = [lib.tensor(rng.standard_normal(s)).requires_grad_() for s in shapes]
    params, numbers, words = [], {}, []
    if isinstance(thing, nn.Module):
        thing.double()
        words = [repr(thing), *(f"{k} {list(v.shape)}" for k, v in thing.state_dict().items())]
        params = list(thing.parameters())
        with lib.no_grad():
            for p in params:
                p.copy_(lib.tensor(rng.standard_normal(tuple(p.shape)) * 0.5))
    for mode in modes if isinstance(thing, nn.Module) else ("train",):
        if params or isinstance(thing, nn.Module):
            thing.train(mode == "train")
        results = flat(thing(*inputs))
        for i, r in enumerate(results):
            numbers[f"{mode} result {i}"] = plain(r)
        smooth = [r for r in results if r.requires_grad]
        loss = sum((r * lib.tensor(rng.standard_normal(tuple(r.shape)))).sum() for r in smooth)
        leaves = inputs + params
        first = lib.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
        names = [f"x{i}" for i in range(len(inputs))] + [f"p{i}" for i in range(len(params))]
        arrays = lib.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True)  # the rules on arrays: what training runs
        for name, g, h in zip(names, first, arrays):
            numbers[f"{mode} gradient {name}"] = None if h is None else plain(h)
            assert (g is None) == (h is None), name
            if g is not None:
                np.testing.assert_allclose(plain(h), plain(g), rtol=1e-9, atol=1e-11, err_msg=f"{mode} {name}: with and without create_graph")
        weights = [lib.tensor(rng.standard_normal(tuple(leaf.shape))) for leaf in leaves]
        total = sum((g * w).sum() for g, w in zip(first, weights) if g is not None)
        try:
            second = lib.autograd.grad(total, leaves, allow_unused=True) if total.requires_grad else [None] * len(leaves)
        except RuntimeError:
            if lib.__name__ != "torch":
                raise
            second = ()  # PyTorch has no second derivative here
        for name, g, leaf in zip(names, second, leaves):
            numbers[f"{mode} second {name}"] = np.zeros(tuple(leaf.shape)) if g is None else plain(g)
    if isinstance(thing, nn.Module):
        for name, b in thing.named_buffers():
            numbers[f"buffer {name}"] = plain(b)
    return numbers, words


def projected(name, array):
    """Shape and two sums: with random weights, and of magnitudes."""
    if array is None:
        return None
    weights = np.random.default_rng(sum(name.encode())).standard_normal(array.shape)
    return [list(array.shape), float((array * weights).sum()), float(np.abs(array).sum())]


def words_of(words):
    """The words that both libraries must share, with line breaks as spaces."""
    return [re.sub(r"\s+", " ", w) for w in words]


@functools.cache
def recorded():
    """PyTorch's numbers."""
    found: dict = {}
    for path in sorted(REFERENCE.parent.glob("layers*.json")):
        found |= json.loads(path.read_text(encoding="utf-8"))
    return found


def check_recorded(lib, text, shapes):
    """Compare with the recorded projections."""
    expected_numbers, expected_words = recorded()[f"{text} {shapes}"]
    numbers, words = measure(lib, text, shapes)
    assert words_of(words) == expected_words
    for name, theirs in expected_numbers.items():
        ours = projected(name, numbers[name])
        if ours is None or theirs is None:
            zero = (theirs or ours or [0, 0, 0])[2]
            assert abs(zero) < 1e-12, f"{name}: {ours} and {theirs}"
            continue
        assert ours[0] == theirs[0], f"{name}: shape {ours[0]}, PyTorch's {theirs[0]}"
        np.testing.assert_allclose(ours[1:], theirs[1:], rtol=1e-8, atol=1e-9, err_msg=name)


def check_live(lib, torch, text, shapes):
    """Compare with PyTorch here and now, number by number."""
    ours, our_words = measure(lib, text, shapes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, their_words = measure(torch, text, shapes)
    assert words_of(our_words) == words_of(their_words)
    for name, array in theirs.items():
        if array is None or ours[name] is None:
            assert not np.any(array) and not np.any(ours[name]) or array is ours[name], name
            continue
        assert ours[name].shape == array.shape, f"{name}: shape {ours[name].shape}, PyTorch's {array.shape}"
        np.testing.assert_allclose(ours[name], array, rtol=1e-8, atol=1e-10, err_msg=name)
        assert ours[name].dtype == array.dtype, f"{name}: {ours[name].dtype}, PyTorch's {array.dtype}"
