"""From a tape to a function: what nobody uses is dropped, arrays get buffers that are made once, and the rest is text.

The text has two levels. `make` gets the arrays that outlive a step (parameters, buffers, state), makes the buffers and the
views that never change, and returns `step`, which gets the inputs and runs the calls in the order of the tape.
"""

from math import prod

import numpy as np

from .blocks import PIECE, Chain, chained, inside, parts, repeated, target_of
from .errors import Changed, shown
from .tape import Value, repeat, values_in

SHARE = 2048  # bytes from which buffers share memory: on small arrays NumPy's check for overlaps costs more than it saves
OPERATORS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
OUT_BY_NAME = {"maximum", "minimum"}  # a positional out is deprecated there, and warns
PREBOUND = ("attribute", "getitem", "method")


class Program:
    """The calls of a tape that matter, the buffers they write to, and the source that says so."""

    def __init__(self, tape, inputs, results, title):
        self.tape, self.inputs, self.title = tape, inputs, title
        self.results = results = once(tape.calls, results)
        self.parts = chained(checks_first(alive(tape.calls, results)))
        self.calls = [call for part in self.parts for call in (part.calls if isinstance(part, Chain) else [part])]
        self.local: dict = {}  # inside of a chain: values → the names of their blocks
        self.effects()
        self.filled = filled_once(self.calls, {v.storage for v in results})
        self.escaping = {v.storage for v in results}
        self.space = {"Changed": Changed, "repeat": repeat, "errstate": np.errstate, "array": np.array, "empty": np.empty, "copyto": np.copyto,
                      "numpy": np, "True_": np.True_}  # fmt: skip
        self.canonical, self.taken, self.buffers, self.constants = {}, {"make", "step"}, {}, {}
        self.externals: list = []
        for call in self.calls:  # their names are not for values
            functions = call.function if isinstance(call.function, tuple) else (call.function,)
            self.taken.update(name for f in functions for name in [getattr(f, "__name__", "")])
        self.head, self.body, self.first_write = [], [], 10**9
        self.risk_line, self.place = -1, None
        self.plan()
        self.write()

    def effects(self):
        """What has happened before the last place where a replay may give up: (written values, calls made anew); see Plan.careful."""
        last = max((i for i, c in enumerate(self.calls) if c.kind == "expect" or c.varies or c.kind == "again" and c.args[1] is not None), default=-1)
        self.last_risk, before = last, self.calls[: last + 1]
        self.risky_storages = {s for c in before for s in c.writes if s.kind in ("external", "input")}
        self.risky_calls = [c for c in before[:-1] if c.kind == "again"]

    # --- buffers -----------------------------------------------------------------------------------------------------

    def plan(self):
        """Which call writes to which block of memory: one is free again when the last reader of what it holds is done."""
        last = {}
        for i, call in enumerate(self.calls):
            for v in (*call.reads(), *call.outputs):
                last[v.storage] = i
        ends: dict = {}
        for storage, i in last.items():
            ends.setdefault(i, []).append(storage)
        self.block, free, sizes = {}, [], []
        for i, call in enumerate(self.calls):
            given = None
            if self.takes_buffer(call):
                out = call.outputs[0]
                nbytes = out.size * out.dtype.itemsize
                if nbytes < SHARE or out.storage in self.filled:
                    self.block[out.storage] = None
                else:
                    if call.kind == "ufunc" and call.function.signature is None:
                        for v in values_of(call.args):
                            if last[v.storage] == i and self.block.get(v.storage) is not None and v.offset == 0 and (
                                    v.shape, v.strides, v.dtype) == (out.shape, out.strides, out.dtype) and v.call.outputs == [v]:  # fmt: skip
                                given = v.storage
                                break
                    if given is not None:
                        self.block[out.storage] = self.block[given]
                    else:
                        fitting = [b for b in free if nbytes <= sizes[b] <= 2 * nbytes]
                        if fitting:
                            b = min(fitting, key=lambda b: sizes[b])
                            free.remove(b)
                        else:
                            b = len(sizes)
                            sizes.append(nbytes)
                        self.block[out.storage] = b
            for storage in ends.get(i, ()):
                if storage is not given and self.block.get(storage) is not None:
                    free.append(self.block[storage])
        self.sizes = sizes

    def takes_buffer(self, call):
        """True if the result of a call can be written to memory that was there before."""
        if call.kind not in ("ufunc", "dot", "reduce", "copy", "new") or call.out is not None:
            return False
        (out,) = call.outputs
        if out.storage in self.escaping or out.size == 0:
            return False
        if call.kind == "dot" and not (contiguous(out) and all(v.shape for v in values_of(call.args))):
            return False
        return bool(out.shape) or out.storage.written

    # --- text --------------------------------------------------------------------------------------------------------

    def write(self):
        """The source, and the function `make` that it defines."""
        for v in self.inputs:
            v.storage.name = self.name(v, v.storage.name)
        for part in self.parts:
            if isinstance(part, Chain):
                self.chain(part)
            else:
                self.call(part, self.lines(part))
        returned = ", ".join(self.expression(v) for v in self.results)
        names = [v.storage.name for v in self.inputs]
        head = [f"def make({', '.join(v.storage.name for v in self.externals)}):", *(f"    {line}" for line in self.head)]
        head += [f"    def step({', '.join(names)}):"]
        self.first_line = len(head) + 1
        lines = head + [f"        {indent}{text}" for indent, text, _ in self.body]
        lines += [f"        return {returned}{',' if len(self.results) == 1 else ''}" if self.results else "        return ()", "    return step"]
        self.source = "\n".join(lines) + "\n"
        exec(compile(self.source, self.title, "exec"), self.space)
        self.make = self.space["make"]

    def call(self, call, lines, deeper=""):
        """Add the lines of a call to the body, with the user's line above them where it is another one."""
        if call.place != self.place and shown(call.place):
            self.place = call.place
            self.body.append((deeper, f"# {shown(call.place)}", ""))
        if lines and self.first_write > 10**8 and (call.kind == "again" or any(s.kind in ("external", "input") for s in call.writes)):
            self.first_write = len(self.body)
        options = "" if call.errors is None else ", ".join(f"{k}={v!r}" for k, v in call.errors.items() if v != self.tape.quiet[k])
        if lines and options and self.body[-1][2] != options:
            self.body.append((deeper, f"with errstate({options}):", options))
        for line in lines:
            self.body.append((deeper + ("    " if options else ""), line + (f"  # {call.label}" if call.label else ""), options))
        if self.last_risk >= 0 and call is self.calls[self.last_risk]:
            self.risk_line = len(self.body)

    def chain(self, chain):
        """A chain of elementwise calls: a loop over blocks of their arrays."""
        internal, names, small, before = inside(chain, self.calls) & set(self.block), {}, {}, []
        turned = chain.order == "F"
        lines = []
        for call in chain.calls:
            for v in values_of(call.args):
                if v.shape and v.key not in self.local:
                    self.block_of(v, chain, turned, names, before)
            if call.out is None:
                (v,) = call.outputs
                if v.storage in internal:
                    memory = self.block[v.storage], v.dtype
                    if memory not in small:
                        small[memory] = self.fresh_name("block")
                        self.head.append(f"{small[memory]} = empty({PIECE}, {self.held(v.dtype)})")
                    self.local[v.key] = local = self.fresh_name(self.label(call))
                    names[local] = f"blocks_of({small[memory]}, {chain.size}, False)"
                else:
                    if v.storage in self.block:
                        self.buffer(call, v)
                    else:
                        name = self.name(v, self.label(call))
                        before.append(f"{name} = {allocation(v, self.held(v.dtype))}")
                    self.block_of(v, chain, turned, names, before)
            elif call.out.key not in self.local:
                self.block_of(call.out, chain, turned, names, before)
            lines.append((call, [self.into(call, self.local[target_of(call).key])]))
        blocks = self.fresh_name("blocks")
        self.space["blocks_of"] = parts
        fixed = {local: source for local, source in names.items() if source.startswith("blocks_of(")}
        loose = {local: source for local, source in names.items() if local not in fixed}
        self.head.append(f"{blocks} = list(zip(range(0, {chain.size}, {PIECE}){''.join(f', {source}' for source in fixed.values())}))")
        for line in before:
            self.body.append(("", line, ""))
        self.body.append(("", f"for i, {''.join(f'{local}, ' for local in fixed)}in {blocks}:  # {PIECE} elements at a time", ""))
        for local, source in loose.items():
            self.body.append(("    ", f"{local} = {source}[i : i + {PIECE}]", ""))
        for call, text in lines:
            self.call(call, text, "    ")
        self.local = {}

    def fresh_name(self, name):
        """A name that nothing has yet."""
        name = "".join(c if c.isalnum() else "_" for c in name) or "t"
        n, free = 1, name
        while free in self.taken or free in self.space:
            n, free = n + 1, f"{name}_{n}"
        self.taken.add(free)
        return free

    def block_of(self, v, chain, turned, names, before):
        """A name for the blocks of an array that is also there as a whole."""
        whole = self.expression(v)
        if repeated(v):
            self.local[v.key] = local = self.fresh_name(f"{whole}_0")
            self.head.append(f"{local} = array({whole}[{', '.join('0' for _ in v.shape)}])")
            return
        self.local[v.key] = local = self.fresh_name(f"{whole}_i")
        if self.fixed(v):
            names[local] = f"blocks_of({whole}, {chain.size}, {turned})"
        else:
            before.append(f"{local}_all = {whole}{'.T' if turned else ''}.reshape(-1)")
            names[local] = f"{local}_all"

    def name(self, value, name):
        """Give a value its name in the source."""
        self.canonical[value.key] = value.name = name = self.fresh_name(name)
        return name

    def global_name(self, function, name=None):
        """The name under which a function of NumPy's is known in the source."""
        name = name or function.__name__
        if self.space.get(name, function) is not function:
            name = f"numpy_{name}"
        self.space[name] = function
        return name

    def expression(self, x, kind=None):
        """An argument as Python."""
        if isinstance(x, Value):
            known = self.local.get(x.key) or self.canonical.get(x.key)
            if known is None:
                known = self.introduce(x)
            return known
        if isinstance(x, tuple):
            return f"({', '.join(map(self.expression, x))}{',' if len(x) == 1 else ''})"
        if isinstance(x, list):
            return f"[{', '.join(map(self.expression, x))}]"
        if isinstance(x, dict):
            return f"{{{', '.join(f'{k!r}: {self.expression(v)}' for k, v in x.items())}}}"
        if isinstance(x, slice):
            return f"slice({', '.join(self.expression(i) for i in (x.start, x.stop, x.step))})"
        if x is None or x is Ellipsis or type(x) in (bool, int, str) or type(x) is float and abs(x) < np.inf:
            return "..." if x is Ellipsis else repr(x)
        return self.held(x)

    def held(self, x):
        """A name for an object that is no text."""
        for name, known in self.constants.items():
            if known is x:
                return name
        name = x.name if isinstance(x, np.dtype) else getattr(x, "__name__", "") if isinstance(x, type) else ""
        if not name or self.space.get(name, x) is not x:
            name = f"o{len(self.constants)}"
        self.constants[name] = self.space[name] = x
        return name

    def number(self, x, dtype):
        """A number as a 0-d array of the dtype in which it is used: NumPy takes half the time for those."""
        array = np.array(x, dtype)
        key = (array.tobytes(), array.dtype)
        for name, known in self.constants.items():
            if isinstance(known, np.ndarray) and known.ndim == 0 and (known.tobytes(), known.dtype) == key:
                return name
        text = f"{array.item():g}".replace("-", "minus_").replace(".", "_").replace("+", "")
        name = f"k{text}" if len(text) < 12 and text.replace("_", "").isalnum() else f"k_{len(self.constants)}"
        if name in self.space:
            name = f"k_{len(self.constants)}"
        self.constants[name] = self.space[name] = array
        self.head.append(f"# {name} = array({array.item()!r}, {array.dtype})")
        return name

    def introduce(self, v):
        """A value that is met for the first time and that no call of this step made: an external array, a constant."""
        storage = v.storage
        if storage.kind == "constant":
            name = self.name(v, storage.name)
            self.space[name] = storage.array
            self.head.append(f"# {name}: a constant, {storage.array.dtype}{list(storage.array.shape)}")
            return name
        if storage.kind == "external" and v.call is None:
            self.externals.append(v)
            storage.name = self.name(v, storage.name)
            return storage.name
        raise AssertionError(f"compiled step: {storage.kind} {storage.name} of shape {v.shape} is used before it is made")

    def fixed(self, v):
        """True if a view of this value's memory can be made once for all."""
        storage = v.storage
        return storage.kind in ("external", "constant") or storage in self.block

    def lines(self, call):
        """The lines of one call."""
        kind, args = call.kind, call.args
        if kind in PREBOUND and len(call.outputs) == 1 and call.outputs[0].storage.kind != "made" or (
                kind in (*PREBOUND, "function") and len(call.outputs) == 1 and is_view(call)):  # fmt: skip
            return self.view(call)
        if kind == "again":
            return self.again(call)
        if kind == "expect":
            test = f"{'not ' if args[1] is False else ''}{self.expression(args[0])}" if isinstance(args[1], bool) else f"{self.expression(args[0])} == {args[1]!r}"
            return [f"if not ({test}): raise Changed({number!r})" for number in call.place[1:]]
        if kind == "setitem":
            target, index, value = args
            if target.storage in self.filled:
                self.head.append(f"{self.expression(target)}[...] = {self.expression(value)}")
                return []
            if index is Ellipsis or index == slice(None):
                return [f"copyto({self.expression(target)}, {self.expression(value)}, 'unsafe')"]
            return [f"{self.expression(target)}[{self.index(index)}] = {self.expression(value)}"]
        if kind == "statement":
            return [self.called(call)]
        if kind == "new":
            return self.fresh(call)
        (out, *_), more = call.outputs or (None,), call.outputs[1:]
        if call.out is not None:
            return [self.into(call, self.expression(call.out))]
        if not more and out.storage in self.block:
            name = self.buffer(call, out)
            return [self.into(call, name)]
        right = self.called(call)
        names = [self.name(v, self.label(call)) for v in call.outputs]
        text = f"{', '.join(names)}{',' if len(names) == 1 and call.kind == 'tuple' else ''} = {right}"
        if not call.varies:
            return [text]
        return [text, *(f"if {n}.shape != {v.shape}: raise Changed({call.place[1]})" for n, v in zip(names, call.outputs))]

    def label(self, call):
        """A name for what a call makes: after its operator, or after the parameter whose gradient it is."""
        v = call.outputs[0]
        return v.name or call.label.replace("′ for ", "_grad_").replace("′", "_grad") or "t"

    def buffer(self, call, v):
        """The memory for a result, made once."""
        name = self.name(v, self.label(call))
        block = self.block[v.storage]
        dtype = self.held(v.dtype)
        if block is None:
            self.head.append(f"{name} = {allocation(v, dtype)}")
        else:
            if block not in self.buffers:
                self.buffers[block] = f"memory_{block}"
                self.head.append(f"memory_{block} = empty({self.sizes[block]}, 'u1')")
            self.head.append(f"{name} = {layout(v, f'memory_{block}[:{v.size * v.dtype.itemsize}].view({dtype})')}")
        return name

    def into(self, call, out):
        """A call that writes its result into `out`."""
        if call.kind == "copy":
            source = call.args[0]
            return f"copyto({out}, {self.expression(source)}{'' if source.dtype == call.outputs[0].dtype else ', ' + repr('unsafe')})"
        if call.kind == "reduce":
            name = self.reduction(call)
            axis, keep = call.kwargs.get("axis", call.args[1] if len(call.args) > 1 else 0), call.kwargs.get("keepdims", False)
            return f"{name}({self.expression(call.args[0])}, {self.expression(axis)}, None, {out}{', True' if keep else ''})"
        inputs = ", ".join(self.operands(call))
        if call.kind == "dot":
            return f"dot({inputs}, {out})" if self.global_name(np.dot) else ""
        name = self.global_name(call.function)
        return f"{name}({inputs}, {'out=' if name in OUT_BY_NAME else ''}{out})"

    def reduction(self, call):
        """add.reduce and its kin."""
        name = f"{call.function.__name__}_reduce"
        self.space.setdefault(name, call.function.reduce)
        return name

    def operands(self, call):
        """The inputs of a ufunc; numbers as 0-d arrays of the type in which it computes."""
        if not any(isinstance(x, (bool, int, float, np.generic)) for x in call.args):
            return [self.expression(x) for x in call.args]
        kinds = [x.dtype if isinstance(x, (Value, np.generic)) else type(x) for x in call.args]
        try:
            resolved = call.function.resolve_dtypes((*kinds, *[None] * call.function.nout))
        except (TypeError, ValueError):
            return [self.expression(x) for x in call.args]
        return [self.expression(x) if isinstance(x, Value) else self.number(x, d) for x, d in zip(call.args, resolved)]

    def called(self, call):
        """A call that makes its own result."""
        kind, args, kwargs = call.kind, call.args, call.kwargs
        options = "".join(f", {k}={self.expression(v)}" for k, v in kwargs.items())
        if kind == "attribute":
            return f"{self.expression(args[0])}.{call.function}"
        if kind == "getitem":
            return f"{self.expression(args[0])}[{self.index(args[1])}]"
        if kind == "method" or kind == "statement" and isinstance(call.function, str):
            inside = ", ".join(map(self.expression, args[1:])) + options
            return f"{self.expression(args[0])}.{call.function}({inside.removeprefix(', ')})"
        if kind == "copy":
            source, out = args[0], call.outputs[0]
            order = "" if contiguous(out) else ", 'K'" if source.strides == out.strides else ", 'F'"
            return f"{self.expression(source)}.astype({self.held(out.dtype)}{order or ', ' + repr('C')})"
        if kind == "ufunc":
            if call.function.__name__ in OPERATORS and all(isinstance(x, Value) and not x.shape or type(x) in (int, float) or
                                                           isinstance(x, np.floating) and x.dtype == call.outputs[0].dtype for x in args):  # fmt: skip
                a, b = (self.expression(x.item() if isinstance(x, np.floating) else x) for x in args)
                return f"{a} {OPERATORS[call.function.__name__]} {b}"
            return f"{self.global_name(call.function)}({', '.join(self.operands(call))})"
        if kind == "dot":
            return f"{self.expression(args[0])}.dot({self.expression(args[1])})"
        if kind == "reduce":
            inside = ", ".join(map(self.expression, args))
            axis = kwargs.get("axis", 0)
            if len(args) == 1:
                inside += f", {self.expression(axis)}"
            return f"{self.reduction(call)}({inside}{', keepdims=True' if kwargs.get('keepdims') else ''})"
        function, method = call.function if isinstance(call.function, tuple) else (call.function, "")
        name = self.global_name(function)
        return f"{name}{'.' + method if method else ''}({', '.join(map(self.expression, args))}{options})"

    def index(self, i):
        """An index as it is written between brackets."""
        parts = i if isinstance(i, tuple) else (i,)
        text = []
        for p in parts:
            if isinstance(p, slice):
                text.append(":".join("" if e is None else self.expression(e) for e in (p.start, p.stop, p.step)[: 2 if p.step is None else 3]))
            else:
                text.append(self.expression(p))
        return ", ".join(text) + ("," if isinstance(i, tuple) and len(i) == 1 else "") if parts else "()"

    def fresh(self, call):
        """np.zeros and its kin: a buffer that is filled again at each step, or a constant if nobody writes to it."""
        (v,) = call.outputs
        if not v.storage.written and v.storage not in self.escaping and call.function != "empty":
            name = self.name(v, call.function)
            self.space[name] = v.storage.array = getattr(np, call.function)(*call.args, **call.kwargs)
            self.block[v.storage] = None
            self.head.append(f"# {name}: a constant, {v.dtype}{list(v.shape)}")
            return []
        if v.storage not in self.block:
            name = self.name(v, self.label(call))
            text = ", ".join(map(self.expression, call.args)) + "".join(f", {k}={self.expression(x)}" for k, x in call.kwargs.items())
            return [f"{name} = numpy.{call.function}({text.removeprefix(', ')})"]
        name = self.buffer(call, v)
        fill = {"zeros": 0, "ones": 1, "full": call.args[1] if len(call.args) > 1 else call.kwargs.get("fill_value")}
        return [] if call.function == "empty" else [f"{name}[...] = {self.expression(fill[call.function])}"]

    def view(self, call):
        """A view: made once where the memory stays the same, and at each step elsewhere."""
        (v,) = call.outputs
        if v.key in self.canonical:
            return []
        source = next(x for x in values_of(call.args) if x.storage is v.storage)
        text, base = self.called(call), self.expression(source)
        hint = v.name or f"{base}_{'T' if text.endswith('.T') or 'swapaxes' in text else call.function if call.function.__class__ is str and call.function.isalpha() else 'view'}"
        name = self.name(v, hint)
        if self.fixed(v):
            self.head.append(f"{name} = {text}")
            return []
        return [f"{name} = {text}"]

    def again(self, call):
        """What is asked anew at each step: a learning rate, random numbers."""
        args, facts = call.args
        number = sum(name.startswith("again_") for name in self.space)
        self.space[f"again_{number}"] = call_of(call.function, args, facts, call.place[1])
        names = [self.name(v, call.label.removeprefix("all_").removesuffix("s") if len(call.label) > 1 else "number") for v in call.outputs]
        text = f"again_{number}()"
        self.head.append(f"# again_{number}: asks for {getattr(call.function, '__name__', call.function).replace('_', ' ')}")
        return [f"{', '.join(names)}, = {text}" if names else text]


def call_of(function, args, facts, line):
    """A function without arguments for the source."""
    return lambda: repeat(function, args, facts, line)


def values_of(args):
    """The values among arguments, as a list."""
    return list(values_in(args))


def is_view(call):
    """True if the result of a call shows memory of an argument's."""
    return call.outputs[0].storage in [v.storage for v in values_of(call.args)]


def contiguous(v):
    """True for C order."""
    step = v.dtype.itemsize
    for n, stride in zip(reversed(v.shape), reversed(v.strides)):
        if n != 1 and stride != step:
            return False
        step *= n
    return True


def allocation(v, dtype):
    """The source of memory for a value, with the strides it had when it was recorded."""
    if contiguous(v):
        return f"empty({v.shape}, {dtype})"
    return layout(v, f"empty({prod(v.shape)}, {dtype})")


def layout(v, flat):
    """Flat memory as an array with the value's shape, and its axes in the value's order."""
    if contiguous(v):
        return f"{flat}.reshape({v.shape})"
    order = sorted(range(len(v.shape)), key=lambda d: -abs(v.strides[d]))
    back = sorted(range(len(order)), key=lambda d: order[d])
    return f"{flat}.reshape({tuple(v.shape[d] for d in order)}).transpose({tuple(back)})"


def checks_first(calls):
    """Checks that look only at arguments come first: nothing has been changed yet if a replay gives up there."""
    written = {s for c in calls for s in c.writes}
    early, chosen = set(), set()
    for call in calls:
        if call.kind in (*PURE, "function", "expect") and not call.writes and all(
                v.storage not in written and (v.storage.kind in ("input", "constant") or v.storage in early) for v in call.reads()):  # fmt: skip
            early.update(v.storage for v in call.outputs)
            chosen.add(call)
    needed, first = set(), []
    for call in reversed(calls):
        if call in chosen and (call.kind == "expect" or any(v.storage in needed and v.storage.kind == "made" for v in call.outputs) or
                               any(v.key in needed for v in call.outputs)):  # fmt: skip
            first.append(call)
            for v in call.reads():
                needed.update((v.storage, v.key))
    moved = set(first)
    return first[::-1] + [c for c in calls if c not in moved]


def filled_once(calls, escaping):
    """New memory that is written only once, as a whole and with a number: a gradient of ones. It can be made once for all."""
    made = {c.outputs[0].storage: c.outputs[0] for c in calls if c.kind == "new"}
    writes: dict = {}
    for call in calls:
        for storage in call.writes:
            writes.setdefault(storage, []).append(call)
    return {s for s, found in writes.items() if s in made and s not in escaping and len(found) == 1 and found[0].kind == "setitem" and
            found[0].args[0].key == made[s].key and found[0].args[1] in (Ellipsis, slice(None)) and isinstance(found[0].args[2], (int, float, np.generic))}  # fmt: skip


PURE = ("ufunc", "dot", "reduce", "attribute", "getitem", "method", "copy")


def once(calls, results):
    """Let what is computed twice of the same arrays be computed once: x − y in a loss, and again in its derivative."""
    versions, known, same = {}, {}, {}

    def now(x):
        if isinstance(x, Value):
            x = same.get(id(x), x)
            return x.key, versions.get(x.storage, 0)
        if isinstance(x, (tuple, list)):
            return (type(x), *map(now, x))
        if isinstance(x, dict):
            return tuple((k, now(v)) for k, v in x.items())
        if isinstance(x, slice):
            return slice, now(x.start), now(x.stop), now(x.step)
        return (type(x), repr(x)) if isinstance(x, (int, float, str, type(None), type(Ellipsis))) else id(x)  # repr: −0.0 is not 0.0

    returned = {v.storage for v in results}
    moved: dict = {}  # storage of a repeated result → the storage that has it already
    for call in list(calls):
        if call.kind == "again":
            continue
        call.args, call.kwargs = exchanged(call.args, same, moved), exchanged(call.kwargs, same, moved)
        for storage in call.writes:
            versions[storage] = versions.get(storage, 0) + 1
        if call.kind not in PURE or call.out is not None or call.varies or len(call.outputs) != 1:
            continue
        (v,) = call.outputs
        v = call.outputs[0] = same_value(v, same, moved)
        if is_view(call) or v.storage.written or v.storage in returned:
            continue
        key = call.kind, now(call.function), now(call.args), now(call.kwargs), v.dtype, v.strides
        first = known.setdefault(key, v)
        if first is not v:
            same[id(v)] = first
            moved[v.storage] = first.storage
            calls.remove(call)
    return [same_value(v, same, moved) for v in results]


def same_value(v, same, moved):
    """The value that stands for v: itself, the one that was computed first, or the same view of that one's memory."""
    if id(v) in same:
        return same[id(v)]
    if v.storage in moved:
        v.storage = moved[v.storage]
    return v


def exchanged(x, same, moved):
    """Arguments with values that stand for others."""
    if isinstance(x, Value):
        return same_value(x, same, moved)
    if isinstance(x, (tuple, list)):
        return type(x)(exchanged(i, same, moved) for i in x)
    if isinstance(x, dict):
        return {k: exchanged(v, same, moved) for k, v in x.items()}
    if isinstance(x, slice):
        return slice(*(exchanged(i, same, moved) for i in (x.start, x.stop, x.step)))
    return x


def alive(calls, results):
    """The calls without which a result, or what outlives the step, would be different."""
    needed, keys, kept = {v.storage for v in results}, {v.key for v in results}, []
    for call in reversed(calls):
        if is_only_view(call):
            wanted = call.outputs[0].key in keys
        else:
            wanted = call.kind in ("again", "expect") or any(s in needed or s.kind in ("external", "input") for s in call.writes)
            wanted = wanted or any(v.storage in needed for v in call.outputs)
        if wanted:
            kept.append(call)
            needed.update(call.writes)
            for v in (*call.reads(), *call.outputs):
                needed.add(v.storage)
                keys.add(v.key)
    return kept[::-1]


def is_only_view(call):
    return len(call.outputs) == 1 and not call.writes and is_view(call)
