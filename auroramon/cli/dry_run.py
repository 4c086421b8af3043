"""`auroramon backfill --dry-run`: what would be done, without doing it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import click

from auroramon.cli.params import counted
from auroramon.errors import NoDatabaseError

if TYPE_CHECKING:
    from auroramon.config import Settings
    from auroramon.labeller import Labeller
    from auroramon.readahead import ReadAhead


def dry_run(settings: Settings, labeller: Labeller, listing: ReadAhead, as_json: bool) -> int:
    """Count what would be labelled, and what a missing library would keep from it; make no database."""
    from auroramon.backfill import cut
    from auroramon.readers import ending_of
    from auroramon.store.store import read_store

    files = size = 0
    endings: Counter[str] = Counter()
    with ExitStack() as at_end:
        model = 0
        try:
            store = at_end.enter_context(closing(read_store(settings.database_url)))
            model = next((row.id for row in store.models() if row.digest == labeller.bundle.digest), 0)
        except NoDatabaseError:
            store = None
        for batch in filter(None, cut(listing)):
            wanted = batch if store is None else store.needs_label(batch, model)
            files += len(wanted)
            size += sum(file.size for file in wanted)
            endings.update(ending_of(file.path) for file in wanted)
    waiting = _waiting(endings)
    if as_json:
        numbers = {"listed": listing.listed, "wanted": files, "bytes": size, "listed_all": listing.complete}
        click.echo(json.dumps(numbers | {"waiting_for": {extra: sum(of.values()) for extra, of in waiting.items()}}))
    else:
        _tell(listing, files, size, waiting)
    return 0 if listing.complete else 1


def _tell(listing: ReadAhead, files: int, size: int, waiting: Mapping[str, Mapping[str, int]]) -> None:
    so_far = "" if listing.complete else " listed before the stop"
    of = counted(listing.listed, "file")
    click.echo(f"{files} of {of}{so_far} would be labelled ({size / 1e6:.1f} MB); nothing was changed")
    for extra, endings in waiting.items():
        click.echo(
            f"{sum(endings.values())} of them ({', '.join(endings)}) would wait for a library: "
            f"pip install 'auroramon[{extra}]'"
        )


def _waiting(endings: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Give the files that would wait for a library: by the extra that brings it, by ending."""
    from auroramon.readers import lacking

    by_extra: dict[str, dict[str, int]] = {}
    for ending, files in sorted(endings.items()):
        if extra := lacking(ending):
            by_extra.setdefault(extra, {})[ending] = files
    return dict(sorted(by_extra.items()))
