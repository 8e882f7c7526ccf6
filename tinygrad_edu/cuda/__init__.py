"""What a program asks `torch.cuda` for before it decides where to run: here the answer is the CPU."""


def is_available():
    """False: tensors live on the CPU."""
    return False


is_initialized = is_bf16_supported = is_available


def device_count():
    """0: there is no such device."""
    return 0


def memory_allocated(device=None):
    """0: there is no such memory."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def accepted(doc):
    """A function that may be called, and does nothing."""

    def nothing(*args, **kwargs):
        pass

    nothing.__doc__ = f"Accepted: {doc}"
    return nothing


manual_seed = manual_seed_all = seed = seed_all = accepted("there is no such device to seed; `manual_seed` of the package seeds the CPU.")
synchronize = accepted("everything has been computed when a call returns.")
empty_cache = reset_peak_memory_stats = reset_max_memory_allocated = ipc_collect = accepted("there is no such memory.")


def refused(name):
    """A function that says that there is no such device."""

    def refuse(*args, **kwargs):
        raise RuntimeError(f"cuda.{name}: there is no such device here; ask cuda.is_available() first, and use the CPU")

    refuse.__name__, refuse.__doc__ = name, "Refused: there is no such device."
    return refuse


current_device = refused("current_device")
set_device = refused("set_device")
get_device_name = refused("get_device_name")
get_device_properties = refused("get_device_properties")
get_device_capability = refused("get_device_capability")


class nothing_to_do:  # noqa: N801 (a context, as no_grad)
    """A context that changes nothing: for streams and devices that are not there."""

    def __init__(self, *args, **kwargs):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False


device = stream = nothing_to_do


class Stream:
    """Refused: there is no such device. The class is there for annotations."""

    def __init__(self, *args, **kwargs):
        raise RuntimeError(f"cuda.{type(self).__name__}: there is no such device here; ask cuda.is_available() first, and use the CPU")


class Event(Stream):
    """Refused: there is no such device. The class is there for annotations."""


def __getattr__(name):
    """`torch.cuda.amp` is imported when it is first used."""
    if name == "amp":
        from importlib import import_module

        return import_module(f"{__name__}.amp")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; there is no such device here")
