"""Which type of number a result has: PyTorch's promotion, with Python numbers weak and one default float type."""

from functools import lru_cache

import numpy as np


class dtype:
    """A type of numbers, such as `tinygrad_edu.float32`: what `x.dtype` is.

    There is one object of each type, equal to NumPy's dtype of that name, and NumPy takes it wherever it takes one of its own.
    `is_floating_point`, `is_complex`, `is_signed` and `itemsize` (in bytes) are PyTorch's; other attributes are NumPy's.

    >>> import tinygrad_edu as tg
    >>> tg.ones(2).dtype, tg.float32.is_floating_point, tg.float32.itemsize, tg.float32.to_complex()
    (float32, True, 4, complex64)
    >>> tg.ones(2).dtype is tg.dtype("float32"), tg.float32 == np.dtype("float32"), np.zeros(2, tg.float32).dtype
    (True, True, dtype('float32'))
    """

    __slots__ = ("dtype", "name", "kind", "itemsize", "is_floating_point", "is_complex", "is_signed")
    dtype: np.dtype
    name: str
    kind: str

    def __new__(cls, kind):
        return of[np.dtype(kind)]

    def __getattr__(self, name):
        if name == "dtype" or name.startswith("__"):
            raise AttributeError(f"{self.name} has no attribute {name!r}")
        return getattr(self.dtype, name)

    def __eq__(self, other):
        return self is other or self.dtype == other

    def __hash__(self):
        return hash(self.dtype)

    def __repr__(self):
        return self.name

    def __reduce__(self):
        return dtype, (self.name,)

    def to_real(self):
        """The type of the real part of such numbers."""
        return of[np.empty(0, self.dtype).real.dtype]

    def to_complex(self):
        """The type of complex numbers whose parts are of this type."""
        return of[np.result_type(self.dtype, np.complex64)]


class Unsupported(dtype):
    """A type of numbers that NumPy does not have: programs may name it, and making tensors of it is an error.

    >>> import tinygrad_edu as tg
    >>> tg.bfloat16, tg.bfloat16.itemsize
    (bfloat16, 2)
    """

    __slots__ = ()
    __eq__, __hash__ = object.__eq__, object.__hash__

    def __new__(cls, name, kind, itemsize):
        if name not in of:
            of[name] = described(object.__new__(cls), name, kind, itemsize)
        return of[name]

    def __reduce__(self):
        return Unsupported, (self.name, self.kind, self.itemsize)

    def refuse(self, call):
        """The error of a call that would make tensors of it."""
        raise TypeError(f"{call}: NumPy has no numbers of this type; use float32, which has its range, or float16")


def described(made, name, kind, itemsize):
    """A new dtype with what can be asked of it."""
    made.name, made.kind, made.itemsize = name, kind, itemsize
    made.is_floating_point, made.is_complex, made.is_signed = kind == "f", kind == "c", kind in "ifc"
    return made


class Types(dict):
    """Our dtype of each of NumPy's, made when it is first asked for."""

    def __missing__(self, kind):
        made = self[kind] = described(object.__new__(dtype), kind.name, kind.kind, kind.itemsize)
        made.dtype = kind
        return made


of = Types()
float16, float32, float64 = np.dtype("float16"), np.dtype("float32"), np.dtype("float64")
numbers = (bool, int, float, complex)
default = float32
ranks = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}


def get_default_dtype():
    """The dtype that Python floats become: float32 unless `set_default_dtype` changed it."""
    return of[default]


def set_default_dtype(dtype):
    """Make Python floats become `dtype`, a floating-point type, from now on.

    >>> import tinygrad_edu as tg
    >>> tg.set_default_dtype(tg.float64); tg.tensor(1.5).dtype
    float64
    >>> tg.set_default_dtype(tg.float32)
    """
    global default
    if isinstance(dtype, Unsupported):
        dtype.refuse(f"set_default_dtype({dtype})")
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
