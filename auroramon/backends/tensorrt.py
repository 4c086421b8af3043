"""TensorRT and TensorRT for RTX: two libraries with one interface. The only module that imports them.

Building works without a card where the library allows it (`tensorrt_rtx`) and is tested so; what is built runs by
tensorrt_engine.py.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections import deque
from functools import cached_property
from typing import Any

from auroramon.backends import cuda
from auroramon.backends.progress import monitor
from auroramon.backends.runtime import LIVE, MOST, USUAL, Card, Compiled, Library, Progress, words
from auroramon.backends.tensorrt_engine import TensorRTEngine
from auroramon.errors import EngineError, MissingPartError, UnloadableError, UnusableCardError

log = logging.getLogger(__name__)

HEARD = 20  # complaints of a library that are remembered


def open_runtime(library: Library) -> TensorRTRuntime:
    """Give a library; its hundreds of megabytes are loaded when it is first asked for more than the card.

    Raises:
        MissingPartError: it is not installed.
    """
    found = importlib.util.find_spec(library)
    if found is None or found.origin is None:  # a mere folder of that name, such as pip leaves behind, is no module
        raise MissingPartError(f"the module {library} is not installed (pip install '{_extra(library)}')")
    return TensorRTRuntime(library)


class TensorRTRuntime:
    """One of the two libraries. What needs it raises MissingPartError where its own libraries cannot be loaded."""

    def __init__(self, library: Library, occupants: cuda.Occupants = cuda.OCCUPANTS) -> None:
        self.library: str = library
        self._occupants = occupants

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
        except MissingPartError as error:  # the driver is there, and this library, which a GPU was meant to run
            raise UnusableCardError(str(error)) from error

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
        self._log.heard.clear()
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
            if not config.set_compute_capability(getattr(trt.ComputeCapability, target.upper()), 0):
                raise EngineError(f"{self._name} does not take the target {target}: {self._log.first()}")
            keeps = False  # TensorRT for RTX measures on the card when it first runs there, not while it builds
        else:
            keeps = _begin_timings(config, timings)
        config.progress_monitor = monitor(trt, progress)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise EngineError(f"{self._name} builds no engine for {target}: {self._log.first()}")
        return Compiled(bytes(plan), bytes(config.get_timing_cache().serialize()) if keeps else b"")

    def load(self, plan: bytes, kernels: bytes) -> TensorRTEngine:
        """Make a plan ready to run.

        Raises:
            UnloadableError: the library does not take it: another version, another card, or no driver.
        """
        self._log.heard.clear()
        self._occupants.enter()
        try:
            runtime = self._module.Runtime(self._log)
            engine = runtime.deserialize_cuda_engine(plan)
            if engine is None:  # no exception, whatever the reason
                raise UnloadableError(f"{self._name} does not take the engine: {self._log.first()}")
            return TensorRTEngine(runtime, engine, kernels, self._log, left=self._occupants.leave)
        except BaseException:
            self._occupants.leave(lost=False)
            raise

    @property
    def _name(self) -> str:
        return f"{self.library} {self.version}"

    def _profiles(self, builder: Any, network: Any, config: Any) -> None:
        tensor = network.get_input(0)
        shape = tuple(tensor.shape)[1:]
        for least, usual, most in ((LIVE, LIVE, LIVE), (LIVE, USUAL, MOST)):
            profile = builder.create_optimization_profile()
            profile.set_shape(tensor.name, (least, *shape), (usual, *shape), (most, *shape))
            if config.add_optimization_profile(profile) < 0:
                raise EngineError(f"{self._name} does not take {least} to {most} frames at once: {self._log.first()}")


def _begin_timings(config: Any, known: bytes) -> bool:
    """Have a build measure kernels beginning with what is known, or from nothing where that is of another card.

    Returns:
        Whether what is measured can be kept.
    """
    for begin in (known, b""):
        cache = config.create_timing_cache(begin)
        if cache is not None and config.set_timing_cache(cache, False):
            return True
    return False


def _extra(library: str) -> str:
    return f"auroramon[{library.replace('_', '-')}]"


def _logger(trt: Any) -> Any:
    """Give a logger of the library that writes into ours, and remembers what was wrong."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.heard: deque[str] = deque(maxlen=HEARD)

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.heard.append(words(message))
            log.debug("%s: %s", trt.__name__, message)

        def first(self) -> str:
            """Give the first complaint since this was last asked: those after it are its consequences."""
            said = self.heard[0] if self.heard else "it gives no reason"
            self.heard.clear()
            return said

    return Logger()
