"""The weights of an exported graph come back, as a network that can be trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from auroramon.errors import ConfigError
from train.backbones import build_embedder
from train.embed import torch_embed
from train.export import export_float32
from train.restore import restore


@pytest.fixture(scope="module")
def inputs() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(24, 2, 32, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def graph(inputs: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    net = build_embedder("slim18-8", 2, 8).train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.from_numpy(inputs))
    path = tmp_path_factory.mktemp("graph") / "embedder.onnx"
    export_float32(net.eval(), inputs, path)
    return path


def test_a_restored_network_gives_what_the_graph_gives_in_evaluation_and_in_training(
    graph: Path, inputs: np.ndarray
) -> None:
    net = build_embedder("slim18-8", 2, 8)
    restore(graph, net, inputs)
    wanted = torch_embed(net)(inputs)
    with torch.no_grad():
        trained = net.train()(torch.from_numpy(inputs)).numpy()
    # In training a batch is normalised by itself: the same frames have the means and variances that were measured.
    np.testing.assert_allclose(trained, wanted, atol=0.02)


def test_the_graph_of_another_network_is_refused(graph: Path, inputs: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="another network"):
        restore(graph, build_embedder("slim18-16", 2, 8), inputs)
