"""`auroramon labels`: what the database says of every frame."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auroramon.cli.options import config_option, settings_of
from auroramon.cli.params import check_span, night_date, span_options, utc_text
from auroramon.cli.streams import plain

if TYPE_CHECKING:
    from auroramon.store.choice import LabelChoice
    from auroramon.store.results import LabelRow
    from auroramon.store.store import Store

HUMAN = "human"
"""Stands in the place of a model's name where a person corrected a label."""


@click.command(short_help="Print labels from the database.")
@span_options
@click.option("--night", type=night_date, metavar="DATE", help="One night, by the date of the local noon before it.")
@click.option("--camera", metavar="NAME", help="One camera.")
@click.option("--label", "labels", multiple=True, metavar="LABEL", help="This label; may be given several times.")
@click.option("--min-confidence", type=click.FloatRange(0, 1), help="At least this sure, 0 to 1.")
@click.option("--max-confidence", type=click.FloatRange(0, 1), help="At most this sure, 0 to 1.")
@click.option("--reason", metavar="TEXT", help="Refused for a reason that holds this text, such as daylight.")
@click.option("--model", metavar="NAME", help="Said by this model; `human` where a person corrected it.")
@click.option("--newest-first", is_flag=True, help="The newest frame first instead of the oldest.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV with a column for every score.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@config_option
def labels(
    config: Path | None, as_csv: bool, as_json: bool, newest_first: bool, limit: int | None, **chosen: Any
) -> int:
    """Print the label of every frame, oldest first.

    Of several models, the promoted one speaks; a person's correction comes before any of them.
    """
    from auroramon.store.choice import LabelChoice
    from auroramon.store.store import read_store

    if as_csv and as_json:
        raise click.UsageError("give --csv or --json, not both")
    check_span(chosen["since"], chosen["until"])
    choice = LabelChoice(**chosen)
    settings = settings_of(config)
    with closing(read_store(settings.database_url)) as store:
        _check_names(store, choice)
        rows = store.labels(choice, newest_first=newest_first, limit=limit)
        if as_csv:
            _write_csv(rows, score_names(store))
        elif as_json:
            _write_json(rows)
        else:
            _write_lines(rows, max((len(status.camera) for status in store.camera_status()), default=0))
    return 0


def _check_names(store: Store, choice: LabelChoice) -> None:
    """Refuse a name that nothing in the database has: an empty answer would read as "there was none"."""
    from auroramon.types import LABELS, UNKNOWN

    cameras = [status.camera for status in store.camera_status()]
    if choice.camera is not None and choice.camera not in cameras:
        raise click.UsageError(
            f"no camera is called {choice.camera!r} here; there are {', '.join(cameras) or 'none yet'}"
        )
    models = store.models()
    if choice.model not in {None, HUMAN, *(model.name for model in models)}:
        names = ", ".join(dict.fromkeys([*(model.name for model in models), HUMAN]))
        raise click.UsageError(f"no model is called {choice.model!r} here; there are {names}")
    known = sorted({*LABELS, UNKNOWN, *(label for model in models for label in model.labels)})
    for label in choice.labels:
        if label not in known:
            raise click.UsageError(f"no model gives the label {label!r}; there are {', '.join(known)}")


def score_names(store: Store) -> Sequence[str]:
    """Give the classes of all models of a database: the columns of scores, those of the model that speaks first."""
    return tuple(dict.fromkeys(label for model in store.models() for label in model.labels))


def _values(row: LabelRow) -> dict[str, Any]:
    """Give what is printed of a row, scores apart; begins as `classify` does, so that both can be laid side by side."""
    return {
        "path": row.path,
        "index": row.frame_index,
        "time": utc_text(row.time),
        "camera": row.camera,
        "label": row.label,
        "confidence": row.confidence,
        "distance": row.distance,
        "model": row.model,
        "night": row.night.isoformat(),
        "channel": row.channel,
        "time_source": row.time_source,
        "sun_altitude": row.sun_altitude,
        "moon_altitude": row.moon_altitude,
        "moon_phase": row.moon_phase,
        "reason": row.reason,
        "source": row.source,
    }


COLUMNS = (
    "path", "index", "time", "camera", "label", "confidence", "distance", "model", "night", "channel", "time_source",
    "sun_altitude", "moon_altitude", "moon_phase", "reason", "source",
)  # fmt: skip


def _write_csv(rows: Iterable[LabelRow], scores: Sequence[str]) -> None:
    lines = csv.writer(sys.stdout, lineterminator="\n")
    lines.writerow([*COLUMNS, *(f"score_{label}" for label in scores)])
    for row in rows:
        values = _values(row)
        told = (*(values[name] for name in COLUMNS), *(row.scores.get(label) for label in scores))
        lines.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in told])


def _write_json(rows: Iterable[LabelRow]) -> None:
    for row in rows:
        sys.stdout.write(json.dumps(_values(row) | {"scores": dict(row.scores) or None}) + "\n")


COLOURS = {"arc": "green", "diffuse": "green", "discrete": "bright_green", "moon": "yellow", "unknown": "magenta"}


def _write_lines(rows: Iterable[LabelRow], width: int) -> None:
    """Print lines for a person: columns of fixed width, so that millions of rows need no memory."""
    from auroramon.types import UNKNOWN

    bold = sys.stdout.isatty()
    head = f"{'time (UTC)':<24}  {'camera':<{width}}  {'label':<8}  {'sure':>6}  {'dist.':>6}  {'model':<12}  frame"
    click.echo(click.style(head, bold=True) if bold else head)
    for row in rows:
        # How sure the model would have been of a class that it was then denied says nothing of the `unknown`.
        sure = "-" if row.confidence is None or row.label == UNKNOWN else f"{row.confidence:.1%}"
        distance = "-" if row.distance is None else f"{row.distance:.1f}"
        label = f"{row.label:<8}"
        click.echo(
            f"{utc_text(row.time)}  {row.camera:<{width}}  "
            f"{click.style(label, fg=COLOURS.get(row.label)) if bold else label}  {sure:>6}  {distance:>6}  "
            f"{row.model:<12}  {plain(row.path)}[{row.frame_index}]{'  ' if row.reason else ''}{row.reason}"
        )
