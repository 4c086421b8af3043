"""TensorRT for RTX builds real engines on any machine; what needs a card is told in a sentence where there is none."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from auroramon.backends import cuda
from auroramon.backends.engine import EngineShop
from auroramon.backends.engine_cache import EngineCache
from auroramon.backends.graph import EnginePrecision, engine_graph
from auroramon.backends.manifest import Manifest
from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.progress import Phases
from auroramon.backends.runtime import no_progress
from auroramon.backends.tensorrt import TensorRTRuntime, open_runtime
from auroramon.bundle import ModelBundle, default_bundle, load_bundle
from auroramon.bundle_writing import write_bundle
from auroramon.errors import EngineError, MissingPartError, NoCardError, UnusableCardError
from tests.backends.tiny_model import make_parts
from tests.conftest import missing

PAIRS: list[tuple[str, EnginePrecision]] = [("sm89", "fp16"), ("sm89", "int8"), ("sm120", "fp16"), ("sm120", "int8")]


@pytest.fixture(scope="module")
def rtx() -> TensorRTRuntime:
    try:
        runtime = open_runtime("tensorrt_rtx")
        assert runtime.version
    except MissingPartError as error:
        missing(str(error))
    return runtime


@pytest.fixture(scope="module")
def no_card(rtx: TensorRTRuntime) -> None:
    try:
        card = rtx.card()
    except NoCardError:
        return
    pytest.skip(f"here is a card: {card.name}")


def shop_in(folder: Path, bundle: ModelBundle, precision: EnginePrecision, runtime: TensorRTRuntime) -> EngineShop:
    return EngineShop(runtime, EngineCache(folder), bundle, precision, lambda: OnnxBackend(bundle, "float32", 1))


@pytest.fixture(scope="module")
def built(rtx: TensorRTRuntime, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Manifest]]:
    """The shipped model as engines for two kinds of card in two precisions."""
    folder = tmp_path_factory.mktemp("engines")
    bundle = load_bundle(default_bundle())
    shops = [(target, shop_in(folder, bundle, precision, rtx)) for target, precision in PAIRS]
    return folder, [shop.build(shop.key(None, target), None) for target, shop in shops]


def test_the_shipped_model_becomes_a_real_engine_for_each_card_and_precision(
    built: tuple[Path, list[Manifest]], rtx: TensorRTRuntime
) -> None:
    folder, manifests = built
    assert [(m.key.capability, m.key.precision, m.key.version) for m in manifests] == [
        (target, precision, rtx.version) for target, precision in PAIRS
    ]
    assert len({m.sha256 for m in manifests}) == len(PAIRS)
    for manifest in manifests:
        assert not manifest.verified
        assert manifest.key.card == "any"
        assert (folder / manifest.plan).stat().st_size == manifest.size > 1_000_000
    assert [entry.problem for entry in EngineCache(folder).entries()] == [""] * len(PAIRS)


def test_an_engine_that_is_there_is_not_built_again(built: tuple[Path, list[Manifest]], rtx: TensorRTRuntime) -> None:
    folder, manifests = built
    shop = shop_in(folder, load_bundle(default_bundle()), "int8", rtx)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert shop.build(shop.key(None, "sm120"), None) == manifests[3]
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.json")} == before


def test_a_changed_model_is_built_anew(rtx: TensorRTRuntime, tmp_path: Path) -> None:
    parts = make_parts(tmp_path / "parts")
    plans = []
    for name, card in (("a", "# one\n"), ("b", "# two\n")):
        shop = shop_in(tmp_path / "engines", write_bundle(tmp_path / name, replace(parts, card=card)), "fp16", rtx)
        plans.append(shop.build(shop.key(None, "sm89"), None).plan)
    assert plans[0] != plans[1]
    assert len(EngineCache(tmp_path / "engines").entries()) == 2


def test_the_engine_has_two_outputs_in_float32(rtx: TensorRTRuntime) -> None:
    import tensorrt_rtx as trt

    logger = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(logger).create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(engine_graph(load_bundle(default_bundle()), "fp16"))
    outputs = [network.get_output(k) for k in range(network.num_outputs)]
    assert [(out.name, out.dtype, tuple(out.shape)) for out in outputs] == [
        ("embedding", trt.float32, (-1, 16)),
        ("head", trt.float32, (-1, 6)),
    ]
    assert {network.get_layer(k).get_output(0).dtype for k in range(network.num_layers)} >= {trt.float16, trt.float32}


def test_progress_is_told_and_only_grows(rtx: TensorRTRuntime, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "tiny", make_parts(tmp_path / "parts"))
    told: list[float] = []
    rtx.compile(engine_graph(bundle, "float32"), "sm75", b"", lambda _, part: told.append(part))
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(set(told)) > 10


def test_a_phase_without_steps_and_one_that_nobody_announced_do_no_harm() -> None:
    told: list[float] = []
    phases = Phases(lambda _, part: told.append(part))
    phases.start("whole", None, 0)
    phases.start("part", "whole", 0)
    phases.finish("part")
    phases.start("other", "nobody", 2)
    phases.step("other", 0)
    phases.finish("other")
    phases.finish("whole")
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_graph_that_the_library_refuses_gives_its_reason(rtx: TensorRTRuntime) -> None:
    with pytest.raises(EngineError, match=r"tensorrt_rtx [\d.]+ refuses the graph: "):
        rtx.compile(b"no graph at all", "sm89", b"", no_progress)


def test_rtx_builds_for_the_cards_that_it_knows(rtx: TensorRTRuntime) -> None:
    assert {"sm75", "sm86", "sm89", "sm120"} <= set(rtx.targets(None))


@pytest.mark.usefixtures("no_card")
def test_without_a_driver_an_engine_is_refused_in_a_sentence_though_the_library_says_nothing(
    built: tuple[Path, list[Manifest]], rtx: TensorRTRuntime
) -> None:
    folder, manifests = built
    plan = EngineCache(folder).plan(manifests[0])
    with pytest.raises(EngineError, match=r"does not take the engine: .*driver"):
        rtx.load(plan, b"")
    with pytest.raises(EngineError, match="does not take the engine"):
        rtx.load(plan[:5000], b"")
    with pytest.raises(NoCardError, match=r"no NVIDIA driver is loaded \(libcuda.so.1 is not found\)"):
        cuda.first_card()


def test_a_library_that_is_not_installed_is_named_with_its_command() -> None:
    with pytest.raises(MissingPartError, match=r"pip install 'auroramon\[tensorrt-nowhere\]'"):
        open_runtime("tensorrt_nowhere")  # type: ignore[arg-type]


def test_a_folder_that_pip_left_behind_is_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt/__pycache__").mkdir(parents=True)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    with pytest.raises(MissingPartError, match="the module tensorrt is not installed"):
        open_runtime("tensorrt")


def test_a_driver_without_cuda_s_bindings_is_a_card_that_lies_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is there, and so is the driver: somebody counts on this GPU."""
    monkeypatch.setattr(cuda, "DRIVER_LIBRARY", None)  # ctypes then gives this very process
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(UnusableCardError, match=r"running an engine needs CUDA's bindings: pip install"):
        TensorRTRuntime("tensorrt").card()


@pytest.mark.usefixtures("no_card")
def test_the_bindings_of_cuda_have_every_call_that_running_needs() -> None:
    runtime = cuda.cuda_runtime()
    for name in (
        "cudaGetDeviceCount", "cudaGetDeviceProperties", "cudaRuntimeGetVersion", "cudaDriverGetVersion", "cudaMalloc",
        "cudaStreamCreateWithFlags", "cudaMemcpyAsync", "cudaStreamSynchronize", "cudaFree", "cudaStreamDestroy",
        "cudaDeviceReset", "cudaGetErrorString",
    ):  # fmt: skip
        assert callable(getattr(runtime, name))
    assert runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
    with pytest.raises(EngineError, match="the GPU failed: CUDA driver version is insufficient"):
        cuda.check(runtime.cudaMalloc(16))


@pytest.mark.usefixtures("rtx")
def test_the_library_has_every_call_that_running_needs() -> None:
    import tensorrt_rtx as trt

    for kind, names in {
        trt.Runtime: ("deserialize_cuda_engine",),
        trt.ICudaEngine: ("create_execution_context", "create_runtime_config", "get_tensor_shape"),
        trt.IRuntimeConfig: ("create_runtime_cache", "set_runtime_cache"),
        trt.IRuntimeCache: ("serialize", "deserialize"),
        trt.IExecutionContext: (
            "set_optimization_profile_async", "set_tensor_address", "set_input_shape", "execute_async_v3",
        ),
    }.items():  # fmt: skip
        for name in names:
            assert callable(getattr(kind, name))
