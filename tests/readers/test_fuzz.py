"""Damaged files of every format cost a bounded time and a bounded memory, and raise only the two errors of a reader."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.conftest import ROOT
from tests.readers.cases import cases
from tests.readers.fuzz import LONGEST_S, MOST_MIB

INPUTS = 25


def test_damaged_files_of_every_format_cost_little_and_are_refused_in_order() -> None:
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.readers.fuzz", str(INPUTS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=170, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["inputs"] >= INPUTS * len(cases()) * 0.8  # hypothesis leaves out what it has had
    assert told["refused"] > 0
    assert told["slowest_s"] < LONGEST_S
    assert told["memory_mib"] < MOST_MIB
