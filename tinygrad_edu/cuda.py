"""What a program asks `torch.cuda` for before it decides where to run: here the answer is the CPU."""


def is_available():
    """False: tensors live on the CPU."""
    return False


def device_count():
    """0: there is no such device."""
    return 0


def manual_seed(seed):
    """Accepted: there is no such device to seed; `manual_seed` of the package seeds the CPU."""


manual_seed_all = manual_seed


def synchronize(device=None):
    """Accepted: everything has been computed when a call returns."""


def empty_cache():
    """Accepted: there is no such memory."""
