"""Every demo ends in the numbers of the article it was made from.

The tests run most demos with `--quick`. TINYGRAD_EDU_DEMOS=full (or HYPOTHESIS_PROFILE=nightly, which the other tests know too)
runs each at full length and asserts what it must end in: about six minutes on one core.
"""

import os
import re
from pathlib import Path

import pytest

from tinygrad_edu.cli import demos, load_demo

FULL = os.environ.get("TINYGRAD_EDU_DEMOS") == "full" or os.environ.get("HYPOTHESIS_PROFILE") == "nightly"


@pytest.fixture
def run(tmp_path, capsys):
    """Run a demo in this process: its numbers, what it printed, and the folder of its pictures."""

    def run_demo(name, *arguments, full=FULL):
        numbers = load_demo(name).main([*arguments, "--out", str(tmp_path), *([] if full else ["--quick"])])
        return numbers, capsys.readouterr().out

    return run_demo


def pictures(folder, name, out):
    """The demo's pictures, after a look at each: an SVG, PNG or page with something in it, that the demo names and explains."""
    found = sorted(folder.glob(f"{name}_*"))
    for path in found:
        data = path.read_bytes()
        assert len(data) > 1000, path.name
        marks = {".svg": b"</svg>" in data, ".png": data.startswith(b"\x89PNG"), ".html": b"</html>" in data}
        assert marks[path.suffix], path.name
        assert re.search(rf"(?m)^  {re.escape(path.name)}  +\w", out), f"{path.name} is not named with what it shows"
    return {path.name.removeprefix(f"{name}_") for path in found}


def test_neuron(run, tmp_path):
    numbers, out = run("neuron")
    assert f"{load_demo('neuron').nine_lines(1, 10_000):.8f}" == "0.99993704"
    assert numbers["answer"] == pytest.approx(numbers["short"], rel=1e-12)
    if FULL:
        assert f"{numbers['answer']:.8f}" == "0.99993704"
        assert "[1, 0, 0] → 0.99993704   (in nine lines: 0.99993704)" in out
    assert numbers["worst"] < 1e-15  # the update by hand and the engine's gradient
    assert numbers["losses"][-1] < 0.002 < 0.5 < numbers["losses"][0]
    assert pictures(tmp_path, "neuron", out) >= {"graph.svg", "loss.svg", "network.svg"}


def test_xor(run, tmp_path):
    numbers, out = run("xor")
    assert f"{numbers['neuron']:.4f}" == "0.9933"
    assert numbers["solved"] and [round(v) for v in numbers["outputs"]] == [0, 1, 1, 0]
    assert all(numbers["learned"].values()), numbers["learned"]
    assert numbers["losses"][-1] < (0.0005 if FULL else 0.005)
    assert "0 XOR 1 = 1" in out and "1 XOR 1 = 0" in out
    assert pictures(tmp_path, "xor", out) >= {"graph.svg", "loss.svg", "network.svg", "neuron.svg"}


@pytest.mark.skipif(not FULL, reason="ten trainings of 20 000 iterations: nightly")
def test_xor_from_ten_seeds():
    xor = load_demo("xor")
    for seed in range(10):
        model = xor.network(seed)
        xor.train(model, 20_000)
        assert xor.solved(model), f"seed {seed}: {xor.outputs(model)}"


def test_xor_explains_a_network_that_is_stuck():
    """Three hidden neurons that are alike can never differ: their gradients are the same in every step."""
    import tinygrad_edu as tg

    xor = load_demo("xor")
    model = xor.network(0)
    with tg.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.5)
    xor.train(model, 300)
    assert not xor.solved(model)
    assert "local minimum" in xor.diagnosis(model) and "--seed" in xor.diagnosis(model)


def test_people(run, tmp_path):
    numbers, out = run("people", full=True)
    assert numbers["neuron"] == 0.9990889488055994
    assert numbers["network"] == 0.7216325609518421
    assert numbers["mse"] == 0.5
    assert f"{numbers['prediction']:.3f}" == "0.524"
    assert f"{numbers['on_paper']:.4f}" == "0.0214"
    assert numbers["gradient"] == pytest.approx(0.0214695, abs=1e-6)
    product = numbers["factors"][0] * numbers["factors"][1] * numbers["factors"][2]
    assert product == pytest.approx(numbers["gradient"], rel=1e-12)
    assert 0.2 < numbers["losses"][0] < 0.3 and numbers["losses"][-1] < 0.01
    assert numbers["Emily"] == pytest.approx(0.95, abs=0.01)
    assert numbers["Frank"] == pytest.approx(0.04, abs=0.01)
    assert "∂L/∂w1 = ∂L/∂y · ∂y/∂h1 · ∂h1/∂w1" in out
    assert pictures(tmp_path, "people", out) >= {"graph.svg", "loss.svg", "network.svg"}


def test_above_the_line(run, tmp_path):
    numbers, out = run("above_the_line")
    assert 1e-6 < numbers["error at h = 1e-06"] * 100 < numbers["error at h = 0.0001"] * 10 < numbers["error at h = 0.01"] < 0.02
    assert len(numbers["gradients"]) == 15  # side by side, of the 2-5-1 network without biases
    for name, analytic, numerical in numbers["gradients"]:
        assert numerical == pytest.approx(analytic, rel=0.01), name
    assert out.count("µs") == 4
    below, above, right = numbers["back propagation, single points, rate 1"]
    if FULL:
        assert below < 0.0000193 * 2 and above > 0.99992 and right > 0.98  # the article's numbers
        for title, share in (("batches of 100, rate 10", 0.95), ("biases, batches of 100, rate 10", 0.85)):
            below, above, right = numbers[f"back propagation, {title}"]
            assert below < 0.05 and above > 0.95 and right > share
    else:
        assert below < above
    costs = numbers["curves"]["back propagation, single points, rate 1"]
    nudged = numbers["curves"]["numerical, single points, rate 1"]
    assert costs[-1] < costs[0] and nudged == pytest.approx(costs[: len(nudged)], rel=0.05)
    assert {"back propagation, biases, single points, rate 1", "back propagation, biases, batches of 100, rate 10"} <= set(
        numbers
    )
    assert numbers["live"] == numbers["back propagation, single points, rate 1"][:2]  # watching changes nothing
    assert pictures(tmp_path, "above_the_line", out) == {
        "graph.svg", "loss.svg", "network.svg", "boundary.svg", "gradients.svg", "stages.svg", "training.html"}  # fmt: skip


def test_above_the_line_is_drawn_in_a_terminal(capsys, tmp_path):
    import numpy as np

    import tinygrad_edu as tg

    demo = load_demo("above_the_line")
    rule = lambda x: tg.sigmoid(100 * (x[:, 1:] - x[:, :1]))
    lines = [re.sub(r"\x1b\[[\d;]*[mK]", "", line)[2:] for line in demo.terminal_picture(rule, 5)[1:]]
    side = np.array([["#+·".index(c) for c in line] for line in lines])
    assert side.shape == (16, 48) and side[0, 0] == 0 and side[-1, -1] == 2  # above the line at the upper left
    demo.main(["--quick", "--live", "terminal", "--out", str(tmp_path)])
    assert capsys.readouterr().err.count("blue # says above") > 20


def test_without_a_screen_there_is_no_window(monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.setattr(matplotlib, "get_backend", lambda **options: "agg")
    monkeypatch.setenv("MPLBACKEND", "agg")
    assert load_demo("above_the_line").open_window() is None


def test_regression(run, tmp_path):
    numbers, out = run("regression")
    assert numbers["line"] == pytest.approx(numbers["least squares"], abs=1e-6)
    assert numbers["line"] == pytest.approx((1.5, 0.5), abs=0.1)
    for lr, end in numbers["rates"].items():
        assert (end > 10) == (lr > numbers["limit"]), f"learning rate {lr}: {end}"
    assert numbers["in square metres"] is None and numbers["scaled to mean 0, deviation 1"] < 50
    assert "diverges" in out and "crawls" in out
    assert pictures(tmp_path, "regression", out) == {
        "graph.svg", "line.svg", "loss.svg", "rates.svg", "scaling.svg", "valley.svg"}  # fmt: skip


def test_logistic(run, tmp_path):
    numbers, out = run("logistic")
    assert numbers["gradient"] == pytest.approx(numbers["a - y"], abs=1e-12)  # dL/dz = a − y
    assert numbers["loss"] == pytest.approx(numbers["-ln likelihood"], rel=1e-12)
    assert numbers["worst"] == 100 and numbers["article"] == pytest.approx(11.5129, abs=1e-4) and numbers["logits"] == 1000
    assert numbers["losses"][0] == pytest.approx(0.693147, abs=1e-6)  # ln 2: a = ½ for every picture
    loss, trained, new = numbers["one layer"]
    if FULL:
        assert loss < 0.06 and trained > 0.98 and new > 0.9
    else:
        assert loss < 0.5 and trained > 0.9 and new > 0.7
    assert pictures(tmp_path, "logistic", out) == {"graph.svg", "loss.svg", "pictures.png", "weights.png", "bernoulli.svg"}


def test_two_layers(run, tmp_path):
    numbers, out = run("two_layers")
    assert numbers["loss by hand"] == pytest.approx(numbers["loss"], rel=1e-5)
    assert set(numbers["apart"]) == {"W1", "b1", "W2", "b2"} and max(numbers["apart"].values()) < 1e-4
    for layers in ("one layer", "two layers"):
        assert numbers["curves"][layers][-1] < numbers["curves"][layers][0]
        loss, trained, new = numbers[layers]
        if FULL:
            assert loss < 0.2 and trained > 0.98 and new > 0.9
    assert pictures(tmp_path, "two_layers", out) == {"graph.svg", "loss.svg", "pictures.png", "neurons.png"}


def test_gpt(run, tmp_path):
    numbers, out = run("gpt", "--letters", "100")
    losses = numbers["losses"]
    assert losses[0] == pytest.approx(numbers["guess"], abs=0.7)  # it begins knowing nothing
    assert sum(losses[-10:]) / 10 < (0.7 if FULL else 3.0)
    assert len(numbers["sample"]) == 101 and numbers["sample"].strip() in out
    if FULL:
        assert numbers["real"] > 0.85  # readable: words, and few that are invented
    assert numbers["copied"] < 80
    assert pictures(tmp_path, "gpt", out) == {"loss.svg"}


def test_gpt_writes_on_from_a_prompt_and_names_letters_it_does_not_know(run, capsys):
    with pytest.raises(SystemExit):
        run("gpt", "--prompt", "love§")
    assert "'§'" in capsys.readouterr().err


def test_gpt_reads_any_text(run, capsys, tmp_path):
    sonnets = Path(load_demo("gpt").__file__).with_name("sonnets.txt")
    numbers, out = run("gpt", "--text", str(sonnets), "--letters", "20", full=False)
    assert "14737 letters" in out and numbers["losses"][-1] < numbers["losses"][0]
    for file, message in (("nowhere.txt", "cannot read"), (tmp_path / "short.txt", "too few")):
        (tmp_path / "short.txt").write_text("too short", encoding="utf-8")
        with pytest.raises(SystemExit):
            run("gpt", "--text", str(file))
        assert message in capsys.readouterr().err


def test_longest_copy():
    copy = load_demo("gpt").longest_copy
    assert copy("xxthe old bearyy", "and the old bear sat") == "the old bear"
    assert copy("abc", "xyz") == ""


def test_digits(run, tmp_path):
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    numbers, out = run("digits")
    floor = (0.97, 0.97) if FULL else (0.7, 0.9)
    assert numbers["MLP"][1] > floor[0] and numbers["CNN"][1] > floor[1]
    assert numbers["wrong"] == round((1 - numbers["CNN"][1]) * 449)
    assert numbers["curves"]["CNN"][-1] < numbers["curves"]["CNN"][0]
    assert pictures(tmp_path, "digits", out) == {"confusion.svg", "mistakes.png", "loss.svg"}


@pytest.mark.parametrize("name", demos())
def test_every_demo_has_a_test(name):
    """Here, or in a file of its own."""
    files = Path(__file__).parent.glob("test_*.py")
    assert f"test_{name}" in globals() or any(f'"{name}"' in path.read_text(encoding="utf-8") for path in files)
