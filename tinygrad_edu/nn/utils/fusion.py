"""A batch normalization that always does the same, as in evaluation, written into the weights of the layer before it."""

from copy import deepcopy

from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def checked(layer, bn, name):
    """Refuse modules whose result still depends on the batch."""
    if layer.training or bn.training:
        raise AssertionError(f"{name}: fusing is for evaluation; call .eval() on both modules first")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError(f"{name}: the batch normalization has no running mean and variance; it needs track_running_stats=True")


def fuse_conv_bn_eval(conv, bn, transpose=False):
    """One convolution that computes bn(conv(x)), both in evaluation mode

    >>> import tinygrad_edu as tg
    >>> conv, bn = tg.nn.Conv2d(1, 2, 3).eval(), tg.nn.BatchNorm2d(2).eval()
    >>> x = tg.ones(1, 1, 4, 4)
    >>> tg.nn.utils.fuse_conv_bn_eval(conv, bn)(x).allclose(bn(conv(x)), atol=1e-6)
    True
    """
    checked(conv, bn, "fuse_conv_bn_eval")
    fused = deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose=False):
    """(weight, bias) of that convolution: w · bn_w / √(bn_rv + eps) and (b − bn_rm) · bn_w / √(bn_rv + eps) + bn_b"""
    scale = (bn_rv + bn_eps).rsqrt() if bn_w is None else bn_w * (bn_rv + bn_eps).rsqrt()
    trained = conv_w.requires_grad, conv_b is not None and conv_b.requires_grad
    shape = [1, -1] if transpose else [-1, 1]
    weight = conv_w * scale.reshape(shape + [1] * (conv_w.ndim - 2))
    bias = (0 if conv_b is None else conv_b) - bn_rm
    bias = bias * scale if bn_b is None else bias * scale + bn_b
    return Parameter(weight.detach().to(conv_w.dtype), trained[0]), Parameter(bias.detach().to(conv_w.dtype), trained[1])


def fuse_linear_bn_eval(linear, bn):
    """One linear layer that computes bn(linear(x)), both in evaluation mode"""
    checked(linear, bn, "fuse_linear_bn_eval")
    if bn.num_features not in (linear.out_features, 1):
        raise AssertionError(f"fuse_linear_bn_eval: the layer has {linear.out_features} outputs and the normalization {bn.num_features} "
                             "features; they must be equal, or the latter 1")  # fmt: skip
    fused = deepcopy(linear)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """(weight, bias) of that linear layer: w · bn_w / √(bn_rv + eps) and (b − bn_rm) · bn_w / √(bn_rv + eps) + bn_b"""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)
