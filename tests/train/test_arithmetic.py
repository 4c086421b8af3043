"""Steps in half precision move a network as steps in full precision do, and a stop does not show."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from auroramon.errors import ConfigError
from train.arithmetic import Stepper, device_of
from train.runfile import FitTable, Run


def table(run: Run, **change: object) -> FitTable:
    return run.fit.model_copy(update={"lr": 0.05, **change})


def trained(fit: FitTable, steps: int, stop: int | None = None) -> torch.Tensor:
    """The weights of a line fitted to y = 3 x, after some steps, taken up again from a saved state after `stop`."""
    torch.manual_seed(0)
    net = nn.Linear(1, 1)
    stepper = Stepper(fit, net.parameters(), torch.device("cpu"))
    x = torch.linspace(-1, 1, 32)[:, None]
    for step in range(steps):
        if step == stop:
            state = stepper.state()
            stepper = Stepper(fit, net.parameters(), torch.device("cpu"))
            stepper.load(state)
        with stepper.autocast():
            found = net(x)
        stepper.step((found.float() - 3 * x).square().mean())
    return net.weight.detach().clone()


@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_every_optimiser_learns_in_every_precision(run: Run, arithmetic: str, optimiser: str) -> None:
    rate = 0.2 if optimiser == "sgd" else 0.1
    fit = table(run, arithmetic=arithmetic, optimiser=optimiser, momentum=0.5, lr=rate)
    assert float(trained(fit, 150)) == pytest.approx(3, abs=0.05)


@pytest.mark.parametrize("arithmetic", ["float32", "float16"])
def test_a_saved_state_goes_on_as_if_nothing_had_happened(run: Run, arithmetic: str) -> None:
    fit = table(run, arithmetic=arithmetic, optimiser="sgd", momentum=0.9)
    assert torch.equal(trained(fit, 12), trained(fit, 12, stop=5))


def test_what_is_frozen_is_not_handed_to_the_optimiser(run: Run) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    net[0].requires_grad_(False)
    stepper = Stepper(table(run), net.parameters(), torch.device("cpu"))
    assert sum(p.numel() for group in stepper.optimiser.param_groups for p in group["params"]) == 3
    stepper.set_rate(0.125)
    assert [group["lr"] for group in stepper.optimiser.param_groups] == [0.125]


def test_a_card_that_is_not_there_is_no_silent_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto") == device_of("cpu") == "cpu"
    with pytest.raises(ConfigError, match="finds no CUDA card"):
        device_of("cuda")
