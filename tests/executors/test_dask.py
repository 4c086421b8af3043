"""A cluster whose workers come, go and die; and what stops it before its first task."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from auroramon.assemble import LabellerRecipe, send
from auroramon.config import Settings, SlurmSettings
from auroramon.errors import AuroramonError, ConfigError
from auroramon.ports import LabelFiles
from auroramon.types import FileOutcome, FileStat, Outcome
from tests.clusters import DaskCluster, running_cluster
from tests.daemon import wait_until
from tests.tiny import write_tiny_bundle

SLURM = SlurmSettings()


def slow(files: Sequence[FileStat]) -> list[FileOutcome]:
    """Stand for a labeller that takes its time and says who it is; one file kills its worker, always."""
    for file in files:
        if file.path == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return [FileOutcome(file, Outcome.LABELLED, str(os.getpid())) for file in files]


def make_slow() -> LabelFiles:
    return slow


def make_none(reason: str) -> LabelFiles:
    raise ConfigError(reason)


def batches(count: int) -> Iterator[Sequence[FileStat]]:
    return ([FileStat(f"{number}", 1, 1)] for number in range(count))


def done_by(outcomes: Iterator[Sequence[FileOutcome]]) -> dict[str, tuple[Outcome, str]]:
    found = [(outcome.file.path, (outcome.outcome, outcome.reason)) for one in outcomes for outcome in one]
    assert len(dict(found)) == len(found), "a batch came back twice"
    return dict(found)


def test_a_worker_that_dies_costs_nothing_but_its_batches_being_done_again(tmp_path: Path) -> None:
    from auroramon.executors.dask import DaskExecutor

    with running_cluster(tmp_path, 2) as cluster:
        executor = DaskExecutor(cluster.address, make_slow, 1, SLURM)
        found: list[Sequence[FileOutcome]] = []
        for outcomes in filter(None, executor.run(batches(60), threading.Event())):
            found.append(outcomes)
            if len(found) == 10:
                cluster.workers[0].kill()
            if len(found) == 30:
                cluster.add_worker()  # one that joins late is prepared like the others
        executor.close()
    done = done_by(iter(found))
    assert len(done) == 60
    assert {word for word, _ in done.values()} == {Outcome.LABELLED}
    assert len({pid for _, pid in done.values()}) >= 2


def test_a_file_that_kills_every_worker_comes_back_as_crashed(tmp_path: Path) -> None:
    from auroramon.executors.dask import DaskExecutor

    with running_cluster(tmp_path, 2) as cluster:
        for _ in range(3):
            cluster.add_worker()
        executor = DaskExecutor(cluster.address, make_slow, 1, SLURM)
        poisoned = [[FileStat("poison", 1, 1)], *batches(20)]
        done = done_by(executor.run(poisoned, threading.Event()))
        executor.close()
    assert done.pop("poison") == (Outcome.CRASHED, "several workers died with it")
    words = [word for word, _ in done.values()]
    # A batch that waited on each of the dying workers is suspected too; it is tried again, alone.
    assert words.count(Outcome.CRASHED) <= 4
    assert words.count(Outcome.LABELLED) == 20 - words.count(Outcome.CRASHED)


def test_a_million_files_never_are_a_million_tasks(dask_cluster: DaskCluster) -> None:
    from auroramon.executors.dask import IN_HAND_PER_THREAD, DaskExecutor

    taken = 0

    def endless() -> Iterator[Sequence[FileStat]]:
        nonlocal taken
        while True:
            taken += 1
            yield [FileStat(str(taken), 1, 1)]

    stop = threading.Event()
    executor = DaskExecutor(dask_cluster.address, make_slow, 1, SLURM)
    most = given = 0
    for _ in filter(None, executor.run(endless(), stop)):
        given += 1
        most = max(most, taken - given + 1)
        if given == 20:
            stop.set()
    executor.close()
    assert given == taken  # what was in hand at the stop came back
    assert most <= 2 * IN_HAND_PER_THREAD


def test_a_labeller_that_cannot_be_made_stops_before_the_first_file(dask_cluster: DaskCluster) -> None:
    from auroramon.executors.dask import DaskExecutor

    with pytest.raises(AuroramonError, match="the model is damaged"):
        DaskExecutor(dask_cluster.address, partial(make_none, "the model is damaged"), 1, SLURM)


def test_a_worker_with_other_versions_is_refused_by_name() -> None:
    from auroramon.executors.dask import _LabellerPlugin, versions

    class Here:
        address = "tcp://here"

    plugin = _LabellerPlugin(make_slow, {**versions(), "numpy": "0.1"}, shielded=False)
    with pytest.raises(ConfigError, match=r"worker tcp://here has numpy .*, not 0\.1: install the same"):
        plugin.setup(Here())  # type: ignore[arg-type]


@pytest.mark.parametrize("address", ["everywhere", "tcp://", "tcp://host", "host:8786", "foo://host:8786", ""])
def test_no_scheduler_is_one_sentence(address: str) -> None:
    from auroramon.executors.dask import DaskExecutor

    with pytest.raises(ConfigError, match=f"'{address}' is no cluster: give --cluster tcp://"):
        DaskExecutor(address, make_slow, 1, SLURM)


def test_a_client_that_a_starting_scheduler_drops_comes_again(
    dask_cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import Client
    from distributed.comm.core import CommClosedError

    from auroramon.executors import dask

    dropped: list[str] = []

    def dropping_once(address: str, **words: object) -> Client:
        if not dropped:
            dropped.append(address)
            raise CommClosedError("Stream is closed")
        return Client(address, **words)

    monkeypatch.setattr(dask, "Client", dropping_once)
    executor = dask.DaskExecutor(dask_cluster.address, make_slow, 1, SLURM)
    done = done_by(executor.run(batches(2), threading.Event()))
    executor.close()
    assert dropped == [dask_cluster.address]
    assert {word for word, _ in done.values()} == {Outcome.LABELLED}


def make_where(mark: str) -> LabelFiles:
    """Stand for a labeller that only the processes which see this environment can make."""
    if mark not in os.environ:
        raise ConfigError("the mask of camera a is not there")
    return slow


def test_a_worker_that_joins_late_and_cannot_label_is_sent_away_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Dask itself only writes that into the worker's log, and gives it batches all the same."""
    from auroramon.executors.dask import DaskExecutor

    stop = threading.Event()
    with running_cluster(tmp_path, 1, MASKED="1") as cluster:
        executor = DaskExecutor(cluster.address, partial(make_where, "MASKED"), 1, SLURM)
        found = []
        for outcomes in filter(None, executor.run(batches(100_000), stop)):
            found.append(outcomes)
            if len(found) == 5:
                cluster.add_worker()  # without that environment
            if "sent away" in caplog.text:
                stop.set()
        wait_until(lambda: cluster.count() == 1, "it is gone")
        executor.close()
    assert {word for word, _ in done_by(iter(found)).values()} == {Outcome.LABELLED}
    assert sorted(done_by(iter(found)), key=int) == [str(number) for number in range(len(found))]
    assert caplog.text.count("sent away: the mask of camera a is not there") == 1


NOT_INSTALLED = """
import importlib.metadata, sys
sys.modules["auroramon"] = None
version = importlib.metadata.version
def version_of_others(name):
    if name == "auroramon":
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)
importlib.metadata.version = version_of_others
"""


def test_a_worker_without_auroramon_is_named(tmp_path: Path) -> None:
    from auroramon.executors.dask import DaskExecutor

    (tmp_path / "sitecustomize.py").write_text(NOT_INSTALLED)
    with (
        running_cluster(tmp_path, 1, PYTHONPATH=str(tmp_path)) as cluster,
        pytest.raises(AuroramonError, match=r"worker tcp://.* has no auroramon: install the same version everywhere"),
    ):
        DaskExecutor(cluster.address, make_slow, 1, SLURM)


def test_jobs_whose_workers_cannot_label_end_the_command_with_the_reason(tmp_path: Path) -> None:
    """All workers of SLURM's jobs join late."""
    from auroramon.executors.dask import DaskExecutor

    with running_cluster(tmp_path, 0) as cluster:
        executor = DaskExecutor(cluster.address, partial(make_none, "the model is damaged"), 1, SLURM)
        cluster.add_worker()
        with pytest.raises(AuroramonError, match="the workers cannot start: the model is damaged"):
            list(executor.run(batches(10), threading.Event()))
        executor.close()


def test_the_workers_of_a_lasting_cluster_keep_no_labeller(dask_cluster: DaskCluster) -> None:
    from distributed import Client

    from auroramon.executors.dask import DaskExecutor

    for _ in range(2):
        executor = DaskExecutor(dask_cluster.address, make_slow, 1, SLURM)
        assert len(list(filter(None, executor.run(batches(2), threading.Event())))) == 2
        executor.close()
    with Client(dask_cluster.address, set_as_default=False) as client:
        kept = client.run(lambda dask_worker: [name for name in dask_worker.plugins if name.startswith("auroramon")])
    assert set(map(tuple, kept.values())) == {()}


def test_the_model_travels_with_the_work_and_is_verified(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    settings = Settings.model_validate({"model": {"path": bundle.folder}})
    sent = pickle.loads(pickle.dumps(send(LabellerRecipe(settings, 1))))  # noqa: S301  our own
    for file in bundle.folder.iterdir():
        file.unlink()  # as on a machine that does not have it
    labeller = sent()
    assert labeller.bundle.digest == bundle.digest
    place = labeller.bundle.folder
    assert place.is_dir()
    del labeller
    assert not place.exists()  # a worker that lives on keeps no copy
    spoilt = type(sent)(sent.recipe, {**sent.files, "embedder.onnx": b"something else"}, sent.digest)
    with pytest.raises(AuroramonError, match=r"embedder\.onnx"):
        spoilt()


def test_no_password_travels_with_the_work(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    settings = Settings.model_validate(
        {
            "model": {"path": bundle.folder, "precision": "float32"},
            "camera": [{"name": "kiruna", "cadence_s": 3}],
            "database": {"url": "postgresql://auroramon:secret1@host/auroramon"},
            "events": {"mqtt": "mqtts://user:secret2@broker/auroramon", "webhook": "https://host/secret3"},
        }
    )
    sent = send(LabellerRecipe(settings, 1))
    assert b"secret" not in pickle.dumps(sent)
    assert b"kiruna" in pickle.dumps(sent)
    assert [camera.name for camera in sent().cameras.configured] == ["kiruna"]


def test_a_cluster_that_has_lost_every_worker_says_so_and_can_be_stopped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was in hand is given up: its files are claimed by nobody then, and the next call takes them."""
    from auroramon.executors.dask import DaskExecutor

    stop = threading.Event()
    with running_cluster(tmp_path, 1) as cluster:
        executor = DaskExecutor(cluster.address, make_slow, 1, SLURM, tell_s=0.1)
        given = 0

        def stop_when_told() -> None:
            cluster.workers[0].kill()
            while "waiting for a worker" not in caplog.text and not stop.is_set():
                time.sleep(0.02)
            stop.set()

        killer = threading.Thread(target=stop_when_told)
        with caplog.at_level("INFO"):
            for _ in filter(None, executor.run(batches(1000), stop)):
                given += 1
                if given == 5:
                    killer.start()
        killer.join()
        executor.close()
    assert 5 <= given < 1000
    assert "waiting for a worker of the cluster" in caplog.text


def test_a_cluster_that_has_lost_every_worker_goes_on_with_the_next_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from auroramon.executors.dask import DaskExecutor

    with running_cluster(tmp_path, 1) as cluster:
        executor = DaskExecutor(cluster.address, make_slow, 1, SLURM, tell_s=0.1)

        def replace() -> None:
            cluster.workers[0].kill()
            while "waiting for a worker" not in caplog.text:
                time.sleep(0.02)
            cluster.add_worker()

        found: list[Sequence[FileOutcome]] = []
        replacer = threading.Thread(target=replace)
        with caplog.at_level("INFO"):
            for outcomes in filter(None, executor.run(batches(30), threading.Event())):
                found.append(outcomes)
                if len(found) == 5:
                    replacer.start()
        replacer.join()
        executor.close()
    assert {word for word, _ in done_by(iter(found)).values()} == {Outcome.LABELLED}
    assert len(found) == 30


def test_a_scheduler_that_dies_is_one_sentence(tmp_path: Path) -> None:
    from auroramon.executors.dask import DaskExecutor

    with running_cluster(tmp_path, 1) as cluster:
        executor = DaskExecutor(cluster.address, make_slow, 1, SLURM)
        outcomes = executor.run(batches(1000), threading.Event())
        next(outcomes)
        cluster.scheduler.kill()
        with pytest.raises(AuroramonError, match=r"the cluster was lost .* call the same command again"):
            list(outcomes)
        executor.close()
