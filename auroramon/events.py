"""When there was aurora: from the labels of one night of one camera, the times in which it went on and off.

A pure function of the labels and the rules, so that live, backfill and a restart give the same events. An event must
last more than two consecutive frames (Partamies et al. 2024); the same number of frames without aurora ends it, so that
one doubtful frame neither makes nor cuts an event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from auroramon.types import UNKNOWN


@dataclass(frozen=True, slots=True)
class EventRules:
    """What makes an event; stored with each, so that it is known by which threshold it was found."""

    thresholds: Mapping[str, float]  # label -> least confidence, 0..1; labels that are not named are no aurora
    frames: int  # so many consecutive frames turn it on, and so many off
    gap_s: float  # frames further apart than this are not consecutive


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one frame shows, for events."""

    time: float  # start of exposure, Unix seconds
    label: str
    confidence: float | None  # 0..1; None where a gate refused the frame


@dataclass(frozen=True, slots=True)
class NightEvent:
    """One event of a night of a camera."""

    begun: float  # start of its first frame of aurora, Unix seconds
    ended: float  # start of its last
    over: bool  # enough frames without aurora, or a gap, came after it
    label: str  # the kind of aurora that most of its frames show
    confidence: float  # the highest of these frames, 0..1
    frames: int  # of aurora


def derive(sightings: Iterable[Sighting], rules: EventRules) -> list[NightEvent]:
    """Give the events of frames in the order of their times.

    Frames that were refused (`unknown`) say neither yes nor no: they are passed over, and count for no gap.
    """
    found: list[NightEvent] = []
    seen: list[Sighting] = []  # the frames of aurora of what may be, or is, an event
    on, without, before = False, 0, None
    for sighting in sightings:
        if sighting.label == UNKNOWN:
            continue
        if before is not None and sighting.time - before > rules.gap_s:
            if on:
                found.append(_event(seen, over=True))
            on, without, seen = False, 0, []
        before = sighting.time
        if _shows_aurora(sighting, rules):
            seen.append(sighting)
            without = 0
            on = on or len(seen) >= rules.frames
        elif not on:
            seen = []
        else:
            without += 1
            if without >= rules.frames:
                found.append(_event(seen, over=True))
                on, without, seen = False, 0, []
    if on:
        found.append(_event(seen, over=False))
    return found


def _shows_aurora(sighting: Sighting, rules: EventRules) -> bool:
    least = rules.thresholds.get(sighting.label)
    return least is not None and sighting.confidence is not None and sighting.confidence >= least


def _event(seen: Sequence[Sighting], *, over: bool) -> NightEvent:
    counts = Counter(sighting.label for sighting in seen)
    label = min(counts, key=lambda name: (-counts[name], name))
    best = max(sighting.confidence or 0.0 for sighting in seen if sighting.label == label)
    return NightEvent(seen[0].time, seen[-1].time, over, label, best, len(seen))
