"""Attention: every position looks at others, weighted by how well queries fit keys."""

import math

import numpy as np

from ...autograd.tensor import Tensor, array_of
from ...ops.indexing import where
from ...ops.products import affine
from ...ops.reductions import softmax
from ...ops.shapes import concatenate
from .dropout import dropout


def scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    """softmax(query @ keyᵀ · scale + mask) @ value, shapes (…, l, e), (…, s, e), (…, s, v) → (…, l, v)

    A boolean mask (…, l, s) is True where a query may look; another one is added. A query that may look nowhere gets 0.
    scale is 1/√e; is_causal lets position i look at positions up to i; enable_gqa lets several heads (dimension −3) share a key.

    >>> import tinygrad_edu as tg
    >>> x = tg.ones(1, 2, 4)
    >>> tg.nn.functional.scaled_dot_product_attention(x, x, x, is_causal=True).shape
    Size([1, 2, 4])
    """
    if attn_mask is not None and is_causal and (query.ndim != 4 or query.shape[-1] != value.shape[-1]):
        raise RuntimeError("scaled_dot_product_attention: give attn_mask or is_causal=True, not both, except for shapes (n, heads, l, e)")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise RuntimeError(f"scaled_dot_product_attention: query {list(query.shape)}, key {list(key.shape)}, value {list(value.shape)}: "
                           "query and key must have the same last dimension, key and value the same number of rows")  # fmt: skip
    if enable_gqa:
        key, value = (t.repeat_interleave(query.shape[-3] // t.shape[-3], dim=-3) for t in (key, value))
    if is_causal:
        visible = causal(query.shape[-2], key.shape[-2])
        attn_mask = visible if attn_mask is None else where(visible, attn_mask, False if attn_mask.array.dtype == bool else -np.inf)
    weights = attention_weights(query, key, attn_mask, scale)
    if dropout_p:
        weights = dropout(weights, dropout_p)
    return weights @ value


kept_masks: dict = {}


def causal(rows, columns):
    """A boolean mask, True on and below the diagonal; kept, because a model asks for the same one at every step."""
    mask = kept_masks.get((rows, columns))
    if mask is None:
        if len(kept_masks) > 16:
            kept_masks.pop(next(iter(kept_masks)), None)
        mask = kept_masks[rows, columns] = Tensor(np.tri(rows, columns, dtype=bool), None)
    return mask


def attention_weights(query, key, mask, scale):
    """softmax(query @ keyᵀ · scale + mask) along the last dimension; rows without anything to look at are 0."""
    scores = (query * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)) @ key.swapaxes(-1, -2)
    if mask is None:
        return softmax(scores, axis=-1)
    values = array_of(mask)
    if values.dtype == bool:
        seeing = values.any(axis=-1, keepdims=True)
        hidden = 0.0 if not seeing.all() else -np.inf
        scores = where(mask, scores, where(Tensor(seeing, None), -np.inf, hidden) if hidden == 0.0 else hidden)
    elif values.dtype.kind == "f":
        scores = scores + mask
        seeing = array_of(scores).max(axis=-1, keepdims=True) > -np.inf
        if not seeing.all():
            scores = where(Tensor(seeing, None), scores, 0.0)
    else:
        raise RuntimeError(f"scaled_dot_product_attention: the mask must be boolean or floating-point, not {values.dtype}")
    weights = softmax(scores, axis=-1)
    return weights if seeing.all() else where(Tensor(seeing, None), weights, 0.0)


def additive(mask, name, like):
    """A boolean mask (True hides) as numbers to add: −∞ or 0."""
    if mask is None:
        return None
    values = array_of(mask)
    if values.dtype == bool:
        return Tensor(np.where(values, -np.inf, 0).astype(like.dtype), None)
    if values.dtype.kind != "f":
        raise AssertionError(f"multi_head_attention: {name} must be boolean or floating-point, not {values.dtype}")
    return mask


def multi_head_attention_forward(query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias, bias_k, bias_v,
                                 add_zero_attn, dropout_p, out_proj_weight, out_proj_bias, training=True, key_padding_mask=None,
                                 need_weights=True, attn_mask=None, use_separate_proj_weight=False, q_proj_weight=None,
                                 k_proj_weight=None, v_proj_weight=None, static_k=None, static_v=None, average_attn_weights=True,
                                 is_causal=False):  # fmt: skip
    """Attention in several heads: shapes (l, n, e), (s, n, e), (s, n, e) → ((l, n, e), weights (n, l, s)), or all without n

    in_proj_weight holds the projections of query, key and value below each other. attn_mask (l, s) or (n · heads, l, s) and
    key_padding_mask (n, s) are True where nobody may look, or are added. Source: Vaswani et al. (2017).
    """
    name = "multi_head_attention"
    batched = query.ndim == 3
    if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
        raise AssertionError(f"{name}: query, key and value must all have three dimensions (l, n, e), or two without a batch; got "
                             f"{list(query.shape)}, {list(key.shape)}, {list(value.shape)}")  # fmt: skip
    if not batched:
        query, key, value = (t.unsqueeze(1) for t in (query, key, value))
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    length, n, e = query.shape
    if e != embed_dim_to_check:
        raise AssertionError(f"{name}: the query has {e} features, and the layer was made for {embed_dim_to_check}")
    if e % num_heads:
        raise AssertionError(f"{name}: {e} features cannot be divided among {num_heads} heads")
    if key.shape[:2] != value.shape[:2] or key.shape[1] != n:
        raise AssertionError(f"{name}: key {list(key.shape)} and value {list(value.shape)} must have the same length and batch, and the "
                             f"query's batch {n}")  # fmt: skip
    if is_causal and attn_mask is None:
        raise RuntimeError(f"{name}: is_causal=True is a hint about attn_mask and needs it; give attn_mask too, as from "
                           "Transformer.generate_square_subsequent_mask")  # fmt: skip
    q, k, v = projected(query, key, value, in_proj_weight, in_proj_bias, use_separate_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight)
    mask, padding = additive(attn_mask, "attn_mask", q), additive(key_padding_mask, "key_padding_mask", q)
    if mask is not None and mask.ndim == 2:
        mask = mask.unsqueeze(0)
    if mask is not None and tuple(mask.shape) not in ((1, length, key.shape[0]), (n * num_heads, length, key.shape[0])):
        raise RuntimeError(f"{name}: attn_mask must have shape {[length, key.shape[0]]} or {[n * num_heads, length, key.shape[0]]}, got "
                           f"{list(attn_mask.shape)}")  # fmt: skip
    if padding is not None and tuple(padding.shape) != (n, key.shape[0]):
        raise AssertionError(f"{name}: key_padding_mask must have shape {[n, key.shape[0]]}, got {list(padding.shape)}")
    if bias_k is not None and bias_v is not None:
        k, v = (concatenate(t, b.expand(1, n, e), axis=0) for t, b in ((k, bias_k), (v, bias_v)))
        mask, padding = widened(mask), widened(padding)
    heads, size = n * num_heads, e // num_heads
    q = split_heads(q, heads, size)
    k = split_heads(k, heads, size) if static_k is None else static_k
    v = split_heads(v, heads, size) if static_v is None else static_v
    if add_zero_attn:
        zeros = Tensor(np.zeros((heads, 1, size), k.dtype), None)
        k, v = concatenate(k, zeros, axis=1), concatenate(v, zeros, axis=1)
        mask, padding = widened(mask), widened(padding)
    source = k.shape[1]
    if padding is not None:
        padding = padding.reshape((n, 1, 1, source)).expand(n, num_heads, 1, source).reshape((heads, 1, source))
        mask = padding if mask is None else mask + padding
    if need_weights:
        scores = (q * (1 / math.sqrt(size))) @ k.swapaxes(1, 2)
        if mask is not None:
            scores = scores + mask
        with np.errstate(invalid="ignore"):  # a query that may look nowhere gets NaN, as in PyTorch
            weights = softmax(scores, axis=-1)
    else:
        weights = attention_weights(q, k, mask, None)
    if training and dropout_p > 0:
        weights = dropout(weights, dropout_p)
    out = (weights @ v).swapaxes(0, 1).reshape((length * n, e))
    out = affine(out, out_proj_weight, out_proj_bias).reshape((length, n, -1))
    if not batched:
        out = out.squeeze(1)
    if not need_weights:
        return out, None
    weights = weights.reshape((n, num_heads, length, source))
    if average_attn_weights:
        weights = weights.mean(dim=1)
    return out, weights if batched else weights.squeeze(0)


def widened(mask):
    """A mask with one more column that everybody may look at."""
    return None if mask is None else concatenate(mask, Tensor(np.zeros((*mask.shape[:-1], 1), mask.dtype), None), axis=-1)


def split_heads(x, heads, size):
    """(s, n, heads per sample · size) → (heads, s, size)"""
    return x.reshape((x.shape[0], heads, size)).swapaxes(0, 1)


def projected(query, key, value, weight, bias, separate, q_weight, k_weight, v_weight):
    """Queries, keys and values; one product serves all three where they come from the same tensor."""
    e = query.shape[-1]
    if separate:
        weights = (q_weight, k_weight, v_weight)
    elif query is key and key is value:
        together = affine(query, weight, bias)
        return tuple(together[..., i * e : (i + 1) * e] for i in range(3))
    else:
        weights = tuple(weight[i * e : (i + 1) * e] for i in range(3))
    biases = (None,) * 3 if bias is None else tuple(bias[i * e : (i + 1) * e] for i in range(3))
    return tuple(affine(x, w, b) for x, w, b in zip((query, key, value), weights, biases))


__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]
