"""The command line: `python -m tinygrad_edu …`, and what the demos share: options, a progress line, a folder of pictures."""

import argparse
import importlib.util
import os
import sys
import time
from pathlib import Path

from . import __version__


class Parser(argparse.ArgumentParser):
    """An argument parser that says a usage error in one line, with exit status 2."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def demo_folder():
    """Where the demos are: inside an installed package, or beside the package in a checkout."""
    inside = Path(__file__).parent / "demos"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "demos"


def demos():
    """{name: path} of every demo.

    >>> from tinygrad_edu.cli import demos
    >>> "xor" in demos()
    True
    """
    return {path.stem: path for path in sorted(demo_folder().glob("*.py"))}


def load_demo(name):
    """The demo's module: its `main(arguments)` runs it and returns its numbers as a dict."""
    specification = importlib.util.spec_from_file_location(f"tinygrad_edu_demo_{name}", demos()[name])
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def summary_of(path):
    """The first sentence of a file's docstring, without running it."""
    import ast

    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


class Demo:
    """What one demo was asked for (`seed`, `quick`, and its own options), and where it shows and saves what it finds.

    A demo begins with `demo = Demo("xor", __doc__, arguments)`, where `arguments` is None for those of the command line.
    """

    def __init__(self, name, description, arguments=None, seed=0, add=None):
        forgive_console()
        parser = Parser(
            prog=f"python -m tinygrad_edu demo {name}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("--seed", type=whole_number, default=seed, help="seed of every random number (default: %(default)s)")
        parser.add_argument("--quick", action="store_true", help="train for a shorter time: what the tests run")
        parser.add_argument("--out", metavar="FOLDER", default="pictures", help="where pictures go (default: ./%(default)s)")
        if add:
            add(parser)
        self.name, self.options = name, parser.parse_args(arguments)
        self.seed, self.quick, self.folder = self.options.seed, self.options.quick, Path(self.options.out)
        self.pictures, self.shown, self.error = {}, 0.0, parser.error
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--out {self.folder}: cannot make this folder ({error.strerror})")

    def progress(self, done, total, text=""):
        """Draw the progress line, at most ten times a second; in a log file, write one line at the end."""
        now = time.perf_counter()
        if done < total and (now - self.shown < 0.1 or not sys.stderr.isatty()):
            return
        self.shown = now
        bar = "█" * (24 * done // total) + "░" * (24 - 24 * done // total)
        line = f"{bar} {done}/{total}  {text}" if encodes("█", sys.stderr) else f"{done}/{total}  {text}"
        start, end = ("\r\x1b[K", "\n" if done >= total else "") if sys.stderr.isatty() else ("", "\n")
        print(start + line, end=end, file=sys.stderr, flush=True)

    def save(self, file, draw, shows=""):
        """Save a picture into the folder: `draw()` gives one of tinygrad_edu.viz or a matplotlib figure; `shows` says what of.

        A missing drawing package costs the picture and a line that says what to install; it does not stop the demo.
        """
        path = self.folder / f"{self.name}_{file}"
        try:
            picture = draw()
            (picture.save if hasattr(picture, "save") else picture.savefig)(path)
        except ImportError as error:
            print(f'no {path}: {error}; run  pip install "tinygrad_edu[demos]"')
            return
        self.pictures[path] = shows

    def finish(self):
        """Say where the pictures are, and what they show."""
        if self.pictures:
            print(f"\nPictures in {self.folder.resolve()}:")
            width = max(len(path.name) for path in self.pictures)
            for path, shows in self.pictures.items():
                print(f"  {path.name:<{width}}  {shows}".rstrip())


def whole_number(text):
    """The type of `--seed`: a number from 0 on, as `manual_seed` takes it."""
    value = int(text)
    if value < 0:
        raise ValueError
    return value


whole_number.__name__ = "whole number"  # argparse: "argument --seed: invalid whole number value: '-1'"


def forgive_console():
    """A console that cannot show σ or ∂ shows a question mark, instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def encodes(text, stream):
    """True if a stream can show these characters: an old Windows console cannot."""
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def parser():
    """The parser of `python -m tinygrad_edu`."""
    top = Parser(
        prog="python -m tinygrad_edu",
        description="An autograd micro-framework that you can read, see and trust.",
        epilog="`python -m tinygrad_edu.testing zoo` lists programs with one planted bug each, to find.",
    )
    top.add_argument("--version", action="version", version=f"tinygrad_edu {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    demo = commands.add_parser(
        "demo",
        help="run a demo, or list them",
        description="Run a demo; without a name, list them.",
        epilog="`demo NAME --help` tells what a demo shows and which options it takes.",
    )
    demo.add_argument("name", nargs="?", metavar="NAME", help=", ".join(demos()) or "none found")
    demo.add_argument("arguments", nargs=argparse.REMAINDER, metavar="…", help="options of the demo")
    playground = commands.add_parser(
        "playground",
        help="open the page on which you click points and watch a network learn",
        description="Open a local page: click points, build a network, watch this package train it. Nothing leaves this machine.",
    )
    playground.add_argument("--port", type=port_number, help="use this port, or fail (default: the first free one from 8765 on)")
    playground.add_argument("--no-browser", action="store_true", help="print the address, and do not open a browser")
    return top


def port_number(text):
    """The type of `--port`; 0 is any free one."""
    value = int(text)
    if not 0 <= value < 65536:
        raise ValueError
    return value


port_number.__name__ = "port"  # argparse: "argument --port: invalid port value: '70000'"


def main(arguments=None):
    """Run one command; returns the exit status."""
    forgive_console()
    top = parser()
    options = top.parse_args(arguments)
    try:
        run(top, options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, `head` perhaps, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return 0


def run(top, options):
    """Do what was asked for."""
    if options.command is None:
        top.print_help()
    elif options.command == "playground":
        from .playground import server

        try:
            server.serve(options.port, browser=not options.no_browser)
        except OSError as error:
            top.error(f"playground: port {options.port} cannot be used ({error.strerror}); leave --port out to take a free one")
    elif options.name is None:
        for name, path in demos().items():
            print(f"{name:16} {summary_of(path)}")
    elif options.name not in demos():
        top.error(f"no demo {options.name!r}; there are {', '.join(demos())}")
    else:
        load_demo(options.name).main(options.arguments)
