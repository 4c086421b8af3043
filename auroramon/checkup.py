"""Looks at a configuration before a night depends on it: folders, patterns, masks, the model, the database."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image, UnidentifiedImageError
from sqlalchemy import inspect

from auroramon.assemble import bundle_of, live_threads, wish_of
from auroramon.backends.choice import choose
from auroramon.backends.tensorrt import open_runtime
from auroramon.config import CameraSettings, Settings
from auroramon.errors import AuroramonError, ConfigError, MissingPartError, NoDatabaseError, UnbuiltEngineError
from auroramon.masks import load_mask
from auroramon.publish import Mqtt
from auroramon.readers import suffixes
from auroramon.sources.arrivals import ArrivalRule
from auroramon.sources.entry import closed, is_folder, is_there, opened
from auroramon.store.database import check_place, connect
from auroramon.store.migrate import VERSION_TABLE
from auroramon.store.schema import metadata
from auroramon.times import check_pattern


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Literal["ok", "note", "error"]  # note: works, but something will be missing
    about: str  # "camera gill", "model", "database"
    sentence: str
    remedy: str = ""


def check(settings: Settings) -> Iterator[Finding]:
    """Look at everything that `run` needs; nothing is changed by it."""
    if not settings.camera:
        said = "none is configured, so `run` has no folder to watch and does not start"
        yield Finding("error", "cameras", said, "auroramon init FOLDER writes a [[camera]]")
    for camera in settings.camera:
        yield from _check_camera(camera)
    yield from _check_shared(settings.camera)
    yield from _check_model(settings)
    if settings.events.mqtt:
        yield _check_broker(settings)
    yield _check_database(settings)


def _check_camera(camera: CameraSettings) -> Iterator[Finding]:
    about = f"camera {camera.name}"
    yield _check_folder(about, camera.folder)
    try:
        ArrivalRule(suffixes(), camera.patterns)
        check_pattern(camera.time_pattern)
        if camera.mask is not None:
            _try_mask(camera.mask)
    except ConfigError as error:
        yield Finding("error", about, str(error))
    if camera.latitude is None:
        yield Finding(
            "note", about, "has no position: Sun and Moon stay empty, daylight frames are not told apart, and nobody "
            "knows which frames are missing", "fill in latitude and longitude",
        )  # fmt: skip
    elif camera.cadence_s is None:
        yield Finding("note", about, "has no cadence_s: nobody knows which frames are missing", "fill in cadence_s")


def _check_folder(about: str, folder: Path | None) -> Finding:
    if folder is None:
        said = "has no folder: `run` does not start (`backfill` and `classify` need none)"
        return Finding("error", about, said, "name its folder")
    if (shut := closed(folder)) is not None:
        said = f"{folder} cannot be reached: this user may not enter {shut}"
        return Finding("error", about, said, opened(shut))
    if not is_there(folder):
        said = f"{folder} is not there: `run` will wait for it"
        return Finding("note", about, said, "mount or make it, or correct `folder`")
    if not is_folder(folder):
        return Finding("error", about, f"{folder} is no folder")
    if not os.access(folder, os.R_OK | os.X_OK):
        remedy = f"sudo setfacl -R -m u:auroramon:rX -m d:u:auroramon:rX {folder}"
        return Finding("error", about, f"{folder} cannot be read by this user", remedy)
    return Finding("ok", about, f"watches {folder}")


def _try_mask(mask: Path) -> None:
    """Load a mask as a frame of its own size would.

    Raises:
        ConfigError: it is not there, no image, or hides everything.
    """
    try:
        with Image.open(mask) as image:
            width, height = image.size
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        width = height = 1  # load_mask says what is wrong
    load_mask(mask, (height, width))


def _check_shared(cameras: tuple[CameraSettings, ...]) -> Iterator[Finding]:
    """Find cameras of one folder that cannot be told apart."""
    seen: dict[tuple[Path, tuple[str, ...]], str] = {}
    for camera in cameras:
        if camera.folder is None:
            continue
        key = (camera.folder.resolve(), camera.patterns)
        if key in seen:
            other = f"camera {seen[key]}"
            yield Finding("error", f"camera {camera.name}", f"has the folder and the patterns of {other}")
        seen.setdefault(key, camera.name)


def _check_model(settings: Settings) -> Iterator[Finding]:
    """Open what would label, and say why nothing else would."""
    try:
        bundle = bundle_of(settings)
        choice = choose(bundle, wish_of(settings, live_threads(settings), patience="look"), open_runtime)
    except UnbuiltEngineError as error:
        yield Finding(
            "note", "model", f"{error}: `run` builds it at its start", "auroramon engine build, with the same -c"
        )
        return
    except AuroramonError as error:  # an engine asked for by name is refused, too: the other lines follow all the same
        yield Finding("error", "model", str(error))
        return
    backend = choice.backend
    instead = f"{choice.instead}," if choice.instead else ""
    said = f"{bundle.name} runs on {backend.name} ({backend.precision}, {backend.device}){instead} and"
    backend.close()
    yield Finding("ok", "model", f"{said} repeats its golden frames")
    if choice.not_used:
        level: Literal["note", "ok"] = "note" if choice.remarkable else "ok"
        yield Finding(level, "backend", f"not used: {'; '.join(choice.not_used)}", "docs/gpu.md says what each means")


def _check_broker(settings: Settings) -> Finding:
    """Look for the library only: nobody is spoken to."""
    try:
        Mqtt(settings.events.mqtt, settings.events.timeout_s).close()
    except MissingPartError as error:
        remedy = "sudo /opt/auroramon/bin/pip install 'auroramon[mqtt]', or empty mqtt in [events]"
        return Finding("error", "events", f"{error}, or empty mqtt in [events]: `run` does not start", remedy)
    return Finding("ok", "events", "the library for MQTT is there")


def _check_database(settings: Settings) -> Finding:
    """Open the database and look, without making or upgrading anything."""
    try:
        check_place(settings.database_url)
        database = connect(settings.database_url, create=False, busy_timeout_s=1.0)
        try:
            with database.reading() as conn:
                tables = inspect(conn).get_table_names()
        finally:
            database.close()
    except NoDatabaseError as error:
        return Finding("ok", "database", str(error))
    except AuroramonError as error:
        return Finding("error", "database", str(error))
    if VERSION_TABLE in tables:
        return Finding("ok", "database", f"{database.place} is there")
    if strangers := of_another_program(tables, sqlite=database.sqlite):
        said = f"{database.place} holds tables of another program ({strangers})"
        return Finding("error", "database", said, "name another database in [database] url")
    return Finding("ok", "database", f"{database.place} holds no tables of auroramon yet: the first run makes them")


def of_another_program(tables: Iterable[str], *, sqlite: bool) -> str:
    """Give the first tables that keep ours from a database without our version; on a server others may have theirs."""
    return ", ".join(sorted(table for table in tables if sqlite or table in metadata.tables)[:3])
