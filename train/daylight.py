"""The gate of daylight, asked of judged frames whose Sun is known: serving asks it first of all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from auroramon import gates
from auroramon.cameras import Cameras
from auroramon.types import LABELS
from train.judged import Facts, Judged


def refused_by_day(judged: Judged, cameras: Cameras) -> Judged:
    """Refuse the frames by day; where the Sun's altitude is not known, nothing changes.

    Args:
        judged: by the other gates already.
        cameras: of the station, which say how far the Sun must be down; one that is not configured has the default.
    """
    reasons = _reasons(judged.subject.facts, cameras)
    said = np.where([bool(reason) for reason in reasons], len(LABELS), judged.answers.said)
    gated = tuple(day or other for day, other in zip(reasons, judged.gated, strict=True))
    return replace(judged, answers=replace(judged.answers, said=said), gated=gated)


def _reasons(facts: Facts, cameras: Cameras) -> list[str]:
    rows = zip(facts.cameras, facts.conditions.sun.tolist(), strict=True)
    return ["" if np.isnan(sun) else gates.daylight(sun, cameras.named(name).sun_below_deg) for name, sun in rows]
