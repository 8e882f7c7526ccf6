"""Modules spread over devices: there is one device, so they are called as they are."""

from .layers.adaptive import DataParallel


class DistributedDataParallel(DataParallel):
    """A module shared by processes: there is one, so it is called as it is; its parameters are under `module`"""

    def __init__(self, module, device_ids=None, output_device=None, dim=0, **settings):
        super().__init__(module, device_ids, output_device, dim)


__all__ = ["DataParallel", "DistributedDataParallel"]
