"""Parameter: a tensor that a Module finds, trains and saves."""

from functools import cache

from ..autograd.node import leaf
from ..autograd.tensor import Tensor, as_memory


class Parameter(Tensor):
    """A leaf tensor that belongs to a model: a Module finds it among its attributes.

    >>> import tinygrad_edu as tg
    >>> tg.nn.Parameter(tg.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    __slots__ = ()

    def __new__(cls, data=None, requires_grad=True):
        return Tensor.__new__(cls)

    def __init__(self, data=None, requires_grad=True):
        if data is None:
            from ..api.create import zeros

            data = zeros(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter(data): expected a Tensor, got {type(data).__name__}; use Parameter(tensor(data))")
        held = data.shared or data.base is not None and data.base.shared
        Tensor.__init__(self, data.array.copy() if held or not hasattr(data.array, "flags") else data.array, None)
        if held:
            self.shared = False
        if data.dtype.kind == "c":
            self.__class__ = complex_parameter()
        elif requires_grad and not (data.dtype.kind == "f"):
            raise RuntimeError(f"Parameter(data): only floating-point parameters can be trained, and this one is {data.dtype}; "
                               "pass requires_grad=False, or data.float()")  # fmt: skip
        if requires_grad:
            self.node = leaf(self.array.shape, self.array.dtype)

    def __deepcopy__(self, memo):
        """A copy without the gradient: that of another model has not been computed yet."""
        new = super().__deepcopy__(memo)
        (new.node or new).grad = None
        return new


class UninitializedParameter(Parameter):
    """A parameter whose shape is not known yet: `materialize(shape)` makes it an ordinary one.

    >>> import tinygrad_edu as tg
    >>> weight = tg.nn.parameter.UninitializedParameter()
    >>> weight.materialize((2, 3))
    >>> type(weight).__name__, weight.shape
    ('Parameter', Size([2, 3]))
    """

    __slots__ = ()

    def __new__(cls, requires_grad=True, device=None, dtype=None):
        return Tensor.__new__(cls)

    def __init__(self, requires_grad=True, device=None, dtype=None):
        from ..api import functions

        Parameter.__init__(self, functions["empty"](0, device=device, dtype=dtype), requires_grad)

    def __repr__(self):
        return f"<{type(self).__name__}>"

    __str__ = __repr__

    def materialize(self, shape, device=None, dtype=None):
        """Take a shape; the numbers are not set yet."""
        from ..api import functions

        self.data = functions["empty"](shape, device=device, dtype=self.dtype if dtype is None else dtype)
        self.__class__ = Parameter


def is_lazy(param):
    """True if the shape of a parameter is not known yet."""
    return isinstance(param, UninitializedParameter)


@cache
def complex_parameter():
    """The class of parameters with complex numbers."""
    from ..api.complexes import ComplexLeaf

    def __reduce_ex__(self, protocol):
        return Parameter, (Tensor(as_memory(self), None), self.requires_grad)

    members = {"__slots__": (), "__module__": __name__, "__doc__": Parameter.__doc__, "__reduce_ex__": __reduce_ex__}
    return type("Parameter", (ComplexLeaf, Parameter), members)


class Buffer(Tensor):
    """A tensor that a Module saves but does not train, such as a running mean."""

    __slots__ = ()

    def __new__(cls, data=None, *, persistent=True):
        return Tensor.__new__(cls)

    def __init__(self, data=None, *, persistent=True):
        Tensor.__init__(self, data.array, data.node)
        self.persistent = persistent
