"""tinygrad_edu: reverse-mode differentiation that you can read, see and trust, on NumPy, in PyTorch's words."""

from . import allocator  # noqa: F401  (first: it prepares the memory for everything else)
from .api import functions as _functions
from .api import random
from .api.create import cpu, device  # noqa: I001
from .api.create import dtype_names as _dtype_names
from .api.random import Generator, default_generator
from .autograd.dtypes import get_default_dtype, set_default_dtype
from .autograd.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    recording,
    set_grad_enabled,
)
from .autograd.size import Size
from .autograd.tensor import Tensor

__version__ = "0.1.0"

globals().update(_functions)
globals().update(_dtype_names)

from math import e, inf, nan, pi  # noqa: E402

newaxis = None
from . import accelerator, autograd, backends, cuda, linalg, special  # noqa: E402

# functions of nn.functional that PyTorch has at the top too, as in torch.conv2d
LAYERS = """adaptive_avg_pool1d adaptive_max_pool1d alpha_dropout avg_pool1d celu_ conv_tbc feature_alpha_dropout native_channel_shuffle rrelu_ selu_ threshold_ bilinear celu channel_shuffle conv1d conv2d conv3d
conv_transpose1d conv_transpose2d conv_transpose3d cosine_similarity dropout group_norm hardshrink layer_norm max_pool1d max_pool2d
max_pool1d_with_indices max_pool3d pairwise_distance pdist pixel_shuffle pixel_unshuffle prelu rms_norm rrelu selu threshold""".split()
PLAIN_LAYERS = """affine_grid_generator alpha_dropout_ batch_norm binary_cross_entropy_with_logits constant_pad_nd convolution
cosine_embedding_loss ctc_loss dropout_ embedding embedding_bag feature_alpha_dropout_ feature_dropout feature_dropout_ grid_sampler
grid_sampler_2d grid_sampler_3d gru_cell hinge_embedding_loss instance_norm kl_div lstm_cell margin_ranking_loss norm_except_dim
poisson_nll_loss rnn_relu_cell rnn_tanh_cell triplet_margin_loss""".split()
LATER = dict.fromkeys(LAYERS, "nn.functional") | dict.fromkeys(PLAIN_LAYERS, "nn.functional.plain") | dict(
    nn="nn", optim="optim", distributed="distributed", distributions="distributions", viz="viz", explain="viz", summary="viz",
    io="io", load="io", save="io", func="func", vmap="func", utils="utils", amp="amp", autocast="amp", GradScaler="amp",
    compiler="compiler", compile="compiler", jit="jit", profiler="profiler", sparse="sparse", sparse_coo_tensor="sparse", signal="signal", fft="fft", types="types",
    testing="testing", multiprocessing="multiprocessing", mps="mps", xpu="xpu", version="version", hub="hub", onnx="onnx", functional="functional", serialization="serialization", _assert="api.names", _check="api.names", _assert_async="api.names", SymInt="api.names", SymFloat="api.names", SymBool="api.names",
)  # fmt: skip


def __getattr__(name):
    """All but tensors and their operators is imported when it is first used: layers, optimizers, pictures, files, data."""
    if name.startswith("_foreach_"):
        from .foreach import foreach

        return foreach(name.removeprefix("_foreach_"))
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"{__name__}.{LATER[name]}")
    return module if LATER[name] == name else getattr(module, name)


def __dir__():
    return sorted({*globals(), *LATER})


__all__ = [*_functions, *_dtype_names, "Generator", "Size", "Tensor", "accelerator", "autograd", "backends", "cpu", "cuda", "default_generator", "device", "distributed", "distributions", "e", "enable_grad", "func",
           "get_default_dtype", "inf", "inference_mode", "io", "is_grad_enabled", "linalg", "load", "nan", "newaxis", "nn", "no_grad", "optim", "pi", "random", "recording", "save",
           "set_default_dtype", "set_grad_enabled", "special", "testing", "utils", "vmap"]  # fmt: skip
