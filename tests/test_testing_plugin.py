"""The pytest plugin, in pytest runs of its own: the fixture, the options, the summary; and that it costs other runs nothing."""

import re
import subprocess
import sys
import tomllib

import pytest
from page_runner import ROOT

from tinygrad_edu.testing import fixture, gradtest, records  # noqa: F401  (loaded here once, for the runs inside)

pytest_plugins = ["pytester"]

TESTS = """
import numpy as np
import tinygrad_edu as tg
from tinygrad_edu.testing import gradtest, records


def leaf(*shape):
    return tg.ones(*shape, dtype=tg.float64).cumsum(0).requires_grad_()


def test_right(gradcheck):
    assert gradcheck(tg.tanh, leaf(3))
    assert gradcheck.second(tg.sin, leaf(2))
    assert gradcheck(lambda x: x * x, [leaf(2)])
    assert gradcheck.module(tg.nn.Linear(2, 1), tg.ones(3, 2)).ok
    assert gradcheck.claimed(np.cos, [np.ones(2)], vjp=lambda g, x: -g * np.sin(x))
    assert gradcheck.optimizer(lambda params: tg.optim.SGD(params, lr=0.1)).ok
    assert gradcheck.engine({"mul": tg.mul}, programs=3)


@gradtest(examples=3)
def test_property(x):
    return x.exp()


def test_nothing_checked():
    pass


def test_options():
    o = records.options
    print(o)
    assert (o.eps, o.fast, o.nightly) == EXPECTED


def test_wrong(gradcheck):
    gradcheck(lambda x: x.detach() * x, leaf(3))
"""


@pytest.fixture(autouse=True)
def own_options(monkeypatch):
    """The runs inside of this one share our modules: their options must not stay, nor their records mix with ours."""
    monkeypatch.setattr(records, "options", records.Options())
    monkeypatch.setattr(records, "waiting", {})
    monkeypatch.setenv("COLUMNS", "80")


def run_pytest(pytester, *options, tests=TESTS, expected=(None, False, False), how="runpytest_inprocess"):
    records.options = records.Options()
    pytester.makepyfile(test_some=tests.replace("EXPECTED", repr(expected)))
    done = getattr(pytester, how)("-p", "pytest_tinygrad_edu", "-p", "no:cacheprovider", *options)
    return done.stdout.str() + done.stderr.str()


def test_fixture_and_summary(pytester):
    out = run_pytest(pytester)
    assert "1 failed, 4 passed" in out, out
    summary = out.partition("gradient checks ====")[2].partition("short test summary")[0]
    rows = dict(re.findall(r"(?m)^[✓✗] (\S.*?)  +(\d+)", summary))
    assert rows.keys() >= {"tanh", "sin", "cos", "Linear", "check_engine", "check_module(Linear)", "check_optimizer(SGD)", "test_property"}, out
    assert int(rows["test_property"]) >= 1 and re.search(r"✓ tanh +1 +9 +\d\.\de-\d\d", summary)
    assert re.search(r"(?m)^✗ lambda, test_some\.py:\d+ +1 +9 +3\.0e\+00", summary), summary  # the worst comes first
    assert f"{len(rows) - 1} of {len(rows)} functions right" in summary
    assert max(map(len, summary.splitlines())) <= 80
    failure = out.partition("_ test_wrong _")[2]
    assert "the gradient is 3, the slope 6" in failure and "def checked" not in failure  # the user's line, not ours


def test_options(pytester):
    chosen = ["--gradcheck-eps=1e-4", "--gradcheck-fast", "--gradcheck-nightly", "--gradcheck-summary=failed"]
    out = run_pytest(pytester, *chosen, "-k", "options or property", expected=(1e-4, True, True))
    assert "2 passed" in out and "gradient checks" not in out, out
    out = run_pytest(pytester, "--gradcheck-rtol=0.9", "--gradcheck-atol=9", "-k", "wrong or options")
    assert "2 passed" in out, out
    out = run_pytest(pytester, "--gradcheck-summary=failed")
    summary = out.partition("gradient checks ====")[2]
    assert "✗ lambda" in summary and "✓" not in summary
    assert "gradient checks ====" not in run_pytest(pytester, "--gradcheck-summary=none")


def test_summary_travels_from_workers(pytester):
    pytest.importorskip("xdist")
    out = run_pytest(pytester, "-n", "1", "-k", "right or property", how="runpytest_subprocess")
    assert "2 passed" in out and re.search(r"✓ tanh +1 +9", out), out


def test_other_runs_load_nothing(pytester):
    tests = (
        "import sys\n\ndef test_light():\n"
        "    heavy = {'numpy', 'tinygrad_edu', 'hypothesis.extra.numpy'} & set(sys.modules)\n    assert not heavy, heavy\n"
    )
    out = run_pytest(pytester, tests=tests, how="runpytest_subprocess")
    assert "1 passed" in out and "gradient checks" not in out, out


def test_plugin_imports_nothing():
    """Importing it costs what importing pytest costs: everything else comes with the first use."""
    code = "import sys, pytest; before = set(sys.modules); import pytest_tinygrad_edu; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "['pytest_tinygrad_edu']"


def test_long_summaries_are_cut():
    from tinygrad_edu.testing.fixture import LISTED, summary

    entries = [dict(name=f"function_{i}_{'x' * 60}", ok=True, derivatives=4, error=i * 1e-9, checks=1) for i in range(LISTED + 5)]
    lines = [line for line, _ in summary(entries)]
    assert "… and 5 more" in lines[-2] and f"function_{LISTED + 4}" in lines[1] and max(map(len, lines)) <= 80
    assert len(summary(entries, "all")) == LISTED + 7
    assert summary(entries, "failed") == []
    merged = [line for line, _ in summary([entries[0], dict(entries[0], ok=False, error=0.5)], "all")]
    assert len(merged) == 3 and merged[1].startswith("✗") and "5.0e-01" in merged[1]


def test_it_is_installed_with_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["entry-points"]["pytest11"] == {"pytest_tinygrad_edu": "pytest_tinygrad_edu"}
    assert "pytest_tinygrad_edu.py" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
