"""One operator on every tensor of a list, in PyTorch's names for that (`_foreach_add_`): what optimizers of other libraries are written with."""

from functools import cache

from .api import functions
from .api.linalg import vector_norm
from .api.spelling import methods
from .autograd.tensor import Tensor

LISTS = (list, tuple)


def norm(x, ord=2, dtype=None):
    """The length of x as one vector"""
    return vector_norm(x, ord, dtype=dtype)


OTHERWISE = dict(norm=norm)


def overwriting(name):
    """The method of this name; or, where there is none, one that stores what the function returns."""
    if name + "_" in methods:
        return methods[name + "_"]
    return lambda x, *args, **kwargs: x.copy_(single(name)(x, *args, **kwargs))


def single(name):
    """The function that a list function calls for each of its tensors."""
    return OTHERWISE.get(name) or functions.get(name) or methods.get(name)


@cache
def foreach(name):
    """The function `_foreach_<name>`: it calls `name` for the first tensors of all lists among its arguments, then for the second ones, …

    >>> import tinygrad_edu as tg
    >>> tg._foreach_mul([tg.ones(1), tg.ones(2)], [2.0, 3.0])
    (tensor([2.]), tensor([3., 3.]))
    """
    plain, in_place = name.removesuffix("_"), name.endswith("_")
    if single(plain) is None and not (in_place and name in methods):
        raise AttributeError(f"module 'tinygrad_edu' has no attribute '_foreach_{name}'")
    one = overwriting(plain) if in_place else single(plain)

    def function(*args, **kwargs):
        if plain in ("addcmul", "addcdiv") and len(args) == 4:
            *args, kwargs["value"] = args
        if "scalars" in kwargs:
            kwargs["value"] = kwargs.pop("scalars")
        given = [*args, *kwargs.values()]
        count = next((len(value) for value in given if isinstance(value, LISTS)), None)
        if count is None or not any(isinstance(value, Tensor) for values in given if isinstance(values, LISTS) for value in values):
            raise RuntimeError(f"_foreach_{name}: needs a list of at least one tensor")
        if any(len(value) != count for value in given if isinstance(value, LISTS)):
            raise RuntimeError(f"_foreach_{name}: lists of {[len(v) for v in given if isinstance(v, LISTS)]} tensors do not go together")

        def part(value, i):
            return value[i] if isinstance(value, LISTS) else value

        results = tuple(one(*(part(a, i) for a in args), **{k: part(v, i) for k, v in kwargs.items()}) for i in range(count))
        return list(results) if in_place else results

    function.__name__ = function.__qualname__ = f"_foreach_{name}"
    function.__doc__ = f"`{name}` for every tensor of a list; other arguments are lists of the same length, or one for all."
    return function
