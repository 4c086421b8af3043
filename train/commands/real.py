"""`score-real`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from train.real import agreement, score_real, summary


@click.command("score-real")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--precision", type=click.Choice(["float32", "int8", "both"]), default="float32", show_default=True)
def score_real_command(bundle: Path, folder: Path, precision: Any) -> None:
    """Score a finished model on real frames (a folder with MANIFEST.csv): to report, never to choose."""
    found = [score_real(bundle, one, folder) for one in (("float32", "int8") if precision == "both" else (precision,))]
    for scored in found:
        click.echo(summary(scored), nl=False)
    if precision == "both":
        click.echo(agreement(*found), nl=False)
