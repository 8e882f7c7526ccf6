"""Who shares memory, and what was overwritten: what makes in-place updates right, or an error that names both sides.

Nothing here costs a computation that updates nothing in place: an in-place write notes the number at which it happened,
and back propagation looks closer only at nodes older than the last write.
"""

import weakref
import zlib
from itertools import repeat
from types import SimpleNamespace

import numpy as np

from . import dtypes, modes
from .checks import where
from .node import births, note_of
from .tensor import Tensor, as_memory

handed_out: dict = {}  # id of the owner of memory that .numpy() gave away → (number, checksum, weak reference to the owner)
last_write = 0  # the number of the latest in-place write anywhere
writes: dict = {}  # id of the owner of some memory → ([(number, the part, or None for all of it)], what wrote, weak reference to the owner)
NEVER = [(0, None)], "", lambda: None  # the same for memory that nobody has written to
crowded = 4096  # with more entries than this, those of dead memory are thrown away


def owner(array):
    """The array that owns the memory that `array` shows."""
    base = array.base
    while isinstance(base, np.ndarray):
        array, base = base, base.base
    return array


def owned(node, g):
    """A copy of `g`, so that no later write can reach a saved value or another gradient."""
    if isinstance(g, Tensor):
        return g
    return g.copy(order="K") if isinstance(g, np.ndarray) else np.array(g, node.dtype)


def note_write(array, what, part=None):
    """Remember that `what` has overwritten memory of `array`: all of it, or the part that a view is given of."""
    global last_write, crowded
    last_write = number = births()
    memory = owner(array)
    places = [(number, None)] if part is None else [*written_to(memory)[0], (number, part.__array_interface__)]
    if len(places) > 64:
        places[:2] = [(places[1][0], None)]  # from far back it is enough to know when
    writes[id(memory)] = places, what, weakref.ref(memory)
    if len(writes) > crowded:
        for key in [k for k, (_, _, alive) in list(writes.items()) if alive() is None]:
            del writes[key]
        crowded = 2 * len(writes)


def note_writes(arrays, what):
    """Remember that `what` has overwritten the memory of several arrays at once."""
    global last_write
    last_write = births()
    owners = [array if array.base is None else owner(array) for array in arrays]
    writes.update(zip(map(id, owners), zip(repeat([(last_write, None)]), repeat(what), map(weakref.ref, owners))))


def written_to(memory):
    """What is noted of an array that owns its memory; not what is noted of a dead one that had this id."""
    noted = writes.get(id(memory), NEVER)
    return noted if noted[2]() is memory else NEVER


def last_write_to(array):
    """When the memory of `array` was last overwritten, and by what; (0, "") if never."""
    places, what, _ = written_to(owner(array))
    return places[-1][0], what


def hand_out(array):
    """The user gets this memory as a NumPy array: note what it holds, if a graph of before may have saved it."""
    global last_write
    memory = owner(array)
    known = handed_out.get(id(memory))
    if known is None or known[2]() is not memory:
        last_write = births()  # back propagation will look closer at nodes from before; later ones copy what NumPy shares
        handed_out[id(memory)] = (last_write, checksum(memory), weakref.ref(memory))
        count = len(handed_out)
        if count > 1000 and not count & (count - 1):
            for key in [k for k, (_, _, alive) in list(handed_out.items()) if alive() is None]:
                del handed_out[key]


def checksum(array):
    """A number that changes with the contents."""
    return zlib.crc32(np.ascontiguousarray(array))


SCALING = ("mul_", "div_", "clamp_", "backward()")  # writes after which a gradient still holds what it held


def note_use(gradient):
    """Before `backward()` adds to a gradient that an optimizer's step has used: is that old value still in it?"""
    written, what = last_write_to(gradient.array)
    overwritten = written > abs(gradient.used) and (gradient.used > 0 or not what.startswith(SCALING))
    gradient.used = 0 if overwritten or gradient.shared else -abs(gradient.used)


def check_unchanged(node):
    """Raise if something that `node` saved for its rules has been overwritten since; a result is computed again if it can be."""
    compute_again(node)
    stack = list(node.saved)
    while stack:
        value = stack.pop()
        if isinstance(value, (tuple, list)):
            stack += value
        elif (written := overwritten(node, value)) is not None:
            raise RuntimeError(
                f"backward(): {node.name} saved a value {value.dtype}{list(value.shape)} for its derivative, and "
                f"{written} has overwritten that memory since; use the form that makes a new tensor (x = x + y instead "
                f"of x += y), or give {node.name} a x.clone()\n{where(node)}"
            )


def overwritten(node, value):
    """What has overwritten a saved value since `node` was made; None if nothing has."""
    if not isinstance(value, (np.ndarray, Tensor)):
        return None
    array = as_memory(value) if isinstance(value, Tensor) else value
    memory = owner(array)
    known = handed_out.get(id(memory))
    if known is not None and known[0] > node.birth and known[2]() is memory and checksum(memory) != known[1]:
        return "NumPy, through the array that .numpy() gave,"
    places, what, _ = written_to(memory)
    for number, part in places:
        if number > node.birth and (part is None or touches(part, array)):
            return what
    return None


def touches(part, array):
    """True if a part of memory, given as NumPy describes arrays, has an element of `array` in it; also if that is too hard to tell."""
    return np.may_share_memory(SimpleNamespace(__array_interface__=part), array, max_work=10_000)


def compute_again(node):
    """Where a rule wants x and the result, as max_pool's does, and only the result was overwritten: compute it again."""
    op = node.op
    wants = op.wants[0] if len(node.parents) == 1 else ()
    if "out" in wants and op.inputs[0] in wants:
        saved = dict(zip(wants, node.saved[0]))
        x = saved[op.inputs[0]]
        if overwritten(node, saved["out"]) and not overwritten(node, x):
            saved["out"] = op.forward(x, **node.params)
            node.saved[0] = tuple(saved.values())


def register_view(x, result):
    """Note that `result` was made as a view of the tensor `x`, if it does share its memory; returns it."""
    base, array = result.array.base, x.array
    if base is array or base is not None and base is array.base:  # NumPy names the first owner of the memory
        if x.detached is not None:
            result.detached = x if x.detached is True else x.detached
        share(x if x.base is None else x.base, result)
    return result


def share(root, result):
    """Note that `result` shows memory of `root`, which keeps a weak reference to it."""
    result.base = root
    if not root.views:
        root.views = []
    count = len(root.views)
    if count > 7 and not count & (count - 1):
        root.views = [alive for alive in root.views if alive() is not None]
    root.views.append(weakref.ref(result))


def alias(x):
    """A constant that shares the memory of `x`: what detach() and .data return."""
    result = Tensor(as_memory(x), None)
    result.detached = True
    root = x if x.base is None else x.base
    if root.node is not None and root.node.op is not None:
        result.frozen = True  # and no reference to the root, which would keep its graph alive
    else:
        share(root, result)
    return result


def history(x):
    """The tensor whose history an in-place update of `x` changes: what x is a view of, up to the last detach()."""
    if x.base is None or x.detached is True:
        return x
    return x.base if x.detached is None else x.detached


def relatives(x):
    """The living tensors whose history changes with that of `x`: the root of its memory, and all views (`x` may be one)."""
    root, owner = history(x), x if x.base is None else x.base
    living = [v for v in (alive() for alive in owner.views) if v is not None and v is not root]
    return root, [v for v in living if history(v) is root]


def in_graph(x):
    """True if an update of `x` in place changes the history of a tensor in a graph."""
    return x.node is not None or history(x).node is not None


def check_update(x, what):
    """Refuse updates in a graph that could not be right: of leaves, and of memory whose history is not all known."""
    root, views = relatives(x)
    if x.node is None and root.node is not None and root.node.op is not None:
        raise RuntimeError(
            f"{what}: this view was made under no_grad() of a tensor in a graph, so its history is not known; make the "
            "view while gradients are recorded, or update it inside `with no_grad():`"
        )
    for t in (x, root, *views):
        if t.node is not None and t.node.op is None:
            which = "a leaf tensor" if t is x else "memory that is shared with a leaf tensor"
            raise RuntimeError(
                f"{what}: {which} that requires grad cannot be updated in place while gradients are recorded; "
                "update it inside `with no_grad():`, or compute a new tensor instead"
            )
    if (x if x.base is None else x.base).shared and views:
        raise RuntimeError(f"{what}: NumPy shares this memory, and a graph cannot guard it; use .clone() first")


def write(x, what, compute):
    """Overwrite `x` with `compute(former value)`, in place and in the graph; what `x_ += y` and its kin do."""
    array = as_memory(x)
    if not (modes.state.grad and in_graph(x)):
        former = Tensor(array, None)
        new = compute(former)
        if new.node is not None:
            check_update(x, what)
            new = compute(Tensor(array.copy(), None))
    else:
        check_update(x, what)
        new = compute(Tensor(array.copy(), x.node))
    if new.array.shape != array.shape:
        raise RuntimeError(
            f"{what}: the result has shape {list(new.array.shape)} and would not fit into the tensor of shape "
            f"{list(array.shape)}; an in-place update cannot change a shape"
        )
    if dtypes.ranks[new.array.dtype.kind] > dtypes.ranks[array.dtype.kind]:
        raise RuntimeError(
            f"{what}: the result is {new.dtype} and cannot be stored in a tensor of {array.dtype}; convert the tensor "
            "first, or compute a new one"
        )
    new = new.astype(array.dtype)
    fill(x, Ellipsis, new.array, what)
    if new.node is not None:
        rebind(x, new.node)
    return x


def fill(x, index, values, what, part=None):
    """Write `values` into the memory of `x` and note it, as a write to all of it or to a part (a view of it)."""
    array = as_memory(x)
    writable(x, what)
    array[index] = values
    note_write(array, what, part)


def writable(x, what):
    """Refuse memory that is read-only, such as an expanded tensor's."""
    if not x.array.flags.writeable:
        if any(s == 0 and n > 1 for s, n in zip(x.array.strides, x.array.shape)):
            raise RuntimeError(
                f"{what}: several elements of this expanded tensor are the same memory; call .clone() before writing"
            )
        raise RuntimeError(f"{what}: the memory of this tensor is read-only (a NumPy array that is); use .clone()")


def rebind(x, node):
    """Give `x` a new history after an in-place update, and its root and every living view of that the matching one."""
    root, views = relatives(x)
    renew(x, node)
    if not views:
        return
    from ..ops.indexing import put_flat, take_flat

    if x is not root:
        former = Tensor(root.array, root.node)
        renew(root, put_flat(former, Tensor(x.array, node), positions=positions_of(x.array, root.array)).node)
    for view in views:
        source = Tensor(root.array, root.node)
        renew(view, take_flat(source, positions=positions_of(view.array, root.array)).node)


def renew(x, node):
    """Give `x` its new node; a wish to keep the gradient goes with the tensor, and memory that NumPy has stays behind."""
    if x.shared:
        x.array, x.shared = x.array.copy(), False  # NumPy writes cannot reach the graph
    if x.node is not None and x.node.note is not None and x.node.note.retain:
        x.node.note.retain, note_of(node).retain = False, True
    x.node = node


def positions_of(view, array):
    """Which elements of `array` a `view` of its memory shows, as positions in row-major order."""
    if array.flags.c_contiguous:
        return (addresses(view) - array.__array_interface__["data"][0]) // array.itemsize
    return found_at(addresses(view), addresses(array).reshape(-1))


def found_at(places, own):
    """For each place the first position of that address in `own`; where it is not in there, any position."""
    order = np.argsort(own, kind="stable")
    return order[np.searchsorted(own, places, sorter=order).clip(max=len(own) - 1)]


def addresses(array):
    """Where in memory each element lies."""
    places = np.full(array.shape, array.__array_interface__["data"][0], np.int64)
    for axis, (n, step) in enumerate(zip(array.shape, array.strides)):
        places += (np.arange(n) * step).reshape((n,) + (1,) * (array.ndim - axis - 1))
    return places
