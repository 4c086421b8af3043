"""Measures what labels of a station are worth: a model before and after `refit`, on simulated cameras it never saw.

    python -m benchmarks.adapt auroramon/models/simsky-6

Each camera has nights of its own: of some, a few frames of each class are labelled (a new choice each round), on all
the others the parent's head and the adapted head are judged. Frames go the way of serving: a PNG file, the reader, the
gates, the network. What a gate refuses and what is `unknown` counts as wrong. Intervals: 95 %, bootstrap over the
judged nights. `--real FOLDER` adds, as an illustration, the cameras of which FOLDER/MANIFEST.csv has several files:
each file judged by a head adapted to the others.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon.adapt import Labelled, adapt
from auroramon.backends.second_look import open_on_processor
from auroramon.bundle import load_bundle
from auroramon.cameras import Cameras
from auroramon.fit import Examples
from auroramon.heads import Head
from auroramon.labeller import Labeller
from auroramon.sim.camera import random_camera
from auroramon.sim.night import night
from auroramon.sim.writers import write_png
from auroramon.types import LABELS, FileStat
from benchmarks.machine import machine

SEED = (
    4  # of cameras and skies; training counts its cameras by (seed of the data, split, camera) and meets none of these
)
START = datetime(2025, 12, 21, 17, tzinfo=UTC)
HOURS = 10.0
REFUSED = -1


@dataclass(frozen=True, slots=True)
class Job:
    """A night to be drawn."""

    seed: int
    camera: int
    night: int


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Frames of one simulated night, or of one real file."""

    camera: str
    night: int
    embeddings: NDArray[np.float16]  # (N,D); zeros where a gate refused
    refused: NDArray[np.bool_]  # (N,)
    targets: NDArray[np.intp]  # (N,) position in LABELS


@dataclass(frozen=True, slots=True)
class Right:
    """One judged night in one round: how many frames were right."""

    unit: tuple[str, int]  # camera, night
    frames: int
    before: int
    after: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--cameras", type=int, default=3)
    parser.add_argument("--labelled-nights", type=int, default=3)
    parser.add_argument("--nights", type=int, default=6, help="on which heads are judged")
    parser.add_argument("--frames", type=int, default=60, help="of a night")
    parser.add_argument("--size", type=int, default=176, help="shorter side of a frame, pixels")
    parser.add_argument("--per-class", type=int, nargs="+", default=[1, 2, 3, 5, 10])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=4, help="of cameras and skies; training meets none of them")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--real", type=Path, help="folder of real frames with MANIFEST.csv")
    parser.add_argument("--keep", type=Path, help="keep embeddings of the simulated nights in this .npz")
    arguments = parser.parse_args()
    print(machine())
    model = load_bundle(arguments.bundle)
    nights = range(arguments.labelled_nights + arguments.nights)
    jobs = [Job(arguments.seed, camera, number) for camera in range(arguments.cameras) for number in nights]
    with ProcessPoolExecutor(arguments.processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        seen = list(pool.map(look, repeat(arguments.bundle), jobs, repeat(arguments.frames), repeat(arguments.size)))
    if arguments.keep:
        keep(seen, arguments.keep)
    print(
        f"model {model.name}; {arguments.cameras} simulated cameras left out of training, "
        f"labels from {arguments.labelled_nights} nights, judged on {arguments.nights} others of each, "
        f"{sum(len(s.targets) for s in seen if s.night >= arguments.labelled_nights)} frames, {arguments.rounds} rounds"
    )
    print("\n| labelled frames a class | before | after | gain | worst camera | least of the rounds |")
    print("|---|---|---|---|---|---|")
    for per_class in arguments.per_class:
        print(line(model.head, seen, arguments.labelled_nights, per_class, arguments.rounds))
    if arguments.real:
        print("\n" + real_table(arguments.bundle, arguments.real))


@lru_cache(maxsize=1)
def labeller(bundle: Path) -> Labeller:
    model = load_bundle(bundle)
    return Labeller(model, open_on_processor(model, "float32", threads=1), Cameras(()), batch=32)


def look(bundle: Path, job: Job, frames: int, size: int) -> Seen:
    """Draw a night of a camera, and give what the network makes of its files."""
    # Training draws its cameras from (seed, split, camera): three numbers, so none of them is one of these.
    camera = random_camera(np.random.default_rng((job.seed, job.camera)), f"adapt-{job.camera:02d}")
    begin, dice = START + timedelta(days=job.night), 100_000 * job.seed + 1000 * job.camera + job.night
    targets, files = [], []
    with tempfile.TemporaryDirectory() as folder:
        for time, label, frame in night(dice, camera, begin, HOURS, HOURS * 3600 / frames, size):
            path = Path(folder) / f"{time:%Y%m%d_%H%M%S}_adapt.png"
            write_png(path, frame, time)
            files.append(FileStat(str(path), path.stat().st_size, path.stat().st_mtime_ns))
            targets.append(LABELS.index(label))
        embeddings, refused = embedded(bundle, files)
    return Seen(camera.name, job.night, embeddings, refused, np.array(targets))


def embedded(bundle: Path, files: list[FileStat]) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """Give the embeddings of the frames of files, and which a gate refused."""
    found = [record.embedding for outcome in labeller(bundle)(files) for record in outcome.records]
    nothing = np.zeros(load_bundle(bundle).width, dtype=np.float16)
    return np.stack([nothing if x is None else x for x in found]), np.array([x is None for x in found])


def line(head: Head, seen: list[Seen], labelled_nights: int, per_class: int, rounds: int) -> str:
    """Give the row of one number of labelled frames."""
    cameras = sorted({s.camera for s in seen})
    results: list[list[Right]] = []
    for turn in range(rounds):
        rng = np.random.default_rng((per_class, turn))
        results.append(
            [right for camera in cameras for right in one_round(head, seen, camera, labelled_nights, per_class, rng)]
        )
    all_rights = [right for results_of_turn in results for right in results_of_turn]
    before, after = (part(all_rights, name) for name in ("before", "after"))
    low, high = interval(results)
    of_cameras = [gain([right for right in all_rights if right.unit[0] == camera]) for camera in cameras]
    least = min(gain(rights) for rights in results)
    return (
        f"| {per_class} | {100 * before:.1f} % | {100 * after:.1f} % | {100 * (after - before):+.1f} "
        f"({100 * low:+.1f} to {100 * high:+.1f}) | {100 * min(of_cameras):+.1f} | {100 * least:+.1f} |"
    )


def one_round(
    head: Head, seen: list[Seen], camera: str, labelled_nights: int, per_class: int, rng: np.random.Generator
) -> list[Right]:
    """Label a few frames of one camera, adapt, and judge its other nights."""
    own = [s for s in seen if s.camera == camera]
    known = [s for s in own if s.night < labelled_nights]
    x, targets = (np.concatenate([getattr(s, name) for s in known]) for name in ("embeddings", "targets"))
    groups = np.concatenate([np.full(len(s.targets), s.night) for s in known])
    usable = ~np.concatenate([s.refused for s in known])
    chosen: list[int] = []
    for k in range(len(LABELS)):
        of_class = np.flatnonzero(usable & (targets == k))
        chosen += rng.permutation(of_class)[:per_class].tolist()
    some = np.array(chosen)
    new = adapt(head, Labelled(Examples(x[some], targets[some], LABELS), groups[some]))
    return [
        Right((camera, s.night), len(s.targets), hits(head, s), hits(new, s)) for s in own if s.night >= labelled_nights
    ]


def hits(head: Head, seen: Seen) -> int:
    """Count the frames that get their label."""
    found = head.judge(seen.embeddings)
    said = np.where(seen.refused | found.refused(head.threshold), REFUSED, found.scores.argmax(axis=1))
    return int((said == seen.targets).sum())


def part(rights: list[Right], name: str) -> float:
    return float(sum(getattr(right, name) for right in rights) / sum(right.frames for right in rights))


def gain(rights: list[Right]) -> float:
    return part(rights, "after") - part(rights, "before")


def interval(results: list[list[Right]]) -> tuple[float, float]:
    """Give the 95 % interval of the gain: nights are drawn anew within each camera, all rounds of a night together."""
    units = sorted({right.unit for right in results[0]})
    gains = {u: sum(r.after - r.before for turn in results for r in turn if r.unit == u) for u in units}
    frames = {u: sum(r.frames for turn in results for r in turn if r.unit == u) for u in units}
    rng = np.random.default_rng(0)
    found = []
    for _ in range(2000):
        drawn = [units[k] for k in rng.integers(len(units), size=len(units))]
        found.append(sum(gains[u] for u in drawn) / sum(frames[u] for u in drawn))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def keep(seen: list[Seen], path: Path) -> None:
    rows = [len(s.targets) for s in seen]
    np.savez(
        path,
        embeddings=np.concatenate([s.embeddings for s in seen]),
        refused=np.concatenate([s.refused for s in seen]),
        targets=np.concatenate([s.targets for s in seen]),
        cameras=np.repeat([s.camera for s in seen], rows),
        nights=np.repeat([s.night for s in seen], rows),
    )


def real_table(bundle: Path, folder: Path) -> str:
    """Give the cameras with several files, each file judged by a head that was adapted to the others."""
    with (folder / "MANIFEST.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["accept"]]
    head = load_bundle(bundle).head
    lines = ["| real camera (illustration) | files | before | after |", "|---|---|---|---|"]
    for camera in sorted({row["camera"] for row in rows}):
        own = [row for row in rows if row["camera"] == camera]
        if len(own) >= 4:
            before, after = one_left_out(bundle, folder, head, own)
            lines.append(f"| {camera} | {len(own)} | {before:.1f} right | {after:.1f} right |")
    return "\n".join(lines)


def one_left_out(bundle: Path, folder: Path, head: Head, rows: list[dict[str, str]]) -> tuple[float, float]:
    """Give how many files are right before and after, where a file counts by the part of its frames that are right."""
    frames: list[tuple[NDArray[np.float16], NDArray[np.bool_], list[str]]] = []
    for row in rows:
        path = folder / row["file"]
        x, refused = embedded(bundle, [FileStat(str(path), path.stat().st_size, path.stat().st_mtime_ns)])
        frames.append((x, refused, row["accept"].split("|")))
    before = after = 0.0
    for judged, (x, refused, accept) in enumerate(frames):
        others = [
            (f[0][~f[1]], LABELS.index(f[2][0]), number)
            for number, f in enumerate(frames)
            if number != judged and f[2][0] in LABELS and (~f[1]).any()
        ]
        known = Examples(
            np.concatenate([o[0] for o in others]), np.concatenate([np.full(len(o[0]), o[1]) for o in others]), LABELS
        )
        groups = np.concatenate([np.full(len(o[0]), o[2]) for o in others])
        new = adapt(head, Labelled(known, groups))
        for which in (head, new):
            said = ["unknown" if gone else c.label for c, gone in zip(which.predict(x), refused, strict=True)]
            value = float(np.mean([label in accept for label in said]))
            before, after = (before + value, after) if which is head else (before, after + value)
    return before, after


if __name__ == "__main__":
    main()
