"""Where a backfill on one backend is held up: by workers that decode, by the network, or by the one that commits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from auroramon.assemble import make_labeller
from auroramon.config import load_settings
from auroramon.drafts import STAGES
from auroramon.types import FileStat
from benchmarks.pace import run_backfill
from benchmarks.stages import DISC, stage_costs, write_config

NETWORK_S = 2.0  # the network alone is measured so long
HEADER = (
    "| backend | workers | steady frames/s | whole frames/s | core-ms | decoding at most | network at most | "
    "committing at most | the least |"
)


class Feeding:
    """Measures a backfill end to end beside its parts, each alone.

    Args:
        scratch: where databases go.
        archive: THEMIS minutes.
        backend: "onnx", "onnx-cuda" or "tensorrt"; on a GPU all workers share the card.
        precision: of it, or "auto".
    """

    def __init__(self, scratch: Path, archive: Path, backend: str, precision: str) -> None:
        self.scratch, self.archive = scratch, archive
        self.model = {"backend": backend, "precision": precision}

    def table(self, files: Sequence[FileStat], counts: Sequence[int], cores: int) -> str:
        """Give a line for each number of workers, with what each part could do at most, and which of them is least."""
        costs = stage_costs(self._config("parts"), self.model["precision"], files, self.model["backend"])
        batch, network = self._network()
        on_card = self.model["backend"] != "onnx"
        decode_ms = sum(costs[name] for name in STAGES if name != "embed" or not on_card)
        lines = [
            f"network alone: {network:.0f} frames/s in batches of {batch}\n",
            HEADER,
            "|---|---:|---:|---:|---:|---:|---:|---:|---|",
        ]
        for workers in counts:
            most = {
                "decoding": min(workers, cores) * 1e3 / decode_ms,  # on a processor the network's time is part of it
                "network": network if on_card else float("inf"),
                "committing": 1e3 / costs["commit"],
            }
            config = self._config(f"workers-{workers}")
            pace = run_backfill(self.archive, config, self.model["precision"], workers, backend=self.model["backend"])
            limits = " | ".join("as decoding" if np.isinf(value) else f"{value:.0f}" for value in most.values())
            lines.append(
                f"| {self.model['backend']} | {workers} | {pace.steady:.0f} | {pace.whole:.0f} | {pace.core_ms:.2f} | "
                f"{limits} | {min(most, key=lambda name: most[name])} |"
            )
        return "\n".join(lines)

    def _network(self) -> tuple[int, float]:
        """Give the batch of the labeller, and the frames a second that its network makes of it on this machine."""
        labeller = make_labeller(load_settings(self._config("network"), {"model": self.model}), 1, patience="wait")
        with closing(labeller.backend) as backend:
            inputs = np.resize(
                labeller.bundle.golden.inputs, (labeller.batch, *labeller.bundle.golden.inputs.shape[1:])
            )
            backend.embed(inputs)
            began, done = time.perf_counter(), 0
            while (passed := time.perf_counter() - began) < NETWORK_S:
                backend.embed(inputs)
                done += len(inputs)
        return labeller.batch, done / passed

    def _config(self, name: str) -> Path:
        disc = f"{{ x = {DISC[0]}, y = {DISC[1]}, radius = {DISC[2]} }}"
        return write_config(self.scratch, f"feeding-{name}", disc)
