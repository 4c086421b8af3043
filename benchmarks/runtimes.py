"""Opens a network on a runtime, to be measured: ours, and what a user would write instead of it in PyTorch."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auroramon.backends import cuda
from auroramon.backends.onnx import CPU, CUDA, no_cuda, open_session
from auroramon.backends.runtime import MOST, no_progress
from auroramon.backends.tensorrt import open_runtime
from auroramon.bundle import ModelBundle
from auroramon.errors import AuroramonError, ConfigError, MissingPartError, NoCardError

Run = Callable[[NDArray[np.float32]], Any]
Backend = Literal["onnx", "onnx-cuda", "tensorrt", "tensorrt_rtx", "torch", "torch.compile"]
PLAIN, COMPILED = "torch", "torch.compile"


@dataclass(frozen=True, slots=True)
class Case:
    """One network on one runtime."""

    backend: Backend
    device: Literal["cpu", "cuda"]
    precision: str
    size: int  # pixels of the input
    channels: int  # of the input
    gflop: float  # of one frame
    threads: int  # on the processor
    graph: bytes = b""  # ONNX; PyTorch takes its network from the bundle
    bundle: ModelBundle | None = None  # None: PyTorch makes of dense convolutions what `graphs.dense` has


@dataclass(frozen=True, slots=True)
class Opened:
    """A network that is ready to run."""

    run: Run  # (N,C,S,S) float32 in this machine's memory to embeddings there
    build_s: float  # of an engine, 0 where nothing is built


def opened(case: Case) -> Opened:
    """Open a case.

    Raises:
        AuroramonError: it cannot run here; the sentence says why.
    """
    if case.backend in {PLAIN, COMPILED}:
        return Opened(_torch(case), 0.0)
    if case.backend in {"onnx", "onnx-cuda"}:
        return Opened(_onnx(case), 0.0)
    runtime = open_runtime(case.backend)  # type: ignore[arg-type]
    begun = time.perf_counter()
    plan = runtime.compile(case.graph, runtime.card().capability, b"", no_progress).plan
    build_s = time.perf_counter() - begun
    engine = runtime.load(plan, b"")
    return Opened(lambda inputs: engine.start(inputs[:MOST])(), build_s)


def card_bytes() -> int:
    """Give the bytes that are taken on the GPU, by whoever; 0 where nobody can be asked."""
    with suppress(AuroramonError):
        free, total = cuda.check(cuda.cuda_runtime().cudaMemGetInfo())
        return int(total - free)
    return 0


def _onnx(case: Case) -> Run:
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        Path(file.name).write_bytes(case.graph)
        session = open_session(Path(file.name), case.threads, CUDA if case.device == "cuda" else CPU)
    if case.device == "cuda" and CUDA not in session.get_providers():
        raise ConfigError(no_cuda())
    name = session.get_inputs()[0].name
    return lambda inputs: session.run(None, {name: inputs})


def _torch(case: Case) -> Run:
    """Give the network in PyTorch as a user would run it: eager, or compiled for each size of a batch."""
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # its pool of compilers would outlive the measuring process
    try:
        import torch
    except ImportError as error:
        raise MissingPartError("PyTorch is not installed (pip install 'auroramon[train]')") from error
    from benchmarks.plain_loop import torch_network

    if case.device == "cuda" and not torch.cuda.is_available():
        raise NoCardError("PyTorch finds no GPU")
    torch.set_num_threads(case.threads)
    torch.backends.cudnn.allow_tf32 = False  # float32 is what is asked for, here and in the engines
    network = (_dense_torch(case.channels) if case.bundle is None else torch_network(case.bundle)).eval()
    kind = torch.float16 if case.precision == "fp16" else torch.float32
    network = network.to(case.device, kind)
    if case.backend == COMPILED:
        network = torch.compile(network, dynamic=False)

    def run(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            found = network(torch.from_numpy(inputs).to(case.device, kind, non_blocking=True))
            return found.float().cpu().numpy()

    return run


def _dense_torch(channels: int, width: int = 128, layers: int = 6) -> Any:
    """Give what `graphs.dense` gives, as a module."""
    from torch import nn

    sizes = [channels, *[width] * (layers + 1)]
    convolutions = [nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(sizes)]
    return nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten())
