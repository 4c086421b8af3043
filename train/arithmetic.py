"""Steps of an optimiser in full or half precision, on the CPU or on CUDA."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from auroramon.errors import ConfigError
from train.runfile import FitTable

HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def device_of(wish: str) -> str:
    """Give `cuda` or `cpu`, for `auto` whichever is there.

    Raises:
        ConfigError: CUDA is asked for, and there is none.
    """
    there = torch.cuda.is_available()
    if wish == "cuda" and not there:
        raise ConfigError("--device cuda: this PyTorch finds no CUDA card; take cpu, or a PyTorch with CUDA")
    return wish if wish != "auto" else "cuda" if there else "cpu"


class Stepper:
    """An optimiser, and the precision in which a network is run before it steps."""

    def __init__(self, table: FitTable, parameters: Iterable[nn.Parameter], device: torch.device) -> None:
        learning = [parameter for parameter in parameters if parameter.requires_grad]
        self.optimiser = _optimiser(table, learning)
        auto = "bfloat16" if device.type == "cuda" else "float32"
        self._half = HALF.get(auto if table.arithmetic == "auto" else table.arithmetic)
        self._device = device.type
        # float16 loses small gradients; bfloat16 and float32 do not.
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._half is torch.float16)

    def autocast(self) -> torch.autocast:
        """Give the context in which the network is run."""
        return torch.autocast(self._device, dtype=self._half or torch.bfloat16, enabled=self._half is not None)

    def set_rate(self, rate: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def step(self, loss: Tensor) -> None:
        """Move every parameter down the gradient of a loss."""
        self.optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.step(self.optimiser)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        return {"optimiser": self.optimiser.state_dict(), "scaler": self._scaler.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        self.optimiser.load_state_dict(state["optimiser"])
        self._scaler.load_state_dict(state["scaler"])


def _optimiser(table: FitTable, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if table.optimiser == "sgd":
        return torch.optim.SGD(parameters, table.lr, momentum=table.momentum, weight_decay=table.weight_decay)
    kind = torch.optim.Adam if table.optimiser == "adam" else torch.optim.AdamW
    return kind(parameters, lr=table.lr, weight_decay=table.weight_decay)
