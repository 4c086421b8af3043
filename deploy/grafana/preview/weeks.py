"""Made-up nights of two cameras, as a database holds them. No frame was taken, and no model was asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from auroramon.sky import SunMoon, sun_moon
from auroramon.store import Store, in_parts
from auroramon.store.results import CameraPlace, ModelRow
from auroramon.types import LABELS, UNKNOWN, Classification, FileOutcome, FileStat, FrameInfo, LabelRecord, Outcome

SUN_BELOW_DEG = -8.0
PLACES = (("kiruna", 67.84, 20.41), ("abisko", 68.36, 18.82))
MODEL = "made-up"
REASONS = ("distance 6.10 is beyond 5.00", "flat: every pixel of the sky is 12", "saturated: 99% of the sky is 255")
SPELL_S = 1500.0  # for so long the weather stays


@dataclass(frozen=True)
class Weeks:
    """Which nights are made up."""

    first: datetime = datetime(2025, 12, 1, 11, tzinfo=UTC)  # the noon before the first night
    nights: int = 7
    cadence_s: float = 60.0
    seed: int = 4

    @property
    def last(self) -> datetime:
        return self.first + timedelta(days=self.nights)

    def places(self) -> list[CameraPlace]:
        return [CameraPlace(name, name[:3], lat, lon, self.cadence_s, SUN_BELOW_DEG) for name, lat, lon in PLACES]


@dataclass(frozen=True)
class Seen:
    """One made-up frame."""

    camera: str
    time: datetime
    label: str
    place: SunMoon


def frames(weeks: Weeks) -> Iterator[Seen]:
    """Give the frames of one camera after the other: clouds by night, aurora around 21 UTC, the Moon where it is up."""
    for number, (camera, latitude, longitude) in enumerate(PLACES):
        rng = np.random.default_rng((weeks.seed, number))
        clouds = activity = left = 0.0
        label = "clear"
        for step in range(round(weeks.nights * 86400 / weeks.cadence_s)):
            time = weeks.first + timedelta(seconds=step * weeks.cadence_s)
            place = sun_moon(time, latitude, longitude)
            hour = (time - weeks.first) / timedelta(hours=1) % 24
            if hour < weeks.cadence_s / 3600:
                clouds, activity = rng.beta(0.5, 0.7), rng.beta(2.0, 1.0)
            left -= weeks.cadence_s
            if left <= 0:
                left = SPELL_S * rng.uniform(0.4, 2.0)
                moonlit = place.moon_altitude > 5 and place.moon_phase > 0.6
                label = _weather(rng, clouds, activity * np.exp(-(((hour - 10) / 4.5) ** 2)), hour - 10, moonlit)
            if place.sun_altitude < SUN_BELOW_DEG and not _outage(camera, time, weeks):
                yield Seen(camera, time, UNKNOWN if rng.random() < 0.03 else label, place)


def _outage(camera: str, time: datetime, weeks: Weeks) -> bool:
    """Say whether the camera stood still: three hours of the second night, and one of each ninth night whole."""
    night, into = divmod(time - weeks.first, timedelta(days=1))
    if camera != "abisko":
        return False
    return (night == 1 and timedelta(hours=8) < into < timedelta(hours=11)) or night % 9 == 8


def _weather(rng: np.random.Generator, clouds: float, aurora: float, hours: float, moonlit: bool) -> str:
    if rng.random() < clouds:
        return "cloudy"
    if moonlit and rng.random() < 0.7:
        return "moon"
    if rng.random() > aurora:
        return "clear"
    return str(rng.choice(["arc", "discrete", "diffuse"], p=[0.6, 0.3, 0.1] if hours < 0 else [0.2, 0.3, 0.5]))


def fill(store: Store, weeks: Weeks) -> None:
    """Enter the frames into a database, one image a file, with some files that gave none."""
    store.register_cameras(weeks.places())
    watched = [place.name for place in weeks.places()]
    store.update_expected(weeks.first, watched)  # from here on, a night without any frame is missing
    model = store.register_model(ModelRow(MODEL, "made-up", "made-up", LABELS, 5.0, weeks.first))
    run = store.start_run("run", now=weeks.first)
    outcomes = [_outcome(seen, number) for number, seen in enumerate(frames(weeks))]
    for name, outcome, why in (
        ("cut", Outcome.QUARANTINED, "breaks off in its header"),
        ("copy", Outcome.SKIPPED, "duplicate of another"),
    ):
        bad = FileStat(f"/data/kiruna/{name}.png", 10, 1, "kiruna")
        outcomes.append(FileOutcome(bad, outcome, why))
    files = [outcome.file for outcome in outcomes]
    for begin in range(0, len(files), 5000):
        store.offer(files[begin : begin + 5000], now=weeks.last)
    store.offer([FileStat("/data/kiruna/waits.png", 10, 1, "kiruna")], now=weeks.last)
    for part in in_parts(outcomes):
        store.commit(run, part, model=model, source="live", now=weeks.last)
    store.update_expected(weeks.last, watched)
    store.end_run(run, now=weeks.last)


def _outcome(seen: Seen, number: int) -> FileOutcome:
    path = f"/data/{seen.camera}/{seen.time:%Y%m%d_%H%M%S}.png"
    if seen.label == UNKNOWN:
        reason = REASONS[number % len(REASONS)]
        said = Classification(UNKNOWN, float("nan"), (), float("nan"), reason)
    else:
        scores = tuple(0.9 if name == seen.label else 0.02 for name in LABELS)
        said = Classification(seen.label, 0.9, scores, 2.5)
    info = FrameInfo(path, 0, seen.camera, seen.time, "header")
    sky = seen.place
    record = LabelRecord(info, said, None, sky.sun_altitude, sky.moon_altitude, sky.moon_phase)
    stat = FileStat(path, 100_000, int(seen.time.timestamp() * 1e9), seen.camera)
    return FileOutcome(stat, Outcome.LABELLED, "", (record,))
