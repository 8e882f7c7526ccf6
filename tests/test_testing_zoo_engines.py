"""The broken engines of the bug zoo: random programs find each of them, and hypothesis's state machine does, too."""

import pytest
from hypothesis import Phase, settings

from tinygrad_edu.testing import Engine, program_machine, zoo
from tinygrad_edu.testing.zoo.checks import OPERATIONS, SHAPES, loaded
from tinygrad_edu.testing.zoo.exercise import source_of

ENGINES = [e for e in zoo.exercises.values() if e.program == "engine"]


def test_the_unbroken_engine_passes():
    result = zoo.check("engine", source_of("engine"))
    assert result.ok and len(result.checks) > 15, result.report


@pytest.mark.parametrize("exercise", ENGINES, ids=lambda e: e.name)
def test_the_bug_is_found(exercise):
    assert not zoo.check(exercise, exercise.broken).ok


@pytest.mark.parametrize("exercise", ENGINES, ids=lambda e: e.name)
def test_wrong_fixes_are_refused(exercise):
    for source in exercise.wrong_fixes:
        assert source not in (exercise.right, exercise.broken)
        assert not zoo.check(exercise, source).ok


def machine_of(source):
    """A state machine for the engine in a source text."""
    module = loaded(source, "engine")
    joined = (lambda a, b: module.concatenate([a, b]), lambda a, b: __import__("numpy").concatenate([a, b]))
    engine = Engine(leaf=lambda array: module.Tensor(array), value=lambda t: t.data, backward=lambda t: t.backward(), shapes=SHAPES)
    case = program_machine(OPERATIONS | dict(joined=joined), engine).TestCase
    case.settings = settings(case.settings, max_examples=150, stateful_step_count=25, phases=[Phase.generate], derandomize=True, database=None)
    return case("runTest")


@pytest.mark.parametrize("exercise", [e for e in ENGINES if e.name != "recursion"], ids=lambda e: e.name)  # programs are not so long
def test_the_state_machine_finds_it(exercise):
    with pytest.raises((AssertionError, Exception)):  # noqa: B017  (whatever hypothesis wraps it in)
        machine_of(exercise.broken).runTest()


def test_the_state_machine_passes_the_unbroken_engine():
    machine_of(source_of("engine")).runTest()
