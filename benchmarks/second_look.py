"""What the second look costs and gives: pace, frames looked at twice, and labels of float32, as it is served, kept.

    python -m benchmarks.second_look [BUNDLE] [--frames 2000] [--near DISTANCE] [--sides 1|2|4|8] [--threads 1]

The frames are simulated, the first of them those that an engine is tried on (auroramon/backends/trust.py). How near a
border there is a second look, and from how many sides, stands in the bundle; --near and --sides try others. What it
gives in accuracy is told by `python -m train.sides` and by the model card.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.second_look import SecondLookBackend
from auroramon.backends.trust import simulated_inputs
from auroramon.borders import Borders
from auroramon.bundle import SIDES, SecondLook, default_bundle, load_bundle
from benchmarks.machine import load, machine

BATCHES = (1, 32)
ROUNDS = 3
"""How often each pace is measured, one after the other: the best counts."""

Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def main() -> None:
    """Print a line for each way to run the model on the processor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=default_bundle())
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--near", type=float, help="units of the head's distance; default: what the bundle says")
    parser.add_argument("--sides", type=int, choices=SIDES, help="default: what the bundle says")
    parser.add_argument("--threads", type=int, default=1)
    words = parser.parse_args()
    bundle = load_bundle(words.bundle)
    own = bundle.second_look or SecondLook(0.5, 1, 0.0)
    near, sides = words.near if words.near is not None else own.near, words.sides or own.sides
    inputs = np.concatenate(list(simulated_inputs(bundle.preprocess, words.frames)))
    print(f"{machine()}\nbefore: {load()}")
    print(f"{bundle.name}: {len(inputs)} simulated frames, {words.threads} threads")
    exact, quick = (OnnxBackend(bundle, precision, words.threads) for precision in ("float32", "int8"))
    ways: dict[str, OnnxBackend | SecondLookBackend] = {"float32 alone": exact, "int8 alone": quick}
    for first in (exact, quick):
        for count in sorted({1, sides}):
            if first is not exact or count > 1:
                name = f"{first.precision}, float32 from {count} sides within {near:.3g} of a border"
                ways[name] = SecondLookBackend(bundle.head, SecondLook(near, count, 0.0), first, exact)
    print(f"\n| graph | {' | '.join(f'frames/s, batch {n}' for n in BATCHES)} | looked at twice | labels of float32 |")
    print(f"|---{'|---:' * (len(BATCHES) + 2)}|")
    borders = Borders(bundle.head)
    served = [way for way in ways.values() if way.precision == "float32"][-1]
    wanted = borders.said(served.embed(inputs))
    paces = _paces({name: way.embed for name, way in ways.items()}, inputs)
    for name, way in ways.items():
        again = way.look(inputs).twice.mean() if isinstance(way, SecondLookBackend) else 0.0
        same = (borders.said(way.embed(inputs)) == wanted).mean()
        print(f"| {name} | {' | '.join(f'{pace:.0f}' for pace in paces[name])} | {again:.2%} | {same:.2%} |")
    print(f"\nafter: {load()}")


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
