"""TensorRT and TensorRT for RTX: two libraries with one interface. The only module that imports them.

Building works without a card where the library allows it (`tensorrt_rtx`) and is tested so. Running was not measured:
written by the documentation of TensorRT 10 and of TensorRT for RTX 1.7, without a card at hand.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.backends import cuda
from auroramon.backends.graph import EMBEDDING, HEAD, INPUT
from auroramon.backends.progress import monitor
from auroramon.backends.runtime import LIVE, MOST, USUAL, Answer, Card, Compiled, Library, Progress, words
from auroramon.errors import CardLostError, EngineError, MissingPartError, NoCardError

log = logging.getLogger(__name__)


def open_runtime(library: Library) -> TensorRTRuntime:
    """Give a library; its hundreds of megabytes are loaded when it is first asked for more than the card.

    Raises:
        MissingPartError: it is not installed.
    """
    if importlib.util.find_spec(library) is None:
        raise MissingPartError(f"the module {library} is not installed (pip install '{_extra(library)}')")
    return TensorRTRuntime(library)


class TensorRTRuntime:
    """One of the two libraries. What needs it raises MissingPartError where its own libraries cannot be loaded."""

    def __init__(self, library: Library) -> None:
        self.library: str = library

    @cached_property
    def _module(self) -> Any:
        try:
            return importlib.import_module(self.library)
        except (ImportError, OSError) as error:  # the bindings are there, the libraries behind them are not
            raise MissingPartError(
                f"the module {self.library} cannot be loaded ({words(error)}): install it anew with "
                f"pip install --force-reinstall '{_extra(self.library)}'"
            ) from error

    @cached_property
    def _log(self) -> Any:
        return _logger(self._module)

    @property
    def version(self) -> str:
        return str(self._module.__version__)

    def card(self) -> Card:
        """Give the first card.

        Raises:
            NoCardError: no driver, no card, or CUDA's bindings are missing.
        """
        try:
            return cuda.first_card()
        except MissingPartError as error:
            raise NoCardError(str(error)) from error

    def targets(self, card: Card | None) -> tuple[str, ...]:
        """Give the compute capabilities that can be built for; TensorRT needs the card, TensorRT for RTX does not."""
        if hasattr(self._module, "ComputeCapability"):
            known = [name for name in dir(self._module.ComputeCapability) if name.startswith("SM")]
            return tuple(name.lower() for name in sorted(known, key=lambda name: int(name[2:])))
        return (card.capability,) if card else ()

    def compile(self, graph: bytes, target: str, timings: bytes, progress: Progress) -> Compiled:
        """Build a plan.

        Raises:
            EngineError: the library refuses the graph or the target.
        """
        trt = self._module
        builder = trt.Builder(self._log)
        typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)  # from TensorRT 11 on always
        network = builder.create_network(0 if typed is None else 1 << int(typed))
        parser = trt.OnnxParser(network, self._log)
        if not parser.parse(graph):
            raise EngineError(f"{self._name} refuses the graph: {words(parser.get_error(0).desc())}")
        config = builder.create_builder_config()
        self._profiles(builder, network, config)
        if hasattr(trt.BuilderFlag, "TF32"):  # float32 is asked for by name only where it must be exact
            config.clear_flag(trt.BuilderFlag.TF32)
        if hasattr(trt, "ComputeCapability"):
            config.num_compute_capabilities = 1
            config.set_compute_capability(getattr(trt.ComputeCapability, target.upper()), 0)
            keeps = False  # TensorRT for RTX measures on the card when it first runs there, not while it builds
        else:
            keeps = bool(config.set_timing_cache(config.create_timing_cache(timings), False))
        config.progress_monitor = monitor(trt, progress)
        self._log.heard.clear()
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise EngineError(f"{self._name} builds no engine for {target}: {self._log.last()}")
        return Compiled(bytes(plan), bytes(config.get_timing_cache().serialize()) if keeps else b"")

    def load(self, plan: bytes, kernels: bytes) -> TensorRTEngine:
        """Make a plan ready to run.

        Raises:
            EngineError: the library does not take it: another version, another card, or no driver.
        """
        self._log.heard.clear()
        runtime = self._module.Runtime(self._log)
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:  # no exception, whatever the reason
            raise EngineError(f"{self._name} does not take the engine: {self._log.last()}")
        return TensorRTEngine(runtime, engine, kernels, self._log)

    @property
    def _name(self) -> str:
        return f"{self.library} {self.version}"

    @staticmethod
    def _profiles(builder: Any, network: Any, config: Any) -> None:
        tensor = network.get_input(0)
        shape = tuple(tensor.shape)[1:]
        for least, usual, most in ((LIVE, LIVE, LIVE), (LIVE, USUAL, MOST)):
            profile = builder.create_optimization_profile()
            profile.set_shape(tensor.name, (least, *shape), (usual, *shape), (most, *shape))
            config.add_optimization_profile(profile)


class TensorRTEngine:
    """A plan on the card; each thread that calls it gets contexts, a stream and memory of its own."""

    def __init__(self, runtime: Any, engine: Any, kernels: bytes, logger: Any) -> None:
        self._runtime = runtime  # must outlive the engine
        self._engine = engine
        self._log = logger
        self._own = threading.local()
        self._lanes: list[_Context] = []
        self._lost = False
        self._kernels: Any = None
        self._config: Any = None
        if hasattr(engine, "create_runtime_config") and hasattr(
            config := engine.create_runtime_config(), "create_runtime_cache"
        ):
            self._config, self._kernels = config, config.create_runtime_cache()
            if kernels and not self._kernels.deserialize(kernels):
                log.info("the kernels compiled earlier do not fit this driver any more: they are compiled anew")
            self._config.set_runtime_cache(self._kernels)

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], Answer]:
        """Begin with (N,C,S,S) inputs, N from 1 to MOST, and give what waits for the answer.

        Raises:
            CardLostError: the card failed; what waits raises it too.
        """
        with self._watched():
            finish = self._context(0 if len(inputs) == LIVE else 1).start(np.ascontiguousarray(inputs, np.float32))

        def answer() -> Answer:
            with self._watched():
                return finish()

        return answer

    def _context(self, profile: int) -> _Context:
        """Give this thread's context for a profile, made at its first use."""
        contexts: dict[int, _Context] = self._own.__dict__.setdefault("contexts", {})
        if profile not in contexts:
            contexts[profile] = _Context(self._engine, profile, self._config, self._log)
            self._lanes.append(contexts[profile])
        return contexts[profile]

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except CardLostError:
            self._lost = True
            raise

    def kernels(self) -> bytes:
        """Give what TensorRT for RTX compiled for this card; TensorRT compiles everything at build time."""
        return b"" if self._kernels is None else bytes(self._kernels.serialize())

    def close(self) -> None:
        """Give the card's memory back."""
        for lane in self._lanes:
            lane.close()
        self._lanes.clear()
        self._own = threading.local()
        self._config = self._kernels = self._engine = self._runtime = None
        if self._lost:  # nothing else makes the card usable again for this process
            cuda.reset()


class _Context:
    """An execution context for one profile, with its stream and its memory."""

    def __init__(self, engine: Any, profile: int, config: Any, logger: Any) -> None:
        self._log = logger
        self._context = engine.create_execution_context() if config is None else engine.create_execution_context(config)
        if self._context is None:
            raise CardLostError(f"the GPU gives no execution context: {logger.last()}")
        most = LIVE if profile == 0 else MOST
        shapes = {name: tuple(engine.get_tensor_shape(name)) for name in (INPUT, EMBEDDING, HEAD)}
        self._widths = {name: shapes[name][1] for name in (EMBEDDING, HEAD)}
        self._lane = cuda.Lane({name: 4 * most * int(np.prod(shape[1:])) for name, shape in shapes.items()})
        self._context.set_optimization_profile_async(profile, int(self._lane.stream))
        for name, address in self._lane.addresses.items():
            self._context.set_tensor_address(name, address)
        self._lane.wait()

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], Answer]:
        self._context.set_input_shape(INPUT, inputs.shape)
        self._lane.send(INPUT, inputs)
        if not self._context.execute_async_v3(int(self._lane.stream)):
            raise CardLostError(f"the GPU does not run the engine: {self._log.last()}")

        def finish() -> Answer:
            # Not begun above: a copy into memory that is not pinned holds its caller until the card is done.
            answer = Answer(*(self._lane.fetch(name, (len(inputs), self._widths[name])) for name in (EMBEDDING, HEAD)))
            self._lane.wait()
            return answer

        return finish

    def close(self) -> None:
        self._context = None
        self._lane.close()


def _extra(library: str) -> str:
    return f"auroramon[{library.replace('_', '-')}]"


def _logger(trt: Any) -> Any:
    """Give a logger of the library that writes into ours, and remembers what was wrong."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.heard: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.heard.append(words(message))
            log.debug("%s: %s", trt.__name__, message)

        def last(self) -> str:
            return self.heard[0] if self.heard else "it gives no reason"

    return Logger()
