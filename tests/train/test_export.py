"""What is exported gives what was trained, or is not exported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from auroramon.backends.onnx import open_session
from auroramon.errors import BundleError
from auroramon.fit import Examples, fit_mahalanobis
from train.backbones import Embedder, build_embedder
from train.embed import torch_embed
from train.export import check_graph, export_float32
from train.quantise import calibrate_ranges, plain_ranges, quantise
from train.ranges import best, measure_methods

SIZE = 32


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(5, 2, SIZE, SIZE)).astype(np.float32)


@pytest.fixture(scope="module")
def net(inputs: np.ndarray) -> Embedder:
    """Random weights, but with the batch statistics that a training would leave."""
    torch.manual_seed(3)
    net = build_embedder("slim18-8", 2, 8).train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.from_numpy(inputs))
    return net.eval()


@pytest.fixture(scope="module")
def graph(net: Embedder, inputs: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "embedder.onnx"
    assert export_float32(net, inputs, path) < 1e-4
    return path


def test_torch_and_onnx_give_the_same(net: Embedder, graph: Path, inputs: np.ndarray) -> None:
    found = open_session(graph, 2).run(None, {"inputs": inputs})[0]
    np.testing.assert_allclose(found, torch_embed(net)(inputs), atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_batch_equals_its_frames_one_by_one(graph: Path, inputs: np.ndarray, tmp_path: Path, precision: str) -> None:
    path = graph
    if precision == "int8":
        path = tmp_path / "int8.onnx"
        quantise(graph, calibrate_ranges(graph, [inputs], "minmax"), path)
    session = open_session(path, 2)
    alone = [session.run(None, {"inputs": inputs[k : k + 1]})[0] for k in range(len(inputs))]
    np.testing.assert_array_equal(np.concatenate(alone), session.run(None, {"inputs": inputs})[0])


def test_a_graph_of_other_weights_is_refused(graph: Path, inputs: np.ndarray) -> None:
    torch.manual_seed(4)
    with pytest.raises(BundleError, match=r"differs from the torch network by .*: no model is written"):
        check_graph(graph, build_embedder("slim18-8", 2, 8).eval(), inputs)


def test_a_refused_export_leaves_no_file(inputs: np.ndarray, tmp_path: Path) -> None:
    class Moody(Embedder):
        """Answers differently while it is exported: what a wrong export would look like."""

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = super().forward(inputs)
            return -found if torch.compiler.is_exporting() else found

    base = build_embedder("slim18-8", 2, 8)
    with pytest.raises(BundleError, match="no model is written"):
        export_float32(Moody(base.features, 64, 8).eval(), inputs, tmp_path / "embedder.onnx")
    assert not list(tmp_path.iterdir())


def test_the_graph_names_no_folder_of_the_machine(graph: Path) -> None:
    assert b".py" not in graph.read_bytes()
    assert str(Path(__file__).resolve().parents[2]).encode() not in graph.read_bytes()


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile"])
def test_int8_stays_close_and_its_weights_have_seven_bits(
    net: Embedder, graph: Path, inputs: np.ndarray, tmp_path: Path, method: str
) -> None:
    ranges = calibrate_ranges(graph, [inputs[:3], inputs[3:]], method)  # type: ignore[arg-type]
    path = tmp_path / "int8.onnx"
    quantise(graph, ranges, path)
    found = open_session(path, 1).run(None, {"inputs": inputs})[0]
    assert np.sum(found * torch_embed(net)(inputs), axis=1).min() > 0.9
    weights = [onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer]
    quantised = [w for w in weights if w.dtype == np.int8 and w.ndim == 4]
    assert quantised
    assert all(w.min() >= -64 and w.max() <= 64 for w in quantised)
    assert path.stat().st_size < graph.stat().st_size
    for low, high in plain_ranges(ranges).values():
        assert low <= high


def test_the_ranges_that_keep_most_labels_are_taken(graph: Path, inputs: np.ndarray) -> None:
    embeddings = open_session(graph, 1).run(None, {"inputs": inputs})[0]
    targets = np.arange(len(inputs)) % 2
    head = fit_mahalanobis(Examples(embeddings, targets, ("arc", "clear")), "tied")
    found = measure_methods(
        graph, lambda: [inputs], head, lambda path: open_session(path, 1).run(None, {"inputs": inputs})[0]
    )
    assert [kept.method for kept in found] == ["minmax", "entropy", "percentile"]
    assert all(0 <= part <= 1 and kept.frames == len(inputs) for kept in found for part in (kept.processor, kept.gpu))
    kept = [replace(found[0], processor=0.9, gpu=0.8), replace(found[1], processor=0.88, gpu=0.85)]
    assert best(kept) is kept[1]
    assert "int8 keeps 90.00% of the labels of 12 held-out frames, the GPU's int8 80.00%" in str(
        replace(kept[0], frames=12)
    )
