"""`auroramon occurrence`: when the aurora was there, and out of how many frames."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from auroramon.cli.options import config_option, settings_of
from auroramon.cli.params import check_span, span_options
from auroramon.cli.tables import console, new_table
from auroramon.errors import AuroramonError

if TYPE_CHECKING:
    from auroramon.store.results import OccurrenceRow

WORDS = (
    "aurora = arc + diffuse + discrete; of clear sky = aurora / (aurora + clear); of all = aurora / total labelled; "
    "missing = expected from the cadence while the Sun is low, minus got; - is not known"
)


@click.command(short_help="Count when the aurora was there, with every denominator.")
@click.option(
    "--by",
    type=click.Choice(["hour", "night", "month"]),
    default="night",
    show_default=True,
    help="Length of a period.",
)
@span_options
@click.option("--camera", metavar="NAME", help="One camera.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV on stdout.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw it into this PNG file as well.")
@config_option
def occurrence(
    config: Path | None,
    by: Literal["hour", "night", "month"],
    since: datetime | None,
    until: datetime | None,
    camera: str | None,
    as_csv: bool,
    as_json: bool,
    plot: Path | None,
) -> int:
    """Count the frames of each hour, night or month by what they show, with every denominator.

    A night goes by the date of the local noon before it, and is in the span if 12 UTC of that date is.
    """
    from auroramon.store.store import read_store

    if as_csv and as_json:
        raise click.UsageError("give --csv or --json, not both")
    check_span(since, until)
    settings = settings_of(config)
    with closing(read_store(settings.database_url)) as store:
        rows = store.occurrence(by, since=since, until=until, camera=camera)
        speaks = next((model.name for model in store.models()), "no model")
    if plot is not None:
        draw(rows, by, plot, speaks)
    if as_json:
        click.echo(json.dumps([values(row) for row in rows], indent=1))
    elif as_csv:
        lines = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        lines.writeheader()
        lines.writerows(values(row) for row in rows)
    else:
        show(rows)
    return 0


COLUMNS = (
    "camera", "period", "arc", "diffuse", "discrete", "cloudy", "moon", "clear", "unknown", "other", "aurora", "total",
    "expected", "missing", "aurora_of_clear_sky", "aurora_of_all",
)  # fmt: skip


def values(row: OccurrenceRow) -> dict[str, Any]:
    """Give what is told of a period, in the order of COLUMNS; None is not known."""
    from auroramon.plots import clear_sky_rate, total_rate

    told: dict[str, Any] = {"camera": row.camera, "period": row.period, **row.counts}
    told |= {"aurora": row.aurora, "total": row.total, "expected": row.expected, "missing": row.missing}
    rates = {"aurora_of_clear_sky": clear_sky_rate(row), "aurora_of_all": total_rate(row)}
    return told | {name: None if rate is None else round(rate, 6) for name, rate in rates.items()}


def draw(rows: Sequence[OccurrenceRow], by: Literal["hour", "night", "month"], file: Path, model: str) -> None:
    """Draw the picture, and say on stderr where it is.

    Raises:
        MissingPartError: Matplotlib is not installed.
        AuroramonError: there is nothing to draw, or the file cannot be written.
    """
    from auroramon.plots import Legend, plot_occurrence

    try:
        plot_occurrence(rows, by, file, Legend(model))
    except ValueError as error:
        raise AuroramonError(f"no picture: {error}") from None
    except OSError as error:
        raise AuroramonError(f"{file} cannot be written: {error.strerror}") from None
    click.echo(f"the picture is in {file}", err=True)


def show(rows: Sequence[OccurrenceRow]) -> None:
    """Print the table for a person, without periods of which nothing was expected and nothing came."""
    rows = [row for row in rows if row.total or row.missing]
    if not rows:
        click.echo("no frame is labelled in this span")
        return
    cameras = sorted({row.camera for row in rows})
    heads = [name for name in HEADS if name != "other" or any(row.counts["other"] for row in rows)]
    table = new_table(title=f"camera {cameras[0]}" if len(cameras) == 1 else "", caption=WORDS, tight=True)
    for head in (*(["camera"] if len(cameras) > 1 else []), "period"):
        table.add_column(head, no_wrap=True)
    for head in heads:
        table.add_column(HEADS[head], justify="right", style="bold" if head == "aurora_of_clear_sky" else "")
    for row in rows:
        told = values(row)
        cells = [row.camera] if len(cameras) > 1 else []
        cells.append(row.period.replace("T", " ").replace(":00Z", "h"))
        table.add_row(*cells, *(_cell(told[head]) for head in heads))
    console().print(table)


HEADS = {
    "arc": "arc", "diffuse": "dif-\nfuse", "discrete": "dis-\ncrete", "clear": "clear", "cloudy": "clou-\ndy",
    "moon": "moon", "unknown": "un-\nknown", "other": "other", "total": "total", "missing": "mis-\nsing",
    "aurora": "au-\nrora", "aurora_of_clear_sky": "of\nclear\nsky", "aurora_of_all": "of\nall",
}  # fmt: skip
"""Columns of the table, and their headings: narrow enough for a terminal of 80 columns."""


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}".replace("100.0%", "100%") if isinstance(value, float) else str(value)
