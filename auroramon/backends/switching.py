"""Runs on the engine while it works, and on ONNX Runtime where that is allowed: what happens when either changes.

A frame is never lost by a switch: a batch that the card did not finish is done again by what comes after it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import AuroramonError, CardLostError
from auroramon.ports import Backend

log = logging.getLogger(__name__)

FORGIVEN_S = 24 * 3600.0
"""A card that fails again within this time after it was brought back is not brought back once more."""

Open = Callable[[], Backend]


class Build(Protocol):
    """An engine that is being built beside the work."""

    def ended(self) -> bool:
        """Say whether it is over, well or not."""
        ...

    def close(self) -> None:
        """Stop it if it still goes on."""
        ...


class SwitchingBackend:
    """What labels now: the engine, or ONNX Runtime before it is ready and after the card was lost.

    Args:
        engine: opens the engine; raises an AuroramonError where it cannot be had.
        instead: opens ONNX Runtime; None where the engine was asked for by name: then a lost card ends the program.
        build: the engine is still being built; None where it is ready, and it is opened at once.
        clock: seconds, growing.

    Raises:
        AuroramonError: the engine is ready, and cannot be opened.
    """

    def __init__(
        self, engine: Open, instead: Open | None, build: Build | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._open, self._instead, self._build = engine, instead, build
        self._clock = clock
        self._brought_back = float("-inf")
        self._lost = False  # on ONNX because the engine or the card failed, until the next start
        self.told: Callable[[], None] = lambda: None
        """Called after each switch, in the thread that labels."""
        try:
            self._now = instead() if build is not None and instead is not None else engine()
        except BaseException:
            if build is not None:
                build.close()
            raise

    @property
    def name(self) -> str:
        return self._now.name

    @property
    def precision(self) -> str:
        return self._now.precision

    @property
    def device(self) -> str:
        return self._now.device

    @property
    def fallback(self) -> bool:
        return self._lost or self._now.fallback

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], NDArray[np.float32]]:
        """Begin with (N,C,S,S) inputs, and give what waits for their (N,D) unit vectors.

        Raises:
            CardLostError: the card failed for good, and nothing may take over.
        """
        self.tend()
        try:
            begun = self._now.start(inputs)
        except CardLostError as error:
            self._recover(error)
            return self.start(inputs)

        def finish() -> NDArray[np.float32]:
            try:
                return begun()
            except CardLostError as error:
                self._recover(error)
                return self.embed(inputs)

        return finish

    def tend(self) -> None:
        """Go over to the engine whose build has ended; in the thread that labels, also while no frame comes."""
        if self._build is not None and self._build.ended():
            self._build = None
            self._take_engine()

    def embed(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give (N,D) unit vectors for (N,C,S,S) inputs; see `start`."""
        return self.start(inputs)()

    def close(self) -> None:
        """Stop a build, and give the card's memory back."""
        if self._build is not None:
            self._build.close()
            self._build = None
        self._now.close()

    def _take_engine(self) -> None:
        """Go over to the engine whose build has ended; if it came to nothing, stay and raise the alarm."""
        before = self._now
        try:
            self._use(self._open(), "its engine is ready")
            before.close()
        except AuroramonError as error:
            log.error("%s goes on, the engine is not used: %s", self._now.name, error)
            self._lost = True
            self.told()

    def _recover(self, error: CardLostError) -> None:
        """Bring the card back, once a day; else go on without it, or give up.

        Raises:
            CardLostError: it failed for good, and nothing may take over.
        """
        now = self._clock()
        log.error("%s", error)
        name = self.name
        self._now.close()
        if now - self._brought_back >= FORGIVEN_S:
            self._brought_back = now
            try:
                self._use(self._open(), "it was opened anew")
            except AuroramonError as second:
                log.error("the GPU does not come back: %s", second)
            else:
                return
        if self._instead is None:
            raise CardLostError(
                f"{error}; backend {name} was asked for by name, so nothing takes over: start again when the GPU is "
                f"well, or set model.backend to auto"
            ) from error
        self._lost = True
        self._use(self._instead(), "the GPU is lost; it is tried again at the next start")

    def _use(self, backend: Backend, why: str) -> None:
        log.warning("now labelling with %s (%s, %s): %s", backend.name, backend.precision, backend.device, why)
        self._now = backend
        self.told()
