"""The contract of every executor: each batch comes back once, whatever happens to the worker."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from auroramon.config import SlurmSettings
from auroramon.errors import AuroramonError
from auroramon.executors.inline import InlineExecutor
from auroramon.executors.pool import PoolExecutor
from auroramon.ports import Executor, LabelFiles
from auroramon.types import FileOutcome, FileStat, Outcome


def echo(files: Sequence[FileStat]) -> list[FileOutcome]:
    """Stand for a labeller; a file may ask for a mistake, or for the death of its process."""
    for file in files:
        if file.path == "mistake":
            raise ZeroDivisionError("a mistake of ours")
        if file.path == "large":  # more than a pipe holds, and not before another worker is dead
            time.sleep(1)
            return [FileOutcome(file, Outcome.LABELLED, "x" * 5_000_000) for file in files]
        if file.path == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
    return [FileOutcome(file, Outcome.LABELLED, str(os.getpid())) for file in files]


def make_echo() -> LabelFiles:
    return echo


def make_nothing() -> LabelFiles:
    raise AuroramonError("no model")


def batch(*paths: str) -> list[FileStat]:
    return [FileStat(path, 1, 1) for path in paths]


@pytest.fixture(params=["inline", "pool", "dask"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    made = _made(request.param, request)
    yield made
    made.close()


def _made(kind: str, request: pytest.FixtureRequest, make_labeller: Callable[[], LabelFiles] = make_echo) -> Executor:
    if kind == "inline":
        return InlineExecutor(make_labeller())
    if kind == "pool":
        return PoolExecutor(make_labeller, workers=2)
    address: str = request.getfixturevalue("dask_cluster").address
    from auroramon.executors.dask import DaskExecutor

    return DaskExecutor(address, make_labeller, workers=1, slurm=SlurmSettings())


def words(outcomes: Sequence[Sequence[FileOutcome]]) -> dict[str, Outcome]:
    return {outcome.file.path: outcome.outcome for one in outcomes for outcome in one}


def test_every_batch_comes_back_once(executor: Executor) -> None:
    batches = [batch(f"{i}", f"{i}b") for i in range(20)]
    done = list(executor.run(batches, threading.Event()))
    assert sorted(o.file.path for one in done for o in one) == sorted(f.path for b in batches for f in b)


def test_while_the_list_has_nothing_the_caller_gets_its_turn_and_what_came_before_is_worked_on(
    executor: Executor,
) -> None:
    """The list goes on only after its first batch has come back: it would wait for ever, were that kept waiting."""
    back = threading.Event()

    def batches() -> Iterator[Sequence[FileStat]]:
        yield ()
        yield batch("first")
        while not back.is_set():
            yield ()
        yield batch("last")

    paths: list[str] = []
    for outcomes in executor.run(batches(), threading.Event()):
        paths += [outcome.file.path for outcome in outcomes]
        if "first" in paths:
            back.set()
    assert paths == ["first", "last"]


def test_a_mistake_costs_its_batch_and_nothing_else(executor: Executor) -> None:
    done = words(list(executor.run([batch("a"), batch("mistake", "beside"), batch("b")], threading.Event())))
    assert done == {
        "a": Outcome.LABELLED, "mistake": Outcome.CRASHED, "beside": Outcome.CRASHED, "b": Outcome.LABELLED,
    }  # fmt: skip


def test_a_worker_that_dies_beside_one_with_much_to_tell_does_not_hold_up_the_rest() -> None:
    """What the others have in hand comes back too, and the next batch is worked on."""
    executor = PoolExecutor(make_echo, workers=2)
    done: dict[str, Outcome] = {}

    def work() -> None:
        batches = [batch("large"), batch("poison"), batch("after")]
        done.update(words(list(executor.run(batches, threading.Event()))))
        executor.close()

    working = threading.Thread(target=work, daemon=True)
    working.start()
    working.join(60)
    assert not working.is_alive(), "it waits for a worker that nobody listens to"
    assert set(done) == {"large", "poison", "after"}
    assert done["poison"] is Outcome.CRASHED


def test_batches_are_taken_only_as_they_are_worked_on(executor: Executor) -> None:
    taken = 0

    def endless() -> Iterator[Sequence[FileStat]]:
        nonlocal taken
        while True:
            taken += 1
            yield batch(str(taken))

    stop = threading.Event()
    given = 0
    for outcomes in executor.run(endless(), stop):
        given += bool(outcomes)
        if given == 5:
            stop.set()
    assert given == taken  # what was taken came back
    assert taken < 20


def test_a_file_that_kills_its_worker_is_told_and_the_others_are_done() -> None:
    pool = PoolExecutor(make_echo, workers=1, in_hand=1)
    done = words(list(pool.run([batch("a"), batch("poison"), batch("b")], threading.Event())))
    pool.close()
    assert done == {"a": Outcome.LABELLED, "poison": Outcome.CRASHED, "b": Outcome.LABELLED}


def test_no_file_is_blamed_for_a_death_in_a_later_pool() -> None:
    pool = PoolExecutor(make_echo, workers=2)
    done = words(list(pool.run([batch("poison"), *(batch(str(i)) for i in range(30))], threading.Event())))
    pool.close()
    assert done["poison"] is Outcome.CRASHED
    assert len(done) == 31
    in_hand = 4  # two batches a worker, whichever they were when the death was noticed
    assert list(done.values()).count(Outcome.CRASHED) <= in_hand


def test_workers_that_cannot_start_are_our_fault_and_no_files() -> None:
    pool = PoolExecutor(make_nothing, workers=1)
    with pytest.raises(AuroramonError, match="die while they start"):
        list(pool.run([batch("a")], threading.Event()))


def test_workers_are_processes_of_their_own() -> None:
    pool = PoolExecutor(partial(make_echo), workers=2)
    done = list(pool.run([batch("a")], threading.Event()))
    pool.close()
    assert done[0][0].reason != str(os.getpid())


def hang(files: Sequence[FileStat]) -> list[FileOutcome]:
    if files[0].path == "endless":
        threading.Event().wait()
    return echo(files)


def pause(files: Sequence[FileStat]) -> list[FileOutcome]:
    time.sleep(2.5)
    return echo(files)


def make_pause() -> LabelFiles:
    return pause


@pytest.mark.parametrize("kind", ["pool", "dask"])
def test_signs_of_life_come_while_a_batch_takes_long(kind: str, request: pytest.FixtureRequest) -> None:
    executor = _made(kind, request, make_pause)
    try:
        came = [len(outcomes) for outcomes in executor.run([batch("long")], threading.Event())]
    finally:
        executor.close()
    assert came[-1] == 1
    assert set(came[:-1]) == {0}


def make_hang() -> LabelFiles:
    return hang


def test_a_worker_that_hangs_ends_itself_and_the_next_file_is_labelled(capfd: pytest.CaptureFixture[str]) -> None:
    pool = PoolExecutor(make_hang, workers=1, in_hand=1, limit_s=0.3)
    try:
        done = words(list(pool.run([batch("endless"), batch("good")], threading.Event())))
    finally:
        pool.close()
    assert done == {"endless": Outcome.CRASHED, "good": Outcome.LABELLED}
    assert "Timeout" in capfd.readouterr().err, "the log says where it hung"
