"""The networks have the shapes that their names promise."""

from __future__ import annotations

import pytest
import torch

from train.backbones import build_embedder


@pytest.mark.parametrize(("name", "channels"), [("slim18-8", 2), ("resnet18", 1), ("resnet50", 3)])
def test_embeddings_are_unit_vectors_of_the_asked_width(name: str, channels: int) -> None:
    net = build_embedder(name, channels, 16).eval()
    with torch.inference_mode():
        found = net(torch.randn(2, channels, 64, 64))
    assert found.shape == (2, 16)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))


def test_slim18_with_64_channels_is_resnet18() -> None:
    def sizes(name: str) -> list[tuple[int, ...]]:
        return sorted(tuple(p.shape) for p in build_embedder(name, 3, 16).parameters())

    assert sizes("slim18-64") == sizes("resnet18")


@pytest.mark.parametrize("name", ["resnet19", "slim18-", "slim18-x", "slim18-12", ""])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="unknown backbone"):
        build_embedder(name, 2, 16)


def test_frozen_features_stay_as_they_are_while_the_last_layer_learns() -> None:
    net = build_embedder("slim18-8", 1, 6)
    net.freeze_features()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=1.0)
    net.train()
    net.logits(torch.randn(4, 1, 32, 32)).square().sum().backward()
    optimiser.step()
    changed = {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"project.weight", "project.bias"}
