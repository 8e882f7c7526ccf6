"""Pruning: a parameter multiplied by a mask of zeros and ones, chosen by size or by chance."""

from abc import ABC, abstractmethod

import numpy as np

import tinygrad_edu as tg

from ...autograd.modes import no_grad
from ...autograd.tensor import Tensor


class BasePruningMethod(ABC):
    """A forward pre-hook that computes name = name_orig · name_mask; a subclass says in `compute_mask` what becomes 0.

    PRUNING_TYPE is "unstructured" (single elements), "structured" (whole slices) or "global".
    """

    PRUNING_TYPE = "unstructured"
    _tensor_name: str

    @abstractmethod
    def compute_mask(self, t, default_mask):
        """The mask for a tensor of importance scores, on top of the mask that is there."""

    def __call__(self, module, inputs):
        module.__dict__[self._tensor_name] = self.apply_mask(module)

    def apply_mask(self, module):
        """The masked parameter."""
        return getattr(module, self._tensor_name + "_mask").to(getattr(module, self._tensor_name + "_orig").dtype) * getattr(
            module, self._tensor_name + "_orig"
        )

    @classmethod
    def apply(cls, module, name, *args, importance_scores=None, **kwargs):
        """Prune a parameter of a module, once more if it is pruned already; returns the method."""
        earlier = hook_for(module, name)
        method = cls(*args, **kwargs)
        method._tensor_name = name
        whole = getattr(module, name) if earlier is None else getattr(module, name + "_orig")
        if importance_scores is None:
            importance_scores = getattr(module, name).detach()
        elif importance_scores.shape != whole.shape:
            raise AssertionError(f"prune: importance_scores have shape {list(importance_scores.shape)}, and {name} {list(whole.shape)}")
        if earlier is None:
            default = tg.ones_like(importance_scores, dtype=whole.dtype)
        else:
            default = getattr(module, name + "_mask").detach().clone()
            previous, method = method, earlier if isinstance(earlier, PruningContainer) else PruningContainer(earlier)
            method.add_pruning_method(previous)
            discard(module, earlier)
        mask = method.compute_mask(importance_scores, default)
        if earlier is None:
            parameter = module._parameters[name]
            del module._parameters[name]
            module.register_parameter(name + "_orig", parameter)
            module.register_buffer(name + "_mask", mask)
        else:
            setattr(module, name + "_mask", mask)
        module.__dict__[name] = method.apply_mask(module)
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t, default_mask=None, importance_scores=None):
        """The masked form of a tensor that belongs to no module."""
        scores = t if importance_scores is None else importance_scores
        mask = self.compute_mask(scores, default_mask=tg.ones_like(t) if default_mask is None else default_mask)
        return t * mask.to(t.dtype)

    def remove(self, module):
        """Make the masked parameter an ordinary one, for good."""
        name = self._tensor_name
        weight = self.apply_mask(module)
        parameter = getattr(module, name + "_orig")
        parameter.data = weight.data
        del module._parameters[name + "_orig"]
        del module._buffers[name + "_mask"]
        module.__dict__.pop(name, None)
        setattr(module, name, parameter)


class PruningContainer(BasePruningMethod):
    """Several prunings of one parameter, each of what the ones before have left."""

    def __init__(self, *methods):
        self.methods = ()
        self._tensor_name = methods[0]._tensor_name if methods else ""
        for method in methods:
            self.add_pruning_method(method)

    def add_pruning_method(self, method):
        """Add a pruning of the same parameter."""
        if method is not None and not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self.methods and method._tensor_name != self._tensor_name:
            raise ValueError(f"a container for {self._tensor_name!r} cannot take a pruning of {method._tensor_name!r}")
        self.methods = (*self.methods, method)

    def __len__(self):
        return len(self.methods)

    def __iter__(self):
        return iter(self.methods)

    def __getitem__(self, index):
        return self.methods[index]

    def compute_mask(self, t, default_mask):
        """What the last pruning leaves of the elements, or slices, that are still there."""
        method, mask = self.methods[-1], default_mask.to(t.dtype)
        left = mask.array == 1
        if method.PRUNING_TYPE == "structured":
            dim = method.dim % t.ndim
            others = tuple(axis for axis in range(t.ndim) if axis != dim)
            index: tuple = (slice(None),) * dim + (np.flatnonzero(mask.array.sum(axis=others) != 0),)
        elif method.PRUNING_TYPE == "global":
            index = (slice(None),) * t.ndim
        elif method.PRUNING_TYPE == "unstructured":
            index = (left,)
        else:
            raise ValueError(f"unrecognized PRUNING_TYPE {method.PRUNING_TYPE!r}")
        partial = method.compute_mask(Tensor(t.array[index], None), Tensor(mask.array[index], None))
        combined = mask.array.copy()
        combined[index] = partial.array
        return Tensor(combined, None)


class Identity(BasePruningMethod):
    """A mask of ones: nothing is pruned yet"""

    def compute_mask(self, t, default_mask):
        return default_mask

    @classmethod
    def apply(cls, module, name):
        return super().apply(module, name)


def count_of(amount, size):
    """How many of `size` elements an amount means: a number of them, or a share between 0 and 1."""
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise TypeError(f"Invalid type of amount: {amount}. Must be of type int or float.")
    if amount < 0 or isinstance(amount, float) and amount > 1:
        raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer.")
    if isinstance(amount, int) and amount > size:
        raise ValueError(f"amount={amount} should be smaller than the number of parameters to prune={size}")
    return amount if isinstance(amount, int) else round(amount * size)


class RandomUnstructured(BasePruningMethod):
    """Elements chosen by chance become 0"""

    def __init__(self, amount):
        count_of(amount, float("inf") if isinstance(amount, int) else 1)
        self.amount = amount

    def compute_mask(self, t, default_mask):
        n, mask = count_of(self.amount, t.numel()), default_mask.clone()
        if n:
            mask.view(-1)[tg.topk(tg.rand_like(t).view(-1), k=n).indices] = 0
        return mask

    @classmethod
    def apply(cls, module, name, amount):
        return super().apply(module, name, amount=amount)


class L1Unstructured(BasePruningMethod):
    """The smallest elements become 0"""

    def __init__(self, amount):
        count_of(amount, float("inf") if isinstance(amount, int) else 1)
        self.amount = amount

    def compute_mask(self, t, default_mask):
        n, mask = count_of(self.amount, t.numel()), default_mask.clone()
        if n:
            mask.view(-1)[tg.topk(tg.abs(t).view(-1), k=n, largest=False).indices] = 0
        return mask

    @classmethod
    def apply(cls, module, name, amount, importance_scores=None):
        return super().apply(module, name, amount=amount, importance_scores=importance_scores)


def kept_slices(t, kept, dim):
    """A mask of ones at some places of one dimension."""
    mask = np.zeros_like(t.array)
    mask[(slice(None),) * (dim % t.ndim) + (kept,)] = 1
    return Tensor(mask, None)


class RandomStructured(BasePruningMethod):
    """Slices of one dimension, chosen by chance, become 0"""

    PRUNING_TYPE = "structured"

    def __init__(self, amount, dim=-1):
        count_of(amount, float("inf") if isinstance(amount, int) else 1)
        self.amount, self.dim = amount, dim

    def compute_mask(self, t, default_mask):
        check_slices(t, self.dim)
        n = count_of(self.amount, t.shape[self.dim])
        if not n:
            return default_mask
        probability = tg.rand(t.shape[self.dim])
        kept = probability.array > np.sort(probability.array)[n - 1]
        return kept_slices(t, kept, self.dim) * default_mask.to(t.dtype)

    @classmethod
    def apply(cls, module, name, amount, dim=-1):
        return super().apply(module, name, amount=amount, dim=dim)


class LnStructured(BasePruningMethod):
    """The slices of one dimension with the smallest norms become 0"""

    PRUNING_TYPE = "structured"

    def __init__(self, amount, n, dim=-1):
        count_of(amount, float("inf") if isinstance(amount, int) else 1)
        self.amount, self.n, self.dim = amount, n, dim

    def compute_mask(self, t, default_mask):
        check_slices(t, self.dim)
        size = t.shape[self.dim]
        n = count_of(self.amount, size)
        if not n:
            return default_mask
        dims = tuple(d for d in range(t.ndim) if d != self.dim % t.ndim)
        kept = tg.topk(tg.norm(t, p=self.n, dim=dims), k=size - n).indices
        return kept_slices(t, kept.array, self.dim) * default_mask.to(t.dtype)

    @classmethod
    def apply(cls, module, name, amount, n, dim, importance_scores=None):
        return super().apply(module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores)


def check_slices(t, dim):
    """Slices need two dimensions at least, and one of that number."""
    if t.ndim <= 1:
        raise ValueError(f"Structured pruning can only be applied to multidimensional tensors, got shape {list(t.shape)}")
    if not -t.ndim <= dim < t.ndim:
        raise IndexError(f"Invalid index {dim} for tensor of size {list(t.shape)}")


class CustomFromMask(BasePruningMethod):
    """The zeros of a given mask become 0"""

    PRUNING_TYPE = "global"

    def __init__(self, mask):
        self.mask = mask

    def compute_mask(self, t, default_mask):
        return default_mask * self.mask.to(default_mask.dtype)

    @classmethod
    def apply(cls, module, name, mask):
        return super().apply(module, name, mask=mask)


def identity(module, name):
    """Give a parameter a mask of ones"""
    Identity.apply(module, name)
    return module


def random_unstructured(module, name, amount):
    """Set elements chosen by chance to 0: so many, or such a share"""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module, name, amount, importance_scores=None):
    """Set the smallest elements to 0: so many, or such a share

    >>> import tinygrad_edu as tg
    >>> layer = tg.nn.utils.prune.l1_unstructured(tg.nn.Linear(4, 3), "weight", amount=0.5)
    >>> int((layer.weight == 0).sum()), sorted(layer.state_dict())
    (6, ['bias', 'weight_mask', 'weight_orig'])
    """
    L1Unstructured.apply(module, name, amount, importance_scores)
    return module


def random_structured(module, name, amount, dim):
    """Set slices of one dimension, chosen by chance, to 0"""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module, name, amount, n, dim, importance_scores=None):
    """Set the slices of one dimension with the smallest norms of order n to 0"""
    LnStructured.apply(module, name, amount, n, dim, importance_scores)
    return module


def custom_from_mask(module, name, mask):
    """Set to 0 where a mask is 0"""
    CustomFromMask.apply(module, name, mask)
    return module


@no_grad()
def global_unstructured(parameters, pruning_method, importance_scores=None, **kwargs):
    """Prune several (module, name) pairs as if they were one tensor"""
    parameters = list(parameters)
    if importance_scores is not None and not isinstance(importance_scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    given = importance_scores or {}
    scores = [given.get((module, name), getattr(module, name)).detach() for module, name in parameters]
    masks = [getattr(module, name + "_mask", None) for module, name in parameters]
    masks = [tg.ones_like(getattr(module, name)) if mask is None else mask for mask, (module, name) in zip(masks, parameters)]
    container = PruningContainer()
    container._tensor_name = "temp"
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(f'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`, got {method.PRUNING_TYPE}')
    container.add_pruning_method(method)
    final = container.compute_mask(tg.cat([s.reshape(-1) for s in scores]), tg.cat([m.reshape(-1) for m in masks]))
    start = 0
    for (module, name), mask in zip(parameters, masks):
        custom_from_mask(module, name, final[start : start + mask.numel()].view(*mask.shape).clone())
        start += mask.numel()


def hook_for(module, name):
    """The pruning of a parameter, or None."""
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            return hook
    return None


def discard(module, method):
    """Take a method out of the module's hooks."""
    for key, hook in list(module._forward_pre_hooks.items()):
        if hook is method:
            del module._forward_pre_hooks[key]


def remove(module, name):
    """Make a pruned parameter an ordinary one, for good: its zeros stay, the mask goes"""
    method = hook_for(module, name)
    if method is None:
        raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")
    method.remove(module)
    discard(module, method)
    return module


def is_pruned(module):
    """True if a parameter of the module, or of one below it, is pruned"""
    return any(isinstance(hook, BasePruningMethod) for m in module.modules() for hook in m._forward_pre_hooks.values())


__all__ = ["BasePruningMethod", "CustomFromMask", "Identity", "L1Unstructured", "LnStructured", "PruningContainer", "RandomStructured",
           "RandomUnstructured", "custom_from_mask", "global_unstructured", "identity", "is_pruned", "l1_unstructured", "ln_structured",
           "random_structured", "random_unstructured", "remove"]  # fmt: skip
