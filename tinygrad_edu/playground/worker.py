"""The thread behind one page: obeys its messages, trains between them, and sends what there is to see no faster than the page draws."""

import json
import queue
import struct
import sys
import threading
import time
import traceback
from concurrent.futures import Future

import numpy as np

from . import commands, lessons
from .commands import Refused
from .program import program
from .session import Session
from .websocket import Closed

PICTURES, SELDOM = 1 / 30, 1 / 5  # seconds between two pictures at least; and at most, however slow the machine is
SHARE = 1 / 8  # of the time of training may go into pictures
SLICE = 0.004  # seconds of training between two looks into the inbox
FORGOTTEN = 3.0  # seconds without an answer to a picture, after which nobody seems to look
NOTHING = object()  # no message has arrived
CLICK = {"add", "move", "delete", "clear", "undo", "preset", "lesson", "restore"}  # commands after which the points are sent


class Worker(threading.Thread):
    """Runs until the page is gone. `inbox` takes the page's messages as text, a Future that asks for a snapshot, or None: the end."""

    def __init__(self, send, name, clock=time.perf_counter):
        super().__init__(name=f"playground {name}", daemon=True)
        self.send, self.token, self.clock = send, name, clock
        self.inbox: queue.Queue = queue.Queue(maxsize=100)
        self.session = Session()
        self.looking, self.changed = True, True  # is the page in sight; is there something new to see
        self.sent, self.seen, self.sent_at = 0, 0, -1.0  # pictures: last one sent, last one drawn, when
        self.between = PICTURES
        self.pace(), self.measure()

    # --- the loop -----------------------------------------------------------------------------------------------------

    def run(self):
        """Work until the end of the page."""
        try:
            self.tell(
                points=True, lessons=[dict(title=lesson.title, text=lesson.text) for lesson in lessons.LESSONS], token=self.token
            )
            with np.errstate(all="ignore"):  # a diverging network is something to see here, not to warn of
                while self.turn():
                    pass
        except Closed:
            pass

    def turn(self):
        """Obey at most one message, train for a moment, send a picture if it is time; False at the end."""
        try:
            message = self.inbox.get(timeout=self.rest())
        except queue.Empty:
            message = NOTHING
        if message is None:
            return False
        try:
            if isinstance(message, Future):
                self.answer(message)
            elif message is not NOTHING:
                self.obey(message)
            if self.session.training and self.watched():
                self.train()
            if self.picture_due() <= 0:
                self.show()
        except Closed:
            raise
        except Exception as error:
            self.session.training = self.changed = False
            traceback.print_exc(file=sys.stderr)
            self.complain(f"the engine stopped with {type(error).__name__}: {error}; press Reset", None)
            self.tell()
        return True

    def rest(self):
        """For how long there is nothing to do, in seconds; None: until the next message."""
        waits = [self.picture_due()]
        if self.session.training and self.watched():
            waits.append(self.step_due())
        soonest = min(waits)
        return None if soonest == float("inf") else max(soonest, 0.0)

    def watched(self):
        """Whether anybody looks: the page is in sight, and has not forgotten to draw."""
        return self.looking and (self.seen == self.sent or self.clock() - self.sent_at < FORGOTTEN)

    def picture_due(self):
        """Seconds until the next picture; for ever if there is nothing new, or the last one has not been drawn yet."""
        if not self.changed or not self.looking or self.seen != self.sent:
            return float("inf")
        return self.sent_at + self.between - self.clock()

    # --- training -----------------------------------------------------------------------------------------------------

    def pace(self):
        """Count the steps that are due from now on."""
        self.paced_from, self.paced = self.clock(), 0

    def step_due(self):
        """Seconds until the next step is due at the chosen speed."""
        speed = self.session.settings["speed"]
        return self.paced_from + (self.paced + 1) / speed - self.clock() if speed else 0.0

    def train(self):
        """The steps that are due, as long as a slice of time lasts."""
        end = self.clock() + SLICE
        if self.step_due() < -0.25:
            self.pace()  # the machine is slower than the wish: do not run after it
        while self.session.training and self.step_due() <= 0 and self.clock() < end and self.inbox.empty():
            self.session.step()
            self.paced += 1
            self.changed = True
        if not self.session.training:
            self.tell()

    def measure(self):
        """Begin to measure the steps per second."""
        self.measured_from, self.measured, self.speed = self.clock(), self.session.steps, 0.0

    def show(self):
        """Send a picture."""
        begun = self.clock()
        facts, arrays = self.session.view()
        now = self.clock()
        if now - self.measured_from > 0.5:
            self.speed = (self.session.steps - self.measured) / (now - self.measured_from)
            self.measured_from, self.measured = now, self.session.steps
        self.sent += 1
        facts.update(frame=self.sent, speed=round(self.speed, 1) if self.session.training else 0)
        self.sent_at, self.changed = now, False
        self.send(packed(facts, arrays))
        self.between = max(PICTURES, min((self.clock() - begun) / SHARE, SELDOM)) if self.session.training else PICTURES

    # --- messages -----------------------------------------------------------------------------------------------------

    def obey(self, text):
        """Do what a message asks for, or say why not."""
        number = None
        try:
            name, fields, number = commands.read(text)
            getattr(self, "do_" + name)(**fields)
        except Refused as error:
            self.complain(str(error), number)
            return
        if name in ("look", "seen", "code"):
            return
        if name in CLICK:
            self.session.points_changed()
        self.changed = True
        self.tell(points=name in CLICK or name == "set", answered=number)

    def complain(self, text, number):
        """Send an error for the page to show."""
        self.send(json.dumps(dict(kind="error", text=text, answered=number)))

    def tell(self, points=False, answered=None, **more):
        """Send everything but the picture: settings, whether it trains, points if they may have changed."""
        session = self.session
        state = dict(kind="state", settings=session.settings, training=session.training, notice=session.notice, answered=answered,
                     selected=session.selected, sizes=session.sizes, undo=bool(session.board.past), **more)  # fmt: skip
        if points:
            state["points"] = session.board.points
            state["preset"] = session.board.recipe
        self.send(json.dumps(state, allow_nan=False))

    def answer(self, future):
        """Give a snapshot to the thread that makes a page of it."""
        try:
            future.set_result((*self.session.snapshot(), self.session.steps))
        except Refused as error:
            future.set_exception(error)

    def do_train(self):
        self.session.ready()
        self.session.training, self.session.notice = True, ""
        self.pace(), self.measure()

    def do_pause(self):
        self.session.training = False

    def do_reset(self):
        self.session.reset()

    def do_step(self, count):
        self.session.ready()
        self.session.training = False
        for _ in range(count):
            self.session.step()
            if self.session.notice:
                break

    def do_set(self, values):
        self.session.change_settings(values)
        self.pace()

    def do_lesson(self, name):
        self.session.begin_lesson(name)

    def do_preset(self, name, count, noise, seed):
        self.session.load(name, count, noise, seed)

    def do_add(self, x, y, label):
        self.session.board.add(x, y, label)

    def do_move(self, index, x, y, done):
        self.session.board.move(index, x, y, done)

    def do_delete(self, index):
        self.session.board.delete(index)
        self.session.selected = -1

    def do_select(self, index):
        self.session.selected = self.session.board.existing(index) if index >= 0 else -1

    def do_clear(self):
        self.session.board.change([])
        self.session.training = False

    def do_undo(self):
        self.session.board.undo()

    def do_restore(self, settings, points):
        self.session.restore(settings, points)

    def do_code(self):
        self.send(json.dumps(dict(kind="code", text=program(self.session))))

    def do_look(self, on):
        self.looking, self.seen, self.changed = on, self.sent, True
        self.pace(), self.measure()

    def do_seen(self, frame):
        if frame > self.sent:
            raise Refused(f"seen: picture {frame} has not been sent; the last one is {self.sent}")
        if not self.watched():
            self.pace(), self.measure()
        self.seen = max(self.seen, frame)


def packed(facts, arrays):
    """One picture in bytes: the length of its header, the header (JSON), then each array from a multiple of four on."""
    facts["arrays"] = [[name, "float32" if a.dtype == np.float32 else "uint8", int(a.size)] for name, a in arrays.items()]
    header = json.dumps(facts, allow_nan=False).encode()
    header += b" " * (-len(header) % 4)
    parts = [struct.pack("<I", len(header)), header]
    for array in arrays.values():
        raw = array.astype("<f4" if array.dtype == np.float32 else np.uint8, copy=False).tobytes()
        parts += [raw, b"\0" * (-len(raw) % 4)]
    return b"".join(parts)
