"""An optional speed-up: for each operator a function of its own, with the common case written out.

`apply` in operator.py says what happens; this file only writes that down, once per operator, for calls whose arguments
are tensors of one type (or numbers that do not change it) while nothing is recorded. Everything else goes to `apply`. Replace
the body of `function_of` by `return general_function(op)` and nothing changes but half a microsecond per call.
"""

from inspect import Parameter
from operator import attrgetter
from types import FunctionType

import numpy as np

from . import dtypes, memory, modes, operands, operator
from .node import Node, births
from .tensor import Tensor

dtype_of, FLOATS = attrgetter("dtype"), {dtypes.float32, dtypes.float64}
INTEGERS = {np.dtype(kind) for kind in ("int64", "int32", "uint8")}  # in these, arrays of one type go into an operator as they are
OTHERS = INTEGERS | {np.dtype(bool)}  # and in this one into what refuses nothing


def general_function(op):
    """The function that applies `op`, without specialisation."""

    def function(*args, **params):
        if not op.variadic:
            args += tuple(params.pop(x) if x in params else op.defaults[x] for x in op.inputs[len(args) :])
        return operator.apply(op, args, {**op.params, **params})

    return function


def function_of(op):
    """The function that applies `op`: signature and docstring of its forward, the common case inline.

    Two hundred functions would cost an import 50 ms, so each is written when it is first called: until then its code is
    that of `first_call`, and what it is then written from lies in its namespace.
    """
    namespace = dict(op=op, forward=op.forward, apply=operator.apply, Tensor=Tensor, Node=Node, modes=modes,
                     explained=operands.explained, held_by_user=operands.held_by_user, NO_PARAMS=operator.NO_PARAMS, new=object.__new__, births=births,
                     float32=dtypes.float32, float64=dtypes.float64, int64=np.dtype("int64"), others=INTEGERS if op.refuse else OTHERS, ndarray=np.ndarray, register_view=memory.register_view, all_tensors=all_tensors,
                     dtype_of=dtype_of, floats=FLOATS, specialize=specialize, __name__=__name__)  # fmt: skip
    function = FunctionType(first_call.__code__, namespace, op.name)
    namespace["this_function"] = function
    function.__doc__, function.__module__, function.__qualname__ = op.doc, op.forward.__module__, op.name
    function.__wrapped__ = op.forward  # for inspect.signature
    return function


def first_call(*args, **params):
    return specialize(op, this_function)(*args, **params)  # noqa: F821  (both are in the function's own namespace)


def specialize(op, function):
    """Give `function` the code written for `op`."""
    namespace = function.__globals__
    for name, value in op.params.items():
        namespace[f"{name}_default"] = value
    exec(compile(source_of(op), f"<{op.name}, specialised>", "exec"), namespace)
    written = namespace[op.name]
    function.__defaults__, function.__kwdefaults__ = written.__defaults__, written.__kwdefaults__
    function.__code__ = written.__code__  # last: another thread may call at any moment
    return function


def source_of(op):
    """The source of the specialised function."""
    xs = op.inputs
    keywords = "".join(f", {p}={p}" for p in op.params)
    params = "{" + ", ".join(f"'{p}': {p}" for p in op.params) + "}" if op.params else "NO_PARAMS"
    inputs = [f"*{op.variadic}"] if op.variadic else [f"{x}=None" if x in op.defaults else x for x in xs]
    required = {name for name, value in op.params.items() if value is Parameter.empty}
    options = [p if p in required else f"{p}={p}_default" for p in op.params]
    head = inputs + (["*"] if options and not op.variadic else []) + options
    lines = [f"def {op.name}({', '.join(head)}):"]
    args = op.variadic if op.variadic else "(" + "".join(f"{x}, " for x in xs) + ")"
    general = f"    return apply(op, {args}, {params})"
    if op.variadic and (op.keeps_values or not op.differentiable):
        return "\n".join([*lines, general])
    if op.variadic:
        return "\n".join([*lines, *joined(op, keywords, params), general])
    call = ", ".join(f"{x}_array" for x in xs)
    nodes = [f"{x}_node" for x in xs]
    tracked = " or ".join(f"{n} is not None" for n in nodes)
    lines += ["    remember = modes.remembering() if modes.special else True",
              f"    if remember is not None{condition(op)}:",
              *classified(op),
              "        if plain:",
              f"            try: out = forward({call}{keywords})",
              f"            except Exception as error: raise explained(error, op, ({call},), {params})"]  # fmt: skip
    if not op.differentiable:
        return "\n".join([*lines, "            return Tensor(out, None)", general])
    lines += [f"            if not (remember and ({tracked})): return {finished(op, 'Tensor(out, None)')}"]
    kept = {w for wants in op.wants for w in wants}
    held = [f"{x}_node is None and {tensor_check(op, x)}held_by_user({x})" for x in xs if x in kept and len(xs) > 1]
    if held:
        lines += [f"            if {' or '.join(held)}:", "    " * 3 + general]
    rules = op.rules if not op.together else (op.together,) * len(xs)
    parents = ", ".join(n if rule else "None" for n, rule in zip(nodes, rules))
    rows = []
    for n, rule, wants in zip(nodes, rules, op.wants):
        row = "".join(value_of(op, w) + ", " for w in wants)
        rows.append(f"({row}) if {n} is not None else None" if rule and len(xs) > 1 else f"({row})" if rule else "None")
    if op.together:  # one tuple of arguments for all
        lines += [f"            args = ({''.join(value_of(op, w) + ', ' for w in op.wants[0])})"]
        rows = [f"args if {n} is not None else None" for n in nodes]
    lines += ["            node = new(Node); result = new(Tensor)",  # their __init__ written out, which takes half the time
              f"            node.op = op; node.parents = ({parents},); node.saved = [{', '.join(rows)}]; node.params = {params}",
              "            node.shape = out.shape; node.dtype = out.dtype; node.birth = births(); node.grad = node.note = None",
              "            result.array = out; result.node = node",
              f"            return {finished(op, 'result')}"]  # fmt: skip
    return "\n".join([*lines, general])


def joined(op, keywords, params):
    """The common case of an operator of any number of inputs, whose rules want no more than their shapes."""
    xs = op.variadic
    return ["    remember = modes.remembering() if modes.special else True",
            f"    if remember is not None and all_tensors({xs}):",
            f"        arrays = [x.array for x in {xs}]; kinds = {{*map(dtype_of, arrays)}}",
            "        if len(kinds) == 1 and kinds <= floats:",
            f"            try: out = forward(*arrays{keywords})",
            f"            except Exception as error: raise explained(error, op, arrays, {params})",
            f"            nodes = tuple([x.node for x in {xs}])",
            "            if not remember or not any(nodes): return Tensor(out, None)",
            f"            return Tensor(out, Node(op, nodes, op.save(nodes, out, *arrays{keywords}), {params}, out.shape, out.dtype))"]  # fmt: skip


def all_tensors(values):
    """True if all values are tensors."""
    return all([isinstance(x, Tensor) for x in values])


def finished(op, result):
    """The source of what is returned: a result, which a view notes as such."""
    return f"register_view({op.inputs[0]}, {result})" if op.view else result


def number_allowed(op):
    """True if either of the two inputs may be a Python number while the other is a tensor."""
    facts = any(want.endswith(op.facts) for wants in op.wants for want in wants)  # a number has no shape
    return op.kind in ("elementwise", "constant") and len(op.inputs) == len(op.promoted) == 2 and not facts


def condition(op):
    """The source of a test that the required arguments are tensors; where one may be a number, `classified` looks."""
    return "" if number_allowed(op) else "".join(f" and isinstance({x}, Tensor)" for x in op.inputs if x not in op.defaults)


def tensor_check(op, x):
    """The source of a test for a tensor, where that is not known yet."""
    return f"isinstance({x}, Tensor) and " if number_allowed(op) or x in op.defaults else ""


def classified(op):
    """The lines that take arrays and nodes out of the arguments, and find out whether all have one floating-point type."""
    floats = "kind is float32 or kind is float64"
    if number_allowed(op):
        x, y = op.inputs
        for_numbers = "({n}.__class__ is float or {n}.__class__ is int) and (" + floats + ")"
        if not op.floats:
            for_numbers += " or {n}.__class__ is int and kind is int64 and {x}_array.__class__ is ndarray"
        lines = [f"        if isinstance({x}, Tensor):",
                 f"            {x}_array = {x}.array; {x}_node = {x}.node; kind = {x}_array.dtype",
                 f"            if isinstance({y}, Tensor):",
                 f"                {y}_array = {y}.array; {y}_node = {y}.node",
                 f"                plain = {y}_array.dtype is kind and ({floats}{' or kind in others' * (not op.floats)})",
                 "            else:",
                 f"                {y}_array = {y}; {y}_node = None",
                 f"                plain = {for_numbers.format(n=y, x=x)}",
                 f"        elif isinstance({y}, Tensor):",
                 f"            {y}_array = {y}.array; {y}_node = {y}.node; kind = {y}_array.dtype",
                 f"            {x}_array = {x}; {x}_node = None",
                 f"            plain = {for_numbers.format(n=x, x=y)}",
                 "        else: plain = False"]  # fmt: skip
        return lines
    first = op.promoted[0] if op.promoted and op.inputs[op.promoted[0]] not in op.defaults else 0  # where(condition, x, y) computes with x
    x = op.inputs[first]
    plain = f"{x}_array.__class__ is ndarray and kind.kind != 'c'" if op.view else floats if op.floats else floats + " or kind in others"
    lines = [f"        {x}_array = {x}.array; {x}_node = {x}.node; kind = {x}_array.dtype; plain = {plain}"]
    for i, x in enumerate(op.inputs):
        if i == first:
            continue
        taken = f"{x}_array = {x}.array; {x}_node = {x}.node"
        differs = f"if {x}_array.dtype is not kind: plain = False"
        if x not in op.defaults:
            lines += [f"        {taken}"]
            lines += [f"        {differs}"] * (i in op.promoted)
        else:
            lines += [f"        if {x} is None: {x}_array = {x}_node = None",
                      f"        elif isinstance({x}, Tensor):",
                      f"            {taken}",
                      *[f"            {differs}"] * (i in op.promoted),
                      "        else: plain = False"]  # fmt: skip
    return lines


def value_of(op, want):
    """The source of a wanted value, in the names of the specialised function."""
    if want in op.inputs:
        return f"{want}_array"
    if want == "needs":
        return "(" + "".join(f"{x}_node is not None, " for x in op.inputs) + ")"
    for end in ("_shape", "_dtype"):
        if want.endswith(end) and want not in op.params:
            x = f"{want[: -len(end)]}_array"
            return f"(None if {x} is None else {x}.{end[1:]})" if want[: -len(end)] in op.defaults else f"{x}.{end[1:]}"
    return want
