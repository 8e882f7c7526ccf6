"""Compiled steps: a training step is written down once, call by call, and replayed as one straight function of NumPy.

Read tape.py (what is written down), recorder.py (the arrays that write), surroundings.py (what a step can see besides its
arguments), program.py (from the tape to a function), scalar.py (the same for tiny networks, without arrays), and step.py
(when to record, to verify and to replay).
"""

from .errors import CompileError
from .step import CompiledStep

__all__ = ["CompileError", "CompiledStep"]
