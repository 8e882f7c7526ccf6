"""`onnx.export`: run the model on its example, translate it, check the result and write the file."""

import os

from .example import Example
from .translation import OPSET, Translation


class ONNXProgram:
    """An exported model: `model_proto` is the onnx.ModelProto, `save(path)` writes it."""

    def __init__(self, model_proto):
        self.model_proto = self.model = model_proto

    def save(self, destination, *, external_data=False, **options):
        """Write the `.onnx` file to a path or a file object; with external_data=True the weights go into a file beside it"""
        import onnx

        if hasattr(destination, "write"):
            destination.write(self.model_proto.SerializeToString())
        elif external_data:
            copied = onnx.ModelProto()  # onnx takes the weights out of what it saves
            copied.CopyFrom(self.model_proto)
            onnx.save_model(copied, os.fspath(destination), save_as_external_data=True, location=os.path.basename(destination) + ".data", size_threshold=0)
        else:
            onnx.save_model(self.model_proto, os.fspath(destination))


def export(model, args=(), f=None, *, kwargs=None, input_names=None, output_names=None, dynamic_axes=None, dynamic_shapes=None,
           opset_version=OPSET, export_params=True, do_constant_folding=True, verbose=False, external_data=False, **accepted):  # fmt: skip
    """Write a model as `.onnx`: it is run on the example `args`, and what its outputs need is translated operator by operator

    `model` is a Module or any function of tensors, `args` a tensor or a tuple of tensors and other values; `f` is a path or a file. The
    result has `save(path)` and `model_proto`. The file states opset 18 and IR version 10. Parameters and buffers become initializers under
    the names of the state_dict. The model is exported as it stands: call `model.eval()` first.

    What Python decides while the model runs (branches on values, the number of steps of a loop) is frozen as the example takes it, as in
    PyTorch's tracer. Two runs with other numbers guard against worse: a constant that turns out to depend on the inputs, or on
    random numbers, is refused. `dynamic_axes={"x": {0: "batch"}}` leaves sizes open (or `dynamic_shapes`, in PyTorch's newer spelling): more
    runs, with other sizes, find every size that follows them, and what cannot follow is refused.

    NotImplementedError: an operator that has no translation. ModuleNotFoundError: the package onnx is missing. Accepted and without
    effect: do_constant_folding (runtimes fold themselves) and the further options of `torch.onnx.export`.

    >>> import tinygrad_edu as tg
    >>> model = tg.nn.Linear(3, 2)
    >>> tg.onnx.export(model, tg.ones(1, 3), "model.onnx", dynamic_axes={"x": {0: "batch"}})  # doctest: +SKIP
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise ModuleNotFoundError("onnx.export needs the package onnx: pip install 'onnx>=1.17'", name="onnx") from None
    if opset_version not in (None, OPSET):
        raise ValueError(f"onnx.export: opset_version={opset_version}, and models are written in opset {OPSET}, which every runtime since 2023 "
                         "reads; leave it out, or convert the file with onnx.version_converter")  # fmt: skip
    args = args if isinstance(args, tuple) else tuple(args) if isinstance(args, list) else (args,)
    if args and isinstance(args[-1], dict) and kwargs is None:
        args, kwargs = args[:-1], args[-1]
    example = Example(model, args, kwargs or {}, input_names)
    dynamic = example.dynamic(dynamic_axes, dynamic_shapes)
    program = ONNXProgram(Translation(example, dynamic).model(output_names, dynamic_axes, export_params))
    if program.model_proto.ByteSize() < 2**31:  # the limit of the format: larger models are saved with external_data=True
        onnx.checker.check_model(program.model_proto, full_check=True)
    if verbose:
        print(onnx.printer.to_text(program.model_proto))
    if f is not None:
        program.save(f, external_data=external_data)
    return program
