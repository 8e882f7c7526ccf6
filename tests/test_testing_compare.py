"""assert_close and make_tensor: PyTorch's answers, and messages that show where two values differ."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.testing import assert_close, make_tensor

SAME = [
    (tg.tensor([0.1 + 0.2]), tg.tensor([0.3]), {}),
    (np.array([1.0]), np.array([1.0 + 9e-8]), {}),
    (1, 1, {}),
    (1.0, 1.0 + 1e-9, {}),
    (True, True, {}),
    (None, None, {}),
    ([tg.ones(2), (1.0, {"a": np.arange(3)})], [tg.ones(2), (1.0, {"a": np.arange(3)})], {}),
    (tg.tensor([np.nan]), tg.tensor([np.nan]), dict(equal_nan=True)),
    (np.array([np.inf, -np.inf]), np.array([np.inf, -np.inf]), {}),
    (tg.ones(2), tg.ones(2).double(), dict(check_dtype=False)),
    (np.array([100]), np.array([101]), dict(rtol=0.02, atol=0.0)),
    (tg.zeros(0, 3), tg.zeros(0, 3), {}),
    (np.ones((2, 3)), np.asfortranarray(np.ones((2, 3))), {}),
    (1, 1.0, dict(check_dtype=False)),
]


@pytest.mark.parametrize("actual, expected, options", SAME)
def test_equal_values_pass(actual, expected, options):
    assert assert_close(actual, expected, **options) is None


DIFFERENT = [
    (tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]), {}, ["1 of 2 elements (50%), float32[2]", "[1]", "off by 2 (relative 0.5)"]),
    (np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 3.0], [2.0, 4.0]]), {}, ["2 of 4", "transposed", "worst relative at [1, 0]"]),
    (np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]), {}, ["actual = 0.5 · expected, everywhere"]),
    (np.array([1.0, -2.0]), np.array([-1.0, 2.0]), {}, ["only the sign differs"]),
    (np.array([0.0, 0.0]), np.array([1.0, 2.0]), {}, ["actual is 0 everywhere"]),
    (np.array([2.0, 3.0, 5.0]), np.array([1.0, 2.0, 5.0]), {}, ["actual = expected + 1"]),
    (np.array([2.0, 3.0, 5.0]), np.array([5.0, 2.0, 3.0]), {}, ["in another order"]),
    (np.array([1.0, np.nan]), np.array([1.0, 2.0]), {}, ["actual has 1 NaN", "off by inf"]),
    (np.array([np.inf]), np.array([-np.inf]), {}, ["off by inf"]),
    (tg.tensor(1.5), tg.tensor(1.0), {}, ["actual 1.5, expected 1", "off by 0.5"]),
    (1.5, 1.0, {}, ["the numbers differ"]),
    (tg.ones(2, 1), tg.ones(2), {}, ["shapes differ: actual [2, 1], expected [2]", "size 1"]),
    (tg.ones(2, 3), tg.ones(3, 2), {}, ["transposed"]),
    (tg.ones(2), tg.ones(2).double(), {}, ["dtypes differ: actual float32, expected float64", "check_dtype=False"]),
    (1, 1.0, {}, ["actual int, expected float"]),
    (np.arange(3), np.arange(3) + 1, {}, ["allowed: nothing"]),
    (np.ones((2, 3)), np.asfortranarray(np.ones((2, 3))), dict(check_stride=True), ["strides differ: actual (3, 1), expected (1, 2)"]),
    ([1.0], [1.0, 2.0], {}, ["1 and 2 items"]),
    ({"a": 1, "b": 2}, {"a": 1, "c": 3}, {}, ["missing ['c']", "unexpected ['b']"]),
    ({"w": [tg.ones(2), tg.ones(2)]}, {"w": [tg.ones(2), tg.zeros(2)]}, {}, ["at ['w'][1]: "]),
    ("a", "b", {}, ["actual is 'a', expected 'b'"]),
    (None, 1.0, {}, ["actual is None"]),
    ([1.0], 1.0, {}, ["actual is a list, expected a float"]),
    (np.ones(2), tg.ones(2).double(), dict(allow_subclasses=False), ["ndarray", "Tensor"]),
    (np.arange(20.0), np.arange(20.0)[::-1] + 100, {}, ["20 of 20", "… and 15 more"]),
]  # fmt: skip


@pytest.mark.parametrize("actual, expected, options, texts", DIFFERENT)
def test_messages(actual, expected, options, texts):
    with pytest.raises(AssertionError) as caught:
        assert_close(actual, expected, **options)
    for text in texts:
        assert text in str(caught.value)
    assert max(map(len, str(caught.value).splitlines())) <= 80


def test_worst_is_the_worst():
    with pytest.raises(AssertionError, match=r"worst at \[1, 2\]: off by 7 ") as caught:
        assert_close(np.array([[0.0, 1, 2], [3, 4, 12]]), np.array([[0.5, 1, 2], [3, 4, 5]]))
    assert "2 of 6 elements (33.3%)" in str(caught.value)


def test_own_message():
    with pytest.raises(AssertionError, match="^mine$"):
        assert_close(1.0, 2.0, msg="mine")
    with pytest.raises(AssertionError, match="^layer 3: the numbers differ"):
        assert_close(1.0, 2.0, msg=lambda text: f"layer 3: {text}")


def test_arguments():
    with pytest.raises(ValueError, match="both rtol and atol"):
        assert_close(1.0, 1.0, rtol=0.1)
    with pytest.raises(TypeError, match="cannot compare a object"):
        assert_close(object(), 1.0)


def test_tensors_with_history_and_of_pytorch():
    x = tg.ones(2, requires_grad=True)
    assert_close(x * 2, 2 * tg.ones(2))
    torch = pytest.importorskip("torch")
    assert_close(torch.ones(2, requires_grad=True), tg.ones(2))


def test_the_same_verdicts_as_pytorchs():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for dtype in ("float32", "float64", "int64", "float16"):
        for size in (1e-9, 1e-7, 3e-7, 1e-6, 1e-5, 1.2e-5, 1e-4, 1e-3, 1e-2):
            a = (rng.normal(size=4) * 3).astype(dtype)
            b = (a + np.asarray(size, dtype)).astype(dtype)
            ours, theirs = (verdict(f, x, y) for f, x, y in [
                (assert_close, tg.tensor(a), tg.tensor(b)), (torch.testing.assert_close, torch.tensor(a), torch.tensor(b))])  # fmt: skip
            assert ours == theirs, (dtype, size)


def verdict(check, a, b):
    try:
        check(a, b)
    except AssertionError:
        return False
    return True


# --- make_tensor ------------------------------------------------------------------------------------------------------

MADE = [dict(dtype="float32"), dict(dtype="float64", low=1, high=2), dict(dtype="int64"), dict(dtype="uint8"), dict(dtype="bool"),
        dict(dtype="float32", noncontiguous=True), dict(dtype="int32", exclude_zero=True), dict(dtype="uint8", low=-5, high=300),
        dict(dtype="int8", low=1.5, high=3.5)]  # fmt: skip


@pytest.mark.parametrize("options", MADE, ids=str)
@pytest.mark.parametrize("shape", [(2, 3), (5,), (), (0, 2)], ids=str)
def test_made(options, shape):
    options = options | dict(dtype=getattr(tg, options["dtype"]))
    x = make_tensor(shape, **options)
    low, high = options.get("low", -9), options.get("high", 10)
    assert x.shape == shape and x.dtype == options["dtype"] and not x.requires_grad
    assert ((x.numpy() >= low) & (x.numpy() <= high)).all()
    assert x.is_contiguous() == (not options.get("noncontiguous") or x.numel() < 2)
    if options.get("exclude_zero"):
        assert all((make_tensor(50, **options) != 0).all() for _ in range(20))


@pytest.mark.parametrize("options", MADE, ids=str)
def test_pytorchs_numbers(options):
    torch = pytest.importorskip("torch")
    for shape in [(2, 3), (5,), ()]:
        rows = []
        for lib, make in ((torch, torch.testing.make_tensor), (tg, make_tensor)):
            lib.manual_seed(3)
            rows.append(make(shape, device="cpu", **options | dict(dtype=getattr(lib, options["dtype"]))).numpy())
        assert np.array_equal(*rows) and rows[0].strides == rows[1].strides


def test_recorded_numbers():
    tg.manual_seed(3)
    assert make_tensor(3, dtype=tg.float32).numpy() == pytest.approx([-8.923257, -7.0997515, -3.8548355], abs=1e-6)


def test_arguments_of_make_tensor():
    assert make_tensor(2, 3, dtype=tg.float64, requires_grad=True).requires_grad
    for options, text in [(dict(dtype=tg.int64, requires_grad=True), "cannot require grad"), (dict(dtype=tg.float32, low=2, high=1), "less than"),
                          (dict(dtype=tg.uint8, low=300, high=400), "outside"), (dict(dtype=tg.float32, low=float("nan")), "must be numbers"),
                          (dict(dtype=tg.float32, noncontiguous=True, memory_format=tg.contiguous_format), "exclude each other")]:  # fmt: skip
        with pytest.raises(ValueError, match=text):
            make_tensor(2, 3, **options)
    with pytest.raises(TypeError, match="dtype"):
        make_tensor(2, 3)
