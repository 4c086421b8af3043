"""Which runtime labels on this machine, and in one line why not another."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from auroramon.backends.engine import EngineBackend, EngineShop, Unready
from auroramon.backends.engine_cache import EngineCache
from auroramon.backends.graph import EnginePrecision
from auroramon.backends.manifest import Manifest
from auroramon.backends.onnx import OnnxBackend, OnnxCudaBackend
from auroramon.backends.runtime import Card, Library, Runtime
from auroramon.backends.switching import SwitchingBackend
from auroramon.bundle import ModelBundle, check_golden, choose_precision
from auroramon.errors import AuroramonError, ConfigError, EngineError, MissingPartError, NoCardError, UnusableCardError
from auroramon.ports import Backend

log = logging.getLogger(__name__)

Name = Literal["auto", "tensorrt", "onnx-cuda", "onnx"]
AnyPrecision = Literal["auto", "float32", "fp16", "int8"]
Patience = Literal["wait", "beside", "never"]
"""What is done where the engine must be built first: wait for it, label on ONNX beside it, or do without it."""

LIBRARIES: tuple[Library, ...] = ("tensorrt", "tensorrt_rtx")
ENGINES = "engines"
STOP_S = 10.0  # a build that is told to stop gets so long


@dataclass(frozen=True, slots=True)
class Wish:
    """What the settings ask for, and where."""

    name: Name
    precision: AnyPrecision
    threads: int  # of ONNX Runtime
    cache: Path  # of everything that can be made again; engines have a folder in it
    patience: Patience


@dataclass(frozen=True, slots=True)
class Usable:
    """A library with a card that it builds for."""

    shop: EngineShop
    card: Card


@dataclass(slots=True)
class Found:
    """What of NVIDIA's is here."""

    usable: list[Usable]
    reasons: list[str]  # why a library is not used, or cannot be
    idle: bool  # there is a driver, and its card cannot be used


OpenRuntime = Callable[[Library], Runtime]


def choose_backend(bundle: ModelBundle, wish: Wish, open_runtime: OpenRuntime) -> Backend:
    """Open what shall label, and say in one line of the log what it is and why nothing else.

    Raises:
        ConfigError: what was asked for by name cannot run here, or not in this precision.
        BundleError: the model is damaged, or does not repeat its golden frames here.
        EngineError: the engine asked for by name cannot be built, or was refused.
    """
    if wish.name == "onnx":
        return _checked(bundle, _onnx(bundle, wish, named=True))
    if wish.name == "onnx-cuda":
        return _checked(bundle, _onnx_cuda(bundle, wish))
    found = look_for_cards(bundle, wish, open_runtime)
    return _named(bundle, found) if wish.name == "tensorrt" else _auto(bundle, wish, found)


def look_for_cards(bundle: ModelBundle, wish: Wish, open_runtime: OpenRuntime) -> Found:
    """Give the libraries that can work here, the best first, and why the others cannot."""
    found = Found([], [], idle=False)
    for library in LIBRARIES:
        try:
            runtime = open_runtime(library)
            card = runtime.card()
            if card.capability not in runtime.targets(card):
                raise UnusableCardError(f"{library} {runtime.version} does not support {card.name} ({card.capability})")
        except (MissingPartError, NoCardError) as error:
            found.reasons.append(str(error) if library in str(error) else f"{library}: {error}")
            found.idle |= isinstance(error, UnusableCardError)
            continue
        found.usable.append(Usable(shop_of(bundle, wish.precision, EngineCache(wish.cache / ENGINES), runtime), card))
    return found


def shop_of(bundle: ModelBundle, precision: AnyPrecision, cache: EngineCache, runtime: Runtime) -> EngineShop:
    """Join what an engine needs; `auto` is fp16 on a GPU."""
    wanted: EnginePrecision = "fp16" if precision == "auto" else precision
    return EngineShop(runtime, cache, bundle, wanted, lambda: OnnxBackend(bundle, "float32", threads=2))


def _named(bundle: ModelBundle, found: Found) -> Backend:
    if not found.usable:
        raise ConfigError(
            f"backend tensorrt cannot run here: {'; '.join(found.reasons)}. Set model.backend to auto or onnx, or see "
            f"docs/gpu.md"
        )
    chosen = found.usable[0]
    manifest = chosen.shop.obtain(chosen.card, Teller())
    backend = SwitchingBackend(partial(_opened, chosen, manifest), instead=None)
    _say(backend, found.reasons)
    return backend


def _auto(bundle: ModelBundle, wish: Wish, found: Found) -> Backend:
    def onnx() -> Backend:
        return _checked(bundle, _onnx(bundle, wish, named=False))

    for chosen in found.usable:
        try:
            backend = _on_engine(chosen, wish, onnx)
        except AuroramonError as error:
            found.reasons.append(f"{chosen.shop.runtime.library}: {error}")
            continue
        if backend.name != EngineBackend.name:
            found.reasons.append(
                f"{chosen.shop.runtime.library}: its engine is being built beside, and taken when it is ready"
            )
        _say(backend, found.reasons)
        return backend
    processor = _onnx(bundle, wish, named=False)
    processor.fallback = bool(found.usable) or found.idle
    _say(_checked(bundle, processor), found.reasons)
    return processor


def _on_engine(chosen: Usable, wish: Wish, onnx: Callable[[], Backend]) -> SwitchingBackend:
    """Open the engine of a card, or what stands in for it while it is built.

    Raises:
        AuroramonError: there is none to be had.
    """
    ready = chosen.shop.ready(chosen.card)
    if isinstance(ready, Unready):
        if ready.final or wish.patience == "never":
            raise EngineError(ready.why + ("" if ready.final else "; `auroramon engine build` builds and tries it"))
        if wish.patience == "beside":
            log.info("%s", ready.why)
            return SwitchingBackend(partial(_opened_when_ready, chosen), onnx, ChildBuild(chosen.shop))
        ready = chosen.shop.obtain(chosen.card, Teller())
    return SwitchingBackend(partial(_opened, chosen, ready), onnx)


def _opened(chosen: Usable, manifest: Manifest) -> Backend:
    """Load an engine that has been tried on this card, and check the golden frames once more.

    Raises:
        EngineError: it cannot be loaded, or does not repeat the golden frames.
    """
    backend = EngineBackend(chosen.shop.load(manifest), manifest, chosen.card, chosen.shop.bundle)
    try:
        check_golden(chosen.shop.bundle, backend)
    except AuroramonError as error:
        backend.close()
        raise EngineError(str(error)) from error
    return backend


def _opened_when_ready(chosen: Usable) -> Backend:
    manifest = chosen.shop.ready(chosen.card)
    if isinstance(manifest, Unready):
        raise EngineError(manifest.why)
    return _opened(chosen, manifest)


def _onnx(bundle: ModelBundle, wish: Wish, named: bool) -> OnnxBackend:
    if named and wish.precision == "fp16":
        raise ConfigError("precision fp16 needs a GPU: backend onnx runs float32 or int8")
    return OnnxBackend(bundle, choose_precision(bundle, wish.precision), wish.threads)


def _onnx_cuda(bundle: ModelBundle, wish: Wish) -> Backend:
    if wish.precision not in {"auto", "float32"}:
        raise ConfigError(f"precision {wish.precision} needs backend tensorrt: onnx-cuda runs float32")
    return OnnxCudaBackend(bundle)


def _checked(bundle: ModelBundle, backend: Backend) -> Backend:
    check_golden(bundle, backend)
    return backend


def _say(backend: Backend, reasons: list[str]) -> None:
    why = f"; not used: {'; '.join(reasons)}" if reasons else ""
    level = logging.WARNING if backend.fallback else logging.INFO  # a card that lies idle is no mere detail
    log.log(level, "labelling with %s (%s, %s)%s", backend.name, backend.precision, backend.device, why)


class Teller:
    """Writes progress into the log, each tenth of a task once."""

    def __init__(self) -> None:
        self._tenth = -1

    def __call__(self, what: str, part: float) -> None:
        tenth = int(part * 10)
        if tenth != self._tenth:
            log.info("%3d %%: %s", 10 * tenth, what)
        self._tenth = tenth


class ChildBuild:
    """Builds and proves an engine in a process of its own: what goes wrong there cannot stop the labelling."""

    def __init__(self, shop: EngineShop) -> None:
        # Our own interpreter, with arguments of our own.
        self._child = subprocess.Popen(build_command(shop), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603

    def ended(self) -> bool:
        """Say whether it is over, well or not."""
        return self._child.poll() is not None

    def close(self) -> None:
        """Stop it if it still goes on."""
        self._child.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(STOP_S)
        self._child.kill()
        self._child.wait()


def build_command(shop: EngineShop) -> list[str]:
    """Give the command that builds an engine, as a person would type it."""
    return [
        sys.executable, "-m", "auroramon", "engine", "build", "--library", shop.runtime.library,
        "--precision", shop.precision, "--model", str(shop.bundle.folder), "--cache", str(shop.cache.folder.parent),
    ]  # fmt: skip
