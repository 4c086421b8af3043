"""What labels, while an engine is built and after a card is lost; and that no frame is lost by it."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx as onnx_format
import pytest
from prometheus_client import CollectorRegistry

from auroramon.backends.child_build import build_command
from auroramon.backends.choice import Wish, choose, choose_backend
from auroramon.backends.engine import EngineBackend, EngineShop
from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.runtime import Card, Compiled, Library, Progress
from auroramon.backends.switching import FORGIVEN_S, SwitchingBackend
from auroramon.bundle import ModelBundle
from auroramon.cli.live import follow_backend, tending
from auroramon.errors import (
    BundleError,
    CardLostError,
    ConfigError,
    EngineError,
    MissingPartError,
    StoppedError,
    UnbuiltEngineError,
    UnusableCardError,
)
from auroramon.executors.inline import InlineExecutor
from auroramon.metrics import Metrics
from auroramon.ports import Backend
from auroramon.types import FileOutcome, FileStat
from tests.backends.processor import CARD, ProcessorRuntime


@dataclass
class Ending:
    """A build that ends when the test says so."""

    over: bool = False
    closed: bool = False

    def ended(self) -> bool:
        return self.over

    def close(self) -> None:
        self.closed = True


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


# The choice


def wish(tmp_path: Path, **other: object) -> Wish:
    return replace(Wish("auto", "auto", 1, tmp_path / "cache", "never"), **other)  # type: ignore[arg-type]


def none_installed(library: Library) -> ProcessorRuntime:
    raise MissingPartError(f"the module {library} is not installed (pip install 'auroramon[x]')")


def without_driver(library: Library) -> ProcessorRuntime:
    return ProcessorRuntime(library, has=None)


def only_rtx(runtime: ProcessorRuntime) -> Callable[[Library], ProcessorRuntime]:
    return lambda library: runtime if library == "tensorrt_rtx" else none_installed(library)


def test_auto_without_a_card_is_onnx_and_says_why_in_one_line(
    tiny: ModelBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    backend = choose_backend(
        tiny, wish(tmp_path), lambda name: without_driver(name) if name == "tensorrt_rtx" else none_installed(name)
    )
    assert (backend.name, backend.precision, backend.fallback) == ("onnx", "int8", False)
    (line,) = [record.message for record in caplog.records]
    assert line == (
        "labelling with onnx (int8, CPU, 1 thread); not used: the module tensorrt is not installed (pip install "
        "'auroramon[x]'); tensorrt_rtx: no NVIDIA driver is loaded"
    )


def test_auto_with_a_card_that_the_library_does_not_know_is_onnx(
    tiny: ModelBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    hopper = ProcessorRuntime(has=replace(CARD, name="H100", capability="sm90"))
    backend = choose_backend(tiny, wish(tmp_path), only_rtx(hopper))
    assert (backend.name, backend.fallback) == ("onnx", True)  # a card is there, and lies idle
    assert "tensorrt_rtx 1.0 does not support H100 (sm90)" in caplog.text


def test_auto_with_a_driver_whose_card_cannot_be_used_warns_and_says_that_it_fell_back(
    tiny: ModelBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A driver that was upgraded without a restart, a card that fell off the bus."""

    class Broken(ProcessorRuntime):
        def card(self) -> Card:
            raise UnusableCardError("the NVIDIA driver shows no GPU")

    for patience in ("wait", "beside", "never"):
        backend = choose_backend(tiny, wish(tmp_path, patience=patience), only_rtx(Broken()))
        assert (backend.name, backend.fallback) == ("onnx", True)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3


def test_a_named_engine_that_is_ready_needs_no_lock(tiny: ModelBundle, shop: EngineShop) -> None:
    """It may lie in a cache that this user can only read, or beside a build of another engine."""
    manifest = shop.obtain(CARD)
    with shop.cache.building():
        assert shop.obtain(CARD) == manifest


def test_auto_takes_an_engine_that_is_ready(
    tiny: ModelBundle, shop: EngineShop, runtime: ProcessorRuntime, tmp_path: Path
) -> None:
    shop.obtain(CARD)
    backend = choose_backend(tiny, wish(tmp_path), only_rtx(runtime))
    assert backend.name == "tensorrt"
    backend.close()


def test_auto_never_labels_with_an_engine_that_was_not_tried_on_the_card(
    tiny: ModelBundle, shop: EngineShop, runtime: ProcessorRuntime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    manifest = shop.build(shop.key(CARD), CARD)
    assert choose_backend(tiny, wish(tmp_path), only_rtx(runtime)).name == "onnx"
    assert (
        f"{manifest.plan} has not been tried on this GPU; `auroramon engine build` builds and tries it" in caplog.text
    )


def test_auto_builds_beside_the_work_and_takes_the_engine_when_it_is_there(
    tiny: ModelBundle, shop: EngineShop, runtime: ProcessorRuntime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    built_beside = ProcessorRuntime()
    replace(shop, runtime=built_beside).obtain(replace(CARD, driver="another"))
    backend = choose_backend(tiny, wish(tmp_path, patience="beside"), only_rtx(runtime))
    assert backend.name == "onnx"
    assert "driver another instead of 550.54" in caplog.text
    assert "its engine is being built beside, and taken when it is ready" in caplog.text
    shop.obtain(CARD)  # what the process beside does where there is a card
    deadline = time.monotonic() + 120
    while backend.name == "onnx" and time.monotonic() < deadline:
        backend.embed(tiny.golden.inputs)
        time.sleep(0.05)
    assert (backend.name, backend.fallback) == ("tensorrt", False)
    assert runtime.built == ["sm89"]
    backend.close()


def test_auto_goes_on_with_onnx_where_the_engine_is_refused(
    make_shop: Callable[..., EngineShop], tiny: ModelBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    wrong = ProcessorRuntime(spoils=0.7)
    with pytest.raises(EngineError):
        make_shop(runtime=wrong).obtain(CARD)
    caplog.set_level("WARNING")  # what a command says that keeps quiet about everything that went well
    for patience in ("wait", "beside", "never"):
        backend = choose_backend(tiny, wish(tmp_path, patience=patience), only_rtx(wrong))
        assert (backend.name, backend.fallback) == ("onnx", True)
        backend.close()
    assert caplog.text.count("least cosine") == 3


def test_an_engine_that_cannot_be_loaded_any_more_leaves_auto_on_onnx(
    tiny: ModelBundle, shop: EngineShop, runtime: ProcessorRuntime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    shop.obtain(CARD)
    runtime.refuses = True
    assert choose_backend(tiny, wish(tmp_path), only_rtx(runtime)).name == "onnx"
    assert "tensorrt_rtx 1.0 does not take the engine" in caplog.text


@pytest.mark.parametrize(("name", "patience"), [("tensorrt", "never"), ("auto", "wait")])
def test_an_engine_that_does_not_load_any_more_is_built_anew_by_who_waits(
    tiny: ModelBundle, shop: EngineShop, runtime: ProcessorRuntime, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    name: str, patience: str,
) -> None:  # fmt: skip
    manifest = shop.obtain(CARD)
    runtime.refusals = 1
    backend = choose_backend(tiny, wish(tmp_path, name=name, patience=patience), only_rtx(runtime))
    assert backend.name == "tensorrt"
    assert runtime.built == ["sm89", "sm89"]
    assert f"{manifest.plan} is removed, to be built anew: tensorrt_rtx 1.0 does not take the engine" in caplog.text
    backend.close()


def test_an_engine_that_does_not_load_any_more_is_built_anew_beside_the_work(
    tiny: ModelBundle, shop: EngineShop, runtime: ProcessorRuntime, tmp_path: Path
) -> None:
    manifest = shop.obtain(CARD)
    runtime.refusals = 1
    backend = choose_backend(tiny, wish(tmp_path, patience="beside"), only_rtx(runtime))
    assert (backend.name, backend.fallback) == ("onnx", False)
    assert not (shop.cache.folder / manifest.plan).exists()
    backend.close()


def ready(flag: threading.Event) -> threading.Event:
    flag.set()
    return flag


@pytest.mark.parametrize(("name", "patience"), [("tensorrt", "beside"), ("tensorrt", "wait"), ("auto", "wait")])
def test_a_stop_ends_the_wait_for_an_engine(
    tiny: ModelBundle, runtime: ProcessorRuntime, tmp_path: Path, name: str, patience: str
) -> None:
    build = Ending()
    asked = wish(tmp_path, name=name, patience=patience, stop=ready(threading.Event()))
    with pytest.raises(StoppedError):
        choose_backend(tiny, asked, only_rtx(runtime), begin_build=lambda shop: build)
    assert build.closed
    assert runtime.built == []  # nothing of it was done in this process, which could not be stopped


@pytest.mark.parametrize(("name", "patience"), [("tensorrt", "beside"), ("auto", "wait")])
def test_an_engine_that_a_process_beside_has_built_is_taken(
    tiny: ModelBundle, shop: EngineShop, runtime: ProcessorRuntime, tmp_path: Path, name: str, patience: str
) -> None:
    beside = replace(shop, runtime=ProcessorRuntime())

    def build(asked: EngineShop) -> Ending:
        assert (asked.precision, asked.runtime.library) == ("fp16", "tensorrt_rtx")
        beside.obtain(CARD)
        return Ending(over=True)

    asked = wish(tmp_path, name=name, patience=patience, stop=threading.Event())
    backend = choose_backend(tiny, asked, only_rtx(runtime), begin_build=build)
    assert (backend.name, runtime.built) == ("tensorrt", [])
    backend.close()
    (plan,) = shop.cache.folder.glob("*.plan")
    plan.write_bytes(b"x" * plan.stat().st_size)
    backend = choose_backend(tiny, asked, only_rtx(runtime), begin_build=build)  # it is broken, so it is built anew
    assert (backend.name, runtime.built) == ("tensorrt", [])
    backend.close()


def test_a_build_beside_that_comes_to_nothing_is_the_reason(
    make_shop: Callable[..., EngineShop], tiny: ModelBundle, runtime: ProcessorRuntime, tmp_path: Path
) -> None:
    def build(shop: EngineShop) -> Ending:
        return Ending(over=True)

    asked = wish(tmp_path, name="tensorrt", stop=threading.Event())
    with pytest.raises(EngineError, match=r"none was built yet .*; its build failed, and said above why"):
        choose_backend(tiny, asked, only_rtx(runtime), begin_build=build)
    with pytest.raises(EngineError):
        make_shop(runtime=ProcessorRuntime(spoils=0.7)).obtain(CARD)
    with pytest.raises(EngineError, match=r"is refused on this GPU.*least cosine"):
        choose_backend(tiny, asked, only_rtx(runtime), begin_build=build)


def test_an_engine_that_gives_something_else_than_when_it_was_tried_is_not_taken(
    tiny: ModelBundle, shop: EngineShop, runtime: ProcessorRuntime, tmp_path: Path
) -> None:
    """The golden frames are checked at each start."""
    shop.obtain(CARD)
    runtime.spoils = 0.7
    with pytest.raises(EngineError, match="does not repeat its golden frames"):
        choose_backend(tiny, wish(tmp_path, name="tensorrt"), only_rtx(runtime))
    assert choose_backend(tiny, wish(tmp_path), only_rtx(runtime)).name == "onnx"
    assert runtime.open == 0


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


def test_a_build_beside_reads_no_configuration_of_the_folder_it_is_begun_in(
    shop: EngineShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "auroramon.toml"
    wrong.write_text("no TOML at all")
    monkeypatch.setenv("AURORAMON_CONFIG", str(wrong))
    command = build_command(replace(shop, precision="int8", runtime=ProcessorRuntime("tensorrt")))
    assert command[command.index("--precision") + 1] == "int8"
    assert command[command.index("--library") + 1] == "tensorrt"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "TOML" not in done.stderr
    assert "tensorrt" in done.stderr or "NVIDIA" in done.stderr  # it came as far as the library, or as the card


def test_tensorrt_by_name_where_it_cannot_run_is_an_error_with_every_reason(tiny: ModelBundle, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        choose_backend(tiny, wish(tmp_path, name="tensorrt"), without_driver)
    assert str(refused.value) == (
        "backend tensorrt cannot run here: tensorrt: no NVIDIA driver is loaded; tensorrt_rtx: no NVIDIA driver is "
        "loaded. Set model.backend to auto or onnx, or see docs/gpu.md"
    )


def test_tensorrt_by_name_whose_engine_is_refused_is_an_error_with_the_figures(
    make_shop: Callable[..., EngineShop], tiny: ModelBundle, tmp_path: Path
) -> None:
    wrong = ProcessorRuntime(spoils=0.7)
    with pytest.raises(EngineError):
        make_shop(runtime=wrong).obtain(CARD)
    with pytest.raises(EngineError, match=r"is refused on this GPU.*least cosine"):
        choose_backend(tiny, wish(tmp_path, name="tensorrt"), only_rtx(wrong))


def test_tensorrt_by_name_with_a_ready_engine_runs(
    tiny: ModelBundle, shop: EngineShop, runtime: ProcessorRuntime, tmp_path: Path
) -> None:
    shop.obtain(CARD)
    backend = choose_backend(tiny, wish(tmp_path, name="tensorrt"), only_rtx(runtime))
    assert backend.name == "tensorrt"
    backend.close()


def test_tensorrt_by_name_goes_on_to_the_other_library_where_the_first_is_refused(
    make_shop: Callable[..., EngineShop], tiny: ModelBundle, runtime: ProcessorRuntime, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level("INFO")
    wrong = ProcessorRuntime("tensorrt", spoils=0.7)
    for library in (wrong, runtime):
        with suppress(EngineError):
            make_shop(runtime=library).obtain(CARD)

    def both(library: Library) -> ProcessorRuntime:
        return wrong if library == "tensorrt" else runtime

    backend = choose_backend(tiny, wish(tmp_path, name="tensorrt"), both)
    assert (backend.name, backend.device) == ("tensorrt", "Pretend RTX, tensorrt_rtx 1.0")
    assert "not used: tensorrt: tiny-1-sm89-fp16-tensorrt-" in caplog.text
    backend.close()
    runtime.refuses = True
    with pytest.raises(EngineError, match=r"is refused on this GPU.*; tensorrt_rtx 1.0 does not take the engine"):
        choose_backend(tiny, wish(tmp_path, name="tensorrt"), both)


def test_who_only_looks_builds_nothing(tiny: ModelBundle, runtime: ProcessorRuntime, tmp_path: Path) -> None:
    with pytest.raises(UnbuiltEngineError, match="tensorrt_rtx: no engine for this GPU: none was built yet"):
        choose(tiny, wish(tmp_path, name="tensorrt", patience="look"), only_rtx(runtime))
    choice = choose(tiny, wish(tmp_path, patience="look"), only_rtx(runtime))
    assert (choice.backend.name, choice.remarkable) == ("onnx", True)
    assert "`auroramon engine build` builds and tries it" in choice.line()
    assert runtime.built == []
    assert not (tmp_path / "cache").exists()


def test_who_only_looks_leaves_an_engine_that_does_not_load_where_it_is(
    tiny: ModelBundle, shop: EngineShop, runtime: ProcessorRuntime, tmp_path: Path
) -> None:
    plan = shop.cache.folder / shop.obtain(CARD).plan
    choose(tiny, wish(tmp_path, name="tensorrt", patience="look"), only_rtx(runtime)).backend.close()
    runtime.refusals = 1
    with pytest.raises(EngineError, match="does not take the engine"):
        choose(tiny, wish(tmp_path, name="tensorrt", patience="look"), only_rtx(runtime))
    content = plan.read_bytes()
    plan.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    with pytest.raises(EngineError, match="sha256 differs"):
        choose(tiny, wish(tmp_path, name="tensorrt", patience="look"), only_rtx(runtime))
    assert plan.exists()
    assert runtime.built == ["sm89"]


def test_fp16_that_runs_on_the_processor_is_said_aloud(
    tiny: ModelBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = choose_backend(tiny, wish(tmp_path, precision="fp16"), none_installed)
    assert (backend.name, backend.precision) == ("onnx", "float32")
    (line,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith(
        "labelling with onnx (float32, CPU, 1 thread) instead of fp16, which needs a GPU; not used: the module tensorrt"
    )


def test_fp16_that_waits_for_its_engine_is_no_warning(
    tiny: ModelBundle, runtime: ProcessorRuntime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    backend = choose_backend(tiny, wish(tmp_path, precision="fp16", patience="beside"), only_rtx(runtime))
    assert backend.name == "onnx"
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []
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


def test_onnx_by_name_looks_at_no_card_and_says_what_labels(
    tiny: ModelBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert choose_backend(tiny, wish(tmp_path, name="onnx"), none_installed).name == "onnx"
    assert [record.message for record in caplog.records] == ["labelling with onnx (int8, CPU, 1 thread)"]
    with pytest.raises(ConfigError, match="precision fp16 needs a GPU"):
        choose_backend(tiny, wish(tmp_path, name="onnx", precision="fp16"), none_installed)


def test_onnx_cuda_by_name_is_an_error_where_onnx_runtime_has_no_cuda(tiny: ModelBundle, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pip install 'onnxruntime-gpu\[cuda,cudnn\]'"):
        choose_backend(tiny, wish(tmp_path, name="onnx-cuda"), none_installed)
    with pytest.raises(ConfigError, match="precision int8 needs backend tensorrt"):
        choose_backend(tiny, wish(tmp_path, name="onnx-cuda", precision="int8"), none_installed)


def test_a_model_that_does_not_repeat_its_golden_frames_stops_auto_too(tiny: ModelBundle, tmp_path: Path) -> None:
    wrong = replace(tiny, golden=replace(tiny.golden, embeddings=-tiny.golden.embeddings))
    with pytest.raises(BundleError, match="does not repeat its golden frames"):
        choose_backend(wrong, wish(tmp_path), none_installed)
