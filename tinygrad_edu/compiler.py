"""What programs ask of torch.compile and torch.jit: here a function stays what it is, and computes the same numbers."""

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


def compile(model=None, *, fullgraph=False, dynamic=None, backend="inductor", mode=None, options=None, disable=False):
    """A function or module that computes the same: nothing is compiled, and every argument is accepted"""
    if model is None:
        return compile
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


def cudagraph_mark_step_begin():
    """Accepted: there are no graphs of that kind"""


__all__ = ["allow_in_graph", "compile", "cudagraph_mark_step_begin", "disable", "is_compiling", "is_dynamo_compiling", "reset"]
