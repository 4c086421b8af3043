"""Filaments: many at once, within their band, never thinner than the places they are drawn at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from auroramon.sim.weave import Weave, weave

BAND = Weave(
    brightness=5.0,
    offset_km=0.0,
    angle_deg=0.0,
    half_width_km=100.0,
    edge_km=30.0,
    scale_km=50.0,
    stretch=3.0,
    thin=0.8,
    fill=0.1,
    unevenness=0.3,
    fold=0.0,
    seed=1,
    drift_km_s=0.0,
)
EAST, NORTH = (v.astype(np.float32) for v in np.meshgrid(np.arange(-400, 400, 5.0), np.arange(-400, 400, 5.0)))


def drawn(form: Weave, pixel_km: float = 5.0, t: float = 0.0) -> np.ndarray:
    points = weave(np.full(EAST.size, pixel_km, np.float32), EAST.ravel(), NORTH.ravel(), form, t)
    return points.reshape(EAST.shape)


def crossings(light: np.ndarray) -> float:
    """How often a line through the middle of the band rises above its mean."""
    lines = light[:, 10::20][60:100]
    above = lines > lines.mean(axis=0)
    return float((above[1:] & ~above[:-1]).sum(axis=0).mean())


def test_filaments_stay_in_their_band() -> None:
    light = drawn(BAND)
    assert light.min() >= 0
    assert np.isfinite(light).all()
    outside = np.abs(NORTH) > 250
    assert light[outside].max() < 0.01 * light.max()
    assert light.max() <= 1.001 * BAND.brightness


def test_finer_filaments_are_more_numerous_and_longer_ones_run_along_the_band() -> None:
    assert crossings(drawn(replace(BAND, scale_km=25.0))) > 1.4 * crossings(drawn(BAND))
    light = drawn(replace(BAND, stretch=8.0))[60:100]
    along, across = np.abs(np.diff(light, axis=1)).mean(), np.abs(np.diff(light, axis=0)).mean()
    assert across > 3 * along


def test_what_a_distant_pixel_cannot_show_is_smooth_there() -> None:
    fine = replace(BAND, scale_km=25.0)
    near, far = (drawn(fine, km)[60:100] for km in (5.0, 40.0))
    assert far.std() / far.mean() < 0.7 * near.std() / near.mean()


def test_filaments_drift_eastward_with_time() -> None:
    moving = replace(BAND, drift_km_s=-1.0)
    now, later = drawn(moving), drawn(moving, t=100.0)
    assert np.corrcoef(now[:, :-20].ravel(), later[:, 20:].ravel())[0, 1] > 0.95
