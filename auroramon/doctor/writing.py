"""Whether what must be written can be: by this user, and by the units, which see less than this user does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from auroramon.care.backup import KEPT_BESIDE
from auroramon.care.copies import sqlite_file
from auroramon.config import Settings
from auroramon.doctor.lines import Line, Machine
from auroramon.doctor.unit import BACKFILL, BACKUP, SERVICE, SERVICE_DATABASE, Unit, ask, own_database
from auroramon.sources.entry import closed, is_there, nearest, opened


def check_writing(settings: Settings, machine: Machine) -> Iterator[Line]:
    """Say whether database and cache can be written by this user, and, where they are installed, by the units."""
    service = ask(machine)
    file = sqlite_file(settings.database_url)
    places = {"database": None if file is None else file.parent, "cache": cache_folder(settings, service)}
    for about, folder in places.items():
        if folder is not None:
            yield _writes(about, folder, machine)
    if file is not None and is_there(file) and not machine.may(file, os.W_OK):
        remedy = f"sudo chown auroramon: {file}*"
        yield Line("failure", "database", f"{file} cannot be written by this user", remedy)
    if service is not None and service.installed:
        yield from _units_write(settings, machine, service)


def cache_folder(settings: Settings, service: Unit | None) -> Path:
    """Give the cache that the service uses, where it is installed; else that of this user."""
    if service is not None and service.installed and settings.paths.cache is None:
        return service.cache
    return settings.cache_folder


def _writes(about: str, folder: Path, machine: Machine) -> Line:
    if (shut := closed(folder, machine.may)) is not None:
        return Line("failure", about, f"{folder} cannot be reached: this user may not enter {shut}", opened(shut))
    if machine.may(nearest(folder), os.W_OK | os.X_OK):
        return Line("ok", about, f"{folder} can be written")
    remedy = f"sudo install -d -o auroramon -g auroramon -m 750 {folder}"
    return Line("failure", about, f"{folder} cannot be written by this user", remedy)


def _units_write(settings: Settings, machine: Machine, service: Unit) -> Iterator[Line]:
    """Find what the configuration has the units write where they see the disk read-only."""
    file = _file_of(settings, service)
    cache = cache_folder(settings, service)
    labelling = {"cache": cache} | ({} if file is None else {"database": file.parent})
    copying = {} if file is None else {"backup": settings.database.backup_folder or file.parent / KEPT_BESIDE}
    copying |= {} if file is None else {"database": file.parent}  # reading a database in WAL mode writes beside it
    wanted = {SERVICE: labelling, BACKFILL: labelling, BACKUP: copying}
    found: dict[tuple[str, Path], list[str]] = {}
    for name, places in wanted.items():
        unit = service if name == SERVICE else ask(machine, name)
        if unit is None or not unit.installed:
            continue
        for about, folder in places.items():
            if not unit.writes(folder):
                found.setdefault((about, folder), []).append(name.replace("@doctor", "@"))
    for (about, folder), units in found.items():
        drop_ins = " and ".join(f"/etc/systemd/system/{unit}.d/" for unit in units)
        remedy = (
            f"copy systemd/drop-ins/other-disk.conf with ReadWritePaths={folder} to {drop_ins}; "
            "then: sudo systemctl daemon-reload; sudo systemctl restart auroramon"
        )
        yield Line("failure", about, f"{folder} is read-only for {', '.join(units)}, whoever owns it", remedy)


def _file_of(settings: Settings, service: Unit) -> Path | None:
    """Give the SQLite file that the service keeps; None where a server does."""
    url = own_database(service) or settings.database.url
    if url or os.environ.get("STATE_DIRECTORY"):
        return sqlite_file(url or settings.database_url)
    return SERVICE_DATABASE
