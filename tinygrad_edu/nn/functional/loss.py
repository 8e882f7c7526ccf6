"""Losses as functions."""

import math
import warnings

import numpy as np

from ...api.elementwise import xlogy
from ...autograd import modes
from ...autograd.operands import ShapeError
from ...autograd.tensor import Tensor, array_of
from ...ops import losses
from ...ops.activations import logsigmoid
from ...ops.embeddings import pick
from ...ops.functions import exp, log
from ...ops.indexing import where
from ...ops.products import affine
from ...ops.reductions import log_softmax
from ...ops.shapes import concatenate, moveaxis
from .basic import cosine_similarity, pairwise_distance


def check_shapes(name, input, target, first="input", second="target"):
    """Refuse what PyTorch would silently broadcast: (n, 1) against (n) compares everything with everything."""
    if not isinstance(target, Tensor) or not isinstance(input, Tensor):
        kinds = type(input).__name__, type(target).__name__
        raise TypeError(f"{name}: expected two tensors, got {kinds[0]} and {kinds[1]}; wrap numbers as tensor(…)")
    a, b = input.array.shape, target.array.shape
    if a != b:
        hint = "make them the same"
        if tuple(n for n in a if n != 1) == tuple(n for n in b if n != 1):
            wrong, right = (second, a) if len(b) < len(a) else (first, b)
            hint = f"give them one shape, as in {wrong}.reshape({', '.join(map(str, right))})"
        raise ShapeError(f"{name}: {first} has shape {list(a)} and {second} {list(b)}; they would be broadcast to every pair of "
                         f"elements, which is no loss: {hint}")  # fmt: skip


def warn_of_repetition(name, input, makers, advice):
    """Warn if the input comes right out of a function that the loss applies itself: nothing fails then, and little is learned."""
    node = input.node
    if node is not None and node.op is not None and node.op.name in makers:
        warnings.warn(f"{name}: the input is the result of {makers[node.op.name]}; {advice}", stacklevel=3)


SOFTMAX, SIGMOID = dict(softmax="softmax"), dict(sigmoid="sigmoid", affine_sigmoid="sigmoid")


def check_reduction(name, reduction):
    """Refuse unknown reductions."""
    if reduction not in ("mean", "sum", "none"):
        raise ShapeError(f'{name}: reduction must be "mean", "sum" or "none", not {reduction!r}')


def chosen(name, size_average, reduce, reduction):
    """The reduction; PyTorch's former arguments size_average and reduce count where they are given."""
    if size_average is not None or reduce is not None:
        return "none" if reduce is False else "sum" if size_average is False else "mean"
    check_reduction(name, reduction)
    return reduction


def reduced(losses, reduction):
    """The losses as their mean, their sum, or one by one."""
    return losses.mean() if reduction == "mean" else losses.sum() if reduction == "sum" else losses


def weighted(values, weight, reduction, name):
    """Losses with a weight each; their mean is divided by the sum of the weights."""
    if not isinstance(weight, Tensor) or weight.array.shape != values.array.shape:
        shape = list(weight.array.shape) if isinstance(weight, Tensor) else type(weight).__name__
        raise ShapeError(f"{name}: weight must hold one number for each loss, shape {list(values.array.shape)}; got {shape}")
    values = values * weight
    return values.sum() / weight.sum() if reduction == "mean" else reduced(values, reduction)


def mse_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """(input − target)², averaged over all elements

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.mse_loss(tg.zeros(4), tg.tensor([1.0, 0.0, 0.0, 1.0]))
    tensor(0.5000)
    """
    if not (isinstance(input, Tensor) and isinstance(target, Tensor) and input.array.shape == target.array.shape):
        check_shapes("mse_loss", input, target)
    reduction = chosen("mse_loss", size_average, reduce, reduction)
    if weight is None:
        return losses.squared_error(input, target, reduction=reduction)
    return weighted(losses.squared_error(input, target, reduction="none"), weight, reduction, "mse_loss")


def l1_loss(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """|input − target|, averaged over all elements"""
    check_shapes("l1_loss", input, target)
    reduction = chosen("l1_loss", size_average, reduce, reduction)
    values = losses.absolute_error(input, target)
    return reduced(values, reduction) if weight is None else weighted(values, weight, reduction, "l1_loss")


def smooth_l1_loss(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """e²/(2β) for errors up to β, beyond it |e| − β/2, averaged (Girshick 2015)"""
    check_shapes("smooth_l1_loss", input, target)
    reduction = chosen("smooth_l1_loss", size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss: beta must not be negative, and it is {beta}")
    if beta == 0:
        return reduced(losses.absolute_error(input, target), reduction)
    return reduced(losses.huber_error(input, target, delta=beta) * (1 / beta), reduction)


def huber_loss(input, target, reduction="mean", delta=1.0, weight=None):
    """e²/2 for errors up to δ, beyond it δ · (|e| − δ/2), averaged"""
    check_shapes("huber_loss", input, target)
    check_reduction("huber_loss", reduction)
    if delta <= 0:
        raise RuntimeError(f"huber_loss: delta must be positive, and it is {delta}")
    values = losses.huber_error(input, target, delta=delta)
    if weight is not None:
        values = weighted(values, weight, "none", "huber_loss")
    return reduced(values, reduction)  # unlike in mse_loss and l1_loss, weights do not divide the mean in PyTorch


def binary_cross_entropy(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """−target · ln input − (1 − target) · ln(1 − input), averaged; input are probabilities, logarithms at least −100

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.binary_cross_entropy(tg.tensor([0.5]), tg.tensor([1.0]))
    tensor(0.6931)
    """
    check_shapes("binary_cross_entropy", input, target)
    reduction = chosen("binary_cross_entropy", size_average, reduce, reduction)
    array = input.array
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise RuntimeError("binary_cross_entropy: the input must be probabilities between 0 and 1, and it reaches from "
                           f"{array.min():g} to {array.max():g}; apply sigmoid, or use binary_cross_entropy_with_logits")  # fmt: skip
    values = losses.binary_entropy(input, target)
    return reduced(values if weight is None else values * weight, reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None):
    """−p · target · ln σ(input) − (1 − target) · ln(1 − σ(input)), averaged; pos_weight p counts positive answers more

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.binary_cross_entropy_with_logits(tg.tensor([0.0]), tg.tensor([1.0]))
    tensor(0.6931)
    """
    check_shapes("binary_cross_entropy_with_logits", input, target)
    reduction = chosen("binary_cross_entropy_with_logits", size_average, reduce, reduction)
    warn_of_repetition("binary_cross_entropy_with_logits", input, SIGMOID, "this loss applies sigmoid itself: give it the scores before, or use "
                       "binary_cross_entropy")  # fmt: skip
    if pos_weight is None:
        values = losses.binary_entropy_of_logits(input, target)
    else:
        values = (1 - target) * input - ((pos_weight - 1) * target + 1) * logsigmoid(input)
    return reduced(values if weight is None else values * weight, reduction)


def class_rows(name, input, target, weight, ignore_index):
    """Scores as (n, c), classes as (n), the shape of the losses, and ignore_index, None where it ignores nothing."""
    a, b = input.array.shape, target.array.shape
    if not a or b != a[:-1] * (len(a) == 1) + (a[:1] + a[2:]) * (len(a) > 1):
        raise ShapeError(f"{name}: scores of shape {list(a)} need one class index for each item, shape "
                         f"{list(a[:1] + a[2:] if len(a) > 1 else ())}; the target has {list(b)}")  # fmt: skip
    if target.array.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: class indices must be integers, not {target.array.dtype}; use target.long()")
    classes = a[1] if len(a) > 1 else a[0]
    rows = input if len(a) == 2 else input.reshape((1, -1)) if len(a) == 1 else moveaxis(input, source=1, destination=-1).reshape((-1, classes))
    index = np.asarray(target.array, np.int64).reshape(-1)
    if target.shared or target.base is not None and target.base.shared:
        index = index.copy()  # the user may write to this memory
    if index.size and np.maximum.reduce(index.view(np.uint64)) >= classes:  # a negative number counts as a huge one
        wrong = index[(index != ignore_index) & ((index < 0) | (index >= classes))]
        if wrong.size:
            raise IndexError(f"{name}: target {wrong[0]} is out of bounds; the {classes} classes have the numbers 0 to {classes - 1}")
    elif ignore_index is not None and ignore_index < 0:
        ignore_index = None  # nothing is ignored
    if weight is not None and tuple(weight.shape) != (classes,):
        raise RuntimeError(f"{name}: weight must hold one number for each of the {classes} classes, got shape {list(weight.shape)}")
    return rows, index, b, ignore_index


def cross_entropy(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean", label_smoothing=0.0):
    """−ln softmax(input)[target], averaged: scores (n, c, …) against class indices (n, …) or probabilities (n, c, …)

    The mean over class indices is divided by the sum of their weights, ignored ones left out; label_smoothing ε puts ε/c on
    every class and 1 − ε more on the target.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.cross_entropy(tg.zeros(1, 4), tg.tensor([2]))
    tensor(1.3863)
    """
    if size_average is not None or reduce is not None or reduction != "mean":
        reduction = chosen("cross_entropy", size_average, reduce, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"cross_entropy: label_smoothing must be between 0 and 1, and it is {label_smoothing}")
    if not isinstance(target, Tensor):
        raise TypeError(f"cross_entropy: the target must be a Tensor of class indices or probabilities, got {type(target).__name__}; make one, "
                        "as in tensor([0, 2, 1])")  # fmt: skip
    warn_of_repetition("cross_entropy", input, SOFTMAX, "cross_entropy applies softmax itself: give it the scores before")
    if target.array.dtype.kind == "f" and input.array.shape == target.array.shape:
        if ignore_index >= 0:
            raise RuntimeError(f"cross_entropy: ignore_index={ignore_index} needs class indices, and the target holds probabilities")
        return probability_cross_entropy(input, target, weight, reduction, label_smoothing)
    rows, index, shape, ignore_index = class_rows("cross_entropy", input, target, weight, ignore_index)
    weights = None if weight is None else array_of(weight).astype(rows.dtype)
    out = losses.class_cross_entropy(rows, target=index, weight=weights, ignore_index=ignore_index, label_smoothing=label_smoothing,
                                     reduction=reduction)  # fmt: skip
    return out if reduction != "none" or len(shape) == 1 else out.reshape(shape)


def probability_cross_entropy(input, target, weight, reduction, label_smoothing):
    """−Σ target · ln softmax(input) over the classes; the mean is divided by the number of items."""
    axis = 1 if input.ndim > 1 else 0
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / input.shape[axis]
    values = log_softmax(input, axis=axis) * target
    if weight is not None:
        values = values * weight.reshape((-1,) + (1,) * (input.ndim - 1 - axis))
    if reduction == "none":
        return -values.sum(dim=axis)
    total = -values.sum()
    return total if reduction == "sum" else total / math.prod(n for k, n in enumerate(input.shape) if k != axis)


def linear_cross_entropy(input, linear_weight, target, *, linear_bias=None, weight=None, reduction="mean", ignore_index=None,
                         label_smoothing=0.0, options=None):  # fmt: skip
    """cross_entropy of input · linear_weightᵀ + linear_bias, shapes (n, in), (c, …, in), targets (n, …), or of one item (in)

    `options` chooses how PyTorch divides the work; the numbers are the same.

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.linear_cross_entropy(tg.ones(1, 2), tg.zeros(4, 2), tg.tensor([2]))
    tensor(1.3863)
    """
    classes, *more, size = linear_weight.shape
    if input.ndim not in (1, 2) or input.shape[-1] != size or more and input.ndim == 1:
        raise ShapeError(f"linear_cross_entropy: the input has shape {list(input.shape)} and the weight {list(linear_weight.shape)}; the "
                         "input must be (n, in), or (in) where the weight is (classes, in)")  # fmt: skip
    logits = affine(input, linear_weight.reshape(-1, size), None if linear_bias is None else linear_bias.reshape(-1))
    logits = logits.reshape(*input.shape[:-1], classes, *more)
    if ignore_index is not None and target.array.dtype.kind == "f" and target.shape == logits.shape:
        raise RuntimeError("linear_cross_entropy: ignore_index is for targets that are class indices, and these are probabilities")
    ignored = -100 if ignore_index is None else ignore_index
    return cross_entropy(logits, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=label_smoothing)


def nll_loss(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"):
    """−input[target], averaged: logarithms of probabilities (n, c, …) against class indices (n, …)

    >>> import tinygrad_edu as tg
    >>> tg.nn.functional.nll_loss(tg.tensor([[-1.0, -0.5]]), tg.tensor([0]))
    tensor(1.)
    """
    reduction = chosen("nll_loss", size_average, reduce, reduction)
    warn_of_repetition("nll_loss", input, SOFTMAX, "nll_loss takes logarithms of probabilities: use log_softmax, or cross_entropy of the scores")
    rows, index, shape, ignore_index = class_rows("nll_loss", input, target, weight, ignore_index)
    if weight is None and ignore_index is None and len(index):
        values = -pick(rows, classes=index)
        return reduced(values, reduction) if reduction != "none" else values.reshape(shape)
    counted = np.ones(len(index), bool) if ignore_index is None else index != ignore_index
    values = -pick(rows, classes=np.where(counted, index, 0))
    total = len(index)
    if weight is not None or not counted.all():
        factors = np.where(counted, 1 if weight is None else array_of(weight)[np.where(counted, index, 0)], 0).astype(rows.dtype)
        values = where(Tensor(counted, None), values * Tensor(factors, None), 0.0)
        total = factors.sum()
    if reduction == "none":
        return values.reshape(shape)
    if reduction == "sum":
        return values.sum()
    return values.sum() / float(total) if total else values.sum() * math.nan


def kl_div(input, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """target · (ln target − input), averaged; input are logarithms, target are probabilities or (log_target) logarithms too

    reduction "batchmean" is the Kullback-Leibler divergence: the sum divided by the number of rows.
    """
    check_shapes("kl_div", input, target)
    batchmean = reduction == "batchmean" and size_average is None and reduce is None
    reduction = "sum" if batchmean else chosen("kl_div", size_average, reduce, reduction)
    values = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    out = reduced(values, reduction)
    return out / input.shape[0] if batchmean and input.ndim else out


def poisson_nll_loss(input, target, log_input=True, full=False, size_average=None, eps=1e-08, reduce=None, reduction="mean"):
    """e^input − target · input, averaged; with log_input=False input − target · ln(input + eps); full adds Stirling's term"""
    check_shapes("poisson_nll_loss", input, target)
    reduction = chosen("poisson_nll_loss", size_average, reduce, reduction)
    values = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        large = Tensor(array_of(target) > 1, None)
        safe = where(large, target, 1.0)
        values = values + where(large, target * log(safe) - target + 0.5 * log(2 * math.pi * safe), 0.0)
    return reduced(values, reduction)


def gaussian_nll_loss(input, target, var, full=False, eps=1e-6, reduction="mean"):
    """(ln v + (input − target)² / v) / 2 with v = max(var, eps), averaged; full adds ln(2π) / 2

    var has the input's shape, or that with size 1 in one dimension, or without its last one; a number counts for all.
    """
    check_shapes("gaussian_nll_loss", input, target)
    check_reduction("gaussian_nll_loss", reduction)
    var = var if isinstance(var, Tensor) else Tensor(np.full(input.array.shape, var, input.dtype), None)
    a, b = tuple(input.shape), tuple(var.shape)
    if a != b:
        if b == a[:-1]:
            var = var.unsqueeze(-1)
        elif len(b) != len(a) or sum(m != n for m, n in zip(a, b)) > 1 or any(n not in (1, m) for m, n in zip(a, b)):
            raise ShapeError(f"gaussian_nll_loss: var must have the input's shape {list(a)}, or 1 in place of one dimension, or "
                             f"not the last one; got {list(b)}")  # fmt: skip
    if (array_of(var) < 0).any():
        raise ShapeError("gaussian_nll_loss: var holds negative numbers, and a variance has none; exp or softplus make positive ones")
    with modes.no_grad():
        lift = Tensor(np.maximum(eps - array_of(var), 0).astype(var.dtype), None)  # the lower bound takes no part in the derivative
    safe = var + lift
    values = 0.5 * (log(safe) + (input - target) ** 2 / safe)
    return reduced(values + 0.5 * math.log(2 * math.pi) if full else values, reduction)


def check_signs(name, target, shape):
    """A target of signs: one for each item, or a single one for all."""
    if target.array.shape != shape and target.array.size != 1:
        raise ShapeError(f"{name}: the target must hold 1 or −1 for each item, shape {list(shape)}; got {list(target.array.shape)}")


def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """input where the target is 1, max(0, margin − input) where it is −1, averaged"""
    check_shapes("hinge_embedding_loss", input, target)
    reduction = chosen("hinge_embedding_loss", size_average, reduce, reduction)
    values = where(target != 1, (margin - input).clamp(min=0), 0.0) + where(target != -1, input, 0.0)
    return reduced(values, reduction)


def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """max(0, −target · (input1 − input2) + margin), averaged; the target is 1 where input1 should be larger, else −1"""
    check_shapes("margin_ranking_loss", input1, input2, "input1", "input2")
    check_signs("margin_ranking_loss", target, input1.array.shape)
    reduction = chosen("margin_ranking_loss", size_average, reduce, reduction)
    return reduced((-target * (input1 - input2) + margin).clamp(min=0), reduction)


def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """1 − cos(input1, input2) where the target is 1, max(0, cos − margin) where it is −1, averaged; inputs (n, d) or (d)"""
    check_shapes("cosine_embedding_loss", input1, input2, "input1", "input2")
    if input1.ndim not in (1, 2):
        raise RuntimeError(f"cosine_embedding_loss: the inputs must be (n, d) or (d), got {list(input1.shape)}")
    check_signs("cosine_embedding_loss", target, input1.array.shape[:-1])
    if target.ndim != input1.ndim - 1:
        raise RuntimeError(f"cosine_embedding_loss: inputs of shape {list(input1.shape)} and a target of shape {list(target.shape)}; "
                           "a matrix wants a vector of signs, a vector a single one")  # fmt: skip
    reduction = chosen("cosine_embedding_loss", size_average, reduce, reduction)
    dot, squares1, squares2 = ((a * b).sum(dim=-1) for a, b in ((input1, input2), (input1, input1), (input2, input2)))
    cosine = dot / ((squares1 + 1e-12) * (squares2 + 1e-12)).sqrt()
    return reduced(where(target == 1, 1 - cosine, 0.0) + where(target == -1, (cosine - margin).clamp(min=0), 0.0), reduction)


def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"):
    """max(0, d(anchor, positive) − d(anchor, negative) + margin), averaged, with d = ‖x − y + eps‖ₚ along the last dimension"""
    return triplets("triplet_margin_loss", anchor, positive, negative, lambda x, y: pairwise_distance(x, y, p, eps), margin, swap,
                    chosen("triplet_margin_loss", size_average, reduce, reduction))  # fmt: skip


def triplet_margin_with_distance_loss(anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
    """max(0, d(anchor, positive) − d(anchor, negative) + margin), averaged, with a distance function of your own"""
    check_reduction("triplet_margin_with_distance_loss", reduction)
    distance = pairwise_distance if distance_function is None else distance_function
    return triplets("triplet_margin_with_distance_loss", anchor, positive, negative, distance, margin, swap, reduction)


def triplets(name, anchor, positive, negative, distance, margin, swap, reduction):
    """What the two triplet losses share; swap takes the smaller of the distances anchor–negative and positive–negative."""
    if margin <= 0:
        raise ShapeError(f"{name}: margin must be positive, and it is {margin}")
    check_shapes(name, anchor, positive, "anchor", "positive")
    check_shapes(name, anchor, negative, "anchor", "negative")
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((near - far + margin).clamp(min=0), reduction)


def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """ln(1 + e^(−target · input)), averaged; the target is 1 or −1"""
    check_shapes("soft_margin_loss", input, target)
    return reduced(0 - logsigmoid(input * target), chosen("soft_margin_loss", size_average, reduce, reduction))


def multilabel_soft_margin_loss(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """Binary cross-entropy of logits (n, c), averaged over the classes c and then over n; the target is 0 or 1"""
    check_shapes("multilabel_soft_margin_loss", input, target)
    reduction = chosen("multilabel_soft_margin_loss", size_average, reduce, reduction)
    values = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    values = values if weight is None else values * weight
    return reduced(values.mean(dim=-1), reduction)


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
    """Σ max(0, margin − input[target] + inputᵢ)ᵖ over the other classes i, divided by c; input (n, c) or (c), target (n) or ()"""
    reduction = chosen("multi_margin_loss", size_average, reduce, reduction)
    if p not in (1, 2):
        raise ShapeError(f"multi_margin_loss: p must be 1 or 2, not {p}")
    if input.ndim > 2:
        raise ShapeError(f"multi_margin_loss: the input must be (n, c) or (c), got {list(input.shape)}")
    rows, index, shape, _ = class_rows("multi_margin_loss", input, target.reshape(()) if input.ndim == 1 else target, weight, None)
    shape = target.shape if input.ndim == 1 else shape  # (1,) or ()
    excess = (margin - pick(rows, classes=index).unsqueeze(-1) + rows).clamp(min=0)
    if p == 2:
        excess = excess * excess
    if weight is not None:
        excess = excess * Tensor(array_of(weight)[index].reshape((-1, 1)).astype(rows.dtype, copy=False), None)
    others = np.ones(rows.shape, bool)
    others[np.arange(len(index)), index] = False
    values = where(Tensor(others, None), excess, 0.0).sum(dim=1) / rows.shape[1]
    return reduced(values, reduction) if reduction != "none" else values.reshape(shape)


def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """Σ max(0, 1 − inputⱼ + inputᵢ) over the targets j and the other classes i, divided by c; targets end at the first −1"""
    check_shapes("multilabel_margin_loss", input, target)
    reduction = chosen("multilabel_margin_loss", size_average, reduce, reduction)
    index = np.asarray(array_of(target)).reshape((-1, target.shape[-1] if target.ndim else 1))
    if index.dtype.kind not in "iu":
        raise RuntimeError(f"multilabel_margin_loss: the target must hold class indices, not {index.dtype}")
    n, classes = index.shape
    if index.size and (index.min() < -1 or index.max() >= classes):
        raise RuntimeError(f"multilabel_margin_loss: the target must hold classes from 0 to {classes - 1}, then −1")
    row, place = np.nonzero(np.cumprod(index >= 0, axis=1))
    label = index[row, place]
    others = np.ones((n, classes), bool)
    others[row, label] = False
    rows = input.reshape((n, classes))
    excess = (1 - rows[row, label].unsqueeze(-1) + rows[row]).clamp(min=0)
    excess = where(Tensor(others[row], None), excess, 0.0).sum(dim=1) / classes
    values = Tensor(np.zeros(n, input.dtype), None).index_add(0, Tensor(row, None), excess)
    return reduced(values, reduction) if reduction != "none" else values.reshape(tuple(input.shape[:-1]))


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """−ln of the probability of a label sequence, summed over all its alignments (Graves et al. 2006)

    log_probs (t, n, c) or (t, c); targets (n, s) or all labels in a row; the mean divides each loss by its target's length.
    The gradient with respect to log_probs is PyTorch's: that of a function of normalized ones, Σ exp log_probs = 1 at each step.
    """
    check_reduction("ctc_loss", reduction)
    single = log_probs.ndim == 2
    log_probs = log_probs.unsqueeze(1) if single else log_probs
    inputs, lengths = (np.asarray(array_of(v), np.int64).reshape(-1) for v in (input_lengths, target_lengths))
    labels = np.asarray(array_of(targets), np.int64)
    steps, n, classes = log_probs.shape
    if len(inputs) != n or len(lengths) != n:
        raise RuntimeError(f"ctc_loss: input_lengths and target_lengths must hold {n} numbers each, got {len(inputs)} and {len(lengths)}")
    if inputs.size and inputs.max() > steps:
        raise RuntimeError(f"ctc_loss: an input length is {inputs.max()}, and log_probs has {steps} steps")
    if not 0 <= blank < classes:
        raise RuntimeError(f"ctc_loss: blank must be one of the {classes} classes, and it is {blank}")
    if labels.ndim == 2 or single:
        labels = labels.reshape((n, -1))
        if lengths.size and lengths.max() > labels.shape[1]:
            raise RuntimeError(f"ctc_loss: a target length is {lengths.max()}, and targets holds {labels.shape[1]} labels for each")
        rows = [row[:length] for row, length in zip(labels, lengths)]
    else:
        if lengths.sum() != len(labels):
            raise RuntimeError(f"ctc_loss: the target lengths sum up to {lengths.sum()}, and targets holds {len(labels)} labels")
        rows = np.split(labels, np.cumsum(lengths)[:-1])
    values = paths(log_probs, rows, inputs, lengths, blank)
    read = where(Tensor(np.arange(steps).reshape((-1, 1)) < inputs, None), exp(log_probs).sum(dim=2), 0.0).sum(dim=0)
    values = values + (read - read.detach())  # adds 0, and to the slope what log_softmax would take out again: PyTorch's gradient
    if zero_infinity:
        values = where(Tensor(array_of(values) < np.inf, None), values, 0.0)
    if reduction == "mean":
        return (values / Tensor(np.maximum(lengths, 1).astype(log_probs.dtype), None)).mean()
    return values.sum() if reduction == "sum" else values.reshape(()) if single else values


def paths(log_probs, rows, inputs, lengths, blank):
    """−ln of each sequence's probability: the forward recursion over labels with blanks between, all sequences at once."""
    n, dtype = len(rows), log_probs.dtype
    width = 2 * max((len(r) for r in rows), default=0) + 1
    extended = np.full((n, width), blank)
    for i, row in enumerate(rows):
        extended[i, 1 : 2 * len(row) : 2] = row
    skips = np.zeros((n, width), bool)  # from the label before last, unless it is the same
    skips[:, 2:] = (extended[:, 2:] != blank) & (extended[:, 2:] != extended[:, :-2])
    batch, far = np.arange(n).reshape((-1, 1)), np.finfo(dtype).min / 8  # as good as −∞, and it has derivatives
    start = np.where(np.arange(width) < np.minimum(2, 2 * lengths + 1).reshape((-1, 1)), 0.0, far).astype(dtype)
    table, ends = Tensor(start, None) + log_probs[0][batch, extended], []
    nothing = Tensor(np.full((n, 2), far, dtype), None)
    final = np.stack([2 * lengths, np.maximum(2 * lengths - 1, 0)], axis=1)
    lowest = Tensor(np.where(lengths > 0, 0, far).astype(dtype), None)

    def ending(table):
        last = table[batch, final]
        return last[:, 0].logaddexp(last[:, 1] + lowest)

    zero = np.where(lengths == 0, 0.0, -np.inf).astype(dtype)
    ends.append(Tensor(zero, None) if (inputs == 0).any() else None)
    ends.append(ending(table) if (inputs == 1).any() else None)
    for t in range(1, int(inputs.max(initial=0))):
        moved = concatenate(nothing, table, axis=1)
        skipping = where(Tensor(skips, None), moved[:, :width], far)
        table = table.logaddexp(moved[:, 1 : width + 1]).logaddexp(skipping) + log_probs[t][batch, extended]
        table = where(Tensor(array_of(table) > far, None), table, far)
        ends.append(ending(table) if (inputs == t + 1).any() else None)
    total = 0.0
    for t, end in enumerate(ends):
        if end is not None:
            total = where(Tensor(inputs == t, None), end, total)
    return where(Tensor(array_of(total) > far / 2, None), -total, np.inf)


__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss", "cosine_similarity", "cross_entropy",
           "ctc_loss", "gaussian_nll_loss", "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "linear_cross_entropy", "margin_ranking_loss",
           "mse_loss", "multi_margin_loss", "multilabel_margin_loss", "multilabel_soft_margin_loss", "nll_loss", "poisson_nll_loss",
           "smooth_l1_loss", "soft_margin_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss"]  # fmt: skip
