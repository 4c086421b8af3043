"""A file is taken once, ends once, and is never forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from auroramon.store import open_store
from auroramon.store.results import Claimed, Offered
from auroramon.types import FileOutcome, Outcome
from tests.store.station import NOW, Station, labelled, model_row, record, stack, stat


def test_offering_a_file_again_is_free_until_it_changes(station: Station) -> None:
    a, b = stat("a.png"), stat("b.png")
    assert station.store.offer([a, b, a], NOW) == Offered(new=2, changed=0, known=0)
    assert station.store.offer([a, b], NOW) == Offered(new=0, changed=0, known=2)
    assert station.store.offer([replace(a, size=1001), b], NOW) == Offered(new=0, changed=1, known=1)
    assert station.store.offer([replace(a, size=1001, mtime_ns=5)], NOW) == Offered(new=0, changed=1, known=0)
    assert station.account() == (0, 0, 0, 2)


def test_names_that_only_look_like_paths_are_kept_as_they_are(station: Station) -> None:
    names = ["plain.png", "/root.png", "C:\\sky\\x.png", "./a//b.png", "dir with space/ü.png", "/x/'; DROP--.png"]
    files = [replace(stat("x"), path=name) for name in names]
    station.store.offer(files, NOW)
    assert sorted(file.path for file in station.store.claim(station.run, 10, NOW)) == sorted(names)


def test_what_one_run_has_in_hand_no_other_run_gets(station: Station) -> None:
    files = [stat(f"{number}.png", mtime=number) for number in range(4)]
    other = station.store.start_run("backfill", NOW, host="station", pid=200)
    assert station.store.claim_files(station.run, files[:2], NOW).fresh == tuple(files[:2])
    assert station.store.claim_files(other, files, NOW).fresh == tuple(files[2:])
    assert station.store.claim(other, 10, NOW) == []
    assert station.account() == (0, 0, 0, 4)


def test_the_newest_file_is_taken_first_and_the_oldest_on_request(station: Station) -> None:
    files = [stat(f"{number}.png", mtime=number) for number in range(4)]
    station.store.offer(files, NOW)
    assert station.store.claim(station.run, 2, NOW) == [files[3], files[2]]
    assert station.store.claim(station.run, 1, NOW, newest_first=False) == [files[0]]


def test_files_can_be_taken_by_camera(station: Station) -> None:
    station.store.offer([stat("a.png"), stat("b.png", camera="tromso"), stat("c.png", camera="")], NOW)
    assert station.store.backlog() == {"kiruna": 1, "tromso": 1, "": 1}
    assert [file.camera for file in station.store.claim(station.run, 9, NOW, camera="tromso")] == ["tromso"]
    assert [file.camera for file in station.store.claim(station.run, 9, NOW, camera="")] == [""]


def test_a_file_that_is_not_ready_comes_back_after_its_time_and_costs_no_try(station: Station) -> None:
    file = stat("a.png")
    station.store.claim_files(station.run, [file], NOW)
    assert station.words(FileOutcome(file, Outcome.NOT_READY, "still growing")) == [
        (Outcome.NOT_READY, "still growing")
    ]
    assert station.store.claim(station.run, 1, NOW) == []
    assert station.store.claim(station.run, 1, NOW, suspects=True) == []
    assert station.store.claim_files(station.run, [file], NOW) == Claimed((), (), 0)
    assert station.store.claim(station.run, 1, NOW + timedelta(seconds=10)) == [file]


def test_a_file_that_is_never_ready_is_tried_ever_more_rarely_and_at_once_when_somebody_mends_it(
    station: Station,
) -> None:
    file, now = stat("a.png"), NOW
    station.store.claim_files(station.run, [file], now)
    pauses: list[float] = []
    while now < NOW + timedelta(days=2):
        station.commit(FileOutcome(file, Outcome.NOT_READY, "may not be read"), now=now)
        due = now
        while not station.store.claim(station.run, 1, due):
            due += timedelta(seconds=10)
        pauses.append((due - now).total_seconds())
        now = due
    assert (pauses[0], pauses[-1]) == (10, 3600)
    assert sorted(pauses) == pauses
    assert len(pauses) < 150  # and not 5,760, one each half minute
    station.commit(FileOutcome(file, Outcome.NOT_READY, "may not be read"), now=now)
    assert station.store.claim(station.run, 1, now) == []
    station.store.make_due()
    assert station.store.claim(station.run, 1, now) == [file]


def test_a_backfill_does_not_wait_for_a_file_that_was_not_ready(station: Station) -> None:
    file = stat("a.png")
    station.store.claim_files(station.run, [file], NOW)
    station.commit(FileOutcome(file, Outcome.NOT_READY, "still growing"))
    assert station.store.claim_files(station.run, [file], NOW, model=station.model).fresh == (file,)


def test_a_file_that_changes_while_it_waits_is_due_at_once(station: Station) -> None:
    file = stat("a.png")
    station.store.claim_files(station.run, [file], NOW)
    station.commit(FileOutcome(file, Outcome.NOT_READY))
    grown = replace(file, size=2000)
    assert station.store.claim_files(station.run, [grown], NOW).fresh == (grown,)


def test_a_clean_stop_gives_files_back_as_if_never_taken(station: Station) -> None:
    file = stat("a.png")
    station.store.claim_files(station.run, [file], NOW)
    assert station.store.end_run(station.run, NOW) == 1
    assert station.store.claim(station.store.start_run("run", NOW), 1, NOW) == [file]


def test_files_of_a_dead_run_become_suspects(station: Station) -> None:
    file = stat("a.png")
    station.store.claim_files(station.run, [file], NOW)
    after = station.store.start_run("run", NOW, host="station", pid=101)
    assert station.store.recover(after, NOW, is_alive=lambda pid: True) == 0
    assert station.store.recover(after, NOW, is_alive=lambda pid: False) == 1
    assert station.store.claim(after, 1, NOW) == []
    assert station.store.claim(after, 1, NOW, suspects=True) == [file]


def test_a_run_with_this_process_number_is_dead_as_in_a_container(station: Station) -> None:
    station.store.claim_files(station.run, [stat("a.png")], NOW)
    after = station.store.start_run("run", NOW, host="station", pid=100)
    assert station.store.recover(after, NOW, is_alive=lambda pid: True) == 1


def test_a_run_whose_last_sign_of_life_lies_in_the_future_is_dead(station: Station) -> None:
    """A power cut, and a clock without a battery: until it is set the dead one seems to live, where its number does."""
    dead = station.store.start_run("run", NOW, host="station", pid=1)
    station.store.claim_files(dead, [stat("a.png")], NOW)
    after = NOW - timedelta(hours=2)
    here = station.store.start_run("run", after, host="station", pid=2)
    assert station.store.recover(here, after, is_alive=lambda pid: True) == 1


def test_a_run_elsewhere_is_dead_after_ten_silent_minutes_and_may_come_back(station: Station) -> None:
    file = stat("a.png")
    here = station.store.start_run("run", NOW, host="elsewhere", pid=1)
    station.store.claim_files(station.run, [file], NOW)
    station.store.heartbeat(station.run, NOW + timedelta(minutes=5))
    assert station.store.recover(here, NOW + timedelta(minutes=14), is_alive=lambda pid: False) == 0
    assert station.store.recover(here, NOW + timedelta(minutes=16), is_alive=lambda pid: False) == 1
    station.store.heartbeat(station.run, NOW + timedelta(minutes=17))
    assert station.store.claim(station.run, 1, NOW, suspects=True) == [file]
    assert station.store.recover(here, NOW + timedelta(minutes=18), is_alive=lambda pid: False) == 0


def test_twenty_kills_of_the_coordinator_never_quarantine_an_innocent_file(station: Station) -> None:
    file = stat("a.png")
    run = station.run
    station.store.claim_files(run, [file], NOW)
    for pid in range(200, 220):
        run = station.store.start_run("run", NOW, host="station", pid=pid)
        station.store.recover(run, NOW, is_alive=lambda pid: False)
        assert station.store.claim_files(run, [file], NOW).suspects == (file,)
    assert station.commit(FileOutcome(file, Outcome.CRASHED), run=run).files[0].outcome is Outcome.CRASHED
    assert station.store.claim(run, 1, NOW, suspects=True) == [file]
    station.commit(labelled(file), run=run)
    assert station.account() == (1, 0, 0, 0)


def test_the_third_crash_that_was_seen_quarantines_and_retry_opens_again(station: Station) -> None:
    file, good = stat("a.png"), stat("b.png")
    for crash in range(3):
        claimed = station.store.claim_files(station.run, [file], NOW)
        assert (claimed.suspects if crash else claimed.fresh) == (file,)
        word, reason = station.words(FileOutcome(file, Outcome.CRASHED, "signal 11"))[0]
    assert (word, reason) == (Outcome.QUARANTINED, "crashed the worker 3 times: signal 11")
    station.commit(FileOutcome(good, Outcome.QUARANTINED, "no image in it"))
    assert [(bad.path, bad.reason) for bad in station.store.quarantined()] == [
        (file.path, reason),
        (good.path, "no image in it"),
    ]
    assert station.store.claim_files(station.run, [file], NOW).known == 1
    assert station.store.retry_quarantined([file.path, "/not/known.png"]) == 1
    assert station.store.retry_quarantined() == 1
    assert station.store.claim_files(station.run, [file, good], NOW).fresh == (file, good)


def test_a_quarantined_file_that_changes_is_tried_again(station: Station) -> None:
    file = stat("a.png", size=0)
    station.store.claim_files(station.run, [file], NOW)
    station.commit(FileOutcome(file, Outcome.QUARANTINED, "empty"))
    whole = replace(file, size=999)
    assert station.store.claim_files(station.run, [whole], NOW).fresh == (whole,)
    station.commit(labelled(whole))
    assert station.account() == (1, 0, 0, 0)


def test_backfill_takes_files_that_its_model_has_not_labelled_and_live_does_not(station: Station) -> None:
    a, b = stat("a.pgm"), stat("b.pgm")
    station.store.claim_files(station.run, [a, b], NOW)
    station.commit(stack(a), stack(b, NOW + timedelta(minutes=1)))
    new = station.store.register_model(model_row("oath-2", "embedder-b"))
    assert station.store.claim_files(station.run, [a, b], NOW).known == 2
    assert station.store.needs_label([a, b, stat("c.pgm")], new) == [a, b, stat("c.pgm")]
    assert station.store.claim_files(station.run, [a, b], NOW, model=new).fresh == (a, b)
    assert station.account() == (2, 0, 0, 0)
    station.commit(stack(a, label="discrete"), model=new, source="backfill")
    assert station.store.needs_label([a, b], new) == [b]
    station.store.end_run(station.run, NOW)
    assert station.store.needs_label([a, b], station.model) == []


def test_a_crash_while_relabelling_leaves_the_old_labels(station: Station) -> None:
    file = stat("a.png")
    station.commit(labelled(file))
    new = station.store.register_model(model_row("oath-2"))
    for _ in range(2):
        station.store.claim_files(station.run, [file], NOW, model=new)
        station.commit(FileOutcome(file, Outcome.CRASHED), model=new)
        assert station.account() == (1, 0, 0, 0)
    station.store.claim_files(station.run, [file], NOW, model=new)
    station.commit(FileOutcome(file, Outcome.CRASHED), model=new)
    assert station.account() == (0, 0, 1, 0)
    assert station.labels() == [("a.png", 0, "arc", "oath-1")]


def test_two_openings_of_one_database_see_the_same(station: Station, store_url: str) -> None:
    file = stat("a.png")
    second = open_store(store_url)
    try:
        station.store.claim_files(station.run, [file], NOW)
        run = second.start_run("backfill", NOW)
        assert second.claim_files(run, [file], NOW) == Claimed((), (), 0)  # in other hands, and not done
        station.commit(labelled(file, record(file.path)))
        assert second.account().labelled == 1
    finally:
        second.close()
