"""The command line as a person meets it, and a database as a winter leaves it."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from auroramon.cli import main
from auroramon.store.results import CameraPlace, ModelRow
from auroramon.store.store import open_store
from auroramon.types import LABELS, UNKNOWN, Classification, FileOutcome, FileStat, FrameInfo, LabelRecord, Outcome

EVENING = datetime(2025, 12, 21, 16, 0, tzinfo=UTC)
KIRUNA = CameraPlace("kiruna", "kir", latitude=67.8, longitude=20.4, cadence_s=60, sun_below_deg=-6.0)


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture(autouse=True)
def no_settings_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start from nothing: no configuration in reach, and state and cache below the test's own folder."""
    for name in ("AURORAMON_CONFIG", "AURORAMON_DATABASE__URL", "STATE_DIRECTORY", "CACHE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def no_log_of_ours() -> Iterator[None]:
    """Leave the log as it was: a command sends it to a stderr that ends with the test."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def auroramon(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Call the program with these words."""

    def call(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["auroramon", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Said(ended.value.code if isinstance(ended.value.code, int) else 0, out, err)

    return call


def record(path: str, index: int, time: datetime, label: str, camera: str = "kiruna") -> LabelRecord:
    """Give the label of a frame: sure by nine tenths, or refused where it is `unknown`."""
    rest = 0.1 / (len(LABELS) - 1)
    scores = tuple(0.9 if name == label else rest for name in LABELS)
    said = (
        Classification(UNKNOWN, float("nan"), (), float("nan"), "daylight: the Sun is at 3.0°")
        if label == UNKNOWN
        else Classification(label, 0.9, scores, 2.5)
    )
    embedding = None if label == UNKNOWN else np.full(16, 0.25, dtype=np.float16)
    return LabelRecord(FrameInfo(path, index, camera, time, "header"), said, embedding, -25.0, 10.0, 0.5)


@dataclass(frozen=True)
class Winter:
    """A database with a night in it."""

    url: str
    config: Path
    frames: int


@pytest.fixture(scope="session")
def winter_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hours of one frame a minute (one label after the other), a file in quarantine, one skipped, one waiting."""
    file = tmp_path_factory.mktemp("winter") / "labels.sqlite"
    with closing(open_store(f"sqlite:///{file}")) as store:
        store.register_cameras([KIRUNA])
        model = store.register_model(ModelRow("first", "d1", "e1", LABELS, 5.0, EVENING - timedelta(days=9)))
        run = store.start_run("run", now=EVENING)
        outcomes = [_outcome(minute) for minute in range(360)]
        bad, copy, waits = (FileStat(f"/data/{name}.png", 10, 1, "kiruna") for name in ("bad", "copy", "waits"))
        store.offer([outcome.file for outcome in outcomes] + [bad, copy, waits], now=EVENING)
        store.claim(run, 1000, EVENING)
        outcomes.append(FileOutcome(bad, Outcome.QUARANTINED, "bad.png: holds no image"))
        outcomes.append(FileOutcome(copy, Outcome.SKIPPED, "no frame of ours"))
        store.commit(run, outcomes, model=model, source="live", now=EVENING + timedelta(hours=7))
        store.update_expected(EVENING + timedelta(hours=20))
        store.end_run(run, now=EVENING + timedelta(hours=7))
    return file


@pytest.fixture
def winter(tmp_path: Path, winter_database: Path) -> Winter:
    """The same night for each test, with a configuration that names it."""
    database = tmp_path / "labels.sqlite"
    shutil.copyfile(winter_database, database)
    url = f"sqlite:///{database}"
    config = tmp_path / "station.toml"
    config.write_text(
        f'[database]\nurl = "{url}"\n[server]\nlisten = ""\n[[camera]]\nname = "kiruna"\nsite = "kir"\n'
        f'folder = "{tmp_path}"\n[[camera]]\nname = "abisko"\n'
    )
    return Winter(url, config, 360)


def _outcome(minute: int) -> FileOutcome:
    labels = (*LABELS, UNKNOWN)
    path = f"/data/{minute:04}.png"
    found = record(path, 0, EVENING + timedelta(minutes=minute), labels[minute % 7])
    return FileOutcome(FileStat(path, 1000, 1_000_000 + minute, "kiruna"), Outcome.LABELLED, "", (found,))
