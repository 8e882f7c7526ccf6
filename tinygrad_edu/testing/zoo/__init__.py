"""The bug zoo: programs with one planted bug each, hints on request, and a checker that knows when the bug is gone.

`python -m tinygrad_edu.testing zoo` lists the exercises; `zoo.exercises` is the same as data.

>>> from tinygrad_edu.testing import zoo
>>> zoo.exercises["forgotten-zero-grad"].title
'Each step a little wilder'
"""

from dataclasses import replace

from . import engines, layers, training
from .checks import check
from .exercise import Exercise

planted = [exercise for module in (engines, layers, training) for exercise in module.EXERCISES]
exercises = {exercise.name: replace(exercise, number=number) for number, exercise in enumerate(planted, 1)}

__all__ = ["Exercise", "check", "exercises"]
