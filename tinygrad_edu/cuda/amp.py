"""Mixed precision for a device that is not there, under PyTorch's former path: switched off."""

from ..amp import custom_bwd, custom_fwd
from ..amp import for_cuda as autocast
from ..amp import scaler_for_cuda as GradScaler  # noqa: N812 (PyTorch's name)

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]
