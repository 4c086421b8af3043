"""What the modules that call CUDA and TensorRT make of a call that fails; the calls themselves need a card.

The module of CUDA's runtime is a stand-in that hands out addresses and counts; its error codes are CUDA's own.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from auroramon.backends import cuda
from auroramon.backends.runtime import MOST
from auroramon.backends.tensorrt_engine import TensorRTEngine
from auroramon.errors import CardLostError, MissingPartError, NoCardError, UnusableCardError
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
    with pytest.raises(CardLostError, match="the GPU failed: cudaErrorMemoryAllocation"):
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
