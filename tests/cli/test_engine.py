"""engine: built for a card that is elsewhere, listed, verified, cleaned; and --backend where there is no card."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from auroramon.backends.cards import shop_of
from auroramon.backends.child_build import ChildBuild
from auroramon.backends.choice import ENGINES
from auroramon.backends.engine_cache import EngineCache
from auroramon.backends.tensorrt import open_runtime
from auroramon.bundle import ModelBundle
from auroramon.bundle_writing import write_bundle
from auroramon.errors import MissingPartError, NoCardError
from tests.backends.tiny_model import make_parts
from tests.cli.conftest import Command
from tests.conftest import missing
from tests.skies import write_png
from tests.tiny import write_tiny_bundle

RTX = ("--library", "tensorrt_rtx")


@pytest.fixture(autouse=True)
def without_a_card() -> None:
    """These are the sentences of a machine that has the library and no card."""
    try:
        card = open_runtime("tensorrt_rtx").card()
    except MissingPartError as error:
        missing(str(error))
    except NoCardError:
        return
    pytest.skip(f"here is a card: {card.name}")


@pytest.fixture
def tiny(tmp_path: Path) -> ModelBundle:
    return write_bundle(tmp_path / "tiny-1", make_parts(tmp_path / "parts"))


@pytest.fixture
def plan(auroramon: Command, tiny: ModelBundle) -> Path:
    """An engine in the cache."""
    said = auroramon("engine", "build", "--target", "sm89", "--model", tiny.folder, *RTX)
    assert said.code == 0, said.err
    return Path(said.out.strip())


def test_an_engine_is_built_ahead_of_time_and_listed_as_not_verified(
    auroramon: Command, tiny: ModelBundle, plan: Path, tmp_path: Path
) -> None:
    assert plan.is_file()
    assert plan.parent == tmp_path / "cache/auroramon/engines"
    again = auroramon("engine", "build", "--target", "sm89", "--model", tiny.folder)
    assert Path(again.out.strip()) == plan
    assert "building" not in again.err
    (entry,) = json.loads(auroramon("engine", "list", "--json").out)
    assert (entry["model"], entry["target"], entry["precision"], entry["verified"]) == ("tiny-1", "sm89", "fp16", False)
    assert entry["plan"] == str(plan)
    assert entry["key"]["model"] == tiny.digest
    assert "not tried yet" in auroramon("engine", "list").out


def test_another_cache_folder_is_taken_from_flag_and_configuration(
    auroramon: Command, tiny: ModelBundle, tmp_path: Path
) -> None:
    config = tmp_path / "here.toml"
    config.write_text(f'[paths]\ncache = "kept"\n[model]\npath = "{tiny.folder}"\n')
    said = auroramon("engine", "build", "--target", "sm120", "-c", config)
    assert Path(said.out.strip()).parent == tmp_path / "kept/engines"
    assert json.loads(auroramon("engine", "list", "--json", "--cache", tmp_path / "kept").out)
    assert json.loads(auroramon("engine", "list", "--json").out) == []
    said = auroramon("engine", "list")
    assert (said.out, said.err) == ("", f"no engine in {tmp_path}/cache/auroramon/engines\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "no NVIDIA driver is loaded (libcuda.so.1 is not found): name what to build for with --target"),
        (("--target", "sm90"), "does not build for sm90, only for sm75, sm80"),
        (("--target", "sm89", "--library", "tensorrt"), "pip install 'auroramon[tensorrt]'"),
    ],
)
def test_what_cannot_be_built_here_is_a_wrong_call(
    auroramon: Command, tiny: ModelBundle, words: tuple[str, ...], sentence: str
) -> None:
    library = () if "--library" in words else RTX
    said = auroramon("engine", "build", "--model", tiny.folder, *library, *words)
    assert said.code == 2
    assert sentence in said.err
    assert said.out == ""


def test_int8_of_a_model_without_calibration_is_a_failure_that_says_what_to_do(
    auroramon: Command, tmp_path: Path
) -> None:
    bundle = write_tiny_bundle(tmp_path / "plain")
    said = auroramon("engine", "build", "--target", "sm89", "--precision", "int8", "--model", bundle.folder, *RTX)
    assert said.code == 1
    assert "has no calibration ranges" in said.err


def test_verify_finds_a_changed_engine(auroramon: Command, tiny: ModelBundle, plan: Path) -> None:
    said = auroramon("engine", "verify", "--model", tiny.folder)
    assert said.code == 0
    assert f"{plan.stem}: as it was built; not tried: no NVIDIA driver is loaded" in said.out
    content = bytearray(plan.read_bytes())
    content[-1] ^= 1
    plan.write_bytes(content)
    said = auroramon("engine", "verify", "--model", tiny.folder, "--json")
    assert said.code == 1
    (verdict,) = json.loads(said.out)
    assert not verdict["sound"]
    assert "sha256 differs" in verdict["said"]
    assert "sha256 differs" in auroramon("engine", "clean", "--model", tiny.folder).out
    assert not plan.exists()


def test_clean_removes_what_is_of_no_use_and_nothing_else(
    auroramon: Command, tiny: ModelBundle, plan: Path, tmp_path: Path
) -> None:
    (plan.parent / "notes.txt").write_text("a person's own")
    (plan.parent / ".half.plan.abc.new").write_bytes(b"a build that was killed")
    said = auroramon("engine", "clean", "--model", tiny.folder)
    assert "1 removed" in said.err
    assert plan.is_file()
    other = write_tiny_bundle(tmp_path / "other")
    said = auroramon("engine", "clean", "--model", other.folder)
    assert said.out == f"{plan.stem}: of another model than tiny\n"
    assert sorted(path.name for path in plan.parent.iterdir()) == ["build.lock", "notes.txt"]


def test_clean_makes_no_folder(auroramon: Command, tiny: ModelBundle, tmp_path: Path) -> None:
    said = auroramon("engine", "clean", "--model", tiny.folder, "--cache", tmp_path / "nowhere")
    assert (said.code, said.out) == (0, "")
    assert f"there is no {tmp_path}/nowhere/engines" in said.err
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_cannot_be_read_is_a_failure_and_not_an_empty_one(
    auroramon: Command, tiny: ModelBundle, tmp_path: Path
) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/engines").write_text("a file where the folder should be")
    for words in (("list",), ("list", "--json"), ("verify",), ("clean",)):
        model = () if words[0] == "list" else ("--model", tiny.folder)
        said = auroramon("engine", *words, *model, "--cache", tmp_path / "odd")
        assert (said.code, said.out) == (1, ""), words
        assert f"{tmp_path}/odd/engines cannot be" in said.err, words
        assert said.err.count("\n") == 1


def test_a_target_may_be_written_in_capitals(auroramon: Command, tiny: ModelBundle, plan: Path) -> None:
    said = auroramon("engine", "build", "--target", "SM89", "--model", tiny.folder, *RTX)
    assert (said.code, said.out.strip()) == (0, str(plan)), said.err


def test_clean_all_removes_every_engine(auroramon: Command, tiny: ModelBundle, plan: Path) -> None:
    assert plan.stem in auroramon("engine", "clean", "--all", "--model", tiny.folder).out
    assert not plan.exists()


def test_a_backend_asked_for_by_name_that_cannot_run_is_an_error_and_auto_labels(
    auroramon: Command, tmp_path: Path
) -> None:
    bundle, frame = write_tiny_bundle(tmp_path / "plain"), write_png(tmp_path, 1)
    said = auroramon("classify", "--backend", "tensorrt", "--model", bundle.folder, frame)
    assert said.code == 2
    assert "backend tensorrt cannot run here: " in said.err
    assert "no NVIDIA driver is loaded" in said.err
    said = auroramon("classify", "--model", bundle.folder, frame)
    assert (said.code, said.err) == (0, "")  # nothing went wrong: there is no card
    said = auroramon("classify", "--backend", "auto", "--model", bundle.folder, frame)
    assert said.code == 0
    assert "labelling with onnx" in said.err
    assert "no NVIDIA driver is loaded" in said.err
    said = auroramon("classify", "--backend", "onnx-cuda", "--model", bundle.folder, frame)
    assert said.code == 2
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]'" in said.err
    said = auroramon("classify", "--backend", "onnx", "--model", bundle.folder, frame)
    assert (said.code, said.err.count("\n")) == (0, 1)
    assert "labelling with onnx (float32, CPU, " in said.err
    said = auroramon("classify", "--precision", "fp16", "--model", bundle.folder, frame)
    assert said.code == 0
    assert "instead of fp16, which needs a GPU" in said.err


def test_config_check_and_doctor_say_why_no_gpu_labels(auroramon: Command, tiny: ModelBundle, tmp_path: Path) -> None:
    config = tmp_path / "here.toml"
    config.write_text(f'[model]\npath = "{tiny.folder}"\n[database]\nurl = "sqlite:///{tmp_path}/a.sqlite"\n')
    said = auroramon("config", "check", "-c", config)
    (line,) = [line for line in said.out.splitlines() if "backend:" in line]
    assert line.startswith("ok     backend: not used: ")
    assert "tensorrt_rtx: no NVIDIA driver is loaded (libcuda.so.1 is not found)" in line
    said = auroramon("doctor", "-c", config)
    assert "tensorrt_rtx: no NVIDIA driver is loaded (libcuda.so.1 is not found)" in said.out
    config.write_text(config.read_text().replace("[model]", '[model]\nbackend = "tensorrt"'))
    said = auroramon("doctor", "-c", config)
    assert said.code == 1
    assert "backend tensorrt cannot run here: " in said.out


def test_the_build_beside_the_work_is_a_process_of_its_own_that_ends_or_is_ended(
    tiny: ModelBundle, tmp_path: Path
) -> None:
    shop = shop_of(tiny, "auto", EngineCache(tmp_path / "cache" / ENGINES), open_runtime("tensorrt_rtx"))
    build = ChildBuild(shop)
    deadline = time.monotonic() + 120
    while not build.ended() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert build.ended()
    build.close()
    stopped = ChildBuild(shop)
    stopped.close()
    assert stopped.ended()
