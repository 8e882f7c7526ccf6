"""Threads: modes belong to each, and two of them train to the same bits as one after the other."""

import threading

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.autograd import modes


def in_threads(*functions):
    """Run the functions at the same time; return their results, or raise the first error."""
    results, errors = [None] * len(functions), []
    barrier = threading.Barrier(len(functions))

    def work(k, function):
        try:
            barrier.wait()
            results[k] = function()
        except BaseException as error:  # handed to the main thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k, f)) for k, f in enumerate(functions)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
    return results


def train(seed):
    """A small network, trained for a while; the bytes of its weights."""
    rng = np.random.default_rng(seed)
    x, y = tg.tensor(rng.normal(size=(8, 3))), tg.tensor(rng.normal(size=(8, 1)))
    w1 = tg.tensor(rng.normal(size=(3, 4)), requires_grad=True)
    w2 = tg.tensor(rng.normal(size=(4, 1)), requires_grad=True)
    for k in range(60):
        loss = ((tg.tanh(x @ w1) @ w2 - y) ** 2).mean()
        loss.backward()
        with tg.no_grad():
            for w in (w1, w2):
                w -= 0.1 * w.grad
                w.grad = None
            if k % 7 == 0:
                ((x @ w1).sum() * 2).item()
    return w1.detach().numpy().tobytes() + w2.detach().numpy().tobytes()


def test_two_threads_train_to_the_same_bits():
    alone = [train(1), train(2)]
    for _ in range(3):
        assert in_threads(lambda: train(1), lambda: train(2)) == alone


def test_modes_are_per_thread():
    inside, done = threading.Event(), threading.Event()

    def without():
        with tg.no_grad():
            inside.set()
            done.wait()
            return tg.is_grad_enabled()

    def other():
        inside.wait()
        try:
            x = tg.tensor(1.0, requires_grad=True)
            return tg.is_grad_enabled(), (x * 2).requires_grad
        finally:
            done.set()

    assert in_threads(without, other) == [False, (True, True)]
    assert tg.is_grad_enabled() and modes.special == 0


def test_a_thread_starts_with_gradients_on():
    with tg.no_grad():
        assert in_threads(tg.is_grad_enabled) == [True]
        assert not tg.is_grad_enabled()


@pytest.mark.parametrize("mode", [tg.no_grad, tg.enable_grad, tg.recording, tg.autograd.detect_anomaly, lambda: tg.set_grad_enabled(False)])
def test_modes_are_restored_on_every_way_out(mode):
    before = (modes.state.grad, modes.state.recording, modes.state.anomaly, modes.special)
    with pytest.raises(ZeroDivisionError), mode():
        with mode():
            pass
        raise ZeroDivisionError
    assert (modes.state.grad, modes.state.recording, modes.state.anomaly, modes.special) == before

    def generate():
        with mode():
            yield 1

    g = generate()
    next(g)
    g.close()
    assert (modes.state.grad, modes.state.recording, modes.state.anomaly, modes.special) == before


def test_modes_decorate_functions():
    @tg.no_grad()
    def off():
        return tg.is_grad_enabled()

    @tg.no_grad
    def off_too():
        with tg.enable_grad():
            assert tg.is_grad_enabled()
        return tg.is_grad_enabled()

    @tg.set_grad_enabled(False)
    def off_three():
        return tg.is_grad_enabled()

    assert not off() and not off_too() and tg.is_grad_enabled()
    assert not off_three() and tg.is_grad_enabled()


def test_set_grad_enabled_at_once():
    tg.set_grad_enabled(False)
    assert not tg.is_grad_enabled()
    tg.set_grad_enabled(True)
    assert tg.is_grad_enabled() and modes.special == 0
