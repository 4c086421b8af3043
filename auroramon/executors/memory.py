"""How a worker process keeps its memory between frames."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
KEPT_BYTES = 16 << 20  # more than any array of a batch


def keep_memory() -> None:
    """Let this process keep freed memory for its next frame, as one of glibc does when it is left alone.

    Dask starts its workers with MALLOC_TRIM_THRESHOLD_=65536: with that, each array goes back to the system and comes
    anew, which took a third of a worker's time. Elsewhere than on glibc nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, 2 * KEPT_BYTES)
