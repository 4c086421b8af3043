"""Processes that draw frames beside each other."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from auroramon.executors.pool import end_with_parent


def drawing_pool(processes: int) -> ProcessPoolExecutor:
    """Give a pool of fresh processes that end with this one, also where it is killed."""
    return ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), end_with_parent)
