"""Attention in several heads, as a module."""

import numpy as np

from ...api.create import check_device, dtype_of
from ...autograd import dtypes
from ...autograd.tensor import Tensor
from .. import functional as F
from .. import init
from ..module import Module
from ..parameter import Parameter
from .linear import Linear


class NonDynamicallyQuantizableLinear(Linear):
    """The output projection of attention: a Linear under the name that PyTorch prints for it."""


def empty(*shape, dtype):
    """A parameter without values yet."""
    return Parameter(Tensor(np.empty(shape, dtype), None))


class MultiheadAttention(Module):
    """softmax(q kᵀ / √d) v in num_heads parts of d = embed_dim / num_heads features each, put together by a linear layer

    Shapes: query (l, n, embed_dim), key (s, n, kdim), value (s, n, vdim) → (l, n, embed_dim), weights (n, l, s); with
    batch_first the batch n comes first, and it may be missing. in_proj_weight (3 · embed_dim, embed_dim) holds the
    projections of query, key and value below each other; with kdim or vdim they are three weights.

    >>> import tinygrad_edu as tg
    >>> x = tg.ones(2, 5, 8)
    >>> out, weights = tg.nn.MultiheadAttention(8, 2, batch_first=True)(x, x, x)
    >>> out.shape, weights.shape
    (Size([2, 5, 8]), Size([2, 5, 5]))
    """

    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True, add_bias_kv=False, add_zero_attn=False, kdim=None, vdim=None,
                 batch_first=False, device=None, dtype=None):  # fmt: skip
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(f"MultiheadAttention: embed_dim and num_heads must be positive, got {embed_dim} and {num_heads}")
        if embed_dim % num_heads:
            raise AssertionError(f"MultiheadAttention: embed_dim={embed_dim} cannot be divided among num_heads={num_heads}")
        check_device(device)
        dtype = dtypes.default if dtype is None else dtype_of(dtype)
        self.embed_dim, self.num_heads, self.dropout, self.batch_first = embed_dim, num_heads, dropout, batch_first
        self.kdim, self.vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        self.head_dim = embed_dim // num_heads
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        if self._qkv_same_embed_dim:
            self.in_proj_weight = empty(3 * embed_dim, embed_dim, dtype=dtype)
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                self.register_parameter(name, None)
        else:
            self.q_proj_weight = empty(embed_dim, embed_dim, dtype=dtype)
            self.k_proj_weight = empty(embed_dim, self.kdim, dtype=dtype)
            self.v_proj_weight = empty(embed_dim, self.vdim, dtype=dtype)
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", empty(3 * embed_dim, dtype=dtype) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, dtype=dtype)
        self.bias_k = empty(1, 1, embed_dim, dtype=dtype) if add_bias_kv else None
        self.bias_v = empty(1, 1, embed_dim, dtype=dtype) if add_bias_kv else None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self):
        """Draw new initial values."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.constant_(self.in_proj_bias, 0.0)
            init.constant_(self.out_proj.bias, 0.0)
        if self.bias_k is not None:
            init.xavier_normal_(self.bias_k)
            init.xavier_normal_(self.bias_v)

    def forward(self, query, key, value, key_padding_mask=None, need_weights=True, attn_mask=None, average_attn_weights=True, is_causal=False):
        if self.batch_first and query.ndim == 3:
            same, same_key = query is key, key is value
            query = query.swapaxes(0, 1)
            key = query if same else key.swapaxes(0, 1)
            value = key if same_key else value.swapaxes(0, 1)
            out, weights = self.attend(query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal)
            return out.swapaxes(0, 1), weights
        return self.attend(query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal)

    def attend(self, query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal):
        """The attention of inputs (l, n, e)."""
        return F.multi_head_attention_forward(
            query, key, value, self.embed_dim, self.num_heads, self.in_proj_weight, self.in_proj_bias, self.bias_k, self.bias_v,
            self.add_zero_attn, self.dropout, self.out_proj.weight, self.out_proj.bias, self.training, key_padding_mask, need_weights,
            attn_mask, not self._qkv_same_embed_dim, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight,
            average_attn_weights=average_attn_weights, is_causal=is_causal)  # fmt: skip


__all__ = ["MultiheadAttention"]
