"""Several gradients of the same outputs at once: `grad(…, is_grads_batched=True)`."""

import numpy as np

from .engine import grad, sequence
from .node import ancestors
from .tensor import Tensor


def rows_of_gradients(outputs, inputs, batches, retain_graph, options):
    """`grad` once for each row of the given gradients of the outputs, the results stacked."""
    if batches is None:
        raise RuntimeError("grad(is_grads_batched=True): pass grad_outputs, with one gradient of the outputs in each row")
    rows = [grad(outputs, inputs, row, retain_graph=True, **options) for row in zip(*sequence(batches))]
    if not retain_graph and not options["create_graph"]:
        for node in ancestors(*(t.node for t in outputs)):
            node.saved = None if node.op is not None and node.op.keeps_values else node.saved
    stacked = []
    for column in zip(*rows):
        if column[0] is None:
            stacked.append(None)
        elif options["create_graph"]:
            from ..ops import shapes

            stacked.append(shapes.stack(*column, axis=0))
        else:
            stacked.append(Tensor(np.stack([g.array for g in column]), None))
    return tuple(stacked)
