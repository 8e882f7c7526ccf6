"""Ordinary PyTorch programs run here with only their imports changed, and give PyTorch's numbers."""

import json
import sys
from pathlib import Path

import pytest

import tinygrad_edu as tg

sys.path.insert(0, str(Path(__file__).parent / "parity"))

from run_programs import PROGRAMS, compare, ours, run  # noqa: E402

RECORDED = json.loads((Path(__file__).parent / "reference" / "programs.json").read_text())
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py"))


@pytest.fixture(autouse=True)
def restored():
    """Each program sets its own default dtype and seed."""
    yield
    tg.set_default_dtype(tg.float32)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_recorded_numbers(name):
    """The numbers that PyTorch gave when they were recorded (tests/reference/make_programs.py)."""
    found = run(ours((PROGRAMS / f"{name}.py").read_text()), name)
    assert found == pytest.approx(RECORDED[name], rel=1e-6, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_beside_torch(name):
    """The same program on both, in one process."""
    pytest.importorskip("torch").set_num_threads(1)  # its threads would wait for each other on a busy machine
    worst, _ = compare(PROGRAMS / f"{name}.py")
    assert worst < 1e-6
