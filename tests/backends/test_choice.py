"""What labels on a machine, and in one line why nothing else does; what was asked for by name is never replaced."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auroramon.backends.choice import choose, choose_backend
from auroramon.backends.engine import EngineShop
from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.runtime import Card, Library
from auroramon.backends.second_look import open_on_processor
from auroramon.borders import Borders
from auroramon.bundle import ModelBundle, Sides
from auroramon.errors import (
    BundleError,
    ConfigError,
    EngineError,
    MissingPartError,
    UnbuiltEngineError,
    UnusableCardError,
)
from tests.backends.conftest import MakeShop
from tests.backends.machines import none_installed, only_rtx, wish, without_driver
from tests.backends.processor import CARD, ProcessorRuntime
from tests.backends.tiny_model import SIZE


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


def test_a_library_that_is_installed_and_cannot_be_loaded_beside_a_card_counts_as_a_fallback(
    tiny: ModelBundle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After an upgrade that went wrong: a station with a GPU must not label on the processor unnoticed."""

    class Broken(ProcessorRuntime):
        def targets(self, card: Card | None) -> tuple[str, ...]:
            raise MissingPartError("the module tensorrt_rtx cannot be loaded (libcudart.so: cannot open)")

    backend = choose_backend(tiny, wish(tmp_path), only_rtx(Broken()))
    assert (backend.name, backend.fallback) == ("onnx", True)
    assert "cannot be loaded (libcudart.so: cannot open)" in caplog.text  # a warning


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
        f"{manifest.plan} has not been tried on this GPU; `auroramon engine build --precision fp16` builds and tries it"
        in caplog.text
    )


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


@pytest.mark.parametrize("name", ["auto", "tensorrt"])
def test_an_engine_looks_at_frames_near_a_border_from_all_sides(
    tiny: ModelBundle, make_shop: MakeShop, runtime: ProcessorRuntime, tmp_path: Path, name: str
) -> None:
    inputs = np.random.default_rng(3).normal(size=(40, 2, SIZE, SIZE)).astype(np.float32)
    room = np.sort(Borders(tiny.head).room(OnnxBackend(tiny, "float32", 1).embed(inputs)))
    wide = int(np.diff(room).argmax())  # fp16 moves no frame across a gap so wide
    near, again = float(room[wide : wide + 2].mean()), wide + 1
    many = replace(tiny, sides=Sides(near, count=4, part=0.1))
    make_shop(bundle=many).obtain(CARD)
    backend = choose_backend(many, wish(tmp_path, name=name), only_rtx(runtime))
    assert (backend.name, backend.precision) == ("tensorrt", "fp16")
    assert backend.device == "Pretend RTX, tensorrt_rtx 1.0; 4 sides near a border"
    runtime.batches.clear()
    np.testing.assert_allclose(backend.embed(inputs), open_on_processor(many, "float32", 1).embed(inputs), atol=1e-2)
    assert runtime.batches == [40, 3 * again]
    backend.close()
    assert runtime.open == 0


def test_a_card_that_fails_at_the_other_sides_loses_no_frame(
    tiny: ModelBundle, make_shop: MakeShop, runtime: ProcessorRuntime, tmp_path: Path
) -> None:
    many = replace(tiny, sides=Sides(near=1e9, count=4, part=1.0))
    make_shop(bundle=many).obtain(CARD)
    backend = choose_backend(many, wish(tmp_path), only_rtx(runtime))
    inputs = np.random.default_rng(3).normal(size=(5, 2, SIZE, SIZE)).astype(np.float32)
    wanted = backend.embed(inputs)

    class Failing(list[int]):
        def append(self, frames: int) -> None:
            super().append(frames)
            runtime.fails = int(self == [5, 15])

    runtime.batches = Failing()
    np.testing.assert_array_equal(backend.embed(inputs), wanted)
    assert runtime.batches[:2] == [5, 15]
    assert runtime.batches[-2:] == [5, 15]
    assert len(runtime.batches) > 4, "all was done again, on a card that was started anew"
    backend.close()


def test_a_named_engine_that_is_ready_needs_no_lock(tiny: ModelBundle, shop: EngineShop) -> None:
    """It may lie in a cache that this user can only read, or beside a build of another engine."""
    manifest = shop.obtain(CARD)
    with shop.cache.building():
        assert shop.obtain(CARD) == manifest


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


@pytest.mark.parametrize("patience", ["wait", "beside", "never", "look"])
@pytest.mark.parametrize("name", ["auto", "tensorrt"])
def test_an_engine_that_is_ready_is_taken_before_another_library_must_build_one(
    tiny: ModelBundle, shop: EngineShop, runtime: ProcessorRuntime, tmp_path: Path, name: str, patience: str
) -> None:
    shop.obtain(CARD)
    first = ProcessorRuntime("tensorrt")

    def both(library: Library) -> ProcessorRuntime:
        return first if library == "tensorrt" else runtime

    choice = choose(tiny, wish(tmp_path, name=name, patience=patience), both)
    choice.backend.close()
    assert choice.line() == (
        "tensorrt (fp16, Pretend RTX, tensorrt_rtx 1.0); not used: tensorrt: no engine for this GPU: none was built "
        "yet (sm89, fp16, tensorrt)"
    )
    assert first.built == []
    replace(shop, runtime=first).obtain(CARD)
    choice = choose(tiny, wish(tmp_path, name=name, patience=patience), both)
    choice.backend.close()
    assert choice.backend.device == "Pretend RTX, tensorrt 1.0"


def test_who_only_looks_builds_nothing(tiny: ModelBundle, runtime: ProcessorRuntime, tmp_path: Path) -> None:
    with pytest.raises(UnbuiltEngineError, match="tensorrt_rtx: no engine for this GPU: none was built yet"):
        choose(tiny, wish(tmp_path, name="tensorrt", patience="look"), only_rtx(runtime))
    choice = choose(tiny, wish(tmp_path, patience="look"), only_rtx(runtime))
    assert (choice.backend.name, choice.remarkable) == ("onnx", True)
    assert "`auroramon engine build --precision fp16` builds and tries it" in choice.line()
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
