"""Models as `.onnx` files, which other programs run: `export`, with the names of `torch.onnx`.

A model is run on example arrays and each operator that it calls is written down (tracing.py); runs with other numbers and other sizes
(example.py) say what depends on the inputs in any other way (merging.py); what the outputs need is translated (translation.py) operator by
operator (table.py), in terms of nodes and constants (graph.py).
"""

from . import tracing
from .export import ONNXProgram, export

__all__ = ["ONNXProgram", "export", "is_in_onnx_export"]


def is_in_onnx_export():
    """True while `export` runs the model

    >>> import tinygrad_edu as tg
    >>> tg.onnx.is_in_onnx_export()
    False
    """
    return tracing.active.tracer is not None
