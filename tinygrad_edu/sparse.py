"""Sparse matrices as programs write them for graph networks: kept as ordinary, dense tensors, with the same numbers and gradients."""

import numpy as np

from .api import functions as public
from .nn.functional import log_softmax, softmax
from .ops.indexing import scatter
from .ops.products import matmul as mm


def sparse_coo_tensor(indices, values=None, size=None, *, dtype=None, device=None, requires_grad=False, check_invariants=None, is_coalesced=None):
    """The dense tensor with `values` added up at `indices` (d, n), and zeros elsewhere

    >>> import tinygrad_edu as tg
    >>> tg.sparse_coo_tensor([[0, 1, 1], [1, 0, 0]], [1.0, 2.0, 3.0], (2, 2))
    tensor([[0., 1.],
            [5., 0.]])
    """
    indices = np.asarray(public["as_tensor"](indices).array)
    values = public["as_tensor"](values, dtype=dtype)
    if indices.ndim != 2 or values.ndim < 1 or len(values) != indices.shape[1]:
        raise RuntimeError(f"sparse_coo_tensor: indices must be (d, n) and values (n, …); got {list(indices.shape)}, {list(values.shape)}")
    if size is None:
        size = (*(int(n) + 1 for n in indices.max(axis=1)), *values.shape[1:])
    out = scatter(values, index=tuple(indices.astype(np.int64)), shape=tuple(int(n) for n in size))
    return out.detach().requires_grad_() if requires_grad else out


def addmm(mat, mat1, mat2, *, beta=1.0, alpha=1.0):
    """beta · mat + alpha · mat1 · mat2"""
    return public["addmm"](mat, mat1, mat2, beta=beta, alpha=alpha)


def sum(input, dim=None, dtype=None):
    """The sum, over all elements or along dimensions"""
    return public["sum"](input, dtype=dtype) if dim is None else public["sum"](input, dim, dtype=dtype)


def FloatTensor(indices, values, size=None):  # noqa: N802 (PyTorch's name)
    """sparse_coo_tensor under its former name"""
    return sparse_coo_tensor(indices, values, size)


LongTensor = DoubleTensor = FloatTensor

__all__ = ["DoubleTensor", "FloatTensor", "LongTensor", "addmm", "log_softmax", "mm", "softmax", "sparse_coo_tensor", "sum"]
