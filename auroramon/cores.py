"""How many cores this process may use: not how many there are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def available_cores() -> int:
    """Give the cores that this process may use: its affinity, and the quota of its control groups (version 2 or 1)."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        own = OWN.read_text()
    except OSError:  # not Linux
        own = ""
    return max(1, int(min([affinity, *quotas(CGROUPS, own)])))


def quotas(cgroups: Path, own: str) -> Iterator[float]:
    """Give the quota, in cores, of each control group that this process is in and that has one.

    `own` is what /proc/self/cgroup says. A limit may stand at the group itself (a container, a service) or at any above
    it (a slice, a pod). Inside a container that path may be the host's: then the container's own group is the root.
    """
    for line in own.splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        for place in ("", "unified") if not controllers else ("cpu", "cpu,cpuacct", "cpuacct,cpu"):
            for path in (PurePosixPath(group), *PurePosixPath(group).parents):
                words = _words(cgroups / place / str(path).lstrip("/"))
                if len(words) == 2 and words[0].isdigit():
                    yield int(words[0]) / int(words[1])


def _words(folder: Path) -> list[str]:
    """Give quota and period of one group, in microseconds; the quota is `max` or -1 where there is none."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            return [word for name in names for word in (folder / name).read_text().split()]
        except OSError:
            continue
    return []
