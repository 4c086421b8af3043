"""Processes that draw frames do not outlive the command that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

CODE = """
import os, time
from train.workers import drawing_pool

if __name__ == "__main__":
    with drawing_pool(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(600)
"""


def lives(process: Path) -> bool:
    """Whether a process of /proc is there and at work; one that ended and was not fetched yet is not."""
    try:
        return "State:\tZ" not in (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_killed_command_leaves_no_process_behind(tmp_path: Path) -> None:
    (tmp_path / "draw.py").write_text(CODE)
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(tmp_path / "draw.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout is not None
        worker = Path("/proc") / process.stdout.readline().decode().strip()
        assert worker.name.isdigit()
        assert lives(worker)
        os.kill(process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while lives(worker):
        assert time.monotonic() < deadline, "the worker lives on"
        time.sleep(0.05)
