"""The command line: what a person may type, right or wrong, and what comes back."""

import os
import subprocess
import sys

import pytest
from page_runner import ROOT

import tinygrad_edu as tg
from tinygrad_edu import cli


def call(arguments, capsys):
    """Exit status and what was written."""
    try:
        status = cli.main(arguments)
    except SystemExit as end:
        status = end.code
    return status, *capsys.readouterr()


def test_help(capsys):
    status, out, _ = call(["--help"], capsys)
    assert status == 0 and "demo" in out
    assert call([], capsys)[:2] == (0, out)


def test_version(capsys):
    assert call(["--version"], capsys)[:2] == (0, f"tinygrad_edu {tg.__version__}\n")


def test_list_of_demos(capsys):
    status, out, _ = call(["demo"], capsys)
    assert status == 0
    listed = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert set(listed) == set(cli.demos()) >= {"xor", "neuron", "people", "above_the_line", "regression", "logistic"}
    assert all(listed.values())


@pytest.mark.parametrize("name", cli.demos())
def test_help_of_a_demo(name, capsys):
    status, out, _ = call(["demo", name, "--help"], capsys)
    assert status == 0
    assert all(option in out for option in ("--seed", "--quick", "--out"))
    assert cli.summary_of(cli.demos()[name]) in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dmeo"], "dmeo"),
        (["demo", "xro"], "no demo 'xro'; there are"),
        (["demo", "xor", "--sed", "1"], "--sed"),
        (["demo", "xor", "--seed", "one"], "--seed"),
        (["demo", "xor", "--seed", "-1"], "--seed"),
        (["demo", "xor", "--seeds", "-1"], "--seeds"),
        (["demo", "xor", "--seed"], "expected one argument"),
        (["demo", "people", "--out", "{file}"], "cannot make this folder"),
        (["demo", "xor", "extra"], "extra"),
        (["--verbose"], "--verbose"),
    ],
)
def test_usage_error(arguments, words, capsys, tmp_path):
    """One line, exit status 2, and a way out."""
    (tmp_path / "file").write_text("in the way")
    status, out, error = call([a.format(file=tmp_path / "file") for a in arguments], capsys)
    assert status == 2
    assert out == ""
    assert words in error and "--help" in error
    assert error.count("\n") == 1 and error.endswith("\n"), error


def test_stopped_by_the_keyboard(capsys, monkeypatch):
    class Stopped:
        @staticmethod
        def main(arguments):
            raise KeyboardInterrupt

    monkeypatch.setattr(cli, "load_demo", lambda name: Stopped)
    status, _, error = call(["demo", "xor"], capsys)
    assert status == 130 and error == "\nstopped\n"


def test_as_a_module_and_as_a_file(tmp_path):
    """Both spellings, in processes of their own, on a console that knows ASCII only."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    file = [str(ROOT / "demos" / "regression.py"), "--quick", "--out", str(tmp_path)]
    module = ["-m", "tinygrad_edu", "demo", "regression", "--help"]
    for command, words in ((file, "least squares"), (module, "--seed")):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stderr
        assert words in done.stdout
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_edu", "demo", "nothing"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_reader_that_stops_early():
    """`demo | head -1`: no traceback."""
    command = f'"{sys.executable}" -c "import sys; from tinygrad_edu import cli; sys.exit(cli.main([\'demo\']))"'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(f"{command} | true", shell=True, env=environment, capture_output=True, text=True)
    assert done.stderr == ""


def test_missing_drawing_package(tmp_path, capsys):
    """Without matplotlib a demo still ends in its numbers, and says what to install."""
    demo = cli.Demo("sample", "A demo.", ["--out", str(tmp_path)])

    def draw():
        raise ModuleNotFoundError("No module named 'matplotlib'")

    demo.save("loss.svg", draw)
    assert 'pip install "tinygrad_edu[demos]"' in capsys.readouterr().out
    assert not demo.pictures
    demo.finish()
    assert capsys.readouterr().out == ""
