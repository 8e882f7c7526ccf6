"""The README is true: its code runs, its commands are those that CI runs, and they are spelled for plain pip."""

import re

from page_runner import ROOT, blocks, run_page

README = ROOT / "README.md"
COMMANDS = [b.text.strip() for b in blocks(README) if b.language == "sh"]


def test_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_page(README) >= 1
    assert "</svg>" in (tmp_path / "graph.svg").read_text(encoding="utf-8")


def test_first_code_is_short():
    first = next(b for b in blocks(README) if b.language == "python")
    assert len([line for line in first.text.splitlines() if line.strip()]) <= 20


def test_two_commands():
    """One to see something, one to test; no dependency group, for pip 23 has none."""
    assert len(COMMANDS) == 2
    assert not any("--group" in command for command in COMMANDS)
    assert "demo xor" in COMMANDS[0] and "pytest" in COMMANDS[1]


def test_windows_says_the_same():
    windows = "\n".join(b.text for b in blocks(README) if b.language == "bat")
    same = windows.replace("\\", "/").replace("/Scripts/", "/bin/").replace("py -m venv", "python3 -m venv")
    assert same.split("\n") == COMMANDS


def test_ci_runs_the_same_test_command():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert COMMANDS[1].removeprefix(".venv/bin/") in script


def test_extras_exist():
    """Every extra that the README or a page of docs/ names is in pyproject.toml."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for page in [README, *(ROOT / "docs").glob("**/*.md")]:
        for names in re.findall(r'pip install[^\n]*\[([\w,]+)\]"', page.read_text(encoding="utf-8")):
            assert set(names.split(",")) <= set(project["optional-dependencies"]), page.name


def test_what_it_is_not_stands_early():
    head = README.read_text(encoding="utf-8")[:1200]
    assert "not** the tinygrad project" in head and "production" in head
