"""Pictures whose label under the small model of the tests is known: with aurora, without, and without structure."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auroramon.assemble import make_labeller
from auroramon.config import Settings
from auroramon.types import AURORA_LABELS, UNKNOWN, FileStat
from tests.skies import sky

SKIES = 160
LEAST = 0.6  # confidence; events ask for 0.5


@dataclass(frozen=True, slots=True)
class Pictures:
    """PNG files of 64 x 64 pixels, as bytes."""

    aurora: list[bytes]
    quiet: list[bytes]
    flat: bytes


def png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(settings: Settings, night: datetime, folder: Path) -> Pictures:
    """Draw skies and sort them by what the model of these settings says at this dark hour."""
    labeller = make_labeller(settings, 1)
    drawn = [png(sky(seed).astype(np.uint8)) for seed in range(SKIES)]
    paths = []
    for number, content in enumerate(drawn):
        path = folder / f"{night:%Y%m%d_%H%M}{number % 60:02d}_{number}.png"
        path.write_bytes(content)
        paths.append(FileStat(str(path), len(content), 0, settings.camera[0].name))
    aurora, quiet = [], []
    for outcome, content in zip(labeller(paths), drawn, strict=True):
        said = outcome.records[0].classification
        if said.label in AURORA_LABELS and (said.confidence or 0) >= LEAST:
            aurora.append(content)
        elif said.label not in (*AURORA_LABELS, UNKNOWN):
            quiet.append(content)
    labeller.backend.close()
    assert len(aurora) >= 5, f"the model calls only {len(aurora)} of {SKIES} skies aurora"
    assert len(quiet) >= 5, f"the model calls only {len(quiet)} of {SKIES} skies quiet"
    return Pictures(aurora, quiet, png(np.full((64, 64), 12, np.uint8)))
