"""How each operator is said in ONNX (opset 18): a name where it is one operator there too, else a function that says it with several.

A function gets the graph `g`, the step `s` (its parameters by name: `s["axis"]`; `s.shape`, `s.dtype`, `s.shapes`, `s.dtypes`) and the names of
its inputs, None for one that was left out. It returns the name of the result. `s.sizes(…)` gives parameters that may follow a dynamic axis.
"""

from math import log, pi, prod, sqrt

import numpy as np

from ..ops.shapes import strided_positions
from .graph import Graph, type_of
from .merging import Dim, Varying
from .tracing import Ref

table: dict = dict(
    abs="Abs", sqrt="Sqrt", reciprocal="Reciprocal", exp="Exp", log="Log", sin="Sin", cos="Cos", tan="Tan", asin="Asin", acos="Acos",
    atan="Atan", sinh="Sinh", cosh="Cosh", tanh="Tanh", asinh="Asinh", acosh="Acosh", atanh="Atanh", erf="Erf", floor="Floor", ceil="Ceil",
    positive="Identity", clone="Identity", sigmoid="Sigmoid", relu="Relu", mish="Mish", sub="Sub", div="Div", neg="Neg", pow="Pow",
    maximum="Max", minimum="Min", eq="Equal", lt="Less", le="LessOrEqual", gt="Greater", ge="GreaterOrEqual", isnan="IsNaN", isinf="IsInf",
    matmul="MatMul", dot_vectors="MatMul", det="Det",
)  # fmt: skip


def entry(f):
    """Enter a function under the name of its operator."""
    table[f.__name__.removesuffix("_")] = f
    return f


def formulas(**entries):
    """Enter formulas: functions of the graph, the step and the names of the inputs."""
    table.update(entries)


def either(integers, booleans):
    """One operator for integers, another for booleans."""
    return lambda g, s, *xs: g.node(booleans if s.dtypes[0].kind == "b" else integers, xs)


def truth(g, x):
    """x ≠ 0"""
    return g.Cast(x, to=type_of(bool))


def at_zero(g, x, value, otherwise):
    return g.Where(g.Equal(x, 0), value, otherwise)


def expm1(g, x):
    """tanh(x/2) · (eˣ + 1), exact near 0"""
    return g.Mul(g.Tanh(g.Mul(x, 0.5)), g.Add(g.Exp(x), 1))


def log1p(g, x):
    """ln u · x / (u − 1) with u = 1 + x: the rounding of u cancels"""
    u = g.Add(x, 1)
    small = g.Equal(u, 1)
    return g.Where(small, x, g.Div(g.Mul(g.Log(u), x), g.Where(small, 1, g.Sub(u, 1))))


def logit(g, x):
    """ln(x / (1 − x))"""
    return g.Log(g.Div(x, g.Sub(1, x)))


def trunc(g, x):
    return g.Where(g.Less(x, 0), g.Ceil(x), g.Floor(x))


def negative(g, x):
    """True below 0, and for −0"""
    return g.Or(g.Less(x, 0), g.And(g.Equal(x, 0), g.Less(g.Reciprocal(x), 0)))


def normal_area(g, x):
    """Φ(x)"""
    return g.Mul(g.Add(g.Erf(g.Mul(x, 1 / sqrt(2))), 1), 0.5)


def hard(g, x):
    """min(max(x + 3, 0), 6) / 6"""
    return g.Div(g.Clip(g.Add(x, 3), 0, 6), 6)


def clipped(g, s, x):
    low, high = (s[k] if s[k] is None else g.constant(s[k], s.dtype) for k in ("low", "high"))
    if low is None or high is None:  # a Clip that lacks one would cut infinity off
        return g.Min(x, high) if low is None else g.Max(x, low)
    return g.Clip(x, low, high)


def integral(s):
    return s.dtype.kind in "iu"


# --- elementwise --------------------------------------------------------------------------------------------------------

formulas(
    add=lambda g, s, x, y: g.Or(x, y) if s.dtype == bool else g.Add(x, y),
    mul=lambda g, s, x, y: g.And(x, y) if s.dtype == bool else g.Mul(x, y),
    square=lambda g, s, x: g.Mul(x, x),
    rsqrt=lambda g, s, x: g.Reciprocal(g.Sqrt(x)),
    cbrt=lambda g, s, x: g.Mul(g.Sign(x), g.Pow(g.Abs(x), 1 / 3)),
    exp2=lambda g, s, x: g.Pow(g.constant(2, s.dtype), x),
    expm1=lambda g, s, x: expm1(g, x),
    log1p=lambda g, s, x: log1p(g, x),
    log2=lambda g, s, x: g.Div(g.Log(x), log(2)),
    log10=lambda g, s, x: g.Div(g.Log(x), log(10)),
    sinc=lambda g, s, x: at_zero(g, x, 1, g.Div(g.Sin(g.Mul(x, pi)), g.Mul(at_zero(g, x, 1, x), pi))),
    deg2rad=lambda g, s, x: g.Mul(x, pi / 180),
    rad2deg=lambda g, s, x: g.Mul(x, 180 / pi),
    erfc=lambda g, s, x: g.Sub(1, g.Erf(x)),
    trunc=lambda g, s, x: trunc(g, x),
    frac=lambda g, s, x: g.Sub(x, trunc(g, x)),
    round=lambda g, s, x: g.Div(g.Round(g.Mul(x, 10.0 ** s["decimals"])), 10.0 ** s["decimals"]) if s["decimals"] else g.Round(x),
    clip=clipped,
    hardtanh=clipped,
    logical_and=lambda g, s, x, y: g.And(truth(g, x), truth(g, y)),
    logical_or=lambda g, s, x, y: g.Or(truth(g, x), truth(g, y)),
    logical_xor=lambda g, s, x, y: g.Xor(truth(g, x), truth(g, y)),
    logical_not=lambda g, s, x: g.Not(truth(g, x)),
    bitwise_and=either("BitwiseAnd", "And"),
    bitwise_or=either("BitwiseOr", "Or"),
    bitwise_xor=either("BitwiseXor", "Xor"),
    bitwise_not=either("BitwiseNot", "Not"),
    ne=lambda g, s, x, y: g.Not(g.Equal(x, y)),
    isfinite=lambda g, s, x: g.Not(g.Or(g.IsNaN(x), g.IsInf(x))),
    sign=lambda g, s, x: g.Sign(g.Where(g.IsNaN(x), 0, x) if s.dtypes[0].kind == "f" else x),
    signbit=lambda g, s, x: negative(g, x),
    step=lambda g, s, x: g.Where(g.Greater(x, s["edge"]), 1, s["low"]),
    logit=lambda g, s, x: logit(g, x if s["eps"] is None else g.Clip(x, s["eps"], 1 - s["eps"])),
    lerp_elementwise=lambda g, s, x, y, weight: g.Add(x, g.Mul(weight, g.Sub(y, x))),
    softsign=lambda g, s, x: g.Div(x, g.Add(g.Abs(x), 1)),
    prelu_elementwise=lambda g, s, x, weight: g.Where(g.Greater(x, 0), x, g.Mul(x, weight)),
    leaky_relu=lambda g, s, x: g.PRelu(x, s["negative_slope"]),
    elu=lambda g, s, x: g.Where(g.Greater(x, 0), x, g.Mul(expm1(g, g.Min(x, 0)), s["alpha"])),
    celu=lambda g, s, x: g.Where(g.Greater(x, 0), x, g.Mul(expm1(g, g.Div(g.Min(x, 0), s["alpha"])), s["alpha"])),
    selu=lambda g, s, x: g.Mul(g.Where(g.Greater(x, 0), x, g.Mul(expm1(g, g.Min(x, 0)), 1.6732632423543772848170429916717)), 1.0507009873554804934193349852946),
    softplus=lambda g, s, x: g.Where(g.Greater(g.Mul(x, s["beta"]), s["threshold"]), x, g.Div(g.Softplus(g.Mul(x, s["beta"])), s["beta"])),
    logsigmoid=lambda g, s, x: g.Neg(g.Softplus(g.Neg(x))),
    silu=lambda g, s, x: g.Mul(x, g.Sigmoid(x)),
    gelu_exact=lambda g, s, x: g.Mul(x, normal_area(g, x)),
    gelu_tanh=lambda g, s, x: g.Mul(g.Mul(x, 0.5), g.Add(g.Tanh(g.Mul(g.Add(x, g.Mul(g.Mul(g.Mul(x, x), x), 0.044715)), sqrt(2 / pi))), 1)),
    tanhshrink=lambda g, s, x: g.Sub(x, g.Tanh(x)),
    hardsigmoid=lambda g, s, x: hard(g, x),
    hardswish=lambda g, s, x: g.Mul(x, hard(g, x)),
    threshold_elementwise=lambda g, s, x: g.Where(g.Greater(x, s["threshold"]), x, s["value"]),
    hardshrink=lambda g, s, x: g.Where(g.Greater(g.Abs(x), s["lambd"]), x, 0),
    softshrink=lambda g, s, x: g.Sub(x, g.Clip(x, -s["lambd"], s["lambd"])),
    remainder=lambda g, s, x, y: g.Mod(x, y) if integral(s) else g.Sub(x, g.Mul(y, g.Floor(g.Div(x, y)))),
    fmod=lambda g, s, x, y: g.Mod(x, y, fmod=1),
    floor_divide=lambda g, s, x, y: g.Div(g.Sub(x, g.Mod(x, y)), y) if integral(s) else g.Floor(g.Div(x, y)),
    fmax=lambda g, s, x, y: g.Where(g.IsNaN(x), y, g.Where(g.IsNaN(y), x, g.Max(x, y))),
    fmin=lambda g, s, x, y: g.Where(g.IsNaN(x), y, g.Where(g.IsNaN(y), x, g.Min(x, y))),
    hypot=lambda g, s, x, y: g.Sqrt(g.Add(g.Mul(x, x), g.Mul(y, y))),
    logaddexp=lambda g, s, x, y: g.Add(g.Max(x, y), g.Softplus(g.Neg(g.Abs(g.Sub(x, y))))),
    logaddexp2=lambda g, s, x, y: g.Add(g.Max(x, y), g.Div(g.Softplus(g.Mul(g.Abs(g.Sub(x, y)), -log(2))), log(2))),
    copysign=lambda g, s, x, y: g.Mul(g.Abs(x), g.Where(negative(g, y), -1, 1)),
    ldexp_integer=lambda g, s, x, y: g.Mul(x, g.Pow(g.constant(2, s.dtype), g.Cast(y, to=type_of(s.dtype)))),
    heaviside=lambda g, s, x, y: g.Where(g.Less(x, 0), 0, at_zero(g, x, y, 1)),
    ndtr=lambda g, s, x: normal_area(g, x),
    entr=lambda g, s, x: g.Where(g.Greater(x, 0), g.Neg(g.Mul(x, g.Log(g.Max(x, np.finfo(s.dtype).tiny)))), at_zero(g, x, 0, -np.inf)),
    where=lambda g, s, condition, x, y: g.choice(condition, x, y, s.dtype),
    cast=lambda g, s, x: g.Cast(x, to=type_of(s["dtype"])),
)  # fmt: skip


@entry
def atan2(g, s, x, y):
    angle = g.Where(g.Less(y, 0), g.Where(negative(g, x), -pi, pi), 0)
    return g.Add(g.Where(g.And(g.Equal(x, 0), g.Equal(y, 0)), 0, g.Atan(g.Div(x, y))), angle)


@entry
def nan_to_num(g, s, x):
    limit = np.finfo(s.dtype).max
    high, low = (limit if s["posinf"] is None else s["posinf"]), (-limit if s["neginf"] is None else s["neginf"])
    known = g.Where(g.IsNaN(x), s["nan"], x)
    return g.Where(g.IsInf(known, detect_negative=0), high, g.Where(g.IsInf(known, detect_positive=0), low, known))


# --- reductions ---------------------------------------------------------------------------------------------------------


def axes_of(s, i=0, name="axis"):
    """The reduced axes, counted from 0; all of them for None."""
    ndim, axis = len(s.shapes[i]), s[name]
    return list(range(ndim)) if axis is None else sorted({a % ndim for a in (axis if isinstance(axis, tuple) else (axis,))} if ndim else ())


def reduced(kind):
    """A reduction by one of ONNX's Reduce operators, in the type of the result."""

    def reduce(g, s, x):
        if s.dtypes[0] != s.dtype:
            x = g.Cast(x, to=type_of(s.dtype))
        if not len(s.shapes[0]):
            return g.Identity(x)
        return g.node(kind, (x, g.integers(*axes_of(s))), keepdims=int(s["keepdims"]))

    return reduce


def truth_reduced(kind):
    """any and all, counted in int32."""
    def reduce(g, s, x):
        x = g.Cast(truth(g, x), to=type_of(np.int32))
        return truth(g, g.node(kind, (x, g.integers(*axes_of(s))), keepdims=int(s["keepdims"])) if len(s.shapes[0]) else x)

    return reduce


def variance(g, s, x):
    axes = axes_of(s)
    deviation = g.Sub(x, g.ReduceMean(x, g.integers(*axes)))
    count = g.Cast(count_of(g, s.shapes[0], axes), to=type_of(s.dtype))
    total = g.ReduceSum(g.Mul(deviation, deviation), g.integers(*axes), keepdims=int(s["keepdims"]))
    return g.Div(total, g.Squeeze(g.Sub(count, s["correction"])))


def count_of(g, shape, axes):
    """How many elements axes have together, int64[1]."""
    total = g.integers(prod(n for a in axes if not isinstance(n := shape[a], Dim)))
    for a in axes:
        if isinstance(shape[a], Dim):
            total = g.Mul(total, g.integers(shape[a]))
    return total


formulas(
    sum=reduced("ReduceSum"), mean=reduced("ReduceMean"), prod=reduced("ReduceProd"), amax=reduced("ReduceMax"), amin=reduced("ReduceMin"),
    logsumexp=reduced("ReduceLogSumExp"), all_along=truth_reduced("ReduceMin"), any_along=truth_reduced("ReduceMax"),
    var=variance,
    std=lambda g, s, x: g.Sqrt(variance(g, s, x)),
    count_nonzero_along=lambda g, s, x: g.ReduceSum(g.Cast(truth(g, x), to=type_of(np.int64)), g.integers(*axes_of(s)), keepdims=0),
    softmax=lambda g, s, x: g.Softmax(x, axis=s["axis"]),
    log_softmax=lambda g, s, x: g.LogSoftmax(x, axis=s["axis"]),
    cumsum=lambda g, s, x: g.CumSum(x, g.constant(np.int64(s["axis"]))),
)  # fmt: skip


@entry
def vector_norm(g, s, x):
    axes, keep, order = g.integers(*axes_of(s)), int(s["keepdims"]), s["order"]
    if order in (1, 2):
        return g.node(f"ReduceL{int(order)}", (x, axes), keepdims=keep)
    size = g.Abs(x)
    if abs(order) == np.inf:
        return g.node("ReduceMax" if order > 0 else "ReduceMin", (size, axes), keepdims=keep)
    if order == 0:
        return g.ReduceSum(g.Cast(truth(g, size), to=type_of(s.dtype)), axes, keepdims=keep)
    return g.Pow(g.ReduceSum(g.Pow(size, order), axes, keepdims=keep), 1 / order)


@entry
def logcumsumexp(g, s, x):
    top = g.ReduceMax(x, g.integers(s["axis"]))
    return g.Add(g.Log(g.CumSum(g.Exp(g.Sub(x, top)), g.constant(np.int64(s["axis"])))), top)


def arg(kind):
    def find(g, s, x):
        if s["axis"] is not None:
            return g.node(kind, (x,), axis=s["axis"], keepdims=int(s["keepdims"]))
        return g.Reshape(g.node(kind, (g.Reshape(x, g.integers(-1)),), axis=0, keepdims=0), g.integers(*(1,) * len(s.shape)))

    return find


formulas(argmax_along=arg("ArgMax"), argmin_along=arg("ArgMin"))


@entry
def argsort_along(g, s, x):
    if not s.shape:
        return g.constant(np.int64(0))
    axis = s["axis"] % len(s.shape)
    return g.node("TopK", (x, g.integers(s.shape[axis])), outputs=2, axis=axis, largest=int(s["descending"]))[1]


# --- products -----------------------------------------------------------------------------------------------------------


def affine(g, s, x, weight, bias=None):
    if len(s.shapes[0]) == 2:
        return g.Gemm(x, weight, bias, transB=1)
    out = g.MatMul(x, g.Transpose(weight, perm=[1, 0]))
    return g.Add(out, bias) if bias else out


formulas(
    affine=affine,
    affine_sigmoid=lambda g, s, *xs: g.Sigmoid(affine(g, s, *xs)),
    outer=lambda g, s, x, y: g.Mul(g.Unsqueeze(x, g.integers(1)), g.Unsqueeze(y, g.integers(0))),
    log_abs_det=lambda g, s, x: g.Log(g.Abs(g.Det(x))),
    det_sign=lambda g, s, x: g.Sign(g.Det(x)),
)  # fmt: skip


@entry
def einsum_operator(g, s, *xs):
    terms = s["equation"].split("->")[0].split(",")
    sizes = {c: n for term, shape in zip(terms, s.shapes) for c, n in zip(term, shape) if n != 1 or isinstance(n, Dim)}
    for k, (term, shape) in enumerate(zip(terms, s.shapes)):  # a size of 1 beside another one is stretched
        if any(n == 1 and c in sizes for c, n in zip(term, shape)):
            xs = (*xs[:k], g.Expand(xs[k], g.integers(*(sizes.get(c, 1) for c in term))), *xs[k + 1 :])
    return g.Einsum(*xs, equation=s["equation"])


# --- shapes -------------------------------------------------------------------------------------------------------------


def reshaped(g, x, shape):
    """x in another shape; a single size that follows a dynamic axis is what remains."""
    if sum(isinstance(n, Dim) for n in shape) == 1 and all(n > 0 for n in shape):
        shape = [-1 if isinstance(n, Dim) else n for n in shape]
    return g.Reshape(x, g.integers(*shape), **(dict(allowzero=1) if 0 in shape else {}))


def order_of(moved, ndim):
    """The permutation that a function of an array does to its axes."""
    return list(moved(np.empty(tuple(range(2, ndim + 2)), bool)).shape - np.array(2)) if ndim else []


def permuted(g, x, perm):
    return g.Transpose(x, perm=[int(p) for p in perm])


def cut(g, x, axes, starts, ends, steps=None):
    return g.Slice(x, g.integers(*starts), g.integers(*ends), g.integers(*axes), g.integers(*steps) if steps else None)


formulas(
    reshape=lambda g, s, x: reshaped(g, x, s.shape),
    broadcast_to=lambda g, s, x: g.Expand(x, g.integers(*s.shape)),
    permute=lambda g, s, x: permuted(g, x, [a % len(s.shape) for a in s["axes"]]) if s.shape else g.Identity(x),
    swapaxes=lambda g, s, x: permuted(g, x, order_of(lambda a: a.swapaxes(s["axis0"], s["axis1"]), len(s.shape))),
    moveaxis=lambda g, s, x: permuted(g, x, order_of(lambda a: np.moveaxis(a, s["source"], s["destination"]), len(s.shape))),
    unsqueeze=lambda g, s, x: g.Unsqueeze(x, g.integers(*(s["axis"] if isinstance(s["axis"], tuple) else [s["axis"]]))),
    squeeze=lambda g, s, x: reshaped(g, x, s.shape),
    concatenate=lambda g, s, *xs: g.Concat(*xs, axis=s["axis"]),
    stack=lambda g, s, *xs: g.Concat(*(g.Unsqueeze(x, g.integers(s["axis"])) for x in xs), axis=s["axis"]),
    flip=lambda g, s, x: cut(g, x, s["axes"], [-1] * len(s["axes"]), [-(2**62)] * len(s["axes"]), [-1] * len(s["axes"])),
    tile=lambda g, s, x: g.Tile(
        g.Unsqueeze(x, g.integers(*range(len(s.shape) - len(s.shapes[0])))) if len(s.shape) > len(s.shapes[0]) else x,
        g.integers(*(1,) * (len(s.shape) - len(s["repeats"])), *s["repeats"])),
    tril=lambda g, s, x: g.Trilu(x, g.constant(np.int64(s["k"])), upper=0),
    triu=lambda g, s, x: g.Trilu(x, g.constant(np.int64(s["k"]))),
    as_strided=lambda g, s, x: g.Gather(g.Reshape(x, g.integers(-1)), strided_positions(s["size"], s["stride"], s["offset"]), axis=0),
)  # fmt: skip


@entry
def roll(g, s, x):
    shifts, axes, shape = s["shifts"], s["axes"], s.shape
    if axes is None:
        x, axes, shape = g.Reshape(x, g.integers(-1)), 0, (prod(map(s.static, s.shape)),)
    for shift, axis in zip(*(v if isinstance(v, tuple) else (v,) for v in (shifts, axes))):
        place = -(shift % max(1, s.static(shape[axis])))
        x = g.Concat(cut(g, x, [axis], [place], [2**62]), cut(g, x, [axis], [0], [place]), axis=axis) if place else x
    return reshaped(g, x, s.shape)


@entry
def pad_constant(g, s, x):
    widths, axes = s["widths"], range(len(s.shape))
    value = g.constant(s["value"], s.dtype)
    if any(min(w) < 0 for w in widths):
        ends = [b if b < 0 else 2**62 for _, b in widths]
        x = cut(g, x, axes, [max(-a, 0) for a, _ in widths], ends)
    return g.Pad(x, g.integers(*(max(a, 0) for a, _ in widths), *(max(b, 0) for _, b in widths)), value)


@entry
def diagonal(g, s, x):
    shape = s.shapes[0]
    axis0, axis1 = s["axis0"] % len(shape), s["axis1"] % len(shape)
    rows, columns = s.static(shape[axis0]), s.static(shape[axis1])
    places = np.diagonal(np.arange(rows * columns).reshape(rows, columns), s["k"])
    rest = [a for a in range(len(shape)) if a not in (axis0, axis1)]
    flat = reshaped(g, permuted(g, x, [*rest, axis0, axis1]), [*(shape[a] for a in rest), rows * columns])
    return g.Gather(flat, places, axis=len(rest))


@entry
def diagonal_embed(g, s, x):
    axes, k = (s["axis0"], s["axis1"]), s["k"]
    rows, columns = s["shape"][axes[0]], s["shape"][axes[1]]
    places = np.diagonal(np.arange(rows * columns).reshape(rows, columns), k)
    spread = np.zeros((len(places), rows * columns), s.dtype)
    spread[np.arange(len(places)), places] = 1
    out = g.MatMul(x, spread) if len(s.shapes[0]) else x
    order = order_of(lambda a: np.moveaxis(a, (-2, -1), axes), len(s.shape))
    inverse = [s.shape[order.index(a)] for a in range(len(order))]
    return permuted(g, reshaped(g, out, inverse), order)


@entry
def repeat_along(g, s, x):
    places = np.repeat(np.arange(s.static(s.shapes[0][s["axis"]])), s["repeats"])
    return g.Gather(x, places, axis=s["axis"])


# --- picking and putting ------------------------------------------------------------------------------------------------


def rank_of(g, i):
    """How many dimensions an index has."""
    return len(g.shapes[i]) if isinstance(i, Ref) else len(i.shape)


def is_array(i):
    return isinstance(i, (np.ndarray, Ref, Varying))


def is_mask(g, i):
    return isinstance(i, bool) or (g.dtypes[i] if isinstance(i, Ref) else getattr(i, "dtype", np.dtype(int))).kind == "b"


def expanded_index(g, s, ndim):
    """The index with one part per axis, beside None for new axes."""
    index = s.sizes("index")
    width = sum(rank_of(g, i) if is_array(i) and is_mask(g, i) else i is not None and i is not Ellipsis for i in index)
    fill = [slice(None)] * (ndim - width)
    at = next((k for k, i in enumerate(index) if i is Ellipsis), None)
    return [*index, *fill] if at is None else [*index[:at], *fill, *index[at + 1 :]]


@entry
def getitem(g, s, x):
    index = expanded_index(g, s, len(s.shapes[0]))
    if any(isinstance(i, bool) for i in index):
        raise s.refused("an index that is True or False itself")
    slices, numbers, new, arrays = [], [], [], []
    axis = place = 0  # in x, and in what is left of it when slices and numbers are taken
    for i in index:
        if i is None:
            new.append(place)
            place += 1
            continue
        width = rank_of(g, i) if is_array(i) and is_mask(g, i) else 1
        if is_array(i):
            arrays.append((place, i))
        elif not isinstance(i, slice):
            numbers.append((axis, i))
        elif i != slice(None):
            step = 1 if i.step is None else i.step
            first, last = (0, 2**62) if step > 0 else (-1, -(2**62))
            slices.append((axis, first if i.start is None else i.start, last if i.stop is None else i.stop, step))
        axis += width
        place += width if is_array(i) or isinstance(i, slice) else 0
    before = x
    x = cut(g, x, *zip(*slices)) if slices else x
    for axis, i in reversed(numbers):
        x = g.Gather(x, g.Squeeze(g.integers(i)) if isinstance(i, Dim) else g.constant(np.int64(i)), axis=axis)
    x = g.Unsqueeze(x, g.integers(*new)) if new else x
    x = picked(g, s, x, arrays) if arrays else x
    return g.Identity(x) if x is before else x


def picked(g, s, x, arrays):
    """x[:, i, j]: the elements that integer arrays or a mask pick, along axes beside each other."""
    places = [p for p, _ in arrays]
    if is_mask(g, arrays[0][1]):
        if len(arrays) > 1 or places[0]:
            raise s.refused("a mask beside other arrays, or after the first axis")
        return g.GatherND(x, permuted(g, g.NonZero(g.operand(arrays[0][1])), [1, 0]))
    if len(arrays) == 1:
        return g.Gather(x, g.operand(arrays[0][1]), axis=places[0])
    if places != list(range(len(places))):
        raise s.refused("several arrays after the first axis or apart from each other")
    names = [g.Cast(g.operand(i), to=type_of(np.int64)) for _, i in arrays]
    shape = g.Shape(names[0])
    for name in names[1:]:
        shape = g.Shape(g.Add(g.Expand(names[0], shape), name)) if name != names[0] else shape
    return g.GatherND(x, g.Concat(*(g.Unsqueeze(g.Expand(name, shape), g.integers(-1)) for name in names), axis=-1))


@entry
def setitem(g, s, x, value):
    index = s.sizes("index")
    if s.dtypes[1] is not None and s.dtypes[1] != s.dtype:
        value = g.Cast(value, to=type_of(s.dtype))
    if all(i is Ellipsis or isinstance(i, slice) and i == slice(None) for i in index):
        return g.Expand(value, g.integers(*s.shape))
    if len(index) == 1 and is_array(index[0]) and is_mask(g, index[0]):
        mask, missing = g.operand(index[0]), len(s.shape) - rank_of(g, index[0])
        if s.shapes[1] == () or prod(s.shapes[1]) == 1:
            mask = g.Unsqueeze(mask, g.integers(*range(-missing, 0))) if missing else mask
            return g.Where(mask, g.Reshape(value, g.integers()) if s.shapes[1] else value, x)
        if not missing:
            return g.ScatterND(x, permuted(g, g.NonZero(mask), [1, 0]), value)
    return put(g, s, x, value)


def put(g, s, x, value, **reduction):
    """x with values in places that are known beforehand, counted in row-major order."""
    if any(isinstance(i, Ref) for i in s.sizes("index")):
        raise s.refused("an index that the model computes, beside others")
    shape = [s.static(n) for n in s.shape]
    places = np.arange(prod(shape)).reshape(shape)[s["index"]]
    value = g.Reshape(g.Expand(value, g.integers(*places.shape)), g.integers(-1))
    return reshaped(g, g.ScatterElements(g.Reshape(x, g.integers(-1)), places.reshape(-1), value, axis=0, **reduction), s.shape)


@entry
def index_add_to(g, s, x, value):
    index = s.sizes("index")
    if any(i != slice(None) for i in index[:-1] if not is_array(i)) or sum(map(is_array, index)) != 1 or not is_array(index[-1]):
        return put(g, s, x, value, reduction="add")
    axis, ndim = len(index) - 1, len(s.shape)
    order = [axis, *(a for a in range(ndim) if a != axis)]
    turned = lambda name, perm: permuted(g, name, perm) if axis else name
    at = g.Unsqueeze(g.operand(index[-1]), g.integers(-1))
    out = g.ScatterND(turned(x, order), at, turned(value, order), reduction="add")
    return turned(out, [order.index(a) for a in range(ndim)])


formulas(
    scatter=lambda g, s, x: index_add_to(g, s, g.Expand(g.constant(0, s.dtype), g.integers(*s.sizes("shape"))), x),
    take_flat=lambda g, s, x: g.Gather(g.Reshape(x, g.integers(-1)), s.array("positions"), axis=0),
    put_flat=lambda g, s, x, value: reshaped(
        g, g.ScatterElements(g.Reshape(x, g.integers(-1)), g.Reshape(s.array("positions"), g.integers(-1)), g.Reshape(value, g.integers(-1)), axis=0), s.shape),
    gather_along=lambda g, s, x: g.GatherElements(x, s.array("index"), axis=s["axis"]),
    scatter_along=lambda g, s, x, source: g.ScatterElements(x, *scattered(g, s, source), axis=s["axis"]),
    scatter_add_along=lambda g, s, x, source: g.ScatterElements(x, *scattered(g, s, source), axis=s["axis"], reduction="add"),
    nonzero_positions=lambda g, s, x: permuted(g, g.NonZero(x), [1, 0]),
    embed=lambda g, s, x: g.Gather(x, s.array("indices"), axis=0),
    pick=lambda g, s, x: g.Squeeze(g.GatherElements(x, g.Unsqueeze(s.array("classes"), g.integers(1)), axis=1), g.integers(1)),
)  # fmt: skip


def scattered(g, s, source):
    """The index, and the part of the source that it uses."""
    index, axes = s.array("index"), range(len(s.shape))
    return index, g.Slice(source, g.integers(*(0 for _ in axes)), g.Shape(index), g.integers(*axes))


@entry
def windows_along(g, s, x):
    axis, ndim = s["axis"] % len(s.shapes[0]), len(s.shape)
    count = s.static(s.shape[axis])
    places = np.arange(count)[:, None] * s["step"] + np.arange(s["size"])
    return permuted(g, g.Gather(x, places, axis=axis), [*(a for a in range(ndim) if a != axis + 1), axis + 1])


# --- losses -------------------------------------------------------------------------------------------------------------


def averaged(g, s, x, count=None):
    """Losses one by one, summed, or averaged."""
    if s["reduction"] == "none":
        return x
    return g.ReduceMean(x, keepdims=0) if s["reduction"] == "mean" else g.ReduceSum(x, keepdims=0)


@entry
def huber_error(g, s, x, target):
    size = g.Abs(g.Sub(x, target))
    inner = g.Min(size, s["delta"])
    return g.Mul(inner, g.Sub(size, g.Mul(inner, 0.5)))


@entry
def class_cross_entropy(g, s, x):
    target, smoothing, classes = s.array("target"), s["label_smoothing"], s.static(s.shapes[0][1])
    weights = np.ones(classes, s.dtype) if s["weight"] is None else s["weight"].astype(s.dtype)
    logs = g.LogSoftmax(x, axis=1)
    if s["ignore_index"] is not None:
        ignored = g.Equal(target, g.constant(s["ignore_index"], s.dtype_of("target")))
        target = g.Where(ignored, g.constant(0, s.dtype_of("target")), target)
    weight = g.Gather(weights, target, axis=0)
    if s["ignore_index"] is not None:
        weight = g.Where(ignored, 0, weight)
    chosen = g.Squeeze(g.GatherElements(logs, g.Unsqueeze(target, g.integers(1)), axis=1), g.integers(1))
    losses = g.Neg(g.Mul(weight, chosen))
    if smoothing:
        even = g.Neg(g.ReduceSum(g.Mul(logs, weights * (smoothing / classes)), g.integers(1), keepdims=0))
        even = g.Where(ignored, 0, even) if s["ignore_index"] is not None else even
        losses = g.Add(g.Mul(losses, 1 - smoothing), even)
    total = averaged(g, s, losses) if s["reduction"] != "mean" else g.ReduceSum(losses, keepdims=0)
    return g.Div(total, g.ReduceSum(weight, keepdims=0)) if s["reduction"] == "mean" else total


formulas(
    squared_error=lambda g, s, x, y: averaged(g, s, g.Mul(g.Sub(x, y), g.Sub(x, y))),
    absolute_error=lambda g, s, x, y: g.Abs(g.Sub(x, y)),
    binary_entropy=lambda g, s, x, y: g.Sub(
        g.Mul(g.Sub(y, 1), g.Max(g.Log(g.Sub(1, x)), -100)), g.Mul(y, g.Max(g.Log(x), -100))),
    binary_entropy_of_logits=lambda g, s, x, y: g.Sub(g.Softplus(x), g.Mul(x, y)),
)  # fmt: skip


# --- normalisation ------------------------------------------------------------------------------------------------------


def scaled(g, centered, axes, eps):
    """x / √(mean(x²) + eps)"""
    return g.Div(centered, g.Sqrt(g.Add(g.ReduceMean(g.Mul(centered, centered), g.integers(*axes)), eps)))


@entry
def normalize(g, s, x, weight=None, bias=None):
    axes, ndim = axes_of(s, name="axes"), len(s.shape)
    if weight and s.dtype == np.float32 and axes == list(range(axes[0], ndim)) and tuple(s.shapes[1]) == tuple(s.shape[axes[0] :]):
        return g.LayerNormalization(x, weight, bias, axis=axes[0], epsilon=s["eps"])
    out = scaled(g, g.Sub(x, g.ReduceMean(x, g.integers(*axes))), axes, s["eps"])
    out = g.Mul(out, weight) if weight else out
    return g.Add(out, bias) if bias else out


@entry
def rms_normalize(g, s, x, weight=None):
    out = scaled(g, x, axes_of(s, name="axes"), s["eps"])
    return g.Mul(out, weight) if weight else out


# --- windows ------------------------------------------------------------------------------------------------------------


def geometry(s, kernel):
    """The attributes that all windows share."""
    padding = s["padding"]
    pads = [a for a, _ in padding] + [b for _, b in padding]
    return dict(kernel_shape=list(kernel), strides=list(s["stride"]), pads=pads)


@entry
def convolution(g, s, x, weight, bias=None):
    if s["lengths"] is not None and tuple(s["lengths"]) != tuple(s.shape[2:]):
        raise s.refused("fewer windows than fit")
    return g.Conv(x, weight, bias, dilations=list(s["dilation"]), group=s["groups"], **geometry(s, s.shapes[1][2:]))


@entry
def convolution_transpose(g, s, x, weight, bias=None):
    shape, lengths, kernel = s["shape"], s.shapes[0][2:], s.shapes[1][2:]
    rows = zip(shape, lengths, s["stride"], s["dilation"], kernel, s["padding"])
    more = [n - ((s.static(m) - 1) * step - a - b + d * (k - 1) + 1) for n, m, step, d, k, (a, b) in rows]
    attributes = dict(dilations=list(s["dilation"]), group=s["groups"], **geometry(s, kernel))
    if all(0 <= m < step for m, step in zip(more, s["stride"])):
        return g.ConvTranspose(x, weight, bias, output_padding=more, **attributes)
    d = len(shape)  # more than ONNX pads: fewer elements are cut off at the ends, or zeros follow
    ends = [b - m for (_, b), m in zip(s["padding"], more)]
    out = g.ConvTranspose(x, weight, **attributes | dict(pads=attributes["pads"][:d] + [max(e, 0) for e in ends]))
    out = g.Pad(out, g.integers(*(0,) * (d + 4), *(max(-e, 0) for e in ends)), g.constant(0, s.dtype))
    return g.Add(out, g.Reshape(bias, g.integers(-1, *(1,) * d))) if bias else out


@entry
def max_pool(g, s, x):
    return g.MaxPool(x, dilations=list(s["dilation"]), **geometry(s, s["kernel"]))


@entry
def avg_pool(g, s, x):
    out, divisor, size = g.AveragePool(x, count_include_pad=1, **geometry(s, s["kernel"])), s["divisor"], prod(s["kernel"])
    return out if np.ndim(divisor) == 0 and divisor == size else g.Mul(out, np.asarray(size / divisor, s.dtype))


@entry
def unfold(g, s, x):
    d = len(s["kernel"])
    x = g.Pad(x, g.integers(0, 0, *(a for a, _ in s["padding"]), 0, 0, *(b for _, b in s["padding"])), g.constant(0, s.dtype))
    for axis in reversed(range(d)):
        count, size = s.static(s.shape[3 + axis]), s["kernel"][axis]
        places = np.arange(size)[:, None] * s["dilation"][axis] + np.arange(count) * s["stride"][axis]
        x = g.Gather(x, places, axis=2 + axis)
    return reshaped(g, permuted(g, x, [0, 1, *range(2, 2 + 2 * d, 2), *range(3, 3 + 2 * d, 2)]), s.shape)


@entry
def fold(g, s, x):
    n, channels, taps, *lengths = s.shapes[0]
    flat = reshaped(g, x, (n, s.static(channels) * taps, prod(s.static(m) for m in lengths)))
    attributes = geometry(s, s["kernel"])
    block = g.integers(*attributes.pop("kernel_shape"))
    return g.Col2Im(flat, g.integers(*s["shape"]), block, dilations=list(s["dilation"]), **attributes)


@entry
def resample(g, s, x):
    axis, places, shares = s["axis"] % len(s.shape), s["places"], s["shares"]
    if shares is None:
        return g.Gather(x, places[:, 0], axis=axis)
    column = (len(shares),) + (1,) * (len(s.shape) - 1 - axis)
    parts = [g.Mul(g.Gather(x, places[:, k], axis=axis), shares[:, k].reshape(column).astype(s.dtype)) for k in range(places.shape[1])]
    return parts[0] if len(parts) == 1 else g.Sum(*parts)


# --- recurrent networks: the formula of one step, in a Scan over time ---------------------------------------------------


def parts_of(g, z, count, size):
    """z cut into gates along its last axis."""
    return g.node("Split", (z, g.integers(*[size] * count)), outputs=count, axis=-1) if count > 1 else [z]


def scan(g, s, x, states, step):
    """A loop over time: `step(body, z, *states)` gives the next states and what is put out."""
    body, dtype = Graph(g.model), s.dtype
    body.dtype = dtype
    body.taken, body.prefix = g.taken, f"{g.prefix}step/"
    z, *names = (g.fresh(f"{body.prefix}{name}") for name in ("z", *"hc"[: len(states)]))
    after, out = step(body, z, *names)
    width = s.static(s.shapes[1][-1])
    inputs = [(n, dtype, [None, width]) for n in names] + [(z, dtype, [None, s.static(s.shapes[0][-1])])]
    after = [body.Identity(a) for a in after]
    outputs = [(n, dtype, [None, width]) for n in after] + [(out, dtype, [None, s.static(s.shape[-1])])]
    return g.node("Scan", (*states, x), outputs=len(states) + 1, body=body.body("step", inputs, outputs), num_scan_inputs=1)[-1]


@entry
def rnn_sequence(g, s, x, h, weight):
    turned = permuted(g, weight, [1, 0])

    def step(b, z, h):
        z = b.Add(b.MatMul(h, turned), z)
        h = b.Tanh(z) if s["activation"] == "tanh" else b.Relu(z)
        return [h], b.Identity(h)

    return scan(g, s, x, [h], step)


@entry
def lstm_sequence(g, s, x, h, c, weight):
    turned, n = permuted(g, weight, [1, 0]), s.static(s.shapes[1][-1])

    def step(b, z, h, c):
        i, f, u, o = parts_of(b, b.Add(b.MatMul(h, turned), z), 4, n)
        c = b.Add(b.Mul(b.Sigmoid(f), c), b.Mul(b.Sigmoid(i), b.Tanh(u)))
        h = b.Mul(b.Sigmoid(o), b.Tanh(c))
        return [h, c], b.Concat(h, c, axis=-1)

    return scan(g, s, x, [h, c], step)


@entry
def gru_sequence(g, s, x, h, weight, bias=None):
    turned, n = permuted(g, weight, [1, 0]), s.static(s.shapes[1][-1])

    def step(b, z, h):
        inner = b.MatMul(h, turned)
        inner = b.Add(inner, bias) if bias else inner
        (zr, zz, zn), (pr, pz, pn) = parts_of(b, z, 3, n), parts_of(b, inner, 3, n)
        new = b.Tanh(b.Add(zn, b.Mul(b.Sigmoid(b.Add(zr, pr)), pn)))
        h = b.Add(new, b.Mul(b.Sigmoid(b.Add(zz, pz)), b.Sub(h, new)))
        return [h], b.Identity(h)

    return scan(g, s, x, [h], step)
