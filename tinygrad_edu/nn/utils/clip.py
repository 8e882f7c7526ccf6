"""Keep gradients from exploding: scale them to a norm, or cut them at a value."""

import math
import warnings

import numpy as np

from ...autograd import dtypes, modes
from ...autograd.modes import no_grad
from ...autograd.tensor import Tensor


def with_gradients(parameters):
    """The parameters that have a gradient; a tensor alone counts as a list of one."""
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p for p in parameters if p.grad is not None]


def norm_of(array, order):
    """(Σ |x|^order)^(1/order) over all elements."""
    array = np.abs(array) if array.dtype.kind == "c" else array
    if order == 2:
        flat = array.reshape(-1, order="A")
        return np.sqrt(flat.dot(flat))
    if array.size == 0 and order == math.inf:
        return array.dtype.type(0)
    return np.linalg.norm(array.reshape(-1), order).astype(array.dtype)


@no_grad()
def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """The norm of all tensors together, as if they were one vector

    >>> import tinygrad_edu as tg
    >>> tg.nn.utils.get_total_norm([tg.tensor([3.0]), tg.tensor([4.0])])
    tensor(5.)
    """
    tensors, order = [tensors] if isinstance(tensors, Tensor) else list(tensors), float(norm_type)
    if not tensors:
        return Tensor(np.zeros((), dtypes.default), None)
    norms = [norm_of(t.array, order) for t in tensors]
    total = norm_of(np.asarray(norms, np.result_type(*norms)), order)
    if error_if_nonfinite and not np.isfinite(total):
        raise RuntimeError(f"the total norm of order {norm_type} of the gradients is {total}, so they cannot be clipped; "
                           "error_if_nonfinite=False would go on nevertheless")  # fmt: skip
    return Tensor(total, None)


@no_grad()
def clip_grads_with_norm_(parameters, max_norm, total_norm, foreach=None):
    """Scale all gradients, in place, by max_norm / total_norm where that is smaller than 1"""
    total = total_norm.array if isinstance(total_norm, Tensor) else total_norm
    factor = np.minimum(float(max_norm) / (total + 1e-6), 1.0)
    if modes.tapes:  # a compiled step is recorded: its replays cannot choose, and a product with 1 changes nothing
        factor = Tensor(factor, None)
    elif factor != 1:
        factor = float(factor)
    else:
        return
    for p in with_gradients(parameters):
        p.grad.mul_(factor)


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """Scale all gradients, in place, so that their norm together is at most max_norm; returns the norm they had

    >>> import tinygrad_edu as tg
    >>> w = tg.tensor([3.0, 4.0], requires_grad=True)
    >>> w.grad = tg.tensor([3.0, 4.0])
    >>> tg.nn.utils.clip_grad_norm_([w], 1.0), w.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    parameters = with_gradients(parameters)
    total = get_total_norm([p.grad for p in parameters], norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_norm(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False, foreach=None):
    """clip_grad_norm_ under its former name"""
    warnings.warn("nn.utils.clip_grad_norm is the former name of nn.utils.clip_grad_norm_", FutureWarning, stacklevel=2)
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite)


@no_grad()
def clip_grad_value_(parameters, clip_value, foreach=None):
    """Cut all gradients, in place, at −clip_value and clip_value"""
    for p in with_gradients(parameters):
        p.grad.clamp_(-float(clip_value), float(clip_value))
