"""What `detect_anomaly()` says: the line, the operator, the variable and the input that first gave NaN or an infinite number."""

import numpy as np

from . import modes
from .lines import assigned_name, in_module, shown_line, spot_of, variable
from .recorder import users_frame
from .tensor import Tensor, array_of


def check_result(name, kind, out, arrays, params, args, inputs):
    """Forward: a result with NaN, or infinite though every input is finite, stops the computation here and now."""
    what = offence(out, modes.state.anomaly)
    leaves = [isinstance(x, Tensor) and x.requires_grad and x.is_leaf for x in args]
    given = [a for a, leaf in zip(arrays, leaves) if not leaf]  # a parameter that is infinite is an anomaly itself, a mask is none
    if what is None or what[0] != "NaN" and any(holds_inf(a) for a in (*given, *params.values())):
        return
    frame = users_frame()
    place = spot_of(frame)
    target = assigned_name(*place) if place else None
    names = [label(a, frame, modes.state.module) for a in args]
    formal = inputs if len(args) <= len(inputs) else [f"{inputs[-1]}[{i}]" for i in range(len(args))]
    called = ", ".join(n or x if hasattr(a, "shape") else repr(a) for n, x, a in zip(names, formal, arrays))
    lines = [f"detect_anomaly: {name}({called}) gave {what[0]},{at(what)} of {target or 'the result'}, {counted(out, what)}"]
    lines += shown_line(place)
    for n, x, array, argument in zip(names, formal, arrays, args):
        if hasattr(array, "shape"):
            shown = described(n or f"the input {x}", array, what, out if kind == "elementwise" else None)
            lines.append(f"  {shown}{origin(argument, array, n)}")
    raise RuntimeError("\n".join(lines))


def check_derivative(node, parent, c, g, args, saved):
    """Backward: a derivative with NaN, or infinite, is named with its input, its operator and the line of the forward pass."""
    c, g = array_of(c), array_of(g)
    what = offence(c, modes.state.anomaly)
    if what is None:
        return
    op, note = node.op, node.note
    k = next(i for i, (p, a) in enumerate(zip(node.parents, saved)) if p is parent and a is args)
    wants = op.wants[0 if op.variadic else k] if op.wants else ()
    names = list(op.inputs) if not op.variadic else [f"{op.variadic}[{i}]" for i in range(len(node.parents))]
    names += [f"input {i}" for i in range(len(names), len(node.parents))]
    known = [path_of(note, i) or (note.names[i] if note is not None and i < len(note.names) else None) for i in range(len(names))]
    labels = [f"{n} ({x})" if n and n != x else x for n, x in zip(known, names)]
    lines = [f"detect_anomaly: the derivative rule of {node.name} gave {what[0]} in the backward pass,{at(what)} of the gradient "
             f"for its input {labels[k]}, {counted(c, what)}"]  # fmt: skip
    if note is not None and note.line:
        lines += shown_line(note.spot, note.line) + in_module(note.module)
    else:
        lines.append("  " + HINT)
    if hasattr(g, "dtype"):
        lines.append("  " + described("the gradient of the result", g, what, c if op.kind == "elementwise" else None)
                     + (": it came so from gradient=, from a hook, or as a sum" if offence(g, ALL) else ""))  # fmt: skip
    for want, value in zip(wants, args):
        value = array_of(value)
        if isinstance(value, (np.ndarray, np.floating)) and (want in op.inputs or want == "out"):
            shown = "the result" if want == "out" else labels[op.inputs.index(want)]
            lines.append("  " + described(shown, value, what, c if op.kind == "elementwise" else None))
    error = RuntimeError("\n".join(lines))
    error.anomaly = True  # it names its node itself
    raise error


ALL = modes.Checks(True, True)
HINT = "(run the forward pass inside autograd.detect_anomaly() too: the message then names the line that computed it)"


def offence(array, checks):
    """(NaN, inf or -inf; the index of the first; how many) of what is not allowed, or None; NaN goes before inf."""
    if not isinstance(array, (np.ndarray, np.generic)) or array.dtype.kind not in "fc" or np.isfinite(array).all():
        return None
    for kind, wanted, bad in (("NaN", checks.nan, np.isnan(array)), ("inf", checks.inf, np.isinf(array))):
        if wanted and bad.any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            return "-inf" if array[index] == -np.inf else kind, list(index), int(bad.sum())
    return None


def holds_inf(value):
    """True for an array or number with an infinite element: such an input may well give an infinite result."""
    return isinstance(value, (float, np.ndarray, np.floating)) and np.asarray(value).dtype.kind == "f" and bool(np.isinf(value).any())


def at(what):
    """The place of the first bad element; nothing for a single number."""
    return f" at {what[1]}" if what[1] else ""


def counted(array, what):
    """The type and shape of the array, and how many of its elements are bad."""
    return f"{array.dtype}{list(array.shape)} ({what[2]} of {array.size})"


def described(name, array, what, result):
    """An input in words: its value at the bad place if that is one element, what is bad in it, or its range."""
    text = f"{name}, {array.dtype}{list(array.shape)},"
    if result is not None and array.ndim <= result.ndim and np.broadcast_shapes(array.shape, result.shape) == result.shape:
        text += f" is {np.broadcast_to(array, result.shape)[tuple(what[1])]:.4g} there"
        if array.size == 1:
            return text
        text += " and"
    bad = offence(array, ALL)
    if bad is not None:
        return f"{text} holds {bad[0]} already, at {bad[1]} ({bad[2]} of {array.size})"
    if array.dtype.kind != "f" or not array.size:
        return text.removesuffix(",").removesuffix(" and")
    return f"{text} is {array.item():.4g}" if array.size == 1 else f"{text} goes from {array.min():.4g} to {array.max():.4g}"


def origin(argument, array, name):
    """Where an input came from: what computed it if it has no name; what made it bad if nothing computed it."""
    node = getattr(argument, "node", None)
    if node is not None and node.op is not None:
        return "" if name else f"; {node.name} computed it"
    if offence(array, ALL) is None:
        return ""
    return ": it came in so, as data" if node is None else ": a leaf, so its data or an update (too large a step?) made it so"


def label(argument, frame, modules):
    """What the user calls a tensor: a parameter's path, a variable, an attribute of one; None if nothing holds it."""
    return parameter_path(argument, modules) or variable(argument, frame)


def parameter_path(argument, modules):
    """The path of a parameter or buffer in the outermost module that is running."""
    if not isinstance(argument, Tensor) or not modules:
        return None
    root = modules[0]
    return next((path for path, p in [*root.named_parameters(), *root.named_buffers()] if p is argument), None)


def path_of(note, i):
    """The path of the parameter that was input i of a recorded step."""
    giver = note.givers[i] if note is not None and i < len(note.givers) else None
    return parameter_path(giver and giver(), note.module) if giver is not None else None
