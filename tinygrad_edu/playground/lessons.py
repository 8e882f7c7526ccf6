"""Things to try: each lesson sets data, network and optimizer, and says in two sentences what to do and what to look for."""

from typing import Any, NamedTuple


class Lesson(NamedTuple):
    """One entry of the page's list; the settings are those that differ from START."""

    title: str
    text: str
    settings: dict[str, Any]
    preset: str | None
    n: int = 200
    noise: float = 0.1


START: dict[str, Any] = dict(task="classify", units=[4, 4], activation="tanh", loss="bce", optimizer="adam", rate=0.03, batch=10,
                             decay=0.0, seed=1, speed=100, gradients=False)  # fmt: skip
SGD = dict(optimizer="sgd", loss="mse", batch=0, rate=0.1)

LESSONS = [
    Lesson(
        "Circles: a first network",
        "Press Train: the network learns to tell the two classes apart. Watch which neuron looks where.",
        {},
        "circles",
    ),
    Lesson(
        "A line through points",
        "Click a few points and press Train: the line moves. One neuron without activation is y = a·x + b, and each step walks downhill "
        "on the mean squared error.",
        dict(SGD, task="fit", units=[], speed=10),
        None,
    ),
    Lesson(
        "Too large a step",
        "The same line at learning rate 1: press Step a few times, and every step overshoots by more. "
        "Which is the largest rate that still works?",
        dict(SGD, task="fit", units=[], rate=1.0, speed=10),
        "line",
        20,
    ),
    Lesson(
        "One neuron is not enough",
        "No straight line separates XOR: train, and the loss stays near 0.69 = ln 2. Then add a layer, and train again.",
        dict(units=[], speed=1000),
        "xor",
    ),
    Lesson(
        "XOR with three sigmoids",
        "The 2-3-1 network of the textbooks with squared error. With another seed it may get stuck: reset and see.",
        dict(units=[3], activation="sigmoid", loss="mse", speed=1000),
        "xor",
    ),
    Lesson(
        "Gradients that vanish",
        "Five sigmoid layers deep: the table shows how little of the gradient reaches the first ones, and the loss stays at 0.69 = ln 2. "
        "Change the activation to tanh, and train again.",
        dict(units=[4, 4, 4, 4, 4], activation="sigmoid", optimizer="sgd", rate=0.1, gradients=True, speed=1000),
        "moons",
    ),
    Lesson(
        "A curve of kinks",
        "ReLU neurons are straight lines with one kink each; together they bend into a sine. How few are enough?",
        dict(task="fit", units=[8], activation="relu", loss="mse", speed=1000),
        "sine",
        100,
    ),
    Lesson(
        "The spiral",
        "Hard for small networks: it takes a few thousand steps at full speed. Then make it smaller: when does it fail?",
        dict(units=[8, 8], speed=0),
        "spiral",
        300,
        0.05,
    ),
]
