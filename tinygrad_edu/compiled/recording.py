"""One recording: the step runs on arrays that write, and what it returned, changed or kept is looked up afterwards."""

import gc
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..api.random import Generator
from ..autograd.modes import again
from ..autograd.node import ancestors
from ..autograd.tensor import Tensor, as_memory
from .errors import CompileError
from .places import get, put, replaced
from .plan import Made, Plan
from .recorder import Recorder, is_recorder, recording_on
from .surroundings import PLAIN, Surroundings, leaf_node
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
    """The tensors, gradients and arrays that a step can see, and the arrays that write which they hold in the meantime."""

    def __init__(self, tape, around, arguments):
        self.tape, self.around, self.held = tape, around, []
        tensors = {id(t): (t, "external", around.names[id(t)]) for t in around.tensors.values()}
        for name, t in arguments:
            tensors.setdefault(id(t), (t, "input", name))
        self.tensors = [self.hold(t, "array", as_memory(t), kind, name) for t, kind, name in tensors.values()]
        leaves = [(h, leaf_node(h.holder), h.holder.node) for h in self.tensors]
        self.nodes = [(h, leaf, leaf.grad, node) for h, leaf, node in leaves
                      if leaf is not None and (node is leaf or id(h.holder) in around.tensors)]  # fmt: skip
        self.grads = [self.hold(g, "array", as_memory(g), "external", f"{h.recorder.value.name}_grad_before", h.holder)
                      for h, _, g, _ in self.nodes if g is not None]  # fmt: skip
        for holder, key, array, path in around.arrays:
            self.hold(holder, key, array, "external", path.rpartition(".")[2])

    def hold(self, holder, key, array, kind, name, owner=None):
        recorder = Recorder(self.tape, array, value=Value(Storage(kind, name, array), array, name=name))
        self.held.append(Held(holder, key, array, recorder, owner))
        return self.held[-1]

    @contextmanager
    def writing(self):
        """The context in which all these write; generators and schedules are asked anew at each replay."""
        changes = [(g, "__class__", RecordedGenerator) for g in self.around.generators]
        changes += [(vars(s), "step", scheduled(s)) for s in self.around.schedulers]
        with replaced(changes + [(o, key, {}) for o in self.around.optimizers for key in ("scratch", "numbers")]):
            try:
                for h in self.held:
                    put(h.holder, h.key, h.recorder)
                yield
            finally:
                for h in self.held:  # something else may stand there now
                    now = get(h.holder, h.key)
                    put(h.holder, h.key, h.array if now is h.recorder else plain(now))
                for g in [leaf.grad for _, leaf, _, _ in self.nodes if leaf.grad is not None]:
                    g.array = plain(g.array)


def record(step, args, kwargs):
    """Run the step's function while all is written down: (plan, result, what has changed outside, what has kept an array)."""
    around, given = Surroundings(step.function), arguments(step.named, args, kwargs)
    for _, name, kind, x in given:
        problem = ""
        if kind == "plain" and not isinstance(x, PLAIN) and not callable(x):
            problem = f"is a {type(x).__name__}; pass tensors, arrays and plain numbers"
        elif kind == "array":
            problem = "is a NumPy array; pass a tensor, as in from_numpy(x)"
        elif kind == "tensor" and x.node is not None and x.node.op is not None:
            problem = f"belongs to a graph outside of the step; pass {name}.detach()"
        if problem:
            raise CompileError(f"compiled step: the argument {name} {problem}")
    tensors, tape = [(name, x) for _, name, kind, x in given if kind == "tensor"], Tape()
    before, swap = around.snapshot([x for _, x in tensors]), Swap(tape, around, tensors)
    failed = None
    try:
        with recording_on(tape), swap.writing():
            result = step.function(*args, **kwargs)
            if tape.failed is not None:
                raise tape.failed
            after = After(swap, result)
    except BaseException as error:
        before.restore({id(h.array) for h in swap.held if h.recorder.value.storage.written})
        release(tape)
        failed, error.__traceback__ = error, None if isinstance(error, CompileError) else error.__traceback__
        if isinstance(error, CompileError) or not isinstance(error, Exception):
            raise
    if failed is not None:  # of its own: then the step itself says so, and leaves what it leaves
        result = step.function(*args, **kwargs)
        what = f"recording it fails, and the step itself does not ({type(failed).__name__}: {failed})"
        return CompileError(f"compiled step: {what}; leave it uncompiled"), result, (), None
    changes = around.differences()
    result = after.result()
    escaped = release(tape)
    if changes or escaped:
        return None, result, changes, escaped
    try:
        return Plan(step, around, swap, after, given, (args, kwargs)), result, (), None
    except CompileError as error:  # the step was done, and cannot be compiled in this way
        return error, result, (), None


class After:
    """What a recorded step has left: results, gradients, tensors that hold another array than before."""

    def __init__(self, swap, result):
        self.swap, self.known = swap, {id(h.holder) for h in swap.tensors}
        self.grads, self.rebound, self.values = [], [], []  # (tensor, its place), (tensor, its place), (name, value)
        self.made: dict = {}  # id of a tensor that the step made → its place among the values
        former = {id(h.holder): h.recorder for h in swap.grads}
        for h, leaf, g, node in swap.nodes:
            if h.holder.node is not node:
                name = h.recorder.value.name
                raise CompileError(f"compiled step: the step changes whether {name} requires grad; do that outside")
            now = leaf.grad
            if now is None or g is None or not same_memory(now.array, former[id(g)]):
                self.grads.append((h.holder, None if now is None else self.place(now, f"{h.recorder.value.name}_grad")))
        for h in swap.tensors:
            now = h.holder.array
            if is_recorder(now) and not same_memory(now, h.recorder):  # other arrays are put there by what is asked anew
                if h.holder.base is not None or h.holder.node is not None:
                    name = h.recorder.value.name
                    raise CompileError(f"compiled step: the step puts other memory into {name}; write to the memory that is there"
                                       ", as in x.data.copy_(y), x.data -= y or, inside no_grad(), x -= y")  # fmt: skip
                self.rebound.append((h.holder, self.place(h.holder, h.recorder.value.name)))
        self.tree = mapped(result, self.leaf)

    def place(self, t, name):
        """The place of a tensor among the values that the program returns."""
        array = t.array
        self.made[id(t)] = len(self.values)
        self.values.append((name, array.value if is_recorder(array) else self.swap.tape.constant(np.asarray(array))))
        return self.made[id(t)]

    def leaf(self, x):
        """What stands for a part of the result: itself, or the program's result that makes it."""
        if type(x) is Tensor and id(x) not in self.known:
            if id(x) not in self.made:
                self.place(x, "result" if is_recorder(x.array) else "constant")
                check_graph(x)
            place = self.made[id(x)]
            return Made(place, plain(x.array), x.node, next((t for t, k in self.grads if k == place), None))
        if id(x) in self.known or isinstance(x, PLAIN):
            return x
        kind, instead = type(x).__name__, "return tensors, or tuples, lists and dicts of them"
        if is_recorder(x):
            kind, instead = "NumPy array", "return the tensor, and call .numpy() outside"
        raise CompileError(f"compiled step: the step returns a {kind}; {instead}")

    def result(self):
        """The result, on the arrays that were computed."""
        return mapped(self.tree, lambda x: x.tensor() if isinstance(x, Made) else x)


def check_graph(x):
    """Refuse to return a tensor whose graph could still be used: a replay makes no graph."""
    if x.node is not None and any(n.op is not None and n.op.keeps_values and n.saved is not None for n in ancestors(x.node)):
        raise CompileError("compiled step: the step returns a tensor that belongs to a graph, and a replay makes no graph; call "
                           "backward() inside of the step, return y.detach(), or compute it in `with no_grad():`")  # fmt: skip


def plain(x):
    """What NumPy itself would have given in place of a recorder: its array, or a scalar."""
    return x if not is_recorder(x) else x.array[()] if x.scalar else x.array


def same_memory(array, recorder):
    """True if a tensor holds a recorder of the same view of the same memory."""
    return is_recorder(array) and array.value.key == recorder.value.key


def arguments(parameters, args, kwargs):
    """(path as Python, name, kind, value) of all that a call is given; names are those of the parameters."""
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names += [f"x{i}" for i in range(len(names), len(args))]
    given = [(f"args[{i}]", names[i], x) for i, x in enumerate(args)]
    given += [(f"kwargs[{key!r}]", key, x) for key, x in kwargs.items()]
    return [(path, name + path.removeprefix(place), kind, x) for place, name, a in given for path, kind, x in leaves(a, place)]


def release(tape):
    """Tensors that still hold an array that writes get the plain one; says what else holds one, or None."""
    escaped = None
    for recorder in [r for r in (alive() for alive in tape.alive) if r is not None]:
        for holder in gc.get_referrers(recorder):
            if isinstance(holder, Tensor):
                holder.array = plain(recorder)
            escaped = escaped or type(holder).__name__
    return escaped
