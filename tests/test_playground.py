"""The playground without a browser: what it trains, what it sends, whom it answers, and what bad messages cannot do."""

import base64
import contextlib
import functools
import http.client
import io
import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from concurrent.futures import Future
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import cli
from tinygrad_edu.playground import commands, data, lessons, server, websocket, worker
from tinygrad_edu.playground.commands import ACTIVATIONS, LOSSES, OPTIMIZERS, Refused
from tinygrad_edu.playground.program import program
from tinygrad_edu.playground.session import CURVE, FINE, Session


def session(**settings):
    """A session with these settings."""
    made = Session()
    made.change_settings(settings)
    return made


def put(made, *points):
    """Click points."""
    for x, y, *label in points:
        made.board.add(x, y, *(label or [0]))
    made.points_changed()
    return made


# --- points and training ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "name"), [(task, r.__name__) for task, recipes in data.RECIPES.items() for r in recipes])
def test_data_set(task, name):
    points = data.make(task, name, 100, 0.1, seed=3)
    assert len(points) == 100 and points == data.make(task, name, 100, 0.1, seed=3) != data.make(task, name, 100, 0.1, seed=4)
    assert all(abs(x) <= data.SIDE and abs(y) <= data.SIDE and (x, y) == (round(x, 2), round(y, 2)) for x, y, _ in points)
    assert {label for *_, label in points} == ({0, 1} if task == "classify" else {0})


def test_data_sets_leave_the_random_numbers_of_others_alone():
    tg.manual_seed(5)
    first = tg.rand(3)
    tg.manual_seed(5)
    data.make("classify", "xor", 10, 0.1, seed=1)
    Session().step()
    assert tg.equal(first, tg.rand(3))


def test_line_through_clicked_points():
    """Article 4: clicked points, learning rate 0.1, and the line ends where least squares says."""
    made = Session()
    made.begin_lesson(1)
    assert made.settings["task"] == "fit" and made.settings["rate"] == 0.1 and not made.board.points
    points = [(-1.5, -0.8), (-0.5, 0.1), (0.5, 0.4), (1.5, 1.6)]
    put(made, *points)
    for _ in range(300):
        made.step()
    slope, offset = np.polyfit(*np.transpose(points), 1)
    np.testing.assert_allclose([p.item() for p in made.model.parameters()], [slope, offset], rtol=1e-4)
    facts, arrays = made.view()
    np.testing.assert_allclose(arrays["curve"], slope * np.linspace(-2, 2, CURVE) + offset, atol=1e-4)


def test_too_large_a_step_diverges_and_stops():
    made = Session()
    made.begin_lesson(2)
    made.training = True
    with np.errstate(all="ignore"):
        while made.training and made.steps < 1000:
            made.step()
        assert 20 < made.steps < 500 and "smaller learning rate" in made.notice and f"step {made.steps}" in made.notice
        with pytest.raises(Refused, match="press Reset"):
            made.ready()
        facts, arrays = made.view()
    assert facts["loss"] is None
    worker.packed(facts, arrays)  # numbers that are none can be sent
    made.reset()
    made.ready()
    assert made.notice == "" and made.steps == 0


@pytest.mark.parametrize(("lesson", "steps", "least"), [(0, 600, 0.1), (4, 1500, 0.12), (6, 600, 0.1)])
def test_lesson_learns(lesson, steps, least):
    made = Session()
    made.begin_lesson(lesson)
    for _ in range(steps):
        made.step()
    assert made.loss() < least


def test_one_neuron_does_not_learn_xor():
    made = Session()
    made.begin_lesson(3)
    for _ in range(500):
        made.step()
    assert 0.6 < made.loss() < 0.75


def test_gradients_vanish_in_sigmoids_and_not_in_tanh():
    made = Session()
    made.begin_lesson(5)
    sizes = [g.abs().mean().item() for g in made.gradients()[::2]]
    assert sizes[0] < sizes[-1] / 1000 and made.settings["activation"] == "sigmoid"
    for activation, low, high in (("sigmoid", 0.68, 0.70), ("tanh", 0.0, 0.4)):
        made.change_settings(dict(activation=activation))
        for _ in range(400):
            made.step()
        assert low < made.loss() < high


def test_every_lesson_begins():
    for number, lesson in enumerate(lessons.LESSONS):
        made = Session()
        made.begin_lesson(number)
        assert set(made.settings) == set(commands.SETTINGS)
        assert commands.values("settings", made.settings) == made.settings
        assert len(made.board.points) == (lesson.n if lesson.preset else 0)
        assert lesson.title and lesson.text.endswith((".", "?"))
    with pytest.raises(Refused, match="no lesson 99"):
        Session().begin_lesson(99)


def test_what_a_change_of_settings_does():
    made = session(batch=20)
    for _ in range(3):
        made.step()
    weight = made.model[0].weight.clone()
    made.change_settings(dict(rate=0.5, optimizer="sgd", decay=0.1, batch=7))
    assert made.steps == 3 and tg.equal(weight, made.model[0].weight)
    assert made.optimizer.param_groups[0]["lr"] == 0.5 and made.optimizer.param_groups[0]["weight_decay"] == 0.1
    assert next(made.batches).shape == (7,)
    made.training = True
    made.change_settings(dict(units=[5]))
    assert made.steps == 0 and made.sizes == [2, 5, 1] and made.training, "a new network goes on training"
    made.change_settings(dict(task="fit"))
    assert made.sizes == [1, 5, 1] and made.settings["loss"] == "mse" and made.board.recipe["name"] == "line"
    made.change_settings(dict(task="classify"))
    assert made.board.recipe["name"] == "circles", "each task keeps its points"
    with pytest.raises(Refused, match="l1 does not fit"):
        made.change_settings(dict(loss="l1"))
    with pytest.raises(Refused, match="no data set of this task"):
        made.load("sine", 10, 0.1)


def test_rate_keeps_the_optimizers_memory():
    made = session(optimizer="adam")
    made.step()
    optimizer = made.optimizer
    made.change_settings(dict(rate=0.2))
    assert made.optimizer is optimizer


def test_undo_goes_all_the_way_back():
    made = session(task="classify")
    board, first = made.board, list(made.board.points)
    board.add(0.123, 0.456, 1)
    assert board.points[-1] == (0.12, 0.46, 1) and board.recipe is None
    board.move(0, 1.0, 1.0, False), board.move(0, 1.1, 1.1, False), board.move(0, 1.2, 1.2, True)
    board.delete(3)
    board.change([])
    for _ in range(4):
        board.undo()
    assert board.points == first and board.recipe["name"] == "circles"
    with pytest.raises(Refused, match="nothing to undo"):
        board.undo()
    for call in (lambda: board.delete(200), lambda: board.move(200, 0, 0, True)):
        with pytest.raises(Refused, match="no point 200"):
            call()


def test_most_points():
    made = session(task="classify")
    made.load("xor", commands.MOST_POINTS, 0.1)
    with pytest.raises(Refused, match="that is the most"):
        made.board.add(0, 0, 1)


def test_training_ends_with_the_last_point():
    made = session(task="fit", units=[])
    made.board.change([])
    put(made, (1, 1))
    made.training = True
    made.board.delete(0)
    made.points_changed()
    assert not made.training and made.view()[0]["loss"] is None and made.gradients() is None
    with pytest.raises(Refused, match="no points to learn from"):
        made.ready()


# --- what is seen -----------------------------------------------------------------------------------------------------


def one_neuron(*weights):
    """Two classes, one neuron, these weights and bias."""
    made = session(task="classify", units=[])
    made.model.load_state_dict({"0.weight": tg.tensor([weights[:2]]), "0.bias": tg.tensor(weights[2:])})
    return made


def test_plane_has_its_first_row_at_the_top():
    plane = one_neuron(0.0, 10.0, 0.0).view()[1]["plane"].reshape(FINE, FINE).astype(int)
    assert plane.dtype == int and (plane[0] == 255).all() and (plane[-1] == 1).all() and (np.diff(plane[:, 0]) <= 0).all()
    plane = one_neuron(10.0, 0.0, 0.0).view()[1]["plane"].reshape(FINE, FINE)
    assert (plane[:, 0] == 1).all() and (plane[:, -1] == 255).all()


def test_numbers_of_one_neuron():
    made = one_neuron(0.5, -1.0, 0.25)
    made.change_settings(dict(gradients=True))
    made.selected = 4
    facts, arrays = made.view()
    x, y = np.array([p[:2] for p in made.board.points], float), np.array([p[2] for p in made.board.points])
    p = 1 / (1 + np.exp(-(x @ [0.5, -1.0] + 0.25)))
    assert facts["loss"] == pytest.approx(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)), rel=1e-5)
    assert facts["accuracy"] == np.mean((p > 0.5) == y)
    np.testing.assert_allclose(arrays["weights"], [0.5, -1.0, 0.25])
    np.testing.assert_allclose(arrays["gradients"], [*((p - y) @ x / len(x)), np.mean(p - y)], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(arrays["activations"], [*x[4], p[4]], rtol=1e-5)
    assert all(q.grad is None for q in made.model.parameters()), "looking changes nothing"


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("task", ["classify", "fit"])
def test_maps(task, activation):
    """One map for each neuron; the sign of every cell is that of the activation."""
    made = session(task=task, units=[3, 2], activation=activation)
    _, arrays = made.view()
    neurons = 2 + 3 + 2 + 1 if task == "classify" else 1 + 3 + 2 + 1
    maps = arrays["maps"].reshape(neurons, -1).astype(int) - 128
    assert maps.min() >= -127 and maps.shape[1] == (32 * 32 if task == "classify" else 65)
    x = tg.tensor([[-2 + 4 * 1.5 / FINE, 2 - 4 * 1.5 / FINE]]) if task == "classify" else tg.tensor([[-2.0]])
    values = np.concatenate([a[0] for a in made.activations(x)])
    if task == "classify":
        values[-1] = 2 * values[-1] - 1  # a probability
    assert (maps[:, 0] * values >= 0).all()


# --- the program ------------------------------------------------------------------------------------------------------


def combinations():
    """Settings in which every task, loss, activation and optimizer occurs."""
    tasks = [(task, loss) for task, losses in LOSSES.items() for loss in losses]
    rows = zip(itertools.cycle(tasks), list(ACTIVATIONS) * 2, itertools.cycle(OPTIMIZERS), itertools.cycle([[3], [], [4, 4], [2, 2, 2]]),
               itertools.cycle([10, 7, 0]), itertools.cycle([0.0, 0.001]))  # fmt: skip
    return [dict(task=t, loss=loss, activation=a, optimizer=o, units=u, batch=b, decay=d) for (t, loss), a, o, u, b, d in rows]


def final_loss(code):
    """What a program prints, as a number; it runs in a thread of its own, as in an interpreter of its own."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "program.py", "exec"), {"__name__": "__main__"})
    return float(out.getvalue().rpartition(" ")[2])


def for_torch(code):
    """The two marked imports, changed."""
    lines = code.splitlines()
    marked = [i for i, line in enumerate(lines) if "# with PyTorch: " in line]
    assert len(marked) == 2
    for i in marked:
        lines[i] = lines[i].partition("# with PyTorch: ")[2]
    assert "tinygrad_edu" not in "\n".join(lines[2:])
    return "\n".join(lines)


def trained(settings, own_points=False):
    made = session(task=settings["task"])
    made.change_settings(settings)
    if own_points:
        made.board.change(
            [(0.5, -1.25, 0), (-0.01, 2.0, 1), (1.0, 1.0, 1), (-1.5, 0.3, 0), (-2.0, 0.0, 1), (0.7, 0.1, 0)][
                : 4 + len(settings["units"])
            ]
        )
        made.points_changed()
    for _ in range(23):
        made.step()
    return made


@pytest.mark.parametrize("settings", combinations(), ids=lambda s: "-".join(str(v) for v in s.values()))
@pytest.mark.parametrize("own_points", [False, True])
def test_program_ends_in_the_same_loss(settings, own_points):
    """Same data, same first weights, same mini-batches: the code on the page is the training that the page shows."""
    made = trained(settings, own_points)
    assert final_loss(program(made)) == pytest.approx(made.loss(), abs=2e-6)


@pytest.mark.parametrize("settings", combinations(), ids=lambda s: "-".join(str(v) for v in s.values()))
def test_program_runs_on_pytorch(settings):
    pytest.importorskip("torch")
    made = trained(settings)
    assert final_loss(for_torch(program(made))) == pytest.approx(made.loss(), abs=1e-4)


@pytest.mark.parametrize("name", [r.__name__ for r in data.RECIPES["classify"]])
def test_data_sets_on_pytorch(name):
    """A recipe's text, run by PyTorch, gives the very points of the page."""
    torch = pytest.importorskip("torch")
    made = session(task="classify")
    made.load(name, 50, 0.1)
    made.step()
    scope = {}
    exec(for_torch(program(made)), scope)
    points = np.array(made.board.points)
    np.testing.assert_allclose(
        torch.cat([scope["x"], scope["y"]], dim=1).numpy(), points, atol=0.0101
    )  # a tie may round the other way
    assert np.isclose(torch.cat([scope["x"], scope["y"]], dim=1).numpy(), points, atol=1e-5).mean() > 0.98


def test_program_without_points_and_after_changes():
    made = session(task="fit", units=[2])
    made.board.change([])
    made.points_changed()
    assert "click some" in program(made)
    put(made, (0, 1), (1, 0))
    for _ in range(3):
        made.step()
    assert "were changed" not in program(made)
    made.change_settings(dict(rate=0.001))
    assert "were changed" in program(made)
    made.reset()
    assert "were changed" not in program(made) and "range(1000)" in program(made)


# --- messages ---------------------------------------------------------------------------------------------------------

BAD = [
    ("", "not JSON"),
    ("{", "not JSON"),
    ("[1, 2]", "expected an object"),
    ("null", "expected an object"),
    ('{"do": "fly"}', "expected one of"),
    ('{"do": ["add"]}', "expected one of"),
    ("{}", "expected one of"),
    ('{"do": "train", "now": true}', 'no field "now"'),
    ('{"do": "train", "id": "1"}', "id: expected a whole number"),
    ('{"do": "step"}', "the field count is missing"),
    ('{"do": "step", "count": 0}', "from 1 to 1000, got 0"),
    ('{"do": "step", "count": 1.5}', "whole number"),
    ('{"do": "step", "count": true}', "whole number"),
    ('{"do": "step", "count": 1e300}', "whole number"),
    ('{"do": "add", "x": NaN, "y": 0, "label": 0}', "NaN, which is no number"),
    ('{"do": "add", "x": -Infinity, "y": 0, "label": 0}', "no number in JSON"),
    ('{"do": "add", "x": 1e999, "y": 0, "label": 0}', "got inf"),
    ('{"do": "add", "x": 5, "y": 0, "label": 0}', "from -2 to 2, got 5"),
    ('{"do": "add", "x": "1", "y": 0, "label": 0}', "expected a number"),
    ('{"do": "add", "x": 1, "y": 0, "label": 2}', "label: expected a whole number from 0 to 1"),
    ('{"do": "delete", "index": 100000}', "index"),
    ('{"do": "delete", "index": 999}', "there is no point 999"),
    ('{"do": "select", "index": 999}', "there is no point 999"),
    ('{"do": "set", "values": {}}', "expected settings"),
    ('{"do": "set", "values": {"depth": 3}}', 'no setting "depth"'),
    ('{"do": "set", "values": {"units": [0]}}', "units[0]"),
    ('{"do": "set", "values": {"units": [1, 1, 1, 1, 1, 1]}}', "at most 5"),
    ('{"do": "set", "values": {"units": [13]}}', "from 1 to 12"),
    ('{"do": "set", "values": {"rate": 0}}', "rate"),
    ('{"do": "set", "values": {"rate": 1e400}}', "rate"),
    ('{"do": "set", "values": {"activation": "__class__"}}', "activation: expected one of"),
    ('{"do": "set", "values": {"optimizer": null}}', "optimizer: expected one of"),
    ('{"do": "set", "values": {"loss": "l1"}}', "does not fit"),
    ('{"do": "set", "values": {"rate": 0.5, "seed": -1}}', "seed"),
    ('{"do": "set", "values": {"gradients": 1}}', "true or false"),
    ('{"do": "preset", "name": "sine", "count": 10, "noise": 0.1, "seed": 1}', "no data set of this task"),
    ('{"do": "preset", "name": "../etc", "count": 10, "noise": 0.1, "seed": 1}', "name: expected one of"),
    ('{"do": "preset", "name": "xor", "count": 100000, "noise": 0.1, "seed": 1}', "count"),
    ('{"do": "lesson", "name": 42}', "no lesson 42"),
    ('{"do": "undo"}', "nothing to undo"),
    ('{"do": "seen", "frame": 7}', "has not been sent"),
    ('{"do": "restore", "settings": {"rate": 0.1}, "points": []}', "are missing"),
    ('{"do": "restore", "settings": {"rate": 0.1}, "points": [[0, 0]]}', "expected [x, y, label]"),
    ('{"do": "restore", "settings": {"rate": 0.1}, "points": [[0, 9, 0]]}', "points[0].y"),
    ("[" * 50_000, "nested too deeply"),
    ('{"do": "' + "x" * 1000 + '"}', "…"),
]  # fmt: skip


class Still(worker.Worker):
    """A worker without its thread and with a clock that stands, whose messages are kept."""

    def __init__(self):
        self.now, self.messages = 100.0, []
        super().__init__(self.messages.append, "still", clock=lambda: self.now)

    def told(self):
        """What was sent since last asked: messages as dicts, and the pictures' headers."""
        found, self.messages[:] = [self.unpacked(m) for m in self.messages], []
        return found

    @staticmethod
    def unpacked(message):
        if isinstance(message, str):
            return json.loads(message)
        (length,) = struct.unpack("<I", message[:4])
        assert length % 4 == 0
        return dict(kind="picture", **json.loads(message[4 : 4 + length]))

    def does(self, name, /, **fields):
        """Obey one command; the answer."""
        self.obey(json.dumps(dict(do=name, id=1, **fields)))
        return [m for m in self.told() if m["kind"] != "picture"]

    def turns(self, n=1):
        """Some rounds of the loop in which it need not wait; the pictures sent."""
        for _ in range(n):
            if self.rest() is None or self.rest() > 0:
                break
            self.turn()
        return [m for m in self.told() if m["kind"] == "picture"]


def condition(made):
    """Everything that a refused message must leave as it is."""
    weights = [p.detach().numpy().tobytes() for p in made.model.parameters()]
    return (
        json.dumps([made.settings, made.board.points, made.training, made.steps, made.selected, len(made.board.past)]),
        weights,
        id(made.optimizer),
    )


@pytest.mark.parametrize(("text", "words"), BAD, ids=range(len(BAD)))
def test_bad_message(text, words):
    """An error that says what is wrong, and nothing has changed."""
    still = Still()
    before = condition(still.session)
    still.obey(text)
    (answer,) = still.told()
    assert answer["kind"] == "error" and words in answer["text"] and len(answer["text"]) < 500
    assert condition(still.session) == before


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["do", "id", "x", "values", "units", "count"]), inner),
                    max_leaves=8), st.sampled_from([*commands.COMMANDS, None]))  # fmt: skip
def test_any_message_is_read_or_refused(message, name):
    if isinstance(message, dict) and name:
        message["do"] = name
    with contextlib.suppress(Refused):
        read, fields, _ = commands.read(json.dumps(message))
        assert set(fields) == set(commands.COMMANDS[read])


def test_every_command_is_obeyed():
    assert {name.removeprefix("do_") for name in dir(worker.Worker) if name.startswith("do_")} == set(commands.COMMANDS)


def test_a_person_at_work():
    """One command after another, with what the page hears."""
    still = Still()
    (answer,) = still.does("add", x=0.5, y=0.5, label=1)
    assert (
        answer["points"][-1] == [0.5, 0.5, 1]
        and len(answer["points"]) == 201
        and answer["answered"] == 1
        and answer["preset"] is None
    )
    assert still.does("undo")[0]["preset"]["name"] == "circles"
    assert still.does("select", index=3)[0]["selected"] == 3
    assert still.does("delete", index=3)[0]["selected"] == -1
    assert still.does("move", index=0, x=1, y=1, done=True)[0]["points"][0][:2] == [1, 1]
    assert still.does("set", values=dict(units=[8, 8], rate=0.1))[0]["sizes"] == [2, 8, 8, 1]
    assert still.does("train")[0]["training"] is True
    assert still.does("pause")[0]["training"] is False
    assert still.does("step", count=5)[0]["training"] is False and still.session.steps == 5
    assert "nn.Linear(8, 8)" in still.does("code")[0]["text"]
    still.does("reset")
    assert still.session.steps == 0
    assert still.does("lesson", name=1)[0]["points"] == []
    assert still.does("train")[0]["kind"] == "error"
    assert still.does("preset", name="sine", count=30, noise=0.0, seed=4)[0]["preset"]["name"] == "sine"
    assert still.does("clear")[0]["points"] == []
    kept = still.does("undo")[0]
    other = Still()
    answer = other.does("restore", settings=kept["settings"], points=kept["points"])[0]
    assert answer["settings"] == kept["settings"] and answer["points"] == kept["points"]


def test_clear_while_training():
    still = Still()
    still.does("train")
    assert still.does("clear")[0]["training"] is False
    still.turns(3)


# --- when it trains, and when it sends --------------------------------------------------------------------------------


def test_pictures_wait_for_the_page():
    still = Still()
    assert len(still.turns(3)) == 1, "one picture, and no more before it has been drawn"
    still.does("set", values=dict(gradients=True))
    assert still.turns(3) == [] and still.rest() is None
    still.does("seen", frame=1)
    assert still.turns(3) == [], "not yet: at most thirty pictures a second"
    still.now += 0.04
    assert [m["frame"] for m in still.turns(3)] == [2]


@pytest.mark.parametrize(("cost", "between"), [(0.001, 1 / 30), (0.01, 0.08), (0.5, 0.2)])
def test_pictures_leave_time_for_training(cost, between):
    """On a slow machine they come less often, yet never less than five times a second."""
    still = Still()
    still.does("train")
    view = still.session.view

    def slow():
        still.now += cost
        return view()

    still.session.view = slow
    still.turns()
    assert still.between == pytest.approx(between)
    still.does("pause")
    still.does("seen", frame=1)
    still.now += 0.5
    still.turns()
    assert still.between == pytest.approx(1 / 30), "without training there is nothing to wait for"


def test_nothing_to_do_is_slept_through():
    still = Still()
    still.turns()
    still.does("seen", frame=1)
    assert still.rest() is None


def test_speed_is_kept():
    still = Still()
    still.does("set", values=dict(speed=100))
    still.does("train")
    for _ in range(100):  # one second
        still.now += 0.01
        still.turns(2)
        still.does("seen", frame=still.sent)
    assert 98 <= still.session.steps <= 101
    assert 95 <= still.speed <= 105
    still.now += 10.0  # the machine was busy elsewhere: no catching up
    still.turns(50)
    assert still.session.steps < 110


def test_training_stops_while_nobody_looks():
    still = Still()
    still.does("set", values=dict(speed=10))
    still.does("train")
    still.does("look", on=False)
    still.now += 1.0
    assert still.rest() is None and still.session.training
    still.does("look", on=True)
    still.now += 0.11
    still.turns(2)
    assert still.session.steps == 1
    still.now += worker.FORGOTTEN + 1  # the page draws nothing any more
    assert still.rest() is None
    still.does("seen", frame=still.sent)
    still.now += 0.11
    assert still.rest() <= 0


def test_engine_error_is_shown(capsys):
    still = Still()
    still.does("train")
    still.session.model = None
    still.now += 1
    still.turn()
    texts = [m["text"] for m in still.told() if m["kind"] == "error"]
    assert len(texts) == 1 and "press Reset" in texts[0] and "Traceback" in capsys.readouterr().err
    still.does("reset")
    still.turn()
    assert still.session.loss() > 0


def test_two_sessions_do_not_meet():
    """Step by step in turns, and in two threads: each gets the numbers that it gets alone."""

    def alone(seed):
        made = session(seed=seed)
        for _ in range(60):
            made.step()
        return made.loss()

    expected = [alone(1), alone(2)]
    both = [session(seed=1), session(seed=2)]
    for _ in range(60):
        for made in both:
            made.step()
    assert [made.loss() for made in both] == expected
    found = {}
    threads = [threading.Thread(target=lambda s=s: found.update({s: alone(s)})) for s in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[1], found[2]] == expected


# --- the connection ---------------------------------------------------------------------------------------------------


def masked(payload, kind=websocket.TEXT, final=True):
    """A frame as a browser sends it."""
    n, mask = len(payload), b"\x11\x22\x33\x44"
    size = struct.pack("!B", 0x80 | n) if n < 126 else struct.pack("!BH", 0xFE, n) if n < 65536 else struct.pack("!BQ", 0xFF, n)
    return bytes([kind | (0x80 if final else 0)]) + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


@pytest.fixture
def pair():
    """(the server's WebSocket, the browser's end)."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    yield websocket.WebSocket(ours, 100), theirs
    ours.close(), theirs.close()


@given(st.binary(max_size=40), st.binary(min_size=4, max_size=4))
def test_mask_is_its_own_inverse(payload, mask):
    masked_payload = websocket.unmasked(payload, mask)
    assert websocket.unmasked(masked_payload, mask) == payload
    assert masked_payload == bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def test_pieces_pings_and_long_messages(pair):
    ours, theirs = pair
    theirs.sendall(masked("grüß".encode()[:3], final=False) + masked(b"now", websocket.PING) + masked("grüß".encode()[3:], 0))
    assert ours.receive() == "grüß"
    assert theirs.recv(5) == b"\x8a\x03now", "the ping was answered"
    theirs.sendall(masked(b"x" * 200) + masked(b"after"))
    with pytest.raises(websocket.TooLong, match="longer than 100 bytes"):
        ours.receive()
    assert ours.receive() == "after", "a message that was too long has been skipped"
    theirs.sendall(masked(b"x" * 60, final=False) + masked(b"y" * 60, 0, final=False) + masked(b"z", 0) + masked(b"and on"))
    with pytest.raises(websocket.TooLong):
        ours.receive()
    assert ours.receive() == "and on"


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_sent_frames(pair, size):
    ours, theirs = pair
    threading.Thread(target=ours.send, args=[b"a" * size]).start()
    file = theirs.makefile("rb")
    head = file.read(2)
    n = head[1] if head[1] < 126 else int.from_bytes(file.read(2 if head[1] == 126 else 8), "big")
    assert head[0] == 0x82 and n == size and file.read(n) == b"a" * size


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x81\x05hello", 1002),  # without a mask
        (masked(b"x", 3), 1002),  # a kind that does not exist
        (b"\xf1" + masked(b"x")[1:], 1002),  # reserved bits
        (masked(b"x", 0), 1002),  # goes on without a beginning
        (masked(b"x", final=False) + masked(b"y"), 1002),  # begins inside of another
        (masked(b"x" * 126, websocket.PING), 1002),
        (masked(b"x", websocket.PING, final=False), 1002),
        (masked(b"\xff\xfe"), 1007),
        (masked(b"x", websocket.BINARY), 1003),
        (masked(struct.pack("!H", 1000), websocket.CLOSE), 1000),
    ],
)
def test_connection_ends_with_a_reason(pair, sent, code):
    ours, theirs = pair
    theirs.sendall(sent)
    with pytest.raises(websocket.Closed):
        ours.receive()
    answer = theirs.recv(200)
    assert answer[0] == 0x88 and struct.unpack("!H", answer[2:4]) == (code,)
    with pytest.raises(websocket.Closed):
        ours.send("nobody listens")


def test_silent_browser_is_asked_and_then_given_up(pair):
    ours, theirs = pair
    ours.socket.settimeout(0.01)
    with pytest.raises(websocket.Closed, match="silent"):
        ours.receive()
    assert theirs.recv(2) == b"\x89\x00"


def test_browser_that_is_gone(pair):
    ours, theirs = pair
    theirs.close()
    with pytest.raises(websocket.Closed, match="gone"):
        ours.receive()


# --- the server -------------------------------------------------------------------------------------------------------


@pytest.fixture
def served():
    """A running server on a free port."""
    running = server.listen(0)
    thread = threading.Thread(target=running.serve_forever, kwargs=dict(poll_interval=0.01))
    thread.start()
    yield running
    running.end_all(), running.shutdown(), thread.join(), running.server_close()


def get(running, path="/", method="GET", **headers):
    """(status, headers, body) of a request."""
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, dict(answer.headers), answer.read().decode()
    connection.close()
    return found


class Page:
    """What a browser's page does, without a browser."""

    def __init__(self, running, **headers):
        self.socket = socket.create_connection(("127.0.0.1", running.port), timeout=10)
        host = f"127.0.0.1:{running.port}"
        sent = {"Host": host, "Origin": f"http://{host}", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(), **headers}  # fmt: skip
        lines = ["GET /session HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def send(self, text):
        self.socket.sendall(masked(text if isinstance(text, bytes) else text.encode()))

    def hear(self, kind):
        """The next message of a kind; pictures are acknowledged."""
        while True:
            first, n = self.file.read(2)
            n = n if n < 126 else int.from_bytes(self.file.read(2 if n == 126 else 8), "big")
            payload = self.file.read(n)
            if first == 0x88:
                return payload[2:].decode()
            message = Still.unpacked(payload if first == 0x82 else payload.decode())
            if message["kind"] == "picture":
                self.send(json.dumps(dict(do="seen", frame=message["frame"])))
            if message["kind"] == kind:
                return message

    def close(self):
        self.file.close(), self.socket.close()


def test_files_of_the_page(served):
    policy = None
    for path, (_, kind) in server.FILES.items():
        status, headers, body = get(served, path)
        assert status == 200 and headers["Content-Type"] == kind and body
        policy = headers["Content-Security-Policy"]
        assert "https:" not in body and "//cdn" not in body and "@import" not in body
        assert get(served, path, "HEAD")[2] == ""
    assert (
        policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'") and f"ws://127.0.0.1:{served.port}" in policy
    )
    packaged = {f.name for f in files("tinygrad_edu.playground").joinpath("page").iterdir()}
    assert packaged == {name for name, _ in server.FILES.values()}


def test_only_the_loopback_address(served):
    assert served.socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize(
    "path", ["/nothing", "/../server.py", "/page/index.html", "/%2e%2e/server.py", "/player/", "/player/guess", "/index.html"]
)
def test_paths_that_do_not_exist(served, path):
    assert get(served, path)[0] == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "localhost:1", ""]
)
def test_foreign_host(served, host):
    """DNS rebinding: a foreign name that points to this machine."""
    status, _, body = get(served, Host=host.format(port=served.port))
    assert status == 403 and "not to the name" in body
    assert get(served, Host=f"localhost:{served.port}")[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        ({"Origin": "http://localhost:{port}"}, 403),
        ({"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"}, 403),
        ({"Upgrade": "other"}, 400),
        ({"Sec-WebSocket-Version": "8"}, 400),
        ({"Sec-WebSocket-Key": ""}, 400),
        ({"Host": "localhost:{port}", "Origin": "http://localhost:{port}"}, 101),
    ],
)
def test_who_may_open_a_session(served, headers, status):
    page = Page(served, **{k: v.format(port=served.port) for k, v in headers.items()})
    assert page.status == status
    if status == 101:
        page.hear("state")
    assert len(served.workers) == (status == 101)
    page.close()


def test_other_methods(served):
    assert get(served, method="POST")[0] == 501


def test_bad_messages_over_the_wire(served):
    """Each is answered by an error, and the next good one is obeyed."""
    page = Page(served)
    first = page.hear("state")
    for text, words in BAD[::6]:
        page.send(text)
        assert words in page.hear("error")["text"]
    page.send("x" * (commands.LIMIT + 1))
    assert "was not read" in page.hear("error")["text"]
    page.send(json.dumps(dict(do="add", id=5, x=1, y=1, label=0)))
    answer = page.hear("state")
    assert answer["answered"] == 5 and answer["points"][:-1] == first["points"] and answer["settings"] == first["settings"]
    page.close()


def test_two_pages_and_a_closed_one(served):
    """Each has a session of its own; a closed one's thread ends, and the other trains on."""
    pages = [Page(served), Page(served)]
    for page in pages:
        page.hear("state")
    first, second = served.workers.values()
    pages[0].send('{"do": "clear", "id": 1}')
    assert pages[0].hear("state")["points"] == []
    for page in pages[1:]:
        page.send('{"do": "set", "values": {"speed": 0}, "id": 2}')
        page.send('{"do": "train", "id": 3}')
    reached = pages[1].hear("picture")
    pages[0].close()
    first.join(10)
    assert not first.is_alive() and list(served.workers.values()) == [second]
    while pages[1].hear("picture")["step"] < reached["step"] + 5:
        pass
    pages[1].close()  # while it trains
    second.join(10)
    assert not second.is_alive()


def test_full_inbox_of_a_worker_that_has_ended():
    """Nobody waits for it: neither a page that goes on sending, nor the end of the server."""
    still = Still()
    for _ in range(100):
        still.inbox.put("x")
    server.deliver(still, "one more")
    server.deliver(still, Future())


def test_inbox_that_is_full_for_a_moment():
    still = Still()
    for _ in range(100):
        still.inbox.put('{"do": "code"}')
    still.start()
    server.deliver(still, '{"do": "lesson", "name": 77}')
    server.stop(still)
    assert not still.is_alive() and any("no lesson 77" in m["text"] for m in still.told() if m["kind"] == "error")


def test_too_many_pages(served, monkeypatch):
    monkeypatch.setattr(server, "MOST", 1)
    page = Page(served)
    page.hear("state")
    other = Page(served)
    assert "that is the most" in other.hear("error")["text"]
    assert other.hear("state") == ""
    other.close(), page.close()


def test_player(served):
    """The player's page of the present step; a session without points says so."""
    page = Page(served)
    token = page.hear("state")["token"]
    page.send('{"do": "step", "count": 7, "id": 1}')
    page.hear("state")
    status, headers, body = get(served, f"/player/{token}")
    assert status == 200 and "after 7 steps" in body and "finite difference" in body and "prediction" in body
    assert (
        "sandbox allow-scripts" in headers["Content-Security-Policy"] and "connect-src" not in headers["Content-Security-Policy"]
    )
    page.send('{"do": "clear", "id": 2}')
    page.hear("state")
    status, _, body = get(served, f"/player/{token}")
    assert status == 409 and "no point to play" in body
    page.close()


def test_snapshot_is_a_copy():
    made = session(task="classify", units=[3])
    model, _, x, y = made.snapshot()
    before = model(x).detach().clone()
    made.step()
    assert tg.equal(model(x), before) and len(x) == 3
    made.selected = 7
    assert made.snapshot()[2].tolist() == [pytest.approx(made.board.points[7][:2])]
    still, future = Still(), Future()
    still.answer(future)
    assert len(future.result()) == 5


def test_stopped_server_says_good_bye(served):
    page = Page(served)
    page.hear("state")
    (thread,) = served.workers.values()
    served.end_all()
    assert page.hear("nothing more") == "the server was stopped"
    thread.join(10)
    assert not thread.is_alive()
    page.close()


def test_port_in_use(served, capsys, monkeypatch):
    """A port that was asked for is an error with a way out; else the next one is taken."""
    with pytest.raises(SystemExit) as end:
        cli.main(["playground", "--port", str(served.port), "--no-browser"])
    error = capsys.readouterr().err
    assert (
        end.value.code == 2
        and f"port {served.port} cannot be used" in error
        and "leave --port out" in error
        and error.count("\n") == 1
    )
    monkeypatch.setattr(server, "PORT", served.port)
    with server.listen() as other:
        assert other.port != served.port


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_impossible_port(port, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["playground", f"--port={port}"])
    assert end.value.code == 2 and "invalid port value" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal for one process")
def test_keyboard_ends_it():
    """Ctrl-C with an open page that trains: a line, status 0, no traceback."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tinygrad_edu", "playground", "--port", "0", "--no-browser"]
    hears = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # what runs in the background may have been told not to
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=hears) as process:
        address = process.stdout.readline().split()[4]
        page = Page(type("Address", (), dict(port=int(address.rstrip("/").rpartition(":")[2]))))
        page.hear("state")
        page.send('{"do": "train", "id": 1}')
        page.hear("picture")
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=20)
        assert process.returncode == 0 and error == "" and "closed" in out
        page.close()


def test_browser_is_opened(monkeypatch, capsys):
    """The address is printed and opened, unless that is not wanted."""
    opened = threading.Event()
    monkeypatch.setattr(server.webbrowser, "open", lambda address: opened.set())

    def stop_at_once(self, poll_interval):
        raise KeyboardInterrupt

    monkeypatch.setattr(server.Server, "serve_forever", stop_at_once)
    assert cli.main(["playground", "--port", "0", "--no-browser"]) == 0
    assert "http://127.0.0.1:" in capsys.readouterr().out and not opened.is_set()
    assert cli.main(["playground", "--port", "0"]) == 0
    assert opened.wait(10)
