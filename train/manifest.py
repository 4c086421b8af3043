"""A manifest: which frame of which file has which label, and what it must not be parted from.

A CSV file with one line a frame:

    file       path of the file, relative to the manifest or absolute
    index      position of the frame in its file, from 0
    label      one of the classes, or `unknown` for what is no sky
    camera     which camera took it
    night      observing night, YYYY-MM-DD; empty where it is not known
    block      frames of one block are kept together; empty: blocks are made of consecutive frames
    position   grows with time: seconds since 1970, or the number of an image in its series; empty where not known
    x,y,radius the disc of sky, in pixels; empty: found in the first frame of the file, as in serving
    grey       luma, red, green or blue: how colour becomes grey
    sun,moon   altitude of their middles, degrees, to judge by; empty where not known
    published  one letter for each published split: 1 to train on, 0 to judge by; empty where there is none
    simulated  1 where no camera took the frame; else empty
"""

from __future__ import annotations

import csv
import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import ConfigError
from auroramon.resample import ChannelRule
from auroramon.types import Disc
from train.frames import TARGETS

COLUMNS = ("file", "index", "label", "camera", "night", "block", "position", "x", "y", "radius", "grey", "sun",
           "moon", "published", "simulated")  # fmt: skip
NEEDED = frozenset({"file", "label"})
RULES: dict[str, ChannelRule] = {rule: rule for rule in get_args(ChannelRule)}


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled frame; the fields are the columns."""

    file: str
    label: str
    index: int = 0
    camera: str = "default"
    night: str = ""
    block: str = ""
    position: float | None = None
    disc: Disc | None = None
    grey: ChannelRule = "luma"
    sun: float | None = None
    moon: float | None = None
    published: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rows of a file, in its order."""

    path: Path
    rows: tuple[Row, ...]

    @property
    def digest(self) -> str:
        """sha256 of what the file says."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def file_of(self, row: Row) -> Path:
        return self.path.parent / row.file


def altitudes(given: Sequence[float | None]) -> NDArray[np.float64]:
    """Give altitudes as (N,) numbers, NaN where one is not known."""
    return np.array([np.nan if value is None else value for value in given])


def write_manifest(path: Path, rows: Sequence[Row]) -> Manifest:
    """Write a manifest, complete or not at all."""
    if not rows:
        raise ConfigError(f"there is no labelled frame for {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".tmp")
    with scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_cells(row) for row in rows)
    scratch.replace(path)
    return Manifest(path, tuple(rows))


def _cells(row: Row) -> list[object]:
    disc = ["", "", ""] if row.disc is None else [f"{v:g}" for v in (row.disc.x, row.disc.y, row.disc.radius)]
    position = "" if row.position is None else f"{row.position:.10g}"
    place = [row.file, row.index, row.label, row.camera, row.night, row.block, position]
    sky = ["" if value is None else f"{value:.6g}" for value in (row.sun, row.moon)]
    return [*place, *disc, row.grey, *sky, row.published, "1" if row.simulated else ""]


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; columns may be missing, but `file` and `label`.

    Raises:
        ConfigError: it cannot be read, or a line says what no manifest may say; the line is named.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets write the mark
            reader = csv.DictReader(file)
            columns = set(reader.fieldnames or ())
            if not columns >= NEEDED:
                raise ConfigError(f"{path} is no manifest: its header must name file and label, and may name "
                                  f"{', '.join(c for c in COLUMNS if c not in NEEDED)}")  # fmt: skip
            if unknown := sorted(columns - set(COLUMNS)):
                raise ConfigError(f"{path} is no manifest, which has no column {', '.join(unknown)}: take it out, or "
                                  f"let `python -m train prepare table` make a manifest of it")  # fmt: skip
            rows = tuple(_row(path, reader.line_num, cells) for cells in reader)
    except OSError as error:
        raise ConfigError(f"the manifest {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"the manifest {path} is no CSV file: {error}") from error
    if not rows:
        raise ConfigError(f"the manifest {path} lists no frame")
    twice, count = Counter((row.file, row.index) for row in rows).most_common(1)[0]
    if count > 1:
        raise ConfigError(f"{path} lists frame {twice[1]} of {twice[0]} {count} times: leave one line of each frame")
    return Manifest(path, rows)


def _row(path: Path, line: int, cells: dict[str, str | None]) -> Row:
    try:
        return parse_row({name: value or "" for name, value in cells.items() if name})
    except ValueError as error:
        raise ConfigError(f"{path}, line {line}: {error}") from error


def parse_row(cells: dict[str, str]) -> Row:
    """Give a row from its cells.

    Raises:
        ValueError: a cell cannot mean what its column says.
    """
    label, grey, published = cells["label"], cells.get("grey") or "luma", cells.get("published", "")
    if label not in TARGETS:
        raise ValueError(f"'{label}' is no label; the labels are {', '.join(TARGETS)}")
    if not cells["file"]:
        raise ValueError("no file is named")
    if grey not in RULES:
        raise ValueError(f"grey is '{grey}', not one of {', '.join(RULES)}")
    if set(published) - {"0", "1"}:
        raise ValueError(f"published is '{published}', which holds more than 0 and 1")
    simulated = cells.get("simulated", "")
    if simulated not in {"", "0", "1"}:
        raise ValueError(f"simulated is '{simulated}', not 1 or nothing")
    index, position, *place = (_number(name, cells.get(name, "")) for name in ("index", "position", "x", "y", "radius"))
    if index is not None and (index < 0 or index % 1):
        raise ValueError(f"index is {index:g}, and frames of a file are counted from 0")
    return Row(
        file=cells["file"],
        label=label,
        index=int(index or 0),
        camera=cells.get("camera") or "default",
        night=cells.get("night", ""),
        block=cells.get("block", ""),
        position=position,
        disc=_disc(place),
        grey=RULES[grey],
        sun=_altitude("sun", cells),
        moon=_altitude("moon", cells),
        published=published,
        simulated=simulated == "1",
    )


def _number(name: str, cell: str) -> float | None:
    """Give the number in a cell; None where it is empty."""
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name} is '{cell}', which is no number")
    return value


def _disc(place: Sequence[float | None]) -> Disc | None:
    x, y, radius = place
    if x is None and y is None and radius is None:
        return None
    if x is None or y is None or radius is None or radius <= 0:
        raise ValueError("the disc of sky needs x, y and a radius above 0, or none of the three")
    return Disc(x, y, radius, origin="configured")


def _altitude(name: str, cells: dict[str, str]) -> float | None:
    degrees = _number(name, cells.get(name, ""))
    if degrees is not None and abs(degrees) > 90:
        raise ValueError(f"{name} is {degrees:g}, and an altitude is -90 to 90 degrees")
    return degrees
