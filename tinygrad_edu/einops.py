"""The einops package with tensors of this library: importing this file tells einops of them, and gives its functions and layers.

Change `from einops import …` and `from einops.layers.torch import …` to `from tinygrad_edu.einops import …`; needs `pip install einops`.
"""

from einops import asnumpy, einsum, pack, parse_shape, rearrange, reduce, repeat, unpack
from einops._backends import TorchBackend
from einops.layers import RearrangeMixin, ReduceMixin
from einops.layers._einmix import _EinmixMixin

import tinygrad_edu
from tinygrad_edu.nn import Module, Parameter

__all__ = ["EinMix", "Rearrange", "Reduce", "asnumpy", "einsum", "pack", "parse_shape", "rearrange", "reduce", "repeat", "unpack"]


class Backend(TorchBackend):
    """How einops works with tensors: as with PyTorch's, which are spelled alike; einops finds it among the subclasses of its own."""

    framework_name = "tinygrad_edu"

    def __init__(self):
        self.torch = tinygrad_edu

    def is_appropriate_type(self, tensor):
        """True for tensors of this library."""
        return isinstance(tensor, tinygrad_edu.Tensor)

    def layers(self):
        """Where the layers are."""
        return tinygrad_edu.einops


class Rearrange(RearrangeMixin, Module):
    """`rearrange` as a layer: Rearrange("b c h w -> b (c h w)")"""

    def forward(self, input):
        return self._apply_recipe(input)


class Reduce(ReduceMixin, Module):
    """`reduce` as a layer: Reduce("b c h w -> b c", "mean")"""

    def forward(self, input):
        return self._apply_recipe(input)


class EinMix(_EinmixMixin, Module):
    """A linear layer in einops's words: EinMix("b t c -> b t d", weight_shape="c d", bias_shape="d", c=3, d=4)"""

    def _create_parameters(self, weight_shape, weight_bound, bias_shape, bias_bound):
        def drawn(shape, bound):
            return Parameter(tinygrad_edu.zeros(shape).uniform_(-bound, bound))

        self.weight = drawn(weight_shape, weight_bound)
        self.bias = None if bias_shape is None else drawn(bias_shape, bias_bound)

    def _create_rearrange_layers(self, before, before_lengths, after, after_lengths):
        self.pre_rearrange = None if before is None else Rearrange(before, **before_lengths)
        self.post_rearrange = None if after is None else Rearrange(after, **after_lengths)

    def forward(self, input):
        if self.pre_rearrange is not None:
            input = self.pre_rearrange(input)
        out = tinygrad_edu.einsum(self.einsum_pattern, input, self.weight)
        if self.bias is not None:
            out = out + self.bias
        return out if self.post_rearrange is None else self.post_rearrange(out)
