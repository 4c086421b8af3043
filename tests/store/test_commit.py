"""Every frame is in the database once, under the time and the file that brought it first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from auroramon.errors import StoreError
from auroramon.store import in_parts
from auroramon.store.choice import LabelChoice
from auroramon.store.results import CameraPlace
from auroramon.types import GONE, Classification, FileOutcome, Outcome
from tests.store.station import NOW, Station, labelled, model_row, record, stack, stat


def test_a_label_comes_back_as_it_was_given(station: Station) -> None:
    file = stat("a.pgm.gz")
    given = record(file.path, 7, NOW + timedelta(microseconds=63119), label="discrete", channel="630")
    done = station.commit(labelled(file, given), source="backfill")
    assert done.counts() == {("kiruna", "discrete"): 1}
    (row,) = station.store.labels()
    assert (row.path, row.frame_index, row.camera, row.channel) == (file.path, 7, "kiruna", "630")
    assert (row.time, row.time_source, row.night) == (given.info.time, "header", date(2026, 1, 31))
    assert (row.label, row.confidence, row.distance, row.model) == ("discrete", 0.75, 3.25, "oath-1")
    assert row.scores == pytest.approx(
        dict(zip(("arc", "diffuse", "discrete", "cloudy", "moon", "clear"), given.classification.scores, strict=True)),
        abs=5e-4,
    )
    assert (row.sun_altitude, row.moon_altitude, row.moon_phase) == (-30.0, 12.34, 0.5)
    assert (row.reason, row.source, row.run) == ("", "backfill", station.run)


def test_a_refused_frame_is_kept_with_its_reason_and_without_scores(station: Station) -> None:
    file = stat("a.png")
    flat = Classification("unknown", float("nan"), (), float("nan"), "every pixel has the value 7")
    given = replace(
        record(file.path), classification=flat, embedding=None, sun_altitude=None, moon_altitude=None, moon_phase=None
    )
    station.commit(labelled(file, given))
    (row,) = station.store.labels()
    assert (row.label, row.reason, row.scores) == ("unknown", flat.reason, {})
    assert (row.confidence, row.distance, row.sun_altitude, row.moon_phase) == (None, None, None, None)


def test_values_without_measure_are_bounded(station: Station) -> None:
    file = stat("a.png")
    far = replace(record(file.path).classification, distance=float("inf"))
    station.commit(labelled(file, replace(record(file.path), classification=far)))
    (row,) = station.store.labels()
    assert row.distance == 2_000_000.0


def test_a_label_of_a_model_with_other_classes_is_kept_by_name(station: Station) -> None:
    file = stat("a.png")
    steve = replace(record(file.path).classification, label="steve")
    station.commit(labelled(file, replace(record(file.path), classification=steve)))
    assert station.labels() == [("a.png", 0, "steve", "oath-1")]
    (night,) = station.store.occurrence("night")
    assert (night.counts["other"], night.total) == (1, 1)


def test_committing_twice_is_committing_once(station: Station) -> None:
    file = stat("a.pgm")
    station.store.claim_files(station.run, [file], NOW)
    first = station.commit(stack(file))
    labels = station.labels()
    again = station.commit(stack(file), stack(file))
    assert [done.outcome for done in first.files] == [Outcome.LABELLED]
    assert [done.outcome for done in again.files] == [Outcome.KNOWN, Outcome.KNOWN]
    assert (len(first.records), again.records) == (3, ())
    assert station.labels() == labels
    assert station.account() == (1, 0, 0, 0)


def test_an_outcome_from_a_run_that_lost_the_file_does_not_undo_the_other(station: Station) -> None:
    file = stat("a.png")
    station.store.claim_files(station.run, [file], NOW)
    other = station.store.start_run("run", NOW, host="station", pid=101)
    station.store.recover(other, NOW, is_alive=lambda pid: False)
    station.store.claim_files(other, [file], NOW)
    assert station.words(FileOutcome(file, Outcome.CRASHED)) == [(Outcome.KNOWN, "")]
    station.commit(labelled(file), run=other)
    assert station.words(FileOutcome(file, Outcome.QUARANTINED, "late")) == [(Outcome.KNOWN, "")]
    assert station.words(labelled(file)) == [(Outcome.KNOWN, "")]
    assert station.account() == (1, 0, 0, 0)


def test_the_copy_of_a_file_is_skipped_and_names_the_original(station: Station) -> None:
    plain, packed = stat("0600_full.pgm"), stat("0600_full.pgm.gz")
    station.commit(stack(plain))
    done = station.commit(stack(packed))
    assert [(file.outcome, file.reason) for file in done.files] == [(Outcome.SKIPPED, f"duplicate of {plain.path}")]
    assert done.records == ()
    assert {path for path, *_ in station.labels()} == {"0600_full.pgm"}
    assert station.account() == (1, 1, 0, 0)


def test_a_copy_that_was_cut_off_says_both(station: Station) -> None:
    plain, packed = stat("0600_full.pgm"), stat("0600_full.pgm.gz")
    station.commit(stack(plain))
    cut = replace(stack(packed, frames=1), reason="0600_full.pgm.gz: cut off after 1 frames")
    said = f"duplicate of {plain.path}; 0600_full.pgm.gz: cut off after 1 frames"
    assert station.words(cut) == [(Outcome.SKIPPED, said)]


def test_copies_in_one_commit_are_found_too(station: Station) -> None:
    plain, packed = stat("0600_full.pgm"), stat("0600_full.pgm.gz")
    assert station.words(stack(plain), stack(packed)) == [
        (Outcome.LABELLED, ""),
        (Outcome.SKIPPED, f"duplicate of {plain.path}"),
    ]


def test_a_copy_that_holds_more_gives_what_was_lacking(station: Station) -> None:
    cut, whole = stat("cut.pgm"), stat("whole.pgm")
    station.commit(replace(stack(cut, frames=2), reason="cut off after 2 frames"))
    assert station.words(stack(whole, frames=5)) == [(Outcome.LABELLED, f"2 of 5 frames are duplicates of {cut.path}")]
    assert [index for path, index, *_ in station.labels() if path == "whole.pgm"] == [2, 3, 4]


def test_channels_and_cameras_of_one_moment_are_different_frames(station: Station) -> None:
    station.commit(
        stack(stat("red.pgm"), channel="630"),
        stack(stat("green.pgm"), channel="558"),
        stack(stat("other.pgm", camera="tromso"), camera="tromso"),
    )
    assert station.account() == (3, 0, 0, 0)


def test_frames_of_one_second_in_one_file_are_all_kept_and_its_copy_is_still_a_copy(station: Station) -> None:
    """A burst whose clock counts whole seconds."""
    burst, copy = stat("burst.tar"), stat("copy.tar")

    def frames(path: str) -> FileOutcome:
        file = burst if path == burst.path else copy
        return labelled(file, *(record(path, index, NOW, time_source="name") for index in range(3)))

    station.commit(frames(burst.path))
    assert len(station.labels()) == 3
    assert station.words(frames(copy.path)) == [(Outcome.SKIPPED, f"duplicate of {burst.path}")]


def test_frames_timed_by_the_file_system_are_nobodys_duplicates(station: Station) -> None:
    files = [stat("a.jpg"), stat("b.jpg")]
    outcomes = [labelled(file, record(file.path, time_source="mtime")) for file in files]
    station.commit(*outcomes)
    station.commit(*outcomes)
    assert station.account() == (2, 0, 0, 0)
    assert len(station.labels()) == 2


def test_a_rewritten_file_replaces_its_labels_when_it_is_done_again(station: Station) -> None:
    file = stat("a.pgm")
    station.commit(stack(file, frames=5))
    rewritten = replace(file, size=1)
    station.store.claim_files(station.run, [rewritten], NOW)
    assert len(station.labels()) == 5
    done = station.commit(stack(rewritten, frames=2, label="cloudy"))
    assert done.files[0].outcome is Outcome.LABELLED
    assert [label for _, _, label, _ in station.labels()] == ["cloudy", "cloudy"]


def test_a_rewritten_file_that_is_unreadable_now_keeps_what_it_gave(station: Station) -> None:
    file = stat("a.png")
    station.commit(labelled(file))
    rewritten = replace(file, size=0)
    station.store.claim_files(station.run, [rewritten], NOW)
    station.commit(FileOutcome(rewritten, Outcome.QUARANTINED, "empty"))
    assert station.account() == (0, 0, 1, 0)
    assert len(station.labels()) == 1


def test_copies_of_a_rewritten_file_are_done_again_so_that_no_frame_is_lost(station: Station) -> None:
    original, copy = stat("live.pgm"), stat("archive.pgm.gz")
    station.commit(stack(original))
    station.commit(stack(copy))
    rewritten = replace(original, size=5)
    station.store.claim_files(station.run, [rewritten], NOW)
    station.commit(stack(rewritten, NOW + timedelta(minutes=1)))
    assert station.store.claim(station.run, 9, NOW) == [copy]
    station.commit(stack(copy))
    assert sorted(path for path, *_ in station.labels()) == ["archive.pgm.gz"] * 3 + ["live.pgm"] * 3
    assert station.account() == (2, 0, 0, 0)


def test_an_outcome_of_an_older_content_is_dropped_and_the_file_stays_open(station: Station) -> None:
    file = stat("a.png")
    station.store.claim_files(station.run, [file], NOW)
    grown = replace(file, size=5000)
    station.store.offer([grown], NOW)
    assert station.words(labelled(file)) == [(Outcome.NOT_READY, "changed while it was being read")]
    assert station.labels() == []
    assert station.store.claim(station.run, 1, NOW) == [grown]


def test_frames_that_settings_now_date_otherwise_replace_the_old_ones_and_say_so(
    station: Station, caplog: pytest.LogCaptureFixture
) -> None:
    file = stat("a.pgm")
    station.commit(stack(file))
    new = station.store.register_model(model_row("oath-2"))
    station.store.claim_files(station.run, [file], NOW, model=new)
    station.commit(stack(file, NOW + timedelta(hours=1)), model=new)
    assert [row.time for row in station.store.labels(limit=1)] == [NOW + timedelta(hours=1)]
    assert len(station.labels()) == 3
    (warning,) = caplog.messages
    assert warning.startswith("1 known files give frames of another camera, time or channel with the settings of now")


def test_a_night_belongs_to_the_local_noon_before_it(station: Station) -> None:
    station.store.register_cameras([CameraPlace("alaska", longitude=-147.4), CameraPlace("nowhere")])
    noon_in_alaska = datetime(2026, 2, 1, 21, 49, 36, tzinfo=UTC)
    station.commit(
        labelled(stat("a.png"), record(stat("a.png").path, 0, noon_in_alaska - timedelta(seconds=1), camera="alaska")),
        labelled(stat("b.png"), record(stat("b.png").path, 0, noon_in_alaska, camera="alaska")),
        labelled(stat("c.png"), record(stat("c.png").path, 0, noon_in_alaska, camera="nowhere")),
    )
    assert [(row.camera, row.night.day) for row in station.store.labels()] == [
        ("alaska", 31),
        ("alaska", 1),
        ("nowhere", 1),
    ]


def test_the_promoted_model_is_shown_and_else_the_newest(station: Station) -> None:
    both, old = stat("both.png"), stat("old.png", mtime=1)
    station.commit(labelled(both), labelled(old, record(old.path, 0, NOW + timedelta(minutes=1))))
    new = station.store.register_model(model_row("oath-2", created=NOW + timedelta(days=1)))
    station.commit(labelled(both, record(both.path, label="diffuse")), model=new)
    assert [model for *_, model in station.labels()] == ["oath-2", "oath-1"]
    station.store.promote_model("oath-1", NOW + timedelta(days=2))
    assert [model for *_, model in station.labels()] == ["oath-1", "oath-1"]
    station.store.promote_model("oath-2", NOW + timedelta(days=3))
    assert [label for _, _, label, _ in station.labels()] == ["diffuse", "arc"]
    assert [model.name for model in station.store.models()] == ["oath-2", "oath-1"]
    with pytest.raises(StoreError, match=r"no model named 'oath-9' \(it knows oath-1, oath-2"):
        station.store.promote_model("oath-9", NOW)


def test_models_that_share_a_name_are_told_apart_by_their_digests(station: Station) -> None:
    frame = stat("both.png")
    station.commit(labelled(frame))
    older = station.store.models()[0]
    row = replace(model_row("oath-1", created=NOW + timedelta(days=1)), digest="fe" * 32)
    station.commit(labelled(frame, record(frame.path, label="diffuse")), model=station.store.register_model(row))
    station.store.promote_model("oath-1", NOW + timedelta(days=2))
    assert [label for _, _, label, _ in station.labels()] == ["diffuse"]
    station.store.promote_model(older.digest[:12], NOW + timedelta(days=3))
    assert [label for _, _, label, _ in station.labels()] == ["arc"]
    station.store.promote_model("fe" * 4, NOW + timedelta(days=4))
    assert [label for _, _, label, _ in station.labels()] == ["diffuse"]
    for wrong in ("fe" * 3, "0" * 12):
        with pytest.raises(StoreError, match=rf"named '{wrong}' \(it knows oath-1 \(digest of oa\), oath-1 \(fefe"):
            station.store.promote_model(wrong, NOW)


def test_huge_work_is_divided_into_short_transactions() -> None:
    outcomes = [stack(stat(f"{number}.pgm"), frames=20) for number in range(250)]
    parts = list(in_parts(outcomes, frames=2000))
    assert [len(part) for part in parts] == [100, 100, 50]
    assert [outcome for part in parts for outcome in part] == outcomes
    assert list(in_parts([])) == []


def test_labels_can_be_chosen(station: Station) -> None:
    minute = timedelta(minutes=1)
    for place, label in enumerate(("arc", "clear", "unknown", "arc")):
        file = stat(f"{place}.png")
        station.commit(labelled(file, record(file.path, 0, NOW + place * minute, label=label)))
    choose = station.store.labels

    def names(**filters: Any) -> list[str]:
        return [row.path[-5] for row in choose(LabelChoice(**filters))]

    assert names() == ["0", "1", "2", "3"]
    assert [row.path[-5] for row in choose(newest_first=True, limit=2)] == ["3", "2"]
    assert names(since=NOW + minute, until=NOW + 3 * minute) == ["1", "2"]
    assert names(labels=("arc",), camera="kiruna") == ["0", "3"]
    assert names(labels=("arc", "clear")) == ["0", "1", "3"]
    assert names(camera="nowhere") == []
    assert names(night=date(2026, 1, 31), min_confidence=0.7) == ["0", "1", "2", "3"]
    assert names(night=date(2026, 2, 1)) == []
    assert names(min_confidence=0.76) == []
    assert names(max_confidence=0.75) == ["0", "1", "2", "3"]
    assert names(max_confidence=0.74) == []
    assert names(reason="DISTANCE 3.2") == ["2"]
    assert names(reason="%") == []
    assert names(model="oath-1") == ["0", "1", "2", "3"]
    assert names(model="human") == []


def test_a_file_that_vanished_with_its_mount_is_done_when_it_is_seen_again(station: Station) -> None:
    file = stat("a.png")
    station.commit(FileOutcome(file, Outcome.SKIPPED, GONE))
    assert station.store.account().skipped == 1
    assert station.store.offer([file], NOW).changed == 1
    assert station.store.account().pending == 1
