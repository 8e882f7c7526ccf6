"""Embeddings as modules: tables whose rows are learned."""

import numpy as np

from ...api.create import check_device, dtype_of
from ...autograd import dtypes, modes
from ...autograd.tensor import Tensor
from .. import functional as F
from .. import init
from ..functional.sparse import checked_padding
from ..module import Module
from ..parameter import Parameter


class Table(Module):
    """What both embeddings share: a weight (num_embeddings, embedding_dim) from N(0, 1), with a row for padding that is 0."""

    def set_up(self, num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, weight, freeze, device, dtype):
        """Keep the options, and make the table or take the one given."""
        name = type(self).__name__
        check_device(device)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = checked_padding(name, padding_idx, num_embeddings)
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, norm_type, scale_grad_by_freq
        self.sparse = sparse
        if weight is None:
            dtype = dtypes.default if dtype is None else dtype_of(dtype)
            self.weight = Parameter(Tensor(np.empty((num_embeddings, embedding_dim), dtype), None), requires_grad=not freeze)
            self.reset_parameters()
        elif tuple(weight.shape) != (num_embeddings, embedding_dim):
            raise AssertionError(f"{name}: the weight has shape {list(weight.shape)}, not {[num_embeddings, embedding_dim]}")
        else:
            self.weight = Parameter(weight, requires_grad=not freeze)

    def reset_parameters(self):
        """Draw new initial values; the padding's row is 0."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with modes.no_grad():
                self.weight[self.padding_idx].fill_(0)

    def extra_repr(self):
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, plain in (("padding_idx", None), ("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False)):
            if getattr(self, name) != plain:
                text += f", {name}={getattr(self, name)}"
        return text + ", sparse=True" * self.sparse


class Embedding(Table):
    """weight[x]: a row of numbers for each index

    Shapes: x (…), integers → (…, embedding_dim); weight (num_embeddings, embedding_dim) from N(0, 1). Row padding_idx starts
    as 0 and gets no gradient; max_norm shrinks longer rows in place when they are asked for.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Embedding(10, 3)(tg.tensor([[1, 2], [4, 5]])).shape
    Size([2, 2, 3])
    """

    def __init__(self, num_embeddings, embedding_dim, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False,
                 sparse=False, _weight=None, _freeze=False, device=None, dtype=None):  # fmt: skip
        super().__init__()
        self.set_up(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight, _freeze, device, dtype)

    def forward(self, input):
        return F.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq,
                           self.sparse)  # fmt: skip

    @classmethod
    def from_pretrained(cls, embeddings, freeze=True, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
        """An embedding with a given table (rows, columns), which is not trained unless freeze=False."""
        check_table(cls, embeddings)
        return cls(*embeddings.shape, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight=embeddings, _freeze=freeze)


class EmbeddingBag(Table):
    """The sum, mean or maximum of the rows of each bag

    Shapes: x (b, n), or (n) with offsets (b) where the bags begin → (b, embedding_dim).

    >>> import tinygrad_edu as tg
    >>> tg.nn.EmbeddingBag(10, 3, mode="sum")(tg.tensor([1, 2, 4]), tg.tensor([0, 2])).shape
    Size([2, 3])
    """

    def __init__(self, num_embeddings, embedding_dim, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean",
                 sparse=False, _weight=None, include_last_offset=False, padding_idx=None, device=None, dtype=None):  # fmt: skip
        super().__init__()
        self.set_up(num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, _weight, False, device, dtype)
        self.mode, self.include_last_offset = mode, include_last_offset

    def forward(self, input, offsets=None, per_sample_weights=None):
        return F.embedding_bag(input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode,
                               self.sparse, per_sample_weights, self.include_last_offset, self.padding_idx)  # fmt: skip

    def extra_repr(self):
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, plain in (("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False)):
            if getattr(self, name) != plain:
                text += f", {name}={getattr(self, name)}"
        text += f", mode={self.mode!r}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"

    @classmethod
    def from_pretrained(cls, embeddings, freeze=True, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, mode="mean", sparse=False,
                        include_last_offset=False, padding_idx=None):  # fmt: skip
        """Bags of a given table (rows, columns), which is not trained unless freeze=False."""
        check_table(cls, embeddings)
        bag = cls(*embeddings.shape, max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset, padding_idx)
        bag.weight.requires_grad = not freeze
        return bag


def check_table(cls, embeddings):
    """A pretrained table has rows and columns."""
    if embeddings.ndim != 2:
        raise AssertionError(f"{cls.__name__}.from_pretrained: expected a table (rows, columns), got shape {list(embeddings.shape)}")


__all__ = ["Embedding", "EmbeddingBag"]
