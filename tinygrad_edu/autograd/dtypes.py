"""Which type of number a result has: PyTorch's promotion, with Python numbers weak and one default float type."""

from functools import lru_cache

import numpy as np

float16, float32, float64 = np.dtype("float16"), np.dtype("float32"), np.dtype("float64")
numbers = (bool, int, float, complex)
default = float32
ranks = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}


def get_default_dtype():
    """The dtype that Python floats become: float32 unless `set_default_dtype` changed it."""
    return default


def set_default_dtype(dtype):
    """Make Python floats become `dtype`, a floating-point type, from now on.

    >>> import tinygrad_edu as tg
    >>> tg.set_default_dtype(tg.float64); tg.tensor(1.5).dtype
    dtype('float64')
    >>> tg.set_default_dtype(tg.float32)
    """
    global default
    wanted = np.dtype(dtype)
    if wanted.kind != "f":
        raise TypeError(f"set_default_dtype({wanted}): only floating-point types can be the default, such as float64")
    default = wanted


def kind_of_number(value):
    """The dtype a Python number stands for where no tensor decides."""
    return kind_of_class(value.__class__, default)


def kind_of_class(kind, default):
    """The dtype that numbers of a class stand for."""
    if issubclass(kind, (bool, np.bool_)):
        return np.dtype(bool)
    if issubclass(kind, (int, np.integer)):
        return np.dtype("int64")
    if issubclass(kind, (float, np.floating)):
        return default
    return np.result_type(default, np.complex64)


def promote(*dtypes):
    """The common type: of those of the highest category (bool < int < float < complex), the widest; floats count beside complex numbers."""
    highest = max(ranks[d.kind] for d in dtypes)
    return np.result_type(*(d for d in dtypes if ranks[d.kind] >= min(highest, ranks["f"])))


def common(values):
    """The type in which an operator computes: tensors with dimensions decide, then 0-d tensors, then Python numbers.

    A lower group raises the result only to a higher category, so float32[3] · 2.5 and float32[3] · float64[] stay
    float32, and int64[3] · 2.5 becomes the default float type.
    """
    return common_kind(default, *[(v.dtype, not v.ndim) if hasattr(v, "dtype") else v.__class__ for v in values])


@lru_cache(4096)
def common_kind(default, *kinds):
    """`common` of tensors, each as (dtype, whether it is 0-d), and of the classes of Python numbers."""
    groups: tuple[list, list, list] = ([], [], [])
    for kind in kinds:
        if isinstance(kind, tuple):
            groups[kind[1]].append(kind[0])
        else:
            groups[2].append(kind_of_class(kind, default))
    result = None
    for group in filter(None, groups):
        found = promote(*group)
        if result is None or ranks[found.kind] > ranks[result.kind]:
            keeps_digits = result is not None and result.kind == "f"  # float64[3] · 2j is complex128
            result = np.result_type(result, np.complex64) if keeps_digits else found
    return result


def floating(dtype):
    """`dtype` if it has fractions, else the default float type: what exp, sqrt or a division make of integers."""
    return dtype if dtype.kind in "fc" else default
