"""torch.jit for programs that script or trace their models: the model itself comes back, and computes the same numbers."""

import builtins
from types import UnionType
from typing import Final, Union, get_args, get_origin

from .nn.module import Module


def script(obj, *args, **kwargs):
    """The module, function or class itself"""
    return obj


def trace(func, example_inputs=None, *args, **kwargs):
    """The module or function itself: it need not be called for that, and keeps its control flow"""
    return func


def trace_module(mod, inputs, *args, **kwargs):
    """The module itself"""
    return mod


def ignore(drop=False, **kwargs):
    """Accepted as a decorator, with or without arguments"""
    return drop if callable(drop) else ignore


def itself(fn):
    """Accepted as a decorator"""
    return fn


export = unused = script_if_tracing = interface = freeze = optimize_for_inference = itself
_script_if_tracing = _overload = _overload_method = itself  # what libraries decorate their functions with


def script_method(fn):
    """Accepted as a decorator"""
    return fn


def is_scripting():
    """False: functions run as they are written"""
    return False


is_tracing = is_scripting


def annotate(the_type, the_value):
    """The value"""
    return the_value


def fork(func, *args, **kwargs):
    """The result of a call, made at once"""
    return func(*args, **kwargs)


def wait(future):
    """What `fork` returned"""
    return future


def save(m, f, **kwargs):
    """Refused: there is no compiled program to be saved"""
    raise NotImplementedError("jit.save: there is no compiled program here; save the weights, as in save(model.state_dict(), path)")


def load(f, **kwargs):
    """Refused: compiled programs of PyTorch cannot run here"""
    raise NotImplementedError("jit.load: a compiled program cannot run here; build the model and load its weights with load_state_dict")


def isinstance(obj, target_type):
    """True if the object is of a type, which may be a typing one: List[int] looks at the elements too"""
    origin, parts = get_origin(target_type), get_args(target_type)
    if builtins.isinstance(target_type, tuple) or origin in (Union, UnionType):
        return any(isinstance(obj, t) for t in parts or target_type)
    if not builtins.isinstance(obj, origin or target_type):
        return False
    if origin is dict:
        return all(isinstance(k, parts[0]) and isinstance(v, parts[1]) for k, v in obj.items())
    if origin is tuple:
        return len(obj) == len(parts) and all(map(isinstance, obj, parts))
    return origin is not list or all(isinstance(x, parts[0]) for x in obj)


ScriptModule = Module
Attribute = annotate

__all__ = ["Attribute", "Final", "ScriptModule", "annotate", "export", "fork", "freeze", "ignore", "interface", "is_scripting", "is_tracing", "isinstance", "load",
           "optimize_for_inference", "save", "script", "script_if_tracing", "script_method", "trace", "trace_module", "unused", "wait"]  # fmt: skip
