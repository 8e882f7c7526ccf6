"""Run ordinary PyTorch programs on PyTorch and on tinygrad_edu, with only their imports changed, and compare every number.

    python tests/parity/run_programs.py [names]
"""

import contextlib
import importlib.util
import io
import linecache
import math
import random
import re
import sys
import types
import warnings
from pathlib import Path

import numpy as np

PROGRAMS = Path(__file__).parent / "programs"


def ours(source):
    """The program with its imports changed."""
    source = re.sub(r"^( *)import torch$", r"\1import tinygrad_edu as torch", source, flags=re.M)
    source = re.sub(r"^( *)import torch\b(?=\.[\w.]+ as )", r"\1import tinygrad_edu", source, flags=re.M)
    return re.sub(r"^( *)from torch\b", r"\1from tinygrad_edu", source, flags=re.M)


def run(source, name):
    """The numbers in what a program's main() returns, or in what all its functions without arguments return, one after the other."""
    module = types.ModuleType(name)
    linecache.cache[name] = len(source), None, source.splitlines(True), name  # PyTorch's jit reads sources
    sys.modules[name] = module
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(source, name, "exec"), module.__dict__)
            if hasattr(module, "main"):
                return numbers(module.main())
            parts = [f for f in vars(module).values() if isinstance(f, types.FunctionType) and f.__module__ == name]
            return [number for f in parts if not f.__code__.co_argcount for number in numbers(fresh(module.torch, f))]
    finally:
        del sys.modules[name], linecache.cache[name]


def fresh(torch, function):
    """A function's result, with float64 and the same seeds at its beginning."""
    torch.manual_seed(0), np.random.seed(0), random.seed(0)  # noqa: NPY002  (programs draw from there)
    torch.set_default_dtype(torch.float64)
    with torch.enable_grad():
        return function()


def numbers(value):
    """The numbers in nested results, two of a complex one; of long arrays three sums that every element has a part in. Words and None do not count."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [number for v in value for number in numbers(v)]
    if hasattr(value, "detach"):
        value = value.numpy(force=True)
    if isinstance(value, np.ndarray):
        value = value.reshape(-1)
        value = value.astype(np.complex128).view(np.float64) if value.dtype.kind == "c" else value.astype(np.float64)
        if value.size > 20:
            value = np.array([value.sum(), np.abs(value).sum(), value @ np.cos(np.arange(value.size))])
        return value.tolist()
    return [float(value)] if isinstance(value, (bool, int, float, np.generic)) else []


def compare(path):
    """(largest difference, how many numbers) of one program on both."""
    import torch

    import tinygrad_edu

    source = path.read_text()
    try:
        expected = run(source, f"{path.stem} on torch")
    finally:
        torch.set_default_dtype(torch.float32)
    try:
        found = run(ours(source), f"{path.stem} on tinygrad_edu")
    finally:
        tinygrad_edu.set_default_dtype(tinygrad_edu.float32)
    assert len(expected) == len(found), (len(expected), len(found))
    worst = 0.0
    for a, b in zip(expected, found):
        if not (a == b or math.isnan(a) and math.isnan(b)):
            worst = max(worst, abs(a - b) / (1 + abs(a)))
    return worst, len(expected)


def main():
    names = sys.argv[1:]
    for path in sorted(PROGRAMS.glob("*.py")):
        if names and path.stem not in names:
            continue
        try:
            worst, count = compare(path)
            print(f"{path.stem:20} {count:4} numbers, largest difference {worst:.1e} {'' if worst < 1e-6 else '  DIFFERENT'}")
        except Exception as error:
            print(f"{path.stem:20} FAILED: {type(error).__name__}: {str(error)[:300]} {getattr(error, '__notes__', '')}")
            if names:
                raise


if __name__ == "__main__":
    assert importlib.util.find_spec("torch"), "this script needs PyTorch"
    warnings.simplefilter("ignore")
    main()
