"""Record what PyTorch's programs in tests/parity/programs print on PyTorch itself: python tests/reference/make_programs.py"""

import json
import sys
import warnings
from pathlib import Path

import torch

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "parity"))

from run_programs import PROGRAMS, run  # noqa: E402

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    numbers = {}
    for path in sorted(PROGRAMS.glob("*.py")):
        numbers[path.stem] = run(path.read_text(), path.stem)
        torch.set_default_dtype(torch.float32)
    (Path(__file__).parent / "programs.json").write_text(json.dumps(numbers, indent=0) + "\n")
