"""From a manifest to the folder of frames that every step of a run reads, divided as the run asks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from train.blocks import Numbers, listing_of
from train.frames import CameraFrames, read_index, refer_to_camera, write_index
from train.leaks import read_judged
from train.manifest import Manifest, read_manifest
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
    pool = pool_of(work, manifest, progress)
    key = hashlib.sha256(f"{pool.digest} {run.digest('data')} {run.head.fit_on}".encode()).hexdigest()
    folder = work / f"frames-{key[:12]}"
    if read_index(folder) is None:
        _write(folder, manifest, pool, run, key)
    read_judged(folder)
    return folder


def _write(folder: Path, manifest: Manifest, pool: Pool, run: Run, key: str) -> None:
    table = run.listed
    listing = listing_of(manifest)
    division = divide(listing, table, heads=run.head.fit_on == "heads")
    for split in SPLITS:
        numbers: Numbers = getattr(division, split)
        for name, some in _by_unit(manifest, pool, division, numbers):
            first = some[0]
            height, width = pool.shapes[first].tolist()
            refer_to_camera(folder / split / name, CameraFrames(
                camera=name,
                pixels=pool.pixels(height, width),
                targets=listing.targets[some],
                discs=pool.discs[some],
                groups=division.units[some],
                taken=pool.places[some],
                positions=listing.positions[some],
                digests=pool.digests[some],
                origin=manifest.rows[first].camera,
            ), store_of(pool.folder, height, width))  # fmt: skip
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
        camera, unit, height, width = key
        plain = "".join(c if c.isalnum() or c in "_.-" else "-" for c in camera)
        chosen = np.array([k == key for k in keys])
        yield f"{plain}~{unit:04d}~{height}x{width}", numbers[chosen]


def _unit(table: ManifestTable) -> str:
    return {"nights": "night", "cameras": "camera"}.get(table.split, "block")
