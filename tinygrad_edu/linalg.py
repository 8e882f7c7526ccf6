"""Linear algebra under the name that PyTorch users know: `tinygrad_edu.linalg`. The functions are in api/linalg.py and api/factors.py."""

from .api.factors import *  # noqa: F403
from .api.factors import __all__ as factors
from .api.linalg import *  # noqa: F403
from .api.linalg import __all__ as algebra

__all__ = [*algebra, *factors]
