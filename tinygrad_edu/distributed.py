"""A group of processes in PyTorch's words, where there is one: what is summed, sent or gathered comes back as it was."""

import os
from types import SimpleNamespace

__all__ = ["ReduceOp", "all_gather", "all_gather_into_tensor", "all_gather_object", "all_reduce", "barrier", "broadcast", "broadcast_object_list",
           "destroy_process_group", "gather", "get_backend", "get_rank", "get_world_size", "group", "init_process_group", "is_available", "is_gloo_available",
           "is_initialized", "is_mpi_available", "is_nccl_available", "is_torchelastic_launched", "monitored_barrier", "new_group", "reduce",
           "reduce_scatter_tensor", "scatter"]  # fmt: skip

ReduceOp = SimpleNamespace(**{name: name for name in ("SUM", "AVG", "PRODUCT", "MIN", "MAX", "BAND", "BOR", "BXOR")})
group = SimpleNamespace(WORLD=None)
state = SimpleNamespace(backend=None)


def is_available():
    """True: programs of one process run; more of them are refused by `init_process_group`."""
    return True


def no():
    """False: there is one process, on the CPU."""
    return False


is_nccl_available = is_mpi_available = is_gloo_available = is_torchelastic_launched = no


def is_initialized():
    """True between `init_process_group` and `destroy_process_group`"""
    return state.backend is not None


def init_process_group(backend=None, init_method=None, timeout=None, world_size=-1, rank=-1, store=None, group_name="", **settings):
    """Begin a group of one process; an error for more

    >>> import tinygrad_edu as tg
    >>> tg.distributed.init_process_group("gloo", world_size=1, rank=0)
    >>> tg.distributed.get_world_size()
    1
    >>> tg.distributed.destroy_process_group()
    """
    size = int(os.environ.get("WORLD_SIZE", 1)) if world_size < 0 else world_size
    if size != 1:
        raise RuntimeError(f"init_process_group: a group of {size} processes was asked for, and this library runs in one; start one process, "
                           "with WORLD_SIZE=1")  # fmt: skip
    state.backend = backend or "gloo"


def destroy_process_group(group=None):
    """End the group"""
    state.backend = None


def check():
    """Refuse what needs a group while there is none."""
    if state.backend is None:
        raise ValueError("Default process group has not been initialized, please make sure to call init_process_group.")


def get_backend(group=None):
    """The name that was given to `init_process_group`"""
    check()
    return state.backend


def get_rank(group=None):
    """0: the number of this process"""
    check()
    return 0


def get_world_size(group=None):
    """1: the number of processes"""
    check()
    return 1


def new_group(ranks=None, timeout=None, backend=None, **settings):
    """A part of the group: the same process"""
    check()
    return SimpleNamespace(size=lambda: 1, rank=lambda: 0)


def done(async_op):
    """What a call returns: nothing, or with async_op a thing to wait for."""
    check()
    return SimpleNamespace(wait=lambda timeout=None: True, is_completed=lambda: True) if async_op else None


def barrier(group=None, async_op=False, device_ids=None):
    """Wait for the others, of which there are none"""
    return done(async_op)


def monitored_barrier(group=None, timeout=None, wait_all_ranks=False):
    """Wait for the others, of which there are none"""
    return done(False)


def all_reduce(tensor, op=ReduceOp.SUM, group=None, async_op=False):
    """The sum over one process: the tensor stays as it is"""
    return done(async_op)


def reduce(tensor, dst=0, op=ReduceOp.SUM, group=None, async_op=False, group_dst=None):
    """The sum over one process: the tensor stays as it is"""
    return done(async_op)


def broadcast(tensor, src=0, group=None, async_op=False, group_src=None):
    """Sent to nobody: the tensor stays as it is"""
    return done(async_op)


def broadcast_object_list(object_list, src=0, group=None, device=None, group_src=None):
    """Sent to nobody: the list stays as it is"""
    return done(False)


def copied(target, source, async_op):
    """Write the one process's tensor where the group's tensors are collected."""
    check()
    target.detach().copy_(source.detach().reshape(target.shape))
    return done(async_op)


def all_gather(tensor_list, tensor, group=None, async_op=False):
    """The tensors of all processes written into a list of tensors: of one"""
    return copied(tensor_list[0], tensor, async_op)


def all_gather_into_tensor(output_tensor, input_tensor, group=None, async_op=False):
    """The tensors of all processes, joined: of one"""
    return copied(output_tensor, input_tensor, async_op)


def reduce_scatter_tensor(output, input, op=ReduceOp.SUM, group=None, async_op=False):
    """This process's part of the sum: all of it"""
    return copied(output, input, async_op)


def all_gather_object(object_list, obj, group=None):
    """The objects of all processes written into a list: one"""
    check()
    object_list[0] = obj


def gather(tensor, gather_list=None, dst=0, group=None, async_op=False, group_dst=None):
    """The tensors of all processes written into the list of process `dst`: one"""
    return copied(gather_list[0], tensor, async_op)


def scatter(tensor, scatter_list=None, src=0, group=None, async_op=False, group_src=None):
    """This process's entry of the list of process `src`: the first"""
    return copied(tensor, scatter_list[0], async_op)
