"""Compiled steps: a training step is written down once, call by call, and replayed as one straight function of NumPy.

Read tape.py (what is written down), recorder.py (the arrays that write), passes.py (which calls matter), program.py (from
calls to a function) and scalar.py (the same for tiny networks, without arrays); then recording.py (one recording),
surroundings.py (what a step sees besides its arguments), plan.py (what must still be so) and step.py (when to record, to
verify, to replay). text.py and places.py are tools: for Python as text, and for putting things back.
"""

from .errors import CompileError
from .step import CompiledStep

__all__ = ["CompileError", "CompiledStep"]
