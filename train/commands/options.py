"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from auroramon.cameras import Cameras
from auroramon.config import load_settings

RUN = click.argument("run_file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="RUN")
WORK = click.option(
    "--work", type=click.Path(path_type=Path, file_okay=False), default=Path("train/work"), show_default=True,
    help="Folder for everything that can be made again.",
)  # fmt: skip
PROCESSES = click.option("--processes", type=click.IntRange(1), default=2, show_default=True, help="That draw frames.")
DEVICE = click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
CONFIG = click.option("-c", "--config", type=click.Path(path_type=Path, exists=True, dir_okay=False),
                      help="Settings of the station: its cameras, its database.")  # fmt: skip
TO = click.option(
    "--to", type=click.Path(path_type=Path, file_okay=False), help="Folder of the new bundle; else in the work folder."
)


def cameras_of(config: Path | None) -> Cameras:
    """Give the cameras of a configuration; none without a file."""
    return Cameras(tuple(load_settings(config).camera)) if config else Cameras()
