"""One network at several sizes: a line for each size and graph, with a speed."""

from __future__ import annotations

from pathlib import Path

import torch

from train.backbones import build_embedder
from train.frontier import frontier
from train.runfile import Run


def test_each_size_gets_a_line_for_each_graph(run: Run, frames: Path) -> None:
    torch.manual_seed(1)
    net = build_embedder(run.network.backbone, 2, run.network.width).eval()
    lines = frontier(run, net, frames, (24,)).splitlines()[2:]
    assert [line.split(" | ")[:2] for line in lines] == [
        [f"| {size}", graph] for size in (24,) for graph in ("float32", "int8")
    ]
    assert all(float(line.split(" | ")[-1].rstrip(" |")) > 0 for line in lines)
