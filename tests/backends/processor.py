"""A runtime on this machine's processor that fills in the port to TensorRT: its plan is the ONNX graph itself.

It computes what it says, so whatever decides by figures decides by true ones; and it fails when it is told to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from auroramon.backends.runtime import Answer, Card, Compiled, Progress
from auroramon.errors import CardLostError, NoCardError, UnloadableError

CARD = Card("Pretend RTX", "sm89", "550.54", 8 * 1024**3)


@dataclass
class ProcessorRuntime:
    """Builds and runs on the processor.

    `fails` counts down: so many calls of an engine fail as a card does. `spoils` is added to every embedding.
    """

    library: str = "tensorrt_rtx"
    version: str = "1.0"
    has: Card | None = CARD
    fails: int = 0
    spoils: float = 0.0
    builds_for: tuple[str, ...] = ("sm75", "sm89", "sm120")
    refuses: bool = False  # to load any plan
    refusals: int = 0  # so many plans are not loaded
    built: list[str] = field(default_factory=list)  # targets
    loaded: int = 0
    open: int = 0  # engines not closed
    batches: list[int] = field(default_factory=list)
    while_building: Callable[[], None] = lambda: None

    def card(self) -> Card:
        if self.has is None:
            raise NoCardError("no NVIDIA driver is loaded")
        return self.has

    def targets(self, card: Card | None) -> tuple[str, ...]:
        return self.builds_for

    def compile(self, graph: bytes, target: str, timings: bytes, progress: Progress) -> Compiled:
        self.built.append(target)
        progress("building", 0.5)
        self.while_building()
        progress("building", 1.0)
        return Compiled(graph, timings + b"t")

    def load(self, plan: bytes, kernels: bytes) -> ProcessorEngine:
        if self.refuses or self.refusals:
            self.refusals = max(0, self.refusals - 1)
            raise UnloadableError(f"{self.library} {self.version} does not take the engine: it was told so")
        self.loaded += 1
        self.open += 1
        return ProcessorEngine(self, plan)


class ProcessorEngine:
    def __init__(self, runtime: ProcessorRuntime, plan: bytes) -> None:
        self._runtime = runtime
        self._session = ort.InferenceSession(plan, providers=["CPUExecutionProvider"])

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], Answer]:
        assert 1 <= len(inputs) <= 256
        self._runtime.batches.append(len(inputs))

        def finish() -> Answer:
            if self._runtime.fails:
                self._runtime.fails -= 1
                raise CardLostError("the GPU failed: it was told so")
            embedding, head = self._session.run(["embedding", "head"], {"inputs": inputs})
            spoilt = embedding + np.float32(self._runtime.spoils) * np.roll(embedding, 1, axis=1)
            return Answer(spoilt / np.linalg.norm(spoilt, axis=1, keepdims=True), head)

        return finish

    def kernels(self) -> bytes:
        return b"compiled late"

    def close(self) -> None:
        self._runtime.open -= 1
