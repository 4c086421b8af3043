"""engine where a card is: a runtime on the processor fills in for both libraries, behind the commands themselves."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from auroramon.backends.choice import ENGINES
from auroramon.backends.engine import EngineShop
from auroramon.backends.engine_cache import EngineCache
from auroramon.backends.engine_files import LOCK
from auroramon.backends.graph import RECIPE
from auroramon.backends.manifest import Manifest, manifest_text, read_manifest
from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.runtime import Card
from auroramon.bundle import ModelBundle
from auroramon.bundle_writing import write_bundle
from auroramon.errors import MissingPartError
from tests.backends.processor import CARD, ProcessorRuntime
from tests.backends.tiny_model import make_parts
from tests.cli.conftest import Command
from tests.skies import write_png

LONG_AGO = 1_000_000_000


class Broken(ProcessorRuntime):
    """Installed, and its own libraries cannot be loaded."""

    @property
    def version(self) -> str:
        raise MissingPartError(f"the module {self.library} cannot be loaded (libnvinfer.so: cannot open)")

    @version.setter
    def version(self, value: str) -> None:
        pass


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> dict[str, ProcessorRuntime]:
    """Both libraries, installed; a test may take one away, break it, or have it build for other cards."""
    found = {name: ProcessorRuntime(library=name) for name in ("tensorrt", "tensorrt_rtx")}

    def opened(library: str) -> ProcessorRuntime:
        if library not in found:
            raise MissingPartError(f"the module {library} is not installed")
        return found[library]

    for module in ("assemble", "checkup", "backends.tensorrt"):  # the first two import the name from the last
        monkeypatch.setattr(f"auroramon.{module}.open_runtime", opened)
    return found


@pytest.fixture
def tiny(tmp_path: Path) -> ModelBundle:
    return write_bundle(tmp_path / "tiny-1", make_parts(tmp_path / "parts"))


@pytest.fixture
def config(tiny: ModelBundle, tmp_path: Path) -> Path:
    file = tmp_path / "here.toml"
    file.write_text(
        f'[model]\npath = "{tiny.folder}"\nprecision = "int8"\nbackend = "tensorrt"\n'
        f'[database]\nurl = "sqlite:///{tmp_path}/a.sqlite"\n'
    )
    return file


def engine_of(tiny: ModelBundle, tmp_path: Path, runtime: ProcessorRuntime) -> tuple[Path, Manifest]:
    """Put an engine into the cache that was tried on few frames and used long ago; give its plan."""
    cache = EngineCache(tmp_path / "cache/auroramon" / ENGINES)
    shop = EngineShop(runtime, cache, tiny, "int8", lambda: OnnxBackend(tiny, "float32", 1), frames=6)
    manifest = shop.obtain(CARD)
    plan = cache.folder / manifest.plan
    os.utime(plan, (LONG_AGO, LONG_AGO))
    return plan, manifest


def test_build_makes_the_engine_that_config_check_asks_for(
    auroramon: Command, config: Path, libraries: dict[str, ProcessorRuntime]
) -> None:
    del libraries["tensorrt"]
    said = auroramon("config", "check", "-c", config)
    assert "none was built yet (sm89, int8, tensorrt_rtx)" in said.out
    assert "auroramon engine build, with the same -c" in auroramon("doctor", "-c", config).out
    said = auroramon("engine", "build", "-c", config)
    assert said.code == 0, said.err
    assert "-sm89-int8-tensorrt_rtx-" in said.out
    said = auroramon("config", "check", "-c", config)
    assert "runs on tensorrt (int8, Pretend RTX, tensorrt_rtx 1.0)" in said.out
    said = auroramon("engine", "build", "-c", config, "--precision", "float32", "--target", "sm75")
    assert "-sm75-float32-tensorrt_rtx-" in said.out


def test_build_takes_the_library_that_auto_would_take(
    auroramon: Command, config: Path, libraries: dict[str, ProcessorRuntime]
) -> None:
    """The first one cannot be loaded, or knows no card of this kind."""
    libraries["tensorrt"] = Broken(library="tensorrt")
    said = auroramon("engine", "build", "-c", config, "--target", "sm75")
    assert (said.code, "-tensorrt_rtx-" in said.out) == (0, True), said.err
    libraries["tensorrt"] = ProcessorRuntime(library="tensorrt", builds_for=("sm90",))
    said = auroramon("engine", "build", "-c", config, "--target", "sm120")
    assert (said.code, "-tensorrt_rtx-" in said.out) == (0, True), said.err
    said = auroramon("engine", "build", "-c", config, "--library", "tensorrt", "--target", "sm120")
    assert (said.code, said.out) == (2, "")
    assert "tensorrt 1.0 does not build for sm120, only for sm90" in said.err
    for name in libraries:
        libraries[name] = Broken(library=name)
    said = auroramon("engine", "build", "-c", config)
    assert said.code == 2
    for name in libraries:
        assert f"the module {name} cannot be loaded" in said.err


def test_engines_of_a_library_that_cannot_be_loaded_are_not_tried_and_kept(
    auroramon: Command, config: Path, tiny: ModelBundle, tmp_path: Path, libraries: dict[str, ProcessorRuntime]
) -> None:
    plan, _ = engine_of(tiny, tmp_path, libraries["tensorrt"])
    (plan.parent / ".half.plan.abc.new").write_bytes(b"a build that was killed")
    libraries["tensorrt"] = Broken(library="tensorrt")
    said = auroramon("engine", "verify", "-c", config)
    assert said.code == 0
    assert "as it was built; not tried: the module tensorrt cannot be loaded" in said.out
    said = auroramon("engine", "clean", "-c", config)
    assert said.code == 0
    assert f"{plan.stem} is kept: the module tensorrt cannot be loaded" in said.err
    assert said.out == ".half.plan.abc.new: belongs to no engine\n"
    assert plan.exists()
    del libraries["tensorrt"]
    assert auroramon("engine", "clean", "-c", config).out == f"{plan.stem}: tensorrt is not installed\n"
    assert not plan.exists()


def test_who_only_looks_does_not_use_an_engine(
    auroramon: Command, config: Path, tiny: ModelBundle, tmp_path: Path, libraries: dict[str, ProcessorRuntime]
) -> None:
    """What was not used for longest goes first: an engine that is only checked must not look used."""
    plan, _ = engine_of(tiny, tmp_path, libraries["tensorrt"])
    for words in (("engine", "list"), ("engine", "verify"), ("engine", "clean"), ("config", "check"), ("doctor",)):
        said = auroramon(*words, "-c", config)
        assert "Traceback" not in said.err
        assert plan.stat().st_mtime == LONG_AGO, words
    assert libraries["tensorrt"].loaded > 1  # verify and doctor loaded it
    assert auroramon("classify", "-c", config, write_png(tmp_path, 1)).code == 0
    assert plan.stat().st_mtime > LONG_AGO


def test_in_a_cache_that_cannot_be_written_verify_tells_its_figures_and_build_finds_what_is_there(
    auroramon: Command, config: Path, tiny: ModelBundle, tmp_path: Path, libraries: dict[str, ProcessorRuntime]
) -> None:
    plan, manifest = engine_of(tiny, tmp_path, libraries["tensorrt"])
    (plan.parent / LOCK).unlink()
    (plan.parent / LOCK).mkdir()  # what may not be opened for writing, also by root
    said = auroramon("engine", "verify", "-c", config)
    assert said.code == 0, said.out
    assert "agrees on Pretend RTX: 4 golden frames, 100.00% of 500 simulated labels" in said.out
    assert f"; how it went is not written down: {plan.parent} cannot be written: Is a directory" in said.out
    assert read_manifest(plan.with_suffix(".json")) == manifest
    assert auroramon("engine", "build", "-c", config).out == f"{plan}\n"
    libraries["tensorrt"].has = None  # ahead of time: the same card, elsewhere
    ahead = replace(manifest, key=manifest.key.ahead, plan=f"{plan.stem[:-1]}x.plan", trial=None)
    plan.rename(plan.with_name(ahead.plan))
    plan.with_suffix(".json").unlink()
    (plan.parent / ahead.plan).with_suffix(".json").write_text(manifest_text(ahead))
    said = auroramon("engine", "build", "-c", config, "--target", "sm89")
    assert (said.code, said.out) == (0, f"{plan.parent / ahead.plan}\n"), said.err
    libraries["tensorrt"].has, libraries["tensorrt"].spoils = CARD, 0.7
    said = auroramon("engine", "verify", "-c", config)
    assert said.code == 1
    assert "refused on Pretend RTX: " in said.out
    assert "how it went is not written down" in said.out


def test_a_manifest_with_a_right_digest_and_wrong_types_is_unusable_and_no_traceback(
    auroramon: Command, config: Path, tiny: ModelBundle, tmp_path: Path, libraries: dict[str, ProcessorRuntime]
) -> None:
    plan, manifest = engine_of(tiny, tmp_path, libraries["tensorrt"])
    plan.with_suffix(".json").write_text(manifest_text(replace(manifest, built=5)))  # type: ignore[arg-type]
    assert "is no manifest of an engine (built is 5)" in auroramon("engine", "list", "--json").out
    assert auroramon("engine", "list").code == 0
    said = auroramon("engine", "verify", "-c", config)
    assert said.code == 1
    assert "is no manifest of an engine (built is 5)" in said.out
    assert "is no manifest of an engine (built is 5)" in auroramon("engine", "clean", "-c", config).out
    assert not plan.exists()


def test_an_engine_of_another_recipe_can_never_serve_and_is_cleaned_away(
    auroramon: Command, config: Path, tiny: ModelBundle, tmp_path: Path, libraries: dict[str, ProcessorRuntime]
) -> None:
    plan, manifest = engine_of(tiny, tmp_path, libraries["tensorrt"])
    other_driver = replace(manifest, key=replace(manifest.key, driver="1.0", card="Other RTX"))
    plan.with_suffix(".json").write_text(manifest_text(other_driver))
    assert auroramon("engine", "clean", "-c", config).out == ""  # it may be the card's that was here yesterday
    old = replace(manifest, key=replace(manifest.key, recipe=1, version="0.9"))
    plan.with_suffix(".json").write_text(manifest_text(old))
    said = auroramon("engine", "clean", "-c", config)
    assert said.out == f"{plan.stem}: for version 0.9 instead of 1.0, recipe 1 instead of {RECIPE}\n"
    assert not plan.exists()


def test_tensorrt_asked_for_another_card_than_the_one_that_is_here_says_what_it_builds_for(
    auroramon: Command, config: Path, libraries: dict[str, ProcessorRuntime]
) -> None:
    class ForThisCardAlone(ProcessorRuntime):
        def targets(self, card: Card | None) -> tuple[str, ...]:
            return (card.capability,) if card else ()

    libraries["tensorrt"] = ForThisCardAlone("tensorrt")
    said = auroramon("engine", "build", "-c", config, "--library", "tensorrt", "--target", "sm120")
    assert said.code == 2
    assert "tensorrt 1.0 builds only for a GPU of this machine, and none is sm120" in said.err
