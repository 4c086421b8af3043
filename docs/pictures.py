"""Draws docs/images/occurrence_*.png: six simulated weeks, labelled by the shipped model. Takes some minutes.

    .venv/bin/python docs/pictures.py

Sky and weather are made up, and the titles say so; some frames are left out, so that something is missing.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from auroramon.demo import LATITUDE, LONGITUDE, station_camera
from auroramon.plots import Legend, plot_occurrence
from auroramon.sim.scene import draw
from auroramon.sim.writers import file_name, write_png
from auroramon.sky import sun_moon
from auroramon.store.results import By
from auroramon.store.store import open_store

IMAGES = Path(__file__).resolve().parent / "images"
SEED, SIZE = 3, 128
FIRST_NOON, NIGHTS = datetime(2025, 11, 1, 11, tzinfo=UTC), 42
CADENCE = timedelta(minutes=12)
SPELL = 3  # frames for which the weather stays
SUN_BELOW_DEG = 10.0
OUTAGES = (  # when the station stood still
    (datetime(2025, 11, 10, 20, tzinfo=UTC), datetime(2025, 11, 11, 2, tzinfo=UTC)),
    (datetime(2025, 11, 23, 19, tzinfo=UTC), datetime(2025, 11, 26, 1, tzinfo=UTC)),
)
CONFIG = f"""
[[camera]]
name = "station"
folder = "frames"
latitude = {LATITUDE}
longitude = {LONGITUDE}
cadence_s = {CADENCE.total_seconds()}
sun_below_deg = {SUN_BELOW_DEG}

[database]
url = "sqlite:///labels.sqlite"
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "frames").mkdir()
        (folder / "auroramon.toml").write_text(CONFIG)
        rng, camera = np.random.default_rng(SEED), station_camera(SEED, white=True)
        for time, label in _weeks(rng):
            write_png(folder / "frames" / file_name(time, "simu", "docs"), draw(rng, label, camera, SIZE), time)
        subprocess.run([sys.executable, "-m", "auroramon", "backfill", "frames"], cwd=folder, check=True)
        kinds: tuple[By, ...] = ("night", "hour")
        with closing(open_store(f"sqlite:///{folder / 'labels.sqlite'}", create=False)) as store:
            legend = Legend(store.models()[0].name, simulated=True)
            IMAGES.mkdir(exist_ok=True)
            for by in kinds:
                plot_occurrence(store.occurrence(by), by, IMAGES / f"occurrence_{by}.png", legend)


def _weeks(rng: np.random.Generator) -> Iterator[tuple[datetime, str]]:
    """Give when the camera takes a frame, and of what: clouds by night, aurora around 21 UTC, the Moon if it is up."""
    for number in range(NIGHTS):
        clouds, activity = rng.beta(0.5, 0.7), rng.beta(2.0, 1.0)
        label = "clear"
        for step in range(timedelta(days=1) // CADENCE):
            time = FIRST_NOON + timedelta(days=number) + step * CADENCE
            place = sun_moon(time, LATITUDE, LONGITUDE)
            hours = (time - FIRST_NOON) / timedelta(hours=1) % 24 - 10  # from 21 UTC
            if step % SPELL == 0:
                moonlit = place.moon_altitude > 5 and place.moon_phase > 0.6
                label = _weather(rng, clouds, activity * np.exp(-((hours / 4.5) ** 2)), hours, moonlit)
            if place.sun_altitude < -SUN_BELOW_DEG and not any(begin <= time < end for begin, end in OUTAGES):
                yield time, label


def _weather(rng: np.random.Generator, clouds: float, aurora: float, hours: float, moonlit: bool) -> str:
    if rng.random() < clouds:
        return "cloudy"
    if moonlit and rng.random() < 0.7:
        return "moon"
    if rng.random() > aurora:
        return "clear"
    return str(rng.choice(["arc", "discrete", "diffuse"], p=[0.6, 0.3, 0.1] if hours < 0 else [0.2, 0.3, 0.5]))


if __name__ == "__main__":
    main()
