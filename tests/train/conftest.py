"""A whole run of a few frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auroramon.types import LABELS
from train.frames import TARGETS, CameraFrames, write_camera, write_index
from train.runfile import SPLITS, Run, read_run
from train.simulate import describe, frames_folder

TINY = """
name = "tiny-1"
[data]
seed = 1
cameras = { train = 2, heads = 1, calibrate = 2, evaluate = 2 }
frames = 12
unknown = 3
sizes = [32]
green_share = 0.5
[preprocess]
size = 32
crop = 0.9
low_percentile = 1.0
high_percentile = 99.0
channels = ["stretched", "equalised"]
mean = [0.5, 0.5]
std = [0.25, 0.25]
[augment]
turn = true
shift = 0.02
scale = [0.95, 1.05]
gamma = [-0.5, 0.5]
low_percentile = [0.0, 2.0]
high_percentile = [98.0, 100.0]
blur = 1.5
noise = 0.02
wedge = 0.5
gradient = 0.1
[network]
backbone = "slim18-8"
width = 8
[loss]
kind = "triplet"
margin = 0.2
miner = "semihard"
miner_margin = 0.2
[fit]
seed = 1
epochs = 2
batch = 12
strange = 4
lr = 1e-3
warmup = 0.1
schedule = "cosine"
weight_decay = 0.0
small = [[0.5, 24]]
average = 0.0
threads = 1
workers = 0
[head]
kind = "mahalanobis"
covariance = "tied"
alpha = 1.0
fit_on = "heads"
[export]
golden = 1
int8 = "measured"
int8_frames = 16
sides = 2
sides_near = 0.5
"""


@pytest.fixture
def run_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.fixture
def run(run_file: Path) -> Run:
    return read_run(run_file)


def pattern(rng: np.random.Generator, label: str) -> np.ndarray:
    """A frame whose class can be seen: stripes, a blob or noise, of different sizes."""
    y, x = np.mgrid[:32, :34] / 32
    k = LABELS.index(label) if label in LABELS else 7
    shape = np.sin((2 + 3 * k) * (x if k % 2 else y) + rng.uniform(0, 6)) * (1 + k)
    return (1000 + 150 * shape + rng.normal(0, 10, shape.shape)).clip(0, 65535).astype(np.uint16)


@pytest.fixture
def frames(tmp_path: Path, run: Run) -> Path:
    """The frames of the run, drawn without the simulated sky."""
    folder = frames_folder(tmp_path / "work", run)
    rng = np.random.default_rng(0)
    for split in SPLITS:
        for camera in range(run.data.cameras[split]):
            unknown = run.data.unknown if split != "heads" else 0
            names = [TARGETS[k % 6] for k in range(2 * run.data.frames)] + ["unknown"] * unknown
            write_camera(
                folder / split / f"{split}-{camera:03d}",
                CameraFrames(
                    camera=f"{split}-{camera:03d}",
                    pixels=np.stack([pattern(rng, name) for name in names]),
                    targets=np.array([TARGETS.index(name) for name in names]),
                    discs=np.tile([17.0, 16.0, 15.5], (len(names), 1)),
                    groups=np.arange(len(names)),
                ),
            )
    write_index(folder, describe(run))
    return folder
