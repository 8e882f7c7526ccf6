"""One recording: the step runs on arrays that write, and what it returned, changed or kept is looked up afterwards."""

import gc

import numpy as np

from ..api.random import Generator
from ..autograd.modes import again
from ..autograd.node import Node, ancestors
from ..autograd.tensor import Tensor, as_memory
from .errors import CompileError
from .plan import Plan
from .recorder import Recorder, Recording, is_recorder
from .snapshot import Snapshot
from .surroundings import PLAIN, Surroundings
from .tape import Storage, Tape, Value, recording
from .trees import Made, Same, leaves, mapped


class RecordedGenerator(Generator):
    """A generator whose draws are asked for again at each replay; generators get this class while a step is recorded."""

    def words(self, n):
        return drawn(Generator.words, self, n)

    def doubles(self, n):
        return drawn(Generator.doubles, self, n)

    def singles(self, n):
        return drawn(Generator.singles, self, n)

    def normals(self, n):
        return drawn(Generator.normals, self, n)

    def blocks_of_normals(self, n, kind):
        return drawn(Generator.blocks_of_normals, self, n, kind)

    def double_words(self, n):
        return drawn(Generator.double_words, self, n)


def drawn(method, generator, *args):
    """What a generator's method gives: now, and at each replay."""
    tape = recording()
    if tape is None:
        return method(generator, *args)
    (array,), _ = tape.again(random_numbers, (method, generator, args))
    return array


def random_numbers(method, generator, args):
    """The numbers of a generator; nothing about them has to stay the same."""
    return [method(generator, *args)], None


class Swap:
    """A context in which the tensors that a step can see hold arrays that write."""

    def __init__(self, tape, around, arguments):
        self.tape, self.around, self.arguments = tape, around, arguments
        tape.swap = self
        self.places: list = []
        self.held: list = []  # (an array that the code names, its recorder)
        self.swapped: list = []  # (tensor, its array, its recorder)
        self.grads: list = []  # (owner, gradient or None, its array, its recorder)

    def __enter__(self):
        names = self.around.names
        for name, x in self.arguments:
            self.swap(x, "input" if id(x) not in self.around.tensors else "external", names.get(id(x), name))
        for t in self.around.tensors.values():
            self.swap(t, "external", names[id(t)])
        for t, _, recorder in list(self.swapped):
            if t.node is not None and t.node.op is None:
                g = t.node.grad
                if g is None:
                    self.grads.append((t, t.node, None, None, None))
                else:
                    former = as_memory(g)
                    g.array = self.recorder(former, "external", f"{recorder.value.name}_grad_before")
                    self.grads.append((t, t.node, g, former, g.array))
        for kind, holder, key, array, path in self.around.arrays:
            recorder = self.recorder(array, "external", path.rpartition(".")[2])
            put(kind, holder, key, recorder)
            self.places.append((kind, holder, key, array))
            self.held.append((array, recorder))
        self.classes = [(g, g.__class__) for g in self.around.generators]
        for g, _ in self.classes:
            g.__class__ = RecordedGenerator
        self.scratch = [(o, o.scratch) for o in self.around.optimizers]
        for o, _ in self.scratch:
            o.scratch = {}
            o.numbers.clear()
        for s in self.around.schedulers:
            s.__dict__["step"] = lambda *args, s=s, **kwargs: again(scheduled, s, args, kwargs) and None
        return self

    def suspend(self):
        """For a call that is made anew at each replay: it sees real arrays."""
        for t, former, recorder in self.swapped:
            if t.array is recorder:
                t.array = former

    def resume(self):
        """The arrays that write, again; also for what that call has put in the place of others."""
        for i, (t, former, recorder) in enumerate(self.swapped):
            if t.array is former:
                t.array = recorder
            elif not is_recorder(t.array):
                now = as_memory(t)
                t.array = self.recorder(now, "external", recorder.value.name)
                self.swapped[i] = t, now, t.array

    def swap(self, t, kind, name):
        if any(t is known for known, _, _ in self.swapped):
            return
        former = as_memory(t)
        t.array = self.recorder(former, kind, name)
        self.swapped.append((t, former, t.array))

    def recorder(self, array, kind, name):
        value = Value(Storage(kind, name, array), array)
        value.name = name
        return Recorder(self.tape, array, value=value)

    def __exit__(self, *error):
        """Put the arrays back; what the step put in their place is looked up first, by `after`."""
        for t, former, _ in self.swapped:
            t.array = former
        for _, _, g, former, _ in self.grads:
            if g is not None:
                g.array = former
        for kind, holder, key, array in self.places:
            put(kind, holder, key, array)
        for g, kind in self.classes:
            g.__class__ = kind
        for o, scratch in self.scratch:
            o.scratch = scratch
            o.numbers.clear()
        for s in self.around.schedulers:
            del s.__dict__["step"]


def scheduled(scheduler, args, kwargs):
    """A step of a schedule: plain Python, done at each replay."""
    type(scheduler).step(scheduler, *args, **kwargs)
    return (), None


def put(kind, holder, key, value):
    if kind == "cell":
        holder.cell_contents = value
    else:
        holder[key] = value


def record(step, args, kwargs):
    """(plan, result) of running the step's function once while everything is written down; plan is None if it should be tried again."""
    function = step.function
    around = Surroundings(function)
    found = list(leaves((args, kwargs), "a"))
    names = argument_names(step, args, kwargs)
    arguments = [(names.get(path, "x"), x) for path, kind, x in found if kind == "tensor"]
    for path, kind, x in found:
        if kind == "plain" and not isinstance(x, PLAIN) and not callable(x):
            raise CompileError(f"compiled step: the argument {names.get(path, path)} is a {type(x).__name__}; pass tensors, arrays and plain numbers")
        if kind == "array":
            raise CompileError(f"compiled step: the argument {names.get(path, path)} is a NumPy array; pass a tensor, as in from_numpy(x)")
        if kind == "tensor" and x.node is not None and x.node.op is not None:
            raise CompileError(f"compiled step: the argument {names.get(path, path)} belongs to a graph outside of the step; pass {names.get(path, 'x')}.detach()")
    before = Snapshot([x for _, x in arguments], around)
    tape = Tape()
    swap = Swap(tape, around, arguments)
    result = after = None
    try:
        with Recording(tape), swap:
            result = function(*args, **kwargs)
            if tape.failed is not None:
                raise tape.failed
            after = After(swap, result)
    except BaseException as error:
        held = [*((former, r) for _, former, r in swap.swapped), *((former, r) for *_, former, r in swap.grads if r is not None), *swap.held]
        before.restore({id(array) for array, recorder in held if recorder.value.storage.written})
        error.__traceback__ = None if isinstance(error, CompileError) else error.__traceback__
        release(tape, swap)
        raise
    changes = around.differences()
    after.finish()
    result = after.result
    escaped = release(tape, swap)
    if changes or escaped:
        return None, result, changes, escaped
    try:
        return Plan(step, around, swap, after, (args, kwargs), names), result, (), None
    except CompileError as error:  # the step was done, and cannot be compiled in this way
        return error, result, (), None


class After:
    """What a recorded step has left: results, gradients, tensors that hold another array than before."""

    def __init__(self, swap, result):
        self.swap, self.fresh = swap, []
        known = {id(t): t for t, _, _ in swap.swapped}
        self.grads, self.rebound, self.values = [], [], []
        made: dict = {}  # id of a tensor that the step made → its place among the values
        for t, node, g, _, recorder in swap.grads:
            if t.node is not node:
                raise CompileError(f"compiled step: the step changes whether {swap.around.names.get(id(t), 'a tensor')} requires grad; do that outside")
            now = node.grad
            if now is None:
                self.grads.append((t, None))
            elif now is g and g.array is recorder or g is not None and same_memory(now.array, recorder):
                if now is not g:
                    self.fresh.append((now, now.array))
            else:
                made[id(now)] = len(self.values)
                self.grads.append((t, len(self.values)))
                self.fresh.append((now, now.array))
                self.values.append((f"{swap.around.names.get(id(t)) or recorder_name(swap, t)}_grad", now.array.value))
        for t, _, recorder in swap.swapped:
            if t.array is not recorder and not same_memory(t.array, recorder):
                if t.base is not None or t.node is not None:
                    raise CompileError(f"compiled step: the step puts other memory into {recorder.value.name}; write to the memory that is there, as in "
                                       "x.data.copy_(y), x.data -= y or, inside no_grad(), x -= y")  # fmt: skip
                self.rebound.append((t, len(self.values), plain(t.array)))
                self.values.append((recorder.value.name, t.array.value if is_recorder(t.array) else swap.tape.constant(np.asarray(t.array))))

        def leaf(x):
            if isinstance(x, Tensor):
                if id(x) in known:
                    return Same(x)
                if id(x) not in made:
                    if not is_recorder(x.array):
                        made[id(x)] = len(self.values)
                        self.values.append(("constant", swap.tape.constant(np.asarray(x.array))))
                    else:
                        made[id(x)] = len(self.values)
                        self.values.append(("result", x.array.value))
                    check_graph(x)
                grad = next((t for t, k in self.grads if k == made[id(x)]), None)
                return Made(made[id(x)], plain(x.array), frozen(x), grad)
            if is_recorder(x):
                raise CompileError("compiled step: the step returns a NumPy array; return the tensor, and call .numpy() outside")
            if isinstance(x, PLAIN):
                return x
            raise CompileError(f"compiled step: the step returns a {type(x).__name__}; return tensors, or tuples, lists and dicts of them")

        self.tree = mapped(result, leaf)

    def finish(self):
        """Give the tensors that live on the arrays that were computed."""
        for tensor, recorder in self.fresh:
            tensor.array = plain(recorder)
        self.fresh, recorder = [], None
        for t, _, array in self.rebound:
            t.array = array
        self.result = mapped(self.tree, lambda x: x.tensor() if isinstance(x, Made) else x.tensor if isinstance(x, Same) else x)


def check_graph(x):
    """Refuse to return a tensor whose graph could still be used: a replay makes no graph."""
    if x.node is None:
        return
    if any(n.op is not None and n.op.keeps_values and n.saved is not None for n in ancestors(x.node)):
        raise CompileError("compiled step: the step returns a tensor that belongs to a graph, and a replay makes no graph; call backward() "
                           "inside of the step, return y.detach(), or compute it inside `with no_grad():`")  # fmt: skip


def frozen(x):
    """The node of a result whose graph was used up: it still requires grad, and says so if somebody goes back once more."""
    if x.node is None:
        return None
    return Node(x.node.op, (), None, {}, x.node.shape, x.node.dtype) if x.node.op is not None else None


def plain(x):
    """What NumPy itself would have given in place of a recorder: its array, or a scalar."""
    return x if not is_recorder(x) else x.array[()] if x.scalar else x.array


def same_memory(array, recorder):
    """True if a tensor holds a recorder of the same view of the same memory."""
    return is_recorder(array) and array.value.key == recorder.value.key


def recorder_name(swap, t):
    return next(r.value.name for known, _, r in swap.swapped if known is t)


def argument_names(step, args, kwargs):
    """Path of an argument → the name of the parameter that takes it."""
    names = {}
    parameters = [p.name for p in step.named if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    for i, a in enumerate(args):
        for path, _, _ in leaves(a, f"a[0][{i}]"):
            name = parameters[i] if i < len(parameters) else f"x{i}"
            names[path] = name + path.removeprefix(f"a[0][{i}]").replace("[", "_").replace("]", "").replace("'", "")
    for key, a in kwargs.items():
        for path, _, _ in leaves(a, f"a[1][{key!r}]"):
            names[path] = key
    return names


def release(tape, swap):
    """Tensors that still hold an array that writes get the plain one; says what else holds one, or None."""
    known = {id(r) for _, _, r in swap.swapped} | {id(r) for *_, r in swap.grads if r is not None}
    escaped = None
    for alive in tape.alive:
        recorder = alive()
        if recorder is None or id(recorder) in known:
            continue
        for holder in gc.get_referrers(recorder):
            if isinstance(holder, Tensor):
                holder.array = plain(recorder)
            escaped = escaped or type(holder).__name__
    return escaped
