"""How a list of files is cut into tasks."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from auroramon.backfill import BATCH_BYTES, BATCH_FILES, cut
from auroramon.types import FileStat

SIZES = st.lists(st.none() | st.integers(0, BATCH_BYTES), max_size=300)


def listed(sizes: list[int | None]) -> list[FileStat | None]:
    return [None if size is None else FileStat(str(i), size, 1) for i, size in enumerate(sizes)]


@given(SIZES)
def test_every_file_is_in_one_task_in_its_order_and_no_task_is_too_large(sizes: list[int | None]) -> None:
    files = listed(sizes)
    tasks = list(cut(files))
    assert [file for task in tasks for file in task] == [file for file in files if file is not None]
    for task in tasks:
        assert len(task) <= BATCH_FILES
        assert sum(file.size for file in task[:-1]) < BATCH_BYTES


@given(SIZES)
def test_a_pause_of_the_list_ends_the_task_at_once(sizes: list[int | None]) -> None:
    files = listed(sizes)
    taken = 0

    def watched() -> Iterator[FileStat | None]:
        nonlocal taken
        for file in files:
            taken += 1
            yield file

    given_so_far = 0
    for task in cut(watched()):
        given_so_far += len(task)
        if files[taken - 1] is None:
            assert given_so_far == sum(file is not None for file in files[:taken])
