"""The web server of the playground: one process on this machine only, one session per open page, nothing from elsewhere."""

import contextlib
import json
import linecache
import os
import secrets
import sys
import threading
import webbrowser
from concurrent.futures import Future
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from queue import Empty, Full
from urllib.parse import urlsplit

from .commands import LIMIT, Refused
from .websocket import GOING_AWAY, Closed, TooLong, WebSocket, accept
from .worker import Worker

HOST, PORT = "127.0.0.1", 8765
MOST = 16  # pages at a time
SCRIPT = "text/javascript; charset=utf-8"
FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    **{f"/{name}.js": (f"{name}.js", SCRIPT) for name in ("main", "connection", "plane", "network", "chart", "drawing")},
}
# the player's page carries its own script and style; its sandbox has no origin, so that it can ask this server for nothing
PLAYER_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'; sandbox allow-scripts"
)
PASS = """def one_pass():
    prediction = model(x)
    loss = loss_of(prediction, y)
    return loss
"""
playing = threading.Lock()  # the layout program serves one at a time


class Server(ThreadingHTTPServer):
    """Listens on the loopback address; `workers` has the running sessions by their secret names."""

    daemon_threads, block_on_close = True, False
    allow_reuse_address = os.name != "nt"  # on Windows it would let two servers share a port

    def __init__(self, port):
        self.workers, self.sockets, self.lock = {}, {}, threading.Lock()
        super().__init__((HOST, port), Handler)
        self.port = self.server_address[1]
        self.hosts = {f"{name}:{self.port}" for name in (HOST, "localhost")}
        self.policy = (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src {' '.join(f'ws://{h}' for h in sorted(self.hosts))}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    @property
    def address(self):
        """What to type into a browser."""
        return f"http://{HOST}:{self.port}/"

    def begin(self, websocket):
        """A new session for an open page, or None if there are too many."""
        with self.lock:
            if len(self.workers) >= MOST:
                return None
            worker = Worker(websocket.send, secrets.token_urlsafe(16))
            self.workers[worker.token], self.sockets[worker.token] = worker, websocket
        worker.start()
        return worker

    def end(self, worker):
        """The page is gone: its thread ends."""
        with self.lock:
            self.workers.pop(worker.token, None), self.sockets.pop(worker.token, None)
        stop(worker)

    def end_all(self):
        """Say good-bye to every page, and wait a moment for their threads."""
        with self.lock:
            workers, sockets = list(self.workers.values()), list(self.sockets.values())
        for websocket in sockets:
            websocket.close(GOING_AWAY, "the server was stopped")
        for worker in workers:
            stop(worker)

    def handle_error(self, request, client_address):
        """A browser that goes away in the middle of an answer is no error."""
        if not isinstance(sys.exception(), (OSError, Closed)):
            super().handle_error(request, client_address)


def deliver(worker, message):
    """Put a message into a worker's inbox, and wait while that is full; a worker that has ended needs no message."""
    while worker.is_alive():
        with contextlib.suppress(Full):
            return worker.inbox.put(message, timeout=0.5)


def stop(worker):
    """End a worker's thread: what it has not read yet does not matter any more."""
    while worker.is_alive():
        with contextlib.suppress(Full):
            worker.inbox.put(None, timeout=0.1)
            break
        with contextlib.suppress(Empty):
            worker.inbox.get_nowait()
    worker.join(2.0)


class Handler(BaseHTTPRequestHandler):
    """One request: a file of the page, a player, or the connection of a session."""

    server: Server
    protocol_version, timeout, server_version, sys_version = "HTTP/1.1", 30, "tinygrad_edu", ""
    disable_nagle_algorithm = True  # else an answer to a click waits for the browser's acknowledgement of the picture before it

    def log_message(self, format, *arguments):
        """Requests are nobody's business."""

    def do_GET(self):
        """Answer, if the request comes from this machine's own page."""
        path = urlsplit(self.path).path
        if self.headers.get("Host") not in self.server.hosts:  # a foreign name that points here (DNS rebinding)
            self.refuse(403, f"This server answers to {self.server.address} only, not to the name in your request.")
        elif path == "/session":
            self.session()
        elif path in FILES:
            name, kind = FILES[path]
            self.give(200, files(__package__).joinpath("page", name).read_bytes(), kind, self.server.policy)
        elif path.startswith("/player/"):
            self.player(path.removeprefix("/player/"))
        else:
            self.refuse(404, f"There is no page {path} here; the playground is at {self.server.address}")

    do_HEAD = do_GET

    def give(self, status, body, kind, policy):
        """Send a whole answer."""
        self.send_response(status)
        for name, value in {
            "Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store", "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
        }.items():  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, text):
        """Send a short page that says why not."""
        page = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>tinygrad_edu</title><p>{escape(text)}</p></html>"
        )
        self.give(status, page.encode(), "text/html; charset=utf-8", "default-src 'none'; frame-ancestors 'none'")

    def session(self):
        """Turn this request into the connection of a page, and hand its messages to a worker until it closes."""
        key = self.headers.get("Sec-WebSocket-Key", "")
        if self.headers.get("Origin") != f"http://{self.headers['Host']}":
            return self.refuse(403, "Only the playground's own page may open a session.")
        if self.headers.get("Upgrade", "").lower() != "websocket" or self.headers.get("Sec-WebSocket-Version") != "13" or not key:
            return self.refuse(400, "A session is opened by the playground's page, as a WebSocket.")
        self.close_connection = True
        self.send_response(101)
        for name, value in {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": accept(key)}.items():
            self.send_header(name, value)
        self.end_headers()
        websocket = WebSocket(self.connection, LIMIT)
        worker = self.server.begin(websocket)
        if worker is None:
            text = f"{MOST} pages are open already, and that is the most: close one, and load this page again"
            with contextlib.suppress(Closed):
                websocket.send(json.dumps(dict(kind="error", text=text, answered=None)))
            return websocket.close()
        try:
            while worker.is_alive():
                try:
                    deliver(worker, websocket.receive())
                except TooLong as error:
                    websocket.send(json.dumps(dict(kind="error", text=str(error), answered=None)))
        except Closed:
            pass
        finally:
            websocket.close()
            self.server.end(worker)

    def player(self, token):
        """A page that steps through one computation of a session's present network, forward and backward."""
        worker = self.server.workers.get(token)
        if worker is None:
            return self.refuse(404, "This session has ended: open the player from the playground's page.")
        future: Future = Future()
        deliver(worker, future)
        try:
            page = play(*future.result(timeout=10))
        except (Refused, TimeoutError) as error:
            return self.refuse(409, f"The player cannot be shown: {error or 'the session does not answer'}.")
        self.give(200, page.encode(), "text/html; charset=utf-8", PLAYER_POLICY)


def play(model, criterion, x, target, steps):
    """The text of the player's page for one forward and backward pass."""
    from .. import viz

    linecache.cache["playground.py"] = (len(PASS), None, PASS.splitlines(keepends=True), "playground.py")
    scope = dict(model=model, loss_of=criterion, x=x, y=target)
    exec(compile(PASS, "playground.py", "exec"), scope)  # lines of a program of its own, which the player can quote
    count = f"{len(x)} point{'s' * (len(x) != 1)}"
    with playing:
        return viz.play(
            scope["one_pass"], model=model, title=f"The playground after {steps} steps: forward and backward for {count}"
        ).html


def listen(port=None):
    """A server on this port; without one, on the first free one from 8765 on."""
    if port is not None:
        return Server(port)
    for candidate in range(PORT, PORT + 20):
        with contextlib.suppress(OSError):
            return Server(candidate)
    return Server(0)  # any


def serve(port=None, browser=True):
    """Run the playground until Ctrl-C. `port`: this one or an error; `browser`: open the page."""
    with listen(port) as server:
        print(f"The playground is at {server.address}  (Ctrl-C ends it)", flush=True)
        if browser:
            threading.Thread(target=webbrowser.open, args=[server.address], daemon=True).start()
        interval = sys.getswitchinterval()
        sys.setswitchinterval(0.001)  # so that a click does not wait for training
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            print("\nThe playground is closed.", flush=True)
        finally:
            sys.setswitchinterval(interval)
            server.end_all()
