"""`auroramon db`: copies of the database, whether it is sound, and how a copy takes its place."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auroramon.cli.options import config_option, settings_of
from auroramon.cli.params import counted
from auroramon.errors import NoDatabaseError, StoreError

if TYPE_CHECKING:
    from auroramon.care.check import Verdict
    from auroramon.config import Settings
    from auroramon.store.months import Month

PG_DUMP = "copy it with `pg_dump --format=custom`, and put a copy into an empty database with `pg_restore`"


def _month(_: click.Context, __: click.Parameter, name: str | None) -> Month | None:
    from auroramon.store.months import Month

    try:
        return None if name is None else Month.named(name)
    except ValueError as error:
        raise click.BadParameter(f"{name!r} is no month such as 2026-11") from error


@click.group(short_help="Copy, check, restore, migrate, divide, recount and vacuum the database; roles of PostgreSQL.")
def db() -> None:
    """Care for the database of labels. Where it is a SQLite file, everything here is done to that file."""


@db.command()
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder of the copies.")
@click.option("--keep", type=click.IntRange(min=1), help="Copies that are kept.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def backup(config: Path | None, folder: Path | None, keep: int | None, as_json: bool) -> int:
    """Copy the database beside the running daemon, check the copy, and drop the oldest copies.

    Nothing is dropped, and no copy is kept, where what was copied is not sound.
    """
    from auroramon.care.backup import back_up
    from auroramon.coordinator import utc_now

    settings = settings_of(config)
    source = _file(settings, PG_DUMP, write=False)
    done = back_up(source, folder or _folder(settings, source), keep or settings.database.backup_keep, utc_now())
    size = done.path.stat().st_size
    if as_json:
        dropped = [str(path) for path in done.dropped]
        click.echo(json.dumps({"path": str(done.path), "bytes": size, "dropped": dropped} | _told(done.verdict)))
        return 0
    found = "sound" if done.verdict.sound else f"whole, but {done.verdict.miscounts[0]}: {done.verdict.remedy}"
    click.echo(f"{done.path}: {size / 1e6:.1f} MB, {_account(done.verdict)}; the copy is {found}")
    for path in done.dropped:
        click.echo(f"{path} made room for it")
    return 0


@db.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def check(config: Path | None, file: Path | None, as_json: bool) -> int:
    """Read the whole database, or the copy FILE: pages, indices, references, and whether the files add up.

    It may be in use meanwhile. Exit code 1 where anything is wrong.
    """
    verdict = _examined(settings_of(config), file)
    if as_json:
        click.echo(json.dumps({"place": verdict.place} | _told(verdict)))
    elif verdict.sound:
        click.echo(f"{verdict.place} is sound: {_account(verdict)}, schema {verdict.revision}")
    else:
        for fault in (*verdict.faults, *verdict.miscounts):
            click.echo(f"{verdict.place}: {fault}")
        click.echo(f"auroramon: {_remedy(verdict, is_copy=file is not None)}", err=True)
    return 0 if verdict.sound else 1


@db.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@config_option
def restore(config: Path | None, file: Path | None) -> int:
    """Put the copy FILE, or the newest one that is sound, in the place of the database.

    The service must be stopped. The old database is kept beside it under a name with the time.
    """
    from auroramon.care.restore import finish, restore
    from auroramon.coordinator import utc_now

    settings = settings_of(config)
    target = _file(settings, PG_DUMP, write=True)
    finished = finish(target)
    if finished is not None and file is None:
        click.echo(f"{target} is the copy of the restore that was interrupted; what was there is now {finished}")
        return 0
    copy = file or _newest_sound(target, _folder(settings, target))
    aside = restore(target, copy, utc_now())
    click.echo(f"{target} is now a copy of {copy}" + (f"; what was there is now {aside}" if aside else ""))
    click.echo("files that were labelled since that copy was made are labelled again by `auroramon backfill`")
    return 0


@db.command()
@click.option("--no-copy", is_flag=True, help="Do not copy first; a database on a server is never copied.")
@config_option
def migrate(config: Path | None, no_copy: bool) -> int:
    """Bring the schema up to date as `run` would, but with a checked copy first."""
    from auroramon.care.backup import back_up
    from auroramon.care.copies import sqlite_file
    from auroramon.coordinator import utc_now
    from auroramon.store.database import check_place
    from auroramon.store.schema import REVISION
    from auroramon.store.store import open_store

    settings = settings_of(config)
    source = sqlite_file(settings.database_url)
    check_place(settings.database_url)
    old = _revision(settings)
    if old == REVISION:
        click.echo(f"the schema is {REVISION}, that of this version: nothing to do")
        return 0
    _check_unused(settings)
    if source is None and not no_copy:
        raise StoreError(f"the database is kept by a server: {PG_DUMP}, then call this again with --no-copy")
    if source is not None and not no_copy:
        keep = settings.database.backup_keep
        click.echo(f"copied to {back_up(source, _folder(settings, source), keep, utc_now()).path}")
    open_store(settings.database_url, create=False).close()
    click.echo(f"the schema was {old} and is now {REVISION}")
    return 0


@db.command()
@click.option(
    "--since",
    metavar="YYYY-MM",
    callback=_month,
    help="First month, kept for later calls. Default: that of the first frame.",
)
@config_option
def partition(config: Path | None, since: Month | None) -> int:
    """Divide a PostgreSQL database by months, or make the months that it lacks, to two years ahead.

    For the owner of the tables. A plain database is copied into partitions in one transaction, while nothing works on
    it. Called again, it also moves what came before its month was made.
    """
    from auroramon.coordinator import utc_now
    from auroramon.store.database import connect
    from auroramon.store.partitioning import divide

    settings = settings_of(config)
    with closing(connect(settings.database_url, create=False, busy_timeout_s=30.0)) as database:
        done = divide(database, utc_now(), since)
    click.echo(
        f"{database.place} is divided by months from {done.first} to {done.last}: {counted(done.made, 'month')} made"
    )
    if done.moved:
        click.echo(f"{counted(done.moved, 'frame')} moved out of the partition for the rest")
    if done.left is not None:
        click.echo(
            f"frames before {done.first}, the first of {done.left}, stay in the partition for the rest: from there it "
            "would be too many months; name the first month by --since YYYY-MM"
        )
    if done.converted:
        click.echo("its tables and views were made anew: where roles use them, call `auroramon db roles | psql`")
    return 0


@db.command()
@config_option
def recount(config: Path | None) -> int:
    """Count anew what is kept counted: files by state, and the frames of each hour by label.

    Both are kept right with every change. It is for a database that somebody else's SQL has changed.
    """
    from auroramon.cli.opening import open_to_change

    with closing(open_to_change(settings_of(config))) as store:
        before, now = store.recount(), store.account()
    same = "as it was kept" if before == now else f"it was kept as {before}"
    click.echo(f"{store.place}: {counted(now.seen, 'file')} counted anew, {same}")
    return 0


@db.command()
@click.option("--writer", default="auroramon_writer", show_default=True, help="Role of the daemon and of backfills.")
@click.option("--reader", default="auroramon_reader", show_default=True, help="Role of dashboards.")
def roles(writer: str, reader: str) -> int:
    """Print the SQL that makes two roles in PostgreSQL: one that writes labels, one that reads the views.

    For the owner of the tables: auroramon db roles | psql DATABASE. It needs no configuration and changes nothing.
    """
    from auroramon.store.roles import role_sql

    click.echo(role_sql(writer, reader), nl=False)
    return 0


@db.command()
@config_option
def vacuum(config: Path | None) -> int:
    """Write the file anew without the holes that deleted rows left.

    It needs free disk twice for what the file holds, beside it and in SQLITE_TMPDIR.
    A daemon meanwhile keeps its labels in memory.
    """
    from auroramon.care.vacuum import vacuum

    file = _file(settings_of(config), "PostgreSQL vacuums by itself (autovacuum)", write=True)
    done = vacuum(file)
    click.echo(f"{file}: {done.before / 1e6:.1f} MB before, {done.after / 1e6:.1f} MB now")
    return 0


def _file(settings: Settings, instead: str, *, write: bool) -> Path:
    """Give the SQLite file of the configuration.

    Raises:
        ConfigError: this user may not read it, or with `write` not write it.
        StoreError: a server keeps the database; `instead` says what to do there.
    """
    from auroramon.care.copies import sqlite_file
    from auroramon.store.database import check_place

    check_place(settings.database_url, write=write)
    file = sqlite_file(settings.database_url)
    if file is None:
        raise StoreError(f"the database is no SQLite file: {instead}")
    return file


def _folder(settings: Settings, source: Path) -> Path:
    from auroramon.care.backup import KEPT_BESIDE

    return settings.database.backup_folder or source.parent / KEPT_BESIDE


def _newest_sound(target: Path, folder: Path) -> Path:
    """Give the newest copy that is sound; say which are not.

    Raises:
        StoreError: there is none.
    """
    from auroramon.care.backup import copies
    from auroramon.care.check import examine_file

    for copy in copies(target, folder):
        verdict = examine_file(copy)
        if verdict.whole:
            return copy
        click.echo(f"auroramon: {copy} is passed over: {verdict.faults[0]}", err=True)
    raise StoreError(f"there is no sound copy of {target.name} in {folder}; name one: auroramon db restore FILE")


def _examined(settings: Settings, file: Path | None) -> Verdict:
    from auroramon.care.check import examine, examine_file
    from auroramon.care.copies import sqlite_file
    from auroramon.store.database import check_place, connect

    if file is None:
        check_place(settings.database_url, write=False)
    file = file or sqlite_file(settings.database_url)
    if file is not None:
        if not file.exists():
            raise NoDatabaseError(f"there is no database at {file} yet: `auroramon run` or `backfill` makes it")
        return examine_file(file)
    with closing(connect(settings.database_url, create=False, busy_timeout_s=30.0)) as database:
        return examine(database)


def _revision(settings: Settings) -> str:
    """Give the revision of the schema without changing it; "none" of an empty database on a server.

    Raises:
        StoreError: there is no database of ours, or it is not sound.
    """
    from auroramon.care.check import NO_TABLES
    from auroramon.care.copies import sqlite_file

    verdict = _examined(settings, None)
    if verdict.faults == (NO_TABLES,) and sqlite_file(settings.database_url) is None:
        return "none"
    if not verdict.whole:
        raise StoreError(f"{verdict.place} is not sound ({verdict.faults[0]}): {verdict.remedy}")
    return verdict.revision


def _check_unused(settings: Settings) -> None:
    """Refuse, before anything is copied, a database that a program of its older version works on.

    Raises:
        StoreError: one does.
    """
    from auroramon.store.database import connect
    from auroramon.store.migrate import check_unused

    with closing(connect(settings.database_url, create=False, busy_timeout_s=30.0)) as database:
        check_unused(database, time.time())


def _told(verdict: Verdict) -> dict[str, object]:
    account = None if verdict.account is None else asdict(verdict.account)
    faults = (*verdict.faults, *verdict.miscounts)
    return {
        "sound": verdict.sound,
        "faults": faults,
        "remedy": verdict.remedy,
        "schema": verdict.revision,
        "files": account,
    }


def _remedy(verdict: Verdict, *, is_copy: bool) -> str:
    from auroramon.care.check import RECOUNT, RESTORE

    if is_copy and verdict.remedy == RESTORE:
        return "this copy is of no use: auroramon db restore takes the newest one that is"
    if is_copy and verdict.remedy == RECOUNT:
        return "no label is lost by that; after a restore of this copy: auroramon db recount"
    return verdict.remedy


def _account(verdict: Verdict) -> str:
    files = verdict.account
    assert files is not None  # noqa: S101 - a sound database was counted
    ended = f"{files.labelled} labelled, {files.skipped} skipped, {files.quarantined} quarantined"
    return f"{counted(files.seen, 'file')} ({ended}, {files.pending} pending)"
