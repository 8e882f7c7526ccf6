"""What a program asks `torch.accelerator` for before it decides where to run: there is none beside the CPU."""


def is_available():
    """False: tensors live on the CPU."""
    return False


def current_accelerator(check_available=False):
    """None: there is no such device."""
    return None


def device_count():
    """0: there is no such device."""
    return 0


def synchronize(device=None):
    """Accepted: everything has been computed when a call returns."""
