"""Layers in the order of arguments that PyTorch has at its top: torch.batch_norm, torch.lstm_cell, torch.embedding and their kin.

They are what torch.nn.functional calls; programs that were written against them get the same numbers.
"""

import functools

from ...ops.products import affine
from ...ops.recurrent import gru_sequence
from . import convolution as conv
from . import loss, normalization, padding, resampling, sparse
from .dropout import alpha_dropout, channels, dropout, dropped, feature_alpha_dropout

REDUCTIONS = {0: "none", 1: "mean", 2: "sum"}


def with_number(function, *order):
    """A loss whose last argument is a number: 0 for no reduction, 1 for the mean, 2 for the sum."""

    @functools.wraps(function)
    def numbered(*args, reduction=0, **named):  # 0 unless given, as in PyTorch 2.13
        if len(args) > len(order):
            args, reduction = args[:-1], args[-1]
        if reduction not in REDUCTIONS:
            raise ValueError(f"{function.__name__}: reduction must be 0 (none), 1 (mean) or 2 (sum), not {reduction!r}; the function of "
                             "nn.functional takes a word")  # fmt: skip
        return function(**dict(zip(order, args)), **named, reduction=REDUCTIONS[reduction])

    return numbered


binary_cross_entropy_with_logits = with_number(loss.binary_cross_entropy_with_logits, "input", "target", "weight", "pos_weight")
cosine_embedding_loss = with_number(loss.cosine_embedding_loss, "input1", "input2", "target", "margin")
hinge_embedding_loss = with_number(loss.hinge_embedding_loss, "input", "target", "margin")
kl_div = with_number(loss.kl_div, "input", "target")
margin_ranking_loss = with_number(loss.margin_ranking_loss, "input1", "input2", "target", "margin")
poisson_nll_loss = with_number(loss.poisson_nll_loss, "input", "target", "log_input", "full", "eps")
triplet_margin_loss = with_number(loss.triplet_margin_loss, "anchor", "positive", "negative", "margin", "p", "eps", "swap")


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction=0, zero_infinity=False):
    """nn.functional.ctc_loss, with a number for the reduction: 0 for none, 1 for the mean, 2 for the sum"""
    return loss.ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, REDUCTIONS[reduction], zero_infinity)


def batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled=False):
    """nn.functional.batch_norm, weight and bias first"""
    return normalization.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled=False):
    """nn.functional.instance_norm, weight and bias first"""
    return normalization.instance_norm(input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)


def embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False):
    """weight[indices]: nn.functional.embedding, weight first

    >>> import tinygrad_edu as tg
    >>> tg.embedding(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1]))
    tensor([[3., 4.]])
    """
    return rows(indices, weight, None if padding_idx < 0 else padding_idx, None, 2.0, scale_grad_by_freq, sparse)


rows = sparse.embedding


def embedding_bag(weight, indices, offsets, scale_grad_by_freq=False, mode=0, sparse=False, per_sample_weights=None,
                  include_last_offset=False, padding_idx=None):  # fmt: skip
    """(result,) of nn.functional.embedding_bag, weight first; mode 0 is the sum, 1 the mean, 2 the maximum"""
    kind = ("sum", "mean", "max")[mode]
    out = bags(indices, weight, offsets, None, 2, scale_grad_by_freq, kind, sparse, per_sample_weights, include_last_offset, padding_idx)
    return (out,)


bags = sparse.embedding_bag


def rnn_tanh_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """tanh(input · w_ihᵀ + b_ih + hx · w_hhᵀ + b_hh), shapes (n, in), (n, h) → (n, h)"""
    return (affine(input, w_ih, b_ih) + affine(hx, w_hh, b_hh)).tanh()


def rnn_relu_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """max(0, input · w_ihᵀ + b_ih + hx · w_hhᵀ + b_hh), shapes (n, in), (n, h) → (n, h)"""
    return (affine(input, w_ih, b_ih) + affine(hx, w_hh, b_hh)).relu()


def gru_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of a GRU with the weights of nn.GRUCell, shapes (n, in), (n, h) → (n, h)"""
    return gru_sequence(affine(input, w_ih, b_ih).unsqueeze(0), hx, w_hh, b_hh).squeeze(0)


def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """(h, c) after one step of an LSTM with the weights of nn.LSTMCell; hx is the pair (h, c) before it"""
    h, c = hx
    i, f, g, o = (affine(input, w_ih, b_ih) + affine(h, w_hh, b_hh)).chunk(4, -1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def convolution(input, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    """The convolution, or the transposed one, that fits the dimensions of the input (n, c, …)"""
    n = input.ndim - 2
    if not 1 <= n <= 3:
        raise RuntimeError(f"convolution: expected an input (n, c, …) with 1 to 3 axes after the channels, got shape {list(input.shape)}")
    if transposed:
        return getattr(conv, f"conv_transpose{n}d")(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return getattr(conv, f"conv{n}d")(input, weight, bias, stride, padding, dilation, groups)


def constant_pad_nd(input, pad, value=0):
    """nn.functional.pad with a constant"""
    return padding.pad(input, pad, "constant", value)


def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners):
    """nn.functional.grid_sample with numbers for its modes: (bilinear, nearest, bicubic) and (zeros, border, reflection)"""
    mode, outside = ("bilinear", "nearest", "bicubic")[interpolation_mode], ("zeros", "border", "reflection")[padding_mode]
    return resampling.grid_sample(input, grid, mode, outside, align_corners)


grid_sampler_2d = grid_sampler_3d = grid_sampler


def affine_grid_generator(theta, size, align_corners):
    """nn.functional.affine_grid"""
    return resampling.affine_grid(theta, size, align_corners)


def feature_dropout(input, p, train):
    """Whole channels 0 with probability p, the others divided by 1 − p; input (n, c, …)"""
    return dropped("feature_dropout", input, p, train, False, channels(input))


def dropout_(input, p, train):
    """Dropout, in place"""
    return dropout(input, p, train, True)


def feature_dropout_(input, p, train):
    """feature_dropout, in place"""
    return dropped("feature_dropout", input, p, train, True, channels(input))


def alpha_dropout_(input, p, train):
    """nn.functional.alpha_dropout, in place"""
    return alpha_dropout(input, p, train, True)


def feature_alpha_dropout_(input, p, train):
    """nn.functional.feature_alpha_dropout, in place"""
    return feature_alpha_dropout(input, p, train, True)


def norm_except_dim(v, pow=2, dim=0):
    """The p-norm of each slice along one dimension, the others kept with size 1; dim −1 means of everything"""
    if dim == -1:
        return v.norm(pow)
    return v.norm(pow, [d for d in range(v.ndim) if d != dim % v.ndim], True)


__all__ = ["affine_grid_generator", "alpha_dropout_", "batch_norm", "binary_cross_entropy_with_logits", "constant_pad_nd", "convolution",
           "cosine_embedding_loss", "ctc_loss", "dropout_", "embedding", "embedding_bag", "feature_alpha_dropout_", "feature_dropout",
           "feature_dropout_", "grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "gru_cell", "hinge_embedding_loss", "instance_norm",
           "kl_div", "lstm_cell", "margin_ranking_loss", "norm_except_dim", "poisson_nll_loss", "rnn_relu_cell", "rnn_tanh_cell",
           "triplet_margin_loss"]  # fmt: skip
