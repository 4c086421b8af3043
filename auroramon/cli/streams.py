"""Standard input, output and error as a caller may leave them: closed, full, or without a reader."""

from __future__ import annotations

import errno
import os
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


def why(error: OSError) -> str:
    """Say what kept something from being read or written."""
    if error.filename is None and error.errno == errno.EBADF:
        return "the output cannot be written: it is closed"
    return f"{error.filename or 'the output'} cannot be read or written: {error.strerror}"
