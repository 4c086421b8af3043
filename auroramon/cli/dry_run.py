"""`auroramon backfill --dry-run`: what would be done, without doing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import click

from auroramon.cli.params import counted
from auroramon.errors import NoDatabaseError

if TYPE_CHECKING:
    from auroramon.archive import ReadAhead
    from auroramon.config import Settings
    from auroramon.labeller import Labeller


def dry_run(settings: Settings, labeller: Labeller, listing: ReadAhead) -> int:
    """Count what would be labelled, and what a missing library would keep from it; make no database."""
    from auroramon.backfill import cut
    from auroramon.readers import ending_of
    from auroramon.store.store import open_store

    files = size = 0
    endings: Counter[str] = Counter()
    with ExitStack() as at_end:
        model = 0
        try:
            store = at_end.enter_context(closing(open_store(settings.database_url, create=False)))
            model = next((row.id for row in store.models() if row.digest == labeller.bundle.digest), 0)
        except NoDatabaseError:
            store = None
        for batch in cut(listing):
            wanted = batch if store is None else store.needs_label(batch, model)
            files += len(wanted)
            size += sum(file.size for file in wanted)
            endings.update(ending_of(file.path) for file in wanted)
    click.echo(
        f"{files} of {counted(listing.listed, 'file')} would be labelled ({size / 1e6:.1f} MB); nothing was changed"
    )
    for line in _waiting(endings):
        click.echo(line)
    return 0


def _waiting(endings: Mapping[str, int]) -> Iterator[str]:
    """Say which files would wait for a library, and how to get it."""
    from auroramon.readers import lacking

    by_extra: Counter[str] = Counter()
    for ending, files in endings.items():
        by_extra[lacking(ending)] += files
    for extra, files in sorted(by_extra.items()):
        if extra:
            of = ", ".join(sorted(ending for ending in endings if lacking(ending) == extra))
            yield f"{files} of them ({of}) would wait for a library: pip install 'auroramon[{extra}]'"
