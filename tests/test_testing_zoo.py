"""The bug zoo: every planted bug is found by the checkers of the package, no tempting wrong fix is accepted; the command line."""

import os
import subprocess
import sys

import pytest

from tinygrad_edu.testing import zoo
from tinygrad_edu.testing.zoo.cli import main
from tinygrad_edu.testing.zoo.exercise import source_of

EXERCISES = list(zoo.exercises.values())
BY_HAND = [e for e in EXERCISES if e.program != "engine"]  # the others are in test_testing_zoo_engines.py
PROGRAMS = list(dict.fromkeys(e.program for e in EXERCISES))


@pytest.mark.parametrize("program", [p for p in PROGRAMS if p != "engine"])
def test_the_unbroken_program_passes(program):
    result = zoo.check(program, source_of(program))
    assert result.ok and len(result.checks) > 3, result.report


@pytest.mark.parametrize("exercise", BY_HAND, ids=lambda e: e.name)
def test_the_bug_is_found(exercise):
    assert not zoo.check(exercise, exercise.broken).ok


@pytest.mark.parametrize("exercise", BY_HAND, ids=lambda e: e.name)
def test_wrong_fixes_are_refused(exercise):
    for source in exercise.wrong_fixes:
        assert source not in (exercise.right, exercise.broken)
        assert not zoo.check(exercise, source).ok


def test_exercises_are_complete():
    assert len(EXERCISES) >= 50 and [e.number for e in EXERCISES] == list(range(1, len(EXERCISES) + 1))
    assert len({e.title for e in EXERCISES}) == len(EXERCISES)
    for e in EXERCISES:
        assert len(e.hints) == 3 and all(h.endswith((".", "?", "!")) for h in e.hints), e.name
        assert len(e.explanation) > 60 and e.symptom.endswith(".") and len(e.title) <= 46, e.name
        assert e.broken != e.right and e.name not in e.file, e.name  # the file does not tell
        compile(e.file, e.name, "exec")
    assert sum(len(e.tempting) for e in EXERCISES) >= 80


def test_files_are_readable():
    for e in EXERCISES:
        head = e.file.split('"""')[1]
        assert e.title in head and f"zoo check {e.number}" in head and "What it should print:" in head
        assert max(map(len, head.splitlines())) <= 100


def test_unknown_exercise():
    with pytest.raises(KeyError):
        zoo.exercises["no-such-bug"]


def test_answers_that_are_no_programs():
    exercise = zoo.exercises["uphill"]
    for source in ("def", "1 / 0", "", "import no_such_module"):
        assert not zoo.check(exercise, source).ok
    assert "SyntaxError" in zoo.check(exercise, "def").report


# --- the command line -------------------------------------------------------------------------------------------------


def run(capsys, *arguments):
    try:
        status = main(["zoo", *arguments])
    except SystemExit as error:
        status = error.code
    captured = capsys.readouterr()
    text = captured.out + captured.err
    if arguments[:1] != ("show",):
        assert max(map(len, text.splitlines()), default=0) <= 100  # most are 80; lines of programs are longer
    return status, text


def test_a_learner_finds_a_bug(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exercise = zoo.exercises["uphill"]
    number = str(exercise.number)
    assert run(capsys, "check", number) == (2, f"bug_zoo/bug_{number}.py is not there yet; write it with  start {number}\n".replace(
        "bug_zoo/", f"bug_zoo{os.sep}"))  # fmt: skip
    status, text = run(capsys, "start", number)
    path = tmp_path / "bug_zoo" / f"bug_{number}.py"
    assert status == 0 and exercise.title in text and path.read_text(encoding="utf-8") == exercise.file
    status, text = run(capsys, "check", number)
    assert status == 1 and "nothing is changed yet" in text
    assert [run(capsys, "hint", number)[1][:11] for _ in range(4)] == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "Hint 3 of 3"]
    assert exercise.hints[0] in run(capsys, "hint", number, "1")[1].replace("\n", " ")
    assert run(capsys, "hint", number, "7")[0] == 2
    path.write_text(exercise.file.replace("p += lr * g", "p += lr * abs(g)"), encoding="utf-8")
    status, text = run(capsys, "check", str(path))
    assert status == 1 and "something is still wrong" in text
    status, text = run(capsys, "check", number, "--why")
    assert status == 1 and "✗ a training step" in text
    path.write_text("def", encoding="utf-8")
    status, text = run(capsys, "check", number)
    assert status == 1 and "SyntaxError" in text
    assert "✗ 32" in run(capsys, "list", "--check")[1]
    path.write_text(exercise.file.replace("p += lr * g", "p[...] = p - g * lr"), encoding="utf-8")  # mended in another way
    status, text = run(capsys, "check", exercise.name)
    assert status == 0 and "found" in text and exercise.explanation[:40] in text
    assert "✓ 32" in run(capsys, "list", "--check")[1]
    status, text = run(capsys, "start", number)
    assert status == 1 and "--force" in text and "abs" not in path.read_text(encoding="utf-8")
    assert run(capsys, "start", number, "--force")[0] == 0 and path.read_text(encoding="utf-8") == exercise.file
    status, text = run(capsys, "solution", number)
    assert status == 0 and "-        p += lr * g" in text and "+        p -= lr * g" in text
    assert "uphill" in text and " 154 " in run(capsys, "show", number)[1]


def test_lists(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, text = run(capsys)
    assert status == 0 and all(e.title in text for e in EXERCISES) and "uphill" not in text
    assert all(e.name in run(capsys, "list", "--causes")[1] for e in EXERCISES)
    assert not list(tmp_path.iterdir())


def test_wrong_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "check", "forgotten-zero-gard")[0] == 2
    status, text = run(capsys, "start", "999")
    assert status == 2 and "no exercise '999'" in text
    (tmp_path / "taken").write_text("")
    status, text = run(capsys, "--folder", "taken", "start", "1")
    assert status == 2 and "taken" in text


def test_from_a_shell(tmp_path):
    for arguments, status in [(["zoo"], 0), (["zoo", "start", "1"], 0), (["zoo", "check", "1"], 1), ([], 2)]:
        done = subprocess.run([sys.executable, "-m", "tinygrad_edu.testing", *arguments], cwd=tmp_path, capture_output=True)
        assert done.returncode == status, done.stderr
    done = subprocess.run([sys.executable, "bug_zoo/bug_01.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "loss" in done.stdout
