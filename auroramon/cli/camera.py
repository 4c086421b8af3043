"""`auroramon camera`: see what the model sees."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auroramon.cli.options import config_option, settings_of
from auroramon.cli.params import utc_text
from auroramon.cli.tables import console, new_table
from auroramon.errors import ConfigError, FrameError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auroramon.config import CameraSettings, Settings
    from auroramon.preprocess import PreprocessSpec
    from auroramon.times import FrameTime
    from auroramon.types import Disc, RawFrame


@click.group(short_help="See what the model sees of a camera's frame.")
def camera() -> None:
    """Cameras: what is configured, and what becomes of their frames before the model sees them."""


@camera.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
@config_option
def list_cameras(config: Path | None, as_json: bool) -> int:
    """List the configured cameras."""
    settings = settings_of(config)
    if as_json:
        click.echo(json.dumps([found.model_dump(mode="json") for found in settings.camera], indent=1))
        return 0
    if not settings.camera:
        click.echo("no camera is configured: `auroramon init FOLDER` writes a configuration")
        return 0
    table = new_table()
    for name in ("camera", "position", "cadence", "disc", "folder"):
        table.add_column(name, no_wrap=name != "folder", overflow="fold")
    for found in settings.camera:
        table.add_row(
            found.name, _position(found), "-" if found.cadence_s is None else f"{found.cadence_s:g} s", _disc(found),
            f"{found.folder or '-'} {' '.join(found.patterns)}".strip(),
        )  # fmt: skip
    console().print(table)
    return 0


def _position(found: CameraSettings) -> str:
    if found.latitude is None or found.longitude is None:
        return "-"
    north, east = found.latitude, (found.longitude + 180) % 360 - 180
    return f"{abs(north):g}°{'N' if north >= 0 else 'S'} {abs(east):g}°{'E' if east >= 0 else 'W'}"


def _disc(found: CameraSettings) -> str:
    if found.disc == "auto":
        return "found in each file"
    return f"{found.disc.x:g}, {found.disc.y:g}, radius {found.disc.radius:g}"


@dataclass(frozen=True, slots=True)
class Seen:
    """One frame of a file, and what was made of it."""

    raw: RawFrame
    camera: CameraSettings
    disc: Disc
    mask: NDArray[np.bool_] | None
    when: FrameTime
    sun: float | None  # altitude in degrees; None without a position
    refusal: str  # of a gate, or ""


@camera.command("preview")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--camera", "name", metavar="NAME", help="Take it for a frame of this configured camera.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="PNG to write  [default: FILE_preview.png]"
)
@click.option("--index", type=click.IntRange(min=0), default=0, show_default=True, help="Which frame of the file.")
@config_option
def preview(config: Path | None, file: Path, name: str | None, output: Path | None, index: int) -> int:
    """Draw disc, mask and the model's input of a frame of FILE as a PNG, and say what was made of it."""
    from auroramon.assemble import bundle_of
    from auroramon.preview import render

    settings = settings_of(config)
    spec = bundle_of(settings).preprocess
    seen = _look(settings, spec, file, name, index)
    raw, disc = seen.raw, seen.disc
    title = f"{file.name}[{index}]   {seen.camera.name}   {utc_text(seen.when.time)} by its {seen.when.source}"
    picture = render(raw.pixels, raw.pixel_aspect, disc, seen.mask, spec, seen.camera.channel, title)
    target = output or Path(f"{file.name.split('.')[0]}_preview.png")
    try:
        picture.save(target, "PNG")
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror}") from None
    sun = "not known: the camera has no position" if seen.sun is None else f"{seen.sun:.1f}° high"
    for what, text in (
        ("frame", f"{file}[{index}], {raw.pixels.shape[1]}x{raw.pixels.shape[0]} {raw.pixels.dtype}"),
        ("camera", seen.camera.name),
        ("time", f"{utc_text(seen.when.time)}, from the {seen.when.source}"),
        ("Sun", sun),
        ("disc", f"{disc.origin}: centre {disc.x:.1f}, {disc.y:.1f}, radius {disc.radius:.1f} pixels"),
        ("gates", f"labelled unknown without the model: {seen.refusal}" if seen.refusal else "let it pass"),
        ("picture", str(target)),
    ):
        click.echo(f"{what:<8} {text}")
    return 0


def _look(settings: Settings, spec: PreprocessSpec, file: Path, name: str | None, index: int) -> Seen:
    """Do with one frame what the labeller does before the network sees it.

    Raises:
        ConfigError: no such camera is configured, or its mask does not fit.
        FrameError, NotReadyError, MissingPartError: the file does not give the frame.
    """
    from auroramon import gates
    from auroramon.masks import load_mask
    from auroramon.preprocess import extract_sky
    from auroramon.sky import sun_altitude
    from auroramon.times import time_of

    first, raw = _frames(file, index)
    own = _camera_of(settings, file, name, first)
    disc = _disc_of(own, first)
    when = time_of(raw, str(file), file.stat().st_mtime_ns, own.time_from, own.time_pattern, own.utc_offset_hours)
    mask = load_mask(own.mask, raw.pixels.shape[:2]) if own.mask else None
    sun = None
    if own.latitude is not None and own.longitude is not None:
        sun = sun_altitude(when.time, own.latitude, own.longitude)
    refusal = gates.daylight(sun, own.sun_below_deg) if sun is not None else ""
    refusal = refusal or gates.shape(raw.pixels, raw.pixel_aspect)
    if not refusal:
        sky = extract_sky(raw.pixels, raw.pixel_aspect, disc, spec, own.channel, mask)
        refusal = gates.refuse(raw.pixels, sky)
    return Seen(raw, own, disc, mask, when, sun, refusal)


def _frames(file: Path, index: int) -> tuple[RawFrame, RawFrame]:
    """Give the first frame of a file, which names the camera and shows the disc, and the one asked for."""
    from auroramon.readers import read_frames

    first, count = None, 0
    for raw in read_frames(file):
        first = first or raw
        if raw.index == index:
            return first, raw
        count += 1
    raise FrameError(f"{file} has no frame {index}: there are {count}, counted from 0")


def _camera_of(settings: Settings, file: Path, name: str | None, first: RawFrame) -> CameraSettings:
    """Give the camera of that name, else the one whose folder or header says so."""
    from auroramon.archive import owner_of_files
    from auroramon.cameras import Cameras
    from auroramon.types import FileStat

    cameras = Cameras(settings.camera)
    if name is not None:
        if name not in {configured.name for configured in settings.camera}:
            known = ", ".join(configured.name for configured in settings.camera) or "none"
            raise ConfigError(f"no camera {name!r} is configured (there are: {known})")
        return cameras.named(name)
    status = file.stat()
    owner = owner_of_files(cameras)(str(file))
    return cameras.of_frame(FileStat(str(file), status.st_size, status.st_mtime_ns, owner), first)


def _disc_of(own: CameraSettings, first: RawFrame) -> Disc:
    from auroramon.disc import find_disc
    from auroramon.types import Disc

    if own.disc == "auto":
        return find_disc(first.pixels, first.pixel_aspect)
    return Disc(own.disc.x, own.disc.y, own.disc.radius, "configured")
