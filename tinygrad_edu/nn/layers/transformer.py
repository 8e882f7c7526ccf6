"""Transformers: encoder and decoder layers, their stacks, and the whole (Vaswani et al. 2017)."""

import copy

import numpy as np

from ...api.create import check_device, dtype_of
from ...autograd import dtypes, modes
from ...autograd.tensor import Tensor, array_of
from ...ops.indexing import where
from .. import functional as F
from .. import init
from ..containers import ModuleList
from ..module import Module
from .attention import MultiheadAttention
from .dropout import Dropout
from .linear import Linear
from .normalization import LayerNorm


def activation_of(activation):
    """A function by its name "relu" or "gelu", or the function itself."""
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f'transformer: activation must be "relu", "gelu" or a function, not {activation!r}')
    return getattr(F, activation)


class Layer(Module):
    """What encoder and decoder layers share: a feed-forward part, normalised before or after."""

    def feed_forward(self, x):
        """linear2(dropout(activation(linear1(x))))"""
        return self.linear2(self.dropout(self.activation(self.linear1(x))))

    def residual(self, x, block, norm):
        """x + block(norm(x)) for norm_first, else norm(x + block(x))"""
        return x + block(norm(x)) if self.norm_first else norm(x + block(x))


class TransformerEncoderLayer(Layer):
    """x + attention(x), then x + feed_forward(x), each normalised after it, or with norm_first before it

    Shapes: x (l, n, d_model), or (n, l, d_model) with batch_first, or without n → the same.

    >>> import tinygrad_edu as tg
    >>> tg.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)(tg.ones(3, 5, 8)).shape
    Size([3, 5, 8])
    """

    def __init__(self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=F.relu, layer_norm_eps=1e-5, batch_first=False,
                 norm_first=False, bias=True, device=None, dtype=None):  # fmt: skip
        super().__init__()
        check_device(device)
        made = dict(dtype=dtypes.default if dtype is None else dtype_of(dtype))
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **made)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **made)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **made)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, **made)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, **made)
        self.dropout1, self.dropout2 = Dropout(dropout), Dropout(dropout)
        self.activation = activation_of(activation)

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        def attend(x):
            return self.dropout1(self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal and src_mask is not None)[0])

        x = self.residual(src, attend, self.norm1)
        return self.residual(x, lambda x: self.dropout2(self.feed_forward(x)), self.norm2)


class TransformerDecoderLayer(Layer):
    """x + attention(x), then x + attention(x, memory), then x + feed_forward(x), each normalised after it or before it

    Shapes: x (l, n, d_model), memory (s, n, d_model) → (l, n, d_model); n comes first with batch_first, and may be missing.
    """

    def __init__(self, d_model, nhead, dim_feedforward=2048, dropout=0.1, activation=F.relu, layer_norm_eps=1e-5, batch_first=False,
                 norm_first=False, bias=True, device=None, dtype=None):  # fmt: skip
        super().__init__()
        check_device(device)
        made = dict(dtype=dtypes.default if dtype is None else dtype_of(dtype))
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **made)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **made)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **made)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **made)
        self.norm_first = norm_first
        for i in (1, 2, 3):
            setattr(self, f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias, **made))
        self.dropout1, self.dropout2, self.dropout3 = Dropout(dropout), Dropout(dropout), Dropout(dropout)
        self.activation = activation_of(activation)

    def forward(self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
                tgt_is_causal=False, memory_is_causal=False):  # fmt: skip
        def attend(x):
            return self.dropout1(self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask)[0])

        def look(x):
            return self.dropout2(self.multihead_attn(x, memory, memory, memory_key_padding_mask, False, memory_mask)[0])

        x = self.residual(tgt, attend, self.norm1)
        x = self.residual(x, look, self.norm2)
        return self.residual(x, lambda x: self.dropout3(self.feed_forward(x)), self.norm3)


def copies(module, n):
    """A list of n deep copies of a module, all with the same first values."""
    return ModuleList([copy.deepcopy(module) for _ in range(n)])


class TransformerEncoder(Module):
    """num_layers copies of an encoder layer one after the other, and a norm at the end if one is given"""

    def __init__(self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True):
        super().__init__()
        self.layers, self.num_layers, self.norm = copies(encoder_layer, num_layers), num_layers, norm
        self.enable_nested_tensor, self.mask_check = enable_nested_tensor, mask_check

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        x = src
        for layer in self.layers:
            x = layer(x, mask, src_key_padding_mask)
        if self.clears_padding(src, mask, src_key_padding_mask):
            x = where(src_key_padding_mask.unsqueeze(-1), 0.0, x)
        return x if self.norm is None else self.norm(x)

    def clears_padding(self, src, mask, padding):
        """True where PyTorch leaves the padding out of its computation, and the result has zeros there.

        That is in evaluation without gradients, for padding at the end of batch-first sequences, and ordinary layers.
        """
        layer = self.layers[0] if len(self.layers) else None
        if padding is None or mask is not None or not self.enable_nested_tensor or type(layer) is not TransformerEncoderLayer:
            return False
        attention, hidden = layer.self_attn, array_of(padding)
        if layer.training or src.ndim != 3 or layer.norm_first or not attention.batch_first or hidden.dtype != bool:
            return False
        if attention.num_heads % 2 or attention.in_proj_bias is None or layer.activation not in (F.relu, F.gelu):
            return False
        if modes.state.grad and (src.requires_grad or any(p.requires_grad for p in self.parameters())):
            return False
        return bool((hidden[:, 1:] >= hidden[:, :-1]).all())


class TransformerDecoder(Module):
    """num_layers copies of a decoder layer one after the other, and a norm at the end if one is given"""

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__()
        self.layers, self.num_layers, self.norm = copies(decoder_layer, num_layers), num_layers, norm

    def forward(self, tgt, memory, tgt_mask=None, memory_mask=None, tgt_key_padding_mask=None, memory_key_padding_mask=None,
                tgt_is_causal=None, memory_is_causal=False):  # fmt: skip
        x = tgt
        for layer in self.layers:
            x = layer(x, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        return x if self.norm is None else self.norm(x)


class Transformer(Module):
    """Encoder and decoder: src (s, n, d_model), tgt (l, n, d_model) → (l, n, d_model)"""

    def __init__(self, d_model=512, nhead=8, num_encoder_layers=6, num_decoder_layers=6, dim_feedforward=2048, dropout=0.1,
                 activation=F.relu, custom_encoder=None, custom_decoder=None, layer_norm_eps=1e-5, batch_first=False,
                 norm_first=False, bias=True, device=None, dtype=None):  # fmt: skip
        super().__init__()
        options = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, device, dtype)
        final = dict(eps=layer_norm_eps, bias=bias, device=device, dtype=dtype)
        if custom_encoder is not None:
            self.encoder = custom_encoder
        else:
            self.encoder = TransformerEncoder(TransformerEncoderLayer(*options), num_encoder_layers, LayerNorm(d_model, **final))
        if custom_decoder is not None:
            self.decoder = custom_decoder
        else:
            self.decoder = TransformerDecoder(TransformerDecoderLayer(*options), num_decoder_layers, LayerNorm(d_model, **final))
        self._reset_parameters()
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def _reset_parameters(self):
        """Draw new initial values for all matrices."""
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)

    def forward(self, src, tgt, src_mask=None, tgt_mask=None, memory_mask=None, src_key_padding_mask=None, tgt_key_padding_mask=None,
                memory_key_padding_mask=None, src_is_causal=None, tgt_is_causal=None, memory_is_causal=False):  # fmt: skip
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise RuntimeError(f"Transformer: src {list(src.shape)} and tgt {list(tgt.shape)} must have d_model={self.d_model} features")
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise RuntimeError(f"Transformer: src {list(src.shape)} and tgt {list(tgt.shape)} must have the same batch size")
        memory = self.encoder(src, src_mask, src_key_padding_mask)
        return self.decoder(tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)

    @staticmethod
    def generate_square_subsequent_mask(sz, device=None, dtype=None):
        """A mask (sz, sz) to add: −∞ above the diagonal, where the future is, and 0 elsewhere.

        >>> import tinygrad_edu as tg
        >>> tg.nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        check_device(device)
        return Tensor(np.triu(np.full((sz, sz), -np.inf, dtypes.default if dtype is None else dtype_of(dtype)), 1), None)


__all__ = ["Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer"]
