"""What each runtime makes of the network on this machine: pace, latency, memory, and how near it comes to the limit.

    python -m benchmarks.backends            every backend, precision, batch and input size that the machine has
    python -m benchmarks.backends --quick    seconds instead of minutes; its figures mean nothing

Each case runs in a process of its own. Other input sizes than the model's say what such a network would cost, nothing
about labels. The limit is measured with the same runtime, on convolutions that are as dense as convolutions get.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from auroramon.assemble import available_cores
from auroramon.backends.graph import EnginePrecision, engine_graph
from auroramon.backends.onnx import open_session
from auroramon.backends.precisions import to_half
from auroramon.backends.runtime import LIVE, MOST, Card, Runtime, no_progress
from auroramon.backends.tensorrt import open_runtime
from auroramon.bundle import FLOAT32, INT8, ModelBundle, default_bundle, load_bundle
from auroramon.errors import EngineError, MissingPartError
from benchmarks.machine import load, machine

Run = Callable[[NDArray[np.float32]], Any]

SIZES, BATCHES = (96, 128, 224), (1, 8, 32, 64)
GPU_BATCHES = (1, 8, 64, 256)
TARGET = "sm89"  # built for where no card is here


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    seconds: float  # of one case and batch
    sizes: tuple[int, ...]
    batches: tuple[int, ...]
    gpu_batches: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One network on one runtime."""

    backend: str  # "onnx", "tensorrt", "tensorrt_rtx"
    precision: str
    size: int  # pixels of the input
    graph: bytes
    gflop: float  # of one frame
    threads: int


@dataclass(frozen=True, slots=True)
class Pace:
    """What was measured of a case at one batch."""

    batch: int
    frames_s: float
    p50_ms: float  # of a batch
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of a case."""

    paces: tuple[Pace, ...]
    ready_s: float  # from the graph or plan to the first answer
    build_s: float  # of an engine, 0 where nothing is built
    resident_mb: float  # peak of the process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=default_bundle())
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--quick", action="store_true")
    words = parser.parse_args()
    bundle = load_bundle(words.model)
    own = bundle.preprocess.size
    effort = Effort(3.0, tuple(sorted({*SIZES, own})), BATCHES, GPU_BATCHES)
    if words.quick:
        effort = Effort(0.05, (own,), (1, 8), (1,))
    print(machine())
    print(f"before: {load()}")
    print(f"model: {bundle.name}, {own} x {own}, {words.threads} threads\n")
    _processor(bundle, effort, words.threads)
    _gpu(bundle, effort)
    print(f"\nafter: {load()}")


def _processor(bundle: ModelBundle, effort: Effort, threads: int) -> None:
    """Print the table of ONNX Runtime on the processor."""
    _header("ONNX Runtime, CPU")
    for precision, name in (("float32", FLOAT32), ("int8", INT8)):
        path = bundle.folder / name
        if not path.exists():
            continue
        dense = Case("onnx", precision, 32, _dense(precision), _gflop(_dense("float32")), threads)
        limit = _measured(dense, effort, (8,)).paces[0].frames_s * dense.gflop
        for size in effort.sizes:
            gflop = _gflop(_resized((bundle.folder / FLOAT32).read_bytes(), size))
            case = Case("onnx", precision, size, _resized(path.read_bytes(), size), gflop, threads)
            _print(case, _measured(case, effort, effort.batches), limit)


def _gpu(bundle: ModelBundle, effort: Effort) -> None:
    """Print the table of each library for NVIDIA GPUs, and without a card how long engines take to build."""
    for library in ("tensorrt", "tensorrt_rtx"):
        card: Card | None = None
        try:
            runtime = open_runtime(library)  # type: ignore[arg-type]
            print(f"\n{library} {runtime.version}: ", end="")
            card = runtime.card()
            print(f"{card.name}, {card.capability}, driver {card.driver}, {card.memory / 2**30:.0f} GiB")
        except MissingPartError as error:
            print(f"\n{library}: not measured: {error}")
            continue
        except EngineError as error:
            print(f"running is not measured: {error}")
        target = card.capability if card else TARGET
        if target not in runtime.targets(card):
            print(f"it builds nothing for {target}")
        elif card is None:
            _builds(bundle, runtime, target)
        else:
            _header(f"{library} on {card.name}")
            for case, limit in _gpu_cases(bundle, library, effort):
                _print(case, _measured(case, effort, effort.gpu_batches), limit)


def _builds(bundle: ModelBundle, runtime: Runtime, target: str) -> None:
    print(f"\n| engine for {target} | build s | plan MB |\n|---|---:|---:|")
    for precision in _engine_precisions(bundle):
        graph = engine_graph(bundle, precision)
        begun = time.perf_counter()
        plan = runtime.compile(graph, target, b"", no_progress).plan
        print(f"| {precision} | {time.perf_counter() - begun:.2f} | {len(plan) / 1e6:.1f} |")


def _gpu_cases(bundle: ModelBundle, library: str, effort: Effort) -> Iterator[tuple[Case, float]]:
    for precision in _engine_precisions(bundle):
        dense = Case(library, precision, 32, _dense("fp16" if precision == "int8" else precision),
                     _gflop(_dense("float32")), 1)  # fmt: skip
        limit = _measured(dense, effort, (64,)).paces[0].frames_s * dense.gflop
        for size in effort.sizes:
            gflop = _gflop(_resized((bundle.folder / FLOAT32).read_bytes(), size))
            yield Case(library, precision, size, _resized(engine_graph(bundle, precision), size), gflop, 1), limit


def _engine_precisions(bundle: ModelBundle) -> tuple[EnginePrecision, ...]:
    return ("float32", "fp16", "int8") if bundle.activation_ranges else ("float32", "fp16")


def _measured(case: Case, effort: Effort, batches: tuple[int, ...]) -> Result:
    """Measure a case in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (case, effort.seconds, batches))


def _measure(case: Case, seconds: float, batches: tuple[int, ...]) -> Result:
    begun = time.perf_counter()
    run, build_s = _opened(case)
    rng = np.random.default_rng(1)
    shape = next(iter(onnx.load_from_string(case.graph).graph.input)).type.tensor_type.shape.dim[1].dim_value
    frames = rng.normal(size=(max(batches), shape, case.size, case.size)).astype(np.float32)
    run(frames[:LIVE])
    ready = time.perf_counter() - begun - build_s
    paces = tuple(_pace(run, frames[:batch], seconds) for batch in batches)
    return Result(paces, ready, build_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _opened(case: Case) -> tuple[Run, float]:
    """Give what runs a case, and the seconds that building its engine took."""
    if case.backend == "onnx":
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            Path(file.name).write_bytes(case.graph)
            session = open_session(Path(file.name), case.threads)
        name = session.get_inputs()[0].name
        return lambda inputs: session.run(None, {name: inputs}), 0.0
    runtime = open_runtime(case.backend)  # type: ignore[arg-type]
    begun = time.perf_counter()
    plan = runtime.compile(case.graph, runtime.card().capability, b"", no_progress).plan
    build_s = time.perf_counter() - begun
    engine = runtime.load(plan, b"")
    return lambda inputs: engine.start(inputs[:MOST])(), build_s


def _pace(run: Run, inputs: NDArray[np.float32], seconds: float) -> Pace:
    run(inputs)
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not times:
        begun = time.perf_counter()
        run(inputs)
        times.append(time.perf_counter() - begun)
    p50, p99 = np.percentile(times, (50, 99)) * 1e3
    return Pace(len(inputs), len(inputs) * len(times) / sum(times), float(p50), float(p99))


def _resized(graph: bytes, size: int) -> bytes:
    """Give the graph for inputs of another size: everything in it that depends on the size is worked out anew."""
    model = onnx.load_from_string(graph)
    del model.graph.value_info[:]
    for dimension in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dimension.dim_value = size
    return bytes(model.SerializeToString())


def _gflop(graph: bytes) -> float:
    """Count the multiplications and additions of a frame's convolutions, in thousand millions."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(graph)).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*model.value_info, *model.output)}
    weights = {w.name: list(w.dims) for w in model.initializer}
    return sum(
        2 * float(np.prod(weights[node.input[1]])) * float(np.prod(shapes[node.output[0]][2:])) / 1e9
        for node in model.node
        if node.op_type == "Conv"
    )


def _dense(precision: str, channels: int = 128, layers: int = 6, size: int = 32) -> bytes:
    """Give a graph of nothing but 3x3 convolutions with many channels, and outputs as an engine has them."""
    rng = np.random.default_rng(0)
    first = rng.normal(0, 0.05, (channels, 2, 3, 3)).astype(np.float32)
    weights = [first, *(rng.normal(0, 0.03, (channels, channels, 3, 3)).astype(np.float32) for _ in range(layers))]
    names = ["inputs", *(f"c{k}" for k in range(len(weights)))]
    nodes = [
        helper.make_node("Conv", [names[k], f"w{k}"], [names[k + 1]], name=f"conv{k}", pads=[1, 1, 1, 1])
        for k in range(len(weights))
    ]
    nodes += [
        helper.make_node("GlobalAveragePool", [names[-1]], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
        helper.make_node("Identity", ["embedding"], ["head"]),
    ]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", channels]) for n in ("embedding", "head")]
    graph = helper.make_graph(
        nodes, "dense", [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["batch", 2, size, size])],
        outputs, [numpy_helper.from_array(w, f"w{k}") for k, w in enumerate(weights)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if precision == "fp16":
        model = to_half(model)
    return _processor_int8(model, names) if precision == "int8" else bytes(model.SerializeToString())


def _processor_int8(model: onnx.ModelProto, names: list[str]) -> bytes:
    """Quantise as the bundle's int8 graph is, with ranges that fit numbers of this size."""
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import TensorsData

    from train.quantise import quantise

    with tempfile.TemporaryDirectory() as scratch:
        plain, int8 = Path(scratch) / "plain.onnx", Path(scratch) / "int8.onnx"
        onnx.save(model, plain)
        ranges = {name: (np.float32(-4), np.float32(4)) for name in names}
        quantise(plain, TensorsData(CalibrationMethod.MinMax, ranges), int8)
        return int8.read_bytes()


def _header(title: str) -> None:
    print(f"| {title} | input | batch | frames/s | p50 ms | p99 ms | of limit | resident MB | ready s | build s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")


def _print(case: Case, result: Result, limit: float) -> None:
    for pace in result.paces:
        cells = (
            case.precision, case.size, pace.batch, f"{pace.frames_s:.0f}", f"{pace.p50_ms:.2f}", f"{pace.p99_ms:.2f}",
            f"{pace.frames_s * case.gflop / limit:.0%} of {limit:.0f} GFLOP/s", f"{result.resident_mb:.0f}",
            f"{result.ready_s:.2f}", f"{result.build_s:.2f}",
        )  # fmt: skip
        print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
