"""`prepare` and `simulate-oath`: labelled frames to train on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import click

from auroramon.config import find_config, load_settings
from train.commands.options import CONFIG, PROCESSES, cameras_of
from train.commands.progress import progress, tell
from train.manifest import Row, write_manifest
from train.oath_layout import oath_rows
from train.prepare import counts, rows_of_folders, rows_of_reviews, rows_of_table, unread_columns
from train.simulate_oath import simulate_oath

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
TO = click.option("--to", type=click.Path(path_type=Path, dir_okay=False), required=True,
                  help="The manifest; runs look for theirs in the work folder.")  # fmt: skip


@click.group()
def prepare() -> None:
    """Write a manifest of labelled frames: a CSV file with one line a frame (docs/oath.md)."""


@prepare.command()
@click.argument("folder", type=FOLDER)
@click.option("--rotated", is_flag=True, help="The published rotated copies instead of the images.")
@TO
def oath(folder: Path, rotated: bool, to: Path) -> None:
    """From a copy of OATH v1.1, with its published splits."""
    _write(to, oath_rows(folder, rotated))


@prepare.command()
@click.argument("folder", type=FOLDER)
@CONFIG
@TO
def folders(folder: Path, config: Path | None, to: Path) -> None:
    """From folders named by class: FOLDER/arc, FOLDER/cloudy, ..."""
    _write(to, rows_of_folders(folder, cameras_of(config)))


@prepare.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@CONFIG
@TO
def table(file: Path, config: Path | None, to: Path) -> None:
    """From a CSV file with the columns file and label, and any others of a manifest, or time."""
    _write(to, rows_of_table(file, cameras_of(config)))
    if left := unread_columns(file):
        tell(f"not read, because no manifest has such a column: {', '.join(left)}")


@prepare.command()
@click.argument("database", required=False)
@CONFIG
@TO
def reviews(database: str | None, config: Path | None, to: Path) -> None:
    """From the frames that people have labelled in the labels DATABASE (a URL; else that of the settings)."""
    url = database or load_settings(find_config(config, os.environ)).database_url
    _write(to, rows_of_reviews(url, cameras_of(config)))


@click.command("simulate-oath")
@click.argument("labels", type=FOLDER)
@click.argument("to", type=click.Path(path_type=Path, file_okay=False))
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of cameras and scenes.")
@click.option("--native", type=click.IntRange(32, 1024), default=256, show_default=True,
              help="Shorter side of the simulated frames before they are cropped and scaled, pixels.")  # fmt: skip
@click.option("--rotated", is_flag=True, help="Write the rotated copies too.")
@PROCESSES
def simulate_oath_command(labels: Path, to: Path, seed: int, native: int, rotated: bool, processes: int) -> None:
    """Write a folder TO in the layout of OATH v1.1: the published tables in the folder LABELS, simulated images.

    One scene for each run of equal labels, its frames consecutive.
    """
    with progress("simulated label runs") as show:
        count = simulate_oath(labels, to, seed, native, rotated, processes, show)
    click.echo(f"{count} simulated images in {to}")


def _write(to: Path, rows: Iterable[Row]) -> None:
    manifest = write_manifest(to, tuple(rows))
    found = ", ".join(f"{count} {label}" for label, count in counts(manifest.rows).items() if count)
    click.echo(f"{to}: {len(manifest.rows)} frames ({found})")
