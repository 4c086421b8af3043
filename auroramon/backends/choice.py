"""Which runtime labels on this machine, and in one line why not another."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from auroramon.backends.cards import AnyPrecision, Found, OpenRuntime, Usable, look_for_cards
from auroramon.backends.child_build import BeginBuild, ChildBuild, is_whole, obtain_apart
from auroramon.backends.engine import EngineBackend, Unready
from auroramon.backends.engine_cache import EngineCache
from auroramon.backends.manifest import Manifest
from auroramon.backends.onnx import OnnxCudaBackend
from auroramon.backends.second_look import ProcessorBackend, open_on_processor, prove
from auroramon.backends.sides import from_all_sides
from auroramon.backends.switching import SwitchingBackend
from auroramon.bundle import ModelBundle, choose_precision
from auroramon.errors import (
    AuroramonError,
    ConfigError,
    EngineError,
    StoppedError,
    UnbuiltEngineError,
    UnloadableError,
)
from auroramon.ports import Backend, StopFlag

log = logging.getLogger(__name__)

Name = Literal["auto", "tensorrt", "onnx-cuda", "onnx"]
Patience = Literal["wait", "beside", "never", "look"]
"""What is done where the engine must be built first: wait for it, label on ONNX beside it, or do without it. An engine
asked for by name is always waited for, but by those who only look."""

ENGINES = "engines"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the settings ask for, and where."""

    name: Name
    precision: AnyPrecision
    threads: int  # of ONNX Runtime
    cache: Path  # of everything that can be made again; engines have a folder in it
    patience: Patience
    stop: StopFlag | None = None  # ends the wait for an engine; without it nothing does


@dataclass(slots=True)
class Choice:
    """What labels, and why nothing else does."""

    backend: Backend
    not_used: list[str] = field(default_factory=list)  # a reason each
    instead: str = ""  # what was asked for and is not to be had on this backend

    def line(self) -> str:
        """Give it in one line."""
        backend = self.backend
        why = f"; not used: {'; '.join(self.not_used)}" if self.not_used else ""
        return f"{backend.name} ({backend.precision}, {backend.device}){self.instead}{why}"

    @property
    def remarkable(self) -> bool:
        """Say whether somebody should hear of it who only hears of what went wrong."""
        return self.backend.fallback or bool(self.instead)


OpenCuda = Callable[[ModelBundle], Backend]


def choose_backend(
    bundle: ModelBundle, wish: Wish, open_runtime: OpenRuntime, open_cuda: OpenCuda = OnnxCudaBackend,
    begin_build: BeginBuild = ChildBuild,
) -> Backend:  # fmt: skip
    """Open what shall label, and say in one line of the log what it is and why nothing else; see `choose`."""
    choice = choose(bundle, wish, open_runtime, open_cuda, begin_build)
    log.log(logging.WARNING if choice.remarkable else logging.INFO, "labelling with %s", choice.line())
    return choice.backend


def choose(
    bundle: ModelBundle, wish: Wish, open_runtime: OpenRuntime, open_cuda: OpenCuda = OnnxCudaBackend,
    begin_build: BeginBuild = ChildBuild,
) -> Choice:  # fmt: skip
    """Open what shall label.

    Args:
        bundle: the model.
        wish: what the settings ask for.
        open_runtime: opens TensorRT or TensorRT for RTX.
        open_cuda: opens ONNX Runtime on the GPU.
        begin_build: begins to build an engine in a process of its own.

    Raises:
        ConfigError: what was asked for by name cannot run here, or not in this precision.
        BundleError: the model is damaged, or does not repeat its golden frames here.
        EngineError: the engine asked for by name cannot be built, or was refused.
        UnbuiltEngineError: it would be built now, and who asks only looks.
        StoppedError: the stop was set while an engine was waited for.
    """
    if wish.name == "onnx":
        return Choice(_checked(bundle, _onnx(bundle, wish, named=True)))
    if wish.name == "onnx-cuda":
        if wish.precision not in {"auto", "float32"}:
            raise ConfigError(f"precision {wish.precision} needs backend tensorrt: onnx-cuda runs float32")
        return Choice(
            SwitchingBackend(lambda: from_all_sides(bundle, _checked(bundle, open_cuda(bundle))), instead=None)
        )
    cache = EngineCache(wish.cache / ENGINES, counts_use=wish.patience != "look")
    found = look_for_cards(bundle, wish.precision, cache, open_runtime)
    if wish.name == "tensorrt":
        return _named(wish, found, begin_build)
    return _auto(bundle, wish, found, begin_build)


def _named(wish: Wish, found: Found, begin_build: BeginBuild) -> Choice:
    if not found.usable:
        raise ConfigError(
            f"backend tensorrt cannot run here: {'; '.join(found.reasons)}. Set model.backend to auto or onnx, or see "
            f"docs/gpu.md"
        )
    failed: list[EngineError] = []
    for chosen in found.usable:
        try:
            only_look = wish.patience == "look"
            manifest = _looked_at(chosen) if only_look else _obtained(chosen, wish, begin_build)
            try:
                backend = _switching(chosen, instead=None)
            except UnloadableError as error:
                if only_look:
                    raise
                chosen.shop.discard(manifest, error)
                _obtained(chosen, wish, begin_build)
                backend = _switching(chosen, instead=None)
            return Choice(backend, found.reasons)
        except UnbuiltEngineError:
            raise
        except EngineError as error:
            log.warning("%s: %s", chosen.shop.runtime.library, error)
            failed.append(error)
            found.reasons.append(f"{chosen.shop.runtime.library}: {error}")
    raise failed[0] if len(failed) == 1 else EngineError("; ".join(map(str, failed)))


def _looked_at(chosen: Usable) -> Manifest:
    """Give the engine that is ready; nothing is built, tried or written."""
    ready = chosen.shop.ready(chosen.card)
    if not isinstance(ready, Unready):
        return ready
    why = f"{chosen.shop.runtime.library}: {ready.why}"
    raise EngineError(why) if ready.final else UnbuiltEngineError(why)


def _obtained(chosen: Usable, wish: Wish, begin_build: BeginBuild) -> Manifest:
    """Build and try whatever is missing, and give the engine.

    Raises:
        EngineError: there is none to be had.
        StoppedError: the stop was set.
    """
    if wish.stop is None:
        return chosen.shop.obtain(chosen.card, Teller())
    return obtain_apart(chosen.shop, chosen.card, wish.stop, begin_build)


def _auto(bundle: ModelBundle, wish: Wish, found: Found, begin_build: BeginBuild) -> Choice:
    def onnx() -> Backend:
        return _checked(bundle, _onnx(bundle, wish, named=False))

    for chosen in found.usable:
        try:
            backend = _on_engine(chosen, wish, onnx, begin_build)
        except StoppedError:
            raise
        except AuroramonError as error:
            found.reasons.append(f"{chosen.shop.runtime.library}: {error}")
            continue
        if backend.name != EngineBackend.name:
            found.reasons.append(
                f"{chosen.shop.runtime.library}: its engine is being built beside, and taken when it is ready"
            )
        return Choice(backend, found.reasons)
    processor = _onnx(bundle, wish, named=False)
    processor.fallback = bool(found.usable) or found.idle  # a card that lies idle is no mere detail
    instead = " instead of fp16, which needs a GPU" if wish.precision == "fp16" else ""
    return Choice(_checked(bundle, processor), found.reasons, instead)


def _on_engine(chosen: Usable, wish: Wish, onnx: Callable[[], Backend], begin_build: BeginBuild) -> SwitchingBackend:
    """Open the engine of a card, or what stands in for it while it is built.

    Raises:
        AuroramonError: there is none to be had.
    """
    ready = chosen.shop.ready(chosen.card)
    patient = wish.patience in {"wait", "beside"}
    if patient and isinstance(ready, Manifest) and not is_whole(chosen.shop, ready):
        ready = Unready(f"{ready.plan} is broken: it is built anew", final=False)
    if not isinstance(ready, Unready):
        try:
            return _switching(chosen, onnx)
        except UnloadableError as error:
            if not patient:
                raise
            chosen.shop.discard(ready, error)
            ready = Unready(str(error), final=False)
    if ready.final or not patient:
        by_hand = f"; `auroramon engine build --precision {chosen.shop.precision}` builds and tries it"
        raise EngineError(ready.why + ("" if ready.final else by_hand))
    if wish.patience == "beside":
        log.info("%s", ready.why)
        return SwitchingBackend(partial(_opened, chosen), onnx, begin_build(chosen.shop))
    _obtained(chosen, wish, begin_build)
    return _switching(chosen, onnx)


def _switching(chosen: Usable, instead: Callable[[], Backend] | None) -> SwitchingBackend:
    return SwitchingBackend(partial(_opened, chosen), instead)


def _opened(chosen: Usable) -> Backend:
    """Load the engine that has been tried on this card, and check the golden frames once more.

    It is looked for each time: one that was built anew meanwhile takes the place of the one that was open.

    Raises:
        EngineError: there is none, or it cannot be loaded, or does not repeat the golden frames.
    """
    manifest = chosen.shop.ready(chosen.card)
    if isinstance(manifest, Unready):
        raise EngineError(manifest.why)
    bundle = chosen.shop.bundle
    backend = EngineBackend(chosen.shop.load(manifest), manifest, chosen.card, bundle)
    try:
        return from_all_sides(bundle, _checked(bundle, backend))
    except AuroramonError as error:
        raise EngineError(str(error)) from error


def _onnx(bundle: ModelBundle, wish: Wish, named: bool) -> ProcessorBackend:
    if named and wish.precision == "fp16":
        raise ConfigError("precision fp16 needs a GPU: backend onnx runs float32 or int8")
    return open_on_processor(bundle, choose_precision(bundle, wish.precision), wish.threads)


def _checked(bundle: ModelBundle, backend: Backend) -> Backend:
    try:
        prove(bundle, backend)
    except BaseException:
        backend.close()
        raise
    return backend


class Teller:
    """Writes progress into the log, each tenth of a task once."""

    def __init__(self) -> None:
        self._tenth = -1

    def __call__(self, what: str, part: float) -> None:
        tenth = int(part * 10)
        if tenth != self._tenth:
            log.info("%3d %%: %s", 10 * tenth, what)
        self._tenth = tenth
