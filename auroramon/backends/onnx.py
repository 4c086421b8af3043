"""ONNX Runtime, on the CPU and on an NVIDIA GPU."""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.backends import cuda
from auroramon.backends.runtime import words
from auroramon.bundle import ModelBundle, Precision
from auroramon.errors import BundleError, CardLostError, ConfigError, MissingPartError

log = logging.getLogger(__name__)

PROVIDER_LIBRARY = "onnxruntime_providers_cuda.dll" if sys.platform == "win32" else "libonnxruntime_providers_cuda.so"
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

AVOIDED = ["QDQPropagationTransformer"]
"""It rounds to int8 in front of the first pooling instead of behind it: the same numbers, and on x86 a pooling of bytes
that takes as long as all other layers together."""


class OnnxBackend:
    """Runs a bundle's ONNX graph on the CPU."""

    name = "onnx"
    fallback = False

    def __init__(self, bundle: ModelBundle, precision: Precision, threads: int) -> None:
        """Load the graph.

        Args:
            bundle: the model.
            precision: which of its graphs.
            threads: of one inference, at least 1.

        Raises:
            BundleError: the graph cannot be loaded, or does not take or give what the bundle says.
        """
        path = bundle.graph(precision)
        self.precision: str = precision
        self.device = f"CPU, {threads} thread{'s' if threads > 1 else ''}"
        self._take(bundle, path, open_session(path, threads))

    def _take(self, bundle: ModelBundle, path: Path, session: Any) -> None:
        self._session = session
        self._input: str = self._session.get_inputs()[0].name
        spec = bundle.preprocess
        self._shape = (len(spec.channels), spec.size, spec.size)
        takes = [tuple(i.shape[1:]) for i in self._session.get_inputs()]
        gives = [tuple(o.shape[1:]) for o in self._session.get_outputs()]
        if takes != [self._shape] or gives != [(bundle.width,)]:
            raise BundleError(
                f"{path} takes {takes} and gives {gives}, but its bundle says {[self._shape]} and {[(bundle.width,)]}: "
                f"copy the bundle again"
            )

    def embed(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give (N,D) unit vectors for (N,C,S,S) inputs.

        Raises:
            ValueError: the inputs do not have the shape that the model takes.
        """
        if inputs.shape[1:] != self._shape:
            raise ValueError(f"inputs {inputs.shape} do not end in {self._shape}")
        result: NDArray[np.float32] = self._session.run(None, {self._input: inputs})[0]
        return result

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], NDArray[np.float32]]:
        """Give what gives the embeddings: they are ready, as nothing here runs beside its caller."""
        found = self.embed(inputs)
        return lambda: found

    def close(self) -> None:
        """Nothing to release: the session goes with this object."""


class OnnxCudaBackend(OnnxBackend):
    """Runs a bundle's float32 graph on an NVIDIA GPU: slower than an engine, and nothing to build.

    Not measured: there was no card at hand.
    """

    name = "onnx-cuda"

    def __init__(self, bundle: ModelBundle, occupants: cuda.Occupants = cuda.OCCUPANTS) -> None:
        """Load the graph.

        Args:
            bundle: the model.
            occupants: of the card.

        Raises:
            ConfigError: this ONNX Runtime cannot use a GPU here.
            BundleError: the graph cannot be loaded.
        """
        path = bundle.graph("float32")
        self.precision = "float32"
        self.device = "NVIDIA GPU, CUDA provider of ONNX Runtime"
        self._occupants = occupants
        self._lost = self._closed = False
        occupants.enter()
        try:
            session = open_session(path, threads=1, provider=CUDA)
            if CUDA not in session.get_providers():  # it falls back to the processor without a word
                raise ConfigError(no_cuda())
            self._take(bundle, path, session)
        except BaseException:
            self.close()
            raise

    def embed(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give (N,D) unit vectors for (N,C,S,S) inputs.

        Raises:
            ValueError: the inputs do not have the shape that the model takes.
            CardLostError: the card failed.
        """
        from onnxruntime.capi import onnxruntime_pybind11_state as raised

        try:
            return super().embed(inputs)
        except (raised.Fail, raised.RuntimeException, raised.EPFail) as error:
            self._lost = True  # also where it wants memory: its words for that vary
            raise CardLostError(f"the GPU failed: {error}") from error

    def close(self) -> None:
        """Give the card's memory back; a lost card is reset where CUDA's bindings are installed."""
        self._session = None
        if not self._closed:
            self._closed = True
            with suppress(MissingPartError):  # they come with TensorRT, not with ONNX Runtime
                self._occupants.leave(self._lost)


def no_cuda() -> str:
    """Say why the provider could not be loaded: ONNX Runtime itself writes it to stderr, and goes on."""
    import onnxruntime as ort

    why = ""
    try:
        ctypes.CDLL(str(Path(ort.__file__).parent / "capi" / PROVIDER_LIBRARY))
    except OSError as error:
        why = f" ({words(error)})"
    made_for = f"made for CUDA {version}" if (version := getattr(ort, "cuda_version", "")) else "for GPUs"
    return (
        f"backend onnx-cuda cannot run here: ONNX Runtime {ort.__version__}, {made_for}, finds no usable CUDA{why}; "
        f"see docs/gpu.md for the driver and libraries, or set model.backend to auto"
    )


def preload_cuda(ort: Any) -> None:
    """Load CUDA's libraries from where pip put them: by itself the provider finds only those of the system."""
    if not hasattr(ort, "preload_dlls"):  # before 1.21
        return
    with redirect_stdout(StringIO()) as said:  # it prints what it does not find; stdout is for labels
        ort.preload_dlls()
    for line in said.getvalue().splitlines():
        log.debug("ONNX Runtime: %s", line)


def open_session(path: Path, threads: int, provider: str = CPU) -> Any:
    """Load an ONNX graph, with the settings that serving uses.

    Raises:
        BundleError: ONNX Runtime cannot load the file.
        ConfigError: it has no such provider.
    """
    import onnxruntime as ort
    from onnxruntime.capi import onnxruntime_pybind11_state as raised

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait for the next frame would burn a core of the daemon.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only: its warnings are about its own optimiser
    ort.disable_telemetry_events()
    if provider not in ort.get_available_providers():
        raise ConfigError(
            "backend onnx-cuda cannot run here: the installed ONNX Runtime is the one for processors "
            "(pip uninstall onnxruntime; pip install 'onnxruntime-gpu[cuda,cudnn]')"
        )
    if provider == CUDA:
        ort.set_default_logger_severity(4)  # what its error is about, we say in a sentence
        preload_cuda(ort)
    # TF32 would round what float32 is asked for.
    providers = [(CUDA, {"use_tf32": "0"})] if provider == CUDA else [CPU]
    try:
        return ort.InferenceSession(str(path), options, providers=providers, disabled_optimizers=AVOIDED)
    except (
        raised.Fail, raised.InvalidArgument, raised.InvalidGraph, raised.InvalidProtobuf, raised.NoSuchFile,
        raised.NotImplemented, raised.RuntimeException,
    ) as error:  # fmt: skip
        raise BundleError(f"ONNX Runtime {ort.__version__} cannot load {path}: {error}") from error
