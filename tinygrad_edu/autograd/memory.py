"""Who shares memory, and what was overwritten: what makes in-place updates right, or an error that names both sides.

Nothing here costs a computation that updates nothing in place: an in-place write notes the number at which it happened,
and back propagation looks closer only at nodes older than the last write.
"""

import weakref

import numpy as np

from . import modes
from .node import births
from .tensor import Tensor, as_memory

last_write = 0  # the number of the latest in-place write anywhere
writes: dict = {}  # id of the owner of some memory → (number, what wrote, weak reference to the owner)


def owner(array):
    """The array that owns the memory that `array` shows."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def note_write(array, what):
    """Remember that `what` has overwritten memory of `array`."""
    global last_write
    memory = owner(array)
    last_write = births()
    writes[id(memory)] = (last_write, what, weakref.ref(memory))
    if len(writes) > 4096 and not len(writes) & 1023:
        for key in [k for k, (_, _, alive) in list(writes.items()) if alive() is None]:
            del writes[key]


def check_unchanged(node):
    """Raise if something that `node` saved for its rules has been overwritten since."""
    for value in arrays_in(node.saved):
        number, what, _ = writes.get(id(owner(value)), (0, "", None))
        if number > node.birth:
            raise RuntimeError(
                f"backward(): {node.name} saved a value {value.dtype}{list(value.shape)} for its derivative, and "
                f"{what} has overwritten that memory since; use the form that makes a new tensor (x = x + y instead of "
                f"x += y), or give {node.name} a x.clone()"
            )


def arrays_in(saved):
    """Every array in nested tuples and lists."""
    for value in saved:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, Tensor):
            yield as_memory(value)
        elif isinstance(value, (tuple, list)):
            yield from arrays_in(value)


def register_view(x, result):
    """Note that `result` was made as a view of the tensor `x`, if it does share its memory."""
    if isinstance(result.array, np.ndarray) and owner(result.array) is owner(x.array):
        root = result.base = x if x.base is None else x.base
        if not root.views:
            root.views = []
        count = len(root.views)
        if count > 7 and not count & (count - 1):
            root.views = [alive for alive in root.views if alive() is not None]
        root.views.append(weakref.ref(result))


def alias(x):
    """A constant that shares the memory of `x`: what detach() and .data return."""
    result = Tensor(as_memory(x))
    result.base = x if x.base is None else x.base
    return result


def in_graph(x):
    """True if a graph may hold the memory of `x`."""
    return x.node is not None or x.base is not None and x.base.node is not None


def refuse_leaf(x, what):
    """In-place updates of leaves that ask for gradients would make their gradients meaningless."""
    root = x if x.base is None else x.base
    if root.node is not None and root.node.op is None:
        which = "a leaf tensor" if root is x else "a view of a leaf tensor"
        raise RuntimeError(
            f"{what}: {which} that requires grad cannot be updated in place while gradients are recorded; "
            "update it inside `with no_grad():`, or compute a new tensor instead"
        )


def write(x, what, compute):
    """Overwrite `x` with `compute(former value)`, in place and in the graph; what `x_ += y` and its kin do."""
    array = as_memory(x)
    if not (modes.state.grad and in_graph(x)):
        former = Tensor(array)
        new = compute(former)
        if new.node is not None:
            refuse_leaf(x, what)
            new = compute(Tensor(array.copy()))
        elif new.array is array:
            note_write(array, what)
            return x
    else:
        refuse_leaf(x, what)
        new = compute(Tensor(array.copy(), x.node))
    if new.array.shape != array.shape:
        raise RuntimeError(
            f"{what}: the result has shape {list(new.array.shape)} and would not fit into the tensor of shape "
            f"{list(array.shape)}; an in-place update cannot change a shape"
        )
    if not np.can_cast(new.dtype, array.dtype, "same_kind"):
        raise RuntimeError(
            f"{what}: the result is {new.dtype} and cannot be stored in a tensor of {array.dtype}; convert the tensor "
            "first, or compute a new one"
        )
    if new.dtype != array.dtype:
        new = new.astype(array.dtype)
    fill(x, Ellipsis, new.array, what)
    if new.node is not None:
        rebind(x, new.node)
    return x


def fill(x, index, values, what):
    """Write `values` into the memory of `x` and note it."""
    array = as_memory(x)
    if x.shared and x.node is None or array.flags.writeable is False:
        writable(x, what)
        array = x.array
    array[index] = values
    note_write(array, what)


def writable(x, what):
    """Refuse memory that is read-only, such as an expanded tensor's."""
    if not x.array.flags.writeable:
        if any(s == 0 and n > 1 for s, n in zip(x.array.strides, x.array.shape)):
            raise RuntimeError(
                f"{what}: several elements of this expanded tensor are the same memory; call .clone() before writing"
            )
        raise RuntimeError(f"{what}: the memory of this tensor is read-only (a NumPy array that is); use .clone()")


def rebind(x, node):
    """Give `x` a new history after an in-place update, and every living view of its memory the matching one."""
    root = x if x.base is None else x.base
    x.node = node
    living = [v for v in (alive() for alive in root.views) if v is not None and v is not x]
    if x is root and not living:
        return
    if root.shared:
        raise RuntimeError("in-place update: NumPy shares this memory, and a graph cannot guard it; use .clone() first")
    from ..ops.indexing import put_flat, take_flat

    positions = positions_in(root.array)
    if x is not root:
        former = Tensor(root.array, root.node)
        root.node = put_flat(former, Tensor(x.array, node), positions=positions_of(x.array, root.array, positions)).node
    for view in living:
        source = Tensor(root.array, root.node)
        view.node = take_flat(source, positions=positions_of(view.array, root.array, positions)).node


def positions_in(array):
    """An integer array, strided like `array`, that holds each element's position in row-major order."""
    positions = np.empty_like(array, dtype=np.int64)
    positions[...] = np.arange(array.size).reshape(array.shape)
    return positions


def positions_of(view, array, positions):
    """Which elements of `array` a `view` of its memory shows, as positions in row-major order."""
    if array.flags.c_contiguous or array.flags.f_contiguous:
        ratio = 8 / array.itemsize
        start = (view.__array_interface__["data"][0] - array.__array_interface__["data"][0]) // array.itemsize
        flat = positions.ravel(order="K")
        strides = [int(s * ratio) for s in view.strides]
        return np.lib.stride_tricks.as_strided(flat[start:], view.shape, strides).copy()
    raise RuntimeError("in-place update of a view of a tensor whose memory has gaps; call .contiguous() first")
