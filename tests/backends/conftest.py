"""A tiny model, an empty cache, and a shop that joins them with a runtime on the processor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auroramon.backends.engine import EngineShop
from auroramon.backends.engine_cache import EngineCache
from auroramon.backends.graph import EnginePrecision
from auroramon.backends.onnx import OnnxBackend
from auroramon.bundle import ModelBundle
from auroramon.bundle_writing import write_bundle
from tests.backends.processor import ProcessorRuntime
from tests.backends.tiny_model import make_parts

FRAMES = 6  # of a trial: the figures here are about the rules, not about a model

MakeShop = Callable[..., EngineShop]


@pytest.fixture
def tiny(tmp_path: Path) -> ModelBundle:
    return write_bundle(tmp_path / "tiny-1", make_parts(tmp_path / "parts", int8=True))


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "cache" / "engines")


@pytest.fixture
def runtime() -> ProcessorRuntime:
    return ProcessorRuntime()


@pytest.fixture
def make_shop(tiny: ModelBundle, cache: EngineCache, runtime: ProcessorRuntime) -> MakeShop:
    def make(
        bundle: ModelBundle = tiny, precision: EnginePrecision = "fp16", runtime: ProcessorRuntime = runtime
    ) -> EngineShop:
        return EngineShop(runtime, cache, bundle, precision, lambda: OnnxBackend(bundle, "float32", 1), FRAMES)

    return make


@pytest.fixture
def shop(make_shop: MakeShop) -> EngineShop:
    return make_shop()
