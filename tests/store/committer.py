"""A coordinator that claims and commits until it is killed: `python -m tests.store.committer URL FILES`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

from auroramon.errors import StoreBusyError
from auroramon.store import open_store
from auroramon.types import FileOutcome, FileStat
from tests.store.station import NOW, model_row, stack, stat

FRAMES = 4


def files(count: int) -> list[FileStat]:
    """Give files of which every fifth is a copy of the one before it."""
    return [stat(f"{number}.pgm", mtime=number) for number in range(count)]


def outcome(file: FileStat) -> FileOutcome:
    number = int(file.path.rpartition("/")[2].removesuffix(".pgm"))
    minute = number - 1 if number % 5 == 4 else number
    label = ("arc", "clear", "cloudy")[minute % 3]
    return stack(file, NOW + timedelta(minutes=minute), FRAMES, label=label)


def work(url: str, count: int) -> None:
    store = open_store(url)
    model = store.register_model(model_row())
    run = store.start_run("run", datetime.now(UTC))
    store.recover(run, datetime.now(UTC))
    print("started", flush=True)
    for start in range(0, count, 20):
        store.offer(files(count)[start : start + 20], datetime.now(UTC))
    while True:
        now = datetime.now(UTC)
        claimed = store.claim(run, 7, now) or store.claim(run, 3, now, suspects=True)
        if not claimed:
            break
        outcomes = [outcome(file) for file in claimed]
        while True:
            try:
                store.commit(run, outcomes, model=model, source="live", now=now)
                break
            except StoreBusyError as error:
                print(error, file=sys.stderr)
    store.end_run(run, datetime.now(UTC))
    store.close()
    print("done", flush=True)


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]))
