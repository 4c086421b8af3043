"""What each runtime makes of the network on this machine: pace, latency, memory, and how near it comes to the limit.

    python -m benchmarks.backends            every backend, precision, batch and input size that the machine has
    python -m benchmarks.backends --quick    seconds instead of minutes; its figures mean nothing

Each case runs in a process of its own. Other input sizes than the model's say what such a network would cost, nothing
about labels. int8 is its graph alone: what the second look by float32 costs is measured by benchmarks.second_look.
PyTorch, eager and compiled, is what a user would write instead. The limit of a processor or GPU in a precision is the
best that any of these runtimes makes there of convolutions as dense as convolutions get; that of fp16 also stands for
int8 on a GPU.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auroramon.assemble import available_cores
from auroramon.backends.graph import EnginePrecision, engine_graph
from auroramon.backends.runtime import LIVE, Card, Library, Runtime, no_progress
from auroramon.backends.tensorrt import open_runtime
from auroramon.bundle import FLOAT32, INT8, ModelBundle, default_bundle, load_bundle
from auroramon.errors import AuroramonError, EngineError, MissingPartError
from benchmarks.graphs import dense, gflop, resized
from benchmarks.machine import load, machine
from benchmarks.runtimes import COMPILED, PLAIN, Case, Run, card_bytes, opened

SIZES, BATCHES = (96, 128, 224), (1, 8, 32, 64)
GPU_BATCHES = (1, 8, 64, 256)
LIBRARIES: tuple[Library, ...] = ("tensorrt", "tensorrt_rtx")
TARGET = "sm89"  # built for where no card is here
DENSE_BATCH = 8


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    seconds: float  # of one case and batch
    sizes: tuple[int, ...]
    batches: tuple[int, ...]
    gpu_batches: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pace:
    """What was measured of a case at one batch."""

    batch: int
    frames_s: float
    p50_ms: float  # of a batch
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of a case; `why_not` alone where it cannot run here."""

    paces: tuple[Pace, ...] = ()
    ready_s: float = 0.0  # from the graph or plan to the first answer
    build_s: float = 0.0  # of an engine, 0 where nothing is built
    resident_mb: float = 0.0  # peak of the process
    card_mb: float = 0.0  # that the network takes on the GPU
    why_not: str = ""
    missing: bool = False  # the whole backend is not here


Measure = Callable[[Case, float, tuple[int, ...]], Result]


def main() -> None:
    """Print a table of the processor and one of the GPU, and what is not measured."""
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
    _table("CPU", list(_on_processor(bundle, words.threads, effort)), effort, effort.batches)
    _engines(bundle)
    print()
    _table("GPU", list(_on_card(bundle, effort)), effort, effort.gpu_batches)
    print(f"\nafter: {load()}")


def _on_processor(bundle: ModelBundle, threads: int, effort: Effort) -> Iterator[Case]:
    for precision, name in (("float32", FLOAT32), ("int8", INT8)):
        path = bundle.folder / name
        if path.exists():
            graphs = {size: resized(path.read_bytes(), size) for size in effort.sizes}
            yield from _onnx("onnx", "cpu", precision, bundle, threads, graphs)
    yield from _torch("cpu", ("float32",), bundle, threads, effort)


def _on_card(bundle: ModelBundle, effort: Effort) -> Iterator[Case]:
    """Give what may run on a GPU; what cannot says so when it is opened."""
    for library in LIBRARIES:
        if _usable(library):
            for precision in _engine_precisions(bundle):
                graph = engine_graph(bundle, precision)
                graphs = {size: resized(graph, size) for size in effort.sizes}
                yield from _onnx(library, "cuda", precision, bundle, 1, graphs)
    graphs = {size: resized((bundle.folder / FLOAT32).read_bytes(), size) for size in effort.sizes}
    yield from _onnx("onnx-cuda", "cuda", "float32", bundle, 1, graphs)
    yield from _torch("cuda", ("float32", "fp16"), bundle, 1, effort)


def _onnx(
    backend: str, device: str, precision: str, bundle: ModelBundle, threads: int, graphs: dict[int, bytes]
) -> Iterator[Case]:
    """Give the cases of a runtime that takes ONNX, the dense convolutions first."""
    channels = len(bundle.preprocess.channels)
    of_dense = dense("fp16" if precision == "int8" and device == "cuda" else precision)
    work = {size: gflop(resized((bundle.folder / FLOAT32).read_bytes(), size)) for size in graphs}
    cases = [(32, 2, gflop(dense("float32")), of_dense, None)]
    cases += [(size, channels, work[size], graph, bundle) for size, graph in graphs.items()]
    for size, planes, operations, graph, of in cases:
        yield Case(backend, device, precision, size, planes, operations, threads, graph, of)  # type: ignore[arg-type]


def _torch(
    device: Literal["cpu", "cuda"], precisions: Sequence[str], bundle: ModelBundle, threads: int, effort: Effort
) -> Iterator[Case]:
    """Give the cases of PyTorch, eager and compiled; dense convolutions run the same kernels in both, so once."""
    channels = len(bundle.preprocess.channels)
    graph = (bundle.folder / FLOAT32).read_bytes()
    for precision in precisions:
        yield Case(PLAIN, device, precision, 32, 2, gflop(dense("float32")), threads)
        for backend in (PLAIN, COMPILED):
            for size in effort.sizes:
                work = gflop(resized(graph, size))
                yield Case(backend, device, precision, size, channels, work, threads, bundle=bundle)


def _usable(library: Library) -> bool:
    try:
        runtime = open_runtime(library)
        card = runtime.card()
        return card.capability in runtime.targets(card)
    except (MissingPartError, EngineError):
        return False  # `_engines` says why


def _table(title: str, cases: Sequence[Case], effort: Effort, batches: tuple[int, ...]) -> None:
    """Measure cases and print them; those that cannot run here are named below."""
    results: dict[Case, Result] = {}
    for case in cases:
        if not any(result.missing and other.backend == case.backend for other, result in results.items()):
            results[case] = measured(case, effort, batches if case.bundle else (DENSE_BATCH,))
    limits: dict[str, float] = {}
    for case, result in results.items():
        if case.bundle is None and result.paces:
            limits[case.precision] = max(limits.get(case.precision, 0.0), result.paces[0].frames_s * case.gflop)
    if any(result.paces for result in results.values()):
        print(
            f"| {title} | precision | input | batch | frames/s | p50 ms | p99 ms | of limit | resident MB | card MB | "
            f"ready s | build s |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
        )
    for case, result in results.items():
        if case.bundle is not None:
            _print(case, result, limits.get(case.precision, float("nan")))
    for case, result in results.items():
        if result.why_not:
            what = "" if result.missing else f" in {case.precision} at {case.size} pixels"
            print(f"\n{case.backend}{what} on the {title}: not measured: {result.why_not}")


def _engines(bundle: ModelBundle) -> None:
    """Say which libraries for engines are here, and without a card how long engines take to build."""
    for library in LIBRARIES:
        card: Card | None = None
        try:
            runtime = open_runtime(library)
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


def _builds(bundle: ModelBundle, runtime: Runtime, target: str) -> None:
    print(f"\n| engine for {target} | build s | plan MB |\n|---|---:|---:|")
    for precision in _engine_precisions(bundle):
        graph = engine_graph(bundle, precision)
        begun = time.perf_counter()
        plan = runtime.compile(graph, target, b"", no_progress).plan
        print(f"| {precision} | {time.perf_counter() - begun:.2f} | {len(plan) / 1e6:.1f} |")


def _engine_precisions(bundle: ModelBundle) -> tuple[EnginePrecision, ...]:
    return ("float32", "fp16", "int8") if bundle.activation_ranges else ("float32", "fp16")


def measured(case: Case, effort: Effort, batches: tuple[int, ...], measure: Measure | None = None) -> Result:
    """Measure a case in a fresh process; a library that kills it costs the table this case alone."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_tell, args=(theirs, measure or _measure, case, effort.seconds, batches))
    child.start()
    theirs.close()  # else its end would never be seen
    try:
        found: Result = ours.recv()
    except EOFError:
        child.join()
        return Result(why_not=f"its process ended with code {child.exitcode}")
    child.join()
    return found


def _tell(pipe: Connection, measure: Measure, case: Case, seconds: float, batches: tuple[int, ...]) -> None:
    pipe.send(measure(case, seconds, batches))


def _measure(case: Case, seconds: float, batches: tuple[int, ...]) -> Result:
    begun, taken = time.perf_counter(), card_bytes() if case.device == "cuda" else 0
    rng = np.random.default_rng(1)
    frames = rng.normal(size=(max(batches), case.channels, case.size, case.size)).astype(np.float32)
    try:
        network = opened(case)
        network.run(frames[:LIVE])
        ready = time.perf_counter() - begun - network.build_s
        paces = tuple(_pace(network.run, frames[:batch], seconds) for batch in batches)
    except AuroramonError as error:
        return Result(why_not=str(error), missing=True)
    except Exception as error:  # whatever a runtime raises that is none of ours: the other cases go on
        return Result(why_not=f"{type(error).__name__}: {error}".splitlines()[0])
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    on_card = (card_bytes() - taken) / 2**20 if case.device == "cuda" else 0.0
    return Result(paces, ready, network.build_s, resident, on_card)


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


def _print(case: Case, result: Result, limit: float) -> None:
    for pace in result.paces:
        cells = (
            case.backend, case.precision, case.size, pace.batch, f"{pace.frames_s:.0f}", f"{pace.p50_ms:.2f}",
            f"{pace.p99_ms:.2f}", f"{pace.frames_s * case.gflop / limit:.0%} of {limit:.0f} GFLOP/s",
            f"{result.resident_mb:.0f}", f"{result.card_mb:.0f}", f"{result.ready_s:.2f}", f"{result.build_s:.2f}",
        )  # fmt: skip
        print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
