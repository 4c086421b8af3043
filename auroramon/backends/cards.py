"""What of NVIDIA's is here: the libraries with a card that they build for, and why the others cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from auroramon.backends.engine import EngineShop, Unready
from auroramon.backends.engine_cache import EngineCache
from auroramon.backends.graph import EnginePrecision
from auroramon.backends.manifest import Manifest
from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.runtime import Card, Library, Runtime
from auroramon.bundle import ModelBundle
from auroramon.errors import EngineError, MissingPartError, NoCardError, UnusableCardError

AnyPrecision = Literal["auto", "float32", "fp16", "int8"]
OpenRuntime = Callable[[Library], Runtime]

LIBRARIES: tuple[Library, ...] = ("tensorrt", "tensorrt_rtx")


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
    idle: bool  # there is a driver and a library, and the card cannot be used


def look_for_cards(
    bundle: ModelBundle, precision: AnyPrecision, cache: EngineCache, open_runtime: OpenRuntime
) -> Found:
    """Give the libraries that can work here, the best first, and why the others cannot.

    One whose engine is there goes before one whose engine must be built first.
    """
    found = Found([], [], idle=False)
    for library in LIBRARIES:
        try:
            runtime = open_runtime(library)
        except MissingPartError as error:  # it is not installed, so nobody counts on it
            found.reasons.append(str(error))
            continue
        try:
            card = runtime.card()
            if card.capability not in runtime.targets(card):
                raise UnusableCardError(f"{library} {runtime.version} does not support {card.name} ({card.capability})")
        except (MissingPartError, NoCardError) as error:
            found.reasons.append(str(error) if library in str(error) else f"{library}: {error}")
            found.idle |= isinstance(error, (UnusableCardError, MissingPartError))
            continue
        found.usable.append(Usable(shop_of(bundle, precision, cache, runtime), card))
    _put_ready_first(found)
    return found


def _put_ready_first(found: Found) -> None:
    """Put a library whose engine may label now before one whose engine must be built, and say why that one waits."""
    stand = [_stand(chosen) for chosen in found.usable]
    if not any(isinstance(ready, Manifest) for ready in stand):
        return
    first, later = [], []
    for chosen, ready in zip(found.usable, stand, strict=True):
        if isinstance(ready, Unready) and not ready.final:
            later.append(chosen)
            found.reasons.append(f"{chosen.shop.runtime.library}: {ready.why}")
        else:
            first.append(chosen)
    found.usable = first + later


def _stand(chosen: Usable) -> Manifest | Unready:
    """Say whether the engine of a library may label now."""
    try:
        return chosen.shop.ready(chosen.card)
    except EngineError as error:  # the folder cannot be read, which is told again where the engine is asked for
        return Unready(str(error), final=True)


def shop_of(bundle: ModelBundle, precision: AnyPrecision, cache: EngineCache, runtime: Runtime) -> EngineShop:
    """Join what an engine needs; `auto` is fp16 on a GPU."""
    wanted: EnginePrecision = "fp16" if precision == "auto" else precision
    return EngineShop(runtime, cache, bundle, wanted, lambda: OnnxBackend(bundle, "float32", threads=2))
