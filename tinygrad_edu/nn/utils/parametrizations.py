"""Parametrizations that stabilise training: weight norm and spectral norm."""

import numpy as np

from ...autograd.tensor import Tensor
from ..module import Module
from .norms import as_matrix, first_vectors, length, power_iteration
from .parametrize import register_parametrization


class _WeightNorm(Module):
    """g · v / ‖v‖, the norm over all dimensions but one"""

    def __init__(self, dim=0):
        super().__init__()
        self.dim = dim

    def forward(self, weight_g, weight_v):
        return weight_v * (weight_g / length(weight_v, self.dim))

    def right_inverse(self, weight):
        return length(weight, self.dim), weight


class _SpectralNorm(Module):
    """weight / σ, the largest singular value by power iteration, one step for each reading in training"""

    def __init__(self, weight, n_power_iterations=1, dim=0, eps=1e-12):
        super().__init__()
        if n_power_iterations <= 0:
            raise ValueError(f"spectral_norm: n_power_iterations must be positive, and it is {n_power_iterations}")
        self.dim, self.eps, self.n_power_iterations = dim % weight.ndim, eps, n_power_iterations
        if weight.ndim > 1:
            u, v = first_vectors(weight, self.dim, eps)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)
            power_iteration(as_matrix(weight.detach(), self.dim).array, u, v, 15, eps, left_first=True)

    def forward(self, weight):
        if weight.ndim == 1:
            size = length(weight, None)
            return weight / (size if size.item() >= self.eps else Tensor(np.asarray(self.eps, weight.dtype)))
        matrix = as_matrix(weight, self.dim)
        if self.training:
            power_iteration(matrix.array, self._u, self._v, self.n_power_iterations, self.eps, left_first=True)
        u, v = self._u.clone(), self._v.clone()
        return weight / u.dot(matrix.mv(v))

    def right_inverse(self, value):
        return value


def weight_norm(module, name="weight", dim=0):
    """Train a weight as length (original0) and direction (original1), one length for each index of `dim`"""
    return register_parametrization(module, name, _WeightNorm(dim))


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Divide a weight by its largest singular value (Miyato et al. 2018)"""
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"{type(module).__name__} has no parameter {name!r} to be divided by its norm")
    dim = (1 if "ConvTranspose" in type(module).__name__ else 0) if dim is None else dim
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


__all__ = ["spectral_norm", "weight_norm"]
