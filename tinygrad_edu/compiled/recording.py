"""One recording: the step runs on arrays that write, and what it returned, changed or kept is looked up afterwards."""

import gc
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..api.random import Generator
from ..autograd.modes import again
from ..autograd.node import ancestors
from ..autograd.tensor import Tensor, as_memory
from .errors import CompileError
from .places import Replaced, put
from .plan import Made, Plan
from .recorder import Recorder, is_recorder, recording_on
from .surroundings import PLAIN, Surroundings
from .tape import Storage, Tape, Value
from .text import leaves, mapped

DRAWS = ("words", "doubles", "singles", "normals", "blocks_of_normals", "double_words")


def drawing(method):
    """A method of a generator, which is called again at each replay."""

    def random_numbers(*args):
        return [method(*args)], None

    return lambda *args: again(random_numbers, *args)[0][0]


# Generators get this class while a step is recorded.
RecordedGenerator = type("RecordedGenerator", (Generator,), {name: drawing(getattr(Generator, name)) for name in DRAWS})


def scheduled(scheduler):
    """A schedule's `step` while a step is recorded: plain Python, done at each replay."""

    def schedule(args, kwargs):
        type(scheduler).step(scheduler, *args, **kwargs)
        return (), None

    return lambda *args, **kwargs: again(schedule, args, kwargs) and None


@dataclass
class Held:
    """A place that holds an array, and the array that writes which stands there during a recording."""

    holder: Any
    key: Any
    array: Any
    recorder: Any
    owner: Any = None  # the tensor whose gradient it is


class Swap:
    """A context in which the tensors, gradients and arrays that a step can see hold arrays that write."""

    def __init__(self, tape, around, arguments):
        self.tape, self.around, self.held = tape, around, []
        tape.swap, names = self, around.names
        tensors = {id(t): (t, "external", names[id(t)]) for t in around.tensors.values()}
        for name, t in arguments:
            tensors.setdefault(id(t), (t, "input", name))
        self.tensors = [self.hold(t, "array", as_memory(t), kind, name) for t, kind, name in tensors.values()]
        leaves = [h for h in self.tensors if h.holder.node is not None and h.holder.node.op is None]
        self.nodes = [(h, h.holder.node, h.holder.node.grad) for h in leaves]
        self.grads = [self.hold(g, "array", as_memory(g), "external", f"{h.recorder.value.name}_grad_before", h.holder)
                      for h, _, g in self.nodes if g is not None]  # fmt: skip
        for holder, key, array, path in around.arrays:
            self.hold(holder, key, array, "external", path.rpartition(".")[2])
        changes = [(g, "__class__", RecordedGenerator) for g in around.generators]
        changes += [(o, key, {}) for o in around.optimizers for key in ("scratch", "numbers")]
        changes += [(vars(s), "step", scheduled(s)) for s in around.schedulers]
        self.others = Replaced(changes)

    def hold(self, holder, key, array, kind, name, owner=None):
        self.held.append(Held(holder, key, array, self.recorder(array, kind, name), owner))
        return self.held[-1]

    def recorder(self, array, kind, name):
        return Recorder(self.tape, array, value=Value(Storage(kind, name, array), array, name=name))

    def __enter__(self):
        for h in self.held:
            put(h.holder, h.key, h.recorder)
        self.others.__enter__()

    def __exit__(self, *error):
        self.others.__exit__()
        for h in self.held:
            put(h.holder, h.key, h.array)

    def suspend(self):
        """For a call that is made anew at each replay: it sees real arrays."""
        for h in self.tensors:
            if h.holder.array is h.recorder:
                h.holder.array = h.array

    def resume(self):
        """The arrays that write, again; also for what that call has put in the place of others."""
        for h in self.tensors:
            if h.holder.array is h.array:
                h.holder.array = h.recorder
            elif not is_recorder(h.holder.array):
                h.array = as_memory(h.holder)
                h.recorder = h.holder.array = self.recorder(h.array, "external", h.recorder.value.name)


def record(step, args, kwargs):
    """(plan, result, what has changed outside, what has kept an array) of running the step's function while all is written down."""
    around, arguments = Surroundings(step.function), []
    names = argument_names(step, args, kwargs)
    for path, kind, x in leaves((args, kwargs), "a"):
        name, problem = names.get(path, path), ""
        if kind == "plain" and not isinstance(x, PLAIN) and not callable(x):
            problem = f"is a {type(x).__name__}; pass tensors, arrays and plain numbers"
        elif kind == "array":
            problem = "is a NumPy array; pass a tensor, as in from_numpy(x)"
        elif kind == "tensor" and x.node is not None and x.node.op is not None:
            problem = f"belongs to a graph outside of the step; pass {name}.detach()"
        elif kind == "tensor":
            arguments.append((name, x))
        if problem:
            raise CompileError(f"compiled step: the argument {name} {problem}")
    before = around.snapshot([x for _, x in arguments])
    tape = Tape()
    swap = Swap(tape, around, arguments)
    try:
        with recording_on(tape), swap:
            result = step.function(*args, **kwargs)
            if tape.failed is not None:
                raise tape.failed
            after = After(swap, result)
    except BaseException as error:
        before.restore({id(h.array) for h in swap.held if h.recorder.value.storage.written})
        error.__traceback__ = None if isinstance(error, CompileError) else error.__traceback__
        release(tape)
        raise
    changes = around.differences()
    result = after.finish()
    escaped = release(tape)
    if changes or escaped:
        return None, result, changes, escaped
    try:
        return Plan(step, around, swap, after, (args, kwargs), names), result, (), None
    except CompileError as error:  # the step was done, and cannot be compiled in this way
        return error, result, (), None


class After:
    """What a recorded step has left: results, gradients, tensors that hold another array than before."""

    def __init__(self, swap, result):
        self.swap, self.names = swap, swap.around.names
        self.grads, self.rebound, self.values = [], [], []  # (tensor, its place), (tensor, its place), (name, value)
        self.living: list = []  # (a tensor that lives on, its array)
        self.made: dict = {}  # id of a tensor that the step made → its place among the values
        former = {id(h.holder): h.recorder for h in swap.grads}
        for h, node, g in swap.nodes:
            if h.holder.node is not node:
                raise CompileError(f"compiled step: the step changes whether {self.names.get(id(h.holder), 'a tensor')} requires grad; do that outside")
            now, same = node.grad, g is not None and node.grad is not None and same_memory(node.grad.array, former[id(g)])
            if not same:
                self.grads.append((h.holder, None if now is None else self.place(now, f"{h.recorder.value.name}_grad")))
            if now is not None and not (same and now is g):
                self.living.append((now, plain(now.array)))
        for h in swap.tensors:
            if not same_memory(h.holder.array, h.recorder):
                if h.holder.base is not None or h.holder.node is not None:
                    raise CompileError(f"compiled step: the step puts other memory into {h.recorder.value.name}; write to the memory that is there, "
                                       "as in x.data.copy_(y), x.data -= y or, inside no_grad(), x -= y")  # fmt: skip
                self.rebound.append((h.holder, self.place(h.holder, h.recorder.value.name)))
                self.living.append((h.holder, plain(h.holder.array)))
        self.known = {id(h.holder) for h in swap.tensors}
        self.tree = mapped(result, self.leaf)

    def place(self, t, name):
        """The place of a tensor among the values that the program returns."""
        array = t.array
        self.made[id(t)] = len(self.values)
        self.values.append((name, array.value if is_recorder(array) else self.swap.tape.constant(np.asarray(array))))
        return self.made[id(t)]

    def leaf(self, x):
        """What stands for a part of the result: itself, or the program's result that makes it."""
        if isinstance(x, Tensor) and id(x) not in self.known:
            if id(x) not in self.made:
                self.place(x, "result" if is_recorder(x.array) else "constant")
                check_graph(x)
            place = self.made[id(x)]
            return Made(place, plain(x.array), x.node, next((t for t, k in self.grads if k == place), None))
        if isinstance(x, (Tensor, *PLAIN)):
            return x
        kind = "NumPy array; return the tensor, and call .numpy() outside" if is_recorder(x) else f"{type(x).__name__}; return tensors, or tuples, lists and dicts of them"
        raise CompileError(f"compiled step: the step returns a {kind}")

    def finish(self):
        """Give the tensors that live on the arrays that were computed; returns the result."""
        for t, array in self.living:
            t.array = array
        return mapped(self.tree, lambda x: x.tensor() if isinstance(x, Made) else x)


def check_graph(x):
    """Refuse to return a tensor whose graph could still be used: a replay makes no graph."""
    if x.node is not None and any(n.op is not None and n.op.keeps_values and n.saved is not None for n in ancestors(x.node)):
        raise CompileError("compiled step: the step returns a tensor that belongs to a graph, and a replay makes no graph; call backward() "
                           "inside of the step, return y.detach(), or compute it inside `with no_grad():`")  # fmt: skip


def plain(x):
    """What NumPy itself would have given in place of a recorder: its array, or a scalar."""
    return x if not is_recorder(x) else x.array[()] if x.scalar else x.array


def same_memory(array, recorder):
    """True if a tensor holds a recorder of the same view of the same memory."""
    return is_recorder(array) and array.value.key == recorder.value.key


def argument_names(step, args, kwargs):
    """Path of an argument → the name of the parameter that takes it."""
    names = {}
    parameters = [p.name for p in step.named if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    places = [(f"a[0][{i}]", parameters[i] if i < len(parameters) else f"x{i}", a) for i, a in enumerate(args)]
    for place, name, a in places + [(f"a[1][{key!r}]", key, a) for key, a in kwargs.items()]:
        for path, _, _ in leaves(a, place):
            names[path] = name + path.removeprefix(place).replace("[", "_").replace("]", "").replace("'", "")
    return names


def release(tape):
    """Tensors that still hold an array that writes get the plain one; says what else holds one, or None."""
    escaped = None
    for recorder in [r for r in (alive() for alive in tape.alive) if r is not None]:
        for holder in gc.get_referrers(recorder):
            if isinstance(holder, Tensor):
                holder.array = plain(recorder)
            escaped = escaped or type(holder).__name__
    return escaped
