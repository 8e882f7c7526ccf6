"""PyTorch's own operator table against our functions of the same name: no wrong value, no wrong gradient. Needs torch.

The whole table, with all its samples, is a command: `python tests/parity/opinfo.py`.
"""

import importlib.util
import sys
import warnings
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("expecttest")

# What differs, and why it stays so.
KNOWN = {
    "normal|number_mean": "layout= is not taken",
    "as_strided_scatter": "PyTorch gives the input the gradient of what was overwritten",
    **dict.fromkeys((f"special.bessel_{name}" for name in ("j0", "j1", "y0", "y1")), "PyTorch is 1e-7 off; see test_torch_extras.py"),
}

LAYERS = {f"nn.functional.{name}" for name in "linear embedding gelu softplus mse_loss layer_norm conv2d normalize".split()}


@pytest.fixture(scope="module")
def opinfo():
    """tests/parity/opinfo.py as a module."""
    place = Path(__file__).parent / "parity" / "opinfo.py"
    spec = importlib.util.spec_from_file_location("opinfo", place)
    module = sys.modules["opinfo"] = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
        import torch
        from torch.testing._internal.common_methods_invocations import op_db  # noqa: F401

        torch.set_num_threads(1)
    return module


def findings_of(opinfo, kind, limit, **options):
    """The verdicts of all names, and the findings of the wrong ones."""
    import torch

    verdicts, wrong = {}, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for op in opinfo.table(dtype=getattr(torch, kind)):
            if op.name.startswith("nn.functional.") and op.name not in LAYERS:
                continue  # these have tests of their own
            found = opinfo.check(op, getattr(torch, kind), limit=limit, seconds=0.5, first=True, **options)
            verdicts[found.name] = found.verdict
            if found.wrong and found.name not in KNOWN:
                wrong[found.name] = found.wrong[:2]
    return verdicts, wrong


def test_values_and_gradients_agree(opinfo):
    verdicts, wrong = findings_of(opinfo, "float64", 2, second_limit=1)
    assert not wrong, "\n".join(f"{name}: {text}" for name, texts in wrong.items() for text in texts)
    assert sum(v in ("covered", "partly") for v in verdicts.values()) > 320


def test_results_of_integers_agree(opinfo):
    import torch

    wrong = {}
    names = ("add", "sub", "mul", "div", "sum", "prod", "max", "min", "cums", "sort", "scatter", "index_", "where", "masked_fill", "pow",
             "remainder", "floor", "abs", "clamp", "unique", "any", "all", "bitwise", "logical_a", "eq", "exp", "sqrt")  # fmt: skip
    for op in opinfo.table(names, torch.int64):
        found = opinfo.check(op, torch.int64, limit=2, seconds=0.5, first=True, variants=False)
        if found.wrong:
            wrong[found.name] = found.wrong[:1]
    assert not wrong, wrong


def test_the_comparison_can_fail(opinfo, monkeypatch):
    import torch

    import tinygrad_edu as tg

    right = tg.sin
    monkeypatch.setattr(tg, "sin", lambda x: right(x) + 1e-6 * x)
    (op,) = [op for op in opinfo.table(["sin"], torch.float64) if op.name == "sin"]
    assert opinfo.check(op).wrong
    monkeypatch.setattr(tg, "sin", lambda x: right(x.detach()))
    assert any("gradient" in text for text in opinfo.check(op).wrong)
