"""What the second look by float32 costs and gives: pace, frames looked at twice, and labels of float32 kept.

    python -m benchmarks.second_look [BUNDLE] [--frames 2000] [--near DISTANCE] [--threads 1]

The frames are simulated, the first of them those that an engine is tried on (auroramon/backends/trust.py). How near a
border float32 looks again stands in the bundle; --near tries another distance. What the model card says of it comes
from the evaluation cameras.
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
from auroramon.bundle import default_bundle, load_bundle
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
    parser.add_argument("--threads", type=int, default=1)
    words = parser.parse_args()
    bundle = load_bundle(words.bundle)
    near = words.near if words.near is not None else bundle.agreement and bundle.agreement.near
    inputs = np.concatenate(list(simulated_inputs(bundle.preprocess, words.frames)))
    print(f"{machine()}\nbefore: {load()}")
    print(f"{bundle.name}: {len(inputs)} simulated frames, {words.threads} threads")
    exact, quick = (OnnxBackend(bundle, precision, words.threads) for precision in ("float32", "int8"))
    ways: dict[str, OnnxBackend | SecondLookBackend] = {"float32": exact, "int8 alone": quick}
    twice: NDArray[np.bool_] = np.zeros(len(inputs), dtype=bool)
    if near is None:
        print("the bundle has no second look: try a distance with --near")
    else:
        served = SecondLookBackend(bundle, near, words.threads)
        ways[f"int8, float32 within {near:.3g} of a border"] = served
        twice = served.look(inputs).twice
    print(f"\n| graph | {' | '.join(f'frames/s, batch {n}' for n in BATCHES)} | looked at twice | labels of float32 |")
    print(f"|---{'|---:' * (len(BATCHES) + 2)}|")
    borders = Borders(bundle.head)
    wanted = borders.said(exact.embed(inputs))
    paces = _paces({name: way.embed for name, way in ways.items()}, inputs)
    for name, way in ways.items():
        again = twice.mean() if isinstance(way, SecondLookBackend) else 0.0
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
