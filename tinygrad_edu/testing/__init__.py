"""Tools for testing gradients, layers, optimizers and engines: yours, ours, or anybody's with NumPy in and out.

>>> import tinygrad_edu as tg
>>> tg.testing.assert_close(tg.tensor([0.1 + 0.2]), tg.tensor([0.3]))

What needs hypothesis (the strategies, `gradtest`, `program_machine`) is imported when it is first used.
"""

from importlib import import_module

from ..autograd import GradcheckError, check_gradient, check_gradients, gradcheck, gradgradcheck
from .checklist import CheckError, Result
from .claims import check_function
from .compare import assert_allclose, assert_close
from .domains import ANYWHERE, NONZERO, POSITIVE, PROBABILITY, SMOOTH, UNIT, Domain, domain_of
from .make import make_tensor
from .modules import check_module
from .optimizers import check_optimizer, check_training_step
from .programs import Engine, Operation, check_engine

LATER = dict.fromkeys("arrays axes broadcastable_shapes broadcastable_tensors dtypes elements indices matmul_shapes matmul_tensors shapes "
                      "tensors".split(), "strategies") | dict(gradtest="property_tests", program_machine="machine")  # fmt: skip


def __getattr__(name):
    """What draws random cases needs hypothesis, which not everybody has."""
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{LATER[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "hypothesis":
            raise
        raise ImportError(f'tinygrad_edu.testing.{name} needs hypothesis; run  pip install "tinygrad_edu[testing]"') from error


def __dir__():
    return sorted({*globals(), *LATER})


__all__ = ["ANYWHERE", "NONZERO", "POSITIVE", "PROBABILITY", "SMOOTH", "UNIT", "CheckError", "Domain", "Engine", "GradcheckError", "Operation", "Result", "arrays",
           "assert_allclose", "assert_close", "axes", "broadcastable_shapes", "broadcastable_tensors", "check_engine", "check_function", "check_gradient",
           "check_gradients", "check_module", "check_optimizer",
           "check_training_step", "domain_of", "dtypes", "elements", "gradcheck", "gradgradcheck", "gradtest", "indices", "make_tensor",
           "matmul_shapes", "matmul_tensors", "program_machine", "shapes", "tensors"]  # noqa: F822  # fmt: skip
