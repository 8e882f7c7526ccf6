"""A compiled step: run as it is the first time, recorded the second time, verified twice, and replayed from then on.

Every call looks first whether all that the recording took for granted is still so. If not, the step is recorded anew, and
several recordings are kept side by side, as for batches of two sizes.
"""

import functools
import inspect
import threading

import numpy as np

from ..autograd import modes
from .errors import Changed, CompileError
from .plan import not_ready
from .recorder import lock
from .recording import record
from .surroundings import Surroundings
from .text import leaves

TRIES = 3  # how often a step may change what it sees, or a replay differ, before it is refused
VERIFIED = 2  # so many replays must agree with the step itself before they are believed
KEPT = 16  # recordings that are kept side by side


class CompiledStep:
    """A function that does what `function` does, recorded once and replayed as straight NumPy; see `tg.compile`."""

    def __init__(self, function, backend="numpy"):
        functools.update_wrapper(self, function, updated=())
        self.function, self.backend = function, backend
        self.lock = threading.RLock()
        self.warm, self.failures = False, 0
        self.recorded, self.gave_up = 0, 0  # how often, since a replay was right
        self.plans, self.refusal, self.latest = [], None, None  # latest: the recording that was right last time
        self.attempt = never_ready
        try:
            self.named = list(inspect.signature(getattr(function, "forward", function)).parameters.values())
        except (TypeError, ValueError):
            self.named = []

    def __call__(self, *args, **kwargs):
        with self.lock:
            try:
                result = not_ready if kwargs else self.attempt(args)
            except Exception as error:
                return self.again(self.latest, error, args, kwargs)
            return result if result is not not_ready else self.choose(args, kwargs)

    @property
    def source(self):
        """The step as straight Python: forward, backward and update, one NumPy call per line."""
        if not self.plans:
            raise CompileError("compiled step: there is no source yet; call the step twice: the first call sets everything up, "
                               "the second is recorded")  # fmt: skip
        return self.plans[-1].source

    def __getattr__(self, name):
        if name.startswith("__") or "function" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.function, name)  # a compiled module has the module's parameters, train() and the like

    def __repr__(self):
        name = getattr(self.function, "__name__", type(self.function).__name__)
        return f"<compiled step {name}, {self.backend}: {len(self.plans)} recorded>"

    # --- the long way ------------------------------------------------------------------------------------------------

    def choose(self, args, kwargs):
        """Find the recording that fits, or make one."""
        if modes.state.tape is not None or modes.remembering() is None:  # for pictures, anomalies, hooks on saved values
            return self.function(*args, **kwargs)
        if self.refusal is not None:
            raise self.refusal
        for plan in self.plans:
            if plan.fits(args, kwargs):
                self.plans.remove(plan)
                self.plans.append(plan)
                if plan.verified < VERIFIED:
                    return self.verify(plan, args, kwargs)
                self.latest, self.attempt = plan, plan.attempt
                try:
                    result = plan.replay(args, kwargs)
                except Exception as error:
                    return self.again(plan, error, args, kwargs)
                self.recorded = self.gave_up = 0
                return result
        if not self.warm:  # what a first call sets up (an optimizer's state, a lazy layer) must be there when it is recorded
            self.warm = True
            return self.function(*args, **kwargs)
        return self.record(args, kwargs)

    def record(self, args, kwargs):
        """Run the step on arrays that write, and make a program of what they wrote."""
        with lock:
            plan, result, changes, escaped = record(self, args, kwargs)
        if isinstance(plan, CompileError):
            self.refuse(str(plan).removeprefix("compiled step: "))
        elif plan is None:
            self.failures += 1
            if self.failures >= TRIES:
                what = f"a {escaped} outside keeps an array that the step computes"
                what = f"each call changes {changes[0]}" if changes else what
                self.refuse(f"{what}, and a replay would not; keep numbers that change in a tensor and update it in place "
                            "(count.add_(1)), return what is wanted outside, and keep lists there")  # fmt: skip
        else:
            self.recorded += 1
            if self.recorded > 2 * KEPT and self.plans:
                changed = self.plans[-1].around.differences()
                what = f"{changed[0]} is another one" if changed else "an argument has another shape or value"
                self.refuse(f"{what} at nearly every call, and the step is recorded anew each time; pass what changes as a "
                            "tensor of one shape, or keep it where the step does not see it")  # fmt: skip
            else:
                self.plans = [*self.plans[1 - KEPT :], plan]
        return result

    def refuse(self, why):
        """Raise an error at every further call: what this step does cannot be repeated."""
        self.refusal, self.plans = CompileError(f"compiled step: {why}"), []
        self.latest, self.attempt = None, never_ready

    def verify(self, plan, args, kwargs):
        """Run the replay, take it back, and run the step itself: they must leave the same."""
        with lock:  # while no other thread records
            around, replayed, problem = Surroundings(self.function), {}, None
            tensors = [x for _, kind, x in leaves((args, kwargs), "a") if kind == "tensor"]
            before = around.snapshot(tensors)
            try:
                with np.errstate(all="ignore"):  # the step itself will warn
                    replayed = around.state(plan.replay(args, kwargs), tensors)
            except Changed as error:
                problem = error
            except Exception as error:
                problem = f"the replay gives another result ({type(error).__name__}: {error})"
            finally:
                before.restore()
            result = self.function(*args, **kwargs)
            state = around.state(result, tensors)
        different = [key[0] for key in state.keys() | replayed.keys() if not close(replayed.get(key), state.get(key))]
        if different and problem is None:
            problem = f"the replay gives another {' and another '.join(different[:3])}"
        if problem is None:
            plan.verified += 1
        elif isinstance(problem, Changed):
            self.give_up(plan, problem)
        else:
            self.plans.remove(plan)
            self.failures += 1
            if self.failures >= TRIES:
                self.refuse(f"{problem} than the step itself, in {TRIES} recordings one after the other; something in it changes "
                            "from call to call that is no tensor, no argument and no number that its code names (np.random, a "
                            "clock, a file …): pass it in as a tensor, or do it outside of the step")  # fmt: skip
        return result

    def again(self, plan, error, args, kwargs):
        """A replay has failed: before it has changed anything, the step itself is run, which says what is wrong."""
        line, trace, program = 0, error.__traceback__, plan.program
        while trace is not None:
            line = trace.tb_lineno - program.first_line if trace.tb_frame.f_code.co_filename == program.title else line
            trace = trace.tb_next
        if line > program.first_write and line >= program.risk_line:
            error.add_note("in a replay of a compiled step, which had changed some of its tensors before")
            raise error
        if isinstance(error, Changed):
            self.give_up(plan, error)
        return self.function(*args, **kwargs)

    def give_up(self, plan, error):
        """A recording took a course that depends on the data: forget it; a step that does so at nearly every call is refused."""
        self.latest, self.attempt = None, never_ready
        self.plans = [p for p in self.plans if p is not plan]
        self.gave_up += 1
        if self.gave_up > 5 * TRIES:
            self.refuse(f"line {error.args[0]} takes another course at nearly every call (a size or a choice that depends on the "
                        "data), so replaying it gains nothing; leave that part out of the step")  # fmt: skip

    def repeat(self, n, *args):
        """Call the step n times with the same arguments, and return the last result; backend="scalar" has a loop for it."""
        result, done = None, 0
        with self.lock:
            while done < n:
                plan = self.latest
                if plan is not None and plan.looped is not None and plan.ready(args):
                    try:
                        return plan.looped(args, n - done)
                    except Exception:  # nothing has changed: step by step, it will say where
                        return [self.function(*args) for _ in range(n - done)][-1]
                result, done = self(*args), done + 1
        return result


def never_ready(args):
    """What looks for a recording where there is none yet."""
    return not_ready


def close(a, b):
    """Equal up to the last digits, relative to the largest."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype or a.dtype.kind not in "fc":
        return a.dtype == b.dtype and np.array_equal(a, b)
    scale = np.abs(b[np.isfinite(b)]).max(initial=0.0)
    return np.allclose(a, b, rtol=0, atol=200 * np.finfo(a.dtype).eps * scale, equal_nan=True)
