"""All times of a watch in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, all of them."""

    settle_s: float = 2.0  # a file whose writer cannot be heard is complete when it stood still for so long
    empty_s: float = 0.2  # an empty file is told of after so long: most writers fill theirs at once
    held_s: float = 60.0  # a file whose writer was heard waits for the close, but no longer than this in silence
    reconcile_s: float = 300.0  # from one complete listing to the next
    poll_s: float = 5.0  # the same where the folder is polled
    check_s: float = 1.0  # how often the folder and its listener are looked after
    tick_s: float = 0.5  # an empty batch comes this often when nothing happens
    skew_s: float = 60.0  # how wrong the clock of a network store may be before the first listing is deceived
    patience_s: float = 30.0  # a folder whose thread is silent for so long counts as down
    revive_s: float = 5.0  # so long after its last sign of life a dead thread is replaced
    leave_s: float = 5.0  # how long the end waits for a thread whose disk hangs
