"""A folder in the layout of OATH v1.1 with the published labels and simulated images: one scene for each label run.

Its frames are consecutive, as the published ones are: what a random split is worth on such data can be measured
without the real images. Every image is simulated; the tables are copied from the folder that holds the labels.
"""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auroramon.errors import ConfigError
from auroramon.preprocess import PreprocessSpec, extract_sky, to_input
from auroramon.sim.camera import SimCamera, random_camera
from auroramon.sim.geometry import SkyGeometry, sky_geometry
from auroramon.sim.light import Drawn, Scene, render
from auroramon.sim.scene import TRIES, VISIBLE, finish, measure, random_scene
from auroramon.sim.sky import turned
from auroramon.sim.station import Station, station
from train.oath_layout import CLASSES, CROP, NOTE, PERMUTATIONS, PLAIN, TURNED, OathImage, read_classes, table_of
from train.workers import drawing_pool

STATIONS = 6
STAY = 8  # runs that follow each other at one station, on average
CADENCE_S = 30.0
SIZE = 256  # pixels of a published image


@dataclass(frozen=True, slots=True)
class _Plan:
    """One label run: one scene of one camera."""

    folder: Path
    images: tuple[OathImage, ...]
    seed: int
    camera: int
    native: int  # shorter side of the simulated frames, pixels
    rotated: bool


def simulate_oath(
    labels: Path,
    to: Path,
    seed: int,
    native: int,
    rotated: bool,
    processes: int,
    progress: Callable[[int, int], None],
) -> int:
    """Write such a folder and give the number of images; those that are there already are kept.

    Args:
        labels: folder with the published tables.
        to: the new folder.
        seed: of cameras and scenes.
        native: shorter side of the frames before they are cropped and scaled as the published ones were.
        rotated: write the rotated copies too.
        processes: that draw at the same time.
        progress: called with label runs done and in all.

    Raises:
        ConfigError: the tables are not those of OATH, or the new folder holds real images.
    """
    images = read_classes(labels)
    if (to / PLAIN).exists() and not (to / NOTE).exists():
        raise ConfigError(f"{to} holds images that were not simulated by this command: name another folder")
    note = (
        f"Every image in this folder is simulated (seed {seed}, drawn at {native} pixels). The labels are those of\n"
        "OATH v1.1, L. Clausen and H. Nickisch, CC BY 4.0: one simulated scene for each run of equal labels, its\n"
        "frames consecutive.\n"
    )
    if (to / NOTE).exists() and (to / NOTE).read_text(encoding="utf-8") != note:
        raise ConfigError(f"{to} holds images of another seed or size, see {to / NOTE}: name another folder, or give "
                          f"the same --seed and --native to go on there")  # fmt: skip
    for folder in (PLAIN, *((TURNED,) if rotated else ())):
        (to / folder).mkdir(parents=True, exist_ok=True)
    (to / NOTE).write_text(note, encoding="utf-8")
    for name in (CLASSES, PERMUTATIONS):
        if table_of(labels, name).resolve() != (to / name).resolve():
            shutil.copyfile(table_of(labels, name), to / name)
    plans = _plans(to, images, seed, native, rotated)
    if processes == 1:
        _count(map(_write_run, plans), len(plans), progress)
    else:
        with drawing_pool(processes) as pool:
            _count(pool.map(_write_run, plans), len(plans), progress)
    return len(images)


def _count(written: Iterator[None], total: int, progress: Callable[[int, int], None]) -> None:
    for done, _ in enumerate(written, start=1):
        progress(done, total)


def _plans(to: Path, images: list[OathImage], seed: int, native: int, rotated: bool) -> list[_Plan]:
    rng = np.random.default_rng((seed, 285))
    plans, camera = [], 0
    for number, (_, run) in enumerate(groupby(images, key=lambda image: image.label)):
        if rng.random() < 1 / STAY:
            camera = int(rng.integers(STATIONS))
        plans.append(_Plan(to, tuple(run), seed * 1000 + number, camera, native, rotated))
    return plans


def _write_run(plan: _Plan) -> None:
    """Draw the frames of a run that are not there yet."""
    missing = [image for image in plan.images if not (plan.folder / image.name(plan.rotated)).exists()]
    if not missing:
        return
    camera = _camera(plan.seed // 1000, plan.camera)
    geometry, place = sky_geometry(camera, plan.native), station(camera, plan.native)
    rng = np.random.default_rng((plan.seed, 1))
    label = plan.images[0].label
    scene, more = _visible_scene(rng, label, geometry, place)
    wind = rng.normal(0, 0.004, 2)
    spec = PreprocessSpec(SIZE, CROP, 0.5, 99.5, ("stretched",), (0.0,), (1.0,))
    for number, image in enumerate(plan.images):
        drawn = _brighter(render(geometry, place, _later(scene, number * CADENCE_S, wind)), more)
        dice = np.random.default_rng((plan.seed, 2, number))
        frame = finish(dice, geometry, place, label, drawn, measure(geometry, place, label, drawn))
        if image in missing:
            sky = to_input(extract_sky(frame.pixels, 1.0, frame.disc, spec), spec)[0]
            _write_green(plan.folder / image.name(False), np.rint(sky * 65535).astype(np.uint16))
            if plan.rotated:
                turned = _turned(sky, image.angle)
                _write_green(plan.folder / image.name(True), np.rint(turned * 65535).astype(np.uint16))


def _camera(seed: int, number: int) -> SimCamera:
    """Give one of the stations' cameras: white light, raw counts of 16 bits, as THEMIS has them."""
    rng = np.random.default_rng((seed, number))
    while True:
        camera = random_camera(rng, f"oath{number}")
        if camera.band == "white" and camera.style == "raw":
            return camera


def _visible_scene(
    rng: np.random.Generator, label: str, geometry: SkyGeometry, place: Station
) -> tuple[Scene, np.float32]:
    """Give a scene that shows its class, and by how much its aurora must be brightened for that."""
    best: tuple[float, Scene, np.float32] | None = None
    for _ in range(TRIES):
        scene = random_scene(rng, label, geometry, place)
        scene = replace(scene, sky=replace(scene.sky, satellites=0))  # one would stand still from frame to frame
        drawn, more = render(geometry, place, scene), np.float32(0)
        seen = measure(geometry, place, label, drawn)["visible"]
        if drawn.aurora is not None and 0 < seen < 1.5 * VISIBLE[label]:
            more = np.float32(min(1.8 * VISIBLE[label] / seen, 6.0) - 1)
            seen = measure(geometry, place, label, _brighter(drawn, more))["visible"]
        if best is None or seen - VISIBLE[label] > best[0]:
            best = (seen - VISIBLE[label], scene, more)
        if best[0] >= 0:
            break
    assert best is not None  # noqa: S101 - TRIES is positive
    return best[1], best[2]


def _brighter(drawn: Drawn, more: np.float32) -> Drawn:
    """Aurora only adds light: a stronger one of the same form needs no new drawing."""
    if drawn.aurora is None or more <= 0:
        return drawn
    return replace(drawn, total=drawn.total + more * drawn.aurora, aurora=(1 + more) * drawn.aurora)


def _later(scene: Scene, t: float, wind: NDArray[np.float64]) -> Scene:
    """Give the same sky some seconds later: the stars turn, clouds drift, the Moon goes on, aurora moves."""
    sky = turned(scene.sky, t)
    clouds, moon = scene.clouds, scene.moon
    if clouds:
        clouds = replace(clouds, east=clouds.east + float(wind[0]) * t, north=clouds.north + float(wind[1]) * t)
    if moon:
        moon = replace(moon, azimuth_deg=moon.azimuth_deg + t / 240)
    return replace(scene, sky=sky, clouds=clouds, moon=moon, t=scene.t + t)


def _turned(sky: NDArray[np.float32], angle: int) -> NDArray[np.float32]:
    turned = Image.fromarray(sky).rotate(angle, Image.Resampling.BILINEAR)
    return np.asarray(turned, dtype=np.float32)


def _write_green(path: Path, counts: NDArray[np.uint16]) -> None:
    """Write a 16-bit RGB PNG with red and blue zero; Pillow writes no such file."""
    height, width = counts.shape
    rgb = np.zeros((height, width, 3), dtype=">u2")
    rgb[..., 1] = counts
    lines = np.zeros((height, 1 + width * 6), dtype=np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = rgb.view(np.uint8).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n"]
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 1)), (b"IEND", b"")):
        parts.append(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    partial = path.with_name(path.name + ".tmp")
    partial.write_bytes(b"".join(parts))
    partial.replace(path)
