"""ONNX Runtime gives the same bits for a batch and for single frames, and refuses what does not fit."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnxruntime
import pytest
from onnxruntime.capi import onnxruntime_pybind11_state as raised

from auroramon.backends import cuda
from auroramon.backends.onnx import CPU, CUDA, OnnxBackend, OnnxCudaBackend, open_session, preload_cuda
from auroramon.bundle import ModelBundle, Precision, default_bundle, load_bundle
from auroramon.bundle_writing import write_bundle
from auroramon.errors import BundleError, CardLostError, ConfigError
from tests.backends.tiny_model import SIZE, WIDTH, make_parts, write_graph
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def shipped() -> ModelBundle:
    return load_bundle(default_bundle())


@pytest.fixture
def tiny(tmp_path: Path) -> ModelBundle:
    return write_bundle(tmp_path / "tiny-1", make_parts(tmp_path / "parts", int8=True))


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_equals_its_frames_one_by_one_bit_for_bit(
    shipped: ModelBundle, precision: Precision, threads: int
) -> None:
    backend = OnnxBackend(shipped, precision, threads)
    inputs = np.concatenate([shipped.golden.inputs, shipped.golden.inputs[:, :, ::-1]])[:17]
    together = backend.embed(inputs)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for size in (1, 3, 8):
        parts = [backend.embed(inputs[k : k + size]) for k in range(0, len(inputs), size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_one_thread_and_two_give_the_same_bits(shipped: ModelBundle, precision: Precision) -> None:
    one, two = (OnnxBackend(shipped, precision, threads).embed(shipped.golden.inputs) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_order_of_pooling_and_rounding_changes_no_bit(shipped: ModelBundle, precision: Precision) -> None:
    """`AVOIDED` is about speed: ONNX Runtime's own choice of optimisations gives the same embeddings."""
    path, inputs = shipped.graph(precision), shipped.golden.inputs
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    usual = onnxruntime.InferenceSession(str(path), options, providers=[CPU])
    ours = open_session(path, threads=1)
    name = usual.get_inputs()[0].name
    assert np.array_equal(usual.run(None, {name: inputs})[0], ours.run(None, {name: inputs})[0])


def test_the_backend_says_what_runs(tiny: ModelBundle) -> None:
    backend = OnnxBackend(tiny, "int8", 2)
    assert (backend.name, backend.precision, backend.device) == ("onnx", "int8", "CPU, 2 threads")


def test_no_frames_give_no_embeddings(tiny: ModelBundle) -> None:
    found = OnnxBackend(tiny, "float32", 1).embed(np.zeros((0, 2, SIZE, SIZE), dtype=np.float32))
    assert found.shape == (0, WIDTH)


def test_frames_of_another_size_are_refused(tiny: ModelBundle) -> None:
    with pytest.raises(ValueError, match=r"inputs \(1, 2, 8, 8\) do not end in \(2, 16, 16\)"):
        OnnxBackend(tiny, "float32", 1).embed(np.zeros((1, 2, 8, 8), dtype=np.float32))


def test_a_graph_of_another_width_than_its_bundle_says_is_refused(tiny: ModelBundle) -> None:
    write_graph(tiny.graph("float32"), width=WIDTH + 1)
    with pytest.raises(BundleError, match="but its bundle says"):
        OnnxBackend(tiny, "float32", 1)


@pytest.mark.parametrize("content", [b"", b"no graph at all", b"\x08\x07" * 40])
def test_a_file_that_is_no_graph_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"cannot load .*broken\.onnx"):
        open_session(path, 1)


def test_serving_a_model_imports_no_training_library() -> None:
    code = (
        "import sys\n"
        "from auroramon import bundle, heads\n"
        "from auroramon.backends import onnx\n"
        "assert 'onnxruntime' not in sys.modules\n"
        "model = bundle.load_bundle(bundle.default_bundle())\n"
        "bundle.check_golden(model, onnx.OnnxBackend(model, 'float32', 1))\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'scipy', 'cv2', 'onnx'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "code",
    [
        "from auroramon.backends.onnx import OnnxBackend; OnnxBackend(model, 'int8', 1)",
        "from auroramon.backends.graph import engine_graph; engine_graph(model, 'int8')",
        "import train.quantise",
    ],
)
def test_onnx_runtime_leaves_no_trace_of_who_uses_it(tmp_path: Path, code: str) -> None:
    """Its telemetry begins with a number for this machine, kept in the home of the user who imports it."""
    pytest.importorskip("onnx")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    load = "from auroramon.bundle import default_bundle, load_bundle; model = load_bundle(default_bundle())"
    done = subprocess.run(
        [sys.executable, "-c", f"{load}; {code}"],
        env=environ | {"HOME": str(tmp_path)}, cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_what_onnx_runtime_prints_while_it_loads_cuda_stays_off_stdout(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    preload_cuda(SimpleNamespace(preload_dlls=lambda: print("Failed to load libcublasLt.so.13")))
    preload_cuda(SimpleNamespace())  # versions before 1.21
    assert capsys.readouterr().out == ""
    assert "Failed to load libcublasLt.so.13" in caplog.text


@pytest.fixture
def for_gpus(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """An ONNX Runtime that has the CUDA provider, as far as it can be seen from outside; and what it was asked for."""
    asked: list[object] = []
    real = onnxruntime.InferenceSession

    class Session:
        def __init__(self, path: str, options: object, providers: object, **others: object) -> None:
            asked.append(providers)
            self._session = real(path, providers=[CPU])

        def get_providers(self) -> list[str]:
            return [CUDA, CPU]

        def __getattr__(self, name: str) -> object:
            return getattr(self._session, name)

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(onnxruntime, "set_default_logger_severity", lambda _: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    return asked


def test_float32_on_a_gpu_is_asked_for_without_tf32(tiny: ModelBundle, for_gpus: list[object]) -> None:
    resets: list[bool] = []
    backend = OnnxCudaBackend(tiny, cuda.Occupants(lambda: resets.append(True)))
    assert for_gpus == [[("CUDAExecutionProvider", {"use_tf32": "0"})]]
    np.testing.assert_allclose(backend.embed(tiny.golden.inputs), tiny.golden.embeddings, atol=1e-5)
    backend.close()
    assert resets == []  # nothing was wrong with the card


@pytest.mark.usefixtures("for_gpus")
def test_onnx_on_a_gpu_that_failed_has_the_card_reset_when_it_is_the_last_on_it(
    tiny: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    resets: list[bool] = []
    occupants = cuda.Occupants(lambda: resets.append(True))
    first, second = (OnnxCudaBackend(tiny, occupants) for _ in range(2))

    def fail(*_: object) -> None:
        raise raised.RuntimeException("CUDA failure 700: an illegal memory access was encountered")

    monkeypatch.setattr(first._session, "run", fail, raising=False)
    with pytest.raises(CardLostError, match="an illegal memory access"):
        first.embed(tiny.golden.inputs)
    first.close()
    assert resets == []
    second.close()
    second.close()
    assert resets == [True]


def test_onnx_on_a_gpu_that_cannot_be_opened_is_not_on_the_card(tiny: ModelBundle) -> None:
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("here is an ONNX Runtime for GPUs")
    occupants = cuda.Occupants()
    with pytest.raises(ConfigError):
        OnnxCudaBackend(tiny, occupants)
    assert occupants.count == 0
