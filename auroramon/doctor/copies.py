"""The copies of the database: whether any are made, how old the newest is, and whether the next one can be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from auroramon.care.backup import KEPT_BESIDE, copies, made
from auroramon.care.copies import sqlite_file
from auroramon.config import Settings
from auroramon.doctor.lines import Line, Machine
from auroramon.doctor.unit import BACKUP, TIMER, Unit, ask
from auroramon.sources.entry import closed, is_there, nearest, opened

OLD = timedelta(days=2)  # of the newest copy; AuroramonBackupOld fires then
WHY = f"journalctl -u {BACKUP} -n 50 says why; sudo systemctl start {BACKUP} makes one now"
DAILY = f"sudo systemctl enable --now {TIMER}"


def check_copies(settings: Settings, machine: Machine) -> Iterator[Line]:
    """Look at the folder of the copies; nothing is written."""
    timer = ask(machine, TIMER)
    daily = timer is not None and timer.told.get("UnitFileState") == "enabled"
    file = sqlite_file(settings.database_url)
    if file is None:
        if daily:
            said = "the timer is enabled, and makes no copies of a database that a server keeps"
            yield Line(
                "warning", "backup", said, f"sudo systemctl disable --now {TIMER}; pg_dump by a timer of its own"
            )
        return
    folder = settings.database.backup_folder or file.parent / KEPT_BESIDE
    if not is_there(file):
        return  # the line of the database says so
    if (shut := closed(folder, machine.may)) is not None:
        yield Line("failure", "backup", f"{folder} cannot be reached: this user may not enter {shut}", opened(shut))
        return
    if not machine.may(nearest(folder), os.W_OK | os.X_OK):
        yield Line("failure", "backup", f"{folder} cannot be written by this user", _to_own(file, folder))
    yield _newest(file, folder, machine, timer, daily)


def _to_own(file: Path, folder: Path) -> str:
    if not is_there(folder):
        return f"sudo install -d -o auroramon -g auroramon -m 750 {folder}"
    return f"sudo chown -R --reference={file} {folder}"


def _newest(file: Path, folder: Path, machine: Machine, timer: Unit | None, daily: bool) -> Line:
    found = copies(file, folder)
    if not found:
        return _none(folder, timer, daily)
    newest = found[0]
    age, owner = machine.now() - made(newest), newest.stat().st_uid
    said = f"the newest copy (of {len(found)} kept) is {_told(age)} old and belongs to user {owner}"
    if age > OLD:
        return Line("warning", "backup", f"{said}: {newest}", WHY if daily else f"auroramon db backup, or {DAILY}")
    if owner != file.stat().st_uid:
        said += f", the database to user {file.stat().st_uid}"
        return Line("warning", "backup", said, f"sudo chown -R --reference={file} {folder}")
    return Line("ok", "backup", said)


def _none(folder: Path, timer: Unit | None, daily: bool) -> Line:
    if timer is None or not timer.installed:
        return Line("ok", "backup", f"no copy is in {folder}; auroramon db backup makes one")
    if not daily:
        return Line("warning", "backup", f"nobody copies the database: no copy is in {folder}", DAILY)
    if timer.told.get("LastTriggerUSec", "") in {"", "n/a"}:
        return Line("ok", "backup", "the timer is enabled, and makes the first copy around the next noon")
    return Line("warning", "backup", f"the timer has run, and no copy is in {folder}", WHY)


def _told(age: timedelta) -> str:
    return f"{age.days} days" if age >= OLD else f"{max(0.0, age.total_seconds()) / 3600:.0f} hours"
