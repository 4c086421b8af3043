"""`auroramon occurrence`: when the aurora was there, and out of how many frames."""

from __future__ import annotations

import csv
import json
import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from auroramon.cli.options import config_option, settings_of
from auroramon.cli.params import span_options
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
    from auroramon.store.store import open_store

    if as_csv and as_json:
        raise click.UsageError("give --csv or --json, not both")
    settings = settings_of(config)
    with closing(open_store(settings.database_url, create=False)) as store:
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


def draw(rows: list[OccurrenceRow], by: Literal["hour", "night", "month"], file: Path, model: str) -> None:
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


def show(rows: list[OccurrenceRow]) -> None:
    """Print the table for a person."""
    if not rows:
        click.echo("no frame is labelled in this span")
        return
    others = any(row.counts["other"] for row in rows)
    table = new_table(caption=WORDS)
    table.add_column("camera", no_wrap=True)
    table.add_column("period", no_wrap=True)
    heads = ["arc", "diffuse", "discrete", "clear", "cloudy", "moon", "unknown", *(["other"] if others else [])]
    for head in (*heads, "total", "missing", "aurora", "of clear sky", "of all"):
        table.add_column(head, justify="right", style="bold" if head.startswith("of clear") else "")
    for row in rows:
        told = values(row)
        rates = (told["aurora_of_clear_sky"], told["aurora_of_all"])
        counts = [told[name] for name in (*heads, "total", "missing", "aurora")]
        table.add_row(
            row.camera, row.period, *("-" if count is None else str(count) for count in counts),
            *("-" if rate is None else f"{rate:.1%}" for rate in rates),
        )  # fmt: skip
    console().print(table)
