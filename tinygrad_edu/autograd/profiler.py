"""What programs write around their code to measure it: accepted, nothing is measured; use time.perf_counter."""

import functools
from enum import Enum


class ProfilerActivity(Enum):
    """What could be watched."""

    CPU = 0
    CUDA = 1
    XPU = 2


class record_function:  # noqa: N801 (a context and decorator, as no_grad)
    """A named stretch of code: accepted, nothing is measured."""

    def __init__(self, name="", args=None):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    def __call__(self, function):
        @functools.wraps(function)
        def wrapped(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapped


class profile(record_function):
    """A context that could watch a program: accepted, nothing is measured."""

    def __init__(self, *args, **kwargs):
        super().__init__("profile")

    def step(self):
        """The next step begins."""

    start = stop = step

    def key_averages(self, *args, **kwargs):
        """Refused: nothing was measured."""
        raise NotImplementedError("profiler: nothing is measured here; use time.perf_counter around the code, or cProfile")

    export_chrome_trace = key_averages


def schedule(*, wait=0, warmup=0, active=1, repeat=0, skip_first=0):
    """When a profiler would watch: accepted"""
    return lambda step: None


def tensorboard_trace_handler(dir_name, worker_name=None, use_gzip=False):
    """Where a profiler would write: accepted"""
    return lambda profiler: None


__all__ = ["ProfilerActivity", "profile", "record_function", "schedule", "tensorboard_trace_handler"]
