"""A plan on the card: contexts, memory and streams of TensorRT, and their failures as one kind of error.

Not measured: written by the documentation of TensorRT 10 and of TensorRT for RTX 1.7, without a card at hand. The
library's objects are given, so a test may give others.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.backends.cuda import Lane
from auroramon.backends.graph import EMBEDDING, HEAD, INPUT
from auroramon.backends.runtime import LIVE, MOST, Answer
from auroramon.errors import CardFullError, CardLostError

log = logging.getLogger(__name__)

FULL = re.compile("out ?of ?memory", re.IGNORECASE)
"""How TensorRT tells that the card has no memory left: by CUDA's words, or by its own error code OutOfMemory."""


def _tell_nobody(lost: bool) -> None:
    """Tell nobody that the card was left."""


class TensorRTEngine:
    """A plan on the card; each batch under way has a context, a stream and memory, which the next one uses again."""

    def __init__(
        self, runtime: Any, engine: Any, kernels: bytes, logger: Any, take: Callable[[dict[str, int]], Lane] = Lane,
        left: Callable[[bool], None] = _tell_nobody,
    ) -> None:  # fmt: skip
        """Keep a plan that was deserialised.

        Args:
            runtime: of the library; it must outlive the engine.
            engine: of the library.
            kernels: compiled late by an earlier run, or b"".
            logger: of the library, as `_logger` makes it.
            take: takes a stream and so many bytes on the card, by tensor.
            left: told once when everything was given back, and whether the card was lost.
        """
        self._take = take
        self._left = left
        self._runtime = runtime
        self._engine = engine
        self._log = logger
        self._turn = threading.Lock()
        self._free: dict[int, list[_Context]] = {0: [], 1: []}  # by profile
        self._contexts: list[_Context] = []
        self._lost = False
        self._closed = False
        self._kernels: Any = None
        self._config: Any = None
        if hasattr(engine, "create_runtime_config") and hasattr(
            config := engine.create_runtime_config(), "create_runtime_cache"
        ):
            self._config, self._kernels = config, config.create_runtime_cache()
            if kernels and not self._kernels.deserialize(kernels):
                log.info("the kernels compiled earlier do not fit this driver any more: they are compiled anew")
            if not self._config.set_runtime_cache(self._kernels):
                log.warning("what is compiled late will not be kept, so each start takes longer: %s", logger.first())

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], Answer]:
        """Begin with (N,C,S,S) inputs, N from 1 to MOST, and give what waits for the answer.

        Raises:
            CardLostError: the card failed; what waits raises it too.
        """
        profile = 0 if len(inputs) == LIVE else 1
        with self._watched():
            context = self._borrow(profile)
            finish = context.start(np.ascontiguousarray(inputs, np.float32))

        def answer() -> Answer:
            with self._watched():
                found = finish()
            with self._turn:
                self._free[profile].append(context)
            return found

        return answer

    def _borrow(self, profile: int) -> _Context:
        """Give a context that nobody uses, or a new one: whichever thread checked the engine, another labels with it.

        One whose batch failed is not given back.
        """
        with self._turn:
            if self._free[profile]:
                return self._free[profile].pop()
        context = _Context(self._engine, profile, self._config, self._log, self._take)
        with self._turn:
            self._contexts.append(context)
        return context

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except CardFullError:
            raise
        except CardLostError:
            self._lost = True
            raise

    def kernels(self) -> bytes:
        """Give what TensorRT for RTX compiled for this card; TensorRT compiles everything at build time."""
        return b"" if self._kernels is None else bytes(self._kernels.serialize())

    def close(self) -> None:
        """Give the card's memory back."""
        if self._closed:
            return
        self._closed = True
        for context in self._contexts:
            context.close()
        self._contexts.clear()
        self._free = {0: [], 1: []}
        self._config = self._kernels = self._engine = self._runtime = None
        self._left(self._lost)


class _Context:
    """An execution context for one profile, with its stream and its memory."""

    def __init__(
        self, engine: Any, profile: int, config: Any, logger: Any, take: Callable[[dict[str, int]], Lane]
    ) -> None:
        self._log = logger
        self._context = engine.create_execution_context() if config is None else engine.create_execution_context(config)
        if self._context is None:
            why = logger.first()
            raise (CardFullError if FULL.search(why) else CardLostError)(f"the GPU gives no execution context: {why}")
        most = LIVE if profile == 0 else MOST
        shapes = {name: tuple(engine.get_tensor_shape(name)) for name in (INPUT, EMBEDDING, HEAD)}
        self._widths = {name: shapes[name][1] for name in (EMBEDDING, HEAD)}
        self._lane = take({name: 4 * most * int(np.prod(shape[1:])) for name, shape in shapes.items()})
        try:
            chosen = self._context.set_optimization_profile_async(profile, int(self._lane.stream))
            self._expect(chosen, f"take the profile for {most} frames")
            for name, address in self._lane.addresses.items():
                self._expect(self._context.set_tensor_address(name, address), f"take the address of {name}")
            self._lane.wait()
        except CardLostError:
            self.close()
            raise

    def _expect(self, did: bool, what: str) -> None:
        """Turn the answer of a call of the library, which raises nothing, into the error that others wait for."""
        if not did:
            raise CardLostError(f"the GPU does not {what}: {self._log.first()}")

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], Answer]:
        self._expect(self._context.set_input_shape(INPUT, inputs.shape), f"take {len(inputs)} frames at once")
        self._lane.send(INPUT, inputs)
        self._expect(self._context.execute_async_v3(int(self._lane.stream)), "run the engine")

        def finish() -> Answer:
            # Not begun above: a copy into memory that is not pinned holds its caller until the card is done.
            answer = Answer(*(self._lane.fetch(name, (len(inputs), self._widths[name])) for name in (EMBEDDING, HEAD)))
            self._lane.wait()
            return answer

        return finish

    def close(self) -> None:
        self._context = None
        self._lane.close()
