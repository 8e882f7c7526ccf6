"""SummaryWriter, which records a training for TensorBoard: tensorboardX writes the files, tensors become arrays here."""

import contextlib
import functools
import tempfile
from pathlib import Path

import numpy as np

from ..autograd.tensor import Tensor

try:
    import tensorboardX
except ImportError as error:
    raise ImportError("SummaryWriter writes its files with tensorboardX: pip install 'tinygrad_edu[tensorboard]'") from error


def arrays(x):
    """Tensors, also within lists, tuples and dicts, as NumPy arrays, those without dimensions as Python numbers."""
    if isinstance(x, Tensor):
        return np.array(x.detach().array) if x.ndim else x.item()
    if isinstance(x, dict):
        return {key: arrays(value) for key, value in x.items()}
    return [arrays(value) for value in x] if isinstance(x, (list, tuple)) else x


def taking_tensors(method):
    """The method of tensorboardX, for tensors as well."""

    @functools.wraps(method)
    def add(self, *args, **kwargs):
        return method(self, *arrays(args), **arrays(kwargs))

    return add


class SummaryWriter(tensorboardX.SummaryWriter):
    """Writes scalars, histograms, pictures, texts and graphs of a training to files in `log_dir` that TensorBoard shows.

    As `torch.utils.tensorboard.SummaryWriter`; `runs/DATE_HOST` is the folder where none is given. Look at them with
    `tensorboard --logdir runs` (pip install tensorboard).

    >>> import tinygrad_edu as tg
    >>> from tinygrad_edu.utils.tensorboard import SummaryWriter
    >>> with SummaryWriter(folder) as writer:                                     # doctest: +SKIP
    ...     for epoch in range(3):
    ...         writer.add_scalar("loss/train", tg.tensor(1 / (epoch + 1)), epoch)
    ...         writer.add_histogram("weights", tg.randn(100), epoch)
    """

    def __init__(self, log_dir=None, comment="", purge_step=None, max_queue=10, flush_secs=120, filename_suffix=""):
        log_dir = None if log_dir is None else str(log_dir)
        super().__init__(log_dir, comment, purge_step, max_queue, flush_secs, filename_suffix)

    @property
    def log_dir(self):
        """The folder of the files."""
        return self.logdir

    def get_logdir(self):
        """The folder of the files."""
        return self.logdir

    def add_scalar(self, tag, scalar_value, global_step=None, walltime=None, new_style=False, double_precision=False):
        """One number of a curve: a loss, an accuracy, a learning rate. The last two arguments make no difference."""
        super().add_scalar(tag, arrays(scalar_value), arrays(global_step), walltime)

    def add_hparams(self, hparam_dict, metric_dict, hparam_domain_discrete=None, run_name=None, global_step=None):
        """The settings of a run and what it reached. The domain makes no difference."""
        super().add_hparams(arrays(hparam_dict), arrays(metric_dict), run_name, global_step)

    def add_graph(self, model, input_to_model=None, verbose=False, use_strict_trace=True):
        """The computation of a module for an input, or a tuple of inputs: exported to ONNX (pip install onnx), which TensorBoard draws."""
        from .. import onnx

        if input_to_model is None:
            raise ValueError("add_graph(model): the computation is recorded on an input; pass one as input_to_model")
        inputs = input_to_model if isinstance(input_to_model, tuple) else (input_to_model,)
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "model.onnx")
            onnx.export(model, inputs, file, verbose=verbose)
            with contextlib.redirect_stdout(None):  # tensorboardX prints the name of each value
                self.add_onnx_graph(file)


for name in """audio embedding figure histogram histogram_raw image image_with_boxes images mesh pr_curve pr_curve_raw scalars
video""".split():
    setattr(SummaryWriter, f"add_{name}", taking_tensors(getattr(tensorboardX.SummaryWriter, f"add_{name}")))

__all__ = ["SummaryWriter"]
