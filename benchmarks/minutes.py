"""Makes an archive of THEMIS minutes for the backfill benchmark: `python -m benchmarks.minutes FOLDER --minutes 200`.

Half of them vary real minutes (headers and noise of a real camera), the other half minutes of the simulated sky; with
no real minute at hand all are simulated. A variation turns or mirrors the frames, makes them brighter or darker, and
gives them times of their own, so that no file is a copy of another and all compress as real ones do.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from auroramon.sim.camera import standard_camera
from auroramon.sim.scene import draw
from auroramon.sim.writers import themis_minute
from auroramon.types import LABELS

FRAMES = 20  # of a minute
START = datetime(2013, 12, 1, 4, tzinfo=UTC)
LEVEL = 6  # of gzip, as the archive was compressed

_HEADER = re.compile(rb"P5\s(?:#.*\n)*256 256\n65535\n")
_TIME = re.compile(rb"(Image (?:request|readout) start\" )[-0-9]+ [:0-9]+(\.\d+ UTC)")
_SITE = re.compile(rb'"Site unique ID" (\w+)')
_IMAGER = re.compile(rb'"Imager unique ID" (\w+)')


def simulated_minute(label: str) -> bytes:
    """Give a minute of the standard camera under a sky of one class."""
    rng = np.random.default_rng([7, LABELS.index(label)])
    camera = standard_camera("simu")
    return themis_minute([draw(rng, label, camera) for _ in range(FRAMES)], START)


def real_minutes(folder: Path | None) -> list[bytes]:
    """Give the content of the THEMIS minutes below a folder."""
    found = sorted(folder.rglob("*_themis??_full.pgm.gz")) if folder else []
    return [gzip.decompress(path.read_bytes()) for path in found]


def varied(minute: bytes, number: int, start: datetime) -> bytes:
    """Give a minute that begins at another time, with its frames turned, mirrored and brighter or darker."""
    rng = np.random.default_rng([11, number])
    turns, mirrored, gain = int(rng.integers(4)), bool(rng.integers(2)), float(rng.uniform(0.6, 1.4))
    parts: list[bytes] = []
    for index, header in enumerate(_HEADER.finditer(minute)):
        time = start + timedelta(seconds=3 * index)
        counts = np.frombuffer(minute, ">u2", 256 * 256, header.end()).reshape(256, 256)
        turned = np.rot90(counts[:, ::-1] if mirrored else counts, turns)
        parts.append(_TIME.sub(rb"\g<1>" + f"{time:%Y-%m-%d %H:%M:%S}".encode() + rb"\2", header.group()))
        parts.append(np.clip(turned * gain, 0, 65535).astype(">u2").tobytes())
    return b"".join(parts)


def path_of(minute: bytes, start: datetime) -> str:
    """Give where the archive keeps a minute: YYYY/MM/DD/<site>_<imager>/utHH/<name>."""
    site, imager = (_word(pattern, minute) for pattern in (_SITE, _IMAGER))
    return f"{start:%Y/%m/%d}/{site}_{imager}/ut{start:%H}/{start:%Y%m%d_%H%M}_{site}_{imager}_full.pgm.gz"


def _word(pattern: re.Pattern[bytes], minute: bytes) -> str:
    match = pattern.search(minute)
    assert match, "every minute names its station"
    return match[1].decode()


def write_archive(folder: Path, minutes: int, real: Path | None, classes: Sequence[str] = LABELS) -> int:
    """Write minute files below a folder, and give how many of them vary real ones."""
    recorded, drawn = real_minutes(real), [simulated_minute(label) for label in classes]
    from_real = 0
    for number in range(minutes):
        is_real = bool(recorded) and number % 2 == 0
        pool = recorded if is_real else drawn
        start = START + timedelta(minutes=number // 2 if recorded else number)
        content = varied(pool[number // 2 % len(pool)], number, start)
        path = folder / path_of(content, start)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content, LEVEL))
        from_real += is_real
    return from_real


def real_folder() -> Path | None:
    """Give the folder of real frames, where AURORAMON_REAL_DATA names one."""
    named = os.environ.get("AURORAMON_REAL_DATA")
    return Path(named) if named else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=int, default=200)
    wanted = parser.parse_args()
    from_real = write_archive(wanted.folder, wanted.minutes, real_folder())
    print(f"{wanted.minutes} minutes of {FRAMES} frames in {wanted.folder}, {from_real} of them from real ones")


if __name__ == "__main__":
    main()
