"""Parametrizations that stabilise training: weight norm and spectral norm."""

import numpy as np

from ...api.factors import geqrf, householder_product
from ...api.linalg import matrix_exp, solve
from ...autograd.tensor import Tensor
from ...ops.shapes import concatenate
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
            return weight / (size if size.item() >= self.eps else Tensor(np.asarray(self.eps, weight.dtype), None))
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


class _Orthogonal(Module):
    """A matrix with orthonormal columns (or rows, if it is wide), computed from one without that restriction"""

    def __init__(self, weight, orthogonal_map, use_trivialization=True):
        super().__init__()
        self.shape, self.orthogonal_map = weight.shape, orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x):
        wide = x.shape[-2] < x.shape[-1]
        x = x.mT if wide else x
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            a = x.tril(diagonal=-1)
            q = householder_product(a, 2.0 / (1.0 + (a * a).sum(dim=-2)))
            q = q * x.diagonal(dim1=-2, dim2=-1).int().unsqueeze(-2)
        else:
            x = x.tril()
            if n != k:
                x = concatenate(x, Tensor(np.zeros((*x.shape[:-1], n - k), x.dtype), None), axis=-1)
            a = x - x.mT
            if self.orthogonal_map == "matrix_exp":
                q = matrix_exp(a)
            else:
                one = Tensor(np.eye(n, dtype=x.dtype), None)
                q = solve(one - 0.5 * a, one + 0.5 * a)
            q = q[..., :k]
        if self._buffers.get("base") is not None:
            q = self.base @ q
        return q.mT if wide else q

    def right_inverse(self, q):
        if tuple(q.shape) != tuple(self.shape):
            raise ValueError(f"orthogonal: expected a matrix or batch of matrices of shape {list(self.shape)}, got {list(q.shape)}")
        given, wide = q, q.shape[-2] < q.shape[-1]
        q = q.mT if wide else q
        n, k = q.shape[-2:]
        if "base" not in self._buffers:
            if self.orthogonal_map != "householder":
                raise NotImplementedError("orthogonal: without a trivialization only the map 'householder' can be assigned to")
            a, _ = geqrf(q)
            signs = a.array.diagonal(axis1=-2, axis2=-1)
            a.array[..., np.arange(k), np.arange(k)] = np.where(signs < 0, -1, 1)
            return a.mT if wide else a
        if n == k:
            error = np.abs(q.array.swapaxes(-1, -2) @ q.array - np.eye(k)).max(initial=0)
            q = q.clone() if error <= 10 * n * np.finfo(q.dtype).eps else made_orthogonal(q)
        else:
            more = Tensor(np.empty((*q.shape[:-1], n - k), q.dtype), None).normal_(0, 1)
            q = made_orthogonal(concatenate(q, more, axis=-1))
        self.base = q
        return Tensor(np.broadcast_to(-np.eye(*given.shape[-2:], dtype=q.dtype), given.shape).copy(), None)


def made_orthogonal(a):
    """The orthogonal factor of a square matrix, with the signs of the triangular one's diagonal."""
    x, tau = geqrf(a)
    signs = np.sign(x.array.diagonal(axis1=-2, axis2=-1))
    return Tensor(householder_product(x, tau).array * signs[..., None, :], None)


def orthogonal(module, name="weight", orthogonal_map=None, *, use_trivialization=True):
    """Keep a weight orthogonal, by "matrix_exp", "cayley" or "householder" reflections (Lezcano-Casado 2019)

    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.utils.parametrizations.orthogonal(tg.nn.Linear(3, 3))
    >>> tg.allclose(layer.weight @ layer.weight.T, tg.eye(3), atol=1e-6)
    True
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}')
    return register_parametrization(module, name, _Orthogonal(weight, orthogonal_map, use_trivialization), unsafe=True)


__all__ = ["orthogonal", "spectral_norm", "weight_norm"]
