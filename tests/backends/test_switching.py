"""What labels while an engine is built and after a card is lost; and that no frame is lost by it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx as onnx_format
import pytest
from prometheus_client import CollectorRegistry

from auroramon.backends.choice import choose_backend
from auroramon.backends.engine import EngineBackend, EngineShop
from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.runtime import Compiled, Progress
from auroramon.backends.switching import FORGIVEN_S, SwitchingBackend
from auroramon.bundle import ModelBundle
from auroramon.cli.live import follow_backend, tending
from auroramon.errors import BundleError, CardLostError, ConfigError, EngineError
from auroramon.executors.inline import InlineExecutor
from auroramon.metrics import Metrics
from auroramon.ports import Backend
from auroramon.types import FileOutcome, FileStat
from tests.backends.machines import Ending, none_installed, only_rtx, wish
from tests.backends.processor import CARD, ProcessorRuntime


@dataclass
class Told:
    times: int = 0

    def __call__(self) -> None:
        self.times += 1


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine(shop: EngineShop, tiny: ModelBundle) -> Callable[[], Backend]:
    manifest = shop.obtain(CARD)
    return lambda: EngineBackend(shop.load(manifest), manifest, CARD, tiny)


@pytest.fixture
def onnx(tiny: ModelBundle) -> Callable[[], Backend]:
    return lambda: OnnxBackend(tiny, "float32", 1)


def test_frames_are_labelled_on_onnx_until_the_engine_is_ready(
    tiny: ModelBundle, engine: Callable[[], Backend], onnx: Callable[[], Backend], caplog: pytest.LogCaptureFixture
) -> None:
    build, told = Ending(), Told()
    backend = SwitchingBackend(engine, onnx, build)
    backend.told = told
    before = backend.embed(tiny.golden.inputs)
    assert (backend.name, told.times) == ("onnx", 0)
    build.over = True
    np.testing.assert_allclose(backend.embed(tiny.golden.inputs), before, atol=1e-2)
    assert (backend.name, backend.precision, backend.fallback, told.times) == ("tensorrt", "fp16", False, 1)
    assert "now labelling with tensorrt (fp16, Pretend RTX, tensorrt_rtx 1.0): its engine is ready" in caplog.text
    backend.close()


def test_a_build_that_came_to_nothing_leaves_onnx_at_work_and_says_why(
    tiny: ModelBundle, onnx: Callable[[], Backend], caplog: pytest.LogCaptureFixture
) -> None:
    def never() -> Backend:
        raise EngineError("no engine for this GPU: none was built yet")

    build = Ending()
    backend = SwitchingBackend(never, onnx, build)
    build.over = True
    assert len(backend.embed(tiny.golden.inputs)) == 4
    assert (backend.name, backend.fallback) == ("onnx", True)
    assert "onnx goes on, the engine is not used: no engine for this GPU" in caplog.text


def test_the_end_of_a_build_is_noticed_while_no_frame_comes(
    engine: Callable[[], Backend], onnx: Callable[[], Backend]
) -> None:
    def never() -> Backend:
        raise EngineError("no engine for this GPU: none was built yet")

    for opens, name, fallback in ((engine, "tensorrt", False), (never, "onnx", True)):
        build, told = Ending(), Told()
        backend = SwitchingBackend(opens, onnx, build)
        backend.told = told
        look = tending(backend)
        look()
        assert (backend.name, backend.fallback, told.times) == ("onnx", False, 0)
        build.over = True
        look()
        assert (backend.name, backend.fallback, told.times) == (name, fallback, 1)
        backend.close()
    tending(onnx())()


def test_a_build_is_stopped_with_the_program(engine: Callable[[], Backend], onnx: Callable[[], Backend]) -> None:
    build = Ending()
    SwitchingBackend(engine, onnx, build).close()
    assert build.closed


def test_a_build_is_stopped_where_nothing_can_label_meanwhile(engine: Callable[[], Backend]) -> None:
    def damaged() -> Backend:
        raise BundleError("the model is damaged")

    build = Ending()
    with pytest.raises(BundleError):
        SwitchingBackend(engine, damaged, build)
    assert build.closed


def test_a_card_that_fails_once_is_started_anew_and_the_batch_done_again(
    tiny: ModelBundle, engine: Callable[[], Backend], onnx: Callable[[], Backend], runtime: ProcessorRuntime
) -> None:
    backend, told = SwitchingBackend(engine, onnx), Told()
    backend.told = told
    wanted = backend.embed(tiny.golden.inputs)
    runtime.fails = 1
    np.testing.assert_array_equal(backend.embed(tiny.golden.inputs), wanted)
    assert (backend.name, backend.fallback, told.times) == ("tensorrt", False, 1)
    backend.close()
    assert runtime.open == 0


def test_a_card_that_fails_again_leaves_the_work_to_onnx_and_raises_the_alarm(
    tiny: ModelBundle, engine: Callable[[], Backend], onnx: Callable[[], Backend], runtime: ProcessorRuntime
) -> None:
    backend, told = SwitchingBackend(engine, onnx), Told()
    backend.told = told
    runtime.fails = 2
    np.testing.assert_allclose(backend.embed(tiny.golden.inputs), tiny.golden.embeddings, atol=1e-5)
    assert (backend.name, backend.fallback, told.times) == ("onnx", True, 2)
    assert runtime.open == 0


def test_a_card_that_does_not_come_back_leaves_the_work_to_onnx(
    tiny: ModelBundle, engine: Callable[[], Backend], onnx: Callable[[], Backend], runtime: ProcessorRuntime
) -> None:
    backend = SwitchingBackend(engine, onnx)
    runtime.fails, runtime.refuses = 1, True
    assert len(backend.embed(tiny.golden.inputs)) == 4
    assert (backend.name, backend.fallback) == ("onnx", True)


def test_a_failure_is_forgiven_after_a_day(
    tiny: ModelBundle, engine: Callable[[], Backend], onnx: Callable[[], Backend], runtime: ProcessorRuntime
) -> None:
    clock = Clock()
    backend = SwitchingBackend(engine, onnx, clock=clock)
    for _ in range(3):
        runtime.fails = 1
        backend.embed(tiny.golden.inputs)
        assert backend.name == "tensorrt"
        clock.now += FORGIVEN_S
    backend.close()


def test_an_engine_asked_for_by_name_ends_the_program_when_its_card_is_lost(
    tiny: ModelBundle, engine: Callable[[], Backend], runtime: ProcessorRuntime
) -> None:
    backend = SwitchingBackend(engine, instead=None)
    runtime.fails = 2
    with pytest.raises(CardLostError, match="asked for by name, so nothing takes over"):
        backend.embed(tiny.golden.inputs)
    assert runtime.open == 0


def test_metrics_show_what_labels_and_count_every_switch(
    tiny: ModelBundle, engine: Callable[[], Backend], onnx: Callable[[], Backend], runtime: ProcessorRuntime
) -> None:
    metrics = Metrics(CollectorRegistry(), (), ())
    backend = SwitchingBackend(engine, onnx)
    follow_backend(metrics, backend)
    assert 'auroramon_backend_info{backend="tensorrt",device="Pretend RTX, tensorrt_rtx 1.0"' in metrics.page().decode()
    runtime.fails = 2
    backend.embed(tiny.golden.inputs)
    page = metrics.page().decode()
    assert 'auroramon_backend_info{backend="onnx",device="CPU, 1 thread",precision="float32"} 1.0' in page
    assert 'auroramon_backend_switches_total{to="onnx"} 1.0' in page
    assert 'auroramon_backend_switches_total{to="tensorrt"} 1.0' in page
    assert "auroramon_backend_fallback 1.0" in page


def test_a_lost_card_is_no_file_s_fault_and_ends_the_work(tmp_path: Path) -> None:
    def lost(files: Sequence[FileStat]) -> list[FileOutcome]:
        raise CardLostError("the GPU failed: it was told so")

    released: list[bool] = []
    executor = InlineExecutor(lost, lambda: released.append(True))
    with pytest.raises(CardLostError):
        next(executor.run([[FileStat(str(tmp_path / "a.png"), 1, 1)]], threading.Event()))
    executor.close()
    assert released == [True]


def test_a_lost_card_is_brought_back_with_the_engine_that_is_in_the_cache_now(
    tiny: ModelBundle, shop: EngineShop, runtime: ProcessorRuntime, tmp_path: Path
) -> None:
    class Again(ProcessorRuntime):
        def compile(self, graph: bytes, target: str, timings: bytes, progress: Progress) -> Compiled:
            made = super().compile(graph, target, timings, progress)
            model = onnx_format.load_from_string(made.plan)
            model.doc_string = "another plan, for no two builds are alike"
            return replace(made, plan=model.SerializeToString())

    old = shop.obtain(CARD)
    backend = choose_backend(tiny, wish(tmp_path), only_rtx(runtime))
    shop.discard(old, EngineError("it was cleaned away"))
    assert replace(shop, runtime=Again()).obtain(CARD).sha256 != old.sha256
    runtime.fails = 1
    assert len(backend.embed(tiny.golden.inputs)) == len(tiny.golden.inputs)
    assert (backend.name, backend.fallback) == ("tensorrt", False)
    backend.close()


@dataclass
class Cuda:
    """Opens ONNX Runtime on a GPU that fails as often as it is told."""

    bundle: ModelBundle
    fails: int = 0
    opened: int = 0
    gone: bool = False

    def __call__(self, bundle: ModelBundle) -> Backend:
        if self.gone:
            raise ConfigError("backend onnx-cuda cannot run here: it was told so")
        self.opened += 1
        processor = OnnxBackend(bundle, "float32", 1)
        processor.name = "onnx-cuda"
        answer = processor.embed

        def embed(inputs: np.ndarray) -> np.ndarray:
            if self.fails:
                self.fails -= 1
                raise CardLostError("the GPU failed: it was told so")
            return answer(inputs)

        processor.embed = embed  # type: ignore[method-assign]
        return processor


def test_onnx_cuda_starts_a_lost_card_anew_once_and_then_ends_the_program(
    tiny: ModelBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    cuda = Cuda(tiny)
    backend = choose_backend(tiny, wish(tmp_path, name="onnx-cuda"), none_installed, cuda)
    assert (backend.name, cuda.opened) == ("onnx-cuda", 1)
    assert [record.message for record in caplog.records] == ["labelling with onnx-cuda (float32, CPU, 1 thread)"]
    cuda.fails = 1
    np.testing.assert_allclose(backend.embed(tiny.golden.inputs), tiny.golden.embeddings, atol=1e-5)
    assert (backend.name, cuda.opened) == ("onnx-cuda", 2)
    assert "now labelling with onnx-cuda (float32, CPU, 1 thread): it was opened anew" in caplog.text
    cuda.fails = 1
    with pytest.raises(CardLostError, match="backend onnx-cuda was asked for by name, so nothing takes over"):
        backend.embed(tiny.golden.inputs)


def test_onnx_cuda_whose_card_does_not_come_back_ends_the_program(tiny: ModelBundle, tmp_path: Path) -> None:
    cuda = Cuda(tiny)
    backend = choose_backend(tiny, wish(tmp_path, name="onnx-cuda"), none_installed, cuda)
    cuda.fails, cuda.gone = 1, True
    with pytest.raises(CardLostError, match="asked for by name"):
        backend.embed(tiny.golden.inputs)
