"""Operators: a NumPy function, a derivative rule per input, and the registry that everything else reads. Read third.

    @elementwise(np.multiply, symbol="×", x=lambda g, y: g * y, y=lambda g, x: g * x)
    def mul(x, y):
        "x · y"
        return x * y

The function's positional arguments are data, its keyword-only arguments are parameters. A rule gets `g`, the gradient of
the result, and whatever else it names: an input, `out`, `x_shape`, `x_dtype`, a parameter. What no rule names is not
kept. A rule may return a gradient that is still broadcast; the engine sums it to the input's shape.
"""

import sys
from functools import cached_property
from itertools import repeat

from . import graph, memory, modes
from .anomaly import check_result
from .node import Node
from .operands import explained, operands
from .recorder import record
from .signatures import arguments_of, check_rules, doc_of, dtype_of, needs_of, shape_of, source_of_save, wants_of
from .tensor import Tensor

registry: dict = {}  # name → Op: the source of tests, docs, pictures and tg.<name>
numpy_functions: dict = {}  # NumPy's function → ours, for np.exp(tensor)
NO_PARAMS: dict = {}


class Op:
    """An operator: `forward`, one `rule` per input, and for each rule what it `wants`."""

    def __init__(self, forward, kind, rules, numpy, *, symbol, samples, promote, floats, domain=None,
                 view=False, together=None, refuse=None):  # fmt: skip
        self.forward, self.kind, self.name, self.doc = forward, kind, forward.__name__, doc_of(forward)
        self.symbol, self.samples, self.domain = symbol or self.name, list(samples), domain
        self.formula = self.doc.partition("\n")[0]
        self.floats, self.view, self.together, self.refuse = floats, view, together, refuse
        self.inputs, self.variadic, self.params, self.defaults = arguments_of(forward)
        self.facts = ("_shapes", "_dtypes") if self.variadic else ("_shape", "_dtype")
        if self.variadic:
            self.inputs = [self.variadic]
        check_rules(self, rules, registry)
        self.rules = tuple(rules.get(x) for x in self.inputs)
        self.pullbacks = repeat(self.rules[0]) if self.variadic else self.rules  # one per parent, for the engine
        self.wants = tuple(wants_of(rule) for rule in self.rules)
        if together:
            self.wants = (wants_of(together),) * len(self.inputs)
        promoted = [x for x in self.inputs if kind == "elementwise" or rules.get(x)] if promote is None else promote
        self.promoted = range(sys.maxsize) if self.variadic and promoted else [self.inputs.index(x) for x in promoted]
        self.differentiable = bool(together) or any(self.rules)
        self.keeps_values = any(w in self.inputs or w == "out" for wants in self.wants for w in wants)
        registry[self.name] = self
        self.numpy = numpy

    @cached_property
    def save(self):
        """The function that picks what the rules will get, written when it is first wanted; e.g. for mul:

        lambda parents, out, x, y: [(y,) if parents[0] else None, (x,) if parents[1] else None]
        """
        return eval(source_of_save(self), {"shape_of": shape_of, "dtype_of": dtype_of, "needs_of": needs_of})

    def __repr__(self):
        return f"<operator {self.name}: {self.formula}>"


def apply(op, args, params):
    """Compute `op`; remember how, if a gradient may be asked for. Arrays in, array out; a tensor in, a tensor out."""
    if not any(isinstance(a, Tensor) for a in args):
        return op.forward(*args, **params)
    arrays, parents = operands(op, args)
    try:
        out = op.forward(*arrays, **params)
        if modes.special and modes.state.anomaly:
            check_result(op.name, op.kind, out, arrays, params, args, op.inputs)
    except Exception as error:
        raise explained(error, op, arrays, params)  # noqa: B904, the same error with a note
    tracked = op.differentiable and modes.state.grad and any(p is not None for p in parents)
    if not tracked:
        result = Tensor(out, None)
    else:
        if not op.together:
            parents = [p if rule else None for p, rule in zip(parents, op.pullbacks)]
        saved = op.save(parents, out, *arrays, **params)
        result = Tensor(out, Node(op, tuple(parents), saved, params, out.shape, out.dtype))
        if modes.special and (modes.state.recording or modes.state.anomaly):
            record(result.node, out, arrays, args)
        if modes.special and modes.state.saving:
            graph.pack(result.node)
    if op.view:
        memory.register_view(args[0], result)
    return result


def define(kind, numpy, options, rules):
    """The decorator behind all kinds: make the Op, and return the function that applies it."""

    def decorate(forward):
        from .specialize import function_of

        op = Op(forward, kind, rules, numpy, **options)
        function = function_of(op)
        function.op, op.function = op, function
        for f in op.numpy:
            numpy_functions[f] = function
        return function

    return decorate


def elementwise(*numpy, symbol=None, samples=(), domain=None, promote=None, floats=False, refuse=None, **rules):
    """An operator that treats each element alone: broadcasting, and the vjp rule is the jvp rule too."""
    return define("elementwise", numpy, dict(symbol=symbol, samples=samples, domain=domain, promote=promote, floats=floats, refuse=refuse), rules)  # fmt: skip


def linear(*numpy, symbol=None, samples=(), domain=None, promote=None, floats=False, view=False, **rules):
    """An operator that is linear in its data: its forward mode is itself, applied to the tangent."""
    return define("linear", numpy, dict(symbol=symbol, samples=samples, domain=domain, promote=promote, floats=floats, view=view), rules)  # fmt: skip


def general(*numpy, symbol=None, samples=(), domain=None, promote=None, floats=False, together=None, refuse=None, **rules):
    """Any other differentiable operator; `together` is one rule that returns the gradients of all inputs."""
    return define("general", numpy, dict(symbol=symbol, samples=samples, domain=domain, promote=promote, floats=floats, together=together, refuse=refuse), rules)  # fmt: skip


def undifferentiable(*numpy, symbol=None, samples=(), promote=None, floats=False, refuse=None):
    """An operator whose result is a constant for back propagation: comparisons, indices, rounding to integers."""
    return define("constant", numpy, dict(symbol=symbol, samples=samples, promote=promote, floats=floats, refuse=refuse), {})
