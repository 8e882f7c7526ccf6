"""The stream of 32-bit words behind all random numbers: NumPy's Mersenne Twister, read and worked on ahead. Read before random.py.

One NumPy call for a thousand numbers costs little more than one for ten, and random numbers are mostly asked for in tens. So
words are read some blocks ahead, and when a few numbers are asked for, all words that are there are made into such numbers; later
calls take theirs from what is made. Nothing can tell: position and state are always those of the next word that nobody has had.
"""

import numpy as np

BLOCK = 624  # the twister's state is a block of words, and so is what it makes of it
AHEAD = 4 * BLOCK  # how many words are read ahead at a time
PIECE = 2**14  # of large requests, how many words are worked on at a time: what the processor's cache holds


class Way:
    """How groups of words become numbers: `make` takes any number of groups and returns a flat array."""

    def __init__(self, words, numbers, make):
        self.words, self.numbers, self.make = words, numbers, make  # how many per group


class Twister:
    """The stream from one seed on. `ahead` holds whole blocks of words, up to where NumPy's generator is."""

    def __init__(self):
        self.source = np.random.MT19937(0)
        self.go_on(np.empty(0, np.uint64), 0)

    def seed(self, seed):
        """Start again from a 32-bit seed."""
        np.random.RandomState(self.source).seed(seed)
        self.go_on(np.empty(0, np.uint64), 0)

    def go_on(self, words, position):
        """Let `words` be those up to NumPy's generator, and go on at a position in them."""
        self.ahead, self.position = words, position
        self.made: dict = {}  # (way, position within a group) → (position, the numbers made of all words from there on)

    def state(self):
        """The block of the next word before it was tempered, and the position in it; 624 where a new block comes first."""
        if not self.ahead.size:
            return self.source.state["state"]["key"], BLOCK
        begin = max(self.position - 1, 0) // BLOCK * BLOCK
        return untempered(self.ahead[begin : begin + BLOCK]), self.position - begin

    def set_state(self, key, position):
        """Go on from what `state` returned."""
        self.source.state = {"bit_generator": "MT19937", "state": {"key": key.astype(np.uint32), "pos": BLOCK}}
        self.go_on(tempered(key.astype(np.uint64)), position)

    def take(self, n):
        """Where the next n words begin in `ahead`; reads on if there are too few."""
        lacking = self.position + n - self.ahead.size
        if lacking > 0:
            begin = self.position // BLOCK * BLOCK
            drawn = self.source.random_raw(max(AHEAD, -(-lacking // BLOCK) * BLOCK))
            self.go_on(np.concatenate([self.ahead[begin:], drawn]), self.position - begin)
        self.position += n
        return self.position - n

    def words(self, n):
        """The next n words, as uint64."""
        if n > PIECE:
            return in_pieces(self.words, n, PIECE)
        start = self.take(n)
        return self.ahead[start : start + n].copy()

    def numbers(self, way, n):
        """What `way` makes of the next n groups of words."""
        if n * way.words > AHEAD // 2:
            return in_pieces(lambda k: way.make(self.words(k * way.words)), n, PIECE // way.words)
        start = self.take(n * way.words)
        place = (way, start % way.words)
        if place not in self.made:
            rest = self.ahead[start:]
            self.made[place] = (start, way.make(rest[: rest.size - rest.size % way.words]))
        first, numbers = self.made[place]
        begin = (start - first) // way.words * way.numbers
        return numbers[begin : begin + n * way.numbers].copy()  # memory of its own, so that a write to it is known as such


def in_pieces(draw, n, size):
    """`draw(n)`, a flat array, for many numbers: `size` at a time."""
    return np.concatenate([draw(min(size, n - i)) for i in range(0, n, size)])


# Each word of the state is tempered by four steps w → w ⊕ step(w) before it is given out.
TEMPERING = (lambda w: w >> 11, lambda w: w << 7 & 0x9D2C5680, lambda w: w << 15 & 0xEFC60000, lambda w: w >> 18)


def tempered(key):
    """The words that a block of the state gives."""
    for step in TEMPERING:
        key = key ^ step(key)
    return key


def untempered(words):
    """The block of the state that gave these words."""
    for step in reversed(TEMPERING):
        w = words
        for _ in range(4):  # a step leaves seven bits or more as they are, and each round finds as many more
            w = words ^ step(w)
        words = w
    return words
