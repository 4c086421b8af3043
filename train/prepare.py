"""Manifest rows from what people have: a folder for each class, a table, the reviews of a station.

OATH is in train/oath_layout.py.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from auroramon.archive import owner_of_files
from auroramon.cameras import Cameras
from auroramon.config import CameraSettings
from auroramon.errors import ConfigError, FrameError, NotReadyError
from auroramon.readers import read_frames, suffixes
from auroramon.sky import observing_night, sun_moon
from auroramon.store.store import open_store
from auroramon.times import time_of
from auroramon.types import Disc, FileStat, RawFrame, TimeSource, sentence
from train.frames import TARGETS
from train.manifest import COLUMNS, Row, parse_row

ALIASES = {"noaurora": "clear", "no aurora": "clear", "no_aurora": "clear", "no-aurora": "clear"}
"""What others call our labels."""

HUMAN = "human"
"""What the store writes in the place of a model where a person has said it."""


def rows_of_folders(folder: Path, cameras: Cameras) -> Iterator[Row]:
    """Give a row for every frame of the files in folders that are named by class: FOLDER/arc/..., FOLDER/cloudy/...

    Raises:
        ConfigError: a folder is named by no class, or no file of a format that can be read is there.
        FrameError: files cannot be read; all of them are named.
    """
    bad: list[str] = []
    found = False
    owner = owner_of_files(cameras)
    for inside in sorted(path for path in folder.iterdir() if path.is_dir()):
        label = ALIASES.get(inside.name.lower(), inside.name.lower())
        if label not in TARGETS:
            raise ConfigError(f"{inside}: no label has this name; folders are named {', '.join(TARGETS)}")
        for path in sorted(inside.rglob("*")):
            if not path.name.lower().endswith(suffixes()):
                continue
            found = True
            try:
                yield from _rows_of_file(path, owner(str(path)), label, cameras)
            except (FrameError, NotReadyError) as error:
                bad.append(sentence(str(path), str(error)))
    if not found:
        raise ConfigError(f"{folder} holds no frames in folders that are named by a class ({', '.join(TARGETS)})")
    if bad:
        raise FrameError("\n".join([f"{len(bad)} files cannot be read: move them away", *bad]))


def _rows_of_file(path: Path, owner: str, label: str, cameras: Cameras) -> Iterator[Row]:
    stat = path.stat()
    file = FileStat(str(path.resolve()), stat.st_size, stat.st_mtime_ns, owner)
    camera: CameraSettings | None = None
    for raw in read_frames(path):
        camera = camera or cameras.of_frame(file, raw)
        when = _time(file, camera, raw)
        row = Row(file=file.path, label=label, index=raw.index, camera=camera.name)
        yield _of_camera(row if when is None else _timed(row, when, camera), camera)


def _time(file: FileStat, camera: CameraSettings, raw: RawFrame) -> datetime | None:
    """Give when a frame was taken, if the file says so: its mtime tells of a copy, not of a night."""
    order: list[TimeSource] = [source for source in camera.time_from if source != "mtime"]
    order.append("mtime")
    found = time_of(raw, file.path, file.mtime_ns, order, camera.time_pattern, camera.utc_offset_hours)
    return None if found.source == "mtime" else found.time


def _timed(row: Row, time: datetime, camera: CameraSettings) -> Row:
    """Add what follows from the time, and from the place where it is configured."""
    night = observing_night(time, camera.longitude)
    row = replace(row, position=time.astimezone(UTC).timestamp(), night=night.isoformat())
    if camera.latitude is None or camera.longitude is None:
        return row
    sky = sun_moon(time, camera.latitude, camera.longitude)
    return replace(row, sun=sky.sun_altitude, moon=sky.moon_altitude)


def _of_camera(row: Row, camera: CameraSettings) -> Row:
    """Add what the configuration says of a camera.

    Raises:
        ConfigError: it has a mask, which training does not read.
    """
    if camera.mask:
        raise ConfigError(f"camera {camera.name} has a mask, and training reads none: use a configuration without it")
    disc = None if camera.disc == "auto" else Disc(camera.disc.x, camera.disc.y, camera.disc.radius, "configured")
    return replace(row, disc=disc, grey=camera.channel)


def rows_of_table(path: Path, cameras: Cameras) -> Iterator[Row]:
    """Give the rows of a CSV file with the columns `file` and `label`, and any others of a manifest.

    Files are named relative to it; one without a camera is of that in whose folder it lies. `time` (ISO 8601, UTC where
    it names no zone) may stand in the place of `position` and `night`.

    Raises:
        ConfigError: it cannot be read, or a line makes no sense; the line is named.
    """
    owner = owner_of_files(cameras)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not {"file", "label"} <= set(reader.fieldnames or ()):
                raise ConfigError(f"{path}: its first line must name the columns file and label")
            for cells in reader:
                given = {name: (value or "").strip() for name, value in cells.items() if name}
                try:
                    yield _row_of_cells(path.parent, given, cameras, owner)
                except ValueError as error:
                    raise ConfigError(f"{path}, line {reader.line_num}: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} is no CSV file in UTF-8: {error}") from error


def unread_columns(path: Path) -> list[str]:
    """Give the columns of such a file that mean nothing here; a name that is mistyped is among them."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        names = next(csv.reader(file), [])
    return [name for name in names if name and name not in {*COLUMNS, "time"}]


def _row_of_cells(folder: Path, cells: dict[str, str], cameras: Cameras, owner: Callable[[str], str]) -> Row:
    label = cells["label"].lower()
    row = parse_row({**cells, "label": ALIASES.get(label, label)})
    own = "" if cells.get("camera") else owner(str(folder / row.file))
    row = replace(row, file=str((folder / row.file).resolve()), camera=own or row.camera)
    camera = cameras.named(row.camera)
    if cells.get("time"):
        time = datetime.fromisoformat(cells["time"])
        row = _timed(row, time if time.utcoffset() is not None else time.replace(tzinfo=UTC), camera)
    configured = _of_camera(row, camera)
    return replace(configured, disc=row.disc or configured.disc, grey=row.grey if "grey" in cells else configured.grey)


def rows_of_reviews(url: str, cameras: Cameras) -> Iterator[Row]:
    """Give a row for every frame that a person has labelled in the database.

    Raises:
        StoreError: there is no database, or it cannot be used.
        ConfigError: a person used a label that a network cannot be trained on; it is named.
    """
    with closing(open_store(url, create=False)) as store:
        for found in store.labels():
            if found.model != HUMAN:
                continue
            if found.label not in TARGETS:
                raise ConfigError(
                    f"{found.path} was reviewed as '{found.label}', and a network is trained on {', '.join(TARGETS)} "
                    f"only; new classes are for `auroramon refit`"
                )
            timed = found.time_source != "mtime"
            row = Row(
                file=found.path,
                label=found.label,
                index=found.frame_index,
                camera=found.camera,
                night=found.night.isoformat(),
                position=found.time.timestamp() if timed else None,
                sun=found.sun_altitude if timed else None,
                moon=found.moon_altitude if timed else None,
            )
            yield _of_camera(row, cameras.named(found.camera))


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """Count the rows of each label."""
    found = dict.fromkeys(TARGETS, 0)
    for row in rows:
        found[row.label] += 1
    return found
