"""Works on batches on a Dask cluster: many machines, one coordinator.

The scheduler may be one that runs somewhere (`tcp://host:8786`; also how Kubernetes and machines with GPUs are used),
worker processes on this machine (`local`), or jobs of SLURM (`slurm`). Every worker builds its labeller once, from the
recipe that is sent to it when it joins, and proves the model on its golden frames before its first task.
"""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import re
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

import dask.config
from distributed import Client, Future, LocalCluster, Worker, WorkerPlugin, as_completed, get_worker
from distributed import TimeoutError as DaskTimeoutError
from distributed.comm.core import CommClosedError
from distributed.deploy.cluster import Cluster
from distributed.scheduler import KilledWorker

from auroramon.config import SlurmSettings
from auroramon.errors import AuroramonError, ConfigError
from auroramon.executors.inline import crashed, guarded
from auroramon.executors.memory import keep_memory
from auroramon.ports import LabelFiles, StopFlag
from auroramon.types import FileOutcome, FileStat

log = logging.getLogger(__name__)

IN_HAND_PER_THREAD = 3
"""Batches on the cluster for each thread of it: in work, waiting, and on its way. A million files never are a million
tasks."""

SAME = ("auroramon", "numpy", "onnxruntime", "pillow")
"""What must be of one version everywhere, or labels would depend on the machine that made them."""

COUNT_S = 5.0  # between looks at how many workers there are
TELL_S = 60.0  # between lines that say that no worker has come yet
CONNECT_S = 20.0
LOOK_S = 0.2  # between looks at whether a worker has come
TICK_S = 1.0  # between signs of life while no batch comes back
CLOSE_S = 10.0
PAUSE_S = 0.005  # between looks at whether a batch is done: a hundredth of what one takes


_ADDRESS = re.compile(r"(tcp|tls|ucx|ws|wss)://(\[[^\[\]]+\]|[^\[\]/:]+):\d+/?")


def versions() -> dict[str, str]:
    """Give the versions that decide what a label is, as they are in this process."""
    return {"Python": ".".join(platform.python_version_tuple()[:2])} | {
        name: importlib.metadata.version(name) for name in SAME
    }


class _UnfitWorkerError(AuroramonError):
    """A worker was given a batch and cannot label.

    Args:
        sentence: what is wrong with it.
        address: of the worker.
    """

    def __init__(self, sentence: str, address: str) -> None:
        super().__init__(sentence, address)  # both, or it would not come through Dask whole
        self.sentence, self.address = sentence, address

    def __str__(self) -> str:
        return self.sentence


class _LabellerPlugin(WorkerPlugin):
    """Gives each worker its labeller when it joins, however late."""

    def __init__(self, make_labeller: Callable[[], LabelFiles], expected: dict[str, str], shielded: bool) -> None:
        self.label_files: LabelFiles | None = None
        self.why_not = ""  # there is none
        self._make_labeller = make_labeller
        self._expected = expected
        self._shielded = shielded

    def setup(self, worker: Worker) -> None:
        """Refuse a worker of other versions, and build the labeller.

        Raises:
            ConfigError: this worker would label differently.
            AuroramonError: the labeller cannot be made here.
        """
        try:
            self._prepare(worker)
        except (AuroramonError, OSError, ImportError) as error:
            self.why_not = str(error)  # Dask gives a worker that joins late its tasks all the same
            raise

    def _prepare(self, worker: Worker) -> None:
        found = versions()
        other = [
            f"{name} {found[name]}, not {self._expected[name]}" for name in found if found[name] != self._expected[name]
        ]
        if other:
            raise ConfigError(f"worker {worker.address} has {'; '.join(other)}: install the same versions everywhere")
        if self._shielded and threading.current_thread() is threading.main_thread():
            # Ctrl-C reaches every process of the terminal: the workers finish what they have in hand, and only the
            # coordinator decides.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
        keep_memory()
        self.label_files = self._make_labeller()


def _label(plugin: str, batch: Sequence[FileStat]) -> Sequence[FileOutcome]:
    """Work on a batch, inside a worker.

    Raises:
        _UnfitWorkerError: this worker cannot label.
    """
    worker = get_worker()
    own: _LabellerPlugin = worker.plugins[plugin]  # type: ignore[assignment]
    if own.label_files is None:
        raise _UnfitWorkerError(own.why_not, worker.address)
    return guarded(own.label_files, batch)


class DaskExecutor:
    """A cluster whose workers each have a labeller of their own.

    Args:
        cluster: `local`, `slurm` or a scheduler's address.
        make_labeller: picklable, builds the labeller inside a worker; sent to each worker once.
        workers: processes of a local cluster.
        slurm: how jobs are submitted, for `slurm`.
        tell_s: from one line that says that there is no worker to the next.

    Raises:
        ConfigError: no such cluster, or its scheduler does not answer.
        AuroramonError: a worker cannot work: other versions, or its labeller fails.
    """

    def __init__(
        self,
        cluster: str,
        make_labeller: Callable[[], LabelFiles],
        workers: int,
        slurm: SlurmSettings,
        tell_s: float = TELL_S,
    ) -> None:
        logging.getLogger("distributed").setLevel(logging.WARNING)  # it tells of each connection
        self._cluster = _started(cluster, workers, slurm)
        self._client = _connected(self._cluster or cluster)
        self._plugin = f"auroramon-{uuid.uuid4().hex}"
        try:
            self._prepare(make_labeller)
        except BaseException:
            self.close()
            raise
        self._tell_s = tell_s
        self._threads = 0
        self._next_count = 0.0
        self._next_line = time.monotonic() + tell_s
        self._worked = False  # some worker has labelled something
        self._refused: set[str] = set()  # addresses of workers that cannot label

    @property
    def dashboard(self) -> str:
        """The address of Dask's own pages."""
        return str(self._client.dashboard_link)

    def _prepare(self, make_labeller: Callable[[], LabelFiles]) -> None:
        plugin = _LabellerPlugin(make_labeller, versions(), shielded=self._cluster is not None)
        try:
            self._client.get_versions(check=True)  # of Dask itself and what it speaks with
            told: Any = self._client.get_versions(packages=["auroramon"])
            for address, found in told["workers"].items():
                if not found["packages"].get("auroramon"):
                    raise ConfigError(f"worker {address} has no auroramon: install the same version everywhere")
            self._client.register_plugin(plugin, name=self._plugin)
        except (AuroramonError, ValueError, ImportError, RuntimeError, OSError) as error:
            raise AuroramonError(f"the workers cannot start: {error}") from error

    def run(self, batches: Iterable[Sequence[FileStat]], stop: StopFlag) -> Iterator[Sequence[FileOutcome]]:
        source = iter(batches)
        held: dict[Any, Sequence[FileStat]] = {}  # by key of the task
        done = as_completed(loop=self._client.loop)
        exhausted = False
        next_tick = time.monotonic() + TICK_S

        def give(batch: Sequence[FileStat]) -> None:
            future = self._client.submit(_label, self._plugin, batch, pure=False)
            held[future.key] = batch
            done.add(future)

        while True:
            while not (exhausted or stop.is_set()) and len(held) < IN_HAND_PER_THREAD * self._count():
                batch = next(source, None)
                if batch is None:
                    exhausted = True
                if not batch:
                    break
                give(batch)
            if not held and (exhausted or stop.is_set()):
                return
            if done.has_ready():
                future = next(done)
                batch = held.pop(future.key)
                outcomes = self._outcomes(future, batch)
                if outcomes is None:
                    give(batch)
                    continue
                yield outcomes
            elif stop.is_set() and not self._count():
                return  # nobody is left who could bring what is in hand
            else:
                self._tell_if_alone(bool(held))
                time.sleep(PAUSE_S)
                if time.monotonic() < next_tick:
                    continue
                yield ()
            next_tick = time.monotonic() + TICK_S

    def _tell_if_alone(self, at_work: bool) -> None:
        """Say now and then that the cluster has no worker (any more)."""
        now = time.monotonic()
        if self._count():
            self._next_line = now + self._tell_s
        elif now >= self._next_line:
            gone = ": those that had batches in hand are gone" if at_work else ""
            log.info("waiting for a worker of the cluster%s", gone)
            self._next_line = now + self._tell_s

    def _count(self) -> int:
        """Give the threads of the cluster, asked for now and then, and each time while there are none."""
        if time.monotonic() >= self._next_count:
            try:
                self._threads = sum(self._client.nthreads().values())
            except (CommClosedError, DaskTimeoutError, OSError) as error:
                raise _lost(error) from error
            self._next_count = time.monotonic() + (COUNT_S if self._threads else LOOK_S)
        return self._threads

    def _outcomes(self, future: Future[Any], batch: Sequence[FileStat]) -> Sequence[FileOutcome] | None:
        """Give a batch's outcomes; None where another worker must do it.

        Dask gives the batch of a lost worker to another one, but not for ever.
        """
        try:
            outcomes: Sequence[FileOutcome] = future.result()
        except KilledWorker:
            return crashed(batch, "several workers died with it")
        except _UnfitWorkerError as error:
            self._refuse(error)
            return None
        except (CancelledError, CommClosedError, DaskTimeoutError) as error:
            raise _lost(error) from error
        self._worked = True
        return outcomes

    def _refuse(self, error: _UnfitWorkerError) -> None:
        """Send a worker away that joined late and cannot label.

        Raises:
            AuroramonError: nobody else is there, and nobody has labelled anything yet: the next will be no better.
        """
        if error.address not in self._refused:
            self._refused.add(error.address)
            log.warning("sent away: %s", error)
            try:
                self._client.retire_workers([error.address])
            except (CommClosedError, DaskTimeoutError, OSError) as lost:
                raise _lost(lost) from lost
        self._next_count = 0.0
        if not (self._worked or self._count()):
            raise AuroramonError(f"the workers cannot start: {error}")

    def close(self) -> None:
        scheduler = self._client.scheduler
        if self._cluster is None and scheduler is not None and self._client.status == "running":
            with suppress(CommClosedError, DaskTimeoutError, OSError, ValueError):  # ValueError: it never came so far
                # Or each worker, and each that joins later, would keep a labeller for every backfill that ever was.
                self._client.sync(scheduler.unregister_worker_plugin, name=self._plugin, callback_timeout=CLOSE_S)
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def _lost(error: BaseException) -> AuroramonError:
    return AuroramonError(
        f"the cluster was lost ({type(error).__name__}): call the same command again and it goes on from here"
    )


def _connected(cluster: Cluster | str) -> Client:
    try:
        try:
            return Client(cluster, timeout=CONNECT_S, set_as_default=False)
        except CommClosedError:  # a scheduler that has only just begun may drop a client that it has let in
            return Client(cluster, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the Dask scheduler {cluster} does not answer ({error}): give --cluster tcp://HOST:8786, local or slurm"
        ) from error


def _started(cluster: str, workers: int, slurm: SlurmSettings) -> Cluster | None:
    """Start workers where that is asked for; None where a scheduler runs already."""
    if cluster == "local":
        return _local(workers)
    if cluster == "slurm":
        from auroramon.executors.slurm import submitted

        return submitted(slurm)
    if _ADDRESS.fullmatch(cluster):
        return None
    raise ConfigError(f"{cluster!r} is no cluster: give --cluster tcp://HOST:8786, local or slurm")


def _local(workers: int) -> Cluster:
    with dask.config.set({"distributed.worker.profile.enabled": False}):  # a thread that looks a hundred times a second
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.ERROR,
        )
