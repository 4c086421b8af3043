"""What a killed coordinator leaves behind: nothing, and no word of it."""

from __future__ import annotations

import subprocess
import sys

KILLED_AT_WORK = """
import os, signal, threading
from auroramon.executors.pool import PoolExecutor
from tests.executors.test_killed import make_nothing

if __name__ == "__main__":
    for _ in PoolExecutor(make_nothing, workers=2).run([[], [], []], threading.Event()):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def nothing(files: object) -> list[None]:
    return []


def make_nothing() -> object:
    return nothing


def test_a_killed_coordinator_leaves_no_word_of_leaked_semaphores() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_AT_WORK], capture_output=True, text=True, check=False)
    assert done.returncode < 0
    assert done.stderr == ""  # it ends when the last process that holds it does, and that is Python's own tracker
