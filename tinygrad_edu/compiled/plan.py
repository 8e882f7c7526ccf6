"""A plan: a program, what must still be so for it to be right, and where its results go; as one generated function.

The function looks first (is each tensor where it was? has a number changed?), which takes some 20 ns per look, then runs
the program, and then does what the step does besides computing: it sets gradients, and makes the tensors it returns.
"""

from itertools import repeat
from weakref import ref

import numpy as np

from ..autograd import dtypes, memory, modes
from ..autograd.node import births
from ..autograd.tensor import Tensor
from .program import Program
from .trees import Made, Same, leaves


class Names(dict):
    """A namespace that gives names to objects."""

    def __call__(self, x):
        if isinstance(x, (int, str)) and not isinstance(x, bool):
            return repr(x)
        name = f"v{id(x)}"
        self[name] = x
        return name


class Plan:
    """One recording of a step."""

    def __init__(self, step, around, swap, after, arguments, argument_names):
        self.step, self.around, self.tree = step, around, after.tree
        self.verified, self.looped = 0, None
        self.tensors = [t for t, _, _ in swap.swapped]
        self.grads, self.rebound = after.grads, after.rebound
        names = Names()
        self.names = names
        inputs = {id(t): r.value for t, _, r in swap.swapped if r.value.storage.kind == "input"}
        for name, value in after.values:
            if value.storage.kind == "made" and not value.name:
                value.name = name
        self.results = [v for _, v in after.values]
        self.result_names = [n for n, _ in after.values]
        used = list(inputs.values())
        self.program = program_of(step, swap.tape, used, self.results)
        self.source = self.program.source
        places = {id(r.value.storage): (t, None) for t, _, r in swap.swapped}
        places |= {id(r.value.storage): (t, g) for t, _, g, _, r in swap.grads if r is not None}
        self.externals = []  # (tensor, gradient or None, or the array itself where no tensor holds it)
        for v in self.program.externals:
            self.externals.append(places.get(id(v.storage), (None, v.storage.array)))
        self.external_names = [v.name for v in self.program.externals]
        self.written = [i for i, v in enumerate(self.program.externals) if v.storage.written]
        self.written_inputs = [i for i, v in enumerate(used) if v.storage.written]
        for v in used:
            v.storage.array = None  # a plan keeps no batch
        self.guard(swap, arguments, argument_names, inputs)

    # --- what must be so ---------------------------------------------------------------------------------------------

    def guard(self, swap, arguments, argument_names, inputs):
        """The tests of the arguments and of what the step sees, as Python."""
        names, tests = self.names, []
        names.update(Tensor=Tensor, modes=modes, dtypes=dtypes)
        had = {id(t): g is not None for t, _, g, _, _ in swap.grads}
        args, kwargs = arguments
        self.paths, self.keywords, seen = [], list(kwargs), {}
        for path, kind, x in leaves((args, kwargs), "a"):
            if path in ("a", "a[1]"):
                continue
            place = path.replace("a[0]", "args", 1).replace("a[1]", "kwargs", 1)
            if kind == "container":
                tests.append(f"len({place}) == {len(x)}")
                if path != "a[0]":
                    tests.append(f"{place}.__class__ is {names(type(x))}")
            elif kind == "plain":
                tests.append(f"{place}.__class__ is {names(type(x))} and {place} == {names(x)}" if x is not None and x is not True and x is not False
                             else f"{place} is {x}")  # fmt: skip
            elif id(x) not in inputs:  # a tensor that the step sees anyway
                tests.append(f"{place} is {names(x)}")
            elif id(x) in seen:
                tests.append(f"{place} is {seen[id(x)]}")
            else:
                local = f"x{len(self.paths)}"
                seen[id(x)] = local
                self.paths.append((place, local))
                node = "is None" if x.node is None else f"is not None and {local}.node.op is None and {local}.node.grad {absent(had[id(x)])}"
                tests.append(f"({local} := {place}).__class__ is {names(type(x))} and ({local}_array := {local}.array).shape == {tuple(x.array.shape)} and "
                             f"{local}_array.dtype == {names(x.array.dtype)} and {local}.node {node}")  # fmt: skip
        self.locals = seen
        tests.append(f"modes.state.grad is {modes.state.grad}" if not modes.state.grad else "(not modes.special or modes.state.grad is True and "
                     "not modes.state.recording and not modes.state.anomaly)")  # fmt: skip
        tests.append(f"dtypes.default is {names(dtypes.default)}")
        self.nodes = [(t, t.node) for t in self.around.tensors.values()]
        for t, node in self.nodes:
            if node is None:
                tests.append(f"{names(t)}.node is None")
            else:
                tests.append(f"(node := {names(t)}.node) is {names(node)}")
                if id(t) in had:
                    tests.append(f"node.grad {absent(had[id(t)])} and node.note is {names(node.note)}")
        self.tests = tests
        self.items = [*dict.fromkeys(item for item in self.around.items)]
        self.prepare()

    def prepare(self):
        """Write the function that looks, runs and stores; again after an array or a number was replaced by its equal."""
        names = self.names
        arrays = self.arrays()
        self.bound = arrays
        tests = [*self.tests, *self.items_source()]
        for (t, g), array in zip(self.externals, arrays):
            if t is not None:
                tests.append(f"{names(t)}{'' if g is None else '.node.grad'}.array is {names(array)}")
        looks = "\n            and ".join(tests)
        names.update(new=Tensor.__new__, repeat=repeat, zip=zip, len=len)
        fetch = [f"    {local} = {place}" for place, local in self.paths]
        values = [f"r{i}" for i in range(len(self.results))]
        inputs = ", ".join(f"{local}.array" for _, local in self.paths)
        store = [f"    {', '.join(values)}{',' if len(values) == 1 else ''} = run({inputs})" if values else f"    run({inputs})"]
        written = [names(arrays[i]) for i in self.written]
        if written:  # as memory.note_writes does it
            owners = [memory.owner(arrays[i]) for i in self.written]
            names.update(ids=tuple(map(id, owners)), owners=tuple(map(ref, owners)), memory=memory, births=births)
            store += ["    memory.last_write = number = births()",
                      "    memory.writes.update(zip(ids, zip(repeat(number), repeat('a compiled step'), owners)))"]  # fmt: skip
        if self.written_inputs:
            names.update(note_writes=memory.note_writes)
            store.append(f"    note_writes(({''.join(f'{self.paths[i][1]}.array, ' for i in self.written_inputs)}), 'a compiled step')")
        for t, k in self.grads:
            place = f"{self.locals[id(t)]}.node" if id(t) in self.locals else names(t.node)
            if k is None:
                store.append(f"    {place}.grad = None")
            else:  # Tensor(r), without the call of its __init__
                store.append(f"    g = {place}.grad = new(Tensor); g.array = r{k}; g.node = None")
        for t, k, _ in self.rebound:
            store.append(f"    {self.locals.get(id(t)) or names(t)}.array = r{k}")
        store.append(f"    return {self.returned(self.tree)}")
        look = ["    try:", f"        right = ({looks})", "    except Exception:", "        right = False"]
        lines = ["def ready(args, kwargs={}):", *look, "    return right", "def replay(args, kwargs={}):", *fetch, *store,
                 "def attempt(args, kwargs={}):", *look, "    if not right:", "        return not_ready", *store]  # fmt: skip
        names.update(run=self.program.make(*arrays), not_ready=not_ready)
        if hasattr(names["run"], "loop"):
            lines += ["def looped(args, times, kwargs={}):", *fetch, store[0].replace("run(", "run.loop(")[:-1] + ", times)", *store[1:]]
        exec(compile("\n".join(lines), "<compiled step: looks>", "exec"), names)
        self.looped = names.get("looped")
        self.ready, self.replay, self.attempt = names["ready"], names["replay"], names["attempt"]
        if self.program.risky_storages or self.program.risky_calls:
            self.certain, self.replay = self.replay, self.careful
            self.attempt = lambda args: self.careful(args) if self.ready(args) else not_ready

    def items_source(self):
        """The tests of what the step sees: a dict as a whole (the same objects are equal at once), other places one by one."""
        names, whole, tests = self.names, {}, []
        for item in self.items:
            whole.setdefault(id(item.holder), []).append(item)
        for items in whole.values():
            holder = items[0].holder
            kept = {item.key: item.value for item in items if item.kind == "item"}
            if isinstance(holder, dict) and len(kept) == len(holder) and len(items) > len(kept):
                tests.append(f"{names(holder)} == {names(kept)}")
            else:
                tests += [item.source(names) for item in items]
        return tests

    def careful(self, args, kwargs={}):  # noqa: B006
        """A replay that may give up after it has changed something: then it puts that back."""
        program, arrays = self.program, self.arrays()
        saved = [(a, a.copy()) for v, a in zip(program.externals, arrays) if v.storage in program.risky_storages]
        saved += [(a, a.copy()) for i, a in enumerate(self.inputs(args, kwargs)) if i in self.written_inputs]
        generators = [(g, g.get_state()) for g in self.around.generators]
        counts = [(t, t.array) for o in self.around.optimizers for s in o.state.values() for t in s.values() if isinstance(t, Tensor) and not t.array.ndim]
        try:
            return self.certain(args, kwargs)
        except Exception:
            for array, copy in saved:
                array[...] = copy
            for g, state in generators:
                g.set_state(state)
            for t, array in counts:
                t.array = array
            raise

    def returned(self, tree):
        """The result as Python."""
        names = self.names
        if isinstance(tree, Made):
            if tree.grad is not None:
                return f"{self.locals.get(id(tree.grad)) or names(tree.grad)}.node.grad"
            return f"Tensor(r{tree.place}{', ' + names(tree.node) if tree.node is not None else ''})"
        if isinstance(tree, Same):
            return self.locals.get(id(tree.tensor)) or names(tree.tensor)
        if isinstance(tree, dict):
            return "{" + ", ".join(f"{names(k)}: {self.returned(v)}" for k, v in tree.items()) + "}"
        if hasattr(tree, "_fields"):
            return f"{names(type(tree))}({', '.join(map(self.returned, tree))})"
        if isinstance(tree, tuple):
            return f"({', '.join(map(self.returned, tree))}{',' if len(tree) == 1 else ''})"
        if isinstance(tree, list):
            return f"[{', '.join(map(self.returned, tree))}]"
        return "None" if tree is None else names(tree)

    # --- arrays ------------------------------------------------------------------------------------------------------

    def arrays(self):
        """The arrays that outlive a step, as they are now."""
        return [g if t is None else t.array if g is None else t.node.grad.array for t, g in self.externals]

    def inputs(self, args, kwargs):
        """The arrays of the arguments."""
        space = {"args": args, "kwargs": kwargs}
        return [eval(place, space).array for place, _ in self.paths]

    def difference(self, result, replay, args, kwargs):
        """What a replay on copies gives that the step itself, which has just returned `result`, does not; None if they agree."""
        values, copies, inputs = replay
        now: dict = {}
        returned_now(self.tree, result, now)
        for t, k in self.grads:
            if k is not None:
                t = self.at(t, args, kwargs)
                now[k] = None if t.node.grad is None else t.node.grad.array
        for t, k, _ in self.rebound:
            now[k] = self.at(t, args, kwargs).array
        pairs = [(a, now.get(k), name) for k, (a, name) in enumerate(zip(values, self.result_names))]
        pairs += zip(copies, self.arrays(), self.external_names)
        pairs += zip(inputs, self.inputs(args, kwargs), ("an argument" for _ in inputs))
        different = [name for a, b, name in pairs if not close(a, b)]
        return f"the replay gives another {' and another '.join(different[:3])}" if different else None

    def at(self, t, args, kwargs):
        """A tensor that was an argument when the step was recorded: the one that is there now."""
        local = self.locals.get(id(t))
        place = next((place for place, name in self.paths if name == local), None)
        return t if place is None else eval(place, {"args": args, "kwargs": kwargs})

    def fits(self, args, kwargs):
        """True if this plan is right for a call; it follows arrays and numbers that were replaced by their equals."""
        if list(kwargs) != self.keywords:
            return False
        if self.ready(args, kwargs):
            return True
        names = self.names
        try:
            if not all(eval(test, names, {"args": args, "kwargs": kwargs}) for test in [" and ".join(f"({t})" for t in self.tests)]):
                return False
            if not all(item.same() for item in self.items) or any(t.node is not node for t, node in self.nodes):
                return False
            arrays = self.arrays()
        except Exception:  # something is missing or of another kind
            return False
        for now, then in zip(arrays, self.bound):
            if not isinstance(now, type(then)) or (now.shape, now.dtype, now.strides) != (then.shape, then.dtype, then.strides):
                return False
        for item in self.items:
            if item.kind in ("item", "cell"):
                item.value = item.now()
        self.prepare()
        return self.ready(args, kwargs)


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


def returned_now(tree, result, found):
    """Collect the arrays of a result of the step itself, by their places among the program's results."""
    if isinstance(tree, Made):
        found[tree.place] = result.array if isinstance(result, Tensor) else None
    elif isinstance(tree, dict):
        for key, item in tree.items():
            returned_now(item, result[key], found)
    elif isinstance(tree, (tuple, list)):
        for item, r in zip(tree, result):
            returned_now(item, r, found)


def close(a, b):
    """Equal up to the last digits, relative to the largest."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind not in "fc":
        return bool((a == b).all())
    scale = np.abs(b[np.isfinite(b)]).max(initial=0.0)
    with np.errstate(all="ignore"):
        same = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= 200 * np.finfo(a.dtype).eps * scale)
    return bool(same.all())


not_ready = object()  # what `attempt` returns where something is not as it was


def absent(there):
    """A test that something is there, or is not."""
    return "is not None" if there else "is None"
