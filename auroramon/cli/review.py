"""`auroramon review`: what people say of frames, and which frames they should look at next."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auroramon.cli.options import config_option, settings_of
from auroramon.cli.params import counted, utc_text
from auroramon.cli.tables import console, new_table
from auroramon.cli.which import which_of, which_options
from auroramon.errors import StoreError

if TYPE_CHECKING:
    from auroramon.store.results import ModelRow
    from auroramon.store.reviews import FoundFrame, ReviewRow
    from auroramon.store.store import Store

FRAME = ("path", "index", "camera", "time")
EXPORTED = (*FRAME, "label", "reviewer", "note", "made", "current")
QUEUED = (*FRAME, "label", "reviewer", "note", "said", "confidence", "or", "distance", "why")
"""`label`, `reviewer` and `note` are empty, for a person to fill in; `said` is what the model said."""


@click.group(short_help="Import people's labels, and list the frames most worth labelling.")
def review() -> None:
    """A person's word on a frame stands above every model, and no model ever overwrites it."""


@review.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="LABELS.CSV")
@click.option("--new", "new_classes", multiple=True, metavar="LABEL", help="A class that is used for the first time.")
@click.option("--reviewer", default="", help="Who labelled, where the file does not say.")
@click.option("--dry-run", is_flag=True, help="Check the file, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def import_labels(
    config: Path | None, file: Path, new_classes: tuple[str, ...], reviewer: str, dry_run: bool, as_json: bool
) -> int:
    """Import labels that people gave: columns path,index,label or camera,time,label, and reviewer, note if wanted.

    Either every line is good or nothing is imported. Importing a file again changes nothing.
    """
    from dataclasses import replace

    from auroramon.cli.opening import open_to_change
    from auroramon.coordinator import utc_now
    from auroramon.review import Classes, read_reviews
    from auroramon.store.store import read_store

    settings = settings_of(config)
    with closing(read_store(settings.database_url) if dry_run else open_to_change(settings)) as store:
        known = store.known_labels() | {label for model in store.models() for label in model.labels}
        read = read_reviews(file, store, Classes(known, new_classes))
        reviews = [replace(one, reviewer=one.reviewer or reviewer) for one in read.reviews]
        added = 0 if dry_run else len(store.add_reviews(reviews, utc_now()))
        told = {
            "labels": len(reviews), "new": added, "known": 0 if dry_run else len(reviews) - added,
            "empty": read.empty, "ignored_columns": list(read.ignored), "database": store.place,
        }  # fmt: skip
    if as_json:
        click.echo(json.dumps(told))
        return 0
    what = "good, nothing was imported" if dry_run else f"{added} new, {len(reviews) - added} known before"
    click.echo(f"{counted(len(reviews), 'label')}: {what}, in {told['database']}")
    if read.empty:
        click.echo(f"{counted(read.empty, 'line')} without a label left out")
    if read.ignored:
        click.echo(f"columns that were not looked at: {', '.join(read.ignored)}")
    return 0


@review.command("queue")
@click.option("--limit", type=click.IntRange(min=1), default=30, show_default=True, help="How many frames.")
@click.option("--model", "name", metavar="NAME", help="Whose doubts  [default: the model that speaks]")
@which_options
@click.option("--csv", "as_csv", is_flag=True, help="CSV with an empty column `label`, to be filled in and imported.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@config_option
def queue(
    config: Path | None,
    limit: int,
    name: str | None,
    since: datetime | None,
    until: datetime | None,
    cameras: tuple[str, ...],
    as_csv: bool,
    as_json: bool,
) -> int:
    """List the frames from which a model would learn most: uncertain, novel, and unlike each other."""
    from auroramon.review_queue import choose
    from auroramon.store.store import read_store

    _check_formats(as_csv, as_json)
    settings = settings_of(config)
    with closing(read_store(settings.database_url)) as store:
        which, model = which_of(store, since, until, cameras), model_of(store, name)
        threshold = model.threshold or float("inf")
        chosen = choose(store.candidates(model.id, which), store.reviewed_vectors(model.id, which), threshold, limit)
        frames = store.frames_of([one.key for one in chosen])
    lines = [
        _frame(frame)
        | {"label": "", "reviewer": "", "note": "", "said": model.labels[one.best], "confidence": one.confidence}
        | {"or": model.labels[one.second], "distance": one.distance, "why": one.why}
        for frame, one in zip(frames, chosen, strict=True)
    ]
    shown = Shown(("time", "camera", "said", "or", "confidence", "distance", "why", "path", "index"), "time")
    _write(lines, QUEUED, shown, as_csv, as_json)
    if not lines:
        click.echo(f"{model.name} has labelled no frame that nobody has looked at", err=True)
    return 0


@review.command("list")
@which_options
@click.option("--reviewer", help="Said by this person.")
@click.option("--all", "everything", is_flag=True, help="Earlier words on the same frame too.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@config_option
def list_reviews(
    config: Path | None,
    since: datetime | None,
    until: datetime | None,
    cameras: tuple[str, ...],
    reviewer: str | None,
    everything: bool,
    as_csv: bool,
    as_json: bool,
) -> int:
    """List what people said, by time of the frame: of each frame the newest word."""
    from auroramon.store.store import read_store

    _check_formats(as_csv, as_json)
    settings = settings_of(config)
    with closing(read_store(settings.database_url)) as store:
        rows = store.reviews(which_of(store, since, until, cameras))
        lines = [
            _line(row) for row in rows if (everything or row.current) and (reviewer is None or row.reviewer == reviewer)
        ]
    _write(
        lines,
        EXPORTED,
        Shown(("time", "camera", "label", "reviewer", "note", "path", "index"), "time"),
        as_csv,
        as_json,
    )
    return 0


@review.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@config_option
def export(config: Path | None, file: Path) -> int:
    """Write to a CSV file what people said, of each person and frame the newest word, as `import` reads it."""
    from auroramon.store.store import read_store

    settings = settings_of(config)
    with closing(read_store(settings.database_url)) as store:
        newest = {(row.frame, row.reviewer): row for row in store.reviews()}
    lines = [_line(row) for row in sorted(newest.values(), key=lambda row: row.made)]
    with file.open("x", newline="", encoding="utf-8") as out:
        _write_csv(out, lines, EXPORTED)
    click.echo(f"{counted(len(lines), 'label')} written to {file}")
    return 0


def model_of(store: Store, name: str | None) -> ModelRow:
    """Give the newest model of a name, or the one of a digest, or without either the one that speaks.

    Raises:
        StoreError: there is none.
    """
    from auroramon.store.registry import find_model

    models = store.models()
    if not models:
        raise StoreError(f"{store.place} holds no model's labels yet: `auroramon run` or `backfill` first")
    return models[0] if name is None else find_model(models, name)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a table for people shows."""

    columns: tuple[str, ...]
    first: str  # never folded


def _check_formats(as_csv: bool, as_json: bool) -> None:
    if as_csv and as_json:
        raise click.UsageError("give --csv or --json, not both")


def _frame(frame: FoundFrame) -> dict[str, Any]:
    return {
        "path": frame.path,
        "index": frame.key.frame_index,
        "camera": frame.camera,
        "time": utc_text(frame.time),
    }


def _line(row: ReviewRow) -> dict[str, Any]:
    said = {"label": row.label, "reviewer": row.reviewer, "note": row.note}
    return _frame(row.frame) | said | {"made": utc_text(row.made), "current": row.current}


def _write(
    lines: Sequence[Mapping[str, Any]], columns: Sequence[str], shown: Shown, as_csv: bool, as_json: bool
) -> None:
    if as_csv:
        _write_csv(sys.stdout, lines, columns)
    elif as_json:
        for line in lines:
            click.echo(json.dumps({name: line[name] for name in columns}))
    else:
        table = new_table(tight=True)
        for name in shown.columns:
            table.add_column(name, no_wrap=name == shown.first, overflow="fold")
        for line in lines:
            table.add_row(*(_text(line[name]) for name in shown.columns))
        console().print(table)


def _text(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _write_csv(out: Any, lines: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for line in lines:
        values = [line[name] for name in columns]
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in values])
