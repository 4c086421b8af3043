"""The circle of sky is found in frames of any camera, and nothing is made up where none shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from auroramon.disc import find_disc
from auroramon.readers import read_frames
from auroramon.sim.camera import random_camera
from auroramon.sim.scene import draw
from auroramon.types import LABELS, Disc

CIRCLES: dict[str, Any] = json.loads((Path(__file__).parent / "real_discs.json").read_text())
"""Measured by eye on the real frames, in square pixels; `tolerance` is the part of the radius that the eye leaves open.
None where no sky can be seen."""


def error(disc: Disc, x: float, y: float, radius: float) -> float:
    """Give the worse of the errors of centre and radius, as part of the radius."""
    return max(float(np.hypot(disc.x - x, disc.y - y)), abs(disc.radius - radius)) / radius


def smooth(rng: np.random.Generator, shape: tuple[int, int], scale: int) -> NDArray[np.float32]:
    small = rng.normal(0, 1, (max(2, shape[0] // scale), max(2, shape[1] // scale))).astype(np.float32)
    return np.asarray(Image.fromarray(small).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def sky(rng: np.random.Generator, kind: str, x: NDArray[Any], y: NDArray[Any], r: NDArray[Any]) -> NDArray[Any]:
    """Give the light of a sky of a kind; x, y and r in radii from the centre."""
    light = 1 - 0.3 * rng.random() * r**2 + 0.5 * rng.random() * r**4
    if kind == "overcast":
        return light * rng.uniform(4, 20) * (1 + 0.1 * smooth(rng, r.shape, 60))
    if kind == "arc":
        turn, place = rng.uniform(0, np.pi), rng.uniform(-0.6, 0.6)
        across = x * np.cos(turn) + y * np.sin(turn) + 0.3 * r**2 - place
        return light + rng.uniform(1, 6) * np.exp(-((across / rng.uniform(0.04, 0.2)) ** 2))
    if kind == "moon":
        turn, far = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.85)
        off = np.hypot(x - far * np.cos(turn), y - far * np.sin(turn))
        return light * 2 + 60 * np.exp(-((off / 0.04) ** 2)) + rng.uniform(3, 12) * np.exp(-off / 0.15)
    if kind == "patchy":
        return light * np.exp(0.7 * smooth(rng, r.shape, 45))
    return light + (rng.random(r.shape) > 0.9985) * rng.exponential(2, r.shape)


def scene(seed: int) -> tuple[NDArray[Any], tuple[float, float, float]]:
    """Give a frame of a camera that never was, and its disc: cut off or not, trees, roofs, rings, captions."""
    rng = np.random.default_rng(seed)
    height, width = [(256, 256), (480, 640), (480, 720), (512, 512), (270, 480), (360, 640)][rng.integers(6)]
    side = min(height, width)
    cut = rng.random() < 0.3
    radius = side * (rng.uniform(0.5, 0.58) if cut else rng.uniform(0.36, 0.49))
    cx, cy = width / 2 + rng.normal(0, 0.03) * side, height / 2 + rng.normal(0, 0.03) * side
    if not cut:
        cx, cy = np.clip(cx, radius, width - radius), np.clip(cy, radius, height - radius)
    yy, xx = np.mgrid[:height, :width] + 0.5
    x, y = (xx - cx) / radius, (yy - cy) / radius
    r, azimuth = np.hypot(x, y), np.arctan2(y, x)
    kind = ("clear", "overcast", "arc", "moon", "patchy", "dim")[rng.integers(6)]
    edge: Any = 1.0
    if rng.random() < 0.6:
        around = np.linspace(-np.pi, np.pi, 181)
        skyline = np.abs(np.interp(np.linspace(0, 40, 181), np.arange(41), rng.normal(0, 0.02, 41)))
        if rng.random() < 0.35:
            roof = np.abs((around - rng.uniform(-np.pi, np.pi) + np.pi) % (2 * np.pi) - np.pi) < rng.uniform(0.2, 0.8)
            skyline = np.where(roof, rng.uniform(0.08, 0.25), skyline)
        edge = 1 - np.interp(azimuth, around, skyline)
    seen = 1 / (1 + np.exp(np.clip((r - edge) / rng.uniform(0.002, 0.015), -50, 50)))
    ring = rng.uniform(0.02, 0.15) * np.exp(-(((r - rng.uniform(1.1, 1.3)) / 0.03) ** 2)) * (rng.random() < 0.3)
    gain = rng.uniform(8, 20) if kind == "dim" else rng.uniform(40, 400)
    light = gain * (sky(rng, kind, x, y, r) * seen + ring + rng.uniform(0, 0.03))
    light += rng.normal(0, 1, light.shape) * np.sqrt(np.maximum(light, 0) * 0.5 + rng.uniform(1, 90))
    return as_file(rng, light), (float(cx), float(cy), float(radius))


def as_file(rng: np.random.Generator, light: NDArray[Any]) -> NDArray[Any]:
    """Give raw counts, or an eight-bit picture with a tone curve and captions, grey or coloured."""
    style = rng.integers(3)
    if style == 0:
        return np.clip(light + rng.uniform(0, 500), 0, 65535).astype(np.uint16)
    low, high = np.percentile(light, (1, 99.7))
    tone = np.clip((light - low) / (high - low), 0, 1) ** rng.choice([1, 0.6, 0.45])
    picture = Image.fromarray((tone * 255).astype(np.uint8))
    for row in (2, picture.height - 14):
        ImageDraw.Draw(picture).text((4, row), "2021-12-01 22:11:05 ALLSKY EXP 20s GAIN 300", fill=255)
    grey = np.asarray(picture)
    return grey if style == 1 else np.stack([np.clip(grey * f, 0, 255) for f in (0.6, 1, 1.7)], axis=2).astype(np.uint8)


def test_it_finds_the_disc_of_cameras_it_has_never_seen() -> None:
    wrong = []
    for seed in range(100):
        pixels, circle = scene(seed)
        found = find_disc(pixels)
        if found.origin != "found" or error(found, *circle) > 0.04:
            wrong.append((seed, found.origin, round(error(found, *circle), 3)))
    assert len(wrong) <= 5, f"more than 5 % of the discs are off by more than 4 %: {wrong}"
    assert all(off < 0.10 for _, origin, off in wrong if origin == "found"), wrong


def test_it_finds_the_disc_of_simulated_skies() -> None:
    off = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        frame = draw(rng, LABELS[seed % 6], random_camera(rng, "unseen"), 256)
        off.append(error(find_disc(frame.pixels), frame.disc.x, frame.disc.y, frame.disc.radius))
    # The simulated disc is the lens's edge, up to a tenth below the horizon, where there is nothing to be seen.
    assert sum(e > 0.12 for e in off) <= 1, sorted(off)[-4:]


def blank(kind: str) -> NDArray[Any]:
    rng = np.random.default_rng(7)
    yy, xx = np.mgrid[:256, :320] + 0.5
    off = np.hypot(xx - 150, yy - 120) / 256
    light = {
        "noise": 500 + 0 * off,
        "vignette": 3000 * np.cos(np.clip(off, 0, 1.5)) ** 4,
        "gradient": 500 + 20 * xx + 3 * yy,
        "lamp": 500 + 20000 * np.exp(-off / 0.1),
        "clouds that fill the frame": 2000 + 300 * smooth(rng, (256, 320), 45),
        "an arc that fills the frame": 1500 + 1500 * np.exp(-(((xx - 150 + yy / 4) / 40) ** 2)),
        "stars": 500 + (rng.random((256, 320)) > 0.998) * 5000,
    }[kind]
    return np.clip(light + rng.normal(0, 15, light.shape), 0, 65535).astype(np.uint16)


@pytest.mark.parametrize(
    "kind",
    ["noise", "vignette", "gradient", "lamp", "clouds that fill the frame", "an arc that fills the frame", "stars"],
)
def test_where_no_disc_shows_the_whole_frame_is_used(kind: str) -> None:
    assert find_disc(blank(kind)) == Disc(160, 128, 128, "whole")


@pytest.mark.parametrize("value", [0, 51, 65535])
def test_a_frame_of_one_value_is_used_whole(value: int) -> None:
    assert find_disc(np.full((256, 256), value, np.uint16)).origin == "whole"


def test_numbers_that_are_not_finite_do_no_harm() -> None:
    pixels, circle = scene(2)
    frame = pixels.astype(np.float32)
    frame = frame if frame.ndim == 2 else frame.mean(axis=2)
    frame[:30, :30] = np.nan
    assert error(find_disc(frame), *circle) < 0.05
    assert find_disc(np.full((64, 64), np.nan, np.float32)).origin == "whole"


@pytest.mark.parametrize("shape", [(4, 4), (1, 5000), (16, 16), (17, 23), (256, 1024)])
def test_frames_of_odd_shapes_are_no_accident(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    assert find_disc(pixels).radius > 0


def test_pixels_that_are_not_square_give_the_same_circle() -> None:
    pixels, (x, y, radius) = scene(31)
    wide = np.repeat(pixels, 2, axis=1)
    assert error(find_disc(wide, 0.5), x, y, radius) < 0.04


def test_the_same_frame_gives_the_same_disc_and_is_left_as_it_was() -> None:
    pixels, _ = scene(5)
    before = pixels.copy()
    pixels.flags.writeable = False
    assert find_disc(pixels) == find_disc(pixels.copy())
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("name", sorted(CIRCLES))
def test_it_is_right_on_every_real_file(real_data: Path, name: str) -> None:
    raw = next(iter(read_frames(real_data / name)))
    disc = find_disc(raw.pixels, raw.pixel_aspect)
    measured = CIRCLES[name]
    if measured is None:
        assert disc.origin == "whole"
    else:
        assert disc.origin == "found"
        assert error(disc, measured["x"], measured["y"], measured["radius"]) < measured["tolerance"]
