"""What a backfill says of itself in a log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from auroramon.backfill import Account
from auroramon.cli.progress import lines
from auroramon.types import Outcome


@dataclass
class Listing:
    listed: int = 400
    complete: bool = False


def test_a_line_tells_the_pace_the_time_left_and_what_is_in_quarantine(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    listing, now = Listing(), 0.0
    update = lines(listing, lambda: now)  # type: ignore[arg-type]

    def told(seconds: float, known: int, labelled: int, quarantined: int = 0) -> str:
        nonlocal now
        now = seconds
        caplog.clear()
        words = {Outcome.KNOWN: known, Outcome.LABELLED: labelled, Outcome.QUARANTINED: quarantined}
        update(Account(outcomes=Counter(words), frames=20 * labelled))
        return caplog.text.partition(" INFO ")[2] or caplog.text

    assert told(5, 0, 10) == ""  # not at every commit
    assert "100 of 400 files listed so far done, 20 frames/s\n" in told(10, 90, 10)
    listing.listed, listing.complete = 2000, True
    assert "1000 of 2000 files done, 10 frames/s, 0:00:20 left\n" in told(20, 990, 10)
    for second in range(30, 90, 10):
        told(second, 990, second // 2)
    # 30 files in the last minute: the 990 that were known have no part in it
    assert "1035 of 2000 files done, 9 frames/s, 0:32:10 left, 3 in quarantine\n" in told(90, 990, 42, 3)
