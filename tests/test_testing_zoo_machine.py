"""The broken engines of the bug zoo against hypothesis's state machine, which must find each of them."""

import numpy as np
import pytest
from hypothesis import Phase, settings

from tinygrad_edu.testing import Domain, Engine, Operation, program_machine, zoo
from tinygrad_edu.testing.zoo.checks import OPERATIONS, loaded
from tinygrad_edu.testing.zoo.exercise import source_of

ENGINES = [e for e in zoo.exercises.values() if e.program == "engine" and e.name != "recursion"]  # programs are not that long
TIES = Domain(-1.5, 1.5, avoid=tuple(k / 2 for k in range(-3, 4)), margin=0.25)  # six numbers: there are equal ones in most arrays
FLAT = ((2, 3), (2, 1), (3,))
GROUPS = [(["add", "sub", "mul", "add_to"], FLAT), (["add", "div", "cube", "tanh", "one_minus"], FLAT), (["sum_rows", "max", "mul"], FLAT),
          (["matmul", "mean", "rows", "max", "joined"], FLAT), (["turned", "mul"], ((2, 1, 3), (2, 3, 2)))]  # fmt: skip


def run_machines(source):
    """Let the state machine build programs of each group of operations on the engine in a source text."""
    module = loaded(source, "engine")
    joined = Operation(lambda a, b: module.concatenate([a, b]), lambda a, b: np.concatenate([a, b]), 2, lambda a, b: a[1:] == b[1:] and a)
    operations = OPERATIONS | dict(joined=joined)
    for group, shapes in GROUPS:
        engine = Engine(leaf=lambda array: module.Tensor(array), value=lambda t: t.data, backward=lambda t: t.backward(), shapes=shapes)
        case = program_machine({name: operations[name] for name in group}, engine, steps=10, domain=TIES).TestCase
        case.settings = settings(case.settings, max_examples=20, phases=[Phase.generate], derandomize=True, database=None)
        case("runTest").runTest()


@pytest.mark.parametrize("exercise", ENGINES, ids=lambda e: e.name)
def test_the_state_machine_finds_it(exercise):
    with pytest.raises(AssertionError, match="the engine is wrong in this program"):
        run_machines(exercise.broken)


def test_the_state_machine_passes_the_unbroken_engine():
    run_machines(source_of("engine"))
