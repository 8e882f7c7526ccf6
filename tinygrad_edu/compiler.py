"""compile: a training step as one straight function of NumPy; what programs ask of torch.compile otherwise changes nothing."""

import functools

from .nn.module import Module


class OptimizedModule(Module):
    """What `compile` makes of a module: it calls the module, which is kept as `_orig_mod`, and has its parameters under that name."""

    def __init__(self, module):
        super().__init__()
        self._orig_mod = module

    def forward(self, *args, **kwargs):
        """What the module computes."""
        return self._orig_mod(*args, **kwargs)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "_orig_mod":
                raise
            return getattr(self._orig_mod, name)


BACKENDS = ("numpy", "scalar", "auto")  # ours; PyTorch's are accepted and change nothing


def compile(model=None, *, fullgraph=False, dynamic=None, backend="inductor", mode=None, options=None, disable=False):
    """A function that computes the same; with one of our backends, recorded once and replayed as straight Python.

    With a backend of PyTorch's, as by default, nothing is compiled, and every argument is accepted. With `backend="numpy"`, the
    function is a whole step: forward, backward, update. It is run as it is at first; at the second call it is written down, call
    by call, and from then on replayed as one generated function of NumPy calls, with memory that is made once. `"scalar"` does
    without arrays, for networks of a few neurons in float64; `"auto"` takes that where it fits. Whatever a replay could not do
    as the step itself does is an error that says so. The step's `source` is the generated text.

    >>> import tinygrad_edu as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = tg.optim.SGD([w], lr=0.1)
    >>> @tg.compile(backend="numpy")
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     loss = (w * x).sum()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss.detach()
    >>> [round(step(tg.ones(2)).item(), 4) for _ in range(3)]
    [3.0, 2.8, 2.6]
    """
    if backend in BACKENDS and not disable:
        from .compiled import CompiledStep

        if fullgraph or mode or options:
            raise TypeError(f"compile(backend={backend!r}): fullgraph, mode and options belong to PyTorch's compilers; leave them out")
        return functools.partial(CompiledStep, backend=backend) if model is None else CompiledStep(model, backend)
    if isinstance(backend, str) and backend.startswith(("numb", "nump", "scal")):
        raise ValueError(f"compile(backend={backend!r}): expected one of {', '.join(BACKENDS)}, or one of PyTorch's, which changes nothing")
    if model is None:
        return functools.partial(compile, fullgraph=fullgraph, dynamic=dynamic, backend=backend, mode=mode, options=options, disable=disable)
    if isinstance(model, Module):
        return model if disable else OptimizedModule(model)

    @functools.wraps(model)
    def compiled(*args, **kwargs):
        return model(*args, **kwargs)

    return compiled


def disable(fn=None, recursive=True, *, reason=None):
    """The function itself: it is not compiled anyway"""
    return fn if fn is not None else disable


def allow_in_graph(fn):
    """The function itself"""
    return fn


def is_compiling():
    """False: functions run as they are written"""
    return False


is_dynamo_compiling = is_compiling


def reset():
    """Accepted: there is nothing to forget"""


class set_stance:  # noqa: N801 (PyTorch's name)
    """Accepted as a call, a context manager and a decorator: nothing is compiled anyway."""

    def __init__(self, stance="default", *, skip_guard_eval_unsafe=False, force_backend=None):
        pass

    def __call__(self, fn):
        return fn

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def cudagraph_mark_step_begin():
    """Accepted: there are no graphs of that kind"""


__all__ = ["allow_in_graph", "compile", "cudagraph_mark_step_begin", "disable", "is_compiling", "is_dynamo_compiling", "reset", "set_stance"]
