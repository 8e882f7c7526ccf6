"""Sums, extremes, moments, sorting and cumulative functions in PyTorch's spelling."""

import builtins

import numpy as np

from ..autograd import dtypes
from ..autograd.tensor import Tensor, array_of
from ..ops import indexing, reductions, shapes
from ..ops.arithmetic import maximum, minimum
from .spelling import as_tensor, axes_of, both, check_dim, into, magnitudes, methods, named_results, only_function
from .spelling import functions as public

int64 = np.dtype("int64")

# --- sums and means ----------------------------------------------------------------------------------------------------


def converted(input, dtype):
    """The input of a sum: in `dtype` if given, booleans and small integers as int64."""
    if dtype is not None:
        return input.astype(dtype)
    return input.astype(int64) if input.dtype.kind in "biu" and input.dtype != int64 else input


def sum(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False):
    """Σ input along dim"""
    if input.dtype.kind != "f" or dtype is not None:
        input = converted(input, dtype)
    dim = axis if dim is None else dim
    out = reductions.sum(input, axis=dim if dim is None else axes_of("sum", input, dim), keepdims=keepdim or keepdims)
    return out if dtype is None or out.dtype == dtype else out.astype(dtype)  # NumPy adds up small integers in large ones


def mean(input, dim=None, keepdim=False, *, dtype=None, axis=None, keepdims=False):
    """Σ input / n along dim"""
    if dtype is not None:
        input = input.astype(dtype)
    if input.dtype.kind not in "fc":
        raise RuntimeError(f"mean: the mean of {input.dtype} numbers is no {input.dtype}; convert first, as in x.float().mean()")
    if not input.array.size:
        return mean_of_nothing(input, axis if dim is None else dim, keepdim or keepdims)
    dim = axis if dim is None else dim
    return reductions.mean(input, axis=dim if dim is None else axes_of("mean", input, dim), keepdims=keepdim or keepdims)


def mean_of_nothing(input, dim, keepdim):
    """The mean of an empty tensor is NaN, without NumPy's warning."""
    total = sum(input, dim, keepdim)
    return total * (np.nan if total.array.size else 1.0)


for function in (sum, mean):
    public[function.__name__] = methods[function.__name__] = function


def with_out(function):
    """`sum` and `mean` with `out=`; methods stay as they are, for speed."""

    def spelled(input, *args, out=None, **kwargs):
        result = function(as_tensor(input), *args, **kwargs)
        return result if out is None else into(out, result)

    spelled.__name__, spelled.__doc__ = function.__name__, function.__doc__
    return spelled


public["sum"], public["mean"] = with_out(sum), with_out(mean)


@both()
def prod(input, dim=None, keepdim=False, *, dtype=None):
    """Π input along dim"""
    out = reductions.prod(converted(input, dtype), axis=axes_of("prod", input, dim), keepdims=keepdim)
    return out if dtype is None else out.astype(dtype)


@both()
def nansum(input, dim=None, keepdim=False, *, dtype=None):
    """Σ input along dim, NaN counted as 0"""
    input = converted(input, dtype)
    if input.dtype.kind != "f":
        return sum(input, dim, keepdim, dtype=dtype)
    return reductions.nansum_along(input, axis=axes_of("nansum", input, dim), keepdims=keepdim)


@both()
def nanmean(input, dim=None, keepdim=False, *, dtype=None):
    """The mean along dim of what is not NaN"""
    input = input if dtype is None else input.astype(dtype)
    counted = (~np.isnan(input.array)).sum(axis=axes_of("nanmean", input, dim), keepdims=keepdim)
    return nansum(input, dim, keepdim) / Tensor(np.asarray(counted), None)


@both()
def cumsum(input, dim, *, dtype=None):
    """Σ of the elements up to each one, along dim"""
    input, dim = converted(input, dtype), check_dim("cumsum", input, dim)
    out = reductions.cumsum(input, axis=dim) if input.ndim else shapes.clone(input)
    return out if dtype is None else out.astype(dtype)


@both()
def cumprod(input, dim, *, dtype=None):
    """Π of the elements up to each one, along dim"""
    input, dim = converted(input, dtype), check_dim("cumprod", input, dim)
    out = reductions.cumprod(input, axis=dim) if input.ndim else shapes.clone(input)
    return out if dtype is None else out.astype(dtype)


@both()
def logcumsumexp(input, dim):
    """ln Σ eˣ over the elements up to each one, along dim"""
    dim = check_dim("logcumsumexp", input, dim)
    return reductions.logcumsumexp(input, axis=dim) if input.ndim else shapes.clone(input)


@both()
def logsumexp(input, dim, keepdim=False):
    """ln Σ eˣ along dim, without overflow"""
    if input.dtype.kind == "c":
        raise RuntimeError(f"logsumexp: expected real numbers, got {input.dtype}; for complex ones write x.exp().sum(dim).log()")
    return reductions.logsumexp(input, axis=axes_of("logsumexp", input, dim), keepdims=keepdim)


# --- extremes ----------------------------------------------------------------------------------------------------------

RESULTS = {name: named_results(name, "values indices") for name in
           ("max", "min", "sort", "topk", "median", "nanmedian", "mode", "kthvalue", "cummax", "cummin")}  # fmt: skip
MinMax = named_results("aminmax", "min max")


def picked(kind, input, index, dim, keepdim):
    """The pair (values, indices), with the values picked from the input so that gradients follow them."""
    values = indexing.gather_along(input, axis=dim, index=index)
    if not keepdim:
        values, index = shapes.squeeze(values, axis=dim), index.squeeze(dim)
    return RESULTS[kind](values, Tensor(np.asarray(index), None))


def single(kind, input):
    """The pair of a 0-d tensor: itself, and 0."""
    return RESULTS[kind](shapes.clone(input), Tensor(np.zeros((), np.int64), None))


def no_elements(name, input, dim):
    """An empty dimension has no extreme."""
    if input.ndim and not input.shape[dim]:
        raise IndexError(f"{name}: dimension {dim} of shape {list(input.shape)} is empty and has no such element")


def no_extreme(name, input, dim):
    """The same for one dimension, several or all of them."""
    for d in axes_of(name, input, dim) or () if isinstance(dim, (tuple, list)) else () if dim is None else (check_dim(name, input, dim),):
        no_elements(name, input, d)


def extreme(kind, find, reduce, pair):
    """max or min: of everything, along a dimension with indices, or of two tensors."""

    def function(input, dim=None, keepdim=False, *, other=None, axis=None, keepdims=False):
        if isinstance(dim, Tensor) or other is not None:
            return pair(input, dim if other is None else other)
        dim, keepdim = axis if dim is None else dim, keepdim or keepdims
        if dim is None:
            if not input.array.size:
                raise RuntimeError(f"{kind}: an empty tensor has no {kind}imum")
            return reduce(input)
        if isinstance(dim, (tuple, list)):
            return reduce(input, axis=axes_of(kind, input, dim), keepdims=keepdim)
        dim = check_dim(kind, input, dim)
        no_elements(kind, input, dim)
        if not input.ndim:
            return single(kind, input)
        return picked(kind, input, find(input.array, axis=dim, keepdims=True), dim, keepdim)

    function.__name__ = kind
    function.__doc__ = f"""The {kind}imum: of all elements, along `dim` as (values, indices), or of two tensors element by element."""
    return both(kind)(function)


max = extreme("max", np.argmax, reductions.amax, maximum)
min = extreme("min", np.argmin, reductions.amin, minimum)


@both()
def amax(input, dim=None, keepdim=False):
    """The maximum along one or several dimensions; equal maxima share the gradient"""
    no_extreme("amax", input, dim)
    return reductions.amax(input, axis=axes_of("amax", input, dim), keepdims=keepdim)


@both()
def amin(input, dim=None, keepdim=False):
    """The minimum along one or several dimensions; equal minima share the gradient"""
    no_extreme("amin", input, dim)
    return reductions.amin(input, axis=axes_of("amin", input, dim), keepdims=keepdim)


@both()
def aminmax(input, *, dim=None, keepdim=False):
    """The pair (amin, amax)"""
    return MinMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


@both()
def argmax(input, dim=None, keepdim=False):
    """The index of the first maximum"""
    no_elements("argmax", input, dim or 0)
    return reductions.argmax_along(input, axis=axes_of("argmax", input, dim), keepdims=keepdim)


@both()
def argmin(input, dim=None, keepdim=False):
    """The index of the first minimum"""
    no_elements("argmin", input, dim or 0)
    return reductions.argmin_along(input, axis=axes_of("argmin", input, dim), keepdims=keepdim)


def running(kind, better):
    """cummax or cummin: the extreme so far, and where it was last seen."""

    def function(input, dim):
        dim = check_dim(kind, input, dim)
        if not input.ndim:
            return single(kind, input)
        x = np.moveaxis(input.array, dim, 0)
        index = np.zeros(x.shape, np.int64)
        for k in range(1, len(x)):
            best = np.take_along_axis(x, index[k - 1 : k], 0)[0]
            index[k] = np.where(better(x[k], best) | (x[k] != x[k]), k, index[k - 1])
        return picked(kind, input, np.moveaxis(index, 0, dim), dim, True)

    function.__name__ = kind
    function.__doc__ = "The pair (values, indices) of the extreme element so far, along dim."
    return both(kind)(function)


cummax = running("cummax", np.greater_equal)
cummin = running("cummin", np.less_equal)

# --- moments and norms -------------------------------------------------------------------------------------------------


def moment(name, operator, doc):
    """var or std, with PyTorch's two ways to say the correction."""

    def function(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        if input.dtype.kind == "c":
            options = dict(keepdim=keepdim, correction=correction)
            total = var(input.real, dim, unbiased, **options) + var(input.imag, dim, unbiased, **options)
            return total if name == "var" else total.sqrt()
        if input.dtype.kind != "f":
            raise RuntimeError(f"{name}: expected floating-point numbers, got {input.dtype}; convert them first, as in x.float()")
        correction = (0 if unbiased is False else 1) if correction is None else correction
        return operator(input, axis=axes_of(name, input, dim), correction=correction, keepdims=keepdim)

    function.__name__, function.__doc__ = name, doc
    return both(name)(function)


var = moment("var", reductions.var, "Σ (x − mean)² / (n − correction) along dim; correction is 1 unless given")
std = moment("std", reductions.std, "√var along dim")


@both()
def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The pair (var, mean)"""
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


@both()
def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The pair (std, mean)"""
    dim, unbiased = (None, dim) if isinstance(dim, bool) else (dim, unbiased)
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


@both()
def norm(input, p="fro", dim=None, keepdim=False, dtype=None):
    """(Σ |x|ᵖ)^(1/p) along dim; p = 2 unless given"""
    if dtype is not None:
        input = input.astype(dtype)
    input = input if p == "nuc" else magnitudes(input)
    if input.dtype.kind in "biu":
        raise RuntimeError(f"norm: expected a floating-point tensor, got {input.dtype}; convert it first, as in x.float()")
    if p == "nuc":
        from .linalg import matrix_norm

        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim)
    order = 2 if p in ("fro", None) else int(p) if p in (0, 1, 2) else float(p)
    return reductions.vector_norm(input, axis=axes_of("norm", input, dim), order=order, keepdims=keepdim)


@both()
def dist(input, other, p=2):
    """‖input − other‖ₚ"""
    return norm(input - other, p)


@both()
def renorm(input, p, dim, maxnorm):
    """input with each slice along dim scaled down to a p-norm of at most maxnorm"""
    dim = check_dim("renorm", input, dim)
    others = [d for d in range(input.ndim) if d != dim]
    size = norm(input, p, others, True)
    too_long = size > maxnorm
    return input * public["where"](too_long, maxnorm / (public["where"](too_long, size, 1.0) + 1e-7), 1.0)


@both()
def cov(input, *, correction=1, fweights=None, aweights=None):
    """The covariance matrix of variables in rows, observations in columns"""
    if input.ndim > 2:
        raise RuntimeError(f"cov: expected at most two dimensions, got shape {list(input.shape)}")
    x = input.reshape(1, -1) if input.ndim < 2 else input
    x = x if x.dtype.kind in "fc" else x.astype(dtypes.default)
    weights = None
    for given, name in ((fweights, "fweights"), (aweights, "aweights")):
        if given is not None:
            if given.ndim != 1 or given.shape[0] != x.shape[1] or (array_of(given) < 0).any():
                raise RuntimeError(f"cov: {name} must hold one non-negative number for each of {x.shape[1]} observations")
            if (given.dtype.kind == "f") != (name == "aweights"):
                raise RuntimeError(f"cov: {name} must hold {'real numbers' if name == 'aweights' else 'integers'}, not {given.dtype}")
            weights = given if weights is None else weights * given
    if weights is None:
        x = x - x.mean(1, True)
        out = x @ x.mH / np.maximum(0, x.shape[1] - correction).item()
    else:
        total = sum(weights)
        x = x - (sum(x * weights, 1) / total).unsqueeze(1)
        both_given = aweights is not None and correction != 0
        lost = sum(weights * aweights) / total * correction if both_given else correction
        out = (x * weights) @ x.mH / public["clamp"](total - lost, min=0)
    return out.squeeze()


@both()
def corrcoef(input):
    """The correlation matrix of variables in rows, observations in columns"""
    c = cov(input)
    if not c.ndim:
        return c / c
    d = c.diagonal().sqrt()
    return c / d.unsqueeze(0) / d.unsqueeze(1)


# --- truth and counting ------------------------------------------------------------------------------------------------


def truth(input, out):
    """PyTorch's result type of any and all: bool, but uint8 for uint8."""
    return out.astype(np.dtype("uint8")) if input.array.dtype.char == "B" else out


@both("all")
def all_(input, dim=None, keepdim=False):
    """True where every element along dim is nonzero"""
    return truth(input, reductions.all_along(input, axis=axes_of("all", input, dim), keepdims=keepdim))


@both("any")
def any_(input, dim=None, keepdim=False):
    """True where some element along dim is nonzero"""
    return truth(input, reductions.any_along(input, axis=axes_of("any", input, dim), keepdims=keepdim))


@both()
def count_nonzero(input, dim=None):
    """How many elements along dim are nonzero"""
    return reductions.count_nonzero_along(input, axis=axes_of("count_nonzero", input, dim))


@both()
def bincount(input, weights=None, minlength=0):
    """How often each non-negative integer occurs"""
    if input.ndim != 1 or input.dtype.kind not in "iu" or input.array.size and input.array.min() < 0:
        raise RuntimeError(f"bincount: expected a vector of non-negative integers, got {input.dtype}{list(input.shape)}")
    if minlength < 0:
        raise RuntimeError(f"bincount: minlength={minlength} must not be negative")
    if weights is None:
        return Tensor(np.bincount(input.array, None, minlength), None)
    out = np.bincount(input.array, array_of(weights), minlength)
    return Tensor(out.astype(np.float32 if weights.dtype == np.float32 else np.float64), None)


@both()
def histc(input, bins=100, min=0, max=0):
    """How many elements fall into each of `bins` equal parts between min and max (the data's own if both are 0)"""
    x = array_of(input).reshape(-1)
    if min == 0 == max and x.size:
        min, max = x.min().item(), x.max().item()
    if bins < 1:
        raise RuntimeError(f"histc: the number of bins must be at least 1, got {bins}")
    if min > max:
        raise RuntimeError(f"histc: min={min} is larger than max={max}")
    if min == max:
        min, max = min - 1, max + 1
    x = x[(x >= min) & (x <= max)]
    places = ((x - x.dtype.type(min)) * x.dtype.type(bins) / x.dtype.type(max - min)).astype(np.int64)  # rounded as PyTorch rounds
    return Tensor(np.bincount(np.minimum(places, bins - 1), minlength=bins).astype(x.dtype), None)


# --- sorting -----------------------------------------------------------------------------------------------------------


@both()
def argsort(input, dim=-1, descending=False, stable=False):
    """The indices that sort input along dim"""
    return reductions.argsort_along(input, axis=check_dim("argsort", input, dim), descending=descending)


def order_of(input, dim, descending=False):
    """The indices that sort input along dim, as an array."""
    return reductions.argsort_along(input, axis=dim, descending=descending).array


@both()
def sort(input, dim=-1, descending=False, stable=False):
    """The pair (values, indices), sorted along dim"""
    dim = check_dim("sort", input, dim)
    return picked("sort", input, order_of(input, dim, descending), dim, True) if input.ndim else single("sort", input)


@both()
def msort(input):
    """input sorted along its first dimension"""
    return sort(input, 0)[0]


@both()
def topk(input, k, dim=-1, largest=True, sorted=True):
    """The pair (values, indices) of the k largest (or smallest) elements along dim"""
    dim, k = check_dim("topk", input, dim), int(k)
    n = input.shape[dim] if input.ndim else 1
    if not 0 <= k <= n:
        raise RuntimeError(f"topk: k = {k} of {n} elements along dimension {dim}; k must be between 0 and that")
    if not input.ndim:
        return single("topk", input)
    return picked("topk", input, order_of(input, dim, largest)[(slice(None),) * dim + (slice(k),)].copy(), dim, True)


@both()
def kthvalue(input, k, dim=-1, keepdim=False):
    """The pair (value, index) of the k-th smallest element along dim, counted from 1"""
    dim = check_dim("kthvalue", input, dim)
    n = input.shape[dim] if input.ndim else 1
    no_elements("kthvalue", input, dim)
    if not 1 <= k <= n:
        raise RuntimeError(f"kthvalue: k = {k} of {n} elements along dimension {dim}; k is counted from 1 and must exist")
    if not input.ndim:
        return single("kthvalue", input)
    return picked("kthvalue", input, np.take(order_of(input, dim), [k - 1], axis=dim), dim, keepdim)


def middle(kind, ignore):
    """median or nanmedian: the lower of the two middle elements."""

    def function(input, dim=None, keepdim=False):
        if dim is None:
            if not input.array.size:
                return Tensor(np.full((), np.nan if input.dtype.kind == "f" else np.iinfo(input.dtype).min, input.dtype), None)
            return reductions.element(input, place=function(input.detach().reshape(-1), 0)[1].item())
        dim = check_dim(kind, input, dim)
        no_elements(kind, input, dim)
        if not input.ndim:
            return single(kind, input)
        unknown = np.isnan(input.array)
        counted = input.shape[dim] - unknown.sum(dim, keepdims=True) if ignore else np.full((), input.shape[dim])
        place = np.maximum(counted - 1, 0) // 2
        order = order_of(input, dim)
        index = np.take_along_axis(order, np.broadcast_to(place, [1 if d == dim else n for d, n in enumerate(order.shape)]), dim)
        if not ignore and unknown.any():
            index = np.where(unknown.any(dim, keepdims=True), np.argmax(unknown, dim, keepdims=True), index)
        return picked(kind, input, index, dim, keepdim)

    function.__name__ = kind
    function.__doc__ = "The lower median: of all elements, or along dim as (values, indices)" + "; NaN not counted" * ignore
    return both(kind)(function)


median, nanmedian = middle("median", False), middle("nanmedian", True)


@both()
def mode(input, dim=-1, keepdim=False):
    """The pair (value, index) of the most frequent element along dim, the smallest of several"""
    dim = check_dim("mode", input, dim)
    no_elements("mode", input, dim)
    if not input.ndim:
        return single("mode", input)
    x = np.moveaxis(input.array, dim, -1)
    index = np.zeros(x.shape[:-1], np.int64)
    for place in np.ndindex(x.shape[:-1]):
        values, counts = np.unique(x[place], return_counts=True)
        index[place] = np.flatnonzero(x[place] == values[np.argmax(counts)])[-1]
    return picked("mode", input, np.expand_dims(index, dim), dim, keepdim)


INTERPOLATIONS = dict(linear=None, midpoint=None, lower=np.floor, higher=np.ceil, nearest=np.round)


def quantiles(name, input, q, dim, keepdim, interpolation, ignore):
    """quantile or nanquantile: values between the neighbours of the place q · (n − 1)."""
    if interpolation not in INTERPOLATIONS:
        raise RuntimeError(f"{name}: interpolation must be one of {sorted(INTERPOLATIONS)}, not {interpolation!r}")
    q = as_tensor(q) if isinstance(q, Tensor) else Tensor(np.asarray(q, input.dtype), None)
    if input.dtype.kind != "f" or q.dtype != input.dtype or q.ndim > 1:
        raise RuntimeError(f"{name}: input must be floating-point and q a number or vector of its dtype; got {input.dtype} and "
                           f"{q.dtype}{list(q.shape)}")  # fmt: skip
    if q.array.size and not (0 <= q.array.min() and q.array.max() <= 1):
        raise RuntimeError(f"{name}: every q must be between 0 and 1")
    if not input.array.size:
        raise RuntimeError(f"{name}: the input has no elements")
    axis = 0 if dim is None else check_dim(name, input, dim)
    x = input.reshape(-1) if dim is None or not input.ndim else input.movedim(axis, 0)
    unknown = np.isnan(x.array).sum(0, keepdims=True)
    ordered = sort(x, 0)[0]
    column = q.reshape(-1, *[1] * (x.ndim - 1))
    place = column * Tensor(((x.shape[0] - unknown if ignore else np.full_like(unknown, x.shape[0])) - 1).clip(0).astype(x.dtype), None)
    exact = place.array if INTERPOLATIONS[interpolation] is None else INTERPOLATIONS[interpolation](place.array)
    low, high = np.floor(exact).astype(np.int64), np.ceil(exact).astype(np.int64)
    out = indexing.gather_along(ordered, axis=0, index=low)
    if INTERPOLATIONS[interpolation] is None:
        weight = 0.5 if interpolation == "midpoint" else place - Tensor(low.astype(x.dtype), None)
        out = public["lerp"](out, indexing.gather_along(ordered, axis=0, index=high), weight)
    if not ignore and unknown.any():
        out = public["where"](Tensor(np.broadcast_to(unknown > 0, out.shape).copy(), None), np.nan, out)
    if keepdim:
        out = out.reshape(-1, *[1] * input.ndim) if dim is None else out.unsqueeze(axis + 1) if input.ndim else out
    return out if q.ndim else out[0]


@both()
def quantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The q-th quantiles along dim; NaN where there is a NaN"""
    return quantiles("quantile", input, q, dim, keepdim, interpolation, False)


@both()
def nanquantile(input, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The q-th quantiles along dim of what is not NaN"""
    return quantiles("nanquantile", input, q, dim, keepdim, interpolation, True)


def several(chosen):
    """One result, or a tuple of them."""
    tensors = tuple(Tensor(np.asarray(r), None) for r in chosen)
    return tensors if len(tensors) > 1 else tensors[0]


@both()
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different elements, in order; with their inverse indices and counts if wanted"""
    values, inverse, counts = np.unique(array_of(input), return_inverse=True, return_counts=True, axis=dim, equal_nan=False)
    return several([values] + [inverse.reshape(input.shape if dim is None else -1)] * return_inverse + [counts] * return_counts)


@both()
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The elements (or slices along dim) without immediate repetitions"""
    x = array_of(input).reshape(-1) if dim is None else np.moveaxis(array_of(input), dim, 0)
    changed = (x[1:] != x[:-1]).any(axis=tuple(range(1, x.ndim))) if len(x) else np.zeros(0, bool)
    first = np.concatenate(([True] * bool(len(x)), changed)).astype(bool)
    inverse = np.cumsum(first) - 1
    counts = np.diff(np.append(np.flatnonzero(first), len(x))) if len(x) else np.zeros(0, np.int64)
    values = x[first] if dim is None else np.moveaxis(x[first], 0, dim)
    return several([values] + [inverse.reshape(input.shape) if dim is None else inverse] * return_inverse + [counts] * return_counts)


@only_function()
def searchsorted(sorted_sequence, values, *, right=False, side=None, sorter=None, out_int32=False):
    """Where `values` would be inserted to keep the sequences sorted"""
    if side not in (None, "left", "right") or side == "left" and right:
        raise RuntimeError(f'searchsorted: side must be "left" or "right" and agree with right={right}, not {side!r}')
    side = side or ("right" if right else "left")
    edges, wanted = array_of(sorted_sequence), np.asarray(array_of(values))
    if sorter is not None:
        edges = np.take_along_axis(edges, array_of(sorter), -1)
    if edges.ndim == 1:
        out = np.searchsorted(edges, wanted, side)
    elif edges.shape[:-1] != wanted.shape[:-1]:
        raise RuntimeError(f"searchsorted: sequences of shape {list(edges.shape)} and values of shape {list(wanted.shape)} must "
                           "agree in all dimensions but the last")  # fmt: skip
    else:
        out = np.empty(wanted.shape, np.int64)
        for place in np.ndindex(edges.shape[:-1]):
            out[place] = np.searchsorted(edges[place], wanted[place], side)
    return Tensor(np.asarray(out).astype(np.int32 if out_int32 else np.int64), None)


@only_function()
def bucketize(input, boundaries, *, right=False, out_int32=False):
    """The number of the bucket between boundaries that each element falls into"""
    if array_of(boundaries).ndim != 1:
        raise RuntimeError(f"bucketize: the boundaries must be a vector, not of shape {list(boundaries.shape)}")
    return searchsorted(boundaries, input, right=right, out_int32=out_int32)


# --- neighbours --------------------------------------------------------------------------------------------------------


@both()
def diff(input, n=1, dim=-1, prepend=None, append=None):
    """Differences of neighbours along dim, n times"""
    if n < 0 or not input.ndim:
        raise RuntimeError(f"diff: n must not be negative and the input have a dimension; got n={n}, shape {list(input.shape)}")
    dim = check_dim("diff", input, dim)
    if n == 0:
        return shapes.clone(input)
    parts = [p for p in (prepend, input, append) if p is not None]
    x = shapes.concatenate(*parts, axis=dim) if len(parts) > 1 else input
    for _ in range(builtins.min(n, x.shape[dim])):
        size = x.shape[dim] - 1
        later, earlier = x.narrow(dim, 1, size), x.narrow(dim, 0, size)
        x = later ^ earlier if x.dtype == bool else later - earlier
    return x


def trapezoids(y, x, dx, dim):
    """The areas between neighbours."""
    n = y.shape[dim]
    if y.dtype.kind in "biu":
        y = y.astype(dtypes.default)
    middles = (y.narrow(dim, 1, n - 1) + y.narrow(dim, 0, n - 1)) / 2 if n else y
    if x is None:
        return middles * dx
    steps = diff(x if x.dtype.kind == "f" else x.astype(y.dtype), dim=-1 if x.ndim == 1 else dim)
    if x.ndim == 1 and dim % y.ndim != y.ndim - 1:
        steps = steps.reshape(-1, *[1] * (y.ndim - 1 - dim % y.ndim))
    return middles * steps


@both("trapezoid", "trapz", method=False)
def trapezoid(y, x=None, *, dx=1.0, dim=-1):
    """The integral of y along dim by the trapezoidal rule"""
    return sum(trapezoids(y, x, dx, dim), dim)


@only_function()
def cumulative_trapezoid(y, x=None, *, dx=1.0, dim=-1):
    """The integral of y up to each point along dim by the trapezoidal rule"""
    return cumsum(trapezoids(y, x, dx, dim), dim)
