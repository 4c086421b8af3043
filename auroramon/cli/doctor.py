"""`auroramon doctor`: what is wrong with this station, or will be."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auroramon.cli.options import config_option, settings_of
from auroramon.cli.tables import console
from auroramon.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auroramon.config import Settings
    from auroramon.doctor.lines import Line

WIDEST = 20  # columns of what a line is about, on a terminal: the sentence needs the rest
SIGNS = {"ok": ("ok", "green"), "warning": ("warning", "yellow"), "failure": ("FAILURE", "bold red")}


@click.command(short_help="Say what is wrong with this station, or soon will be, and what to do.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@config_option
def doctor(config: Path | None, as_json: bool) -> int:
    """Examine configuration, folders, kernel limits, clock, disk, database, model, port and unit; change nothing.

    Each line is ok, a warning or a failure with its remedy. Exit code 1 if there is a failure.
    """
    from auroramon.doctor.examination import examine
    from auroramon.doctor.lines import Machine
    from auroramon.doctor.station import worst

    lines = list(examine(_settings(config), Machine()))
    if as_json:
        click.echo(json.dumps([asdict(line) for line in lines], indent=1))
    else:
        _print(lines)
    return 1 if worst(lines) == "failure" else 0


def _settings(config: Path | None) -> Settings | str:
    try:
        return settings_of(config, need_file=True)
    except ConfigError as error:
        return str(error)


def _print(lines: Sequence[Line]) -> None:
    from rich.table import Table
    from rich.text import Text

    out = console()
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(max_width=WIDEST, overflow="fold")
    table.add_column(overflow="fold")
    about = max(16, *(len(line.about) + 2 for line in lines))
    for line in lines:
        word, style = SIGNS[line.level]
        remedy = f"-> {line.remedy}" if line.remedy else ""
        if not out.is_terminal:
            indent = " " * (9 + about)
            click.echo(f"{word:<9}{line.about:<{about}}{line.sentence}" + (f"\n{indent}{remedy}" if remedy else ""))
            continue
        said = Text(line.sentence + ("\n" if remedy else "")).append(remedy, style=style)
        table.add_row(Text(word, style=style), line.about, said)
    if out.is_terminal:
        out.print(table)
    counts = Counter(line.level for line in lines)
    click.echo("\n" + ", ".join(f"{counts[level]} {level}" for level in ("ok", "warning", "failure")))
