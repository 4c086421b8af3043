"""Shows a demo as it goes: a live picture on a terminal, a line for every label elsewhere."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from auroramon.cli.labels import COLOURS
from auroramon.cli.tables import console, new_table
from auroramon.types import AURORA_LABELS, LABELS, UNKNOWN

if TYPE_CHECKING:
    from rich.console import RenderableType

    from auroramon.demo import Pace, Shown
    from auroramon.store.results import LabelRow

LAST = 10  # labels on the screen
BAR = 36  # characters of the longest bar
BAR_COLOURS: Mapping[str, str] = COLOURS | {"clear": "blue", "cloudy": "white"}


@dataclass(slots=True)
class Progress:
    """How far the demo is."""

    pace: Pace
    shown: dict[str, Shown] = field(default_factory=dict)  # path -> frame that was written
    labels: dict[str, LabelRow] = field(default_factory=dict)  # path -> label that the database has

    def take(self, rows: Sequence[LabelRow]) -> list[LabelRow]:
        """Note the labels of the database, and give the new ones."""
        new = [row for row in rows if row.path not in self.labels]
        self.labels |= {row.path: row for row in new}
        return new

    @property
    def lost(self) -> list[str]:
        """Files that were written and have no label."""
        return [path for path in self.shown if path not in self.labels]


@contextmanager
def view(progress: Progress) -> Iterator[Callable[[Sequence[LabelRow]], None]]:
    """Give a function to be called with the new labels, often."""
    if not sys.stdout.isatty():
        yield lambda new: _lines(progress, new)
        return
    from rich.live import Live

    with Live(_picture(progress), console=console(), auto_refresh=False) as live:
        yield lambda _: live.update(_picture(progress), refresh=True)


def _lines(progress: Progress, new: Sequence[LabelRow]) -> None:
    for row in new:
        true = progress.shown[row.path].label if row.path in progress.shown else "?"
        click.echo(f"{row.time:%Y-%m-%d %H:%M:%S}  {row.label:<9} {_sure(row):>6}   (simulated: {true})")


def _sure(row: LabelRow) -> str:
    return "-" if row.confidence is None or row.label == UNKNOWN else f"{row.confidence:.0%}"


def _picture(progress: Progress) -> RenderableType:
    from rich.columns import Columns
    from rich.console import Group
    from rich.text import Text

    done, written, frames = len(progress.labels), len(progress.shown), progress.pace.frames
    head = Text(f"a simulated night: {written} of {frames} frames written, {done} labelled by the daemon")
    table = new_table()
    for name in ("time (UTC)", "label", "sure", "simulated"):
        table.add_column(name, no_wrap=True, min_width=19 if name.startswith("time") else 9)
    newest = sorted(progress.labels.values(), key=lambda row: row.time)[-LAST:]
    for row in newest:
        true = progress.shown[row.path].label if row.path in progress.shown else "?"
        label = Text(row.label, style=BAR_COLOURS.get(row.label, ""))
        table.add_row(f"{row.time:%Y-%m-%d %H:%M:%S}", label, _sure(row), Text(true, style="dim"))
    for _ in range(LAST - len(newest)):
        table.add_row("", "", "", "")
    return Group(head, Columns([table, _bars(progress)]))


def _bars(progress: Progress) -> RenderableType:
    from rich.text import Text

    counts = Counter(row.label for row in progress.labels.values())
    most = max(counts.values(), default=1)
    table = new_table()
    for name in ("label", "frames", ""):
        table.add_column(name, no_wrap=True, justify="right" if name == "frames" else "left")
    for label in (*LABELS, UNKNOWN):
        length = round(BAR * counts[label] / most)
        table.add_row(label, str(counts[label]), Text("█" * length, style=BAR_COLOURS.get(label, "")))
    return table


def agreement(progress: Progress) -> str:
    """Say how often the model gave the label that was simulated."""
    pairs = [(progress.shown[path].label, row.label) for path, row in progress.labels.items() if path in progress.shown]
    if not pairs:
        return "no frame was labelled"
    same = sum(true == said for true, said in pairs)
    aurora = sum((true in AURORA_LABELS) == (said in AURORA_LABELS) for true, said in pairs)
    return (
        f"of {len(pairs)} simulated frames, {same / len(pairs):.0%} got the label that was simulated, "
        f"{aurora / len(pairs):.0%} the right answer to aurora or not"
    )
