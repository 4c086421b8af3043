"""What looking again near a border costs and gives: pace, frames looked at again, and labels as float32 serves them.

    python -m benchmarks.second_look [BUNDLE] [--frames 2000] [--near DISTANCE] [--threads 1] [--real FOLDER]

Either graph alone, int8 with a second look by float32, and both as they are served, from all sides near a border. The
frames are simulated, the first of them those that an engine is tried on (auroramon/backends/trust.py). How far rounding
may carry an embedding stands in the bundle; --near tries another distance. What sides give in accuracy is told by
`python -m train sides` and the model card. --real takes the frames of a folder of real files instead, which lie near
borders more often than simulated ones: of each file the first ten at most.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.second_look import ProcessorBackend, SecondLookBackend
from auroramon.backends.sides import from_all_sides
from auroramon.backends.trust import simulated_inputs
from auroramon.borders import Borders
from auroramon.bundle import ModelBundle, default_bundle, load_bundle
from auroramon.cameras import Cameras
from auroramon.labeller import Labeller
from auroramon.sources.arrivals import look
from benchmarks.machine import load, machine

BATCHES = (1, 32)
OF_A_FILE = 10
ROUNDS = 3
"""How often each pace is measured, one after the other: the best counts."""

Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def main() -> None:
    """Print a line for each way to run the model on the processor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=default_bundle())
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--near", type=float, help="units of the head's distance; default: what the bundle says")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--real", type=Path, help="folder of real frames with MANIFEST.csv")
    words = parser.parse_args()
    bundle = load_bundle(words.bundle)
    near = words.near if words.near is not None else bundle.agreement and bundle.agreement.near
    if words.real:
        inputs = real_inputs(words.real, bundle)
    else:
        inputs = np.concatenate(list(simulated_inputs(bundle.preprocess, words.frames)))
    print(f"{machine()}\nbefore: {load()}")
    print(f"{bundle.name}: {len(inputs)} {'real' if words.real else 'simulated'} frames, {words.threads} threads")
    exact, quick = (OnnxBackend(bundle, precision, words.threads) for precision in ("float32", "int8"))
    ways: dict[str, ProcessorBackend] = {"float32 alone": exact, "int8 alone": quick}
    if near is None:
        print("the bundle has no second look: try a distance with --near")
    else:
        once = SecondLookBackend(replace(bundle, sides=None), near, words.threads)
        ways[f"int8, float32 within {near:.3g} of a border"] = once
    sides = bundle.sides
    served: ProcessorBackend = from_all_sides(bundle, exact)
    if sides is not None:
        ways[f"float32, {sides.count} sides within {sides.near:.3g}"] = served
        if near is not None:
            name = f"int8, float32 within {near + sides.near:.3g}, {sides.count} sides within {sides.near:.3g}"
            ways[name] = SecondLookBackend(bundle, near, words.threads)
    paces_head = " | ".join(f"frames/s, batch {n}" for n in BATCHES)
    print(f"\n| graph | {paces_head} | looked at again | labels as float32 serves them |")
    print(f"|---{'|---:' * (len(BATCHES) + 2)}|")
    borders = Borders(bundle.head)
    wanted = borders.said(served.embed(inputs))
    paces = _paces({name: way.embed for name, way in ways.items()}, inputs)
    for name, way in ways.items():
        again = 0.0 if isinstance(way, OnnxBackend) else way.look(inputs).again.mean()
        same = (borders.said(way.embed(inputs)) == wanted).mean()
        print(f"| {name} | {' | '.join(f'{pace:.0f}' for pace in paces[name])} | {again:.2%} | {same:.2%} |")
    print(f"\nafter: {load()}")


class Recorder(OnnxBackend):
    """Keeps what it is shown."""

    def __init__(self, bundle: ModelBundle) -> None:
        super().__init__(bundle, "float32", threads=1)
        self.shown: list[NDArray[np.float32]] = []

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], NDArray[np.float32]]:
        self.shown += list(inputs)
        return super().start(inputs)


def real_inputs(folder: Path, bundle: ModelBundle) -> NDArray[np.float32]:
    """Give (N,C,S,S) inputs of the files of MANIFEST.csv, of each its first frames that no gate refuses."""
    found: list[NDArray[np.float32]] = []
    with (folder / "MANIFEST.csv").open(newline="", encoding="utf-8") as table:
        names = [row["file"] for row in csv.DictReader(table) if row["accept"]]
    for name in names:
        recorder = Recorder(bundle)
        if (file := look(str(folder / name))) is not None:
            Labeller(bundle, recorder, Cameras(()), batch=32)([file])
        found += recorder.shown[:OF_A_FILE]
    return np.stack(found)


def _paces(ways: dict[str, Embed], inputs: NDArray[np.float32]) -> dict[str, list[float]]:
    """Give the frames a second of each way in each batch; ways take turns, so that what disturbs one disturbs all."""
    best = {name: [0.0] * len(BATCHES) for name in ways}
    for _ in range(ROUNDS):
        for place, batch in enumerate(BATCHES):
            for name, embed in ways.items():
                begun = time.perf_counter()
                for start in range(0, len(inputs), batch):
                    embed(inputs[start : start + batch])
                best[name][place] = max(best[name][place], len(inputs) / (time.perf_counter() - begun))
    return best


if __name__ == "__main__":
    main()
