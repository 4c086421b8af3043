"""When a file counts as complete: decided with a clock that the test turns itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from auroramon.sources.candidates import Candidates
from auroramon.types import FileStat


class Disk(dict[str, FileStat]):
    def write(self, path: str, size: int, mtime_ns: int = 0) -> FileStat:
        self[path] = FileStat(path, size, mtime_ns)
        return self[path]


def test_a_file_settles_when_size_and_mtime_stood_still() -> None:
    disk, candidates = Disk(), Candidates(settle_s=2, held_s=60, empty_s=0.2)
    candidates.wait(disk.write("a", 5), now=0)
    assert candidates.next_due() == 2
    assert candidates.settle(1.9, disk.get) == []
    assert candidates.settle(2, disk.get) == [disk["a"]]
    assert len(candidates) == 0


def test_growth_and_a_new_mtime_start_the_time_again() -> None:
    disk, candidates = Disk(), Candidates(settle_s=2, held_s=60, empty_s=0.2)
    candidates.wait(disk.write("a", 5), now=0)
    disk.write("a", 6)
    assert candidates.settle(2, disk.get) == []
    disk.write("a", 6, mtime_ns=1)  # rewritten with the same size
    assert candidates.settle(4, disk.get) == []
    assert candidates.settle(6, disk.get) == [disk["a"]]


def test_a_heard_writer_is_waited_for_over_any_pause_shorter_than_the_hold() -> None:
    disk, candidates = Disk(), Candidates(settle_s=2, held_s=60, empty_s=0.2)
    candidates.wait(disk.write("a", 1), now=0)
    for second in range(0, 600, 50):
        candidates.hold("a", second)
        assert candidates.settle(second + 49, disk.get) == []
    candidates.wait(disk["a"], now=600)  # a listing finds it: it is still held
    assert candidates.settle(605, disk.get) == []
    assert candidates.next_due() == 610
    assert candidates.settle(610, disk.get) == []  # the hold ends; now it must stand still
    assert candidates.settle(612, disk.get) == [disk["a"]]


def test_lost_closes_free_what_was_held() -> None:
    candidates = Candidates(settle_s=2, held_s=60, empty_s=0.2)
    candidates.hold("a", 0)
    candidates.hold("b", 1)
    assert candidates.release(1) == ["a", "b"]
    assert len(candidates) == 0


def test_a_rename_carries_the_hold_and_replaces_what_lay_there() -> None:
    disk, candidates = Disk(), Candidates(settle_s=2, held_s=60, empty_s=0.2)
    candidates.hold("a.tmp", 0)
    candidates.wait(disk.write("a", 1), now=0)
    assert candidates.rename("a.tmp", "a", 1)
    assert candidates.settle(5, disk.get) == []
    assert "a" in candidates
    assert "a.tmp" not in candidates
    assert not candidates.rename("unknown", "b", 5)


def test_what_is_gone_is_dropped() -> None:
    disk, candidates = Disk(), Candidates(settle_s=2, held_s=60, empty_s=0.2)
    candidates.wait(disk.write("a", 1), now=0)
    candidates.hold("b", 0)
    del disk["a"]
    assert candidates.settle(100, disk.get) == []
    assert len(candidates) == 0
    assert candidates.next_due() == float("inf")


def test_an_empty_file_is_told_of_once_unless_it_was_filled_at_once() -> None:
    disk, candidates = Disk(), Candidates(settle_s=2, held_s=60, empty_s=0.2)
    candidates.wait(disk.write("a", 0), now=0)
    candidates.wait(disk.write("quick", 0), now=0)
    candidates.hold("quick", 0.1)
    disk.write("quick", 5)
    assert candidates.next_due() == 0.2
    assert candidates.empties(0.1, disk.get) == []
    assert candidates.empties(0.2, disk.get) == [disk["a"]]
    assert candidates.empties(1, disk.get) == []
    assert candidates.settle(2, disk.get) == [disk["a"]]
    candidates.wait(disk.write("b", 0), now=3)
    candidates.forget("b")  # closed with content, or gone
    assert candidates.empties(9, disk.get) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["see", "write", "close"]), st.floats(0, 3))))
def test_nothing_settles_sooner_than_the_settle_time_after_its_last_change(
    steps: list[tuple[str, str, float]],
) -> None:
    disk, candidates = Disk(), Candidates(settle_s=2, held_s=5, empty_s=0.2)
    now, changed, size = 0.0, dict.fromkeys("abc", 0.0), 0
    for path, what, pause in steps:
        now += pause
        for file in candidates.settle(now, disk.get):
            assert now - changed[file.path] >= 2 - 1e-9  # the clock is a sum of fractions
            assert file == disk[file.path]
        if what == "write":
            size += 1
            disk.write(path, size)
            changed[path] = now
            candidates.hold(path, now)
        elif what == "close":
            candidates.forget(path)
        elif path in disk and path not in candidates:
            candidates.wait(disk[path], now)
            changed[path] = now
    waiting = {path for path in "abc" if path in candidates}
    settled = {file.path for at in (now + 5, now + 7, now + 9) for file in candidates.settle(at, disk.get)}
    assert settled == waiting
