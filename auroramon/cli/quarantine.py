"""`auroramon quarantine`: the files that are left alone, and how to have them tried again."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import click

from auroramon.cli.options import config_option, settings_of
from auroramon.cli.params import counted, utc_text
from auroramon.cli.streams import plain


@click.group(short_help="List bad files, or have them tried again.")
def quarantine() -> None:
    """Files that gave no frame: they stay where they are, and are left alone until they change or are retried."""


@quarantine.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@config_option
def list_files(config: Path | None, as_json: bool) -> int:
    """List the files in quarantine with the reason, oldest first."""
    from auroramon.store.store import read_store

    settings = settings_of(config)
    with closing(read_store(settings.database_url)) as store:
        found = store.quarantined()
    if as_json:
        told = [
            {"path": file.path, "camera": file.camera, "reason": file.reason, "since": utc_text(file.since)}
            for file in found
        ]
        click.echo(json.dumps(told, indent=1))
        return 0
    for file in found:
        click.echo(f"{utc_text(file.since)}  {file.camera or '-'}  {plain(file.path)}\n    {plain(file.reason)}")
    if not found:
        click.echo("no file is in quarantine")
    return 0


@quarantine.command("retry")
@click.argument("paths", nargs=-1, type=click.Path())
@click.option("--all", "everything", is_flag=True, help="Every file in quarantine.")
@config_option
def retry(config: Path | None, paths: tuple[str, ...], everything: bool) -> int:
    """Have the files at PATHS, or all, tried again: a running daemon takes them at once, else the next `backfill`."""
    from auroramon.cli.opening import open_to_change

    if bool(paths) == everything:
        raise click.UsageError("name files, or give --all")
    settings = settings_of(config)
    with closing(open_to_change(settings)) as store:
        held = {file.path for file in store.quarantined()}
        chosen = held if everything else {path if path in held else os.path.abspath(path) for path in paths}  # noqa: PTH100 - names may be no UTF-8
        opened = store.retry_quarantined(sorted(chosen & held)) if chosen & held else 0
    click.echo(f"{counted(opened, 'file')} will be tried again")
    for path in sorted(chosen - held):
        click.echo(f"auroramon: {path} is not in quarantine; see `auroramon quarantine list`", err=True)
    return 1 if chosen - held else 0
