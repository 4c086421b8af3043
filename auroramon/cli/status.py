"""`auroramon status`: how the station is, at a glance."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auroramon.cli.options import config_option, settings_of
from auroramon.cli.params import utc_text
from auroramon.cli.tables import console, new_table

if TYPE_CHECKING:
    from auroramon.config import Settings
    from auroramon.store.results import CameraStatus, FileAccount, ModelRow
    from auroramon.store.store import Store

PATIENCE_S = 0.5
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "::1", "": "127.0.0.1"}  # noqa: S104 - where a daemon may listen


@dataclass(frozen=True, slots=True)
class Daemon:
    """What answers at the address of the daemon."""

    address: str  # host:port; empty where no server is configured
    answers: bool
    ok: bool  # it says that all is well
    problems: tuple[str, ...]  # sentences

    def sentence(self) -> str:
        if not self.address:
            return "the configuration has no server, so nobody can ask the daemon"
        if not self.answers:
            return f"no daemon answers at {self.address}"
        return f"a daemon answers at {self.address}: {'all is well' if self.ok else '; '.join(self.problems)}"


def ask_daemon(listen: str) -> Daemon:
    """Ask the daemon of this address how it is; half a second is enough for a neighbour on the same machine."""
    from http.client import HTTPConnection, HTTPException

    if not listen:
        return Daemon("", False, False, ())
    host, _, port = listen.rpartition(":")
    connection = HTTPConnection(EVERYWHERE.get(host, host.strip("[]")), int(port), timeout=PATIENCE_S)
    try:
        with closing(connection):
            connection.request("GET", "/healthz")
            said = json.loads(connection.getresponse().read())
            return Daemon(listen, True, bool(said["ok"]), tuple(str(problem) for problem in said["problems"]))
    except (OSError, HTTPException):
        return Daemon(listen, False, False, ())
    except (ValueError, KeyError, TypeError):
        return Daemon(listen, True, False, ("what answers there is no auroramon",))


@dataclass(frozen=True, slots=True)
class Station:
    """Everything that `status` says."""

    files: FileAccount
    cameras: tuple[CameraStatus, ...]
    unassigned: int  # pending files whose header must say which camera they are of
    database: str
    shortage: str  # of months, where the database is divided by them; empty: none
    model: ModelRow | None  # whose labels are shown
    model_folder: Path | None  # configured; None: the one shipped
    daemon: Daemon
    now: datetime


@click.command(short_help="Say how the station is: files, backlog, last frames.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def status(config: Path | None, as_json: bool) -> int:
    """Say how many files have which state, what each camera gave last, and whether the daemon is well."""
    from auroramon.store.store import read_store

    settings = settings_of(config)
    with closing(read_store(settings.database_url)) as store:
        station = _look(settings, store)
    if as_json:
        click.echo(json.dumps(_described(station), indent=1))
    else:
        _print(station)
    return 0


def _look(settings: Settings, store: Store) -> Station:
    from auroramon.store.results import CameraStatus

    seen = store.camera_status()
    silent = [camera.name for camera in settings.camera if camera.name not in {status.camera for status in seen}]
    return Station(
        files=store.account(),
        cameras=(*seen, *(CameraStatus(name, None, 0) for name in silent)),
        unassigned=store.backlog().get("", 0),
        database=store.place,
        shortage=store.shortage_of_months(datetime.now(UTC)),
        model=next(iter(store.models()), None),
        model_folder=settings.model.path,
        daemon=ask_daemon(settings.server.listen),
        now=datetime.now(UTC),
    )


def _described(station: Station) -> dict[str, Any]:
    return {
        "files": asdict(station.files),
        "cameras": [
            {
                "camera": camera.camera,
                "last_frame": None if camera.last_frame is None else utc_text(camera.last_frame),
                "age_s": None if camera.last_frame is None else (station.now - camera.last_frame).total_seconds(),
                "pending": camera.pending,
            }
            for camera in station.cameras
        ],
        "pending_without_camera": station.unassigned,
        "database": station.database,
        "shortage_of_months": station.shortage or None,
        "model": None if station.model is None else station.model.name,
        "model_folder": None if station.model_folder is None else str(station.model_folder),
        "daemon": asdict(station.daemon),
    }


def _print(station: Station) -> None:
    files = station.files
    out = console()
    out.print(f"database   {station.database}", soft_wrap=True)
    if station.shortage:
        out.print(f"months     {station.shortage}: its owner must call `auroramon db partition`", soft_wrap=True)
    out.print(f"model      {'none yet' if station.model is None else station.model.name}")
    out.print(f"daemon     {station.daemon.sentence()}", soft_wrap=True)
    out.print(
        f"files      {files.seen} seen = {files.labelled} labelled + {files.skipped} skipped + "
        f"{files.quarantined} quarantined + {files.pending} pending"
    )
    table = new_table()
    for name in ("camera", "newest frame (UTC)", "age", "files pending"):
        table.add_column(name, justify="right" if name in {"age", "files pending"} else "left", no_wrap=True)
    for camera in station.cameras:
        last = camera.last_frame
        shown = "never" if last is None else f"{last:%Y-%m-%d %H:%M:%S}"
        table.add_row(camera.camera, shown, "-" if last is None else age(station.now, last), str(camera.pending))
    if station.unassigned:
        table.add_row("(header will say)", "", "", str(station.unassigned))
    out.print(table)
    if files.quarantined:
        out.print("`auroramon quarantine list` says why files are in quarantine")


def age(now: datetime, then: datetime) -> str:
    """Give how long ago something was, in the unit that a person would use."""
    seconds = (now - then).total_seconds()
    if seconds < 0:
        return f"{-seconds:.0f} s ahead"
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
