"""Composites: functions made of operators, entered in the registry so that they get the same tests and docs row."""

import inspect

from .operator import numpy_functions, registry


class Composite:
    """A function made of operators: no rule of its own, but tested and documented like one."""

    def __init__(self, function, samples, domain):
        self.function, self.name, self.kind = function, function.__name__, "composite"
        self.doc = inspect.getdoc(function) or ""
        self.formula = self.doc.partition("\n")[0]
        self.samples, self.domain = list(samples), domain


def composite(*numpy, samples=(), domain=None):
    """A function made of operators, entered in the registry so that it gets the same tests and docs row."""

    def decorate(function):
        function.op = registry[function.__name__] = Composite(function, samples, domain)
        for f in numpy:
            numpy_functions[f] = function
        return function

    return decorate
