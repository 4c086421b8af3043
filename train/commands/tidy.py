"""`tidy`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from train.commands.options import WORK
from train.tidy import Left, remove, unreferred


@click.command()
@WORK
@click.option("--yes", is_flag=True, help="Remove them; else they are listed only.")
def tidy(work: Path, yes: bool) -> None:
    """List folders of frames that no run in the work folder refers to, with their sizes; --yes removes them.

    Such folders (frames-..., pool-...) are left behind where a run file, a manifest or the simulated sky has changed,
    and by `evaluate` on a list. Nothing else is ever removed. Let no other training command run meanwhile.
    """
    found = unreferred(work)
    going = [left for left in found if not left.kept]
    for left in found:
        click.echo(_line(left))
    for left in going if yes else ():
        remove(left)
    total = f"{len(going)} folder{'' if len(going) == 1 else 's'}, {_gigabytes(sum(left.size for left in going))}"
    if not going:
        click.echo(f"{work} holds no frames {'else ' if found else ''}that its runs do not refer to")
    else:
        click.echo(f"removed: {total}" if yes else f"{total}: --yes removes them")


def _line(left: Left) -> str:
    written = datetime.fromtimestamp(left.written, UTC).strftime("%Y-%m-%d %H:%M")
    kept = f"  left alone: {left.kept}" if left.kept else ""
    return f"{_gigabytes(left.size):>11}  {written}  {left.folder}{kept}"


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
