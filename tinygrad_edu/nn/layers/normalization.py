"""Normalisation as modules."""

import numpy as np

from ...api.create import check_device, dtype_of
from ...autograd import dtypes
from ...autograd.tensor import Tensor
from .. import functional as F
from .. import init
from ..module import Module
from ..parameter import Parameter


def parameter(shape, dtype):
    """A parameter without values yet."""
    return Parameter(Tensor(np.empty(shape, dtype), None))


class ChannelNorm(Module):
    """What batch and instance normalisation share: a weight and bias per channel, and running statistics."""

    _version = 2  # states of version 1, and those that do not say theirs, may lack the number of batches

    def __init__(self, num_features, eps, momentum, affine, track_running_stats, device, dtype, bias):
        super().__init__()
        check_device(device)
        dtype = dtypes.default if dtype is None else dtype_of(dtype)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.register_parameter("weight", parameter(num_features, dtype) if affine else None)
        self.register_parameter("bias", parameter(num_features, dtype) if affine and bias else None)
        self.register_buffer("running_mean", Tensor(np.zeros(num_features, dtype), None) if track_running_stats else None)
        self.register_buffer("running_var", Tensor(np.ones(num_features, dtype), None) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", Tensor(np.zeros((), np.int64), None) if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self):
        """Forget what was seen: mean 0, variance 1."""
        if self.track_running_stats:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self):
        """Weight 1, bias 0, and no statistics."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
        if (local_metadata.get("version") or 1) < 2 and self.track_running_stats:
            state_dict.setdefault(f"{prefix}num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def check_input(self, input):
        """Refuse inputs of another number of dimensions or channels."""
        if input.array.ndim not in self.dimensions:
            shapes = " or ".join(f"{n}-d" for n in self.dimensions)
            raise ValueError(f"{type(self).__name__}: expected an input of {shapes}, got shape {list(input.shape)}")

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm(ChannelNorm):
    """What the batch normalisations share: the batch's statistics in training, the running ones in evaluation."""

    def __init__(
        self, num_features, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True, device=None, dtype=None, *, bias=True
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input):
        self.check_input(input)
        factor = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the mean of all batches so far
                factor = 1.0 / self.num_batches_tracked.item()
        batch = self.training or self.running_mean is None
        tracked = not self.training or self.track_running_stats
        mean, var = (self.running_mean, self.running_var) if tracked else (None, None)
        return F.batch_norm(input, mean, var, self.weight, self.bias, batch, factor, self.eps)


class BatchNorm1d(BatchNorm):
    """(x − mean) / √(var + eps) · weight + bias for each channel of (N, C) or (N, C, L)

    In training mean and variance are the batch's, and running_mean and running_var move towards them by `momentum` (None: their
    mean over all batches), the variance with n − 1; in evaluation they are used instead (Ioffe and Szegedy 2015).

    >>> import tinygrad_edu as tg
    >>> tg.nn.BatchNorm1d(1)(tg.tensor([[1.0], [3.0]]))
    tensor([[-1.0000],
            [ 1.0000]], grad_fn=<NormalizeBackward0>)
    """

    dimensions = (2, 3)


class BatchNorm2d(BatchNorm):
    """(x − mean) / √(var + eps) · weight + bias for each channel of (N, C, H, W); see BatchNorm1d

    >>> import tinygrad_edu as tg
    >>> tg.nn.BatchNorm2d(3)(tg.ones(2, 3, 4, 4)).shape
    Size([2, 3, 4, 4])
    """

    dimensions = (4,)


class BatchNorm3d(BatchNorm):
    """(x − mean) / √(var + eps) · weight + bias for each channel of (N, C, D, H, W); see BatchNorm1d

    >>> import tinygrad_edu as tg
    >>> tg.nn.BatchNorm3d(3)(tg.ones(2, 3, 2, 2, 2)).shape
    Size([2, 3, 2, 2, 2])
    """

    dimensions = (5,)


class InstanceNorm(ChannelNorm):
    """What the instance normalisations share: statistics of each channel of each sample."""

    def __init__(
        self,
        num_features,
        eps=1e-05,
        momentum=0.1,
        affine=False,
        track_running_stats=False,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input):
        self.check_input(input)
        single = input.array.ndim == min(self.dimensions)
        own = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        out = F.instance_norm(
            input.unsqueeze(0) if single else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            own,
            momentum,
            self.eps,
        )
        return out.squeeze(0) if single else out


class InstanceNorm1d(InstanceNorm):
    """(x − mean) / √(var + eps) · weight + bias for each channel of each sample, (N, C, L) or (C, L) (Ulyanov et al. 2016)

    >>> import tinygrad_edu as tg
    >>> tg.nn.InstanceNorm1d(1)(tg.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """

    dimensions = (2, 3)


class InstanceNorm2d(InstanceNorm):
    """(x − mean) / √(var + eps) · weight + bias for each channel of each sample, (N, C, H, W) or (C, H, W)

    >>> import tinygrad_edu as tg
    >>> tg.nn.InstanceNorm2d(3)(tg.ones(2, 3, 4, 4)).shape
    Size([2, 3, 4, 4])
    """

    dimensions = (3, 4)


class InstanceNorm3d(InstanceNorm):
    """(x − mean) / √(var + eps) · weight + bias for each channel of each sample, (N, C, D, H, W) or (C, D, H, W)

    >>> import tinygrad_edu as tg
    >>> tg.nn.InstanceNorm3d(3)(tg.ones(2, 3, 2, 2, 2)).shape
    Size([2, 3, 2, 2, 2])
    """

    dimensions = (4, 5)


class LayerNorm(Module):
    """(x − mean) / √(var + eps) · weight + bias, mean and variance over the last dimensions (Ba et al. 2016)

    Shapes: (…, *normalized_shape) → the same; weight and bias have normalized_shape.

    >>> import tinygrad_edu as tg
    >>> tg.nn.LayerNorm(2)(tg.tensor([1.0, 3.0]))
    tensor([-1.0000,  1.0000], grad_fn=<NormalizeBackward0>)
    """

    def __init__(self, normalized_shape, eps=1e-05, elementwise_affine=True, bias=True, device=None, dtype=None):
        super().__init__()
        check_device(device)
        dtype = dtypes.default if dtype is None else dtype_of(dtype)
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.register_parameter("weight", parameter(self.normalized_shape, dtype) if elementwise_affine else None)
        self.register_parameter("bias", parameter(self.normalized_shape, dtype) if elementwise_affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input):
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """x / √(mean(x²) + eps) · weight, the mean over the last dimensions (Zhang and Sennrich 2019)

    Shapes: (…, *normalized_shape) → the same; eps is the machine's epsilon unless given.

    >>> import tinygrad_edu as tg
    >>> tg.nn.RMSNorm(2)(tg.tensor([3.0, 4.0]))
    tensor([0.8485, 1.1314], grad_fn=<RmsNormalizeBackward0>)
    """

    def __init__(self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None):
        super().__init__()
        check_device(device)
        dtype = dtypes.default if dtype is None else dtype_of(dtype)
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.register_parameter("weight", parameter(self.normalized_shape, dtype) if elementwise_affine else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Weight 1."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input):
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """(x − mean) / √(var + eps) · weight + bias, mean and variance over groups of channels of each sample (Wu and He 2018)

    Shapes: (N, C, *) → the same; weight and bias (C).

    >>> import tinygrad_edu as tg
    >>> tg.nn.GroupNorm(2, 4)(tg.ones(1, 4, 3)).shape
    Size([1, 4, 3])
    """

    def __init__(self, num_groups, num_channels, eps=1e-05, affine=True, device=None, dtype=None, *, bias=True):
        super().__init__()
        check_device(device)
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups={num_groups} must divide num_channels={num_channels}")
        dtype = dtypes.default if dtype is None else dtype_of(dtype)
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.register_parameter("weight", parameter(num_channels, dtype) if affine else None)
        self.register_parameter("bias", parameter(num_channels, dtype) if affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self):
        """Weight 1, bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input):
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class LocalResponseNorm(Module):
    """x / (k + alpha · mean of x² over `size` neighbouring channels)^beta (Krizhevsky et al. 2012)

    >>> import tinygrad_edu as tg
    >>> tg.nn.LocalResponseNorm(3)(tg.ones(1, 4, 2)).shape
    Size([1, 4, 2])
    """

    def __init__(self, size, alpha=0.0001, beta=0.75, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input):
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
]
