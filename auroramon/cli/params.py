"""Times and nights, as people type them and as they are printed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import click

from auroramon.cli.options import UTC_TIME

Command = TypeVar("Command", bound=Callable[..., Any])


def night_date(text: str) -> date:
    """Read the date of a night.

    Raises:
        click.BadParameter: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no date such as 2026-01-31") from None


def span_options(command: Command) -> Command:
    """Add --since and --until."""
    for option in (
        click.option("--until", type=UTC_TIME, help="Before this time; a date alone is its 00:00."),
        click.option("--since", type=UTC_TIME, help="From this time on, UTC: 2026-01-31 or 2026-01-31T22:00."),
    ):
        command = option(command)
    return command


def check_span(since: datetime | None, until: datetime | None) -> None:
    """Refuse a span that nothing can lie in.

    Raises:
        click.UsageError: it ends before it begins.
    """
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until")


def counted(number: int, noun: str) -> str:
    """Give a number of things: 1 file, 2 files."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def utc_text(time: datetime) -> str:
    """Give a time as it is printed everywhere: 2026-01-31T22:00:00.000Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
