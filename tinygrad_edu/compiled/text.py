"""Nested tuples, lists and dicts: what is in them, the same with other leaves, and as Python text; and names for objects."""

from collections import OrderedDict
from keyword import iskeyword
from types import BuiltinFunctionType, FunctionType

import numpy as np

from ..autograd.tensor import Tensor


def leaves(x, path):
    """(path as Python, kind, value) of what arguments hold: tensors, arrays, containers, plain values."""
    if isinstance(x, (Tensor, np.ndarray)):
        yield path, "tensor" if isinstance(x, Tensor) else "array", x
    elif isinstance(x, (tuple, list, dict)):
        yield path, "container", x
        for key, item in x.items() if isinstance(x, dict) else enumerate(x):
            yield from leaves(item, f"{path}[{key!r}]")
    else:
        yield path, "plain", x


def mapped(x, change):
    """The same containers and slices with other leaves."""
    if type(x) in (dict, OrderedDict):
        return type(x)((k, mapped(v, change)) for k, v in x.items())
    if isinstance(x, (tuple, list)):
        made = [mapped(i, change) for i in x]
        return type(x)(*made) if hasattr(x, "_fields") else type(x)(made)
    return slice(*(mapped(i, change) for i in (x.start, x.stop, x.step))) if type(x) is slice else change(x)


def found(x, kind):
    """The leaves of a kind."""
    result = []
    mapped(x, lambda i: result.append(i) if type(i) is kind else None)
    return result


def written(x, leaf):
    """The same containers as Python, with `leaf(x)` for what is in them."""
    if type(x) is slice:
        return f"slice({written(x.start, leaf)}, {written(x.stop, leaf)}, {written(x.step, leaf)})"
    if type(x) in (dict, OrderedDict):
        text = f"{{{', '.join(f'{leaf(k)}: {written(v, leaf)}' for k, v in x.items())}}}"
    elif isinstance(x, (tuple, list)):
        text = joined([written(i, leaf) for i in x])
        text = f"[{text}]" if isinstance(x, list) else f"({text})"
    else:
        return leaf(x)
    return text if type(x) in (dict, tuple, list) else f"{leaf(type(x))}({'*' * hasattr(x, '_fields')}{text})"


def joined(words):
    """Words as the left or right side of an assignment: `a, b, c`, and `a,` for one."""
    return ", ".join(words) + "," * (len(words) == 1)


def indented(lines):
    """Lines of a block."""
    return [f"    {line}" for line in lines]


class Space:
    """The global names of generated code: each object has one, and nothing else has it."""

    def __init__(self, **known):
        self.globals, self.taken, self.names, self.counts = {}, set(), {}, {}  # a plain dict: Python is faster with that
        for name, x in known.items():
            self.hold(x, name)

    def free(self, hint):
        """A name like `hint` that nothing has yet."""
        hint = "".join(c if c.isalnum() else "_" for c in hint if c not in "]'") or "t"
        hint = f"x_{hint}" if hint[0].isdigit() or iskeyword(hint) else hint
        name = hint
        while name in self.taken:
            self.counts[hint] = n = self.counts.get(hint, 0) + 1
            name = f"{hint}_{n}"
        self.taken.add(name)
        return name

    def hold(self, x, hint="", key=None):
        """The name of an object; of what is the same by its `key`, if that is given."""
        key = key or (x if isinstance(x, (type, np.ufunc, BuiltinFunctionType, FunctionType)) else id(x))
        if key not in self.names:
            self.names[key] = name = self.free(hint or getattr(x, "__name__", "o"))
            self.globals[name] = x
        return self.names[key]

    def run(self, lines, title):
        """Define what the lines define."""
        source = "\n".join(lines) + "\n"
        exec(compile(source, title, "exec"), self.globals)
        return source
