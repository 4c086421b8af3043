"""Whether the station did what it promises: every file accounted for, and every alert when it should and only then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from benchmarks.week.plan import Expected, Fault

APART = timedelta(minutes=5)  # firings of one alert with a shorter pause are one


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert, from its first to its last moment of firing, by simulated time."""

    alert: str
    camera: str  # "" for an alert that is not of a camera
    begin: datetime
    end: datetime


def firings(series: Iterable[tuple[dict[str, str], list[tuple[datetime, float]]]]) -> list[Firing]:
    """Give the firings in the series of ALERTS{alertstate="firing"}, by their beginning."""
    found: list[Firing] = []
    for labels, values in series:
        begin = last = None
        for at, _ in values:
            if begin is None or last is None or at - last > APART:
                if begin is not None and last is not None:
                    found.append(Firing(labels["alertname"], labels.get("camera", ""), begin, last))
                begin = at
            last = at
        if begin is not None and last is not None:
            found.append(Firing(labels["alertname"], labels.get("camera", ""), begin, last))
    return sorted(found, key=lambda firing: (firing.begin, firing.alert, firing.camera))


def explains(fault: Fault, expected: Expected, firing: Firing) -> bool:
    """Say whether a firing is one that this fault may raise: it begins and ends in the time that is allowed."""
    return (
        firing.alert == expected.alert
        and firing.camera in expected.cameras
        and fault.begin <= firing.begin
        and firing.end <= fault.end + expected.clears
    )


def missing(faults: Sequence[Fault], fired: Sequence[Firing]) -> list[str]:
    """Give a sentence for every alert that should have fired and did not."""
    return [
        f"{expected.alert} {camera} did not fire for: {fault.what} ({fault.begin:%a %H:%M})".replace("  ", " ")
        for fault in faults
        for expected in fault.expected
        if expected.must
        for camera in expected.cameras
        if not any(explains(fault, expected, firing) and firing.camera == camera for firing in fired)
    ]


def unexplained(faults: Sequence[Fault], fired: Sequence[Firing]) -> list[str]:
    """Give a sentence for every firing that no fault explains."""
    return [
        f"{firing.alert} {firing.camera} fired from {firing.begin:%a %H:%M} to {firing.end:%a %H:%M} for no reason"
        for firing in fired
        if not any(explains(fault, expected, firing) for fault in faults for expected in fault.expected)
    ]


@dataclass(frozen=True, slots=True)
class Growth:
    """Memory of the longest life of the daemon."""

    life: int
    hours: float  # simulated
    early: float  # MB, median of its second to fourth hour
    late: float  # MB, median of its last two hours
    most: float  # MB

    @property
    def flat(self) -> bool:
        """Say whether it stays where it is once caches have filled and names are remembered (docs/week.md)."""
        return self.late - self.early <= 40.0


def growth(memory: Sequence[tuple[datetime, int, float]]) -> Growth:
    """Give how the memory of the longest life grew."""
    lives: dict[int, list[tuple[datetime, float]]] = {}
    for at, life, resident in memory:
        lives.setdefault(life, []).append((at, resident))
    number, life = max(lives.items(), key=lambda item: item[1][-1][0] - item[1][0][0])
    begin, end = life[0][0], life[-1][0]
    quarter = min(timedelta(hours=1), (end - begin) / 4)
    early = [mb for at, mb in life if begin + quarter <= at <= begin + 4 * quarter]
    late = [mb for at, mb in life if at >= end - 2 * quarter]
    most = max(mb for _, mb in life)
    return Growth(number, (end - begin).total_seconds() / 3600, _middle(early), _middle(late), most)


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
