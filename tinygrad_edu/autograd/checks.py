"""What back propagation checks and says: where it may start, what hooks may return, and what went wrong where."""

import numpy as np

from . import modes
from .lines import in_module, shown_line
from .tensor import Tensor


def start(outputs, gradients, create_graph, attempt):
    """{node: gradient} to begin with, checked; Tensors where gradients of gradients are wanted, arrays elsewhere."""
    grads: dict = {}
    for output, g in zip(outputs, gradients):
        if not isinstance(output, Tensor):
            raise TypeError(f"{attempt}: expected a Tensor to start from, got {type(output).__name__}")
        node, array = output.node, output.array
        if node is None:
            raise RuntimeError(
                f"{attempt}: this tensor does not require grad and nothing computed it in a graph; create the leaves "
                "with requires_grad=True, and compute outside of no_grad() and without detach(), .item(), argmax or comparisons on the way"
            )
        if g is None:
            if array.size != 1:
                raise RuntimeError(
                    f"{attempt}: gradients start from a single number, and this tensor has shape "
                    f"{list(array.shape)}; reduce it, as in .sum() or .mean(), or pass gradient= of that shape"
                )
            g = array.dtype.type(1) if array.ndim == 0 else np.ones(array.shape, array.dtype)
            if create_graph:
                g = Tensor(g, None)
        else:
            if not isinstance(g, Tensor):
                g = Tensor(np.asarray(g, output.dtype), None)
            if g.array.shape != array.shape:
                raise RuntimeError(
                    f"{attempt}: the gradient has shape {list(g.array.shape)} and the tensor {list(array.shape)}; "
                    "they must be the same"
                )
            if g.dtype != array.dtype:
                g = g.astype(array.dtype)
            if not create_graph:
                g = g.array
        grads[node] = grads[node] + g if node in grads else g
    return grads


def noted(node, g, create_graph):
    """A finished gradient: the tensor's hooks see it and may replace it, and a recorded result keeps it for pictures."""
    for hook in list(node.note.hooks.values()) if node.note.hooks else ():
        with modes.set_grad_enabled(create_graph):
            shown = g if isinstance(g, Tensor) else Tensor(np.array(g), None)  # a copy: a hook may write to what it is given
            new = hook(shown)
        if new is None:
            g = shown if create_graph else shown.array
        else:
            if not isinstance(new, Tensor) or new.array.shape != node.shape:
                raise RuntimeError(
                    f"a hook on {node!r} returned {type(new).__name__}{list(getattr(new, 'shape', []))}; it must return "
                    f"None or a gradient of shape {list(node.shape)}\n{where(node)}"
                )
            g = new if create_graph else new.array
    if node.note.value is not None:
        node.note.gradient = g
    return g


def freed_graph(node):
    """Why a second pass through the same graph fails, and what to do."""
    return (
        f"backward(): the values saved by {node.name} at {node!r} were freed by an earlier backward pass; "
        f"pass retain_graph=True to the earlier one, or compute the forward pass anew\n{where(node)}"
    )


def located(error, node):
    """An error of a derivative rule with one note: the node, and the line that computed it."""
    if not getattr(error, "anomaly", False):  # what anomaly mode raises says all that itself
        error.add_note(f"in the derivative rule of {node.name}, at {node!r}\n{where(node)}")
    return error


def where(node):
    """The user's line that made the node, if it was recorded; else how to get it."""
    if node.note is None or not node.note.line:
        return f"({node.name} was computed in a line that is not known: run the forward pass inside autograd.detect_anomaly() to see it)"
    return "computed by\n" + "\n".join([*shown_line(node.note.spot), *in_module(node.note.module)])
