"""The shipped model for inputs of another size, to see what such a network costs: its labels mean nothing.

Nor do its borders: int8 runs alone, without a second look by float32.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auroramon.backends.onnx import open_session
from auroramon.bundle import FLOAT32, INT8, Golden, ModelBundle
from auroramon.bundle_writing import BundleParts, write_bundle
from auroramon.heads import Head
from benchmarks.graphs import resized


def at_size(bundle: ModelBundle, size: int, folder: Path) -> ModelBundle:
    """Write the bundle with its graphs for inputs of another size; golden are those frames on which int8 agrees."""
    with tempfile.TemporaryDirectory() as scratch:
        graphs = {name: Path(scratch) / name for name in (FLOAT32, INT8) if name in bundle.files}
        for name, path in graphs.items():
            path.write_bytes(resized((bundle.folder / name).read_bytes(), size))
        inputs = np.stack([_enlarged(frame, size) for frame in bundle.golden.inputs]).astype(np.float16)
        found = {name: _embedded(path, inputs.astype(np.float32)) for name, path in graphs.items()}
        good = _agreeing(bundle.head, *found.values())
        assert good.any(), f"int8 at {size} pixels repeats no golden frame of float32: nothing can be measured"
        embeddings = found[FLOAT32][good]
        parts = BundleParts(
            name=f"{bundle.name} at {size}",
            preprocess=replace(bundle.preprocess, size=size),
            head=bundle.head,
            golden=Golden(inputs[good].astype(np.float32), embeddings, bundle.head.judge(embeddings).scores),
            provenance=bundle.provenance,
            float32=graphs[FLOAT32],
            card="# For measuring alone\n",
            int8=graphs.get(INT8),
            agreement=bundle.agreement and replace(bundle.agreement, near=None, twice=None),
        )
        return write_bundle(folder, parts)


def _enlarged(frame: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Give a frame (C,S,S) in another size."""
    planes = [Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR) for plane in frame]
    return np.stack([np.asarray(plane) for plane in planes])


def _embedded(graph: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    session = open_session(graph, threads=1)
    found: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: inputs})[0]
    return found


def _agreeing(head: Head, plain: NDArray[np.float32], other: NDArray[np.float32] | None = None) -> NDArray[np.bool_]:
    """Say of which frames int8 gives the embedding and the label of float32, as a worker demands at its start."""
    if other is None:
        return np.ones(len(plain), dtype=bool)
    same = head.judge(plain).scores.argmax(axis=1) == head.judge(other).scores.argmax(axis=1)
    return same & (np.sum(plain * other, axis=1) > 0.991)
