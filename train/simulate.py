"""Frames of simulated cameras, into the cache that training reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import auroramon.sim
from auroramon.errors import ConfigError
from auroramon.resample import ChannelRule
from auroramon.sim.camera import random_camera
from auroramon.sim.scene import UNKNOWN_KINDS, draw, draw_unknown
from auroramon.types import LABELS
from train.frames import TARGETS, CameraFrames, is_written, kept_counts, read_index, write_camera, write_index
from train.runfile import SPLITS, DataTable, Run
from train.workers import drawing_pool

NOTE = "frames.txt"
"""In a run's folder: the name of the cache folder that holds its frames."""


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """One camera to be simulated."""

    folder: Path
    name: str
    seed: tuple[int, int, int]  # of the data, the split, the camera
    size: int  # pixels of the shorter side
    frames: int
    unknown: int
    green_share: float
    colour: bool  # whether colour frames are kept in colour


def data_digest(run: Run) -> str:
    """Give a digest of what the frames depend on: the table `data`, the source of the simulated sky, and whether the
    recipe looks at colours."""
    digest = hashlib.sha256(run.digest("data").encode() + (b" colours" if run.preprocess.spec().colour else b""))
    for path in sorted(Path(auroramon.sim.__path__[0]).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def frames_folder(work: Path, run: Run) -> Path:
    """Give the cache folder that a run's frames have with the simulated sky as it is now."""
    return work / f"frames-{data_digest(run)[:12]}"


def frames_of(work: Path, run: Run) -> Path:
    """Give the cache folder that `simulate` made for a run, though the simulated sky may have changed since.

    Raises:
        ConfigError: it has not been made.
    """
    note = work / run.name / NOTE
    if not note.exists():
        raise ConfigError(f"{run.name} has no frames yet: run `python -m train simulate RUN` first")
    return work / note.read_text(encoding="utf-8").strip()


def simulate(work: Path, run: Run, processes: int, progress: Callable[[int, int], None]) -> Path:
    """Draw the frames that are not there yet, and give their folder.

    Args:
        work: folder for everything that can be made again.
        run: its table `data` says what to draw.
        processes: that draw at the same time.
        progress: called with cameras done and in all.
    """
    folder = frames_folder(work, run)
    (work / run.name).mkdir(parents=True, exist_ok=True)
    (work / run.name / NOTE).write_text(folder.name + "\n", encoding="utf-8")
    if read_index(folder) is not None:
        return folder
    plans = [
        plan for plan in _plans(folder, run.simulated, run.preprocess.spec().colour) if not is_written(plan.folder)
    ]
    progress(0, len(plans))
    with drawing_pool(processes) as pool:
        for done, _ in enumerate(pool.map(_simulate_camera, plans), start=1):
            progress(done, len(plans))
    write_index(folder, describe(run))
    return folder


def describe(run: Run) -> dict[str, Any]:
    """Say what the frames of a run are."""
    return {"kind": "simulated", "digest": data_digest(run), "data": run.simulated.model_dump(mode="json")}


def _plans(folder: Path, data: DataTable, colour: bool) -> list[CameraPlan]:
    plans = []
    for number, split in enumerate(SPLITS):
        for camera in range(data.cameras[split]):
            plans.append(
                CameraPlan(
                    folder=folder / split / f"{split}-{camera:03d}",
                    name=f"{split}-{camera:03d}",
                    seed=(data.seed, number, camera),
                    size=data.sizes[camera % len(data.sizes)],
                    frames=data.frames,
                    unknown=data.unknown if split != "heads" else 0,
                    green_share=data.green_share,
                    colour=colour,
                )
            )
    return plans


def _simulate_camera(plan: CameraPlan) -> None:
    camera = random_camera(np.random.default_rng(plan.seed), plan.name)
    by_green = np.random.default_rng((*plan.seed, plan.frames + plan.unknown)).random() < plan.green_share
    rule: ChannelRule = "green" if by_green else "luma"
    pixels, targets, discs, sun, moon = [], [], [], [], []
    for number in range(plan.frames + plan.unknown):
        rng = np.random.default_rng((*plan.seed, number))
        if number < plan.frames:
            frame = draw(rng, LABELS[number % len(LABELS)], camera, plan.size)
        else:
            frame = draw_unknown(rng, UNKNOWN_KINDS[number % len(UNKNOWN_KINDS)], camera, plan.size)
        pixels.append(kept_counts(frame.pixels, rule, plan.colour))
        targets.append(TARGETS.index(frame.label))
        discs.append((frame.disc.x, frame.disc.y, frame.disc.radius))
        sun.append(frame.truth.get("sun_altitude_deg", np.nan))
        moon.append(frame.truth.get("moon_altitude_deg", np.nan))
    write_camera(plan.folder, CameraFrames(
        camera=camera.name,
        pixels=np.stack(pixels),
        targets=np.array(targets, dtype=np.intp),
        discs=np.array(discs),
        groups=np.arange(len(targets)),
        sun=np.array(sun),
        moon=np.array(moon),
    ))  # fmt: skip
