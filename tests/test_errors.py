"""A table: calls that must fail, and the words that must appear: what was attempted, what came in, what to do."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd.operands import ShapeError, explained
from tinygrad_edu.autograd.operator import registry


def leaf(*shape):
    return tg.ones(*shape, requires_grad=True)


TABLE = [
    (lambda x: x.backward(), RuntimeError, ["[2, 3]", ".sum()", "gradient="]),
    (lambda x: x.sum().backward(tg.ones(2)), RuntimeError, ["[2]", "[]"]),
    (lambda x: tg.ones(2).sum().backward(), RuntimeError, ["does not require grad", "requires_grad=True"]),
    (lambda x: tg.autograd.grad(x.sum(), tg.ones(2)), RuntimeError, ["input 0 does not require grad"]),
    (lambda x: tg.autograd.grad(x.sum(), leaf(2)), RuntimeError, ["do not depend on input 0", "allow_unused=True"]),
    (lambda x: tg.autograd.backward([5.0]), TypeError, ["expected a Tensor", "float"]),
    (lambda x: x @ tg.ones(2, 3), ValueError, ["matmul", "[2, 3], has 3 columns", "[2, 3], has 2 rows", "x @ y.T and x.T @ y would fit"]),
    (lambda x: x @ tg.ones(4), ValueError, ["x, of shape [2, 3], has 3 columns", "y, of shape [4], has 4 rows"]),
    (lambda x: tg.ones(2, 2, 3) @ tg.ones(4, 3, 2), ValueError, ["leading dimensions", "[2, 2, 3]", "[4, 3, 2]"]),
    (lambda x: x @ tg.tensor(2.0), ValueError, ["y is a single number"]),
    (lambda x: tg.nn.Linear(2, 4)(x), ValueError, ["[2, 3], has 3", "[4, 2], takes 2", "x.T, of shape [3, 2]"]),
    (lambda x: tg.nn.Linear(12, 4)(tg.ones(5, 3, 4)), ValueError, ["x.flatten(1), of shape [5, 12], would fit"]),
    (lambda x: tg.nn.Linear(1, 4)(tg.ones(5)), ValueError, ["x[:, None]"]),
    (lambda x: tg.nn.Linear(2, 4)(tg.tensor(1.0)), ValueError, ["single number"]),
    (lambda x: tg.nn.Conv2d(3, 2, 3)(tg.ones(1, 9, 8, 3)), ValueError, ["9 channels", "x.permute(0, 3, 1, 2)"]),
    (lambda x: tg.nn.MSELoss(x, x), TypeError, ["MSELoss()(prediction, target)"]),
    (lambda x: tg.nn.functional.cross_entropy(x, [0, 1]), TypeError, ["target", "list", "tensor("]),
    (lambda x: tg.optim.SGD(tg.nn.Linear(2, 2), lr=0.1), TypeError, ["a Linear; pass its .parameters()"]),
    (lambda x: tg.optim.SGD(tg.nn.Linear(2, 2).parameters, lr=0.1), TypeError, ["call it: .parameters()"]),
    (lambda x: tg.optim.SGD(5, lr=0.1), TypeError, ["got int"]),
    (lambda x: x.detach().sum().backward(), RuntimeError, ["detach()", "argmax"]),
    (lambda x: x + tg.ones(4), ValueError, ["(2,3)", "(4,)", "3 meets 4", "or one of them 1"]),
    (lambda x: x * tg.ones(2), ValueError, ["3 meets 2", "x[:, None], [2] would fit"]),
    (lambda x: x.add_(1), RuntimeError, ["leaf", "no_grad"]),
    (lambda x: x.__setitem__(0, 1.0), RuntimeError, ["leaf", "no_grad"]),
    (lambda x: x.numpy(), RuntimeError, ["requires grad", ".detach().numpy()"]),
    (lambda x: np.asarray(x), RuntimeError, ["requires grad", "detach"]),
    (lambda x: np.sin(x, out=np.zeros((2, 3))), TypeError, ["out="]),
    (lambda x: np.fft.fft(x), TypeError, ["np.fft", "detach"]),
    (lambda x: bool(x), RuntimeError, ["6 elements", ".any()"]),
    (lambda x: x.item(), RuntimeError, ["not a single number"]),
    (lambda x: len(x.sum()), TypeError, ["0-d"]),
    (lambda x: list(x.sum()), TypeError, ["0-d"]),
    (lambda x: tg.tensor([1, 2], requires_grad=True), RuntimeError, ["only floating-point", "int64"]),
    (lambda x: tg.tensor(["a"]), TypeError, ["numbers"]),
    (lambda x: tg.tensor([[1.0], [1.0, 2.0]]), ValueError, ["different lengths"]),
    (lambda x: tg.tensor(object()), TypeError, ["object"]),
    (lambda x: tg.tensor(np.array([None])), TypeError, ["object"]),
    (lambda x: x + "text", TypeError, ["str"]),
    (lambda x: x + None, TypeError, []),
    (lambda x: x["a"], IndexError, ["str"]),
    (lambda x: x[5], IndexError, ["5"]),
    (lambda x: x[0, 0, 0], IndexError, []),
    (lambda x: x.reshape(4, 2), (RuntimeError, ValueError), ["reshape", "4"]),
    (lambda x: x.sum(5), IndexError, ["5"]),
    (lambda x: x.register_hook(lambda g: tg.ones(7)) and x.sum().backward(), RuntimeError, ["hook", "[2, 3]"]),
    (lambda x: tg.ones(2).register_hook(print), RuntimeError, ["does not require grad"]),
    (lambda x: tg.ones(2).retain_grad(), RuntimeError, ["does not require grad"]),
    (lambda x: (x * 2).register_post_accumulate_grad_hook(print), RuntimeError, ["only leaves"]),
    (lambda x: setattr(x * 2, "requires_grad", False), RuntimeError, ["only a leaf", "detach"]),
    (lambda x: setattr(x, "grad", tg.ones(3)), RuntimeError, ["[3]", "[2, 3]"]),
    (lambda x: setattr(x, "grad", 1.0), TypeError, ["expected a Tensor"]),
    (lambda x: setattr(x, "data", 1.0), TypeError, ["expected a Tensor"]),
    (lambda x: x.cuda(), RuntimeError, ["CPU"]),
    (lambda x: tg.set_default_dtype(tg.int64), TypeError, ["floating-point"]),
    (lambda x: tg.autograd.grad(x.sum(), x, is_grads_batched=True), RuntimeError, ["is_grads_batched"]),
    (lambda x: x.sum().backward(inputs=[]), RuntimeError, ["one at least"]),
    (lambda x: (x * 1).add_(tg.ones(4, 2, 3)), RuntimeError, ["shape"]),
    (lambda x: tg.arange(3).add_(1.5), RuntimeError, ["int64", "float"]),
    (lambda x: (x * 1).expand(2, 2, 3).add_(1), RuntimeError, ["clone()"]),
    (lambda x: x.gather(0, tg.tensor([[5, 0, 0]])), (IndexError, RuntimeError), ["5"]),
    (lambda x: tg.no_grad(5), TypeError, ["parentheses"]),
]


@pytest.mark.parametrize("number", range(len(TABLE)))
def test_call_fails_with_words_and_changes_nothing(number):
    call, kind, words = TABLE[number]
    x = leaf(2, 3)
    before = x.tolist()
    with pytest.raises(kind) as caught:
        call(x)
    text = " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    for word in words:
        assert word in text, f"{word!r} is not in {text!r}"
    assert x.tolist() == before and x.grad is None and x.is_leaf and x.requires_grad


UNFIT = [
    ([(2, 3), (4,)], "3 meets 4", ""),
    ([(4, 1), (2, 3)], "4 meets 2", ""),
    ([(2, 3), (2, 2)], "3 meets 2", ""),
    ([(2, 3), (2,)], "3 meets 2", "; as a column, x[:, None], [2] would fit"),
    ([(2,), (2, 3)], "2 meets 3", "; as a column, x[:, None], [2] would fit"),
    ([(2, 3, 4), (2,)], "4 meets 2", ""),
    ([(3, 3), (3,), (2,)], "3 meets 2", ""),
    ([(3,), (4,), (5,)], "3 meets 4", ""),
    ([(5, 3), (3,), (4, 3)], "5 meets 4", ""),
]


@pytest.mark.parametrize("shapes, sizes, column", UNFIT)
def test_shapes_that_do_not_fit_are_told_where(shapes, sizes, column):
    for call in (tg.add, tg.eq, tg.maximum) if len(shapes) == 2 else (tg.where,):
        with pytest.raises(ShapeError) as caught:
            call(*[tg.ones(s, dtype=tg.bool if call is tg.where and s is shapes[0] else None) for s in shapes])
        numpy, _, hint = str(caught.value).partition("; ")
        assert numpy == f"operands could not be broadcast together with shapes {' '.join(str(s).replace(' ', '') for s in shapes)}"
        assert hint == f"written one below the other from the right, {sizes}, and sizes must be equal, or one of them 1{column}"


@pytest.mark.parametrize("words", ["operands could not be broadcast together with shapes (2,3) (3,) ()", "shapes (2,) (3,)"])
def test_other_errors_are_not_explained(words):
    assert str(explained(ValueError(words), registry["add"], [], {})) == words


def test_forward_errors_carry_one_note():
    with pytest.raises(ValueError) as caught:
        tg.ones(2, 3, requires_grad=True) @ tg.ones(2, 3)
    (note,) = caught.value.__notes__
    assert "matmul(float32[2, 3], float32[2, 3])" in note and "@" in note
