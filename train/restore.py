"""A network's weights from the graph in a bundle, so that another run may begin with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from auroramon.errors import ConfigError
from train.backbones import Embedder
from train.export import check_graph

MEASURED = 512
"""Frames on which the normalisation of a shipped network is measured."""


def restore(graph: Path, net: Embedder, inputs: NDArray[np.float32]) -> None:
    """Give a network the weights of an exported graph, in such a way that it can be trained on.

    The export folds each batch normalisation into the convolution before it. Here it is taken apart again: means and
    variances are measured on inputs, and scale and shift chosen so that the network gives what the graph gives.

    Args:
        graph: float32, written by train/export.py.
        net: a network of the same kind, whatever its weights; it is left in evaluation mode.
        inputs: (N,C,S,S) prepared frames on which means and variances are measured, at least two.

    Raises:
        ConfigError: the graph is that of another network.
        BundleError: the network does not give what the graph gives.
    """
    _take_weights(net.eval(), graph)
    _measure(net, torch.from_numpy(inputs))
    check_graph(graph, net, inputs[:8])


def _normalised(net: Embedder) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    """Give each convolution of the features with the normalisation that follows it."""
    parts = [(name, m) for name, m in net.features.named_modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    return [
        (f"features.{name}", convolution, norm)
        for (name, convolution), (_, norm) in zip(parts[::2], parts[1::2], strict=True)
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    ]


def _take_weights(net: Embedder, graph: Path) -> None:
    held = {i.name: numpy_helper.to_array(i) for i in onnx.load(graph).graph.initializer}
    try:
        for name, convolution, norm in _normalised(net):
            convolution.weight.data.copy_(_tensor(held[f"{name}.weight"]))
            norm.bias.data.copy_(_tensor(held[f"{name}.weight_bias"]))
            norm.running_var = torch.full_like(norm.bias.data, 1 - norm.eps)  # nothing is normalised yet
        net.project.weight.data.copy_(_tensor(held["project.weight"]))
        assert net.project.bias is not None  # noqa: S101 - a plain convolution has one
        net.project.bias.data.copy_(_tensor(held["project.bias"]))
    except (KeyError, RuntimeError) as error:
        raise ConfigError(f"{graph} is the graph of another network: its weights do not fit ({error})") from error


def _tensor(values: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(np.array(values))


def _measure(net: Embedder, inputs: Tensor) -> None:
    """Set mean and variance of every normalisation to what its convolution gives, and undo them by scale and shift."""
    given: dict[nn.Module, Tensor] = {}

    def note(module: nn.Module, _: Any, output: Tensor) -> None:
        given[module] = output

    hooks = [convolution.register_forward_hook(note) for _, convolution, _ in _normalised(net)]
    with torch.no_grad():
        net(inputs)
    for hook in hooks:
        hook.remove()
    for _, convolution, norm in _normalised(net):
        variance, mean = torch.var_mean(given[convolution], dim=(0, 2, 3))
        norm.weight.data.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.data.add_(mean)
        norm.running_mean, norm.running_var = mean, variance
