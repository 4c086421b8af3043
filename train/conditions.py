"""Where the Sun and the Moon stood in simulated frames: the cache does not keep it, so the frames are drawn again.

Every frame follows from its seed. Drawing it again gives the same pixels, which is checked, and with them what was
diced. The result is kept beside the frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon.sim.camera import random_camera
from auroramon.sim.geometry import sky_geometry
from auroramon.sim.scene import VISIBLE, draw, random_scene
from auroramon.sim.station import station
from auroramon.types import LABELS
from train.frames import FrameSet, grey_counts, read_index
from train.runfile import SPLITS, DataTable, Run, Split
from train.simulate import COLOUR_RULES, data_digest
from train.workers import drawing_pool

FILE = "conditions.npz"
FEW = 200  # frames that are drawn sooner than another process is started


@dataclass(frozen=True, slots=True, eq=False)
class Conditions:
    """Sun and Moon in N frames."""

    sun: NDArray[np.float64]  # (N,) altitude, degrees; NaN where not known
    moon: NDArray[np.float64]  # (N,) altitude, degrees; -90 where no Moon was in the sky; NaN where not known


@dataclass(frozen=True, slots=True)
class _Again:
    """One camera to be drawn again."""

    folder: Path
    data: DataTable
    split: Split
    number: int  # of the camera in its split


def simulated_conditions(folder: Path, run: Run, split: Split, progress: Callable[[int, int], None]) -> Conditions:
    """Give Sun and Moon of a split of simulated frames; all NaN where the simulated sky has changed since.

    Args:
        folder: with the frames.
        run: that drew them.
        split: whose frames.
        progress: called with cameras done and in all.
    """
    data = run.data
    assert isinstance(data, DataTable)  # noqa: S101 - a manifest has no simulated conditions
    cameras = range(data.cameras[split])
    again = [_Again(folder / split / f"{split}-{number:03d}", data, split, number) for number in cameras]
    index = read_index(folder)
    if index is not None and index["digest"] == data_digest(run):
        missing = [one for one in again if not (one.folder / FILE).exists()]
        for done, _ in enumerate(_drawn_again(missing), start=1):
            progress(done, len(missing))
    return _joined([_read(one) for one in again])


def _drawn_again(missing: list[_Again]) -> Iterator[None]:
    if sum(one.data.frames for one in missing) < FEW:
        yield from map(_draw_again, missing)
        return
    with drawing_pool(2) as pool:
        yield from pool.map(_draw_again, missing)


def unknown_conditions(count: int) -> Conditions:
    """Give the conditions of frames of which nothing is known."""
    return Conditions(np.full(count, np.nan), np.full(count, np.nan))


def listed_conditions(frames: FrameSet) -> Conditions:
    """Give the conditions of frames of a manifest, as far as its rows say."""

    def known(count: int, given: NDArray[np.float64] | None) -> NDArray[np.float64]:
        return np.full(count, np.nan) if given is None else given

    return _joined([Conditions(known(len(c.targets), c.sun), known(len(c.targets), c.moon)) for c in frames.cameras])


def _joined(parts: list[Conditions]) -> Conditions:
    return Conditions(np.concatenate([p.sun for p in parts]), np.concatenate([p.moon for p in parts]))


def _read(one: _Again) -> Conditions:
    path = one.folder / FILE
    if not path.exists():
        return unknown_conditions(one.data.frames + (one.data.unknown if one.split != "heads" else 0))
    with np.load(path, allow_pickle=False) as rows:
        return Conditions(rows["sun"], rows["moon"])


def _draw_again(one: _Again) -> None:
    seed = (one.data.seed, SPLITS.index(one.split), one.number)
    camera = random_camera(np.random.default_rng(seed), one.folder.name)
    size = one.data.sizes[one.number % len(one.data.sizes)]
    kept = np.load(one.folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
    found = unknown_conditions(len(kept))
    for number in range(one.data.frames):
        label = LABELS[number % len(LABELS)]
        rng = np.random.default_rng((*seed, number))
        frame = draw(rng, label, camera, size)
        rule = COLOUR_RULES[int(rng.random() < one.data.green_share)]
        if frame.truth["visible"] < VISIBLE[label] or not np.array_equal(kept[number], grey_counts(frame.pixels, rule)):
            continue  # the best of several scenes was taken, or this is another frame: which scene it was is not known
        dice = np.random.default_rng((*seed, number))
        geometry, place = sky_geometry(camera, size), station(camera, size)
        for _ in range(int(frame.truth["tries"])):
            scene = random_scene(dice, label, geometry, place)
        found.sun[number] = scene.sky.sun_altitude_deg
        found.moon[number] = -90.0 if scene.moon is None else scene.moon.altitude_deg
    scratch = one.folder / "conditions.tmp.npz"
    np.savez(scratch, sun=found.sun, moon=found.moon)
    scratch.rename(one.folder / FILE)
