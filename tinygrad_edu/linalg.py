"""Linear algebra under the name that PyTorch users know: `tinygrad_edu.linalg`. The functions are in api/linalg.py."""

from .api.linalg import *  # noqa: F403
from .api.linalg import __all__ as __all__
