"""Sun and Moon of simulated frames are found by drawing them again, and only where the same frames come out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auroramon.types import AURORA_LABELS, LABELS
from train.conditions import FILE, simulated_conditions
from train.frames import read_split
from train.runfile import DataTable, Run
from train.simulate import simulate


def ignore(done: int, total: int) -> None:
    """Show no progress."""


@pytest.fixture
def small(run: Run) -> Run:
    assert isinstance(run.data, DataTable)
    data = run.data.model_copy(
        update={"cameras": {"train": 1, "heads": 1, "calibrate": 1, "evaluate": 1}, "frames": 6, "unknown": 1}
    )
    return run.model_copy(update={"data": data})


def test_sun_and_moon_are_found_again(small: Run, tmp_path: Path) -> None:
    folder = simulate(tmp_path, small, 1, ignore)
    found = simulated_conditions(folder, small, "evaluate", ignore)
    targets = read_split(folder, "evaluate").targets
    assert len(found.sun) == len(targets) == 7
    aurora = np.array([k < 6 and LABELS[k] in AURORA_LABELS for k in targets])
    assert np.isfinite(found.sun[aurora]).any(), "a frame that came out as wished is found again"
    assert (found.sun[aurora & np.isfinite(found.sun)] <= -12).all()
    moon = found.moon[targets == LABELS.index("moon")]
    assert np.isnan(moon).all() or (moon > 0).all()
    assert np.isnan(found.sun[targets == 6]).all(), "what is no sky has no Sun"

    kept = (folder / "evaluate" / "evaluate-000" / FILE).stat().st_mtime_ns
    again = simulated_conditions(folder, small, "evaluate", ignore)
    np.testing.assert_array_equal(again.sun, found.sun)
    assert (folder / "evaluate" / "evaluate-000" / FILE).stat().st_mtime_ns == kept


def test_frames_that_come_out_differently_have_no_conditions(small: Run, tmp_path: Path) -> None:
    folder = simulate(tmp_path, small, 1, ignore)
    pixels = folder / "evaluate" / "evaluate-000" / "pixels.npy"
    changed = np.load(pixels) + 1
    np.save(pixels, changed)
    assert np.isnan(simulated_conditions(folder, small, "evaluate", ignore).sun).all()
