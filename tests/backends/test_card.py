"""What the modules that call CUDA and TensorRT make of a call that fails; the calls themselves need a card.

The module of CUDA's runtime is a stand-in that hands out addresses and counts; its error codes are CUDA's own.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from auroramon.backends import cuda
from auroramon.backends.runtime import MOST
from auroramon.backends.tensorrt import TensorRTRuntime
from auroramon.backends.tensorrt_engine import TensorRTEngine
from auroramon.errors import (
    CardFullError,
    CardLostError,
    MissingPartError,
    NoCardError,
    UnloadableError,
    UnusableCardError,
)
from tests.conftest import missing


@pytest.fixture(scope="module")
def codes() -> Any:
    """CUDA's error codes."""
    try:
        return cuda.cuda_runtime().cudaError_t
    except MissingPartError as error:
        missing(str(error))


@dataclass
class Runtime:
    """Stands in for the module of CUDA's runtime: memory for so many calls, a driver of some version."""

    codes: Any
    allocations: int = 100
    driver: int = 13_000
    bindings: int = 13_050
    counted: str = "cudaSuccess"
    held: set[int] = field(default_factory=set)  # addresses and streams that were not given back
    given: int = 0
    fails: str = ""  # what a wait for a stream ends with
    held_at_resets: list[int] = field(default_factory=list)

    @property
    def cudaError_t(self) -> Any:  # noqa: N802 - CUDA's name
        return self.codes

    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)  # noqa: N815

    def _give(self) -> int:
        self.given += 1
        self.held.add(self.given)
        return self.given

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, int]:  # noqa: N802
        return self.codes.cudaSuccess, self._give()

    def cudaMalloc(self, size: int) -> tuple[Any, int]:  # noqa: N802
        if not self.allocations:
            return self.codes.cudaErrorMemoryAllocation, 0
        self.allocations -= 1
        return self.codes.cudaSuccess, self._give()

    def _take(self, what: int) -> tuple[Any]:
        self.held.remove(what)
        return (self.codes.cudaSuccess,)

    cudaFree = cudaStreamDestroy = _take  # noqa: N815

    def cudaMemcpyAsync(self, *_: Any) -> tuple[Any]:  # noqa: N802
        return (self.codes.cudaSuccess,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any]:  # noqa: N802
        return (getattr(self.codes, self.fails or "cudaSuccess"),)

    def cudaDeviceReset(self) -> tuple[Any]:  # noqa: N802
        self.held_at_resets.append(len(self.held))
        return (self.codes.cudaSuccess,)

    def cudaGetErrorString(self, error: Any) -> tuple[Any, bytes]:  # noqa: N802
        return self.codes.cudaSuccess, error.name.encode()

    def cudaGetDeviceCount(self) -> tuple[Any, int]:  # noqa: N802
        return getattr(self.codes, self.counted), 0

    def cudaDriverGetVersion(self) -> tuple[Any, int]:  # noqa: N802
        return self.codes.cudaSuccess, self.driver

    def cudaRuntimeGetVersion(self) -> tuple[Any, int]:  # noqa: N802
        return self.codes.cudaSuccess, self.bindings


@pytest.fixture
def runtime(codes: Any) -> Runtime:
    return Runtime(codes)


def test_memory_that_was_taken_is_given_back_where_the_card_has_no_more(runtime: Runtime) -> None:
    runtime.allocations = 2
    with pytest.raises(CardFullError, match="the GPU failed: cudaErrorMemoryAllocation"):
        cuda.Lane({"inputs": 16, "embedding": 16, "head": 16}, runtime)
    assert runtime.given == 3  # a stream and two addresses
    assert not runtime.held


def test_a_lane_gives_everything_back(runtime: Runtime) -> None:
    lane = cuda.Lane({"inputs": 16, "head": 16}, runtime)
    assert len(runtime.held) == 3
    lane.close()
    assert not runtime.held


def test_without_a_driver_nothing_else_is_asked(runtime: Runtime) -> None:
    def load(name: str) -> object:
        raise OSError(name)

    with pytest.raises(NoCardError, match="no NVIDIA driver is loaded"):
        cuda.first_card(runtime, load)


def test_a_driver_that_is_too_old_is_named_with_what_it_serves_and_what_is_needed(runtime: Runtime) -> None:
    runtime.counted, runtime.driver = "cudaErrorInsufficientDriver", 12_040
    with pytest.raises(UnusableCardError) as refused:
        cuda.first_card(runtime, lambda _: None)
    sentence = str(refused.value)
    assert "serves CUDA up to 12.4" in sentence
    assert "need one for CUDA 13 (series 580 or newer)" in sentence
    assert "13.5" not in sentence  # any driver for CUDA 13 will do, whatever the bindings are


def test_a_driver_without_a_card_is_no_success(runtime: Runtime) -> None:
    with pytest.raises(UnusableCardError, match=r"the NVIDIA driver shows no GPU$"):
        cuda.first_card(runtime, lambda _: None)
    runtime.counted = "cudaErrorNoDevice"
    with pytest.raises(UnusableCardError, match=r"shows no GPU \(cudaErrorNoDevice\)"):
        cuda.first_card(runtime, lambda _: None)


class Logger:
    """What `_logger` gives, without a library."""

    def __init__(self) -> None:
        self.heard = deque(["the card fell off the bus"])

    def first(self) -> str:
        return self.heard.popleft() if self.heard else "it gives no reason"


@dataclass
class Plan:
    """Stands in for an ICudaEngine whose contexts answer false to one call."""

    refuses: str

    def create_execution_context(self) -> Any:
        def answer(name: str) -> Any:
            return lambda *_: name != self.refuses

        calls = ("set_optimization_profile_async", "set_tensor_address", "set_input_shape", "execute_async_v3")
        return None if self.refuses == "create_execution_context" else SimpleNamespace(**{n: answer(n) for n in calls})

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return {"inputs": (-1, 2, 8, 8), "embedding": (-1, 4), "head": (-1, 3)}[name]


@pytest.mark.parametrize(
    ("refuses", "said"),
    [
        ("create_execution_context", "the GPU gives no execution context"),
        ("set_optimization_profile_async", f"the GPU does not take the profile for {MOST} frames"),
        ("set_tensor_address", "the GPU does not take the address of inputs"),
        ("set_input_shape", "the GPU does not take 5 frames at once"),
        ("execute_async_v3", "the GPU does not run the engine"),
    ],
)
def test_a_call_of_tensorrt_that_answers_false_is_a_lost_card(runtime: Runtime, refuses: str, said: str) -> None:
    engine = TensorRTEngine(None, Plan(refuses), b"", Logger(), lambda sizes: cuda.Lane(sizes, runtime))
    with pytest.raises(CardLostError, match=f"^{said}: the card fell off the bus$"):
        engine.start(np.zeros((5, 2, 8, 8), np.float32))
    engine.close()
    assert not runtime.held


def test_a_plan_that_takes_every_call_answers_in_its_shapes(runtime: Runtime) -> None:
    engine = TensorRTEngine(None, Plan("nothing"), b"", Logger(), lambda sizes: cuda.Lane(sizes, runtime))
    answer = engine.start(np.zeros((5, 2, 8, 8), np.float32))()
    assert (answer.embedding.shape, answer.head.shape) == ((5, 4), (5, 3))
    engine.start(np.zeros((1, 2, 8, 8), np.float32))()
    assert len(runtime.held) == 2 * 4  # a stream and three addresses for each profile
    engine.close()
    assert not runtime.held


@dataclass
class Place:
    """A card with what counts who is on it."""

    runtime: Runtime

    def __post_init__(self) -> None:
        self.occupants = cuda.Occupants(lambda: cuda.reset(self.runtime))

    def engine(self, plan: Any, kernels: bytes = b"", logger: Any = None) -> TensorRTEngine:
        self.occupants.enter()
        return TensorRTEngine(
            None, plan, kernels, logger or Logger(), lambda sizes: cuda.Lane(sizes, self.runtime), self.occupants.leave
        )


@pytest.fixture
def place(runtime: Runtime) -> Place:
    return Place(runtime)


FRAMES = np.zeros((5, 2, 8, 8), np.float32)


def test_a_card_that_failed_is_reset_when_its_only_engine_has_given_everything_back(place: Place) -> None:
    engine = place.engine(Plan("nothing"))
    answer = engine.start(FRAMES)
    place.runtime.fails = "cudaErrorIllegalAddress"
    with pytest.raises(CardLostError, match="cudaErrorIllegalAddress"):
        answer()
    assert place.runtime.held_at_resets == []
    engine.close()
    engine.close()
    assert place.runtime.held_at_resets == [0]
    place.runtime.fails = ""
    engine = place.engine(Plan("nothing"))
    engine.start(FRAMES)()
    engine.close()
    assert place.runtime.held_at_resets == [0]  # what is over is forgotten


def test_an_engine_that_fails_beside_another_takes_nothing_from_it(place: Place) -> None:
    """As when a new configuration is made ready while the old one works."""
    works = place.engine(Plan("nothing"))
    works.start(FRAMES)()
    new = place.engine(Plan("execute_async_v3"))
    with pytest.raises(CardLostError):
        new.start(FRAMES)
    new.close()
    assert place.runtime.held_at_resets == []
    assert len(place.runtime.held) == 4
    works.start(FRAMES)()
    works.close()
    assert place.runtime.held_at_resets == [0]


@pytest.mark.parametrize("said", ["Error Code 2: OutOfMemory (Requested 1 bytes)", "Cuda Runtime (out of memory)", ""])
def test_a_card_without_memory_left_is_not_reset(place: Place, said: str) -> None:
    logger = Logger()
    logger.heard = deque([said])
    plan = Plan("create_execution_context" if said else "nothing")
    place.runtime.allocations = 1
    engine = place.engine(plan, logger=logger)
    with pytest.raises(CardFullError):
        engine.start(FRAMES)
    engine.close()
    assert place.runtime.held_at_resets == []
    assert not place.runtime.held


def test_nobody_comes_onto_the_card_while_it_is_reset() -> None:
    order: list[str] = []
    resetting, may_end = threading.Event(), threading.Event()

    def reset() -> None:
        resetting.set()
        assert may_end.wait(30)
        order.append("reset")

    occupants = cuda.Occupants(reset)
    occupants.enter()

    def come() -> None:
        occupants.enter()
        order.append("came")

    leaves = threading.Thread(target=occupants.leave, args=(True,))
    comes = threading.Thread(target=come)
    leaves.start()
    assert resetting.wait(30)
    comes.start()
    may_end.set()
    leaves.join(30)
    comes.join(30)
    assert order == ["reset", "came"]


def test_what_one_thread_checked_the_engine_with_another_labels_with(place: Place) -> None:
    """A new configuration is checked in a thread of its own; its memory must not be held twice."""
    engine = place.engine(Plan("nothing"))

    def check() -> None:
        engine.start(FRAMES)()

    other = threading.Thread(target=check)
    other.start()
    other.join(30)
    engine.start(FRAMES)()
    assert len(place.runtime.held) == 4
    two = [engine.start(FRAMES), engine.start(FRAMES)]  # at once, they need two
    assert len(place.runtime.held) == 8
    for answer in two:
        answer()
    engine.close()


@dataclass
class Kernels:
    """Stands in for an IRuntimeCache."""

    fits: bool = True
    given: bytes = b""

    def deserialize(self, kernels: bytes) -> bool:
        self.given = kernels
        return self.fits

    def serialize(self) -> bytes:
        return b"compiled"


@dataclass
class LatePlan(Plan):
    """Stands in for an ICudaEngine of TensorRT for RTX, which compiles for the card when it first runs there."""

    keeps: bool = True
    cache: Kernels = field(default_factory=Kernels)
    kept: Any = None
    contexts: list[Any] = field(default_factory=list)

    def create_runtime_config(self) -> Any:
        def keep(kernels: Any) -> bool:
            self.kept = kernels
            return self.keeps

        return SimpleNamespace(create_runtime_cache=lambda: self.cache, set_runtime_cache=keep)

    def create_execution_context(self, config: Any = None) -> Any:
        self.contexts.append(config)
        return super().create_execution_context()


def test_what_is_compiled_late_is_taken_up_again_and_kept_for_the_next_start(place: Place) -> None:
    plan = LatePlan("nothing")
    engine = place.engine(plan, b"of the last start")
    engine.start(FRAMES)()
    assert (plan.cache.given, plan.kept) == (b"of the last start", plan.cache)
    assert plan.contexts != [None]
    assert engine.kernels() == b"compiled"
    engine.close()


def test_what_is_compiled_late_and_cannot_be_kept_is_told(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    place.engine(LatePlan("nothing", keeps=False, cache=Kernels(fits=False)), b"of another driver").close()
    assert "do not fit this driver any more" in caplog.text
    assert "will not be kept, so each start takes longer: the card fell off the bus" in caplog.text


class Library:
    """Stands in for the module of TensorRT, as far as loading a plan needs it."""

    class ILogger:
        Severity = SimpleNamespace(ERROR=1)

    def __init__(self, plan: Plan | None) -> None:
        self._plan = plan

    __version__ = "10.7"

    def Runtime(self, logger: Any) -> Any:  # noqa: N802
        return SimpleNamespace(deserialize_cuda_engine=lambda _: self._plan)


@pytest.mark.parametrize("plan", [Plan("nothing"), None])
def test_an_engine_is_on_the_card_from_before_it_is_loaded_until_it_is_closed(place: Place, plan: Plan | None) -> None:
    class Pretended(TensorRTRuntime):
        _module: Any = Library(plan)

    runtime = Pretended("tensorrt", place.occupants)
    if plan is None:
        with pytest.raises(UnloadableError):
            runtime.load(b"plan", b"")
    else:
        engine = runtime.load(b"plan", b"")
        assert place.occupants.count == 1
        engine.close()
    assert place.occupants.count == 0
