"""Weights as direction times length, or divided by their largest singular value, computed anew before each forward."""

import numpy as np

from ...autograd import modes
from ...autograd.tensor import Tensor
from ...ops.reductions import vector_norm
from ..parameter import Parameter


def length(v, dim):
    """The norm over all dimensions but one; over all of them for dim=None, and for −1 as in PyTorch."""
    if dim is None or dim == -1:
        return vector_norm(v, axis=None, order=2)
    return vector_norm(v, axis=tuple(a for a in range(v.ndim) if a != dim % v.ndim), order=2, keepdims=True)


def as_matrix(weight, dim):
    """The weight with one dimension first and all others taken together."""
    weight = weight if dim == 0 else weight.movedim(dim, 0)
    return weight.reshape((weight.shape[0], -1))


def power_iteration(matrix, first, second, steps, eps, left_first):
    """Improve, in place, the estimates u and v of the first singular vectors; which one goes first is the caller's choice."""
    u, v = (first, second) if left_first else (second, first)
    order = ((u, lambda: matrix.dot(v.array)), (v, lambda: matrix.T.dot(u.array)))
    with modes.no_grad():
        for _ in range(steps):
            for target, product in order if left_first else order[::-1]:
                value = product()
                target.copy_(Tensor(value / max(np.linalg.norm(value), eps), None))


class Recomputed:
    """A forward pre-hook that puts a computed tensor in the place of a parameter."""

    def __init__(self, name, dim, steps=0, eps=0.0):
        self.name, self.dim, self.steps, self.eps = name, dim, steps, eps

    def __call__(self, module, inputs):
        module.__dict__[self.name] = self.compute(module)


class WeightNorm(Recomputed):
    """g · v / ‖v‖"""

    def compute(self, module):
        """The weight, from the parameters that stand for it."""
        g, v = getattr(module, self.name + "_g"), getattr(module, self.name + "_v")
        return v * (g / length(v, self.dim))


class SpectralNorm(Recomputed):
    """weight / σ, the largest singular value by power iteration, one step for each forward in training"""

    def compute(self, module):
        """The weight, from the parameters that stand for it."""
        weight = getattr(module, self.name + "_orig")
        u, v = getattr(module, self.name + "_u"), getattr(module, self.name + "_v")
        matrix = as_matrix(weight, self.dim)
        if module.training:
            power_iteration(matrix.array, v, u, self.steps, self.eps, left_first=False)
            u, v = u.clone(), v.clone()
        return weight / u.dot(matrix.mv(v))


def weight_norm(module, name="weight", dim=0):
    """Train a weight as direction `name_v` and length `name_g`, one for each index of `dim` (Salimans and Kingma 2016)"""
    v = replaced(module, name)
    module.register_parameter(name + "_g", Parameter(length(v, dim).detach()))
    module.register_parameter(name + "_v", Parameter(v.detach()))
    return started(module, WeightNorm(name, dim))


def spectral_norm(module, name="weight", n_power_iterations=1, eps=1e-12, dim=None):
    """Divide a weight by its largest singular value (Miyato et al. 2018); the parameter is `name_orig`"""
    if n_power_iterations <= 0:
        raise ValueError(f"spectral_norm: n_power_iterations must be positive, and it is {n_power_iterations}")
    weight = replaced(module, name)
    dim = (1 if "ConvTranspose" in type(module).__name__ else 0) if dim is None else dim
    u, v = first_vectors(weight, dim, eps)
    module.register_parameter(name + "_orig", weight)
    module.register_buffer(name + "_u", u)
    module.register_buffer(name + "_v", v)
    hook = SpectralNorm(name, dim, n_power_iterations, eps)
    module.__dict__[name] = weight.detach()
    module.register_forward_pre_hook(hook)
    return module


def first_vectors(weight, dim, eps):
    """Random unit vectors for the power iteration."""
    rows, columns = as_matrix(weight.detach(), dim).shape
    u, v = (Tensor(np.empty(n, weight.dtype), None).normal_(0, 1) for n in (rows, columns))
    return tuple(Tensor(t.array / max(np.linalg.norm(t.array), eps), None) for t in (u, v))


def replaced(module, name):
    """Take a parameter out of a module and return it."""
    if name not in module._parameters:
        raise ValueError(f"{type(module).__name__} has no parameter {name!r} to be computed from others")
    weight = getattr(module, name)
    delattr(module, name)
    return weight


def started(module, hook):
    """Compute the weight once, and before each forward from now on."""
    hook(module, None)
    module.register_forward_pre_hook(hook)
    return module


def removed(module, name, kind, parts):
    """Make the computed weight a parameter again."""
    hooks = module._forward_pre_hooks
    for key, hook in list(hooks.items()):
        if isinstance(hook, kind) and hook.name == name:
            with modes.no_grad():
                weight = hook.compute(module)
            del hooks[key]
            module.__dict__.pop(name, None)
            for part in parts:
                delattr(module, name + part)
            module.register_parameter(name, Parameter(weight.detach()))
            return module
    raise ValueError(f"{type(module).__name__}.{name} is not computed by {kind.__name__}")


def remove_weight_norm(module, name="weight"):
    """Make the weight one parameter again"""
    return removed(module, name, WeightNorm, ("_g", "_v"))


def remove_spectral_norm(module, name="weight"):
    """Make the weight one parameter again, as it is divided now"""
    training, module.training = module.training, False
    removed(module, name, SpectralNorm, ("_orig", "_u", "_v"))
    module.training = training
    return module
