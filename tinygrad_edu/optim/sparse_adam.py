"""SparseAdam: Adam that moves only those rows of a table that were looked up."""

from math import sqrt

import numpy as np

from ..autograd.tensor import Tensor
from .optimizer import Optimizer, check_betas, check_options, number


class SparseAdam(Optimizer):
    """Adam for tables of embeddings made with sparse=True: rows that no example asked for stay, with their averages, as they are.

    Gradients are dense here; the table remembers which rows `backward()` went through. A gradient of any other kind is an error.

    >>> import tinygrad_edu as tg
    >>> table = tg.nn.Embedding(3, 2, sparse=True)
    >>> before, optimizer = table.weight.detach().clone(), tg.optim.SparseAdam(table.parameters(), lr=0.1)
    >>> table(tg.tensor([1])).sum().backward(); optimizer.step()
    >>> (before - table.weight.detach()).round(decimals=4)
    tensor([[0.0000, 0.0000],
            [0.1000, 0.1000],
            [0.0000, 0.0000]])
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        check_options("SparseAdam", lr=lr, eps=eps)
        check_betas("SparseAdam", betas)
        if not (number(lr) > 0 and eps > 0):
            raise ValueError(f"SparseAdam: lr and eps must be positive, got {lr} and {eps}")
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, maximize=maximize))

    def update_group(self, params, arrays, grads, group):
        for p, array, g in zip(params, arrays, grads):
            places = p.__dict__.get("looked_up")
            rows = np.unique(np.concatenate(places[1])) if places else None
            if rows is None or np.count_nonzero(g) > np.count_nonzero(g[rows]):
                raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead; it is for embeddings with "
                                   "sparse=True")  # fmt: skip
            self.update_rows(array, g, rows, self.state[p], group)

    def update_rows(self, p, g, rows, state, group):
        """One step of Adam on some rows."""
        if not state:
            state.update(step=0, exp_avg=Tensor(np.zeros_like(p), None), exp_avg_sq=Tensor(np.zeros_like(p), None))
        state["step"] += 1
        if not len(rows):
            return
        n, (beta, beta2) = state["step"], map(number, group["betas"])
        m, v = state["exp_avg"].array, state["exp_avg_sq"].array
        change = -g[rows] if group["maximize"] else g[rows]
        m[rows] += (change - m[rows]) * (1 - beta)
        v[rows] += (change * change - v[rows]) * (1 - beta2)
        size = number(group["lr"]) * sqrt(1 - beta2**n) / (1 - beta**n)
        p[rows] -= size * (m[rows] / (np.sqrt(v[rows]) + group["eps"]))
