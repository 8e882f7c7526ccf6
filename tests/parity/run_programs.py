"""Run ordinary PyTorch programs on PyTorch and on tinygrad_edu, with only their imports changed, and compare every number.

    python tests/parity/run_programs.py [names]
"""

import importlib.util
import math
import re
import sys
import types
import warnings
from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"


def ours(source):
    """The program with its imports changed."""
    source = re.sub(r"^( *)import torch$", r"\1import tinygrad_edu as torch", source, flags=re.M)
    source = re.sub(r"^( *)import torch\b(?=\.[\w.]+ as )", r"\1import tinygrad_edu", source, flags=re.M)
    return re.sub(r"^( *)from torch\b", r"\1from tinygrad_edu", source, flags=re.M)


def run(source, name):
    """The numbers that a program's main() returns."""
    module = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module.main()


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
