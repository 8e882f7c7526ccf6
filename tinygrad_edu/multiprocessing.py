"""`torch.multiprocessing`: Python's own module. Tensors travel between processes as copies, so nothing is shared by two of them."""

from multiprocessing import *  # noqa: F403
from multiprocessing import __all__ as standard

__all__ = ["get_all_sharing_strategies", "get_sharing_strategy", "set_sharing_strategy", "spawn", *standard]


def get_all_sharing_strategies():
    """{"file_descriptor"}: the one name there is; it makes no difference"""
    return {"file_descriptor"}


def get_sharing_strategy():
    """file_descriptor: the one name there is; it makes no difference"""
    return "file_descriptor"


def set_sharing_strategy(new_strategy):
    """Accepted: tensors travel as copies. Raises AssertionError for a name that is none of `get_all_sharing_strategies()`"""
    assert new_strategy in get_all_sharing_strategies(), f"set_sharing_strategy: {new_strategy!r} is not one of {get_all_sharing_strategies()}"


def spawn(fn, args=(), nprocs=1, join=True, daemon=False, start_method="spawn"):
    """Run fn(i, *args) in one process for each i < nprocs. Returns None, or with join=False the processes.

    Raises RuntimeError if one of them ends with an error.
    """
    context = get_context(start_method)  # noqa: F405
    processes = [context.Process(target=fn, args=(i, *args), daemon=daemon) for i in range(nprocs)]
    for process in processes:
        process.start()
    if not join:
        return processes
    for process in processes:
        process.join()
    failed = {i: process.exitcode for i, process in enumerate(processes) if process.exitcode}
    if failed:
        raise RuntimeError(f"spawn: of {nprocs} processes these ended with an error (number: exit code): {failed}")
    return None
