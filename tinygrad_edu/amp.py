"""Mixed precision as programs ask for it: computation here always keeps the precision of its tensors.

`autocast` that is switched off, or meant for a device that is not there, changes nothing; one that would compute in bfloat16 on the CPU is
refused, for its numbers would differ. `GradScaler` works on the CPU and is off for a device that is not there, both as in PyTorch.
"""

import functools
import warnings
from collections import defaultdict

import numpy as np

from .autograd.modes import no_grad


class autocast:
    """A context, or decorator, that changes nothing unless it would have to compute in half precision: then it is an error."""

    def __init__(self, device_type="cuda", dtype=None, enabled=True, cache_enabled=None):
        self.device, self.fast_dtype, self._enabled = str(device_type), dtype, bool(enabled)
        if self._enabled and self.device != "cpu":
            warnings.warn(f"autocast({self.device!r}): there is no such device here, so it is switched off", UserWarning, stacklevel=2)
            self._enabled = False

    def __enter__(self):
        if self._enabled:
            raise NotImplementedError("autocast('cpu'): computing in bfloat16 or float16 is not supported; pass enabled=False, and convert "
                                      "model and data to float32 or float64")  # fmt: skip
        return self

    def __exit__(self, *error):
        return False

    def __call__(self, function):
        @functools.wraps(function)
        def decorated(*args, **kwargs):
            with self:
                return function(*args, **kwargs)

        return decorated


class GradScaler:
    """Multiplies the loss so that small gradients do not vanish in half precision, and divides the gradients before the step.

    >>> import tinygrad_edu as tg
    >>> w = tg.nn.Parameter(tg.tensor([2.0]))
    >>> scaler, optimizer = tg.amp.GradScaler("cpu"), tg.optim.SGD([w], lr=0.1)
    >>> scaler.scale((w * w).sum()).backward(); scaler.step(optimizer); scaler.update(); w.data
    tensor([1.6000])
    """

    def __init__(self, device="cuda", init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
        self._device, self._enabled = str(device), bool(enabled)
        if self._enabled and self._device != "cpu":
            warnings.warn(f"GradScaler({self._device!r}): there is no such device here, so it is switched off", UserWarning, stacklevel=2)
            self._enabled = False
        if self._enabled and not (growth_factor > 1 and backoff_factor < 1):
            raise ValueError(f"GradScaler: growth_factor={growth_factor} must be over 1 and backoff_factor={backoff_factor} under 1")
        self._scale, self._growth_factor, self._backoff_factor = float(init_scale), growth_factor, backoff_factor
        self._growth_interval, self._growth_tracker = growth_interval, 0
        self._states = defaultdict(dict)  # id of an optimizer → whether its gradients are divided, and whether they are infinite

    def scale(self, outputs):
        """A loss, or each of several, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(self.scale(x) for x in outputs)
        return outputs * self._scale

    @no_grad()
    def unscale_(self, optimizer):
        """Divide the gradients of an optimizer's parameters by the scale, once between two updates."""
        if not self._enabled:
            return
        state = self._states[id(optimizer)]
        if "infinite" in state:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        state["infinite"] = any(not np.isfinite(g.array).all() for g in gradients)
        for g in gradients:
            g.mul_(1 / self._scale)

    def step(self, optimizer, *args, **kwargs):
        """optimizer.step(), unless a gradient is infinite or NaN."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("GradScaler.step: a closure is not supported; call the optimizer's step yourself")
        state = self._states[id(optimizer)]
        if state.get("stepped"):
            raise RuntimeError("step() has already been called since the last update().")
        if "infinite" not in state:
            self.unscale_(optimizer)
        state["stepped"] = True
        return None if state["infinite"] else optimizer.step(*args, **kwargs)

    def update(self, new_scale=None):
        """Make the scale smaller if a gradient was infinite, larger if none was for a while."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not any("infinite" in state for state in self._states.values()):
            raise RuntimeError("GradScaler.update: no gradients were checked since the last update; call step(optimizer) first")
        elif any(state.get("infinite") for state in self._states.values()):
            self._scale, self._growth_tracker = self._scale * self._backoff_factor, 0
        else:
            self._growth_tracker += 1
            if self._growth_tracker == self._growth_interval:
                self._scale, self._growth_tracker = self._scale * self._growth_factor, 0
        self._states.clear()

    def get_scale(self):
        """The scale; 1 where this is switched off."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self):
        """By what the scale is multiplied when it grows."""
        return self._growth_factor

    def get_backoff_factor(self):
        """By what the scale is multiplied when a gradient was infinite."""
        return self._backoff_factor

    def get_growth_interval(self):
        """After how many good steps the scale grows."""
        return self._growth_interval

    def is_enabled(self):
        """False where there is no such device."""
        return self._enabled

    def state_dict(self):
        """Numbers to be saved; nothing where this is switched off."""
        if not self._enabled:
            return {}
        return dict(scale=self._scale, growth_factor=self._growth_factor, backoff_factor=self._backoff_factor,
                    growth_interval=self._growth_interval, _growth_tracker=self._growth_tracker)  # fmt: skip

    def load_state_dict(self, state_dict):
        """Take over what `state_dict()` gave."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("GradScaler.load_state_dict: the state is empty, as that of a scaler that is switched off")
        self._scale, self._growth_tracker = float(state_dict["scale"]), state_dict["_growth_tracker"]
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]


def custom_fwd(fwd=None, *, device_type="cuda", cast_inputs=None):
    """Accepted on a Function's forward: nothing is cast here."""
    return fwd if fwd is not None else functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)


def custom_bwd(bwd=None, *, device_type="cuda"):
    """Accepted on a Function's backward: nothing is cast here."""
    return bwd if bwd is not None else functools.partial(custom_bwd, device_type=device_type)


def is_autocast_available(device_type):
    """False: no device here computes in half precision by itself."""
    return False


def for_cuda(enabled=True, dtype=None, cache_enabled=True):
    """torch.cuda.amp.autocast: that of a device that is not there."""
    return autocast("cuda", dtype, enabled, cache_enabled)


def scaler_for_cuda(init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000, enabled=True):
    """torch.cuda.amp.GradScaler: that of a device that is not there."""
    return GradScaler("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]
