"""The chapters of Learn run in a plain Jupyter: two of them here, all with `python docs/make_notebooks.py --run`."""

import json
import subprocess
import sys

import pytest
from page_runner import ROOT

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")


def make(folder, *names):
    """Write the notebooks and run some, in a process of its own: Jupyter leaves threads and warnings behind."""
    command = [sys.executable, str(ROOT / "docs" / "make_notebooks.py"), str(folder), "--run", "--only", *names]
    return subprocess.run(command, capture_output=True, text=True)


def test_chapters_run(tmp_path):
    done = make(tmp_path, "learn/gradient_by_hand", "zh/learn/loss")
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads((tmp_path / "learn" / "gradient_by_hand.ipynb").read_text(encoding="utf-8"))["nbformat"] == 4


def test_errors_are_found(tmp_path):
    """The runner can fail: a notebook with a wrong cell is not taken for a good one."""
    import nbformat

    sys.path.insert(0, str(ROOT / "docs"))
    import make_notebooks

    book = make_notebooks.notebook("learn/neuron")
    book["cells"].append(dict(make_notebooks.code("1 / 0"), id="wrong"))
    assert nbformat.validator.isvalid(nbformat.from_dict(book))
    path = tmp_path / "wrong.ipynb"
    path.write_text(json.dumps(book), encoding="utf-8")
    script = f"import sys; sys.path.insert(0, {str(ROOT / 'docs')!r}); import make_notebooks; make_notebooks.run({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode != 0 and "ZeroDivisionError" in done.stderr
