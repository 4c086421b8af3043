"""`score-real`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from train.real import score_real, summary


@click.command("score-real")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--precision", type=click.Choice(["float32", "int8"]), default="float32", show_default=True)
def score_real_command(bundle: Path, folder: Path, precision: Any) -> None:
    """Score a finished model on real frames (a folder with MANIFEST.csv): to report, never to choose."""
    click.echo(summary(score_real(bundle, precision, folder)), nl=False)
