"""The graph that an engine is compiled from says what the embedder and NumPy's head say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from auroramon.backends.graph import EnginePrecision, engine_graph, head_numbers
from auroramon.backends.precisions import to_half
from auroramon.bundle import ModelBundle, default_bundle, load_bundle
from auroramon.bundle_writing import write_bundle
from auroramon.errors import BundleError
from auroramon.heads import Clusters, Head, MahalanobisHead, RidgeHead
from tests.backends.tiny_model import LABELS, SIZE, WIDTH, make_parts
from tests.tiny import write_tiny_bundle


@pytest.fixture(scope="module")
def shipped() -> ModelBundle:
    return load_bundle(default_bundle())


def answer(graph: bytes, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["inputs"]
    embedding, head = session.run(["embedding", "head"], {"inputs": inputs})
    return embedding, head


@pytest.mark.parametrize(("precision", "cosine"), [("float32", 0.999999), ("fp16", 0.9999), ("int8", 0.99)])
def test_the_graph_of_the_shipped_model_agrees_with_its_golden_frames(
    shipped: ModelBundle, precision: EnginePrecision, cosine: float
) -> None:
    embedding, head = answer(engine_graph(shipped, precision), shipped.golden.inputs)
    assert embedding.dtype == head.dtype == np.float32
    assert np.sum(embedding * shipped.golden.embeddings, axis=1).min() > cosine
    np.testing.assert_allclose(head, head_numbers(shipped.head, embedding), rtol=1e-4, atol=1e-3)
    labels = shipped.head.judge(embedding).scores.argmax(axis=1)
    np.testing.assert_array_equal(labels, shipped.golden.scores.argmax(axis=1))


def heads() -> dict[str, Head]:
    rng = np.random.default_rng(5)

    def spread(classes: int) -> np.ndarray:
        root = rng.normal(size=(classes, WIDTH, WIDTH))
        return root @ root.transpose(0, 2, 1) + np.eye(WIDTH)

    means = rng.normal(size=(3, WIDTH))
    tied = Clusters(means, spread(1)[0])
    own = Clusters(means, spread(3))
    return {
        "ridge": RidgeHead(LABELS, rng.normal(size=(3, WIDTH)), rng.normal(size=3), tied, 1.0, 9.0),
        "tied": MahalanobisHead(LABELS, tied, tied, 2.0, 9.0),
        "per class": MahalanobisHead(LABELS, own, tied, 2.0, 9.0),
    }


@pytest.mark.parametrize("kind", ["ridge", "tied", "per class"])
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_every_head_says_in_the_graph_what_it_says_in_numpy(tmp_path: Path, kind: str, frames: int) -> None:
    head = heads()[kind]
    parts = make_parts(tmp_path / "parts")
    golden = replace(parts.golden, scores=head.judge(parts.golden.embeddings).scores)
    bundle = write_bundle(tmp_path / "tiny", replace(parts, head=head, golden=golden))
    inputs = np.random.default_rng(2).normal(size=(frames, 2, SIZE, SIZE)).astype(np.float32)
    embedding, numbers = answer(engine_graph(bundle, "float32"), inputs)
    assert numbers.shape == (frames, 3)
    np.testing.assert_allclose(numbers, head_numbers(head, embedding), rtol=1e-4, atol=1e-4)


def test_a_graph_whose_tensors_are_already_called_so_is_no_trouble(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")  # its output is called `embedding`, its input `frames`
    embedding, _ = answer(engine_graph(bundle, "float32"), bundle.golden.inputs)
    np.testing.assert_allclose(embedding, bundle.golden.embeddings, atol=1e-6)


def test_half_precision_ends_before_the_norm_and_the_head(shipped: ModelBundle) -> None:
    model = onnx.load_from_string(engine_graph(shipped, "fp16"))
    weights = {w.name: w.data_type for w in model.graph.initializer}
    last = [node for node in model.graph.node if node.op_type == "Conv"][-1]
    assert {weights[name] for node in model.graph.node if node.op_type == "Conv" for name in node.input[1:]} == {
        onnx.TensorProto.FLOAT16
    }
    (cast,) = [node for node in model.graph.node if list(node.input) == list(last.output)]
    assert cast.op_type == "Cast"
    assert weights["head_means"] == onnx.TensorProto.FLOAT
    assert not [name for name in weights if name not in {i for node in model.graph.node for i in node.input}]


def test_weights_beyond_half_precision_are_refused_by_name(tmp_path: Path) -> None:
    parts = make_parts(tmp_path / "parts")
    model = onnx.load(parts.float32)
    first = model.graph.initializer[0]
    large = onnx.numpy_helper.to_array(first) * np.float32(1e6)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(large, first.name))
    with pytest.raises(BundleError, match="weights w of the model are too large for float16"):
        to_half(model)


def test_int8_has_zero_points_of_zero_and_biases_in_float32(shipped: ModelBundle) -> None:
    model = onnx.load_from_string(engine_graph(shipped, "int8"))
    values = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    assert len(pairs) > 20
    for node in pairs:
        assert values[node.input[2]].dtype == np.int8
        assert not values[node.input[2]].any()
    assert not [name for name, value in values.items() if value.dtype == np.int32]


def test_int8_without_calibration_ranges_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    with pytest.raises(BundleError, match=r"no calibration ranges.*use precision fp16"):
        engine_graph(bundle, "int8")


def test_the_same_model_gives_the_same_graph(shipped: ModelBundle) -> None:
    assert engine_graph(shipped, "fp16") == engine_graph(shipped, "fp16")
