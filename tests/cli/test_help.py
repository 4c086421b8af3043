"""Every command answers --help at once, and takes -c."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

import pytest

from auroramon.cli import COMMANDS
from tests.cli.conftest import Command, Winter

SLOW = {"numpy", "sqlalchemy", "pydantic", "rich", "PIL", "onnxruntime", "matplotlib", "prometheus_client"}
GROUPS = {
    "db": ["backup", "check", "restore", "migrate", "vacuum"],
    "quarantine": ["list", "retry"],
    "camera": ["list", "preview"],
    "model": ["list", "show", "compare", "promote"],
    "engine": ["build", "list", "verify", "clean"],
    "review": ["import", "queue", "list", "export"],
    "config": ["show", "check"],
}
EVERY = [[name, *sub] for name in COMMANDS for sub in ([[s] for s in GROUPS[name]] if name in GROUPS else [[]])]


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_a_command_says_what_it_does_and_takes_a_configuration(auroramon: Command, words: list[str]) -> None:
    said = auroramon(*words, "--help")
    assert said.code == 0
    assert "-c, --config FILE" in said.out


def test_help_imports_nothing_heavy() -> None:
    """Measured on two cores at 0.08-0.13 s; the limit here leaves room for a busy machine."""
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "auroramon", "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - begun)
    assert median(seconds) < 1.0


def test_help_of_no_command_loads_a_library_that_is_slow() -> None:
    code = (
        "import contextlib, io, sys, auroramon.cli as c\n"
        f"for words in {EVERY!r}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n"
        "        c.cli.main([*words, '--help'], standalone_mode=False)\n"
        f"    print(words, sorted({SLOW!r} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.splitlines() == [f"{words} []" for words in EVERY]


def test_a_reader_that_leaves_is_no_failure(winter: Winter) -> None:
    command = [sys.executable, "-m", "auroramon", "labels", "-c", str(winter.config), "--csv"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode in (0, 1)


@pytest.mark.parametrize(
    ("words", "redirected", "code", "says"),
    [
        (["labels"], ">&-", 1, "auroramon: the output cannot be written: it is closed\n"),
        (["labels", "--csv"], ">&-", 1, "auroramon: the output cannot be written: it is closed\n"),
        (["status", "--json"], ">&-", 1, "auroramon: the output cannot be written: it is closed\n"),
        (["occurrence"], ">/dev/full", 1, "auroramon: the output cannot be read or written: No space left on device\n"),
        (["labels", "--csv"], ">/dev/full", 1, "the output cannot be read or written: No space left on device\n"),
        (["status"], ">&- 2>&-", 1, ""),
        (["status"], "<&- >/dev/null 2>&-", 0, ""),
        (["quarantine", "list"], "<&- >/dev/null", 0, ""),
    ],
)
def test_an_output_that_takes_nothing_is_one_sentence(
    winter: Winter, words: list[str], redirected: str, code: int, says: str
) -> None:
    command = f'"$@" {redirected}'
    program = [sys.executable, "-m", "auroramon", *words, "-c", str(winter.config)]
    done = subprocess.run(["sh", "-c", command, "sh", *program], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr.endswith(says)
    assert done.stderr.count("\n") == says.count("\n")
