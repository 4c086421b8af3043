"""What a library must do so that engines can be built and run: the narrow side towards TensorRT, CUDA and the card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Library = Literal["tensorrt", "tensorrt_rtx"]

LIVE, USUAL, MOST = 1, 16, 256
"""Frames of the two optimisation profiles of every engine: one alone, and up to MOST at once, tuned for USUAL.

A task of an archive is some 64 frames, and only between its batches can frames be prepared while the card works: with
USUAL frames in a batch that is three quarters of them.
"""

Progress = Callable[[str, float], None]
"""Told what is being done, and what part of the whole is done, 0..1."""


@dataclass(frozen=True, slots=True)
class Card:
    """An NVIDIA GPU of this machine."""

    name: str  # as the driver calls it
    capability: str  # compute capability: "sm89"
    driver: str  # its version
    memory: int  # bytes


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a build gives."""

    plan: bytes
    timings: bytes  # measured kernels, which make the next build on this machine quicker; b"" where there are none


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What an engine says of N frames."""

    embedding: NDArray[np.float32]  # (N,D)
    head: NDArray[np.float32]  # (N,K), see backends.graph.head_numbers


class Engine(Protocol):
    """A loaded plan. May be called from several threads."""

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], Answer]:
        """Begin with (N,C,S,S) inputs, N from 1 to MOST, and give what waits for the answer.

        What a batch needs on the card is used again once its answer was taken.

        Raises:
            CardLostError: the card failed; what waits raises it too.
        """
        ...

    def kernels(self) -> bytes:
        """Give what was compiled while it ran, for the next start; b"" where the plan holds everything."""
        ...

    def close(self) -> None:
        """Give the card's memory back."""
        ...


class Runtime(Protocol):
    """A library that builds and runs engines."""

    @property
    def library(self) -> str:
        """Its module: "tensorrt" or "tensorrt_rtx"."""
        ...

    @property
    def version(self) -> str:
        """Its version; plans of another one are no use."""
        ...

    def card(self) -> Card:
        """Give the first card.

        Raises:
            NoCardError: no driver, no card, or no way to ask.
        """
        ...

    def targets(self, card: Card | None) -> tuple[str, ...]:
        """Give the compute capabilities that can be built for, on a machine with this card or without one."""
        ...

    def compile(self, graph: bytes, target: str, timings: bytes, progress: Progress) -> Compiled:
        """Build a plan from an ONNX file, with the profiles 1 and 1 to MOST.

        Raises:
            EngineError: the library refuses; its reason is in the sentence.
        """
        ...

    def load(self, plan: bytes, kernels: bytes) -> Engine:
        """Make a plan ready to run on the card.

        Raises:
            UnloadableError: the library does not take the plan.
        """
        ...


def no_progress(what: str, part: float) -> None:
    """Tell nobody."""


def words(problem: Any) -> str:
    """Give the message of a library as the end of a sentence."""
    return " ".join(str(problem).split()).rstrip(".")
