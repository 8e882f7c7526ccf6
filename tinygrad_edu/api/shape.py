"""Shapes, joining and splitting in PyTorch's spelling."""

import functools
import math
from itertools import accumulate

import numpy as np

from ..autograd import dtypes, memory
from ..autograd.operands import ShapeError
from ..autograd.tensor import Tensor, array_of
from ..ops import indexing, reductions, shapes
from .create import dtype_of
from .spelling import as_tensor, both, check_dim, ints, methods, only_function, only_method, sizes_of
from .spelling import functions as public


def reshape(input, *shape, **named):
    """input with its elements, in row-major order, in another shape"""
    return shapes.reshape(input, shape=sizes_of("reshape", shape, named, "shape") if named else ints(shape))


public["reshape"] = methods["reshape"] = reshape


@only_method("view")
def view(self, *shape):
    """The same memory in another shape; an error where that is impossible"""
    if len(shape) == 1 and isinstance(shape[0], (dtypes.dtype, np.dtype, type)):
        return Tensor(self.array.view(dtype_of(shape[0])), None)
    out = shapes.reshape(self, shape=ints(shape))
    own = self.dtype.kind != "c" and out.base is None and self.array.size and isinstance(self.array, np.ndarray)
    if own and not np.shares_memory(out.array, self.array):
        raise RuntimeError(f"view: a tensor of shape {list(self.shape)} and strides {list(self.stride())} has no view of shape "
                           f"{list(ints(shape))}; use .reshape(…), which copies where it must")  # fmt: skip
    return out


@only_method()
def view_as(self, other):
    """The same memory in the shape of another tensor"""
    return view(self, *other.shape)


@only_method()
def reshape_as(self, other):
    """input in the shape of another tensor"""
    return reshape(self, *other.shape)


@both()
def flatten(input, start_dim=0, end_dim=-1):
    """Several neighbouring dimensions made one"""
    if not input.ndim:
        return reshape(input, 1)
    start, end = check_dim("flatten", input, start_dim), check_dim("flatten", input, end_dim)
    if start > end:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    size = input.array.shape
    return reshape(input, *size[:start], math.prod(size[start : end + 1]), *size[end + 1 :])


@both()
def unflatten(input, dim, sizes):
    """One dimension split into several"""
    dim = check_dim("unflatten", input, dim)
    sizes = list(sizes)
    if -1 in sizes:
        known = int(np.prod([s for s in sizes if s != -1]))
        sizes[sizes.index(-1)] = input.shape[dim] // known if known else 0
    return reshape(input, *input.shape[:dim], *sizes, *input.shape[dim + 1 :])


@both()
def ravel(input):
    """input as a vector"""
    return reshape(input, -1)


@both("transpose", "swapaxes", "swapdims")
def transpose(input, dim0, dim1):
    """input with two dimensions exchanged"""
    if not input.ndim:
        return input
    check_dim("transpose", input, dim0), check_dim("transpose", input, dim1)
    return shapes.swapaxes(input, axis0=dim0, axis1=dim1)


methods["swapaxes"] = lambda self, axis0, axis1: shapes.swapaxes(self, axis0=axis0, axis1=axis1)


@both("t")
def t(input):
    """The transpose of a matrix; vectors and numbers stay"""
    if input.ndim > 2:
        raise RuntimeError(f"t: expected at most 2 dimensions, got {input.ndim}; use .mT or .transpose(-2, -1)")
    return shapes.swapaxes(input, axis0=0, axis1=1) if input.ndim == 2 else input


@only_function("permute")
def permute(input, dims):
    """input with its dimensions in another order"""
    dims = ints((dims,))
    if sorted(d % max(input.ndim, 1) for d in dims) != list(range(input.ndim)):
        raise RuntimeError(f"permute: {list(dims)} is no order of the {input.ndim} dimensions of shape {list(input.shape)}")
    return shapes.permute(input, axes=dims)


methods["permute"] = lambda self, *dims, **named: permute(self, sizes_of("permute", dims, named, "dims"))


@both("movedim", "moveaxis")
def movedim(input, source, destination):
    """input with some dimensions moved to new places"""
    return shapes.moveaxis(input, source=source, destination=destination)


@both("unsqueeze")
def unsqueeze(input, dim):
    """input with a new dimension of size 1"""
    n = input.ndim + 1
    if not -n <= dim < n:
        raise IndexError(f"unsqueeze: dimension {dim} is out of range; with a shape of {list(input.shape)} it must be between {-n} and {n - 1}")
    return shapes.unsqueeze(input, axis=dim)


@both("squeeze")
def squeeze(input, dim=None):
    """input without its dimensions of size 1, or without `dim` if that has size 1"""
    if dim is None:
        return shapes.squeeze(input)
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    return shapes.squeeze(input, axis=tuple(check_dim("squeeze", input, d) for d in dims))


@only_method()
def expand(self, *sizes, **named):
    """input stretched along dimensions of size 1, without a copy; −1 keeps a size"""
    sizes = sizes_of("expand", sizes, named, "size")
    lead = len(sizes) - self.ndim
    if lead < 0:
        raise RuntimeError(f"expand: {list(sizes)} has fewer dimensions than the tensor's shape {list(self.shape)}")
    if -1 in sizes:
        sizes = tuple(self.shape[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(sizes))
    return reductions.broadcast_to(self, shape=sizes)


@only_method()
def expand_as(self, other):
    """input stretched to the shape of another tensor"""
    return reductions.broadcast_to(self, shape=tuple(other.shape))


@both("broadcast_to")
def broadcast_to(input, size):
    """input stretched to a size"""
    return expand(input, *ints((size,)))


@only_function()
def broadcast_tensors(*tensors):
    """The tensors, stretched to their common shape"""
    shape = np.broadcast_shapes(*(x.shape for x in tensors))
    return tuple(reductions.broadcast_to(x, shape=shape) for x in tensors)


@only_function()
def broadcast_shapes(*sizes):
    """The common shape of several"""
    from ..autograd.size import Size

    return Size(np.broadcast_shapes(*(ints((s,)) for s in sizes)))


@only_function("cat", "concat", "concatenate")
def cat(tensors, dim=0):
    """The tensors joined along a dimension"""
    tensors = shapes.as_tensor_tuple(tensors)
    if not tensors:
        raise ShapeError("cat: expected at least one tensor")
    some = [x for x in tensors if array_of(x).shape != (0,)] or tensors[:1]  # PyTorch skips empty vectors, but for their dtype
    result = shapes.concatenate(*some, axis=check_dim("cat", some[0], dim))
    if len(some) < len(tensors):
        kind = functools.reduce(public["promote_types"], (array_of(x).dtype for x in tensors))
        result = result if result.dtype == kind else result.astype(kind)
    return result


@only_function("stack")
def stack(tensors, dim=0):
    """The tensors side by side along a new dimension"""
    tensors = shapes.as_tensor_tuple(tensors)
    if not tensors:
        raise RuntimeError("stack: expected at least one tensor")
    return shapes.stack(*tensors, axis=dim)


def at_least(x, n):
    """A tensor with at least n dimensions."""
    while x.ndim < n:
        x = unsqueeze(x, 0 if x.ndim < 2 else -1)
    return x


def at_least_form(n, name):
    """atleast_1d and its kin: of one tensor, or of several."""

    def function(*tensors):
        given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
        results = tuple(at_least(as_tensor(x), n) for x in given)
        return results[0] if len(tensors) == 1 and given is tensors else results

    function.__name__ = name
    function.__doc__ = f"The tensors (or the one tensor) with at least {n} dimension{'s' * (n > 1)}"
    return only_function(name)(function)


atleast_1d, atleast_2d, atleast_3d = (at_least_form(n, f"atleast_{n}d") for n in (1, 2, 3))


@only_function("hstack")
def hstack(tensors):
    """The tensors joined along their second dimension; vectors along their first"""
    tensors = [at_least(x, 1) for x in tensors]
    return cat(tensors, 0 if tensors[0].ndim == 1 else 1)


@only_function("vstack", "row_stack")
def vstack(tensors):
    """The tensors joined along their first dimension; vectors as rows"""
    return cat([at_least(x, 2) for x in tensors], 0)


@only_function("dstack")
def dstack(tensors):
    """The tensors joined along their third dimension"""
    return cat([at_least(x, 3) for x in tensors], 2)


@only_function("column_stack")
def column_stack(tensors):
    """Vectors as the columns of a matrix"""
    return cat([x.reshape(-1, 1) if x.ndim <= 1 else x for x in tensors], 1)


@both("narrow")
def narrow(input, dim, start, length):
    """`length` slices along dim, from `start`"""
    if array_of(start).__class__ is not int and (np.ndim(array_of(start)) or np.asarray(array_of(start)).dtype.kind not in "iu"):
        raise RuntimeError(f"narrow: start must be an integer or a 0-d integer tensor, not {start!r}")
    dim, start = check_dim("narrow", input, dim), int(array_of(start))
    n = input.shape[dim]
    start = start + n if start < 0 else start
    if not 0 <= start <= start + length <= n:
        raise RuntimeError(f"narrow: {start} to {start + length} is not within the {n} slices of dimension {dim}")
    return indexing.getitem(input, index=(slice(None),) * dim + (slice(start, start + length),))


@both("select")
def select(input, dim, index):
    """One slice along dim"""
    dim = check_dim("select", input, dim)
    return indexing.getitem(input, index=(slice(None),) * dim + (int(index), Ellipsis))


@both("split")
def split(input, split_size_or_sections, dim=0):
    """Parts along dim: of one size (the last one smaller), or of the given sizes"""
    dim = check_dim("split", input, dim)
    n, sizes = input.array.shape[dim], split_size_or_sections
    if isinstance(sizes, int):
        if sizes <= 0:
            raise RuntimeError(f"split: the size of a part must be positive, not {sizes}")
        sizes = [min(sizes, n - start) for start in range(0, n, sizes)] or [0]
    sizes = ints((sizes,))
    if sum(sizes) != n or min(sizes, default=0) < 0:
        raise RuntimeError(f"split: the parts {list(sizes)} add up to {sum(sizes)}, and dimension {dim} has {n}; no part may be negative")
    before, ends = (slice(None),) * dim, accumulate(sizes)
    return tuple([indexing.getitem(input, index=(*before, slice(end - size, end))) for size, end in zip(sizes, ends)])


public["split_with_sizes"] = methods["split_with_sizes"] = public["split"]


@both("chunk")
def chunk(input, chunks, dim=0):
    """At most `chunks` equal parts along dim, the last one smaller"""
    dim = check_dim("chunk", input, dim)
    if chunks < 1:
        raise RuntimeError(f"chunk: the number of parts must be at least 1, got {chunks}")
    return split(input, max(1, -(-input.shape[dim] // chunks)), dim)


@both("tensor_split")
def tensor_split(input, indices_or_sections, dim=0):
    """Parts along dim: a number of nearly equal ones, or cut at the given indices"""
    if not input.ndim:
        raise RuntimeError("tensor_split: a 0-d tensor has no dimension to split")
    dim = check_dim("tensor_split", input, dim)
    n, cuts = input.shape[dim], indices_or_sections
    if isinstance(cuts, Tensor):
        cuts = cuts.tolist()
    if isinstance(cuts, int):
        if cuts < 1:
            raise RuntimeError(f"tensor_split: the number of parts must be at least 1, got {cuts}")
        small, extra = divmod(n, cuts)
        cuts = np.cumsum([small + 1] * extra + [small] * (cuts - extra))[:-1].tolist()
    edges = [0, *(min(c, n) if c >= 0 else max(c + n, 0) for c in cuts), n]
    return tuple(narrow(input, dim, a, max(b - a, 0)) for a, b in zip(edges, edges[1:]))


def even_split(name, input, cuts, dim, least):
    """tensor_split, but a number of parts must divide the size."""
    if input.ndim < least:
        raise RuntimeError(f"{name}: expected at least {least} dimensions, got shape {list(input.shape)}")
    if isinstance(cuts, int) and (cuts < 1 or input.shape[dim] % cuts):
        raise RuntimeError(f"{name}: dimension {dim} of size {input.shape[dim]} cannot be split into {cuts} equal parts")
    return tensor_split(input, cuts, dim)


@both("hsplit")
def hsplit(input, indices_or_sections):
    """tensor_split along the second dimension (a vector's first), in equal parts"""
    return even_split("hsplit", input, indices_or_sections, 0 if input.ndim == 1 else 1, 1)


@both("vsplit")
def vsplit(input, indices_or_sections):
    """tensor_split along the first dimension, in equal parts"""
    return even_split("vsplit", input, indices_or_sections, 0, 2)


@both("unbind")
def unbind(input, dim=0):
    """The slices along dim, a tuple"""
    dim = check_dim("unbind", input, dim)
    before = (slice(None),) * dim
    return tuple([indexing.getitem(input, index=(*before, i, Ellipsis)) for i in range(input.array.shape[dim])])


@both("flip")
def flip(input, *dims, **named):
    """input in reverse order along dims"""
    if not dims and not named:
        raise TypeError("flip: dims is missing; name the dimensions, as in x.flip(0)")
    dims = tuple(check_dim("flip", input, d) for d in sizes_of("flip", dims, named, "dims"))
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"flip: dims {list(dims)} name a dimension twice")
    return shapes.flip(input, axes=dims) if input.ndim else shapes.clone(input)


@both("fliplr")
def fliplr(input):
    """input with its columns in reverse order"""
    if input.ndim < 2:
        raise RuntimeError(f"fliplr: expected at least two dimensions, got shape {list(input.shape)}")
    return shapes.flip(input, axes=(1,))


@both("flipud")
def flipud(input):
    """input with its rows in reverse order"""
    if not input.ndim:
        raise RuntimeError("flipud: expected at least one dimension, and this is a 0-d tensor")
    return shapes.flip(input, axes=(0,))


@both("rot90")
def rot90(input, k=1, dims=(0, 1)):
    """input turned k times by 90° in the plane of two dimensions, from the first towards the second"""
    a, b = (check_dim("rot90", input, d) for d in dims)
    if a == b:
        raise RuntimeError(f"rot90: dims {tuple(dims)} must be two different dimensions")
    for _ in range(k % 4):
        input = flip(transpose(input, a, b), a)
    return input


@both("roll")
def roll(input, shifts, dims=None):
    """input shifted along dims, what falls off returning at the other end"""
    shifts, dims = ints((shifts,)), () if dims is None else ints((dims,))
    if len(shifts) != len(dims or shifts[:1]):
        raise RuntimeError(f"roll: shifts {list(shifts)} and dims {list(dims)} must be equally many")
    return shapes.roll(input, shifts=shifts, axes=dims) if dims else shapes.roll(input, shifts=shifts[0], axes=None)


@only_method("repeat")
def repeat(self, *sizes, **named):
    """The tensor repeated as a whole, along each dimension"""
    sizes = sizes_of("repeat", sizes, named, "repeats")
    if len(sizes) < self.ndim:
        raise RuntimeError(f"repeat: {len(sizes)} numbers of repetitions for {self.ndim} dimensions; give one for each")
    return shapes.tile(self, repeats=sizes)


@both("tile")
def tile(input, *dims, **named):
    """The tensor repeated as a whole, along its last dimensions"""
    dims = sizes_of("tile", dims, named, "dims")
    return shapes.tile(input, repeats=(1,) * (input.ndim - len(dims)) + dims)


@both("repeat_interleave")
def repeat_interleave(input, repeats=None, dim=None, *, output_size=None):
    """Each element repeated, along dim; of a single argument, its numbers say how often 0, 1, 2, … come"""
    if repeats is None:
        return Tensor(np.repeat(np.arange(len(input)), array_of(input)), None)
    if dim is None:
        input, dim = reshape(input, -1), 0
    counts = array_of(repeats)
    return indexing.repeat_along(input, repeats=counts if isinstance(counts, int) else np.array(counts), axis=check_dim("repeat_interleave", input, dim))  # fmt: skip


def at_least_matrix(name, x):
    """Refuse what has no rows and columns."""
    if x.ndim < 2:
        raise RuntimeError(f"{name}: expected at least two dimensions, got shape {list(x.shape)}")


@both("tril")
def tril(input, diagonal=0):
    """The lower triangle: 0 above the diagonal"""
    at_least_matrix("tril", input)
    return shapes.tril(input, k=diagonal)


@both("triu")
def triu(input, diagonal=0):
    """The upper triangle: 0 below the diagonal"""
    at_least_matrix("triu", input)
    return shapes.triu(input, k=diagonal)


@both("diagonal")
def diagonal(input, offset=0, dim1=0, dim2=1):
    """The elements whose indices along two dimensions differ by offset"""
    return shapes.diagonal(input, k=offset, axis0=dim1, axis1=dim2)


@both("diag")
def diag(input, diagonal=0):
    """A matrix's diagonal, or the matrix with a vector on its diagonal"""
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag: expected a vector or a matrix, got shape {list(input.shape)}; use diagonal or diag_embed")
    if input.ndim == 2:
        return shapes.diagonal(input, k=diagonal)
    n = input.shape[0] + abs(diagonal)
    return shapes.diagonal_embed(input, k=diagonal, shape=(n, n))


@both("diag_embed")
def diag_embed(input, offset=0, dim1=-2, dim2=-1):
    """Matrices with the last dimension of input on their diagonals"""
    n = input.shape[-1] + abs(offset)
    out = shapes.diagonal_embed(input, k=offset, axis0=-2, axis1=-1, shape=(*input.shape[:-1], n, n))
    return movedim(out, (-2, -1), (dim1, dim2)) if (dim1, dim2) != (-2, -1) else out


@both("diagflat")
def diagflat(input, offset=0):
    """A matrix with all elements of input on its diagonal"""
    return diag(reshape(input, -1), offset)


@both("trace")
def trace(input):
    """The sum of a matrix's diagonal"""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, got shape {list(input.shape)}")
    return shapes.diagonal(input).sum()


@both("as_strided")
def as_strided(input, size, stride, storage_offset=None):
    """Elements of the tensor's memory at any stride, counted from the start of that memory, or else from its own; a copy"""
    size, stride = ints((size,)), ints((stride,))
    if input.base is None and input.is_contiguous():
        return shapes.as_strided(input, size=size, stride=stride, offset=storage_offset or 0)
    array = memory.as_memory(input)
    own, start = memory.addresses(array).reshape(-1), array if storage_offset is None else memory.owner(array)
    places = start.__array_interface__["data"][0] + (shapes.strided_positions(size, stride, storage_offset or 0) * array.itemsize)
    found = memory.found_at(places, own) if own.size else np.zeros_like(places)
    if places.size and (not own.size or (own[found] != places).any()):
        raise RuntimeError("as_strided: this tensor is a view, and some of the elements lie outside of it; ask the tensor that it is a view of")
    return indexing.take_flat(input, positions=found)


@both()
def as_strided_scatter(input, src, size, stride, storage_offset=None):
    """A copy of input with src where as_strided shows it"""
    size, stride = ints((size,)), ints((stride,))
    if tuple(src.shape) != size:
        raise RuntimeError(f"as_strided_scatter: src has shape {list(src.shape)}; it must have the given size, {list(size)}")
    return indexing.put_flat(input, src, positions=shapes.strided_positions(size, stride, storage_offset or 0))


@only_method("unfold")
def unfold(self, dimension, size, step):
    """Every slice of a size along a dimension, step by step, as a new last dimension"""
    dim = check_dim("unfold", self, dimension)
    if not self.ndim:
        return reshape(self, 1)[:size]
    if size < 0 or step <= 0 or size > self.shape[dim]:
        raise RuntimeError(f"unfold: size {size} and step {step} along dimension {dim} of {self.shape[dim]} elements; the size must "
                           "fit and the step be positive")  # fmt: skip
    return indexing.windows_along(self, axis=dim, size=size, step=step)


@both("clone")
def clone(input, *, memory_format=None):
    """A copy that stays in the graph"""
    return shapes.clone(input)


@only_method("contiguous")
def contiguous(self, memory_format=None):
    """The tensor itself where its memory is in row-major order, else a copy"""
    if not isinstance(self.array, np.ndarray) or self.array.flags.c_contiguous:
        return self
    return contiguous_copy(self)


def contiguous_copy(x):
    """A copy in row-major order."""
    out = shapes.clone(x)
    out.array = np.ascontiguousarray(out.array)
    return out


@both("numel")
def numel(input):
    """The number of elements"""
    return int(array_of(input).size)


@both("block_diag", method=False)
def block_diag(*tensors):
    """The tensors as blocks along the diagonal of one matrix"""
    blocks = [at_least(as_tensor(x), 2) for x in tensors]
    width = sum(b.shape[1] for b in blocks)
    rows, before = [], 0
    for b in blocks:
        rows.append(shapes.pad_constant(b, widths=((0, 0), (before, width - before - b.shape[1])), value=0))
        before += b.shape[1]
    return cat(rows, 0)


@only_function("cartesian_prod")
def cartesian_prod(*tensors):
    """All combinations of elements of several vectors, one row each"""
    from .create import meshgrid

    if len(tensors) == 1:
        return tensors[0]
    return stack([g.reshape(-1) for g in meshgrid(*tensors)], 1)


@only_function("combinations")
def combinations(input, r=2, with_replacement=False):
    """All combinations of r elements of a vector, one row each"""
    import itertools

    pick = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(pick(range(input.shape[0]), r)), np.int64).reshape(-1, r)
    return indexing.getitem(input, index=(rows,))


@both("dsplit")
def dsplit(input, indices_or_sections):
    """tensor_split along the third dimension, in equal parts"""
    return even_split("dsplit", input, indices_or_sections, 2, 3)


@both("adjoint")
def adjoint(input):
    """The transposed matrices, conjugated"""
    return input.mH


@only_method("sum_to_size")
def sum_to_size(self, *size):
    """The sum over the dimensions along which `size` would be stretched to this shape"""
    size = ints(size)
    lead = self.ndim - len(size)
    if lead < 0 or any(n not in (1, m) for n, m in zip(size, self.shape[lead:])):
        raise RuntimeError(f"sum_to_size: size {list(size)} does not broadcast to the shape {list(self.shape)}")
    dims = [*range(lead), *(i + lead for i, n in enumerate(size) if n == 1 != self.shape[i + lead])]
    if dims or not size:
        return reshape(self.sum(dims or None, True), *size)
    return self


@both("unravel_index", method=False)
def unravel_index(indices, shape):
    """The index along each dimension of a flat position, a tuple"""
    return tuple(Tensor(np.asarray(i), None) for i in np.unravel_index(indices.array, ints((shape,))))


public["unsafe_chunk"] = methods["unsafe_chunk"] = chunk
public["unsafe_split"] = methods["unsafe_split"] = split
