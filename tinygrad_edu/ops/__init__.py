"""What can be computed: one file per family, one definition per operator."""

from . import activations, arithmetic, functions, indexing, losses, products, reductions, shapes

__all__ = ["activations", "arithmetic", "functions", "indexing", "losses", "products", "reductions", "shapes"]
