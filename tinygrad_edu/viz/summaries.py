"""summary(model, x): layers, output shapes, parameters, multiply-adds, bytes kept for backward, time."""

from html import escape
from time import perf_counter

import numpy as np

from ..autograd.modes import enable_grad, recording
from ..autograd.node import ancestors
from ..autograd.tensor import Tensor
from . import trace
from .text import shape as shape_text

COLUMNS = ("layer", "output shape", "parameters", "multiply-adds", "kept for backward", "time")


class Row:
    """One module: its path, type, output shape and what it costs."""

    def __init__(self, path, module, depth):
        self.path, self.module, self.depth = path, module, depth
        self.shape, self.parameters, self.shared, self.multiply_adds, self.kept, self.seconds, self.calls = None, 0, False, 0, 0, 0.0, 0

    def cells(self):
        """What stands in the table."""
        name = "  " * self.depth + (f"{self.path.rpartition('.')[2]}: " if self.path else "") + type(self.module).__name__
        times = f" (×{self.calls})" if self.calls > 1 else ""
        if not self.calls:
            return [name, "not used", counted(self.parameters), "", "", ""]
        return [name + times, shape_text(self.shape) if self.shape is not None else "several",
                "shared" if self.shared else counted(self.parameters), counted(self.multiply_adds), size(self.kept), duration(self.seconds)]  # fmt: skip


class Summary:
    """The table: print it; `.rows` has the numbers, `.parameters`, `.multiply_adds`, `.kept` and `.seconds` the totals."""

    def __init__(self, rows, parameters, trainable, multiply_adds, kept, seconds):
        self.rows, self.parameters, self.trainable = rows, parameters, trainable
        self.multiply_adds, self.kept, self.seconds = multiply_adds, kept, seconds

    def totals(self):
        """The sentences beneath the table."""
        frozen = f" ({counted(self.parameters - self.trainable)} of them frozen)" if self.trainable != self.parameters else ""
        return [f"parameters: {self.parameters:,}{frozen}", f"multiply-adds: {self.multiply_adds:,}", f"kept for backward: {size(self.kept)}",
                f"forward pass: {duration(self.seconds)}"]  # fmt: skip

    def __str__(self):
        table = [list(COLUMNS), *(row.cells() for row in self.rows)]
        widths = [max(len(line[k]) for line in table) for k in range(len(COLUMNS))]
        written = ["  ".join(c.ljust(w) if k < 2 else c.rjust(w) for k, (c, w) in enumerate(zip(line, widths))).rstrip() for line in table]
        rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
        return "\n".join([written[0], rule, *written[1:], rule, *self.totals()])

    __repr__ = __str__

    def _repr_html_(self):
        head = "".join(f"<th>{c}" for c in COLUMNS)
        body = "".join("<tr>" + "".join(f"<td>{escape(c).replace('  ', '&emsp;')}" for c in row.cells()) for row in self.rows)
        return f"<table><tr>{head}{body}</table><p>{'<br>'.join(map(escape, self.totals()))}</p>"


def summary(model, *inputs):
    """A table of what the model does with these inputs: layers, output shapes, parameters, multiply-adds, memory, time.

    Parameters that several layers share are counted once. Bytes kept for backward are those of results and inputs that
    derivative rules will need, parameters not included. Buffers, gradients and the mode of the model stay as they are.

    >>> import tinygrad_edu as tg
    >>> s = tg.summary(tg.nn.Sequential(tg.nn.Linear(4, 3), tg.nn.ReLU(), tg.nn.Linear(3, 2)), tg.rand(5, 4))
    >>> s.parameters, s.multiply_adds
    (23, 90)
    """
    if not trace.is_module(model):
        raise TypeError(f"summary(): expected a Module, got {type(model).__name__}")
    if not inputs:
        raise TypeError("summary(model, x): pass an input too, for shapes and costs depend on it")
    inputs = [x if isinstance(x, Tensor) or not isinstance(x, (np.ndarray, list)) else Tensor(np.asarray(x, np.float32), None) for x in inputs]
    rows = {m: Row(path, m, path.count(".") + 1 if path else 0) for path, m in model.named_modules()}
    handles, started = [], {}

    def begin(module, args):
        started.setdefault(module, []).append(perf_counter())

    def end(module, args, out):
        row = rows[module]
        row.seconds += perf_counter() - started[module].pop()
        row.calls += 1
        row.shape = tuple(out.shape) if isinstance(out, Tensor) else None

    buffers = [(b, b.array.copy()) for b in model.buffers()]
    for module in rows:
        handles += [module.register_forward_pre_hook(begin), module.register_forward_hook(end)]
    begun = perf_counter()
    try:
        with enable_grad(), recording():
            out = model(*inputs)
        seconds = perf_counter() - begun
    finally:
        for handle in handles:
            handle.remove()
        for buffer, before in buffers:
            buffer.array[...] = before
    parameters = {id(a) for p in model.parameters() for a in (p.array, p.array.base) if a is not None}
    nodes = [n for n in ancestors(*(t.node for t in trace.tensors_in(out) if t.node is not None)) if n.op is not None]
    total, kept = 0, 0
    seen: set = set()
    for node in nodes:
        cost, held = multiply_adds(node), 0
        for array in saved_arrays(node):
            root = array if array.base is None else array.base
            if id(root) not in seen and id(root) not in parameters:
                seen.add(id(root))
                held += array.nbytes
        total, kept = total + cost, kept + held
        for module in dict.fromkeys(node.note.module):
            if module in rows:
                rows[module].multiply_adds += cost
                rows[module].kept += held
    counted_already: set = set()
    for module, row in rows.items():
        own = list(dict.fromkeys(module.parameters()))
        leaf = not list(module.children())
        row.shared = bool(own) and leaf and all(p in counted_already for p in own)
        row.parameters = sum(p.array.size for p in own)
        if leaf:
            counted_already.update(own)
    every = list(dict.fromkeys(model.parameters()))
    return Summary(list(rows.values()), sum(p.array.size for p in every), sum(p.array.size for p in every if p.requires_grad), total, kept, seconds)


def multiply_adds(node):
    """How many multiplications with an addition an operator makes: products of matrices, convolutions; 0 for the rest."""
    op, inputs = node.op.name, node.note.inputs if node.note is not None and node.note.inputs else []
    if op == "affine" or op == "matmul":
        return int(np.prod(node.shape)) * int(np.shape(inputs[0])[-1])
    if op == "dot_vectors":
        return int(np.size(inputs[0]))
    if op == "convolution":
        weight = np.shape(inputs[1])
        return int(np.prod(node.shape)) * int(np.prod(weight[1:]))
    if op == "convolution_transpose":
        weight = np.shape(inputs[1])
        return int(np.size(inputs[0])) * int(np.prod(weight[1:]))
    if op == "einsum_operator":
        terms = node.params["equation"].split("->")[0].split(",")
        sizes = {c: n for t, a in zip(terms, inputs) for c, n in zip(t, np.shape(a))}
        return int(np.prod(list(sizes.values()))) if len(terms) > 1 else 0
    return 0


def saved_arrays(node):
    """The arrays that a node keeps for its rules."""
    for arguments in node.saved or ():
        for value in arguments or ():
            if isinstance(value, np.ndarray):
                yield value
            elif isinstance(value, (tuple, list)):
                yield from (v for v in value if isinstance(v, np.ndarray))
            elif isinstance(value, Tensor):  # of an autograd.Function
                yield value.array


def counted(n):
    """A count, empty for none."""
    return f"{n:,}" if n else "–"


def size(n):
    """Bytes for people."""
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.3g} {unit}" if n else "–"
        n /= 1000
    return f"{n:.3g} GB"


def duration(seconds):
    """A time for people."""
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
