"""What /metrics says of Sun, disks, watches and health, at the moment it is asked."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from auroramon.care.backup import last_made
from auroramon.metrics import Metrics
from auroramon.sources.watch import WatchState
from auroramon.store.results import CameraPlace, CameraStatus
from auroramon.types import LABELS, Health

NIGHT = datetime(2025, 12, 21, 22, 0, tzinfo=UTC)
NOON = datetime(2025, 12, 21, 10, 30, tzinfo=UTC)
KIRUNA = CameraPlace("kiruna", "KRN", latitude=67.84, longitude=20.41, cadence_s=60.0, sun_below_deg=-6.0)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry(), ["kiruna"], LABELS)


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    metrics.page()
    return metrics.registry.get_sample_value(f"auroramon_{name}", labels)


def watched(folder: Path, *, up: bool = True, mode: str = "inotify", overflows: int = 0) -> WatchState:
    return WatchState("kiruna", folder, up, mode, "", overflows, 1, 0, 0, 0.1)


def test_darkness_is_that_of_the_moment_of_the_question(metrics: Metrics) -> None:
    now = NIGHT
    metrics.show_cameras([KIRUNA], lambda: now)
    assert value(metrics, "camera_dark", camera="kiruna") == 1
    assert value(metrics, "camera_sun_altitude_degrees", camera="kiruna") == pytest.approx(-45, abs=1)
    assert value(metrics, "camera_cadence_seconds", camera="kiruna") == 60
    now = NOON
    assert value(metrics, "camera_dark", camera="kiruna") == 0
    assert value(metrics, "camera_sun_altitude_degrees", camera="kiruna") == pytest.approx(0, abs=2)


def test_silence_counts_only_the_dark_and_is_known_after_a_restart(metrics: Metrics) -> None:
    now = NIGHT
    metrics.show_cameras([KIRUNA], lambda: now)
    metrics.show_newest([CameraStatus("kiruna", NIGHT - timedelta(minutes=20), 0)])
    assert value(metrics, "camera_dark_silence_seconds", camera="kiruna") == pytest.approx(1200, abs=1)
    now = NIGHT + timedelta(minutes=10)
    assert value(metrics, "camera_dark_silence_seconds", camera="kiruna") == pytest.approx(1800, abs=1)
    now = NIGHT
    metrics.show_newest([CameraStatus("kiruna", NOON, 0)])
    silent = value(metrics, "camera_dark_silence_seconds", camera="kiruna")
    assert silent is not None
    assert 7 * 3600 < silent < 9.5 * 3600  # the Sun sank below -6 degrees around 14 UTC
    now = NOON - timedelta(hours=1)
    assert value(metrics, "camera_dark_silence_seconds", camera="kiruna") == 0  # the newest frame lies ahead


@pytest.mark.parametrize("wrong", [datetime(2000, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)])
def test_a_clock_that_was_wrong_costs_no_scrape_and_hides_no_silence(metrics: Metrics, wrong: datetime) -> None:
    now = wrong
    metrics.show_cameras([KIRUNA], lambda: now)
    assert value(metrics, "camera_dark_silence_seconds", camera="kiruna") is not None
    now = NIGHT
    begun = time.process_time()
    first = value(metrics, "camera_dark_silence_seconds", camera="kiruna")
    assert time.process_time() - begun < 1.0
    now = NIGHT + timedelta(minutes=10)
    assert value(metrics, "camera_dark_silence_seconds", camera="kiruna") == pytest.approx((first or 0) + 600, abs=1)
    assert 15 * 3600 < (first or 0) < 20 * 3600


def test_a_camera_without_a_position_shows_no_sun_and_one_without_any_frame_a_whole_night(metrics: Metrics) -> None:
    metrics.show_cameras([CameraPlace("nowhere"), KIRUNA], lambda: NIGHT)
    assert value(metrics, "camera_dark", camera="nowhere") is None
    assert value(metrics, "camera_cadence_seconds", camera="nowhere") is None
    silent = value(metrics, "camera_dark_silence_seconds", camera="kiruna")
    assert silent is not None
    assert 15 * 3600 < silent < 20 * 3600
    metrics.show_cameras([CameraPlace("nowhere")], lambda: NIGHT)
    assert value(metrics, "camera_dark", camera="kiruna") is None


def test_watches_and_health_are_asked_at_each_scrape(metrics: Metrics, tmp_path: Path) -> None:
    states = [watched(tmp_path, overflows=2)]
    problems: tuple[str, ...] = ()
    metrics.follow(lambda: states, lambda: Health(problems))
    folder = str(tmp_path)
    assert value(metrics, "watcher_up", camera="kiruna", folder=folder, mode="inotify") == 1
    assert value(metrics, "health_problems") == 0
    assert metrics.registry.get_sample_value("auroramon_watcher_overflows_total", {"camera": "kiruna"}) == 2
    states, problems = [watched(tmp_path, up=False, mode="polling", overflows=3)], ("kiruna: the folder is away",)
    assert value(metrics, "watcher_up", camera="kiruna", folder=folder, mode="polling") == 0
    assert value(metrics, "watcher_up", camera="kiruna", folder=folder, mode="inotify") is None
    assert value(metrics, "health_problems") == 1
    assert metrics.registry.get_sample_value("auroramon_watcher_overflows_total", {"camera": "kiruna"}) == 3


def test_disks_are_measured_but_not_those_of_network_mounts(metrics: Metrics, tmp_path: Path) -> None:
    local, network, database = (tmp_path / name for name in ("local", "network", "database"))
    for folder in (local, network, database):
        folder.mkdir()
    states = [watched(local), watched(network, mode="polling")]
    metrics.follow(lambda: states, lambda: Health(()))
    metrics.watch_disk(database)
    free, size = (value(metrics, f"disk_{what}_bytes", folder=str(database)) for what in ("free", "size"))
    assert free
    assert size
    assert 0 < free < size
    assert value(metrics, "disk_free_bytes", folder=str(local))
    assert value(metrics, "disk_free_bytes", folder=str(network)) is None
    local.rmdir()
    assert value(metrics, "disk_free_bytes", folder=str(local)) is None


def test_the_newest_copy_is_shown_once_there_is_one_and_grows_old_where_its_folder_is_away(
    metrics: Metrics, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    metrics.watch_copies(folder, lambda: last_made(tmp_path / "labels.db", folder))
    assert value(metrics, "backup_last_timestamp_seconds", folder=str(folder)) is None
    folder.mkdir()
    for name in (
        "labels-20260201T120000Z.db",
        "labels-20260202T120000Z.db",
        "other-20270101T000000Z.db",
        "labels-20269999T999999Z.db",
    ):
        (folder / name).touch()
    noon = datetime(2026, 2, 2, 12, tzinfo=UTC).timestamp()
    assert value(metrics, "backup_last_timestamp_seconds", folder=str(folder)) == noon
    shutil.rmtree(folder)
    assert value(metrics, "backup_last_timestamp_seconds", folder=str(folder)) == noon


def test_every_help_text_of_a_measure_says_its_unit(metrics: Metrics) -> None:
    for family in metrics.registry.collect():
        if not family.name.startswith("auroramon_"):
            continue
        said = family.documentation.lower()
        assert said.endswith("."), family.name
        for end, unit in (("_seconds", "second"), ("_bytes", "byte"), ("_degrees", "degree")):
            assert not family.name.endswith(end) or unit in said, family.name
