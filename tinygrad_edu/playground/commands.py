"""What the page may ask for: every command with its fields, every setting with its values; anything else is refused with a reason."""

import json
import math

from .data import RECIPES, SIDE

LIMIT = 64 * 1024  # bytes of a message; the largest that the page sends has a few hundred
MOST_POINTS = 1000


class Refused(ValueError):
    """A message that cannot be obeyed; its text is shown to the person."""


def shown(value):
    """A value in a message, cut to a readable length."""
    text = json.dumps(value) if not isinstance(value, float) or math.isfinite(value) else str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def whole(low, high):
    """A check for whole numbers."""

    def check(name, value):
        if type(value) is not int or not low <= value <= high:
            raise Refused(f"{name}: expected a whole number from {low} to {high}, got {shown(value)}")
        return value

    return check


def real(low, high):
    """A check for numbers."""

    def check(name, value):
        if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
            raise Refused(f"{name}: expected a number from {low:g} to {high:g}, got {shown(value)}")
        return float(value)

    return check


def one_of(*allowed):
    """A check for one of a few words."""

    def check(name, value):
        if type(value) is not str or value not in allowed:
            raise Refused(f"{name}: expected one of {', '.join(allowed)}, got {shown(value)}")
        return value

    return check


def flag(name, value):
    """A check for true or false."""
    if type(value) is not bool:
        raise Refused(f"{name}: expected true or false, got {shown(value)}")
    return value


def units(name, value):
    """A check for the sizes of the hidden layers."""
    if type(value) is not list or len(value) > 5:
        raise Refused(f"{name}: expected a list of at most 5 layer sizes, got {shown(value)}")
    return [whole(1, 12)(f"{name}[{i}]", n) for i, n in enumerate(value)]


def values(name, value):
    """A check for some settings together."""
    if type(value) is not dict or not value:
        raise Refused(f"{name}: expected settings and their values, got {shown(value)}")
    for key in value:
        if key not in SETTINGS:
            raise Refused(f"{name}: there is no setting {shown(key)}; there are {', '.join(SETTINGS)}")
    return {key: SETTINGS[key](key, v) for key, v in value.items()}


def points(name, value):
    """A check for all points at once: [[x, y, label], …]."""
    if type(value) is not list or len(value) > MOST_POINTS:
        raise Refused(f"{name}: expected a list of at most {MOST_POINTS} points, got {shown(value)}")
    found = []
    for i, point in enumerate(value):
        if type(point) is not list or len(point) != 3:
            raise Refused(f"{name}[{i}]: expected [x, y, label], got {shown(point)}")
        found.append(
            (place(f"{name}[{i}].x", point[0]), place(f"{name}[{i}].y", point[1]), whole(0, 1)(f"{name}[{i}].label", point[2]))
        )
    return found


place = real(-SIDE, SIDE)
ACTIVATIONS = {"tanh": "Tanh", "relu": "ReLU", "sigmoid": "Sigmoid", "leaky": "LeakyReLU", "gelu": "GELU", "none": "Identity"}
LOSSES = {
    "classify": {"bce": "BCEWithLogitsLoss", "mse": "MSELoss"},
    "fit": {"mse": "MSELoss", "l1": "L1Loss", "huber": "HuberLoss"},
}
OPTIMIZERS: dict[str, tuple[str, dict]] = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "adam": ("Adam", {}),
    "rmsprop": ("RMSprop", {}),
    "adagrad": ("Adagrad", {}),
}
SETTINGS = {
    "task": one_of("classify", "fit"),
    "units": units,
    "activation": one_of(*ACTIVATIONS),
    "loss": one_of("bce", "mse", "l1", "huber"),
    "optimizer": one_of(*OPTIMIZERS),
    "rate": real(1e-6, 100),
    "batch": whole(0, MOST_POINTS),  # 0: all points in each step
    "decay": real(0, 1),
    "seed": whole(0, 2**31 - 1),
    "speed": whole(0, 100_000),  # steps a second; 0: as many as the machine makes
    "gradients": flag,
}
index = whole(0, MOST_POINTS - 1)
COMMANDS = {
    "train": {},
    "pause": {},
    "reset": {},
    "step": {"count": whole(1, 1000)},
    "set": {"values": values},
    "lesson": {"name": whole(0, 99)},
    "preset": {
        "name": one_of(*(r.__name__ for recipes in RECIPES.values() for r in recipes)),
        "count": whole(2, MOST_POINTS),
        "noise": real(0, 1),
        "seed": whole(0, 2**31 - 1),
    },
    "add": {"x": place, "y": place, "label": whole(0, 1)},
    "move": {"index": index, "x": place, "y": place, "done": flag},
    "delete": {"index": index},
    "select": {"index": whole(-1, MOST_POINTS - 1)},  # −1: none
    "clear": {},
    "undo": {},
    "restore": {"settings": values, "points": points},
    "code": {},
    "look": {"on": flag},
    "seen": {"frame": whole(0, 2**53)},
}


def not_a_number(word):
    """JSON has no NaN and no infinity, though Python's reader knows them."""
    raise Refused(f"the message holds {word}, which is no number in JSON")


def read(text):
    """(command, its fields, the message's number or None) of a message, checked; raises Refused with the reason.

    >>> read('{"do": "step", "count": 5, "id": 3}')
    ('step', {'count': 5}, 3)
    """
    try:
        message = json.loads(text, parse_constant=not_a_number)
    except Refused:
        raise
    except RecursionError:
        raise Refused("the message is nested too deeply") from None
    except ValueError as error:
        raise Refused(f"the message is not JSON ({error})") from None
    if type(message) is not dict:
        raise Refused(f'the message: expected an object such as {{"do": "train"}}, got {shown(message)}')
    number = message.pop("id", None)
    if number is not None:
        whole(0, 2**53)("id", number)
    name = message.pop("do", None)
    if type(name) is not str or name not in COMMANDS:
        raise Refused(f"do: expected one of {', '.join(COMMANDS)}, got {shown(name)}")
    fields = COMMANDS[name]
    for key in message:
        if key not in fields:
            raise Refused(f"{name}: there is no field {shown(key)}; expected {', '.join(fields) or 'none'}")
    for key in fields:
        if key not in message:
            raise Refused(f"{name}: the field {key} is missing")
    return name, {key: check(key, message[key]) for key, check in fields.items()}, number
