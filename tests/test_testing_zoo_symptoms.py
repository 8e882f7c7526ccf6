"""What a learner sees: every broken program of the bug zoo runs, and prints something else than the mended one."""

import contextlib
import io
import warnings

import numpy as np
import pytest

from tinygrad_edu.testing import zoo
from tinygrad_edu.testing.zoo.exercise import expected_output

EXERCISES = list(zoo.exercises.values())


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)
def test_the_symptom_shows(exercise):
    """Running the broken file prints something else than the mended one, or ends in an error."""
    out, names = io.StringIO(), {"__name__": "bug"}
    with contextlib.redirect_stdout(out), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(exercise.file, exercise.name, "exec"), names)
        try:
            names["main"]()
        except Exception as error:
            print(type(error).__name__)
    assert out.getvalue() != expected_output(exercise.program)
