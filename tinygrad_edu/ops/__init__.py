"""What can be computed: one file per family, one definition per operator."""

from . import (
    activations,
    arithmetic,
    functions,
    fused,
    incomplete,
    indexing,
    linalg,
    losses,
    normalization,
    products,
    recurrent,
    reductions,
    shapes,
    special,
    windows,
)

__all__ = ["activations", "arithmetic", "functions", "fused", "incomplete", "indexing", "linalg", "losses", "normalization", "products", "recurrent", "reductions",
           "shapes", "special", "windows"]  # fmt: skip

