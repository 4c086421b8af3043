"""What happens in a watched folder, and when the file is offered. Real inotify, real polling."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from auroramon.sources.arrivals import ArrivalRule
from auroramon.sources.timing import Timing
from auroramon.sources.watch import FolderWatch, WatchedFolder
from tests.sources.conftest import PATIENT, QUICK, RULE, Watched, put, until, watching


def test_a_written_file_is_offered_when_its_writer_closes_it(station: Watched, folder: Path) -> None:
    arrival = station.expect(put(folder / "a.png", b"12345"), "closed")
    assert arrival.file.size == 5
    assert arrival.file.camera == "sky"
    assert arrival.file.mtime_ns == (folder / "a.png").stat().st_mtime_ns


def test_a_file_is_not_offered_while_its_writer_pauses(station: Watched, folder: Path) -> None:
    path = folder / "minute.pgm.gz"
    with path.open("wb") as stream:
        for _ in range(4):  # longer in all than the settle time, and each pause longer than it
            stream.write(b"exposure")
            stream.flush()
            time.sleep(QUICK.settle_s * 1.4)
        assert station.ways(path) == []
    station.expect(path, "closed")
    assert station.sizes(path) == [32]


def test_a_writer_that_falls_silent_without_closing_is_given_up_after_a_while(folder: Path) -> None:
    timing = replace(QUICK, held_s=0.5)
    with watching([WatchedFolder("sky", folder, RULE)], timing) as watched:
        watched.listed()
        with (folder / "stuck.png").open("wb") as stream:
            began = time.monotonic()
            stream.write(b"all there is")
            stream.flush()
            watched.expect(folder / "stuck.png", "settled")
            assert time.monotonic() - began >= timing.held_s


def test_a_file_renamed_into_place_is_offered_at_once_under_its_final_name(station: Watched, folder: Path) -> None:
    put(folder / "a.tmp").rename(folder / "a.png")
    station.expect(folder / "a.png", "moved")
    assert station.ways(folder / "a.tmp") == []


def test_a_file_renamed_while_its_writer_still_writes_waits_for_the_close(station: Watched, folder: Path) -> None:
    with (folder / "a.tmp").open("wb") as stream:
        stream.write(b"half")
        stream.flush()
        until(lambda: station.watch.state()[0].candidates == 1, "the writer was heard")
        (folder / "a.tmp").rename(folder / "a.png")
        time.sleep(QUICK.settle_s * 2)
        assert station.ways(folder / "a.png") == []
        stream.write(b"rest")
    station.expect(folder / "a.png", "closed")
    assert station.sizes(folder / "a.png") == [8]


def test_a_file_renamed_in_from_outside_is_offered(station: Watched, folder: Path, outside: Path) -> None:
    put(outside / "a.png").rename(folder / "a.png")
    station.expect(folder / "a.png", "moved")


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_link_to_a_file_is_offered_once_it_stands_still(
    station: Watched, folder: Path, outside: Path, link: object
) -> None:
    target = put(outside / "a.png", b"123")
    assert callable(link)
    link(target, folder / "a.png")
    assert station.expect(folder / "a.png", "settled").file.size == 3


def test_a_link_to_a_growing_file_waits_for_it(folder: Path, outside: Path) -> None:
    with watching([WatchedFolder("sky", folder, RULE)], PATIENT) as watched:
        watched.listed()
        with (outside / "growing.png").open("wb") as stream:
            (folder / "a.png").symlink_to(outside / "growing.png")
            for _ in range(16):
                stream.write(b"more")
                stream.flush()
                time.sleep(PATIENT.settle_s / 12)
                assert watched.arrivals == []
        assert watched.expect(folder / "a.png", "settled").file.size == 64


def test_a_link_to_a_folder_is_said_and_not_followed(station: Watched, folder: Path, outside: Path) -> None:
    put(outside / "a.png", old=True)
    (folder / "latest").symlink_to(outside)
    station.watch.relist()
    until(lambda: any("latest" in problem.sentence for problem in station.problems), "the report")
    assert station.arrivals == []


def test_a_folder_moved_in_has_all_its_files_offered(station: Watched, folder: Path, outside: Path) -> None:
    paths = [put(outside / "night" / f"ut{n}" / "a.png", old=True) for n in range(20)]
    (outside / "night").rename(folder / "night")
    for path in paths:
        inside = folder / path.relative_to(outside)
        station.offered(inside)


def test_a_folder_renamed_within_takes_its_growing_file_along(station: Watched, folder: Path) -> None:
    (folder / "now").mkdir()
    with (folder / "now" / "a.png").open("wb") as stream:
        stream.write(b"half")
        stream.flush()
        until(lambda: station.watch.state()[0].candidates > 0, "the file was noticed")
        (folder / "now").rename(folder / "night")
        stream.write(b"rest")
    until(lambda: station.sizes(folder / "night" / "a.png")[-1:] == [8], "the whole file")
    assert set(station.sizes(folder / "night" / "a.png")) == {8}


@pytest.mark.parametrize("pause", [0.0, 0.0005, 0.003])
def test_no_file_is_lost_when_folders_roll_over(station: Watched, folder: Path, pause: float) -> None:
    """The first files of a new folder come before anybody can listen there."""
    paths = []
    for day in range(1, 8):
        for hour in range(3):
            path = folder / "2024" / "03" / f"{day:02d}" / "site" / f"ut{hour:02d}" / "first.pgm.gz"
            path.parent.mkdir(parents=True)
            time.sleep(pause)
            paths.append(put(path))
            paths.append(put(path.with_name("second.pgm.gz")))
    for path in paths:
        station.offered(path)


def test_new_folders_that_are_renamed_at_once_do_not_escape(station: Watched, folder: Path) -> None:
    """Without care two to seven of 150 did: watchdog loses the subfolders of a new folder that is renamed meanwhile."""
    for number in range(150):
        inside = folder / f"new{number}" / "sub"
        inside.mkdir(parents=True)
        with (inside / "1.png").open("wb") as stream:
            stream.write(b"half")
            stream.flush()
            inside.parent.rename(folder / f"{number}")
            time.sleep(0.005 * (number % 3))
            stream.write(b"rest")
    wanted = {str(folder / f"{number}" / "sub" / "1.png") for number in range(150)}
    until(lambda: wanted <= {a.file.path for a in station.arrivals if a.file.size == 8}, "all 150 whole")


def test_a_copy_in_place_is_offered_whole(station: Watched, folder: Path, outside: Path) -> None:
    """indi-allsky copies its final file in place: "created" is half a file there."""
    source = put(outside / "big.png", os.urandom(4_000_000))
    shutil.copy2(source, folder / "big.png")
    station.offered(folder / "big.png")
    assert set(station.sizes(folder / "big.png")) == {4_000_000}


def test_what_is_no_frame_is_never_offered_nor_opened(station: Watched, folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    put(folder / ".a.png.Xy12ab").rename(folder / ".hidden.png")
    put(folder / "a.png.part")
    put(folder / "a.png~")
    put(folder / "labels.sqlite-wal")
    put(folder / "notes.txt")
    put(folder / ".cache" / "a.png")
    (folder / "dangling.png").symlink_to(folder / "nowhere")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket.png"))
        station.expect(put(folder / "real.png"), "closed")
        time.sleep(QUICK.settle_s * 2)
        station.watch.relist()
        until(lambda: station.watch.state()[0].listings >= 2, "a second listing")
    assert {arrival.file.path for arrival in station.arrivals} == {str(folder / "real.png")}


def test_an_empty_file_is_offered_after_the_settle_time(station: Watched, folder: Path) -> None:
    began = time.monotonic()
    (folder / "empty.png").touch()
    assert station.expect(folder / "empty.png", "settled").file.size == 0
    assert time.monotonic() - began >= QUICK.settle_s


def test_an_empty_file_is_told_of_before_it_settles(folder: Path) -> None:
    timing = replace(QUICK, settle_s=30.0, empty_s=0.05)
    with watching([WatchedFolder("sky", folder, RULE)], timing) as watched:
        watched.listed()
        (folder / "empty.png").touch()
        assert watched.expect(folder / "empty.png", "empty").file.size == 0
        put(folder / "empty.png", b"123")
        watched.expect(folder / "empty.png", "closed")
    assert watched.sizes(folder / "empty.png") == [0, 3]


def test_an_empty_file_that_is_filled_in_time_is_offered_full(station: Watched, folder: Path) -> None:
    (folder / "a.png").touch()
    put(folder / "a.png", b"123")
    station.expect(folder / "a.png", "closed")
    assert 0 not in station.sizes(folder / "a.png")


def test_a_file_that_is_written_again_is_offered_again(station: Watched, folder: Path) -> None:
    put(folder / "a.png", b"1")
    station.expect(folder / "a.png", "closed")
    put(folder / "a.png", b"12")
    until(lambda: station.sizes(folder / "a.png") == [1, 2], "the second version")


def test_a_file_that_is_gone_again_is_not_offered(station: Watched, folder: Path, outside: Path) -> None:
    os.link(put(outside / "a.png"), folder / "a.png")
    until(lambda: station.watch.state()[0].candidates == 1, "the candidate")
    (folder / "a.png").unlink()
    until(lambda: station.watch.state()[0].candidates == 0, "the candidate is dropped")
    assert station.arrivals == []


def test_what_lay_there_before_the_start_is_offered(folder: Path) -> None:
    paths = [put(folder / f"{n % 7}" / f"{n}.png", old=True) for n in range(1200)]
    with watching([WatchedFolder("sky", folder, RULE)]) as watched:
        watched.listed()
        until(lambda: len(watched.arrivals) == 1200, "1200 files")
    assert {arrival.file.path for arrival in watched.arrivals} == {str(path) for path in paths}
    assert {arrival.how for arrival in watched.arrivals} == {"listed"}


def test_a_file_half_there_at_the_start_waits(folder: Path) -> None:
    with (folder / "a.png").open("wb") as stream:
        stream.write(b"half")
        stream.flush()
        with watching([WatchedFolder("sky", folder, RULE)], replace(QUICK, settle_s=20.0)) as watched:
            watched.listed()
            assert watched.arrivals == []
            stream.write(b"rest")
            stream.close()
            watched.expect(folder / "a.png", "closed")
    assert watched.sizes(folder / "a.png") == [8]


def test_later_listings_offer_only_what_no_event_told(folder: Path) -> None:
    timing = Timing(settle_s=0.05, reconcile_s=0.1, check_s=0.02, tick_s=0.05)
    put(folder / "before.png", old=True)
    with watching([WatchedFolder("sky", folder, RULE)], timing) as watched:
        watched.listed()
        put(folder / "after.png")
        watched.expect(folder / "after.png", "closed")
        done = watched.watch.state()[0].listings
        until(lambda: watched.watch.state()[0].listings >= done + 3, "three more listings")
        assert watched.ways(folder / "before.png") == ["listed"]
        assert watched.ways(folder / "after.png") == ["closed"]
        assert watched.watch.state()[0].reconciled == 0


def test_everything_is_offered_again_on_request(folder: Path) -> None:
    path = put(folder / "a.png", old=True)
    with watching([WatchedFolder("sky", folder, RULE)]) as watched:
        watched.expect(path, "listed")
        watched.watch.relist()
        until(lambda: watched.ways(path) == ["listed", "listed"], "the second offer")


def test_the_watched_folder_may_be_a_link(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "data").symlink_to(outside)
    with watching([WatchedFolder("sky", tmp_path / "data", RULE)]) as watched:
        watched.listed()
        put(outside / "a.png")
        watched.expect(tmp_path / "data" / "a.png", "closed")  # under the name that was configured
        put(outside / "night" / "b.png")
        watched.offered(tmp_path / "data" / "night" / "b.png")


def test_a_name_that_is_no_utf8_is_said_once_and_breaks_nothing(station: Watched, folder: Path) -> None:
    odd = os.fsencode(folder) + b"/caf\xe9.png"
    Path(os.fsdecode(odd)).write_bytes(b"1")
    station.expect(put(folder / "café.png"), "closed")
    station.watch.relist()
    until(lambda: station.watch.state()[0].listings >= 2, "a second listing")
    said = [problem for problem in station.problems if "UTF-8" in problem.sentence]
    assert [problem.path for problem in said] == [f"{folder}/caf\\udce9.png"]
    assert {arrival.file.path for arrival in station.arrivals} == {str(folder / "café.png")}


# Several cameras


def test_a_file_belongs_to_the_camera_with_the_deepest_folder_that_wants_it(folder: Path) -> None:
    (folder / "north").mkdir()
    cameras = [
        WatchedFolder("all", folder, ArrivalRule(patterns=("*.png",))),
        WatchedFolder("north", folder / "north", ArrivalRule(patterns=("n_*.png",))),
        WatchedFolder("raw", folder, ArrivalRule(patterns=("*.pgm",))),
    ]
    with watching(cameras) as watched:
        watched.listed()
        owners = {"a.png": "all", "north/n_1.png": "north", "north/x.png": "all", "north/x.pgm": "raw"}
        for name, camera in owners.items():
            assert watched.expect(put(folder / name), "closed").file.camera == camera
        time.sleep(QUICK.settle_s)
        assert len(watched.arrivals) == 4


def test_cameras_can_be_replaced_while_running(folder: Path, outside: Path) -> None:
    first, second = WatchedFolder("sky", folder, RULE), WatchedFolder("new", outside, RULE)
    with watching([first]) as watched:
        watched.listed()
        put(outside / "before.png", old=True)
        watched.watch.replace([first, second])
        assert watched.expect(outside / "before.png", "listed").file.camera == "new"
        watched.expect(put(folder / "a.png"), "closed")
        watched.watch.replace([second])
        put(folder / "b.png")
        watched.expect(put(outside / "c.png"), "closed")
        assert watched.ways(folder / "b.png") == []
        assert [state.camera for state in watched.watch.state()] == ["new"]


# Polling


def test_a_polled_folder_gives_everything_in_time(folder: Path, outside: Path) -> None:
    put(folder / "old.png", old=True)
    with watching([WatchedFolder("sky", folder, RULE, poll=True)]) as watched:
        watched.expect(folder / "old.png", "listed")
        watched.listed()
        assert watched.watch.state()[0].mode == "polling"
        put(folder / "a.png")
        put(outside / "b.png", old=True).rename(folder / "b.png")
        put(folder / "new" / "night" / "c.png")
        for name in ("a.png", "b.png", "new/night/c.png"):
            watched.expect(folder / name, "settled")
        put(folder / "a.png", b"written again")
        until(lambda: len(watched.ways(folder / "a.png")) == 2, "the second version")
        listings = watched.watch.state()[0].listings
        until(lambda: watched.watch.state()[0].listings > listings + 2, "more polls")
        assert len(watched.arrivals) == 5


def test_a_polled_file_is_not_offered_while_it_grows(folder: Path) -> None:
    with watching([WatchedFolder("sky", folder, RULE, poll=True)], PATIENT) as watched:
        watched.listed()
        with (folder / "a.png").open("wb") as stream:
            for _ in range(16):
                stream.write(b"more")
                stream.flush()
                time.sleep(PATIENT.settle_s / 12)
                assert watched.arrivals == []
        assert watched.expect(folder / "a.png", "settled").file.size == 64


# The stream itself


def test_an_idle_watch_gives_a_sign_of_life_every_tick(folder: Path) -> None:
    watch = FolderWatch([WatchedFolder("sky", folder, RULE)], QUICK)
    stop = threading.Event()
    batches = watch.arrivals(stop)
    began = time.monotonic()
    assert [list(next(batches)) for _ in range(3)] == [[], [], []]
    assert time.monotonic() - began < 2
    stop.set()
    assert list(batches) == []


def test_closing_the_stream_ends_every_thread(folder: Path) -> None:
    before = threading.active_count()
    batches = FolderWatch([WatchedFolder("sky", folder, RULE)], QUICK).arrivals(threading.Event())
    next(batches)
    assert threading.active_count() > before
    batches.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
