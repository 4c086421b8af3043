"""What of NVIDIA's is here: the libraries with a card that they build for, and why the others cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from auroramon.backends.engine import EngineShop
from auroramon.backends.engine_cache import EngineCache
from auroramon.backends.graph import EnginePrecision
from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.runtime import Card, Library, Runtime
from auroramon.bundle import ModelBundle
from auroramon.errors import MissingPartError, NoCardError, UnusableCardError

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
    idle: bool  # there is a driver, and its card cannot be used


def look_for_cards(
    bundle: ModelBundle, precision: AnyPrecision, cache: EngineCache, open_runtime: OpenRuntime
) -> Found:
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
        found.usable.append(Usable(shop_of(bundle, precision, cache, runtime), card))
    return found


def shop_of(bundle: ModelBundle, precision: AnyPrecision, cache: EngineCache, runtime: Runtime) -> EngineShop:
    """Join what an engine needs; `auto` is fp16 on a GPU."""
    wanted: EnginePrecision = "fp16" if precision == "auto" else precision
    return EngineShop(runtime, cache, bundle, wanted, lambda: OnnxBackend(bundle, "float32", threads=2))
