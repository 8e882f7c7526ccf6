"""A plan: a program, what must still be so for it to be right, and where its results go; as one generated function.

The function looks first (is each tensor where it was? has a number changed?), which takes some 20 ns per look, then runs
the program, and then does what the step does besides computing: it sets gradients, and makes the tensors it returns.
"""

from itertools import repeat
from weakref import ref

from ..autograd import dtypes, memory, modes
from ..autograd.node import Node, births
from ..autograd.tensor import Tensor
from .places import Snapshot
from .program import Program
from .surroundings import leaf_node
from .text import joined, written

not_ready = object()  # what `attempt` returns where something is not as it was


class Made:
    """In a result: a tensor that the step made, by its place among the program's results; the gradient of `leaf`, if any."""

    def __init__(self, place, array, node, leaf):
        self.place, self.array, self.leaf = place, array, leaf
        inner = node is not None and node.op is not None  # its graph was used up: it still requires grad, and going back says so
        self.node = Node(node.op, (), None, {}, node.shape, node.dtype) if inner else None

    def tensor(self):
        return Tensor(self.array, self.node) if self.leaf is None else self.leaf.grad


class Plan:
    """One recording of a step."""

    def __init__(self, step, around, swap, after, given, arguments):
        self.around, self.globals, self.after, self.keywords = around, around.space.globals, after, list(arguments[1])
        self.verified, self.layouts = 0, None
        for name, v in after.values:
            v.name = v.name or name if v.storage.kind == "made" else v.name
        inputs = [h for h in swap.tensors if h.recorder.value.storage.kind == "input"]
        used = [h.recorder.value for h in inputs]
        self.program = program_of(step, swap.tape, used, [v for _, v in after.values])
        self.source = self.program.source
        held = {h.recorder.value.storage: h for h in swap.held}
        self.externals = [(held.get(v.storage), v.storage.array) for v in self.program.externals]
        self.written = [i for i, v in enumerate(self.program.externals) if v.storage.written]
        self.written_inputs = [i for i, v in enumerate(used) if v.storage.written]
        for v in used:
            v.storage.array = None  # a plan keeps no batch
        self.write(self.tests(swap, given, arguments, {id(h.holder) for h in inputs}))
        self.bind(*arguments)

    # --- text --------------------------------------------------------------------------------------------------------

    def tests(self, swap, given, arguments, inputs):
        """What must be so for this plan to be right, as Python; notes where arguments are."""
        hold, had = self.around.hold, {id(leaf): g is not None for _, leaf, g, _ in swap.nodes}
        gradient = lambda text, node: f"{text}.grad is {'not ' if had[id(node)] else ''}None and {text}.note is {hold(node.note)}"
        tests, self.paths, self.locals = [f"len(args) == {len(arguments[0])}"], [], {}
        for place, _, kind, x in given:
            if kind == "container":
                tests.append(f"len({place}) == {len(x)} and {place}.__class__ is {hold(type(x))}")
            elif kind == "plain":
                tests.append(self.around.unchanged(place, x))
            elif id(x) not in inputs or id(x) in self.locals:  # a tensor that the step sees anyway, or the same once more
                tests.append(f"{place} is {self.locals.get(id(x)) or hold(x)}")
            else:
                self.locals[id(x)] = t = f"x{len(self.paths)}"
                self.paths.append((place, t))
                tests += [f"({t} := {place}).__class__ is {hold(type(x))}", f"({t}_array := {t}.array).shape == {x.array.shape}",
                          f"{t}_array.dtype == {hold(x.array.dtype)}"]  # fmt: skip
                leaf = x.node and f"is not None and {t}.node.op is None and {gradient(f'{t}.node', x.node)}"
                tests.append(f"{t}.node {leaf or 'is None'}")
        tests.append("(not modes.special or modes.remembering() is True)" if modes.state.grad else "modes.remembering() is False")
        tests.append(f"dtypes.default is {hold(dtypes.default)}")
        for t in self.around.tensors.values():
            tests.append(f"{hold(t)}.node is None" if t.node is None else f"(node := {hold(t)}.node) is {hold(t.node)}")
            if t.node is None and leaf_node(t) is not None:
                tests.append(f"(node := {hold(t)}.__dict__.get('thawed')) is {hold(leaf_node(t))}")
            if id(leaf_node(t)) in had:
                tests.append(gradient("node", leaf_node(t)))
        tests += dict.fromkeys(test for _, test, needed in self.around.items if needed != "apart")
        self.bound = [self.around.space.free("array") for _ in self.externals]
        self.places = [self.place(h, name) for (h, _), name in zip(self.externals, self.bound)]
        tests += [f"{place} is {name} or bind(args, kwargs)" for place, name in zip(self.places, self.bound) if place != name]
        return "\n            and ".join(f"({test})" for test in tests)

    def place(self, held, name):
        """Where an array is, as Python: in an argument, a tensor, or the gradient of one; else there is but its name."""
        if held is None or held.key != "array":
            return name
        t = held.holder if held.owner is None else held.owner
        return f"{self.name(t) if held.owner is None else self.leaf(t) + '.grad'}.array"

    def name(self, t):
        """A tensor as Python: an argument, or what the step sees."""
        return self.locals.get(id(t)) or self.around.hold(t)

    def leaf(self, t):
        """The node that keeps its gradient, as Python."""
        return f"{self.name(t)}.node" if id(t) in self.locals else self.around.hold(leaf_node(t))

    def write(self, tests):
        """Write the functions that look, run and store."""
        after, n = self.after, len(self.after.values)
        given, store = joined([f"{t}.array" for _, t in self.paths]), []
        if self.written:  # as memory.note_writes does it
            store += ["memory.last_write = number = births()",
                      "memory.writes.update(zip(ids, zip(repeat([(number, None)]), repeat('a compiled step'), owners)))"]  # fmt: skip
        if self.written_inputs:
            changed = joined([f"{self.paths[i][1]}.array" for i in self.written_inputs])
            store.append(f"memory.note_writes(({changed}), 'a compiled step')")
        for t, k in after.grads:
            node, made = self.leaf(t), f"new(Tensor); g.array = r{k}; g.node = None"  # Tensor(r), quickly
            store.append(f"{node}.grad = None" if k is None else f"g = {node}.grad = {made}")
        store += [f"{self.name(t)}.array = r{k}" for t, k in after.rebound]
        store.append(f"return {written(after.tree, self.returned)}")
        step = [f"{joined([f'r{k}' for k in range(n)])} = run({given})" if n else f"run({given})", *store]
        look = ["try:", f"    right = ({tests})", "except Exception:", "    right = False"]
        fetch = [f"{t} = {place}" for place, t in self.paths]
        bodies = {"ready(args, kwargs={})": [*look, "return right"], "replay(args, kwargs={})": [*fetch, *step],
                  "attempt(args, kwargs={})": [*look, "if not right: return not_ready", *step],
                  "inputs(args, kwargs)": [*fetch, f"return [{given}]"],
                  "arrays(args, kwargs)": [*fetch, f"return [{joined(self.places)}]"],
                  "looped(args, times, kwargs={})": [*fetch, step[0].replace("run(", "run.loop(times, "), *store]}  # fmt: skip
        self.globals.update(zip(self.bound, (array for _, array in self.externals)), Tensor=Tensor, modes=modes, dtypes=dtypes,
                            memory=memory, births=births, repeat=repeat, new=Tensor.__new__, not_ready=not_ready,
                            bind=self.bind)  # fmt: skip
        lines = [line for head, body in bodies.items() for line in (f"def {head}:", *(f"    {x}" for x in body))]
        self.around.space.run(lines, "<compiled step: looks>")
        for name in ("ready", "replay", "attempt", "inputs", "arrays", "looped"):
            setattr(self, name, self.globals[name])
        if not self.program.loops:
            self.looped = None
        if self.program.careful:
            self.certain, self.replay = self.replay, self.careful
            self.attempt = lambda args: self.careful(args) if self.ready(args) else not_ready

    def returned(self, x):
        """A part of the result, or a key or a type of a container in it, as Python."""
        if isinstance(x, Made):
            if x.leaf is not None:
                return f"{self.leaf(x.leaf)}.grad"
            return f"Tensor(r{x.place}, {'None' if x.node is None else self.around.hold(x.node)})"
        return "None" if x is None else self.name(x)

    # --- arrays ------------------------------------------------------------------------------------------------------

    def bind(self, args, kwargs):
        """Let the program work on the arrays that are there now; False if they are of another kind than those it was made for."""
        arrays = self.arrays(args, kwargs)
        layouts = [(type(a), a.shape, a.dtype, a.strides) for a in arrays]
        self.layouts = self.layouts or layouts
        if layouts != self.layouts:
            return False
        owners = [memory.owner(arrays[i]) for i in self.written]
        self.globals.update(zip(self.bound, arrays), ids=[*map(id, owners)], owners=[*map(ref, owners)])
        self.globals["run"] = self.program.make(*arrays)
        return True

    def careful(self, args, kwargs={}):  # noqa: B006
        """A replay that may give up after it has changed something: then it puts that back."""
        changed = [a for v, a in zip(self.program.externals, self.arrays(args, kwargs)) if v.storage in self.program.risky]
        changed += [a for i, a in enumerate(self.inputs(args, kwargs)) if i in self.written_inputs]
        states = [t for o in self.around.optimizers for s in o.state.values() for t in s.values() if isinstance(t, Tensor)]
        before = Snapshot(changed, [(t, "array") for t in states], (), self.around.generators)
        try:
            return self.certain(args, kwargs)
        except Exception:
            before.restore()
            raise

    def fits(self, args, kwargs):
        """True if this plan is right for a call."""
        return list(kwargs) == self.keywords and self.ready(args, kwargs)


def program_of(step, tape, inputs, results):
    """The program that the step's backend asks for."""
    title = f"<compiled {getattr(step.function, '__name__', 'step')}>"
    if step.backend != "numpy":
        from .scalar import ScalarProgram, Unsuitable

        try:
            return ScalarProgram(tape, inputs, results, title)
        except Unsuitable:
            if step.backend == "scalar":
                raise
    return Program(tape, inputs, results, title)
