"""The command line of the bug zoo: list, start, show, hint, check, solution."""

import os
import sys
from pathlib import Path

from ...cli import Parser, forgive_console
from . import check, exercises
from .exercise import filled

TOPICS = {"engine": "An automatic differentiation engine", "network": "A classifier by hand", "recurrent": "A recurrent network by hand",
          "convnet": "A convolutional network by hand", "transformer": "A transformer block by hand", "optimizers": "Optimizers",
          "training": "A training loop", "functions": "Operators with derivatives of their own"}  # fmt: skip
FOLDER = "bug_zoo"


def parser():
    """The parser of `python -m tinygrad_edu.testing`."""
    top = Parser(prog="python -m tinygrad_edu.testing", description="Tools for testing gradients.")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser, required=True)
    zoo = commands.add_parser("zoo", help="find planted bugs", description="The bug zoo: programs with one bug each. Start an "
                              "exercise, run the file, find the bug, mend it, and let `check` say whether it is gone.")  # fmt: skip
    zoo.add_argument("--folder", default=FOLDER, metavar="FOLDER", help="where the files are written and looked for (default: ./%(default)s)")
    actions = zoo.add_subparsers(dest="action", metavar="ACTION", parser_class=Parser)
    listing = actions.add_parser("list", help="the exercises, and which of your files are solved")
    listing.add_argument("--check", action="store_true", help="check every file in the folder")
    listing.add_argument("--causes", action="store_true", help="name the bugs, for teachers")
    start = add(actions, "start", "write the broken program into the folder")
    start.add_argument("--force", action="store_true", help="begin anew, over what you have changed")
    add(actions, "show", "the symptom, and the program")
    hint = add(actions, "hint", "a hint, and on the next call the next one")
    hint.add_argument("number", nargs="?", type=int, metavar="N", help="which hint, from 1")
    checking = add(actions, "check", "is the bug gone?")
    checking.add_argument("--why", action="store_true", help="show what the checker found wrong: it tells a lot")
    add(actions, "solution", "the mended lines, and why")
    return top


def add(actions, name, text):
    action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    action.add_argument("name", metavar="BUG", help="its number in the list, its file, or its name")
    return action


def main(arguments=None):
    """Run one command; returns the exit status: 0, 1 if a bug is still there, 2 for a wrong command."""
    forgive_console()
    top = parser()
    options = top.parse_args(arguments)
    folder = Path(options.folder)
    try:
        if options.action in (None, "list"):
            return show_list(folder, getattr(options, "check", False), getattr(options, "causes", False))
        exercise = named(options.name, top)
        status = ACTIONS[options.action](exercise, folder / f"bug_{exercise.number:02}.py", options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        top.exit(2, f"{error.filename}: {error.strerror}\n")


def named(name, top):
    """The exercise of a name, a number in the list, or a file."""
    from difflib import get_close_matches

    if name.endswith(".py"):
        name = Path(name).stem
    name = name.removeprefix("bug_")
    if name.isdigit() and 0 < int(name) <= len(exercises):
        return list(exercises.values())[int(name) - 1]
    if name not in exercises:
        near = get_close_matches(name, exercises, 1, 0.6)
        top.exit(2, f"no exercise {name!r}" + (f"; do you mean {near[0]!r}?\n" if near else "; `zoo list` shows all\n"))
    return exercises[name]


def show_list(folder, checked, causes):
    """All exercises under their topics; a mark for those that have a file."""
    topic = None
    for exercise in exercises.values():
        if exercise.program != topic:
            topic = exercise.program
            print(f"\n{TOPICS[topic]}")
        path, mark = folder / f"bug_{exercise.number:02}.py", " "
        if path.exists():
            mark = "…" if not checked else "✓" if check(exercise, path.read_text(encoding="utf-8")).ok else "✗"
        print(f" {mark}{exercise.number:3}  {exercise.title:46}{exercise.name if causes else ''}".rstrip())
    print("\n  start BUG   writes the broken program    check BUG      says whether it is mended")
    print("  hint BUG    helps a little               solution BUG   tells all")
    return 0


def start(exercise, path, options):
    """Write the file."""
    if path.exists() and not options.force:
        print(f"{path} exists already; with --force it is written anew, and your changes are lost")
        return 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(exercise.file, encoding="utf-8")
    say(exercise.title, bold=True)
    say(exercise.symptom)
    print(f"\n  python {path}")
    print(f"  python -m tinygrad_edu.testing zoo{place(options)} check {exercise.number}")
    return 0


def place(options):
    return "" if options.folder == FOLDER else f" --folder {options.folder}"


def show(exercise, path, options):
    """The symptom, and the learner's file or else the broken program."""
    say(exercise.title, bold=True)
    say(exercise.symptom)
    text = path.read_text(encoding="utf-8") if path.exists() else exercise.broken
    print()
    for number, line in enumerate(text.splitlines(), 1):
        print(f"{number:4} {line}".rstrip())
    return 0


def hint(exercise, path, options):
    """One hint: the one that was asked for, or the first that was not shown yet."""
    shown = path.with_suffix(".hints")
    last = int(shown.read_text()) if shown.exists() and shown.read_text().strip().isdigit() else 0
    number = options.number if options.number is not None else min(last + 1, len(exercise.hints))
    if not 1 <= number <= len(exercise.hints):
        print(f"there are hints 1 to {len(exercise.hints)}")
        return 2
    if path.parent.is_dir():
        shown.write_text(f"{max(number, last)}\n")
    say(f"Hint {number} of {len(exercise.hints)}: {exercise.hints[number - 1]}")
    if number == len(exercise.hints):
        print(f"That was the last one; `solution {exercise.number}` tells all.")
    return 0


def check_file(exercise, path, options):
    """Whether the learner's file is mended."""
    if not path.exists():
        print(f"{path} is not there yet; write it with  start {exercise.number}")
        return 2
    text = path.read_text(encoding="utf-8")
    result = check(exercise, text)
    if result.ok:
        print(f"✓ Bug {exercise.number}: found! The bug is gone, and everything else works.")
        print()
        say(exercise.explanation)
        return 0
    same = text == exercise.file
    problem = result.checks[result.failed[-1]]
    if result.failed == ["the file can be imported"]:
        print(f"✗ Bug {exercise.number}: the file cannot be run\n")
        say(problem)
        return 1
    say(f"✗ Bug {exercise.number}: " + ("nothing is changed yet." if same else "something is still wrong.") + " Run the file and look at what it prints; "
        f"`hint {exercise.number}` helps, and `check {exercise.number} --why` shows what the checker has found.")  # fmt: skip
    if options.why:
        print()
        print(result.report)
    return 1


def solution(exercise, path, options):
    """The difference, and the explanation."""
    say(f"Bug {exercise.number}, {exercise.name}: {exercise.title}", bold=True)
    print(exercise.difference)
    print()
    say(exercise.explanation)
    return 0


def say(text, bold=False):
    """A paragraph, at most 78 columns wide."""
    lines = filled(text) or [""]
    if bold:
        lines += ["=" * len(lines[-1]), ""]
    print("\n".join(lines))


ACTIONS = dict(start=start, show=show, hint=hint, check=check_file, solution=solution)
