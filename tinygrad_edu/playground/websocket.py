"""The server's half of a WebSocket (RFC 6455) on an ordinary socket: text from the browser, text and bytes to it, nothing else."""

import base64
import hashlib
import struct
import threading

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
NORMAL, GOING_AWAY, PROTOCOL_ERROR, UNSUPPORTED, BAD_TEXT = 1000, 1001, 1002, 1003, 1007
PATIENCE = 20.0  # seconds without a byte, after which the browser is asked whether it is still there


class Closed(Exception):
    """The connection has ended, or must: its text is the reason."""


class TooLong(Exception):
    """A message was longer than the limit, and has been thrown away; the connection is as good as before."""


def accept(key):
    """The answer to a browser's Sec-WebSocket-Key, which shows that the server speaks this protocol.

    >>> accept("dGhlIHNhbXBsZSBub25jZQ==")  # the example of RFC 6455
    's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    """
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode("latin-1")).digest()).decode()


def unmasked(payload, mask):
    """The payload XOR the mask's four bytes, again and again."""
    repeated = mask * (len(payload) // 4) + mask[: len(payload) % 4]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")


class WebSocket:
    """One open connection. One thread receives; any thread may send."""

    def __init__(self, socket, limit):
        self.socket, self.limit = socket, limit
        self.socket.settimeout(PATIENCE)
        self.sending, self.ended, self.arrived = threading.Lock(), False, bytearray()

    def send(self, message):
        """Send text or bytes; raises Closed if nobody takes them."""
        self.frame(TEXT, message.encode()) if isinstance(message, str) else self.frame(BINARY, message)

    def frame(self, kind, payload):
        """Send one frame; a server's are not masked."""
        n = len(payload)
        size = struct.pack("!B", n) if n < 126 else struct.pack("!BH", 126, n) if n < 65536 else struct.pack("!BQ", 127, n)
        with self.sending:
            if self.ended:
                raise Closed("the connection has been closed")
            self.ended = kind == CLOSE
            try:
                self.socket.sendall(bytes([0x80 | kind]) + size + payload)
            except OSError as error:
                self.ended = True
                raise Closed(f"the browser does not take what is sent ({error})") from None

    def receive(self):
        """The next text message. Raises TooLong for one that was skipped, and Closed at the end."""
        parts, length, started = [], 0, False
        while True:
            final, kind, payload = self.next_frame(self.limit - length)
            if kind == PING:
                self.frame(PONG, payload)
            elif kind == CLOSE:
                self.close(NORMAL)
                raise Closed("the browser has closed the connection")
            elif kind == BINARY:
                self.fail(UNSUPPORTED, "only text is understood")
            elif kind != PONG:
                if (kind == TEXT) == started:
                    self.fail(PROTOCOL_ERROR, "a message began inside of another, or went on without having begun")
                started = True
                length = self.limit + 1 if payload is None else length + len(payload)
                parts.append(payload or b"")
                if final:
                    break
        if length > self.limit:
            raise TooLong(f"the message is longer than {self.limit} bytes, and was not read")
        try:
            return b"".join(parts).decode()
        except UnicodeDecodeError:
            self.fail(BAD_TEXT, "the text is not UTF-8")

    def next_frame(self, room):
        """(final, kind, payload): one frame; the payload is None if it was longer than `room` bytes, and has been skipped."""
        first, second = self.read(2, idle=True)
        kind, n = first & 0x0F, second & 0x7F
        if first & 0x70 or kind not in (0, TEXT, BINARY, CLOSE, PING, PONG) or not second & 0x80:
            self.fail(PROTOCOL_ERROR, "this is no frame of a browser")
        if kind >= CLOSE and (n > 125 or not first & 0x80):
            self.fail(PROTOCOL_ERROR, "a control frame is short and whole")
        if n == 126:
            (n,) = struct.unpack("!H", self.read(2))
        elif n == 127:
            (n,) = struct.unpack("!Q", self.read(8))
        mask = self.read(4)
        if n > max(room, 125):
            while n > 0:
                n -= len(self.read(min(n, 65536)))
            return bool(first & 0x80), kind, None
        return bool(first & 0x80), kind, unmasked(self.read(n), mask)

    def read(self, n, idle=False):
        """Exactly n bytes. Between two frames (`idle`) silence is allowed, as long as the browser answers a ping."""
        asked = False
        while len(self.arrived) < n:
            try:
                piece = self.socket.recv(65536)  # at once: each call may wait for the thread that trains
            except TimeoutError:
                if not idle or asked:
                    raise Closed("the browser has fallen silent") from None
                asked = True
                self.frame(PING, b"")
                continue
            except OSError as error:
                raise Closed(f"the connection broke ({error})") from None
            if not piece:
                raise Closed("the browser is gone")
            self.arrived += piece
        found = bytes(self.arrived[:n])
        del self.arrived[:n]
        return found

    def fail(self, code, reason):
        """Close because of what the browser sent."""
        self.close(code, reason)
        raise Closed(reason)

    def close(self, code=NORMAL, reason=""):
        """Say good-bye; nothing can be sent afterwards."""
        try:
            self.frame(CLOSE, struct.pack("!H", code) + reason.encode())
        except Closed:
            pass
