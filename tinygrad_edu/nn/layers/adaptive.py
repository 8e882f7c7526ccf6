"""A softmax over many classes, computed in clusters of frequent and rare ones; and wrappers that add nothing on one device."""

from typing import NamedTuple

import numpy as np

from ...autograd.tensor import Tensor
from ...ops.indexing import scatter
from ...ops.shapes import concatenate
from .. import functional as F
from ..containers import ModuleList, Sequential
from ..module import Module
from .linear import Linear
from .normalization import BatchNorm


class Scored(NamedTuple):
    """The log-probability of each target, and their negative mean."""

    output: Tensor
    loss: Tensor


Scored.__name__ = "_ASMoutput"  # what PyTorch prints


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-probabilities of n_classes, sorted by frequency, in clusters that end at `cutoffs` (Grave et al. 2017)

    Shapes: input (n, in_features) or (in_features), target (n) or (): the result has `output` (n) or (), and `loss` ().
    """

    def __init__(self, in_features, n_classes, cutoffs, div_value=4.0, head_bias=False, device=None, dtype=None):
        super().__init__()
        cutoffs = list(cutoffs)
        if not cutoffs or cutoffs != sorted(set(cutoffs)) or cutoffs[0] <= 0 or cutoffs[-1] > n_classes - 1:
            raise ValueError(f"AdaptiveLogSoftmaxWithLoss: cutoffs must rise, from 1 to n_classes − 1 = {n_classes - 1}, got {cutoffs}")
        self.in_features, self.n_classes, self.cutoffs = in_features, n_classes, [*cutoffs, n_classes]
        self.div_value, self.head_bias = div_value, head_bias
        self.shortlist_size, self.n_clusters = cutoffs[0], len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        self.head = Linear(in_features, self.head_size, bias=head_bias, device=device, dtype=dtype)
        self.tail = ModuleList()
        for i in range(self.n_clusters):
            inner = int(in_features // (div_value ** (i + 1)))
            outer = self.cutoffs[i + 1] - self.cutoffs[i]
            self.tail.append(Sequential(Linear(in_features, inner, bias=False, dtype=dtype), Linear(inner, outer, bias=False, dtype=dtype)))

    def reset_parameters(self):
        """Draw new initial values."""
        self.head.reset_parameters()
        for first, second in self.tail:
            first.reset_parameters()
            second.reset_parameters()

    def forward(self, input, target):
        single = target.ndim == 0
        rows, classes = (input.unsqueeze(0), target.unsqueeze(0)) if single else (input, target)
        if len(rows) != len(classes) or (classes.array < 0).any() or (classes.array >= self.n_classes).any():
            raise RuntimeError(f"AdaptiveLogSoftmaxWithLoss: {len(rows)} inputs need as many targets from 0 to {self.n_classes - 1}")
        places = np.minimum(classes.array, self.shortlist_size)
        rare = None
        for i, tail in enumerate(self.tail):
            chosen = np.flatnonzero((classes.array >= self.cutoffs[i]) & (classes.array < self.cutoffs[i + 1]))
            if not chosen.size:
                continue
            places[chosen] = self.shortlist_size + i
            logs = F.log_softmax(tail(rows[chosen]), dim=1)[np.arange(chosen.size), classes.array[chosen] - self.cutoffs[i]]
            part = scatter(logs, index=(chosen,), shape=(len(rows),))
            rare = part if rare is None else rare + part
        output = F.log_softmax(self.head(rows), dim=1)[np.arange(len(rows)), places]
        output = output if rare is None else output + rare
        return Scored(output.squeeze(0) if single else output, (-output).mean())

    def log_prob(self, input):
        """The log-probabilities (n, n_classes) of all classes."""
        head = F.log_softmax(self.head(input), dim=1)
        parts = [head[:, : self.shortlist_size]]
        for i, tail in enumerate(self.tail):
            parts.append(F.log_softmax(tail(input), dim=1) + head[:, self.shortlist_size + i].unsqueeze(1))
        return concatenate(*parts, axis=1)

    def predict(self, input):
        """The most likely class of each input."""
        return self.log_prob(input).argmax(dim=1)


class SyncBatchNorm(BatchNorm):
    """Batch normalisation over all processes: there is one, so it is that of the batch, for inputs of any dimensions"""

    dimensions = range(2, 10)

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, process_group=None, device=None, dtype=None):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device=device, dtype=dtype)

    @classmethod
    def convert_sync_batchnorm(cls, module, process_group=None):
        """The module with every batch normalisation replaced by this one, parameters and statistics kept."""
        if isinstance(module, BatchNorm):
            new = cls(module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats)
            new.__dict__.update(module.__dict__)
            return new
        for name, child in module.named_children():
            setattr(module, name, cls.convert_sync_batchnorm(child))
        return module


class DataParallel(Module):
    """A module spread over devices: there is one, so it is called as it is; its parameters are under `module`"""

    def __init__(self, module, device_ids=None, output_device=None, dim=0):
        super().__init__()
        self.module = module

    def forward(self, *inputs, **kwargs):
        return self.module(*inputs, **kwargs)


__all__ = ["AdaptiveLogSoftmaxWithLoss", "DataParallel", "SyncBatchNorm"]
