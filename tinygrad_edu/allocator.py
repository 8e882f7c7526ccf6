"""One block of memory, taken and given back at import, after which glibc keeps freed arrays for the next step.

Without it, every array of a megabyte is returned to the operating system and faulted in again at each training step: half
the time of medium-sized elementwise work. A block just under 32 MB raises the thresholds of glibc's malloc (mallopt(3),
M_MMAP_THRESHOLD, which is dynamic); it is never touched, and harmless elsewhere. TINYGRAD_EDU_MALLOC=0 switches it off.
"""

import os

import numpy as np

if os.environ.get("TINYGRAD_EDU_MALLOC", "1") != "0":
    np.empty(2**25 - 2**16, np.uint8)
