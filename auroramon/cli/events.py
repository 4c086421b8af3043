"""`auroramon events`: when there was aurora."""

from __future__ import annotations

import csv
import json
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auroramon.cli.options import config_option, settings_of
from auroramon.cli.params import check_span, span_options, utc_text
from auroramon.cli.tables import console, new_table
from auroramon.errors import ConfigError

if TYPE_CHECKING:
    from auroramon.config import Settings
    from auroramon.events import EventRules
    from auroramon.metrics import Metrics
    from auroramon.publish import Courier
    from auroramon.store.results import AuroraEvent

COLUMNS = ("camera", "night", "begun", "ended", "minutes", "label", "confidence", "frames", "goes_on", "threshold")


@click.command(short_help="List when there was aurora: one line for each event.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated, for spreadsheets.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@click.option("--label", help="Events that were mostly of this kind.")
@click.option("--camera", help="Events of this camera.")
@span_options
@config_option
def events(
    config: Path | None,
    since: datetime | None,
    until: datetime | None,
    camera: str | None,
    label: str | None,
    as_json: bool,
    as_csv: bool,
) -> int:
    """List when aurora began and ended, from the labels and the rules in [events].

    An event is more than two consecutive frames of aurora by default; as many without it end it. What labels, people's
    words or rules have changed since the last time is looked at again first, by a user who may write the database.
    """
    from auroramon.store.store import read_store

    check_span(since, until)
    if as_json and as_csv:
        raise click.UsageError("--csv or --json, not both")
    settings = settings_of(config)
    with closing(read_store(settings.database_url)) as store:
        if _may_write(settings):
            store.derive_events(rules_of(settings), since=since, camera=camera)
        else:
            said = "this user may not write the database: events are as the daemon, or whoever may, last found them"
            click.echo(f"auroramon: {said}", err=True)
        found = store.events(since=since, until=until, camera=camera, label=label)
    rows = [_row(event, settings) for event in found]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        _show(rows)
    return 0


def _may_write(settings: Settings) -> bool:
    from auroramon.store.database import check_place

    try:
        check_place(settings.database_url)
    except ConfigError:
        return False
    return True


def rules_of(settings: Settings) -> EventRules:
    """Give the rules that the configuration sets."""
    from auroramon.events import EventRules

    said = settings.events
    thresholds = {"arc": said.arc, "diffuse": said.diffuse, "discrete": said.discrete}
    return EventRules(thresholds, said.frames, said.gap_s)


def couriers(settings: Settings, metrics: Metrics) -> list[Courier]:
    """Give those who bring news of events to where the configuration says.

    Raises:
        MissingPartError: a broker is configured and its library is not installed.
    """
    from auroramon.publish import Courier, Mqtt, Publisher, Webhook

    said = settings.events
    publishers: list[Publisher] = []
    if said.mqtt:
        publishers.append(Mqtt(said.mqtt, said.timeout_s))
    if said.webhook:
        publishers.append(Webhook(said.webhook, said.timeout_s))
    for publisher in publishers:
        for result in ("sent", "failed", "dropped"):
            metrics.publications.labels(publisher.name, result)
    return [Courier(publisher, lambda to, r: metrics.publications.labels(to, r).inc()) for publisher in publishers]


def _row(event: AuroraEvent, settings: Settings) -> dict[str, Any]:
    quiet = datetime.now(UTC) - event.ended > timedelta(seconds=settings.events.gap_s)
    return {
        "camera": event.camera,
        "night": event.night.isoformat(),
        "begun": utc_text(event.begun),
        "ended": utc_text(event.ended),
        "minutes": round((event.ended - event.begun).total_seconds() / 60, 1),
        "label": event.label,
        "confidence": round(event.confidence, 4),
        "frames": event.frames,
        "goes_on": not (event.over or quiet),
        "threshold": event.rules.thresholds.get(event.label),
    }


def _show(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("no event")
        return
    shown = new_table()
    for name in COLUMNS:
        shown.add_column(name.replace("_", " "), justify="right" if name in {"minutes", "frames"} else "left")
    for row in rows:
        shown.add_row(*("yes" if value is True else "" if value is False else str(value) for value in row.values()))
    console().print(shown)
