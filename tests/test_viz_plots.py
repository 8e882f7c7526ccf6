"""Summaries, plots and progress: their numbers are right, they need no display, and they change nothing."""

import io
import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, viz
from tinygrad_edu.viz.display import sparkline
from tinygrad_edu.viz.plots import heights

plots = pytest.importorskip("matplotlib", reason="plots are an extra")


def test_summary_counts():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    s = tg.summary(model, tg.rand(5, 4))
    assert (s.parameters, s.trainable, s.multiply_adds) == (4 * 3 + 3 + 3 * 2 + 2, 23, 5 * 4 * 3 + 5 * 3 * 2)
    assert s.kept == 5 * 4 * 4 + 5 * 3 * 4  # the input and the activation, float32; parameters are there anyway
    assert [r.shape for r in s.rows] == [(5, 2), (5, 3), (5, 3), (5, 2)]
    assert "multiply-adds: 90" in str(s) and "0: Linear" in str(s) and s._repr_html_().count("<tr>") == 5


def test_summary_counts_shared_parameters_once_and_changes_nothing():
    shared = nn.Linear(3, 3)
    model = nn.Sequential(shared, nn.Tanh(), shared)
    assert tg.summary(model, tg.rand(2, 3)).parameters == 12
    x = tg.rand(4, 3)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    tg.summary(model, x)
    assert all(np.array_equal(before[k], v.numpy()) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters()) and model.training
    with pytest.raises(TypeError, match="pass an input"):
        tg.summary(model)
    with pytest.raises(TypeError, match="Module"):
        tg.summary(3, x)


def test_landscape(tmp_path):
    def loss(p):
        x, y = p
        return x**2 + 20 * y**2

    walks = {"a": [[-4, 1], [-2, 0.5], tg.tensor([1.0, 0.0])], "b": [[-4, 1], [np.nan, 2]]}
    figure = viz.landscape(loss, walks, tmp_path / "land.png", title="ravine")
    axes = figure.axes[0]
    assert (tmp_path / "land.png").stat().st_size > 1000 and axes.get_title() == "ravine"
    assert axes.get_xlim()[0] < -4 and axes.get_xlim()[1] > 1 and [t.get_text() for t in axes.get_legend().get_texts()] == ["a", "b"]
    assert list(axes.lines[0].get_xdata()) == [-4, -2, 1] and len(axes.lines) == 6 and len(axes.collections) >= 2
    assert viz.landscape(loss, x=(0, 1), y=(2, 3)).axes[0].get_ylim() == (2, 3)
    np.testing.assert_array_equal(heights(loss, np.arange(3.0), np.arange(2.0)), [[0, 1, 4], [20, 21, 24]])
    np.testing.assert_array_equal(heights(lambda p: float(p[0]) + 2 * float(p[1]), np.arange(3.0), np.arange(2.0)), [[0, 1, 2], [2, 3, 4]])
    assert viz.landscape(lambda p: 0 * p[0] + 1).axes[0].get_xlim() == (-5, 5)  # flat: no lines
    with pytest.raises(ValueError, match=r"two numbers each, and this one has shape \[2, 3\]"):
        viz.landscape(loss, [[1, 2, 3], [4, 5, 6]])


def test_curves(tmp_path):
    figure = viz.curves({"a": [1.0, 0.1, 0.01], "b": [tg.tensor(1.0), tg.tensor(0.5)]}, tmp_path / "sub" / "loss.png")
    axes = figure.axes[0]
    assert axes.get_yscale() == "log" and [line.get_label() for line in axes.lines] == ["a", "b"]
    assert (tmp_path / "sub" / "loss.png").stat().st_size > 1000
    assert axes.lines[0].get_linestyle() != axes.lines[1].get_linestyle()
    assert viz.curves([1.0, -1.0]).axes[0].get_yscale() == "linear"
    assert len(viz.curves(np.arange(100.0), smooth=10).axes[0].lines) == 2
    with pytest.raises(ValueError, match="empty"):
        viz.curves([])


def test_boundary(tmp_path):
    x = tg.rand(30, 2)
    model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Linear(3, 1), nn.Sigmoid())
    figure = viz.boundary(model, x, x[:, 1] > x[:, 0], tmp_path / "b.svg", title="above the line")
    assert model.training and [t.get_text() for t in figure.axes[0].get_legend().get_texts()] == ["target 0", "target 1"]
    figure.canvas.draw()
    legend, plane = figure.axes[0].get_legend().get_window_extent(), figure.axes[0].get_window_extent()
    assert 0 <= legend.y0 and legend.y1 < plane.y0  # below the plane, where it hides no point, and on the paper
    surface = viz.boundary(lambda p: p[:, :1] * 0.1, x).axes[0].collections[0]  # it never says yes, so nothing of it is blue
    red, _, blue, _ = surface.cmap(surface.norm(0.1))
    assert red > blue and min(surface.cmap(surface.norm(0.5))) > 0.95
    viz.boundary(nn.Linear(2, 3), x, tg.randint(0, 3, (30,)))
    viz.boundary(lambda p: p[:, :1] * 0 + 0.25, x)  # nowhere equal to the threshold
    with pytest.raises(ValueError, match="two inputs"):
        viz.boundary(model, tg.rand(3, 3))
    with pytest.raises(ValueError, match="one target for each"):
        viz.boundary(model, x, [1, 0])


def test_weights_and_confusion(tmp_path):
    model = nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 2))
    assert len(viz.weights(model).axes) == 2
    assert len(viz.weights(model, tmp_path / "w.png", shape=(4, 4)).axes) == 4
    with pytest.raises(ValueError, match="rows of 16"):
        viz.weights(model, shape=(3, 3))
    with pytest.raises(ValueError, match="gradient"):
        viz.weights(model, gradients=True)
    figure = viz.confusion(tg.tensor([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]]), [0, 1, 1], names=["no", "yes"])
    assert [t.get_text() for t in figure.axes[0].texts] == ["1", "1", "1"] and figure.axes[0].get_title() == "66.7% right"
    with pytest.raises(ValueError, match="one prediction for each"):
        viz.confusion([1], [1, 0])


def test_no_figure_is_left_open():
    import matplotlib.pyplot

    viz.curves([1.0, 0.5])
    assert matplotlib.pyplot.get_fignums() == []


def test_progress_prints_plain_lines_when_piped():
    out = io.StringIO()
    for i in (steps := viz.Progress(40, lines=4, file=out)):
        steps.show(loss=tg.tensor(1.0 / (i + 1)), rate=3)
    assert out.getvalue().splitlines() == [f"step {k} of 40  loss {0.1 if k == 10 else 0.05 if k == 20 else f'{1 / k:.4g}'}  rate 3" for k in (10, 20, 30, 40)]
    assert "steps/s" in steps.line() and "40/40" in steps.line()


def test_progress_on_a_terminal():
    pytest.importorskip("rich")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    with viz.Progress(3, "learning", file=out) as steps:
        for i in range(3):
            steps.show(loss=3 - i)
            steps.step()
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue())
    assert "3/3" in plain and "learning" in plain and "█▅▁" in plain


def test_sparkline():
    assert sparkline([]) == "" and sparkline([1.0, float("nan")]) == "▁"
    assert len(sparkline(range(1000))) == 20 and sparkline(range(8)) == "▁▂▃▄▅▆▇█"
