"""An optional speed-up: for each operator a function of its own, with the common case written out.

`apply` in operator.py says what happens; this file only writes that down, once per operator, for calls whose arguments
are tensors of one floating-point type (or numbers) while nothing is recorded. Everything else goes to `apply`. Replace
the body of `function_of` by `return general_function(op)` and nothing changes but half a microsecond per call.
"""

from inspect import Parameter
from types import FunctionType

from . import dtypes, modes, operands, operator
from .node import Node
from .tensor import Tensor


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
                     explained=operands.explained, held_by_user=operands.held_by_user, NO_PARAMS=operator.NO_PARAMS,
                     float32=dtypes.float32, float64=dtypes.float64, specialize=specialize, __name__=__name__)  # fmt: skip
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
    if op.variadic or op.view or op.kind == "constant":
        return "\n".join([*lines, general])
    lines += ["    remember = modes.remembering() if modes.special else True", "    if remember is not None:", *classified(op)]
    call = ", ".join(f"{x}_array" for x in xs)
    nodes = [f"{x}_node" for x in xs]
    tracked = " or ".join(f"{n} is not None" for n in nodes)
    lines += ["        if plain:",
              f"            try: out = forward({call}{keywords})",
              f"            except Exception as error: raise explained(error, op, ({call},), {params})",
              f"            if not (remember and ({tracked})): return Tensor(out)"]  # fmt: skip
    if len(xs) > 1:
        held = " or ".join(f"({x}_node is None and isinstance({x}, Tensor) and held_by_user({x}))" for x in xs)
        lines += [f"            if {held}:", "    " * 3 + general]
    rules = op.rules if not op.together else (op.together,) * len(xs)
    parents = ", ".join(n if rule else "None" for n, rule in zip(nodes, rules))
    rows = []
    for n, rule, wants in zip(nodes, rules, op.wants):
        row = "".join(value_of(op, w) + ", " for w in wants)
        rows.append(f"({row}) if {n} is not None else None" if rule and len(xs) > 1 else f"({row})" if rule else "None")
    if op.together:  # one tuple of arguments for all
        lines += [f"            args = ({''.join(value_of(op, w) + ', ' for w in op.wants[0])})"]
        rows = [f"args if {n} is not None else None" for n in nodes]
    lines += [f"            return Tensor(out, Node(op, ({parents},), [{', '.join(rows)}], {params}, out.shape, out.dtype))"]
    return "\n".join([*lines, general])


def classified(op):
    """The lines that take arrays and nodes out of the arguments, and find out whether this is the plain case."""
    first, *others = op.inputs
    lines = [f"        if isinstance({first}, Tensor):",
             f"            {first}_array = {first}.array; {first}_node = {first}.node; shared_dtype = {first}_array.dtype",
             "            plain = shared_dtype is float32 or shared_dtype is float64"]  # fmt: skip
    for x in others:
        i = op.inputs.index(x)
        lines += [f"            if isinstance({x}, Tensor):",
                  f"                {x}_array = {x}.array; {x}_node = {x}.node"]  # fmt: skip
        if i in op.promoted:
            lines += [f"                if {x}_array.dtype is not shared_dtype: plain = False"]
        if op.kind == "elementwise" and i in op.promoted:
            lines += [f"            elif type({x}) is float or type({x}) is int: {x}_array = {x}; {x}_node = None"]
        if x in op.defaults:
            lines += [f"            elif {x} is None: {x}_array = {x}_node = None"]
        lines += ["            else: plain = False"]
    if op.kind == "elementwise" and len(others) == 1 and 0 in op.promoted:
        (y,) = others
        lines += [f"        elif isinstance({y}, Tensor) and (type({first}) is float or type({first}) is int):",
                  f"            {y}_array = {y}.array; {y}_node = {y}.node; shared_dtype = {y}_array.dtype",
                  f"            {first}_array = {first}; {first}_node = None",
                  "            plain = shared_dtype is float32 or shared_dtype is float64"]  # fmt: skip
    return [*lines, "        else: plain = False"]


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
