"""gradcheck: compare the gradients that the engine computes with slopes measured by moving each input a little, and say why not.

    gradcheck, gradgradcheck    PyTorch's: True, or GradcheckError (False)
    check_gradients             the same check, with the whole result: .ok, .report, a table in a notebook; Modules too
    check_gradient              any function of NumPy arrays, and a gradient that is claimed for it

What can be checked is in checked.py, slopes are measured by finite_differences.py, examination.py compares, and the causes are found
by diagnosis.py (patterns in the numbers) and faults.py (which step of the graph). They are imported when they are first used.
"""

import numpy as np

from .tensor import Tensor


class GradcheckError(RuntimeError):
    """A gradient differs from the measured slope; `result` is the GradientCheck, with every place where they differ."""

    def __init__(self, message, result=None):
        super().__init__(message)
        self.result = self.report = result


def gradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, nondet_tol=0.0, check_undefined_grad=True,
              check_grad_dtypes=False, check_batched_grad=False, check_batched_forward_grad=False, check_forward_ad=False,
              check_backward_ad=True, fast_mode=False, masked=None):  # fmt: skip
    """True if the gradients of `func(*inputs)` are right: each compared with (f(x + eps) − f(x − eps)) / 2·eps.

    Inputs that require grad are checked, and the parameters if `func` is a Module; derivatives agree if they differ by less than
    atol + rtol · |slope|. At a kink any derivative between the slopes on both sides is right. `fast_mode` compares along one
    random direction per input instead of element by element. Raises GradcheckError, whose message names the cause, or
    returns False if `raise_exception` is off; `check_gradients` returns the whole result instead.

    nondet_tol            how far two calls may differ
    check_undefined_grad  let the other outputs' gradients be undefined (None) while one output is checked
    check_grad_dtypes     the gradient must have the input's dtype
    check_batched_grad    `func.vmap` over the backward pass must give the same gradients
    check_forward_ad      check J·v as `func.jvp` computes it; check_backward_ad=False checks only that
    check_batched_forward_grad   `func.vmap` over the tangents must give the same J·v; needs check_forward_ad
    masked                changes nothing: it is about sparse tensors, and all are dense here

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([0.5, 2.0], dtype=tg.float64, requires_grad=True)
    >>> tg.autograd.gradcheck(lambda x: (x * x).sin(), x)
    True
    """
    result = check_gradients(func, inputs, eps=eps, atol=atol, rtol=rtol, nondet_tol=nondet_tol, fast_mode=fast_mode,
                             check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
                             check_batched_grad=check_batched_grad, check_batched_forward_grad=check_batched_forward_grad,
                             check_forward_ad=check_forward_ad, check_backward_ad=check_backward_ad, masked=masked)  # fmt: skip
    return verdict(result, raise_exception)


def gradgradcheck(func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3, gen_non_contig_grad_outputs=False,
                  raise_exception=True, nondet_tol=0.0, check_undefined_grad=True, check_grad_dtypes=False,
                  check_batched_grad=False, check_fwd_over_rev=False, check_rev_over_rev=True, fast_mode=False, masked=False):  # fmt: skip
    """True if the gradients of the gradients of `func(*inputs)` are right; options as in `gradcheck`.

    The gradients of Σ grad_outputs · outputs are checked, with respect to the inputs and to `grad_outputs` (random ones if none
    are given). If the first derivatives are wrong already, the message says so.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([0.5, 2.0], dtype=tg.float64, requires_grad=True)
    >>> tg.autograd.gradgradcheck(lambda x: x**3, x)
    True
    """
    result = check_gradients(func, inputs, order=2, grad_outputs=grad_outputs, eps=eps, atol=atol, rtol=rtol, nondet_tol=nondet_tol,
                             strided=gen_non_contig_grad_outputs, fast_mode=fast_mode, check_undefined_grad=check_undefined_grad,
                             check_grad_dtypes=check_grad_dtypes, check_batched_grad=check_batched_grad,
                             check_forward_ad=check_fwd_over_rev, check_backward_ad=check_rev_over_rev, masked=masked)  # fmt: skip
    return verdict(result, raise_exception)


def verdict(result, raise_exception):
    """PyTorch's answer: True, False, or an exception."""
    if not result.ok and raise_exception:
        raise GradcheckError(result.report, result)
    return result.ok


def check_gradients(func, inputs=(), *, parameters=None, order=1, grad_outputs=None, eps=1e-6, atol=1e-5, rtol=1e-3, nondet_tol=0.0,
                    fast_mode=False, freeze_generator=False, check_undefined_grad=True, check_grad_dtypes=False,
                    check_batched_grad=False, check_batched_forward_grad=False, check_forward_ad=False, check_backward_ad=True,
                    masked=None, strided=False):  # fmt: skip
    """Check the gradients of `func(*inputs)` and return a GradientCheck: `.ok`, `.report`, `.causes`, `.notes`, `.worst`.

    A Module is checked with all its parameters, by their paths; buffers, modes and counters are put back. For a loss that calls a
    model, pass `parameters=model` (or a dict, or pairs of name and tensor). `order=2` checks the gradients of the gradients.
    `freeze_generator` lets every call draw the same random numbers, so that dropout can be checked. Other options as in
    `gradcheck`.

    >>> import tinygrad_edu as tg
    >>> model = tg.nn.Linear(3, 2).double()
    >>> tg.autograd.check_gradients(model, tg.ones(4, 3, dtype=tg.float64)).ok
    True
    """
    from .checked import Frozen, TensorFunction, as_tuple
    from .examination import Options, examine, second_order

    if check_batched_forward_grad and not check_forward_ad:
        raise ValueError("gradcheck: check_batched_forward_grad=True needs check_forward_ad=True: it batches what that one checks")
    if not check_backward_ad and not check_forward_ad:
        raise ValueError("gradcheck: check_backward_ad=False needs check_forward_ad=True (in gradgradcheck: check_rev_over_rev=False needs "
                         "check_fwd_over_rev=True), or there is nothing to check")  # fmt: skip
    if order not in (1, 2):
        raise ValueError(f"check_gradients: order must be 1 or 2, not {order!r}; for higher ones check the function of derivatives "
                         "with order=2")  # fmt: skip
    inputs = as_tuple(inputs)
    problem = TensorFunction(func, inputs, named(func, parameters), undefined=check_undefined_grad)
    options = Options(eps, atol, rtol, nondet_tol, fast_mode, check_grad_dtypes, check_batched_grad, check_forward_ad, check_backward_ad,
                      check_batched_forward_grad)  # fmt: skip
    if not problem.arrays:
        if any(isinstance(x, np.ndarray) for x in inputs):
            raise ValueError("gradcheck: the inputs are NumPy arrays, which record nothing; for a function of arrays say which gradient you claim, "
                             "check_gradient(func, gradient, *arrays), or make tensors of them, tensor(x, requires_grad=True)")  # fmt: skip
        raise ValueError("gradcheck: no input requires grad, so there is nothing to check; make the inputs with requires_grad=True, or pass "
                         "parameters=model")  # fmt: skip
    if freeze_generator:
        problem.frozen = Frozen()
    generators = problem.frozen
    try:
        if order == 1:
            return examine(problem, options)
        problem.undefined = False  # of the first derivatives only the values matter here
        first = examine(problem, Options(eps, atol, rtol, nondet_tol, fast_mode))
        problem.undefined = check_undefined_grad
        if not first.ok:
            for cause in first.causes:
                cause.sentence = f"the first derivatives are wrong already: {cause.sentence}"
            return first
        return examine(second_order(problem, grad_outputs, strided), options, 2)
    finally:
        if problem.state is not None:
            problem.state.restore()
        if generators is not None:
            generators.restore()


def check_gradient(function, gradient, *arrays, kind="auto", names=None, eps=1e-6, atol=1e-5, rtol=1e-3, nondet_tol=0.0,
                   fast_mode=False, freeze_generator=False):  # fmt: skip
    """Check the gradient that is claimed for a function of NumPy arrays, whoever computes it; returns a GradientCheck.

    `function(*arrays)` returns a number or an array (or several), and `gradient`, by its `kind`:

    "gradient"     gradient(*arrays): the gradient of the number that the function returns; one array per floating-point input,
                   a tuple of them, or a dict by name. Arrays that were computed before may stand in its place
    "vjp"          gradient(g, *arrays): the gradients of Σ g · result, where g has the result's shape
    "derivative"   gradient(*arrays): f′(x), element by element
    "jacobian"     gradient(*arrays): all derivatives, shape result + input

    "auto" tells them apart by the shape of the result and the number of arguments.

    >>> import numpy as np, tinygrad_edu as tg
    >>> from tinygrad_edu.autograd.gradcheck import check_gradient
    >>> check_gradient(lambda x: (x**2).sum(), lambda x: x, np.array([1.0, 2.0])).cause.kind
    'factor'
    """
    if kind not in ("auto", "gradient", "vjp", "derivative", "jacobian"):
        raise ValueError(f"check_gradient: kind must be 'auto', 'gradient', 'vjp', 'derivative' or 'jacobian', not {kind!r}")
    from .checked import ClaimedGradient, Frozen
    from .examination import Options, examine

    problem = ClaimedGradient(function, gradient, arrays, kind, names)
    problem.frozen = Frozen() if freeze_generator else None
    return examine(problem, Options(eps, atol, rtol, nondet_tol, fast_mode))


def named(func, parameters):
    """Pairs of name and tensor, of whatever names parameters."""
    from .checked import is_module

    if parameters is None:
        return list(func.named_parameters()) if is_module(func) else []
    if is_module(parameters):
        return list(parameters.named_parameters())
    if isinstance(parameters, dict):
        return list(parameters.items())
    if isinstance(parameters, Tensor):
        return [("0", parameters)]
    pairs = list(parameters)
    return [p if isinstance(p, tuple) else (str(k), p) for k, p in enumerate(pairs)]


__all__ = ["GradcheckError", "check_gradient", "check_gradients", "gradcheck", "gradgradcheck"]
