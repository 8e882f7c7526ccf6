"""The layers, one file per family."""

from . import (
    activation,
    adaptive,
    attention,
    convolution,
    dropout,
    lazy,
    linear,
    normalization,
    padding,
    pooling,
    recurrent,
    resampling,
    reshaping,
    sparse,
    transformer,
)
from .activation import *  # noqa: F403
from .adaptive import *  # noqa: F403
from .attention import *  # noqa: F403
from .convolution import *  # noqa: F403
from .dropout import *  # noqa: F403
from .lazy import *  # noqa: F403
from .linear import *  # noqa: F403
from .normalization import *  # noqa: F403
from .padding import *  # noqa: F403
from .pooling import *  # noqa: F403
from .recurrent import *  # noqa: F403
from .resampling import *  # noqa: F403
from .reshaping import *  # noqa: F403
from .sparse import *  # noqa: F403
from .transformer import *  # noqa: F403

families = [
    activation,
    adaptive,
    attention,
    convolution,
    dropout,
    lazy,
    linear,
    normalization,
    padding,
    pooling,
    recurrent,
    resampling,
    reshaping,
    sparse,
    transformer,
]
__all__ = [name for family in families for name in family.__all__]
