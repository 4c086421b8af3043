"""Clouds: every kind can be drawn; they part in whole regions; snow lies on the dome."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auroramon.sim.camera import standard_camera
from auroramon.sim.clouds import CLOUD_KINDS, optical_depth, random_clouds
from auroramon.sim.geometry import sky_geometry

GEOMETRY = sky_geometry(standard_camera("s"), 128)
OVERHEAD = GEOMETRY.altitude > 25


@pytest.mark.parametrize("kind", CLOUD_KINDS)
def test_every_kind_covers_some_of_the_sky(kind: str) -> None:
    for seed in range(5):
        clouds = random_clouds(np.random.default_rng(seed), kind)
        depth, relief = optical_depth(GEOMETRY, clouds)
        assert clouds.kind == kind
        assert depth.min() >= 0
        assert depth.max() > 0.3
        assert np.isfinite(relief).all()


def test_parted_clouds_leave_whole_regions_open() -> None:
    def spread(parting: float) -> float:
        """How much the cover differs between the quarters of the sky, over many skies."""
        each = []
        for seed in range(12):
            clouds = replace(random_clouds(np.random.default_rng(seed), "altocumulus"), cover=0.5, parting=parting)
            thick = optical_depth(GEOMETRY, clouds)[0] > 0.5
            sides = (
                [(GEOMETRY.east > 0) == e for e in (True, False)],
                [(GEOMETRY.north > 0) == n for n in (True, False)],
            )
            each.append(np.std([thick[OVERHEAD & e & n].mean() for e in sides[0] for n in sides[1]]))
        return float(np.mean(each))

    assert spread(1.0) > 1.5 * spread(0.0)


def test_snow_lies_on_the_dome_and_does_not_drift_while_clouds_do() -> None:
    def moved(kind: str) -> bool:
        clouds = replace(random_clouds(np.random.default_rng(4), kind), cover=0.7)
        there, here = (optical_depth(GEOMETRY, replace(clouds, east=east))[0] for east in (0.0, 1.0))
        return not np.array_equal(there, here)

    assert moved("stratus")
    assert not moved("snow")
