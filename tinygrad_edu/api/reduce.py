"""Sums, extremes, moments, sorting and cumulative functions in PyTorch's spelling."""

from collections import namedtuple

import numpy as np

from ..autograd.tensor import Tensor, array_of
from ..ops import indexing, reductions
from .spelling import as_tensor, both, check_dim, dims_of, methods, only_function
from .spelling import functions as public


def converted(input, dtype):
    """The input of a sum: in `dtype` if given, booleans and small integers as int64."""
    if dtype is not None:
        return input.astype(np.dtype(dtype))
    return input.astype(np.dtype("int64")) if input.dtype.kind in "biu" and input.dtype != np.int64 else input


def sum(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False):
    """Σ input along dim"""
    if input.dtype.kind != "f" or dtype is not None:
        input = converted(input, dtype)
    dim = axis if dim is None else dim
    return reductions.sum(input, axis=dims_of(dim), keepdims=keepdim or keepdims)


def mean(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False):
    """Σ input / n along dim"""
    if dtype is not None:
        input = input.astype(np.dtype(dtype))
    if input.dtype.kind not in "fc":
        raise RuntimeError(f"mean: the mean of {input.dtype} numbers is no {input.dtype}; convert first, as in x.float().mean()")
    dim = axis if dim is None else dim
    return reductions.mean(input, axis=dims_of(dim), keepdims=keepdim or keepdims)


for function in (sum, mean):
    public[function.__name__] = methods[function.__name__] = function


@both()
def prod(input, dim=None, keepdim=False, *, dtype=None):
    """Π input along dim"""
    return reductions.prod(converted(input, dtype), axis=dims_of(dim), keepdims=keepdim)


@both()
def nansum(input, dim=None, keepdim=False, *, dtype=None):
    """Σ input along dim, NaN counted as 0"""
    return reductions.nansum_along(converted(input, dtype), axis=dims_of(dim), keepdims=keepdim)


@both()
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean along dim of what is not NaN"""
    counted = Tensor((~np.isnan(array_of(input))).sum(axis=dims_of(dim), keepdims=keepdim))
    return nansum(input, dim, keepdim, dtype=dtype) / counted


Extreme = {name: namedtuple(name, "values indices") for name in ("max", "min", "sort", "topk", "median", "mode", "kthvalue", "cummax", "cummin", "nanmedian")}  # fmt: skip


def picked(kind, input, index, dim, keepdim):
    """The pair (values, indices), with the values picked from the input so that gradients follow them."""
    values = indexing.gather_along(input, axis=dim, index=index)
    if not keepdim:
        values, index = values.squeeze(dim), index.squeeze(dim)
    return Extreme[kind](values, Tensor(np.asarray(index)))


def extreme(kind, find, reduce, pair):
    """max or min: of everything, along a dimension with indices, or of two tensors."""

    def function(input, dim=None, keepdim=False, *, other=None, axis=None, keepdims=False, out=None):
        if isinstance(dim, Tensor) or other is not None:
            return pair(input, dim if other is None else other)
        dim, keepdim = axis if dim is None else dim, keepdim or keepdims
        if dim is None:
            if not input.array.size:
                raise RuntimeError(f"{kind}: an empty tensor has no {kind}imum")
            return reduce(input)
        if isinstance(dim, (tuple, list)):
            return reduce(input, axis=tuple(dim), keepdims=keepdim)
        dim = check_dim(kind, input, dim)
        if not input.ndim:
            return Extreme[kind](input.clone(), Tensor(np.zeros((), np.int64)))
        return picked(kind, input, find(input.array, axis=dim, keepdims=True), dim, keepdim)

    function.__name__ = kind
    function.__doc__ = f"""The {kind}imum: of all elements, along `dim` as (values, indices), or of two tensors element by element."""
    public[kind] = methods[kind] = function
    return function


from ..ops.arithmetic import maximum, minimum  # noqa: E402

max = extreme("max", np.argmax, reductions.amax, maximum)
min = extreme("min", np.argmin, reductions.amin, minimum)


@both()
def amax(input, dim=None, keepdim=False):
    """The maximum along one or several dimensions; equal maxima share the gradient"""
    return reductions.amax(input, axis=dims_of(dim), keepdims=keepdim)


@both()
def amin(input, dim=None, keepdim=False):
    """The minimum along one or several dimensions; equal minima share the gradient"""
    return reductions.amin(input, axis=dims_of(dim), keepdims=keepdim)


@both()
def aminmax(input, *, dim=None, keepdim=False):
    """The pair (amin, amax)"""
    return namedtuple("aminmax", "min max")(amin(input, dim, keepdim), amax(input, dim, keepdim))


@both()
def argmax(input, dim=None, keepdim=False):
    """The index of the first maximum"""
    return reductions.argmax_along(input, axis=dim, keepdims=keepdim)


@both()
def argmin(input, dim=None, keepdim=False):
    """The index of the first minimum"""
    return reductions.argmin_along(input, axis=dim, keepdims=keepdim)


@both()
def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Σ (x − mean)² / (n − correction) along dim; correction is 1 unless given"""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return reductions.var(input, axis=dims_of(dim), correction=degrees(unbiased, correction), keepdims=keepdim)


@both()
def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """√var along dim"""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return reductions.std(input, axis=dims_of(dim), correction=degrees(unbiased, correction), keepdims=keepdim)


def degrees(unbiased, correction):
    """The correction, from PyTorch's two ways to say it."""
    if correction is not None:
        return correction
    return 0 if unbiased is False else 1


@both()
def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The pair (var, mean)"""
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


@both()
def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The pair (std, mean)"""
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


@both()
def logsumexp(input, dim, keepdim=False):
    """ln Σ eˣ along dim, without overflow"""
    return reductions.logsumexp(input, axis=dims_of(dim), keepdims=keepdim)


@both("all")
def all_(input, dim=None, keepdim=False):
    """True where every element along dim is nonzero"""
    return reductions.all_along(input, axis=dims_of(dim), keepdims=keepdim)


@both("any")
def any_(input, dim=None, keepdim=False):
    """True where some element along dim is nonzero"""
    return reductions.any_along(input, axis=dims_of(dim), keepdims=keepdim)


@both()
def count_nonzero(input, dim=None):
    """How many elements along dim are nonzero"""
    return reductions.count_nonzero_along(input, axis=dims_of(dim))


@both()
def norm(input, p="fro", dim=None, keepdim=False, dtype=None):
    """(Σ |x|ᵖ)^(1/p) along dim; p = 2 unless given"""
    if dtype is not None:
        input = input.astype(np.dtype(dtype))
    if p == "nuc":
        from .linalg import matrix_norm

        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim)
    order = 2 if p in ("fro", None) else float(p)
    return reductions.vector_norm(input, axis=dims_of(dim), order=order, keepdims=keepdim)


@both()
def dist(input, other, p=2):
    """‖input − other‖ₚ"""
    return norm(input - other, p)


@both()
def cumsum(input, dim, *, dtype=None):
    """Σ of the elements up to each one, along dim"""
    input = converted(input, dtype)
    return reductions.cumsum(input, axis=check_dim("cumsum", input, dim)) if input.ndim else input.clone()


@both()
def cumprod(input, dim, *, dtype=None):
    """Π of the elements up to each one, along dim"""
    input = converted(input, dtype)
    return reductions.cumprod(input, axis=check_dim("cumprod", input, dim)) if input.ndim else input.clone()


@both()
def logcumsumexp(input, dim):
    """ln Σ eˣ over the elements up to each one, along dim"""
    return reductions.logcumsumexp(input, axis=check_dim("logcumsumexp", input, dim))


def running(kind, better):
    """cummax or cummin: the extreme so far, and where it was last seen."""

    def function(input, dim):
        dim = check_dim(kind, input, dim)
        x = np.moveaxis(input.array, dim, 0)
        index = np.zeros(x.shape, np.int64)
        best = x[0].copy()
        for k in range(1, len(x)):
            hit = better(x[k], best)
            best = np.where(hit, x[k], best)
            index[k] = np.where(hit, k, index[k - 1])
        return picked(kind, input, np.moveaxis(index, 0, dim), dim, True)

    function.__name__ = kind
    function.__doc__ = "The pair (values, indices) of the extreme element so far, along dim."
    return both(kind)(function)


cummax = running("cummax", lambda a, b: a >= b)
cummin = running("cummin", lambda a, b: a <= b)


@both()
def argsort(input, dim=-1, descending=False, stable=False):
    """The indices that sort input along dim"""
    return reductions.argsort_along(input, axis=dim, descending=descending)


@both()
def sort(input, dim=-1, descending=False, stable=False):
    """The pair (values, indices), sorted along dim"""
    if not input.ndim:
        return Extreme["sort"](input.clone(), Tensor(np.zeros((), np.int64)))
    dim = check_dim("sort", input, dim)
    return picked("sort", input, reductions.argsort_along(input, axis=dim, descending=descending).array, dim, True)


@both()
def msort(input):
    """input sorted along its first dimension"""
    return sort(input, 0)[0]


@both()
def topk(input, k, dim=-1, largest=True, sorted=True):
    """The pair (values, indices) of the k largest (or smallest) elements along dim"""
    if not input.ndim:
        return Extreme["topk"](input.clone(), Tensor(np.zeros((), np.int64)))
    dim = check_dim("topk", input, dim)
    if not 0 <= k <= input.shape[dim]:
        raise RuntimeError(f"topk: k = {k} of {input.shape[dim]} elements along dimension {dim}; k must be between 0 and that")
    order = reductions.argsort_along(input, axis=dim, descending=largest).array
    return picked("topk", input, np.take(order, np.arange(k), axis=dim), dim, True)


@both()
def kthvalue(input, k, dim=-1, keepdim=False):
    """The pair (value, index) of the k-th smallest element along dim, counted from 1"""
    dim = check_dim("kthvalue", input, dim)
    order = reductions.argsort_along(input, axis=dim).array
    return picked("kthvalue", input, np.take(order, [k - 1], axis=dim), dim, keepdim)


@both()
def median(input, dim=None, keepdim=False):
    """The lower median: of all elements, or along dim as (values, indices)"""
    if dim is None:
        flat = input.reshape(-1)
        return median(flat, 0)[0]
    dim = check_dim("median", input, dim)
    order = reductions.argsort_along(input, axis=dim).array
    middle = np.take(order, [(input.shape[dim] - 1) // 2], axis=dim)
    bad = np.isnan(input.array).any(dim, keepdims=True) if input.dtype.kind == "f" else False
    middle = np.where(bad, np.argmax(np.isnan(input.array), dim, keepdims=True) if np.any(bad) else 0, middle)
    return picked("median", input, middle, dim, keepdim)


@both()
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The q-th quantiles along dim, between neighbours by interpolation"""
    if interpolation != "linear":
        raise NotImplementedError(f"quantile: interpolation={interpolation!r} is not supported, only 'linear'")
    q = as_tensor(q)
    flat = input.reshape(-1) if dim is None else input
    axis = 0 if dim is None else check_dim("quantile", input, dim)
    ordered = sort(flat, axis)[0]
    place = q.array.reshape(-1).astype(np.float64) * (ordered.shape[axis] - 1)
    low = np.floor(place).astype(np.int64)
    high = np.ceil(place).astype(np.int64)
    weight = (place - low).astype(input.dtype).reshape([-1 if i == axis else 1 for i in range(ordered.ndim)])
    below, above = ordered.index_select(axis, Tensor(low)), ordered.index_select(axis, Tensor(high))
    out = below + Tensor(weight) * (above - below)
    out = out.movedim(axis, 0)
    if keepdim:
        out = out.unsqueeze(axis + 1) if dim is not None else out.reshape([-1] + [1] * input.ndim)
    return out if q.ndim else out[0]


@both()
def mode(input, dim=-1, keepdim=False):
    """The pair (value, index) of the most frequent element along dim, the smallest of several"""
    dim = check_dim("mode", input, dim)
    x = np.moveaxis(input.array, dim, -1)
    index = np.zeros(x.shape[:-1], np.int64)
    for place in np.ndindex(x.shape[:-1]):
        values, counts = np.unique(x[place], return_counts=True)
        index[place] = np.flatnonzero(x[place] == values[np.argmax(counts)])[-1]
    return picked("mode", input, np.expand_dims(index, dim), dim, keepdim)


@both()
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different elements, in order; with their inverse indices and counts if wanted"""
    results = np.unique(array_of(input), return_inverse=True, return_counts=True, axis=dim)
    chosen = [results[0]] + [results[1].reshape(input.shape if dim is None else -1)] * return_inverse + [results[2]] * return_counts
    tensors = tuple(Tensor(np.asarray(r)) for r in chosen)
    return tensors if len(tensors) > 1 else tensors[0]


@both()
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements without immediate repetitions"""
    if dim is not None:
        raise NotImplementedError("unique_consecutive(dim=…) is not supported; only whole tensors")
    x = array_of(input).reshape(-1)
    first = np.concatenate(([True], x[1:] != x[:-1])) if len(x) else np.zeros(0, bool)
    chosen = [x[first]]
    if return_inverse:
        chosen.append((np.cumsum(first) - 1).reshape(input.shape))
    if return_counts:
        chosen.append(np.diff(np.append(np.flatnonzero(first), len(x))))
    tensors = tuple(Tensor(np.asarray(r)) for r in chosen)
    return tensors if len(tensors) > 1 else tensors[0]


@both()
def bincount(input, weights=None, minlength=0):
    """How often each non-negative integer occurs"""
    w = None if weights is None else array_of(weights)
    out = np.bincount(array_of(input), w, minlength)
    return Tensor(out.astype(weights.dtype) if w is not None else out)


@both()
def histc(input, bins=100, min=0, max=0):
    """How many elements fall into each of `bins` equal parts between min and max (the data's own if both are 0)"""
    x = array_of(input)
    if min == 0 == max:
        min, max = x.min(), x.max()
    return Tensor(np.histogram(x, bins, (min, max))[0].astype(x.dtype))


@only_function()
def searchsorted(sorted_sequence, values, *, right=False, side=None, out_int32=False):
    """Where `values` would be inserted to keep the sequences sorted"""
    side = side or ("right" if right else "left")
    edges, wanted = array_of(sorted_sequence), np.asarray(array_of(values))
    if edges.ndim == 1:
        out = np.searchsorted(edges, wanted, side)
    else:
        out = np.empty(wanted.shape, np.int64)
        for place in np.ndindex(edges.shape[:-1]):
            out[place] = np.searchsorted(edges[place], wanted[place], side)
    return Tensor(np.asarray(out).astype(np.int32 if out_int32 else np.int64))


@only_function()
def bucketize(input, boundaries, *, right=False, out_int32=False):
    """The number of the bucket between boundaries that each element falls into"""
    return searchsorted(boundaries, input, right=right, out_int32=out_int32)


@both()
def diff(input, n=1, dim=-1, prepend=None, append=None):
    """Differences of neighbours along dim, n times"""
    from ..ops.shapes import concatenate

    parts = [p for p in (prepend, input, append) if p is not None]
    x = concatenate(*parts, axis=dim) if len(parts) > 1 else input
    for _ in range(n):
        size = x.shape[dim]
        x = x.narrow(dim, 1, size - 1) - x.narrow(dim, 0, size - 1)
    return x


@both()
def trapezoid(y, x=None, *, dx=1.0, dim=-1):
    """The integral of y along dim by the trapezoidal rule"""
    n = y.shape[dim]
    middle = (y.narrow(dim, 1, n - 1) + y.narrow(dim, 0, n - 1)) / 2
    if x is not None:
        return (middle * diff(x, dim=-1 if x.ndim == 1 else dim)).sum(dim)
    return middle.sum(dim) * dx


@both()
def cov(input, *, correction=1):
    """The covariance matrix of variables in rows, observations in columns"""
    x = input.reshape(1, -1) if input.ndim < 2 else input
    x = x - x.mean(1, True)
    out = x @ x.T / np.maximum(0, x.shape[1] - correction).item()
    return out.squeeze() if input.ndim < 2 else out


@both()
def corrcoef(input):
    """The correlation matrix of variables in rows, observations in columns"""
    c = cov(input)
    if not c.ndim:
        return c / c
    d = c.diagonal().sqrt()
    return c / d.unsqueeze(0) / d.unsqueeze(1)


