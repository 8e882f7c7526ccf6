"""What `recording()` and `detect_anomaly()` write down of each step: its value, its inputs and the user's line."""

import sys
from weakref import ref

import numpy as np

from . import modes
from .lines import spot_of, variable
from .node import note_of
from .tensor import Tensor


def record(node, out, arrays, args):
    """For pictures and anomaly messages: the value, the inputs, and the user's line that computed it."""
    note, frame = note_of(node), users_frame()
    note.spot, note.module = spot_of(frame), modes.state.module
    note.line = frame and (frame.f_code.co_filename, frame.f_lineno)
    note.givers = [ref(a) if isinstance(a, (Tensor, np.ndarray)) else None for a in args]
    note.origins = [ref(a.base) if isinstance(a, Tensor) and a.node is None and a.base is not None else None for a in args]
    if modes.state.anomaly:
        note.names = [variable(a, frame) for a in args]
    if modes.state.recording:
        note.value = out if node.op.kind == "function" else copied(out)  # what a Function kept is found again by its identity
        note.inputs = [copied(a) for a in arrays]


def copied(array):
    """A recorded array; a small one is copied, so that x += 1 or a later step of training does not change the picture."""
    return array.copy() if isinstance(array, np.ndarray) and array.size <= 10_000 else array


FOLDER = __file__[: -len("autograd/recorder.py")]


def own_code(filename):
    """True for a file of this package, and for what specialize.py writes."""
    return filename.startswith(FOLDER) or filename.endswith(", specialised>")


def users_frame():
    """The innermost frame that is not this package's own, or None."""
    frame = sys._getframe(1)
    while frame is not None:
        if not own_code(frame.f_code.co_filename):
            break
        frame = frame.f_back
    return frame
