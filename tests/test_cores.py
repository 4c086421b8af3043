"""How many cores a process may use, in containers, services and pods."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from auroramon.cores import available_cores, quotas

V2 = "0::/system.slice/auroramon-backfill@x.service\n"
V1 = "12:memory:/docker/3f\n4:cpu,cpuacct:/docker/3f\n0::/docker/3f\n"


def put(root: Path, name: str, content: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(content)


@pytest.mark.parametrize(
    ("own", "files", "found"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, [1.5]),  # a container with a namespace of its own
        (V2, {"system.slice/auroramon-backfill@x.service/cpu.max": "200000 100000\n"}, [2.0]),  # CPUQuota=200%
        (V2, {"system.slice/cpu.max": "50000 100000\n"}, [0.5]),
        (V2, {"system.slice/cpu.max": "max 100000\n"}, []),
        (
            "0::/kubepods.slice/pod1.slice/c1.scope\n",
            {
                "kubepods.slice/pod1.slice/cpu.max": "400000 100000\n",
                "kubepods.slice/pod1.slice/c1.scope/cpu.max": "300000 100000\n",
            },
            [3.0, 4.0],
        ),
        (V1, {"cpu/docker/3f/cpu.cfs_quota_us": "250000\n", "cpu/docker/3f/cpu.cfs_period_us": "100000\n"}, [2.5]),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "100000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, [1.0]),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, []),
        (V1, {"memory/docker/3f/cpu.max": "100000 100000\n"}, []),
        ("", {"cpu.max": "100000 100000\n"}, []),
    ],
)
def test_the_quota_of_each_group_counts_wherever_it_stands(
    tmp_path: Path, own: str, files: dict[str, str], found: list[float]
) -> None:
    for name, content in files.items():
        put(tmp_path, name, content)
    assert list(quotas(tmp_path, own)) == found


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_no_more_cores_are_used_than_the_process_is_bound_to() -> None:
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); from auroramon.cores import *; "
    done = subprocess.run(
        [sys.executable, "-c", code + "print(available_cores())"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"
    assert available_cores() >= 1
