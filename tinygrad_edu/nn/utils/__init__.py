"""Tools for parameters and gradients: clipping, flattening, reparametrisation, sequences of different lengths."""

from . import parametrizations, parametrize, rnn, stateless
from .clip import clip_grad_norm, clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from .fusion import fuse_conv_bn_eval, fuse_conv_bn_weights, fuse_linear_bn_eval, fuse_linear_bn_weights
from .norms import remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm
from .vectors import parameters_to_vector, vector_to_parameters


def __getattr__(name):
    """Pruning needs the whole package, so it is imported when it is first used."""
    if name == "prune":
        from importlib import import_module

        return import_module(f"{__name__}.prune")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def skip_init(module_cls, *args, **kwargs):
    """A module whose parameters nobody has chosen yet: here they have their usual values, for memory must hold something"""
    return module_cls(*args, **kwargs)


def convert_conv2d_weight_memory_format(module, memory_format):
    """The module itself: an order in memory changes no number, and here there is one order"""
    return module


convert_conv3d_weight_memory_format = convert_conv2d_weight_memory_format

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format", "fuse_conv_bn_eval",
           "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights", "get_total_norm", "parameters_to_vector",
           "parametrizations", "parametrize", "prune", "remove_spectral_norm", "remove_weight_norm", "rnn", "skip_init", "spectral_norm", "stateless", "vector_to_parameters",
           "weight_norm"]  # fmt: skip
