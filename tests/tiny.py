"""A whole model bundle that is made in a moment: its embedding is the frame itself, averaged to 4 x 4."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from auroramon.bundle import Agreement, Golden, ModelBundle, Provenance, Sides
from auroramon.bundle_writing import BundleParts, write_bundle
from auroramon.heads import Clusters, MahalanobisHead
from auroramon.preprocess import PreprocessSpec
from auroramon.types import LABELS

SIZE = 32
SPEC = PreprocessSpec(
    size=SIZE, crop=1.0, low_percentile=0.5, high_percentile=99.5, channels=("stretched", "equalised"),
    mean=(0.0, 0.0), std=(1.0, 1.0),
)  # fmt: skip


def write_tiny_bundle(
    folder: Path, name: str = "tiny", threshold: float = 1e6, seed: int = 0, graph: str = "tiny",
    near: float | None = None, sides: Sides | None = None,
) -> ModelBundle:  # fmt: skip
    """Write a bundle whose labels depend on the picture and on nothing else; another graph is another network.

    With `near` it has an int8 graph, which is the float32 one again, and a second look.
    """
    graph_file = folder.parent / f".{folder.name}.onnx"
    folder.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(_graph(graph), graph_file)
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((len(LABELS), 16)) * 0.1 + 0.25
    clusters = Clusters(means, np.eye(16) * 50)
    head = MahalanobisHead(LABELS, clusters, clusters, temperature=1.0, threshold=threshold)
    inputs = np.random.default_rng(1).random((4, 2, SIZE, SIZE)).astype(np.float16).astype(np.float32)
    session = ort.InferenceSession(str(graph_file), providers=["CPUExecutionProvider"])
    embeddings = session.run(None, {"frames": inputs})[0]
    parts = BundleParts(
        name=name, preprocess=SPEC, head=head, float32=graph_file, card="# A model for tests\n",
        golden=Golden(inputs, embeddings, head.judge(embeddings).scores),
        provenance=Provenance("2026-01-01T00:00:00+00:00", "test", "nothing", "0", {}, {}),
        int8=None if near is None else graph_file,
        agreement=None if near is None else Agreement(0.9987, 800, "frames of nothing", near, 0.0525), sides=sides,
    )  # fmt: skip
    bundle = write_bundle(folder, parts)
    graph_file.unlink()
    return bundle


def _graph(name: str) -> onnx.ModelProto:
    def constant(name: str, values: list[int]) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, dtype=np.int64), name)

    nodes = [
        helper.make_node("Slice", ["frames", "zero", "one", "axis"], ["grey"]),
        helper.make_node("AveragePool", ["grey"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("LpNormalization", ["flat"], ["embedding"], axis=1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["n", 2, SIZE, SIZE])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 16])],
        [constant("zero", [0]), constant("one", [1]), constant("axis", [1])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
