"""The networks: what turns an input into a vector on the unit sphere."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def _declare_detection_operators() -> None:
    """Let torchvision be imported beside a torch that was built without its compiled operators.

    PyPI's torchvision belongs to the CUDA build of torch. Beside the CPU build its library is not loaded, and its
    import fails with "operator torchvision::nms does not exist", although models need no such operator.
    """
    for schema in ("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
                   "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"):  # fmt: skip
        name = schema.partition("(")[0]
        try:
            torch._C._get_schema(f"torchvision::{name}", "")
        except RuntimeError:
            _LIBRARY.define(schema)  # type: ignore[no-untyped-call]


_LIBRARY = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
_declare_detection_operators()

from torchvision.models import resnet  # noqa: E402 - after the operators are declared


class Embedder(nn.Module):
    """Features, mean over the image, a linear layer, unit norm: (N,C,S,S) to (N,D).

    The linear layer is a 1x1 convolution on the pooled features: ONNX Runtime multiplies matrices of one row and of
    many rows in different orders, convolutions always image by image, so a batch gives the same bits as single frames.
    """

    def __init__(self, features: nn.Module, channels: int, width: int) -> None:
        super().__init__()
        self.features = features
        self.project = nn.Conv2d(channels, width, kernel_size=1)
        self._frozen = False

    def forward(self, inputs: Tensor) -> Tensor:
        return functional.normalize(self.logits(inputs))

    def logits(self, inputs: Tensor) -> Tensor:
        """Give the (N,D) outputs of the last layer before they are brought to unit length."""
        pooled = self.features(inputs).mean(dim=(2, 3), keepdim=True)
        outputs: Tensor = self.project(pooled).flatten(1)
        return outputs

    def freeze_features(self) -> None:
        """Let only the last layer learn, and the running means of the others stay as they are."""
        self._frozen = True
        self.features.requires_grad_(False)

    def train(self, mode: bool = True) -> Embedder:
        super().train(mode)
        if self._frozen:
            self.features.eval()
        return self


def slim_resnet(in_channels: int, width: int, blocks: tuple[int, ...]) -> tuple[nn.Module, int]:
    """Give the trunk of a ResNet of basic blocks (He et al. 2016) that starts with `width` channels, and its output
    channels: `width` 64 and blocks (2, 2, 2, 2) is ResNet18.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, width, kernel_size=7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
    ]
    inside = width
    for stage, count in enumerate(blocks):
        outside = width * 2**stage
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(resnet.BasicBlock(inside, outside, stride, _shortcut(inside, outside, stride)))
            inside = outside
    trunk = nn.Sequential(*layers)
    _initialise(trunk)
    return trunk, inside


def _shortcut(inside: int, outside: int, stride: int) -> nn.Module | None:
    if stride == 1 and inside == outside:
        return None
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel_size=1, stride=stride, bias=False),
        nn.BatchNorm2d(outside),
    )


def _initialise(trunk: nn.Module) -> None:
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def paper_resnet(name: str, in_channels: int) -> tuple[nn.Module, int]:
    """Give the trunk of torchvision's own resnet18 or resnet50, from random weights, and its output channels."""
    net: Any = {"resnet18": resnet.resnet18, "resnet50": resnet.resnet50}[name](weights=None)
    if in_channels != 3:
        net.conv1 = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
    trunk = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3, net.layer4)
    return trunk, int(net.fc.in_features)


def build_embedder(name: str, in_channels: int, width: int) -> Embedder:
    """Give the network of a name, from random weights.

    Args:
        name: `resnet18`, `resnet50`, or `slim18-W` for ResNet18's topology with W instead of 64 channels at the start.
        in_channels: planes of an input.
        width: D, the length of an embedding.

    Raises:
        ValueError: no network has this name.
    """
    if name in {"resnet18", "resnet50"}:
        trunk, channels = paper_resnet(name, in_channels)
    elif name.startswith("slim18-") and name[7:].isdigit() and int(name[7:]) % 8 == 0:
        # With 4 channels the backward pass of torch 2.13's CPU convolutions writes beyond its memory (train/LOG.md).
        trunk, channels = slim_resnet(in_channels, int(name[7:]), (2, 2, 2, 2))
    else:
        raise ValueError(f"unknown backbone '{name}': use resnet18, resnet50 or slim18-W, W a multiple of 8")
    return Embedder(trunk, channels, width)
