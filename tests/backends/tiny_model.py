"""A whole bundle around a network of a few numbers, made in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from auroramon.backends.onnx import open_session
from auroramon.bundle import Agreement, Golden, Provenance
from auroramon.bundle_writing import BundleParts
from auroramon.heads import Clusters, MahalanobisHead
from auroramon.preprocess import PreprocessSpec

SIZE, WIDTH, LABELS = 16, 4, ("arc", "cloudy", "moon")

SPEC = PreprocessSpec(
    size=SIZE, crop=0.9, low_percentile=1, high_percentile=99, channels=("stretched", "equalised"),
    mean=(0.5, 0.5), std=(0.25, 0.25),
)  # fmt: skip


def write_graph(path: Path, seed: int = 0, width: int = WIDTH, off: float = 0.0) -> Path:
    """A convolution, the mean over the image, unit norm; its weights may be a little off, as if they were rounded."""
    rng = np.random.default_rng(seed)
    weights = {
        "w": rng.normal(size=(8, 2, 3, 3)).astype(np.float32),
        "b": rng.normal(size=8).astype(np.float32),
        "p": rng.normal(size=(width, 8, 1, 1)).astype(np.float32),
    }
    weights = {name: value + np.float32(off) * np.sin(value * 99) for name, value in weights.items()}
    nodes = [
        helper.make_node("Conv", ["inputs", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Conv", ["g", "p"], ["e"]),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("LpNormalization", ["f"], ["embeddings"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "embedder",
        [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["batch", 2, SIZE, SIZE])],
        [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", width])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def make_parts(
    folder: Path, int8: bool = False, agreement: float = 1.0, golden_seed: int = 0, near: float | None = None
) -> BundleParts:
    """A bundle's parts; the "int8" graph is the float32 one again, and a little off where it gets a second look."""
    folder.mkdir(parents=True, exist_ok=True)
    twice = None if near is None else 0.25
    off = 0.0 if near is None else 0.02
    graph = write_graph(folder / "graph.onnx")
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(4, 2, SIZE, SIZE)).astype(np.float16).astype(np.float32)
    shown = write_graph(folder / "golden.onnx", seed=golden_seed)
    embeddings = open_session(shown, 1).run(None, {"inputs": inputs})[0]
    tied = Clusters(np.eye(WIDTH)[:3], np.eye(WIDTH) * 5)
    head = MahalanobisHead(LABELS, clusters=tied, tied=tied, temperature=2.0, threshold=9.0)
    return BundleParts(
        name="tiny-1",
        preprocess=SPEC,
        head=head,
        golden=Golden(inputs, embeddings, head.judge(embeddings).scores),
        provenance=Provenance("2026-01-01T00:00:00+00:00", "0.1.0", "nothing", "0" * 64, {"fit": 1}, {"accuracy": 0.5}),
        float32=graph,
        card="# tiny-1\n",
        int8=write_graph(folder / "int8.onnx", off=off) if int8 else None,
        agreement=Agreement(agreement, 100, "frames of nothing", near, twice) if int8 else None,
        activation_ranges={"c": (-1.5, 2.0)},
    )
