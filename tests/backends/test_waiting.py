"""Where an engine must be built first: by whom, who waits for it, and that a stop ends the wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from auroramon.backends.choice import choose_backend
from auroramon.backends.engine import EngineShop
from auroramon.bundle import ModelBundle
from auroramon.errors import EngineError, StoppedError
from tests.backends.machines import Ending, only_rtx, wish
from tests.backends.processor import CARD, ProcessorRuntime


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
