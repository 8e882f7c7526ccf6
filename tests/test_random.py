"""Random numbers: PyTorch's for the same seed, from a recorded table and live; state, independence, statistics, errors."""

import copy
import json
import math
import pathlib
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from reference.make_random import CASES, FLOATS, SEEDS, draw

import tinygrad_edu as tg
from tinygrad_edu.api import cephes
from tinygrad_edu.api.random import STATE, fused, mask_like

TABLE = json.loads(pathlib.Path(__file__).parent.joinpath("reference", "random.json").read_text())
# what goes through NumPy's ln, sin, cos, tan and exp in float64; everything else must agree bit for bit
ROUNDED = ("randn", "normal_", "exponential_", "log_normal_", "cauchy_")


def compare(name, ours, theirs, exact=None):
    """Shapes and types are equal, and the numbers too, up to the last digits where functions are rounded."""
    if exact is None:
        exact = not name.startswith(ROUNDED) or "float32" in name and not name.startswith("log_normal_")
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs):
        assert mine.dtype == other.dtype and mine.shape == other.shape
        if exact:
            np.testing.assert_array_equal(mine, other, err_msg=name)
        else:
            eps = np.finfo(mine.dtype).eps
            np.testing.assert_allclose(mine, other, rtol=16 * eps, atol=4 * eps, err_msg=name)


@pytest.mark.parametrize("key", TABLE)
def test_the_recorded_numbers_of_torch_are_drawn(key):
    name, seed = key.rsplit(", seed ", 1)
    theirs = [np.array(values, dtype).reshape(shape) for dtype, shape, values in TABLE[key]]
    compare(name, draw(tg, name, int(seed)), theirs)


def test_every_case_is_recorded():
    assert set(TABLE) == {f"{name}, seed {seed}" for name in CASES for seed in SEEDS[:2]}


# --- live, where torch is installed ----------------------------------------------------------------------------------


def same_as_torch(name, f, seeds):
    """What f draws from both libraries, and where that leaves their generators."""
    torch = pytest.importorskip("torch")
    vectors = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    for seed in seeds:
        torch.manual_seed(seed), tg.manual_seed(seed)
        assert tg.initial_seed() == torch.initial_seed()
        theirs, ours = ([t.numpy() for t in f(library)] for library in (torch, tg))
        compare(name, ours, theirs, None if vectors else False)
        ours, theirs = tg.get_rng_state().numpy().view(STATE)[0], torch.get_rng_state().numpy().view(STATE)[0]
        assert (ours["words"] == theirs["words"]).all() and ours["left"] == theirs["left"]
        assert ours["has_normal"] == theirs["has_normal"]


@pytest.mark.parametrize("name", CASES)
def test_the_numbers_are_those_of_torch(name):
    same_as_torch(name, CASES[name], (*SEEDS, *range(100, 105)))


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("n", [5, 16, 63, 64, 1000, 33001])
def test_sizes(kind, n):
    same_as_torch(f"rand {kind}", lambda t: [t.rand(n, dtype=getattr(t, kind)), t.randint(9, (n,))], range(2))
    same_as_torch(f"randn {kind}", lambda t: [t.randn(n, dtype=getattr(t, kind)), t.randn(3, dtype=getattr(t, kind))], range(2))


def test_large_permutations_and_many_random_seeds():
    same_as_torch("randperm", lambda t: [t.randperm(20011)], range(2))
    seeds = [int(s) for s in np.random.default_rng(0).integers(-(2**63), 2**63 - 1, 40)] + [2**64 - 1, -(2**63)]
    same_as_torch("rand", lambda t: [t.rand(3), t.randperm(4)], seeds)
    same_as_torch("randn float32", lambda t: [t.randn(20), t.randn(5)], seeds)


MIXED = {
    "randn": lambda t, n, g: t.randn(n, generator=g),
    "randn float64": lambda t, n, g: t.randn(n, dtype=t.float64, generator=g),
    "rand": lambda t, n, g: t.rand(n, generator=g),
    "rand float64": lambda t, n, g: t.rand(n, dtype=t.float64, generator=g),
    "randint": lambda t, n, g: t.randint(0, 10**9, (n,), generator=g),
    "randperm": lambda t, n, g: t.randperm(n, generator=g),
    "bernoulli_": lambda t, n, g: t.zeros(n).bernoulli_(0.3, generator=g),
    "normal_": lambda t, n, g: t.zeros(n).normal_(1.0, 2.0, generator=g),
}


def mixture(n):
    """n calls of all kinds for few and many numbers, in random order."""
    rng = np.random.RandomState(n)
    names = list(MIXED)
    return [(names[rng.randint(len(names))], int(rng.choice([0, 1, 3, 16, 20, 64, 700, 9000], p=[0.02, *[0.19] * 5, 0.02, 0.01]))) for _ in range(n)]


def test_numbers_that_were_made_ahead_are_those_of_the_next_words():
    """A copy of the generator has nothing made ahead: both draw the same, wherever they are, and are at the same place afterwards."""
    g = tg.Generator().manual_seed(3)
    for name, n in mixture(200):
        copied = g.clone_state()
        mine, other = MIXED[name](tg, n, g), MIXED[name](tg, n, copied)
        assert mine.equal(other), (name, n)
        assert g.get_state().equal(copied.get_state()), (name, n)


def test_calls_of_all_kinds_draw_from_one_stream_as_in_torch():
    torch = pytest.importorskip("torch")
    vectors = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    ours, theirs = tg.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    for name, n in mixture(400):
        mine, other = MIXED[name](tg, n, ours).numpy(), MIXED[name](torch, n, theirs).numpy()
        compare(name, [mine], [other], vectors and n >= 16 and "float64" not in name or not name.startswith(ROUNDED))
    assert torch.equal(torch.from_numpy(ours.get_state().numpy()[24:5016].copy()), theirs.get_state()[24:5016])  # the words


def test_layers_start_from_the_weights_of_torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0), tg.manual_seed(0)
    for sizes in ((30, 20), (20, 3)):
        theirs, ours = torch.nn.Linear(*sizes), tg.nn.Linear(*sizes)
        for name in ("weight", "bias"):
            np.testing.assert_array_equal(getattr(ours, name).detach().numpy(), getattr(theirs, name).detach().numpy())
            with tg.no_grad():  # kaiming_uniform_(a=√5) is uniform_(−1/√fan_in, 1/√fan_in), for the weight and for the bias
                assert abs(getattr(ours, name)).max() <= sizes[0] ** -0.5


def test_dropout_masks_are_those_of_torch():
    torch = pytest.importorskip("torch")
    for make in (lambda t: t.ones(40), lambda t: t.ones(3, 4, 5), lambda t: t.ones(6, 5).t()):
        torch.manual_seed(1), tg.manual_seed(1)
        theirs = torch.nn.functional.dropout(make(torch), 0.3)
        np.testing.assert_array_equal(mask_like(make(tg), 0.7), theirs.numpy() != 0)


def test_states_travel_between_the_libraries():
    torch = pytest.importorskip("torch")
    torch.manual_seed(5)
    torch.randn(3), torch.rand(700)
    tg.set_rng_state(torch.get_rng_state())
    assert tg.initial_seed() == 5
    np.testing.assert_array_equal(tg.randn(3).numpy(), torch.randn(3).numpy())
    torch.set_rng_state(torch.from_numpy(tg.get_rng_state().numpy().copy()))
    np.testing.assert_array_equal(tg.rand(3).numpy(), torch.rand(3).numpy())
    torch.manual_seed(6)
    torch.set_rng_state(torch.from_numpy(tg.Generator().manual_seed(6).get_state().numpy().copy()))
    tg.manual_seed(6)
    np.testing.assert_array_equal(tg.rand(3).numpy(), torch.rand(3).numpy())


def test_an_unseeded_program_draws_the_numbers_of_torch():
    code = "import tinygrad_edu as tg; print(tg.initial_seed(), tg.rand(2).tolist())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    tg.manual_seed(67280421310721)
    assert out.strip() == f"67280421310721 {tg.rand(2).tolist()}"
    assert tg.Generator().initial_seed() == 67280421310721


# --- state and independence ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [0, 3, 623, 624, 625, 2000])
def test_state_round_trips(before):
    g = tg.Generator().manual_seed(before)
    tg.rand(before, generator=g)
    tg.randn(1, generator=g)  # leaves a spare number behind
    state = g.get_state()
    assert state.dtype == np.uint8 and state.shape == (5056,)
    drawn = [tg.randn(3, generator=g).tolist(), tg.randperm(9, generator=g).tolist()]
    for other in (tg.Generator().set_state(state), g.set_state(state)):
        assert [tg.randn(3, generator=other).tolist(), tg.randperm(9, generator=other).tolist()] == drawn
        assert other.initial_seed() == before


def test_copies_of_a_generator_go_their_own_way():
    g = tg.Generator().manual_seed(4)
    tg.randn(1, generator=g)
    copies = [copy.deepcopy(g), pickle.loads(pickle.dumps(g)), g.clone_state()]
    assert len({tuple(tg.randn(5, generator=c).tolist()) for c in [*copies, g]}) == 1
    tg.rand(1, generator=g)
    assert tg.rand(1, generator=g).item() != tg.rand(1, generator=copies[0]).item()


def test_default_generator():
    tg.manual_seed(1)
    state = tg.get_rng_state()
    first = tg.rand(3).tolist()
    tg.rand(3, generator=tg.Generator().manual_seed(9))
    tg.set_rng_state(state)
    assert tg.rand(3).tolist() == first
    assert tg.manual_seed(1) is tg.default_generator is tg.random.default_generator
    assert tg.rand(3).tolist() == first and tg.random.initial_seed() == 1
    assert tg.seed() == tg.initial_seed() != tg.seed()
    assert tg.Generator().seed() != tg.Generator().seed()


def test_manual_seed_forgets_the_spare_number():
    tg.manual_seed(2)
    first = tg.randn(1).item()
    tg.manual_seed(2)
    assert tg.randn(1).item() == first


def test_fork_rng():
    tg.manual_seed(3)
    tg.randn(1)
    with tg.random.fork_rng():
        tg.manual_seed(8)
        inside = tg.randn(4).tolist()
    outside = tg.randn(4).tolist()
    tg.manual_seed(3)
    tg.randn(1)
    assert tg.randn(4).tolist() == outside != inside
    state = tg.get_rng_state()
    with pytest.raises(ZeroDivisionError), tg.random.fork_rng():
        tg.rand(1)
        raise ZeroDivisionError
    assert (tg.get_rng_state() == state).all()
    with tg.random.fork_rng(enabled=False):
        tg.rand(1)
    assert not (tg.get_rng_state() == state).all()


def test_threads_share_the_stream_without_drawing_a_number_twice():
    g, drawn = tg.Generator().manual_seed(0), []

    def work():
        drawn.extend(tg.rand(50, dtype=tg.float64, generator=g).tolist() for _ in range(40))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    alone = tg.rand(8000, dtype=tg.float64, generator=tg.Generator().manual_seed(0))
    assert sorted(x for part in drawn for x in part) == sorted(alone.tolist())


# --- arithmetic ------------------------------------------------------------------------------------------------------


def test_fused_rounds_once():
    from fractions import Fraction

    rng = np.random.default_rng(0)
    x, (factor, term) = rng.random(500), rng.normal(size=2)
    for sign in (1, -1):
        exact = [float(Fraction(v) * Fraction(factor) + Fraction(sign * term)) for v in x]
        assert fused(x, factor, sign * term).tolist() == exact
    single = x.astype(np.float32)
    exact = [np.float32(float(Fraction(float(v)) * Fraction(0.3) + Fraction(0.1))) for v in single]
    np.testing.assert_array_equal(fused(single, 0.3, 0.1), exact)
    assert np.isfinite(fused(x, 1e300, 1.0)).all()
    large = rng.random(2**15 + 9)
    np.testing.assert_array_equal(fused(large, 3.0, 0.5)[-9:], fused(large[-9:], 3.0, 0.5))


def test_functions_of_cephes_are_accurate():
    x = np.random.default_rng(0).random(5000).astype(np.float32)
    positive = 1 - x
    np.testing.assert_allclose(cephes.log(positive), np.log(positive.astype(np.float64)), rtol=2e-7, atol=1e-9)
    angle = np.float32(2 * math.pi) * x
    cosine, sine = cephes.cos_and_sin(angle)
    np.testing.assert_allclose(cosine, np.cos(angle.astype(np.float64)), rtol=0, atol=1e-7)
    np.testing.assert_allclose(sine, np.sin(angle.astype(np.float64)), rtol=0, atol=1e-7)


# --- statistics ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_moments(kind):
    tg.manual_seed(0)
    n, dtype = 40000, getattr(tg, kind)
    for numbers, mean, variance in [
        (tg.rand(n, dtype=dtype), 1 / 2, 1 / 12),
        (tg.randn(n, dtype=dtype), 0, 1),
        (tg.empty(n, dtype=dtype).uniform_(-1, 3), 1, 16 / 12),
        (tg.empty(n, dtype=dtype).normal_(2, 3), 2, 9),
        (tg.empty(n, dtype=dtype).exponential_(2), 1 / 2, 1 / 4),
        (tg.empty(n, dtype=dtype).geometric_(0.4), 2.5, 0.6 / 0.16),
        (tg.empty(n, dtype=dtype).log_normal_(0, 0.5), math.exp(0.125), (math.exp(0.25) - 1) * math.exp(0.25)),
        (tg.empty(n, dtype=dtype).bernoulli_(0.3), 0.3, 0.21),
        (tg.poisson(tg.full((n,), 3.5, dtype=dtype)), 3.5, 3.5),
        (tg.poisson(tg.full((n,), 40.0, dtype=dtype)), 40, 40),
        (tg.randint(0, 10, (n,), dtype=dtype), 4.5, 99 / 12),
    ]:
        values = numbers.numpy().astype(np.float64)
        assert abs(values.mean() - mean) < 5 * math.sqrt(variance / n)
        assert abs(values.var() / variance - 1) < 0.08


def test_multinomial_draws_with_the_given_probabilities():
    tg.manual_seed(0)
    weights = tg.tensor([1.0, 0.0, 3.0, 4.0])
    counts = np.bincount(tg.multinomial(weights, 8000, replacement=True).numpy(), minlength=4) / 8000
    np.testing.assert_allclose(counts, [1 / 8, 0, 3 / 8, 1 / 2], atol=0.03)
    first = tg.multinomial(weights.expand(4000, 4), 3)
    assert (first.numpy() != 1).all() and all(len(set(row)) == 3 for row in first.tolist()[:50])
    np.testing.assert_allclose(np.bincount(first.numpy()[:, 0], minlength=4) / 4000, [1 / 8, 0, 3 / 8, 1 / 2], atol=0.04)


def test_permutations_hold_every_number_once():
    tg.manual_seed(0)
    for n in (0, 1, 2, 100):
        assert sorted(tg.randperm(n).tolist()) == list(range(n))
    firsts = np.bincount([tg.randperm(4).tolist()[0] for _ in range(2000)], minlength=4)
    assert (abs(firsts - 500) < 100).all()


# --- what calls accept and refuse ------------------------------------------------------------------------------------


def test_spellings():
    g = tg.Generator().manual_seed(0)
    assert tg.rand((2, 3)).shape == tg.rand(2, 3).shape == tg.rand(size=(2, 3)).shape == (2, 3)
    assert tg.randn([4], dtype=tg.float64).dtype == tg.float64
    assert tg.rand(2, requires_grad=True).requires_grad and tg.randn().shape == ()
    assert tg.zeros(3).uniform_(to=2.0, **{"from": 1.0}).min() >= 1
    assert tg.zeros(3).random_(5, to=6).tolist() == [5, 5, 5]
    assert tg.rand_like(tg.zeros(2, 2, dtype=tg.float64), generator=g).dtype == tg.float64
    out = tg.zeros(3)
    assert tg.rand(3, out=out) is out and (out > 0).any()
    assert tg.empty(0).uniform_().shape == (0,) and tg.empty((), dtype=tg.int64).random_().shape == ()
    with tg.no_grad():
        w = tg.zeros(3, requires_grad=True)
        assert w.normal_(generator=g) is w and w.requires_grad and (w != 0).all()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: tg.manual_seed(2**64), "between -2**63 and 2**64 - 1"),
        (lambda: tg.set_rng_state(tg.zeros(3)), "5056 bytes"),
        (lambda: tg.set_rng_state(tg.zeros(5056, dtype=tg.uint8)), "not the state of a generator"),
        (lambda: tg.rand(3, generator=np.random.default_rng(0)), "expected a Generator"),
        (lambda: tg.rand(3, dtype=tg.int64), "only float types"),
        (lambda: tg.zeros(3, dtype=tg.int64).normal_(), "only float types"),
        (lambda: tg.rand(3, colour=1), "unknown arguments"),
        (lambda: tg.zeros(3).uniform_(2, 1), "from <= to"),
        (lambda: tg.zeros(3).uniform_(0, 1e40), "float32 can hold"),
        (lambda: tg.zeros(3).normal_(0, -1), "at least 0"),
        (lambda: tg.normal(tg.zeros(2), tg.tensor([1.0, -1.0])), "at least 0"),
        (lambda: tg.zeros(3).exponential_(0), "greater than 0"),
        (lambda: tg.zeros(3).geometric_(1), "less than 1"),
        (lambda: tg.zeros(3).cauchy_(0, 0), "greater than 0"),
        (lambda: tg.zeros(3).bernoulli_(1.5), "between 0 and 1"),
        (lambda: tg.bernoulli(tg.tensor([math.nan])), "between 0 and 1"),
        (lambda: tg.bernoulli(tg.tensor([1])), "only float types"),
        (lambda: tg.randint(5, 5, (2,)), "less than the second"),
        (lambda: tg.randint(0, 300, (2,), dtype=tg.uint8), "use a larger dtype"),
        (lambda: tg.randint(0, 2**30, (2,), dtype=tg.float32), "use a larger dtype"),
        (lambda: tg.randperm(-1), "at least 0"),
        (lambda: tg.multinomial(tg.tensor([1.0, 0.0]), 3), "as many classes"),
        (lambda: tg.multinomial(tg.tensor([0.0, 0.0]), 1), "greater than 0"),
        (lambda: tg.multinomial(tg.tensor([1, 2]), 1), "float weights"),
        (lambda: tg.poisson(tg.tensor([-1.0])), "at least 0"),
        (lambda: tg.zeros(3, requires_grad=True).uniform_(), "no_grad"),
    ],
)
def test_errors(call, text):
    with pytest.raises((RuntimeError, TypeError), match=text.replace("*", r"\*")):
        call()
