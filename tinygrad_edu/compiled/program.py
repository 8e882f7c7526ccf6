"""From the calls of a tape to a function: arrays get buffers that are made once, and the rest is text.

The text has two levels. `make` gets the arrays that outlive a step (parameters, buffers, state), makes the buffers and the
views that never change, and returns `step`, which gets the inputs and runs the calls in the order of the tape.
"""

from collections import defaultdict
from functools import partial

import numpy as np

from ..autograd import dtypes
from .errors import Changed, shown
from .passes import PIECE, Chain, alive, chained, checks_first, elementwise, once, repeated, written_by
from .tape import Value, repeat
from .text import Space, joined, written

SHARE = 2048  # bytes from which buffers share memory: on small arrays NumPy's check for overlaps costs more than it saves
OPERATORS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
OUT_BY_NAME = {"maximum", "minimum"}  # a positional out is deprecated there, and warns
FILLED = {"zeros": 0, "ones": 1}


class Program:
    """The calls of a tape that matter, the buffers they write to, and the source that says so."""

    loops = False

    def __init__(self, tape, inputs, results, title):
        self.inputs, self.results, self.title = inputs, results, title
        self.parts = chained(checks_first(alive(once(tape.calls, results), results)))
        self.calls = [call for part in self.parts for call in (part.calls if isinstance(part, Chain) else [part])]
        self.escaping = {v.storage for v in results}
        used = {name: getattr(np, name) for name in ("empty", "copyto", "errstate", "array")}
        self.space = Space(Changed=Changed, blocks_of=blocks_of, **used)
        self.space.taken |= {"make", "step", "i"}
        for call in self.calls:  # their names are not for values
            if callable(call.function) and call.kind not in ("again", "expect"):
                self.function_name(call)
        self.named: dict = {}  # key of a value → its name
        self.local: dict = {}  # the same inside of a chain, for blocks
        self.externals: list = []
        self.head, self.body, self.first_write = [], [], 10**9
        self.place, self.memories = None, set()
        last = max((i for i, call in enumerate(self.calls) if call.may_stop), default=-1)
        before = self.calls[: last + 1]  # what has happened before the last place where a replay may give up; see Plan.careful
        self.risky = {s for c in before for s in c.writes if s.lasting}
        self.careful = bool(self.risky) or any(c.kind == "again" for c in before[:-1])
        self.last_risk, self.risk_line = before[-1] if before else None, -1
        self.share_memory()
        self.write()

    # --- buffers -----------------------------------------------------------------------------------------------------

    def share_memory(self):
        """Which call writes to which block of memory: one is free again when the last reader of what it holds is done."""
        ends, free = defaultdict(list), []
        for storage, i in {v.storage: i for i, call in enumerate(self.calls) for v in call.touches()}.items():
            ends[i].append(storage)
        self.block, self.sizes = {}, []
        for i, call in enumerate(self.calls):
            if self.takes_buffer(call):
                (out,) = call.outputs
                nbytes = out.size * out.dtype.itemsize
                ending = [v for v in call.reads() if v.storage in ends[i] and self.block.get(v.storage) is not None]
                given = [v.storage for v in ending if v.layout == out.layout and v.call.outputs == [v] and call.kind == "ufunc"
                         and elementwise(call)]  # fmt: skip
                fitting = [b for b in free if nbytes <= self.sizes[b] <= 2 * nbytes]
                if nbytes < SHARE:
                    self.block[out.storage] = None
                elif given:
                    self.block[out.storage] = self.block[given[0]]
                    ends[i].remove(given[0])
                elif fitting:
                    self.block[out.storage] = min(fitting, key=self.sizes.__getitem__)
                    free.remove(self.block[out.storage])
                else:
                    self.block[out.storage] = len(self.sizes)
                    self.sizes.append(nbytes)
            free += [self.block[s] for s in ends[i] if self.block.get(s) is not None]

    def takes_buffer(self, call):
        """True if the result of a call can be written to memory that was there before."""
        if call.kind not in ("ufunc", "dot", "reduce", "copy", "new") or call.target is not None:
            return False
        (out,) = call.outputs
        if call.kind == "dot" and not (out.order == "C" and all(v.shape for v in call.reads())):
            return False
        return out.storage not in self.escaping and out.size > 0 and (out.shape != () or out.storage.written)

    def buffer(self, call):
        """The name of the memory for a result, made once."""
        (v,) = call.outputs
        name, block, dtype = self.name(v, self.label(call)), self.block[v.storage], self.hold(v.dtype)
        if block is not None and block not in self.memories:
            self.memories.add(block)
            self.head.append(f"memory_{block} = empty({self.sizes[block]}, 'u1')")
        piece = f"memory_{block}[:{v.size * v.dtype.itemsize}].view({dtype})"
        self.head.append(f"{name} = {allocation(v, dtype) if block is None else layout(v, piece)}")
        return name

    # --- text --------------------------------------------------------------------------------------------------------

    def write(self):
        """The source, and the function `make` that it defines."""
        for v in self.inputs:
            self.name(v, v.storage.name)
        for part in self.parts:
            if isinstance(part, Chain):
                self.chain(part)
            else:
                self.add(part, self.lines(part))
        results = joined([self.expression(v) for v in self.results])
        lines = [f"def make({', '.join(self.named[v.key] for v in self.externals)}):", *(f"    {line}" for line in self.head),
                 f"    def step({', '.join(self.named[v.key] for v in self.inputs)}):"]  # fmt: skip
        self.first_line = len(lines) + 1
        lines += [f"        {line}" for line, _ in self.body] + [f"        return {results or '()'}", "    return step"]
        self.source = self.space.run(lines, self.title)
        self.make = self.space.globals["make"]

    def add(self, call, lines, deeper=""):
        """Add the lines of a call to the body, with the user's line above them where it is another one."""
        if call.place != self.place and shown(call.place):
            self.place = call.place
            self.body.append((f"{deeper}# {shown(call.place)}", ""))
        if lines and (call.kind == "again" or any(s.lasting for s in call.writes)):
            self.first_write = min(self.first_write, len(self.body))
        options = ", ".join(f"{k}={v!r}" for k, v in call.errors.items())
        if lines and options and self.body[-1][1] != options:
            self.body.append((f"{deeper}with errstate({options}):", options))
        for line in lines:
            self.body.append((deeper + "    " * bool(options) + line + (f"  # {call.label}" if call.label else ""), options))
        if call is self.last_risk:
            self.risk_line = len(self.body)

    def chain(self, chain):
        """A chain of elementwise calls: a loop over blocks of their arrays."""
        inside, views, slices, small, lines = chain.inside(self.calls) & self.block.keys(), {}, {}, {}, []

        def local(v):
            """Name the blocks of an array that is also there as a whole."""
            whole = self.expression(v)
            self.local[v.key] = name = self.space.free(f"{whole}_{0 if repeated(v) else 'i'}")
            if repeated(v):
                self.head.append(f"{name} = array({whole}[{', '.join('0' * len(v.shape))}])")
            elif self.fixed(v):
                views[name] = f"blocks_of({whole}, {chain.size}, {chain.order!r})"
            else:
                slices[name] = f"{name}_all"
                self.body.append((f"{name}_all = {whole}.reshape(-1, order={chain.order!r})", ""))

        for call in chain.calls:
            v = written_by(call)
            if call.target is None and v.storage in inside:
                memory = self.block[v.storage], v.dtype
                if memory not in small:
                    small[memory] = self.space.free("block")
                    self.head.append(f"{small[memory]} = empty({PIECE}, {self.hold(v.dtype)})")
                name = self.space.free(self.label(call))
                views[name] = f"blocks_of({small[memory]}, {chain.size}, 'C')"
            elif call.target is None and v.storage in self.block:
                self.buffer(call)
            elif call.target is None:
                name = self.name(v, self.label(call))
                self.body.append((f"{name} = {allocation(v, self.hold(v.dtype))}", ""))
            for x in call.touches():
                if x.shape and x.key not in self.local and not (x is v and x.storage in inside):
                    local(x)
            if v.storage in inside and call.target is None:
                self.local[v.key] = name
            lines.append((call, [self.called(call, self.local[v.key])]))
        blocks = self.space.free("blocks")
        self.head.append(f"{blocks} = list(zip({joined([f'range(0, {chain.size}, {PIECE})', *views.values()])}))")
        self.body.append((f"for {joined(['i', *views])} in {blocks}:  # {PIECE} elements at a time", ""))
        self.body += [(f"    {name} = {source}[i : i + {PIECE}]", "") for name, source in slices.items()]
        for call, text in lines:
            self.add(call, text, "    ")
        self.local = {}

    def name(self, value, hint):
        """Give a value its name in the source."""
        self.named[value.key] = value.name = name = self.space.free(hint)
        return name

    def label(self, call):
        """A name for what a call makes: after its operator, or after the parameter whose gradient it is."""
        return call.outputs[0].name or call.label.replace("′ for ", "_grad_").replace("′", "_grad")

    def hold(self, x):
        """A name for an object that is no text."""
        return self.space.hold(x, x.name if isinstance(x, (np.dtype, dtypes.dtype)) else "")

    def number(self, x, dtype):
        """A number as a 0-d array of the dtype in which it is used: NumPy takes half the time for those."""
        array = np.array(x, dtype)
        name = self.space.hold(array, f"k{array.item():g}".replace("-", "minus_"), (array.tobytes(), array.dtype))
        if self.space.globals[name] is array:
            self.head.append(f"# {name} = array({array.item()!r}, {array.dtype})")
        return name

    def expression(self, x):
        """An argument as Python."""
        return written(x, self.leaf)

    def leaf(self, x):
        if isinstance(x, Value):
            return self.local.get(x.key) or self.named.get(x.key) or self.introduce(x)
        if x is None or x is Ellipsis or type(x) in (bool, int, str) or type(x) is float and abs(x) < np.inf:
            return "..." if x is Ellipsis else repr(x)
        return self.hold(x)

    def introduce(self, v):
        """The name of a value that is met for the first time and that no call made: an external array, a constant."""
        storage = v.storage
        if storage.kind == "constant":
            name = self.name(v, storage.name)
            self.space.globals[name] = storage.array
            self.head.append(f"# {name}: a constant, {v.dtype}{list(v.shape)}")
        elif storage.kind == "external" and v.call is None:
            self.externals.append(v)
            name = self.name(v, storage.name)
        else:
            raise AssertionError(f"compiled step: {storage.kind} {storage.name} of shape {v.shape} is used before it is made")
        return name

    def fixed(self, v):
        """True if a view of this value's memory can be made once for all."""
        return v.storage.kind in ("external", "constant") or v.storage in self.block

    def lines(self, call):
        """The lines of one call."""
        kind, args, outputs = call.kind, call.args, call.outputs
        if kind in ("again", "new"):
            return getattr(self, kind)(call)
        if kind == "expect":
            number, wanted = self.expression(args[0]), args[1]
            test = ("" if wanted else "not ") + number if isinstance(wanted, bool) else f"{number} == {wanted!r}"
            return [f"if not ({test}): raise Changed({call.place[1]})"]
        if kind == "setitem":
            target, value = self.expression(args[0]), self.expression(args[2])
            whole = args[1] is Ellipsis or args[1] == slice(None)
            return [f"copyto({target}, {value}, 'unsafe')" if whole else f"{target}[{self.index(args[1])}] = {value}"]
        if call.is_view:
            return self.view(call)
        if call.target is not None:
            return [self.called(call, self.expression(call.target))]
        if call.writes:
            return [self.called(call)]
        if len(outputs) == 1 and outputs[0].storage in self.block:
            return [self.called(call, self.buffer(call))]
        right = self.called(call)
        names = [self.name(v, self.label(call)) for v in outputs]
        checks = [f"if {n}.shape != {v.shape}: raise Changed({call.place[1]})" for n, v in zip(names, outputs) if call.varies]
        return [f"{', '.join(names)} = {right}", *checks]

    def function_name(self, call):
        """The name of the function of a call: exp, add_reduce."""
        function = call.function.reduce if call.kind == "reduce" else call.function
        ufunc = getattr(function, "__self__", None)
        return self.space.hold(function, (f"{ufunc.__name__}_" if isinstance(ufunc, np.ufunc) else "") + function.__name__)

    def operands(self, call):
        """The inputs of a call; numbers of a ufunc as 0-d arrays of the type in which it computes."""
        args, ufunc = call.args, call.function
        try:
            if call.kind == "ufunc" and not all(isinstance(x, Value) for x in args):
                kinds = [x.dtype if isinstance(x, (Value, np.generic)) else type(x) for x in args]
                return [self.expression(x) if isinstance(x, Value) else self.number(x, dtype)
                        for x, dtype in zip(args, ufunc.resolve_dtypes((*kinds, *[None] * ufunc.nout)))]  # fmt: skip
        except (TypeError, ValueError):
            pass
        return list(map(self.expression, args))

    def called(self, call, out=""):
        """A call as Python, which makes its own result, or writes it to `out`."""
        kind, args, function, kwargs = call.kind, call.args, call.function, call.kwargs
        scalars = kind == "ufunc" and not out and all(is_scalar(x, call.outputs[0].dtype) for x in args)
        if scalars and function.__name__ in OPERATORS:
            a, b = (self.expression(x.item() if isinstance(x, np.floating) else x) for x in args)
            return f"{a} {OPERATORS[function.__name__]} {b}"
        first, *rest = self.operands(call)
        options = [f"{k}={self.expression(v)}" for k, v in kwargs.items()]
        if kind == "attribute":
            return f"{first}.{function}"
        if kind == "getitem":
            return f"{first}[{self.index(args[1])}]"
        if kind == "method":
            return f"{first}.{function}({', '.join(rest + options)})"
        if kind == "copy":
            v = call.outputs[0]
            order = "C" if v.order == "C" else "K" if v.strides == args[0].strides else "F"
            return f"copyto({out}, {first}, 'unsafe')" if out else f"{first}.astype({self.hold(v.dtype)}, {order!r})"
        if kind == "reduce":
            axis, kept = self.expression(axis_of(call)), ["keepdims=True"] * bool(kwargs.get("keepdims"))
            return f"{self.function_name(call)}({', '.join([first, axis, *(['None', out] if out else []), *kept])})"
        if kind == "dot" and not out:
            return f"{first}.dot({rest[0]})"
        name = self.function_name(call)
        return f"{name}({', '.join([first, *rest, *options, *([f'out={out}' if name in OUT_BY_NAME else out] if out else [])])})"

    def index(self, i):
        """An index as it is written between brackets."""
        part = lambda x: "" if x is None else self.expression(x)
        colons = lambda p: f"{part(p.start)}:{part(p.stop)}" + f":{part(p.step)}" * (p.step is not None)
        text = [colons(p) if isinstance(p, slice) else self.expression(p) for p in (i if isinstance(i, tuple) else (i,))]
        return (joined(text) if isinstance(i, tuple) else text[0]) or "()"

    def new(self, call):
        """np.zeros and its kin: a buffer that is filled again at each step, or a constant if nobody writes to it."""
        (v,), function, args, kwargs = call.outputs, call.function, call.args, call.kwargs
        if not v.storage.written and v.storage not in self.escaping and function != "empty":
            v.storage.kind, v.storage.name, v.storage.array = "constant", function, getattr(np, function)(*args, **kwargs)
            self.block.pop(v.storage, None)
            self.introduce(v)
            return []
        if v.storage not in self.block:
            call.kind, call.function = "function", getattr(np, function)
            return self.lines(call)
        name, value = self.buffer(call), FILLED.get(function, args[1] if len(args) > 1 else kwargs.get("fill_value"))
        return [] if function == "empty" else [f"{name}[...] = {self.expression(value)}"]

    def view(self, call):
        """A view: made once where the memory stays the same, and at each step elsewhere."""
        (v,) = call.outputs
        base = self.expression(next(x for x in call.reads() if x.storage is v.storage))
        if v.key in self.named:
            return []
        text = self.called(call)
        kind = getattr(call.function, "__name__", call.function)
        line = f"{self.name(v, v.name or base + ('_view' if kind == '[]' else f'_{kind}'))} = {text}"
        if self.fixed(v):
            self.head.append(line)
            return []
        return [line]

    def again(self, call):
        """What is asked anew at each step: a learning rate, random numbers."""
        args, facts = call.args
        name = f"again_{sum(name.startswith('again_') for name in self.space.globals)}"
        self.space.globals[name] = partial(repeat, call.function, args, facts, call.place[1])
        self.head.append(f"# {name}: asks for {call.label.replace('_', ' ')}")
        names = [self.name(v, call.label.removeprefix("all_").removesuffix("s")) for v in call.outputs]
        return [f"{', '.join(names)}, = {name}()" if names else f"{name}()"]


def axis_of(call):
    """The axis or axes of a reduction."""
    return call.kwargs.get("axis", call.args[1] if len(call.args) > 1 else 0)


def is_scalar(x, dtype):
    """True for what NumPy gives as a scalar, or a number that makes no difference to the dtype."""
    return not x.shape if isinstance(x, Value) else type(x) in (int, float) or isinstance(x, np.floating) and x.dtype == dtype


def layout(v, flat):
    """Flat memory as an array with the value's shape, and its axes in the value's order."""
    if v.order == "C":
        return f"{flat}.reshape({v.shape})"
    order = sorted(range(len(v.shape)), key=lambda d: -abs(v.strides[d]))
    back = sorted(range(len(order)), key=lambda d: order[d])
    return f"{flat}.reshape({tuple(v.shape[d] for d in order)}).transpose({tuple(back)})"


def allocation(v, dtype):
    """The source of memory for a value, with the strides it had when it was recorded."""
    return f"empty({v.shape}, {dtype})" if v.order == "C" else layout(v, f"empty({v.size}, {dtype})")


def blocks_of(array, size, order):
    """The blocks of an array without gaps; of memory of one block, its beginnings."""
    flat = array.reshape(-1, order=order)
    if flat.size < size:
        return [flat[: min(PIECE, size - i)] for i in range(0, size, PIECE)]
    return [flat[i : i + PIECE] for i in range(0, size, PIECE)]
