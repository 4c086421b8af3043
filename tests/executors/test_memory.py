"""A worker does not fetch the memory of each array anew from the system."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from auroramon.executors.memory import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    [np.ones(50_000) for _ in range(8)]
before = faults()
for _ in range(100):
    [np.ones(50_000) for _ in range(8)]
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting that Dask makes")
def test_arrays_come_from_memory_that_was_kept() -> None:
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    given_back, kept = (
        int(
            subprocess.run(
                [sys.executable, "-c", PROGRAM, how], env=environment, capture_output=True, check=True
            ).stdout
        )
        for how in ("given back", "kept")
    )
    assert given_back > 10_000
    assert kept < given_back / 20
