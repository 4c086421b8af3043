"""Works on batches in a pool of processes on this machine."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait as wait_for_process
from multiprocessing.context import SpawnContext, SpawnProcess

from auroramon.errors import AuroramonError
from auroramon.executors.inline import crashed, guarded
from auroramon.ports import LabelFiles, StopFlag
from auroramon.types import FileOutcome, FileStat

IN_HAND_PER_WORKER = 2
"""Batches given to each worker: one in work, one waiting, so that no worker idles and memory stays bounded."""

TICK_S = 1.0  # between signs of life while no batch comes back

_label_files: LabelFiles | None = None


def end_with_parent() -> None:
    """Let this process not outlive the one that started it, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel
        threading.Thread(target=lambda: (wait_for_process([sentinel]), os._exit(1)), daemon=True).start()


def _start_worker(make_labeller: Callable[[], LabelFiles]) -> None:
    """Prepare a worker process, which does not outlive its coordinator."""
    global _label_files  # noqa: PLW0603  a pool's initializer has no other way to reach its tasks
    end_with_parent()
    _label_files = make_labeller()


def _work(batch: Sequence[FileStat], limit_s: float | None) -> Sequence[FileOutcome]:
    """Label a batch; a worker that hangs in it ends itself, whatever it hangs in, and says where."""
    assert _label_files is not None  # noqa: S101  the initializer ran, or the pool is broken
    if limit_s is None:
        return guarded(_label_files, batch)
    faulthandler.dump_traceback_later(limit_s, exit=True)
    try:
        return guarded(_label_files, batch)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _start_tracker() -> None:
    """Start the process with which Python clears away the semaphores of a pool whose coordinator was killed.

    It does that in silence: its warning of "leaked semaphore objects" would tell a person who just had a power cut, or
    sent a kill -9, of a fault that there is not.
    """
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.pop()


@contextmanager
def _shielded() -> Iterator[None]:
    """Keep Ctrl-C and systemd's stop, which reach every process of the group, from workers born in this block.

    Blocked from their birth on, they finish what they have in hand, and only the coordinator decides. A pool starts its
    workers one by one, each at a submit that finds none idle.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker(SpawnProcess):
    """A worker that can be ended though it is shielded.

    Where one worker has died the pool ends the others with SIGTERM, and waits for them: for ever, if one that blocks it
    has a large result to hand over, which nobody takes any more.
    """

    def terminate(self) -> None:
        self.kill()


class _Workers(SpawnContext):
    """Starts workers afresh: a fork would copy the threads' locks of the coordinator."""

    Process = _Worker


def _ready() -> None:
    """Answer, to show that a worker came up."""


@dataclass(frozen=True, slots=True)
class _InHand:
    batch: Sequence[FileStat]
    pool: ProcessPoolExecutor  # the one it was given to; a later one must not suffer for it


class PoolExecutor:
    """A pool of worker processes, each with a labeller of its own.

    Args:
        make_labeller: picklable, builds the labeller inside a worker.
        workers: number of processes.
        in_hand: batches taken ahead of each worker; 1 when a dying worker must name its file.
        limit_s: a batch that takes longer counts as crashed; None where nothing waits for it.
    """

    def __init__(
        self,
        make_labeller: Callable[[], LabelFiles],
        workers: int,
        in_hand: int = IN_HAND_PER_WORKER,
        limit_s: float | None = None,
    ) -> None:
        self._make_labeller = make_labeller
        self._workers = workers
        self._in_hand = workers * in_hand
        self._limit_s = limit_s
        self._pool: ProcessPoolExecutor | None = None

    def _started(self) -> ProcessPoolExecutor:
        """Give the running pool.

        Raises:
            AuroramonError: no worker comes up, so no file can be blamed for it.
        """
        if self._pool is None:
            _start_tracker()
            pool = ProcessPoolExecutor(self._workers, _Workers(), _start_worker, (self._make_labeller,))
            try:
                with _shielded():
                    ready = pool.submit(_ready)
                ready.result()
            except BrokenProcessPool:
                pool.shutdown(wait=True, cancel_futures=True)
                raise AuroramonError(
                    "the worker processes die while they start: look for their error above, and at free memory"
                ) from None
            self._pool = pool
        return self._pool

    def run(self, batches: Iterable[Sequence[FileStat]], stop: StopFlag) -> Iterator[Sequence[FileOutcome]]:
        source = iter(batches)
        in_hand: dict[Future[Sequence[FileOutcome]], _InHand] = {}
        exhausted = False
        while True:
            while not (exhausted or stop.is_set()) and len(in_hand) < self._in_hand:
                batch = next(source, None)
                if batch is None:
                    exhausted = True
                if not batch:
                    break
                future, pool = self._submit(batch)
                in_hand[future] = _InHand(batch, pool)
            if not in_hand:
                if exhausted or stop.is_set():
                    return
                yield ()
                continue
            done, _ = wait(in_hand, timeout=TICK_S, return_when=FIRST_COMPLETED)
            if not done:
                yield ()
            for future in done:
                yield self._outcomes(future, in_hand.pop(future))

    def _submit(self, batch: Sequence[FileStat]) -> tuple[Future[Sequence[FileOutcome]], ProcessPoolExecutor]:
        pool = self._started()
        try:
            with _shielded():
                return pool.submit(_work, batch, self._limit_s), pool
        except BrokenProcessPool:  # it died since the last batch: a fresh one takes this batch
            self._retire(pool)
            pool = self._started()
            with _shielded():
                return pool.submit(_work, batch, self._limit_s), pool

    def _outcomes(self, future: Future[Sequence[FileOutcome]], held: _InHand) -> Sequence[FileOutcome]:
        """Give a batch's outcomes. Nobody knows which batch killed a pool, so all in hand come back as crashed."""
        try:
            return future.result()
        except BrokenProcessPool:
            self._retire(held.pool)
            return crashed(held.batch, "the worker process died")

    def _retire(self, pool: ProcessPoolExecutor) -> None:
        pool.shutdown(wait=True, cancel_futures=True)
        if self._pool is pool:
            self._pool = None

    def close(self) -> None:
        if self._pool is not None:
            self._retire(self._pool)
