"""The switches of `torch.backends` that programs set or ask for: remembered, and without effect on the CPU with NumPy."""

import contextlib
import sys
from types import ModuleType, SimpleNamespace

cudnn = SimpleNamespace(enabled=False, benchmark=False, deterministic=True, allow_tf32=False, is_available=lambda: False)
cuda = SimpleNamespace(matmul=SimpleNamespace(allow_tf32=False), is_built=lambda: False)
mps = SimpleNamespace(is_available=lambda: False, is_built=lambda: False)
mkl = SimpleNamespace(is_available=lambda: False)
mkldnn = SimpleNamespace(enabled=False, is_available=lambda: False)
cpu = SimpleNamespace(get_cpu_capability=lambda: "DEFAULT")


@contextlib.contextmanager
def flags(enabled=False, benchmark=False, benchmark_limit=10, deterministic=False, allow_tf32=True, fp32_precision="none"):
    """`torch.backends.cudnn.flags`: inside, the switches have these values"""
    given, before = dict(locals()), vars(cudnn).copy()
    vars(cudnn).update(given)
    try:
        yield
    finally:
        vars(cudnn).update(before)


cudnn.flags, cudnn.version = flags, lambda: None


@contextlib.contextmanager
def sdp_kernel(enable_flash=True, enable_math=True, enable_mem_efficient=True, enable_cudnn=True):
    """`torch.backends.cuda.sdp_kernel`: which of a device's attentions may be used; here there is one, and it stays"""
    yield


cuda.sdp_kernel = sdp_kernel
for kind in ("flash", "math", "mem_efficient", "cudnn"):
    setattr(cuda, f"enable_{kind}_sdp", lambda enabled: None)
    setattr(cuda, f"{kind}_sdp_enabled", lambda: True)

for name in ("cudnn", "cuda", "mps", "mkl", "mkldnn", "cpu"):  # modules, for programs say `import torch.backends.cudnn as cudnn`
    module = ModuleType(f"{__name__}.{name}", f"The switches of `torch.backends.{name}`.")
    vars(module).update(vars(globals()[name]))
    sys.modules[module.__name__] = globals()[name] = module
