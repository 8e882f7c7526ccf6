"""The layers, one file per family."""

from . import activation, attention, dropout, linear, padding, reshaping, sparse, transformer
from .activation import *  # noqa: F403
from .attention import *  # noqa: F403
from .dropout import *  # noqa: F403
from .linear import *  # noqa: F403
from .padding import *  # noqa: F403
from .reshaping import *  # noqa: F403
from .sparse import *  # noqa: F403
from .transformer import *  # noqa: F403

families = [activation, attention, dropout, linear, padding, reshaping, sparse, transformer]
__all__ = [name for family in families for name in family.__all__]
