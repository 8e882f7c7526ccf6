"""The broken engines of the bug zoo: random programs find each of them, and no wrong fix passes."""

import pytest

from tinygrad_edu.testing import zoo
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
