"""check_function: the gradient that somebody claims for a function of NumPy, PyTorch or JAX arrays, against measured slopes."""

import inspect

import numpy as np

from ..autograd import GradcheckError, Tensor
from ..autograd.checked import ClaimedGradient, TensorFunction, constants_of
from . import records
from .compare import as_array
from .gradients import checked, name_of


def check_function(function, inputs, gradient=None, *, vjp=None, name=None, eps=None, atol=None, rtol=None,
                   raise_exception=True):  # fmt: skip
    """True if the claimed derivatives of `function(*inputs)` are its slopes; else a GradcheckError that says what is wrong.

    `gradient(*inputs)` returns the gradients of a single number; `vjp(g, *inputs)` those of any result, given the gradient g of
    the result. Both give one array per floating-point input, in order. Without them, PyTorch's tensors and JAX's arrays are
    differentiated by their own library, and tensors of ours by ours: that checks a `torch.autograd.Function`, say. Inputs are
    arrays or numbers of any of these libraries; floats are checked in float64. Other inputs (labels, indices) stay as they are.

    The function and its gradient must not write into what they are given, and each gradient must have its input's shape.

    >>> import numpy as np
    >>> from tinygrad_edu.testing import check_function
    >>> check_function(lambda x: np.sum(x**2), [np.array([1.0, 2.0])], gradient=lambda x: 2 * x)
    True
    >>> check_function(lambda x, w: x @ w, [np.ones((2, 3)), np.ones((3, 2))], vjp=lambda g, x, w: (g @ w.T, x.T @ g))
    True
    """
    __tracebackhide__ = True  # pytest shows the test's own line and the message
    inputs = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    name = name or name_of(function)
    claim = Claim(function, inputs, gradient, vjp, name)
    try:
        claim.look_once()
        return checked(claim.problem(), name=name, eps=eps, atol=atol, rtol=rtol)
    except GradcheckError as error:
        if not records.waiting.get(name) or records.waiting[name].ok:
            records.record(name, False)
        if raise_exception:
            raise GradcheckError(f"{error}" if name in f"{error}" else f"{name}: {error}", error.result) from None
        return False


class Claim:
    """A function, its inputs, and where its gradients come from."""

    def __init__(self, function, inputs, gradient, vjp, name):
        if gradient is not None and vjp is not None:
            raise TypeError("check_function: give gradient= or vjp=, not both")
        self.function, self.name = function, name
        self.given = inputs
        self.libraries = [library_of(x) for x in inputs]
        self.library = next((kind for kind in self.libraries if kind in ("torch", "jax", "ours")), "numpy")
        self.arrays = [as_array(x) if is_number(x) else x for x in inputs]
        self.active = [i for i, a in enumerate(self.arrays) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]
        if not self.active:
            raise ValueError("check_function: no input has floating-point numbers, so there is nothing to differentiate")
        self.names = names_of(gradient or function, len(inputs)) if not vjp else names_of(function, len(inputs))
        self.names = [self.names[i] for i in self.active]
        self.claimed = gradient or vjp
        self.gradient, self.vjp = gradient, vjp or (self.from_gradient if gradient else OWN.get(self.library))
        if self.vjp is None:
            raise TypeError("check_function: a function of NumPy arrays does not know its derivative; give gradient= or vjp=")
        if vjp is None and gradient is None:
            self.vjp = lambda g, *inputs: OWN[self.library](function, self.active, g, *inputs)

    def from_gradient(self, g, *inputs):
        """A vjp of a function that returns one number, from its gradient."""
        if np.size(as_array(g)) != 1:
            raise GradcheckError(f"gradient= is for functions that return one number, and this one returns shape "
                                 f"{list(as_array(g).shape)}; give vjp=, which gets the gradient of the result")  # fmt: skip
        g = float(as_array(g).reshape(()))
        return [as_array(c) * g for c in as_sequence(self.gradient(*inputs))]

    def arguments(self, values):
        """The function's arguments: fresh copies in the user's library, floats in double precision."""
        values = dict(zip(self.active, values))
        return [converted(values.get(i, a), kind, self.given[i]) for i, (a, kind) in enumerate(zip(self.arrays, self.libraries))]

    def value(self, *values):
        """The function's result, an array."""
        return np.array(as_array(self.function(*self.arguments(values))), copy=True)

    def gradients(self, g, *values):
        """The claimed gradients, one array per floating-point input, checked for their number and shapes."""
        arguments = self.arguments(values)
        claimed = list(as_sequence(self.vjp(converted(np.array(g), self.library, None), *arguments)))
        if len(claimed) == len(self.given) > len(self.active):  # one per input: those of labels are not looked at
            claimed = [claimed[i] for i in self.active]
        if len(claimed) != len(self.active):
            raise GradcheckError(f"the claimed gradient has {len(claimed)} parts, and there are {len(self.active)} floating-point "
                                 f"inputs ({', '.join(self.names)}); return one for each")  # fmt: skip
        result = []
        for c, x, name in zip(claimed, values, self.names):
            if c is None:
                raise GradcheckError(f"the claimed gradient of {name} is None; return zeros if {name} has no influence")
            c = np.array(as_array(c), np.float64)
            if c.shape != np.shape(x):
                raise GradcheckError(f"the claimed gradient of {name} has shape {list(c.shape)}, and {name} has shape "
                                     f"{list(np.shape(x))}{advice(c.shape, np.shape(x))}")  # fmt: skip
            result.append(c)
        return result

    def look_once(self):
        """One call of each, for what slopes do not show: writing into what was given, and one answer for one question."""
        values = [self.arrays[i].astype(np.float64) for i in self.active]
        arguments = self.arguments(values)
        before = [np.array(as_array(a)) if is_number(a) else None for a in arguments]
        out = self.function(*arguments)
        self.unchanged(arguments, before, "the function")
        if isinstance(out, (tuple, list)):
            raise GradcheckError(f"the function returned {len(out)} results, and a claim is checked for one; check them one by one, as in "
                                 "lambda x: f(x)[0]")  # fmt: skip
        out = np.asarray(as_array(out))
        if out.dtype.kind != "f":
            raise GradcheckError(f"the function returned {out.dtype}, which has no derivative; it must return floats")
        if out.dtype.itemsize < 8:
            more = "; switch on jax_enable_x64" if self.library == "jax" else "; compute in the dtype of the inputs"
            raise GradcheckError(f"the function returned {out.dtype} for float64 inputs, too coarse to measure slopes{more}")
        if self.library in ("torch", "jax", "numpy"):
            g = np.cos(np.arange(1, out.size + 1, dtype=np.float64)).reshape(out.shape)
            given = converted(g.copy(), self.library, None)
            self.vjp(given, *arguments)
            self.unchanged(arguments, before, "the gradient")
            if not np.array_equal(as_array(given), g):
                raise GradcheckError("the gradient wrote into the gradient of the result that it was given (g); work on a copy")

    def unchanged(self, arguments, before, who):
        names = names_of(self.function, len(arguments))
        for i, (argument, former) in enumerate(zip(arguments, before)):
            if former is not None and not np.array_equal(as_array(argument), former, equal_nan=former.dtype.kind == "f"):
                raise GradcheckError(f"{who} wrote into its input {names[i]}; work on a copy")

    def problem(self):
        """What examination.py compares: a function of arrays and its claimed gradient, or a function of our tensors."""
        values = [self.arrays[i].astype(np.float64) for i in self.active]
        if self.library == "ours" and self.claimed is None:
            problem = TensorFunction(self.function, self.arguments(values))
            problem.names = self.names
        else:
            # NumPy's functions are called as they are, so that their steps can be recorded and a mistake be looked for in each
            function = self.called if self.library == "numpy" else self.value
            problem = ClaimedGradient(function, self.gradients, values, "vjp", self.names)
            problem.constants = constants_of(self.function)
        problem.title = self.name
        return problem

    def called(self, *values):
        """The function with these floating-point inputs, and all others as they were given."""
        values = dict(zip(self.active, values))
        return self.function(*(values.get(i, x) for i, x in enumerate(self.given)))


def advice(claimed, wanted):
    """What would make a gradient fit."""
    if claimed == wanted[::-1]:
        return "; it is transposed"
    try:
        if np.broadcast_shapes(claimed, wanted) == claimed:
            return "; sum it over the axes along which it was broadcast"
    except ValueError:
        pass
    return "; they must be the same"


def library_of(x):
    """Which library a value comes from: "torch", "jax", "ours", "numpy" for arrays and numbers, None for anything else."""
    if isinstance(x, Tensor):
        return "ours"
    root = type(x).__module__.partition(".")[0]
    if root == "torch" and hasattr(x, "detach"):
        return "torch"
    if root in ("jax", "jaxlib"):
        return "jax"
    return "numpy" if isinstance(x, (np.ndarray, np.generic, float, int, bool, list)) else None


def is_number(x):
    return library_of(x) is not None


def converted(array, library, like):
    """A fresh array of a library; numbers that were Python's stay numbers."""
    if not isinstance(array, (np.ndarray, np.generic)):
        return array
    if like is not None and (isinstance(like, (bool, int)) or array.dtype.kind != "f" and library == "numpy" and not np.ndim(like)):
        return like
    if library == "torch":
        import torch

        made = torch.from_numpy(np.array(array))
        return made.requires_grad_() if like is not None and made.dtype.is_floating_point else made
    if library == "jax":
        import jax.numpy

        return jax.numpy.asarray(array)
    if library == "ours":
        made = Tensor(np.array(array), None)
        made.requires_grad = like is not None and made.dtype.kind == "f"
        return made
    return np.array(array)


def torch_gradients(function, active, g, *inputs):
    import torch

    wanted = [inputs[i] for i in active]
    found = torch.autograd.grad(function(*inputs), wanted, g, allow_unused=True)
    return [torch.zeros_like(x) if c is None else c for c, x in zip(found, wanted)]


def jax_gradients(function, active, g, *inputs):
    import jax

    def of_active(*values):
        return function(*[values[active.index(i)] if i in active else x for i, x in enumerate(inputs)])

    return jax.vjp(of_active, *[inputs[i] for i in active])[1](g)


def our_gradients(function, active, g, *inputs):
    from ..autograd import enable_grad, grad

    wanted = [inputs[i] for i in active]
    with enable_grad():
        return grad(function(*inputs), wanted, g, allow_unused=True, materialize_grads=True)


OWN = {"torch": torch_gradients, "jax": jax_gradients, "ours": our_gradients}


def names_of(function, count):
    """The names of a function's inputs, or their numbers."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else f"input {i}" for i in range(count)]


def as_sequence(gradients):
    return tuple(gradients) if isinstance(gradients, (tuple, list)) else (gradients,)
