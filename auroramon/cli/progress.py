"""Shows how far a backfill is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from auroramon.types import Outcome

if TYPE_CHECKING:
    from auroramon.backfill import Account
    from auroramon.readahead import ReadAhead

log = logging.getLogger(__name__)

LINE_S = 10.0
PACE_S = 60.0


@contextmanager
def shown(listing: ReadAhead) -> Iterator[Callable[[Account], None]]:
    """Give a function to be called with the account as it grows."""
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal:
        with _bar(console, listing) as update:
            yield update
    else:
        yield lines(listing)


def lines(listing: ReadAhead, clock: Callable[[], float] = time.monotonic) -> Callable[[Account], None]:
    begun = told = clock()
    past = deque([(begun, 0)])  # files done by then, over the last minute: what is known goes by in a moment

    def update(account: Account) -> None:
        nonlocal told
        now = clock()
        if now - told < LINE_S:
            return
        told = now
        while len(past) > 1 and now - past[0][0] > PACE_S:
            past.popleft()
        since, before = past[0]
        past.append((now, account.ended))
        total = f"{listing.listed} files" if listing.complete else f"{listing.listed} files listed so far"
        words = [f"{account.ended} of {total} done", f"{account.frames / (now - begun):.0f} frames/s"]
        if listing.complete and account.ended > before:
            left = (listing.listed - account.ended) * (now - since) / (account.ended - before)
            words.append(f"{timedelta(seconds=round(left))} left")
        if bad := account.outcomes[Outcome.QUARANTINED]:
            words.append(f"{bad} in quarantine")
        log.info("%s", ", ".join(words))

    return update


@contextmanager
def _bar(console, listing: ReadAhead) -> Iterator[Callable[[Account], None]]:  # type: ignore[no-untyped-def]
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    begun = time.monotonic()
    columns = (
        TextColumn("files"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]:.0f} frames/s"),
        TimeRemainingColumn(), TextColumn("{task.fields[bad]}"),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("files", total=None, rate=0.0, bad="")

        def update(account: Account) -> None:
            bad = account.outcomes[Outcome.QUARANTINED]
            progress.update(
                task,
                completed=account.ended,
                total=listing.listed if listing.complete else None,
                rate=account.frames / (time.monotonic() - begun),
                bad=f"{bad} in quarantine" if bad else "",
            )

        yield update
