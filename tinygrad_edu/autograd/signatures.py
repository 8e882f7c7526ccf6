"""What an operator's functions say by their signatures: the arguments, what each rule wants, and mistakes of their authors."""

import inspect

import numpy as np


def doc_of(function):
    """The docstring without its indentation; most have one line, and importing `inspect`'s care for each would take a while."""
    doc = function.__doc__ or ""
    return inspect.cleandoc(doc) if "\n" in doc else doc


def wants_of(rule):
    """What a rule names after the gradient."""
    return rule.__code__.co_varnames[1 : rule.__code__.co_argcount] if rule else ()


def arguments_of(forward):
    """(inputs, *inputs' name or None, {parameter: default}, {optional input: default}), read from the function's code."""
    code = forward.__code__
    names, n, k = code.co_varnames, code.co_argcount, code.co_kwonlyargcount
    inputs, optional = list(names[:n]), forward.__defaults__ or ()
    given = forward.__kwdefaults__ or {}
    params = {name: given.get(name, inspect.Parameter.empty) for name in names[n : n + k]}
    variadic = names[n + k] if code.co_flags & inspect.CO_VARARGS else None
    return inputs, variadic, params, dict(zip(inputs[n - len(optional) :], optional))


def shape_of(value):
    """The shape of an array or number; None for an optional input that is not there."""
    return None if value is None else getattr(value, "shape", ())


def dtype_of(value):
    """The type of an array or number; None for an optional input that is not there."""
    return None if value is None else np.asarray(value).dtype


def needs_of(parents):
    """For a rule that serves several inputs together: which of them need a gradient."""
    return tuple(p is not None for p in parents)


def check_rules(op, rules, registry):
    """Mistakes of operator authors are found at import: unknown inputs, rules that name what does not exist."""
    if not op.formula:
        raise TypeError(f"{op.name}: the first line of the docstring must give the formula")
    if op.name in registry:
        raise TypeError(f"{op.name}: an operator of this name exists already: {registry[op.name].formula}")
    for x in rules:
        if x not in op.inputs:
            raise TypeError(f"{op.name}: a rule for {x!r}, but the inputs are {op.inputs}")
    for x in op.inputs:
        if x not in rules and not op.together and op.kind != "constant":
            raise TypeError(f"{op.name}: no rule for {x!r}; give one, or {x}=None if no gradient flows there")
    names = {"out", *op.inputs, *op.params}
    for x, rule in (*rules.items(), ("together", op.together)):
        if not names.issuperset(wants_of(rule)):  # what few rules want is looked at only then
            names |= {input + end for input in op.inputs for end in op.facts}
            names |= {name for name, known in (("i", op.variadic), ("needs", op.together)) if known}
            wrong = [w for w in wants_of(rule) if w not in names]
            if wrong:
                raise TypeError(f"{op.name}: the rule for {x} names {wrong}; it may name {sorted(names)}")
        if rule and rule.__name__ == "<lambda>":  # tracebacks say mul.rule[y]
            rule.__name__ = f"{op.name}.rule[{x}]"
            rule.__code__ = rule.__code__.replace(co_name=rule.__name__, co_qualname=rule.__name__)


def source_of_save(op):
    """The source of `op.save`: a function that picks, for each input that needs a gradient, what its rule wants."""
    params = "".join(f", {p}" for p in op.params)
    if op.variadic:
        facts = {want: value_of(op, want) for want in op.wants[0] if want.endswith(op.facts) and want not in op.params}
        row = "".join(f"{want if want in facts else value_of(op, want)}, " for want in op.wants[0])
        rows = f"(lambda {', '.join(facts)}: [({row}) if parents[i] else None for i in range(len(parents))])({', '.join(facts.values())})"
        return f"lambda parents, out, *{op.variadic}{params}: {rows}"  # facts of all inputs are made once, for all rows
    rows = ", ".join(f"({row_of(op, wants)}) if parents[{i}] else None" for i, wants in enumerate(op.wants))
    return f"lambda parents, out, {', '.join(op.inputs)}{', *' * bool(params)}{params}: [{rows}]"


def row_of(op, wants):
    """The source of one rule's arguments, as a tuple."""
    return "".join(value_of(op, w) + ", " for w in wants)


def value_of(op, want):
    """The source of one wanted value."""
    for end in op.facts:
        if want.endswith(end) and want not in op.params:
            x = want[: -len(end)]
            return f"[{end[1:-1]}_of(x) for x in {x}]" if op.variadic else f"{end[1:]}_of({x})"
    return "needs_of(parents)" if want == "needs" else want
