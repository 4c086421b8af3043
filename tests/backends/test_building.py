"""What a library is asked for when it builds, and the command that a daemon builds with; the library is a stand-in."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from auroramon.backends.child_build import build_command
from auroramon.backends.engine import EngineShop
from auroramon.backends.graph import EnginePrecision
from auroramon.backends.runtime import no_progress
from auroramon.backends.tensorrt import TensorRTRuntime
from auroramon.cli.engine import build
from tests.backends.conftest import MakeShop
from tests.backends.processor import CARD, ProcessorRuntime

TF32, FP16 = "TF32", "FP16"


@dataclass
class Config:
    """Stands in for an IBuilderConfig, with the flags that TensorRT sets by itself."""

    flags: set[str] = field(default_factory=lambda: {TF32})
    profiles: list[Any] = field(default_factory=list)

    def clear_flag(self, flag: str) -> None:
        self.flags.discard(flag)

    def set_flag(self, flag: str) -> None:
        self.flags.add(flag)

    def add_optimization_profile(self, profile: Any) -> int:
        self.profiles.append(profile.shapes)
        return len(self.profiles) - 1

    def create_timing_cache(self, known: bytes) -> bytes | None:
        return None if known == b"no timings" else known + b" and more"

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch  # kernels measured on another card
        self.cache = cache
        return not cache.startswith(b"of another card")

    def get_timing_cache(self) -> Any:
        return SimpleNamespace(serialize=lambda: self.cache)


class Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, tuple[tuple[int, ...], ...]] = {}

    def set_shape(self, name: str, *shapes: tuple[int, ...]) -> None:
        self.shapes[name] = shapes


@dataclass
class Library:
    """Stands in for the module `tensorrt`, and remembers what a network and its build were asked for."""

    __version__: str = "10.9"
    config: Config = field(default_factory=Config)
    network_flags: int = 0

    NetworkDefinitionCreationFlag = SimpleNamespace(STRONGLY_TYPED=1)
    BuilderFlag = SimpleNamespace(TF32=TF32, FP16=FP16)
    IProgressMonitor = object
    ILogger = object

    def Builder(self, logger: object) -> Any:  # noqa: N802 - TensorRT's name
        def network(flags: int) -> Any:
            self.network_flags = flags
            return SimpleNamespace(get_input=lambda _: SimpleNamespace(name="inputs", shape=(-1, 2, 96, 96)))

        return SimpleNamespace(
            create_network=network,
            create_builder_config=lambda: self.config,
            create_optimization_profile=Profile,
            build_serialized_network=lambda *_: b"plan",
        )

    def OnnxParser(self, network: object, logger: object) -> Any:  # noqa: N802
        return SimpleNamespace(parse=lambda _: True)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    stand_in = Library()
    monkeypatch.setitem(sys.modules, "tensorrt", stand_in)  # type: ignore[arg-type]
    return stand_in


def test_an_engine_computes_what_its_graph_says_and_nothing_coarser(library: Library) -> None:
    """float32 stays float32 although TensorRT rounds to TF32 by itself, and no type is chosen by the library."""
    assert TensorRTRuntime("tensorrt").compile(b"graph", "sm89", b"known", no_progress).plan == b"plan"
    assert library.config.flags == set()
    assert library.network_flags == 1 << library.NetworkDefinitionCreationFlag.STRONGLY_TYPED


def test_an_engine_takes_one_frame_and_up_to_256_tuned_for_16(library: Library, make_shop: MakeShop) -> None:
    TensorRTRuntime("tensorrt").compile(b"graph", "sm89", b"", no_progress)
    one, many = (1, 2, 96, 96), [(frames, 2, 96, 96) for frames in (1, 16, 256)]
    assert library.config.profiles == [{"inputs": (one, one, one)}, {"inputs": tuple(many)}]
    assert make_shop().key(CARD).profile == "1 and up to 256, tuned for 16"  # others are built anew


def test_what_was_measured_is_known_to_the_next_build(library: Library) -> None:
    made = TensorRTRuntime("tensorrt").compile(b"graph", "sm89", b"known", no_progress)
    assert made.timings == b"known and more"


@pytest.mark.parametrize("known", [b"of another card", b"no timings"])
def test_what_was_measured_on_another_card_gives_way_to_what_is_measured_now(library: Library, known: bytes) -> None:
    made = TensorRTRuntime("tensorrt").compile(b"graph", "sm89", known, no_progress)
    assert made.timings == b" and more"


@pytest.mark.parametrize("precision", ["float32", "fp16", "int8"])
@pytest.mark.parametrize("name", ["tensorrt", "tensorrt_rtx"])
def test_the_build_beside_the_work_builds_the_engine_that_the_daemon_waits_for(
    make_shop: MakeShop, precision: EnginePrecision, name: str
) -> None:
    """Whatever the settings are that the child finds: all that the key of the engine depends on is named."""
    shop = make_shop(precision=precision, runtime=ProcessorRuntime(library=name))
    interpreter, *called = build_command(shop)
    assert (interpreter, called[:5]) == (sys.executable, ["-P", "-m", "auroramon", "engine", "build"])
    taken = build.make_context("build", called[5:]).params
    assert taken == {
        "library": name,
        "precision": precision,
        "path": shop.bundle.folder,
        "cache": shop.cache.folder.parent,
        "target": None,
        "config": Path(os.devnull),  # a broken ./auroramon.toml must not end the build
    }


def test_a_build_beside_takes_no_configuration_and_no_module_of_the_folder_it_is_begun_in(
    shop: EngineShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "auroramon.toml"
    wrong.write_text("no TOML at all")
    (tmp_path / "onnx.py").write_text("raise SystemExit('this is no library')")
    (tmp_path / "numpy.py").write_text("raise SystemExit('this is no library')")
    monkeypatch.setenv("AURORAMON_CONFIG", str(wrong))
    command = build_command(replace(shop, precision="int8", runtime=ProcessorRuntime("tensorrt")))
    assert command[command.index("--precision") + 1] == "int8"
    assert command[command.index("--library") + 1] == "tensorrt"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "TOML" not in done.stderr
    assert "this is no library" not in done.stderr
    assert "tensorrt" in done.stderr or "NVIDIA" in done.stderr  # it came as far as the library, or as the card
