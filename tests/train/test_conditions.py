"""Sun and Moon of simulated frames are kept as they were drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from auroramon.sim.camera import random_camera
from auroramon.sim.scene import draw
from auroramon.types import AURORA_LABELS, LABELS
from train.conditions import conditions_of
from train.frames import read_split
from train.runfile import Run
from train.simulate import simulate


def test_sun_and_moon_are_those_of_the_scenes_that_were_drawn(run: Run, tmp_path: Path) -> None:
    data = run.simulated.model_copy(
        update={"cameras": {"train": 1, "heads": 1, "calibrate": 1, "evaluate": 1}, "frames": 6, "unknown": 1}
    )
    folder = simulate(tmp_path, run.model_copy(update={"data": data}), 1, lambda done, total: None)
    frames = read_split(folder, "evaluate")
    found = conditions_of(frames)
    seed = (data.seed, 3, 0)
    camera = random_camera(np.random.default_rng(seed), "evaluate-000")
    for number, label in enumerate(LABELS):
        truth = draw(np.random.default_rng((*seed, number)), label, camera, data.sizes[0]).truth
        assert found.sun[number] == truth["sun_altitude_deg"]
        assert found.moon[number] == truth["moon_altitude_deg"]
        assert found.sun[number] <= -12 or label not in AURORA_LABELS
    assert found.moon[LABELS.index("moon")] > 0
    assert np.isnan([found.sun[6], found.moon[6]]).all(), "what is no sky has no Sun"
