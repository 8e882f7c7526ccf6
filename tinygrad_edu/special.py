"""Special functions under the name that PyTorch users know: `tinygrad_edu.special`. The functions are in api/special.py."""

from .api.special import *  # noqa: F403
from .api.special import __all__ as __all__
