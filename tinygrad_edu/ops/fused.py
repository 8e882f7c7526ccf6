"""Two layers in one step: small networks are all overhead, and one node with one rule halves it."""

from ..autograd.operator import general
from ..autograd.refusals import alike
from .activations import sigmoid, sigmoid_rule
from .products import affine, linear_bias, linear_input, linear_weight

affine_of, sigmoid_of = affine.op.forward, sigmoid.op.forward


def affine_sigmoid_rule(g, x, weight, out, needs):
    """The gradient before the sigmoid, g · out · (1 − out), handed on as the affine map does"""
    g = sigmoid_rule(g, out)
    return (
        linear_input(g, weight) if needs[0] else None,
        linear_weight(g, x) if needs[1] else None,
        linear_bias(g) if needs[2] else None,
    )


@general(symbol="σ(linear)", samples=[((4, 3), (2, 3), (2,)), ((3,), (2, 3), (2,)), ((2, 2, 3), (4, 3), (4,)), ((4, 3), (2, 3))],
         promote=("x", "weight", "bias"), together=affine_sigmoid_rule, refuse=alike)  # fmt: skip
def affine_sigmoid(x, weight, bias=None):
    """σ(x @ weightᵀ + bias), shapes (…, in), (out, in), (out) → (…, out)"""
    return sigmoid_of(affine_of(x, weight, bias))
