"""Which ranges of the activations serve int8 best: measured by the labels that both int8 graphs keep by themselves.

One set of ranges serves the processor's graph and the GPU's. Minima and maxima leave no value out, entropy and
percentiles cut off the rare ones: what that does to labels depends on the network, so it is tried on held-out frames.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from auroramon.backends.precisions import to_int8
from auroramon.heads import Head
from train.quantise import METHODS, Method, calibrate_ranges, plain_ranges, quantise


@dataclass(frozen=True, slots=True)
class Kept:
    """How many labels of the float32 graph the int8 graphs keep with the ranges of one method."""

    method: Method
    ranges: Any  # as `calibrate_ranges` gives them
    processor: float  # part of the held-out frames, `unknown` counted as a label
    gpu: float  # the same of the GPU's graph, run on a processor
    frames: int

    def __str__(self) -> str:
        return (
            f"{self.method} ranges: int8 keeps {self.processor:.2%} of the labels of {self.frames} held-out frames, "
            f"the GPU's int8 {self.gpu:.2%}"
        )


def measure_methods(
    graph: Path,
    training: Callable[[], Iterable[NDArray[np.float32]]],
    head: Head,
    embed: Callable[[Path], NDArray[np.float32]],
) -> list[Kept]:
    """Try every method.

    Args:
        graph: the float32 ONNX file.
        training: gives (N,C,S,S) prepared frames that the ranges are found on.
        head: what labels the embeddings.
        embed: (N,D) embeddings of the held-out frames by the graph in a file.
    """
    wanted = _labels(head, embed(graph))
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for method in METHODS:
            ranges = calibrate_ranges(graph, training(), method)
            quick, card = Path(scratch) / "int8.onnx", Path(scratch) / "gpu.onnx"
            quantise(graph, ranges, quick)
            onnx.save(to_int8(graph, plain_ranges(ranges)), card)
            processor, gpu = (float((_labels(head, embed(path)) == wanted).mean()) for path in (quick, card))
            found.append(Kept(method, ranges, processor, gpu, len(wanted)))
    return found


def best(found: Iterable[Kept]) -> Kept:
    """Give the ranges that keep most labels, both graphs counted alike; of equals the first."""
    return max(found, key=lambda kept: kept.processor + kept.gpu)


def _labels(head: Head, embeddings: NDArray[np.float32]) -> NDArray[np.str_]:
    return np.array([said.label for said in head.predict(embeddings)])
