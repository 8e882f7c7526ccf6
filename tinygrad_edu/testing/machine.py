"""program_machine: the random programs of programs.py, built step by step by hypothesis, which then shrinks what fails."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from . import records
from .domains import Domain
from .programs import Engine, Operation, Program
from .property_tests import PHASES, QUIET
from .strategies import arrays

STEPS = 12


def applies(name):
    """The rule that applies one operation to earlier values, counted back from the newest."""

    def apply(self, backs):
        self.program.apply(name, [self.pick(back) for back in backs])

    apply.__name__ = f"apply_{name}"
    return apply


def program_machine(operations, engine=None, *, examples=40, steps=STEPS, domain=None):
    """A hypothesis state machine that builds random programs of `operations` and checks values and gradients at each end.

    Arguments as for `check_engine`. Point it at your own operators or your own engine, and let pytest run its `TestCase`:

        TestPrograms = program_machine({"swish": (swish, lambda x: x / (1 + np.exp(-x)))}).TestCase

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu.testing import program_machine
    >>> machine = program_machine({"mul": (tg.mul, np.multiply), "sin": (tg.sin, np.sin)}, examples=3)
    >>> machine.TestCase("runTest").runTest()
    """
    engine = engine or Engine()
    operations = {name: Operation.of(given, name) for name, given in operations.items()}
    if not operations:
        raise ValueError("program_machine: there are no operations to build programs of")
    domain = domain or Domain(-1.5, 1.5, avoid=(-1.5, -1, -0.5, 0, 0.5, 1, 1.5), margin=1 / 16)

    class Programs(RuleBasedStateMachine):
        """One program; values are picked by their distance from the newest, so that shrinking keeps it short."""

        @initialize(first=arrays(st.sampled_from(engine.shapes), domain=domain))
        def start(self, first):
            self.program = Program(operations, engine)
            self.program.leaf(first)
            self.checked = -1

        def pick(self, back):
            count = len(self.program.arrays)
            return count - 1 - back % count

        @rule(array=arrays(st.sampled_from(engine.shapes), domain=domain))
        def leaf(self, array):
            self.program.leaf(array)

        @rule(back=st.integers(0, 20))
        def leaf_with_the_numbers_of(self, back):
            leaves = self.program.leaves
            self.program.leaf(self.program.steps[leaves[back % len(leaves)]])

        for name in sorted(operations):  # a rule each, so that most steps are operations
            vars()[f"apply_{name}"] = rule(backs=st.lists(st.integers(0, 9), min_size=operations[name].count, max_size=operations[name].count))(
                applies(name)
            )
        del name

        @rule(back=st.integers(0, 20))
        def differentiate(self, back):
            self.compare(self.pick(back))

        def teardown(self):
            if hasattr(self, "program"):
                used = {k for step in self.program.steps if isinstance(step, tuple) for k in step[1]}
                ends = [k for k in range(len(self.program.steps)) if k not in used]
                for outputs in [ends] if engine.twice else [[k] for k in ends]:
                    self.compare(*outputs)

        def compare(self, *outputs):
            outputs = [k for k in outputs if k not in self.program.leaves]
            if outputs:
                problem = self.program.problem(*outputs)
                records.record("program_machine", problem is None)
                assert problem is None, f"the engine is wrong in this program:\n\n{problem}"

    Programs.TestCase.settings = settings(max_examples=records.options.examples(examples), stateful_step_count=steps, deadline=None,
                                          suppress_health_check=QUIET, phases=PHASES, report_multiple_bugs=False)  # fmt: skip
    return Programs
