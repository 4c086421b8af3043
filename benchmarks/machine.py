"""What a figure was measured on: every benchmark prints it above its table."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from auroramon.cores import available_cores

LIBRARIES = ("numpy", "onnxruntime", "pillow", "isal", "sqlalchemy", "torch")
VECTORS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")  # what int8 and float32 speed hang on


def machine() -> str:
    """Give two lines: the processor and memory, and the versions of what works on it."""
    about = _cpuinfo()
    flags = about.get("flags", "").split()
    vectors = " ".join(name for name in VECTORS if name in flags) or "no vector units known"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cpu = about.get("model name", platform.processor() or "unknown processor")
    versions = ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)
    return (
        f"machine: {cpu}, {available_cores()} cores, {vectors}, {memory:.0f} GiB, {platform.system()}\n"
        f"versions: Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {versions}"
    )


def load() -> str:
    """Give how busy the machine was in the last minute, which is the first thing to doubt in a figure."""
    return f"{os.getloadavg()[0]:.1f} processes wanted a core in the last minute"


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().split("\n\n")[0].splitlines() if path.exists() else []
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
