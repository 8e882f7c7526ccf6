"""The pytest plugin: a `gradcheck` fixture, options, and a summary of what was checked. Imports nothing until one of them is used."""

import sys

import pytest

RECORDS = "tinygrad_edu.testing.records"
PROPERTY = "gradcheck"  # in item.user_properties, which also travel from the workers of pytest-xdist


def pytest_addoption(parser):
    """Options for every gradient check of a run."""
    group = parser.getgroup("tinygrad_edu", "gradient checks (tinygrad_edu)")
    group.addoption("--gradcheck-eps", type=float, metavar="STEP", help="the step with which slopes are measured (1e-6)")
    group.addoption("--gradcheck-atol", type=float, metavar="A", help="the absolute error that is allowed (1e-5)")
    group.addoption("--gradcheck-rtol", type=float, metavar="R", help="the relative error that is allowed (1e-3)")
    group.addoption("--gradcheck-fast", action="store_true", help="one random direction instead of every element")
    group.addoption("--gradcheck-nightly", action="store_true", help="30 times more examples in gradtest and random programs")
    group.addoption("--gradcheck-summary", choices=["short", "all", "failed", "none"], default="short",
                    help="which checks to list at the end (the 15 with the largest errors)")  # fmt: skip


def pytest_configure(config):
    """Hand the options to the checks, if there are any."""
    names = ("eps", "atol", "rtol", "fast", "nightly")
    given = {name: value for name in names if (value := config.getoption(f"gradcheck_{name}", None)) not in (None, False)}
    if given:
        from tinygrad_edu.testing.records import options

        for name, value in given.items():
            setattr(options, name, value)


@pytest.fixture
def gradcheck():
    """Check gradients: `gradcheck(function, inputs)`, `gradcheck.second(…)`, `.claimed(…)`, `.module(…)`, `.optimizer(…)`, `.engine(…)`."""
    from tinygrad_edu.testing.fixture import Gradcheck

    return Gradcheck()


def pytest_runtest_makereport(item, call):
    """Put what a test has checked into its report."""
    records = sys.modules.get(RECORDS)
    if records is not None and call.when == "call" and records.waiting:
        item.user_properties.append((PROPERTY, records.take()))


def pytest_terminal_summary(terminalreporter, config):
    """List the checked functions with their worst errors."""
    wanted = config.getoption("gradcheck_summary")
    entries = [
        entry
        for reports in (terminalreporter.stats.get("passed", ()), terminalreporter.stats.get("failed", ()))
        for report in reports
        for name, found in getattr(report, "user_properties", ())
        if name == PROPERTY
        for entry in found
    ]
    if not entries or wanted == "none":
        return
    from tinygrad_edu.testing.fixture import summary

    lines = summary(entries, wanted)
    if lines:
        terminalreporter.write_sep("=", "gradient checks")
        for line, ok in lines:
            terminalreporter.write_line(line, red=not ok)
