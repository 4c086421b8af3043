"""From a manifest to the folder of frames that every step of a run reads, divided as the run asks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.blocks import Numbers, listing_of
from train.frames import (
    SPLITS_LEARNT,
    CameraFrames,
    pixel_digests,
    read_index,
    read_split,
    refer_to_camera,
    write_index,
)
from train.leaks import LeakError, read_judged
from train.manifest import Manifest, altitudes, read_manifest
from train.pool import Pool, pool_of, store_of
from train.runfile import SPLITS, ManifestTable, Run
from train.splits import Division, divide


def frames_of_manifest(work: Path, run: Run, progress: Callable[[int, int], None]) -> Path:
    """Give the folder with the frames of a run that names a manifest; it is written if it is not there.

    Raises:
        ConfigError: the manifest cannot be used, or cannot be divided as asked.
        FrameError: a file that it names cannot be read.
        LeakError: a judged frame has a copy or neighbour among those that are learnt from.
    """
    table = run.listed
    manifest = read_manifest(work / table.manifest)
    pool = pool_of(work, manifest, run.preprocess.spec().colour, progress)
    key = hashlib.sha256(f"{pool.digest} {run.digest('data')} {run.head.fit_on}".encode()).hexdigest()
    folder = work / f"frames-{key[:12]}"
    if read_index(folder) is None:
        _write(folder, manifest, pool, run, key)
    try:
        read_judged(folder)
    except LeakError as error:
        raise LeakError(f"{error}{_copies_named(folder, manifest, pool)}") from error
    return folder


def _copies_named(folder: Path, manifest: Manifest, pool: Pool) -> str:
    """Name the first judged frame that has a copy among those that are learnt from, and the copy."""
    judged = set(_digests(folder, ("evaluate",)).tolist())
    both = [number for number in _digests(folder, SPLITS_LEARNT).tolist() if number in judged]
    if not both:
        return ""
    rows = [manifest.rows[n] for n in np.flatnonzero(pool.digests == np.uint64(both[0]))]
    words = " and ".join(f"{row.file} (frame {row.index})" for row in rows[:2])
    return f" (the same pixels: {words}; leave one of the two out of {manifest.path})"


def _digests(folder: Path, splits: Sequence[str]) -> NDArray[np.uint64]:
    cameras = [camera for split in splits for camera in read_split(folder, split).cameras]
    return np.concatenate([pixel_digests(camera) for camera in cameras])


def _write(folder: Path, manifest: Manifest, pool: Pool, run: Run, key: str) -> None:
    table = run.listed
    listing = listing_of(manifest)
    division = divide(listing, table, heads=run.head.fit_on == "heads")
    for split in SPLITS:
        numbers: Numbers = getattr(division, split)
        for name, some in _by_unit(manifest, pool, division, numbers):
            first = some[0]
            shape = pool.shapes[first].tolist()
            refer_to_camera(folder / split / name, CameraFrames(
                camera=name,
                pixels=pool.pixels(*shape),
                targets=listing.targets[some],
                discs=pool.discs[some],
                groups=division.units[some],
                taken=pool.places[some],
                positions=listing.positions[some],
                digests=pool.digests[some],
                origin=manifest.rows[first].camera,
                sun=altitudes([manifest.rows[n].sun for n in some]),
                moon=altitudes([manifest.rows[n].moon for n in some]),
            ), store_of(pool.folder, *shape))  # fmt: skip
    write_index(folder, {
        "kind": "manifest",
        "digest": key,
        "pool": pool.digest,
        "manifest": manifest.digest,
        "data": table.model_dump(mode="json"),
        "simulated": any(row.simulated for row in manifest.rows),
        "split": division.words,
        "apart": division.apart,
        "gap": table.gap,
        "unit": _unit(table),
    })  # fmt: skip


def _by_unit(manifest: Manifest, pool: Pool, division: Division, numbers: Numbers) -> Iterator[tuple[str, Numbers]]:
    """Give the frames of a set by camera, unit and shape, each group with a name."""
    cameras = [manifest.rows[n].camera for n in numbers.tolist()]
    keys = [
        (camera, int(division.units[n]), *pool.shapes[n].tolist()) for camera, n in zip(cameras, numbers, strict=True)
    ]
    for key in sorted(set(keys)):
        camera, unit, height, width, colours = key
        plain = "".join(c if c.isalnum() or c in "_.-" else "-" for c in camera)
        chosen = np.array([k == key for k in keys])
        yield f"{plain}~{unit:04d}~{height}x{width}{'x3' if colours == 3 else ''}", numbers[chosen]


def _unit(table: ManifestTable) -> str:
    return {"nights": "night", "cameras": "camera"}.get(table.split, "block")
