"""Standard input, output and error as a caller may leave them: closed, full, or without a reader."""

from __future__ import annotations

import errno
import logging
import os
import re
import sys


def fill_closed() -> None:
    """Put /dev/null in the place of closed streams: the database, opened as number 2, would get every warning.

    What is printed to a closed stdout must not vanish unnoticed, so that place can only be read: writing fails.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_RDWR)  # gets the lowest free number
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - it lives as long as the program
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def drop_output() -> None:
    """Let go nowhere what waits for a stdout that takes nothing: Python would fail on it once more at its end."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):  # a test's own, which is no file
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def in_journal() -> bool:
    """Say whether stderr goes to the journal (systemd.exec(5), JOURNAL_STREAM), not only that of a process above us."""
    try:
        stream = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # closed, or a test's own
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"


def for_journal(text: str, level: int) -> str:
    """Begin each line with what `journalctl -p err` goes by (sd-daemon(3)); without that all would be information."""
    number = next(number for least, number in _PRIORITIES if level >= least)
    return "\n".join(f"<{number}>{line}" for line in text.split("\n"))


_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))


def plain(text: str) -> str:
    """Give a text on one line that moves no cursor: a file may have any name, and must not write to log or screen."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


def last_word(sentence: str) -> None:
    """Say on stderr why the program ends."""
    said = "\n".join(map(plain, f"auroramon: {sentence}".split("\n")))
    print(for_journal(said, logging.ERROR) if in_journal() else said, file=sys.stderr)


def why(error: OSError) -> str:
    """Say what kept something from being read or written."""
    if error.filename is None and error.errno == errno.EBADF:
        return "the output cannot be written: it is closed"
    return f"{error.filename or 'the output'} cannot be read or written: {error.strerror}"
