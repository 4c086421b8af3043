"""What is looked at before a training: that its folder is its own, and that it begins with nothing that leaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from train.frames import pixel_digests, read_split
from train.leaks import LeakError, promises, read_judged
from train.loop import held_of, learnt_by
from train.runfile import Run


def check_before_fit(work: Path, run: Run, frames: Path) -> None:
    """Refuse a training before anything is written.

    Args:
        work: folder of all runs.
        run: what is to be trained.
        frames: folder of its frames.

    Raises:
        ConfigError: the run's folder holds another run, or what was learnt from other frames.
        LeakError: the network that it begins with has learnt from frames that are judged, though the split had promised
            that none is.
    """
    held_of(work / run.name, run, read_split(frames, "train"))
    if not run.network.start or not promises(frames):
        return
    learnt = learnt_by(work / run.network.start)
    judged = read_judged(frames)
    known = sum(int(np.isin(pixel_digests(camera), learnt).sum()) for camera in judged.cameras)
    if known:
        raise LeakError(
            f"{run.name} begins with {run.network.start}, which has learnt from {known} of the {len(judged)} frames "
            f"that are judged: fit {run.network.start} anew on the same split and part"
        )
