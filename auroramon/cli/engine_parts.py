"""What the commands of `engine` are made of: the library to build with, progress on stderr, verdicts on engines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from auroramon.errors import ConfigError, EngineError, MissingPartError, NoCardError

if TYPE_CHECKING:
    from auroramon.backends.engine_cache import EngineCache, Entry
    from auroramon.backends.manifest import Manifest
    from auroramon.backends.runtime import Card, Runtime
    from auroramon.bundle import ModelBundle

log = logging.getLogger(__name__)

LIBRARIES = ("tensorrt", "tensorrt_rtx")


def builder_for(library: str | None, target: str | None) -> tuple[Runtime, Card | None]:
    """Choose what to build with, as `auto` does: the library that was named, else the first that can.

    Args:
        library: its module, or None.
        target: compute capability to build for, or None: that of the card that is here.

    Returns:
        The library, and the card where the engine is for the one that is here.

    Raises:
        ConfigError: none can, and why.
    """
    from auroramon.backends.engine import check_target

    missing: list[str] = []
    unable: list[str] = []
    for name in (library,) if library else LIBRARIES:
        try:
            runtime = _loaded(name)
            card = _card(runtime, target)
            check_target(runtime, card.capability if card else str(target), card)
            return runtime, card
        except MissingPartError as error:
            missing.append(str(error))
        except NoCardError as error:
            unable.append(str(error))
    raise ConfigError("; ".join(dict.fromkeys(unable or missing)))


def _loaded(library: str) -> Runtime:
    """Open a library and load it, so that what it needs and cannot find is told here.

    Raises:
        MissingPartError: it is not installed, or cannot be loaded.
    """
    from auroramon.backends.tensorrt import open_runtime

    runtime = open_runtime(library)  # type: ignore[arg-type]  # click chose it, or it is of a manifest
    _ = runtime.version
    return runtime


def _card(runtime: Runtime, target: str | None) -> Card | None:
    """Give the card to build for, or None where the target is elsewhere.

    Raises:
        NoCardError: there is neither a card nor a target.
    """
    try:
        card = runtime.card()
    except NoCardError as error:
        if target is None:
            raise NoCardError(f"{error}: name what to build for with --target, such as --target sm89") from error
        return None
    return card if target in {None, card.capability} else None


@contextmanager
def shown() -> Iterator[Callable[[str, float], None]]:
    """Give a function that shows progress on stderr: a bar on a terminal, lines elsewhere."""
    from rich.console import Console

    from auroramon.backends.choice import Teller

    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield Teller()
        return
    from rich.progress import Progress

    with Progress(console=screen) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda what, part: progress.update(task, description=what, completed=part)


def described(cache: EngineCache, entry: Entry) -> dict[str, Any]:
    """Give an engine of the list as JSON has it."""
    if (m := entry.manifest) is None:
        return {"manifest": str(entry.path), "problem": entry.problem}
    return {
        "model": m.model_name,
        "target": m.key.capability,
        "precision": m.key.precision,
        "plan": str(cache.folder / m.plan),
        "verified": m.verified,
        "key": asdict(m.key),
        "bytes": m.size,
        "sha256": m.sha256,
        "built": m.built,
        "seconds": m.seconds,
        "trial": None if m.trial is None else asdict(m.trial),
        "problem": "",
    }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found of one engine."""

    engine: str
    sound: bool
    said: str


def verdict_of(cache: EngineCache, entry: Entry, bundle: ModelBundle) -> Verdict:
    """Check that an engine is the one that was built, and try it where it is of this model and for this card."""
    if entry.manifest is None:
        return Verdict(entry.path.stem, False, entry.problem)
    try:
        cache.plan(entry.manifest)
        return Verdict(entry.path.stem, True, f"as it was built; {_tried(cache, entry.manifest, bundle)}")
    except EngineError as error:
        return Verdict(entry.path.stem, False, str(error))


def _tried(cache: EngineCache, manifest: Manifest, bundle: ModelBundle) -> str:
    """Try an engine on the card that is here, and say how it did, or why it was not tried.

    Raises:
        EngineError: it is refused, with the figures.
    """
    from auroramon.backends.cards import shop_of

    if manifest.key.model != bundle.digest:
        return f"not tried: it is of another model than {bundle.name} in {bundle.folder}"
    try:
        runtime = _loaded(manifest.key.library)
        card = runtime.card()
    except (MissingPartError, NoCardError) as error:
        return f"not tried: {error}"
    shop = shop_of(bundle, manifest.key.precision, cache, runtime)  # type: ignore[arg-type]  # read_manifest checked it
    if wrong := manifest.key.differences(shop.key(card)):
        return f"not tried: it is for {', '.join(wrong)}"
    with shown() as progress:
        tried, kernels = shop.try_on(manifest, card, progress)
    try:
        shop.record(tried, kernels)
        unwritten = ""
    except EngineError as error:  # the figures were found all the same
        unwritten = f"; how it went is not written down: {error}"
    trial = tried.trial
    if trial is None or trial.refusal:
        why = trial.refusal if trial else "it was not tried"
        raise EngineError(f"refused on {card.name}: {why}{unwritten}")
    found = trial.figures
    return (
        f"agrees on {card.name}: {found.golden} golden frames, {found.trial_labels:.2%} of {found.trial} simulated "
        f"labels, least cosine {found.cosine:.5f}{unwritten}"
    )


def useless(cache: EngineCache, entry: Entry, bundle: ModelBundle) -> str:
    """Say why an engine can be of no use here, or ""."""
    from auroramon.backends.manifest import make_key
    from auroramon.backends.tensorrt import open_runtime

    if entry.manifest is None:
        return entry.problem
    try:
        cache.plan(entry.manifest)
    except EngineError as error:
        return str(error)
    key = entry.manifest.key
    if key.model != bundle.digest:
        return f"of another model than {bundle.name}"
    try:
        runtime = open_runtime(key.library)  # type: ignore[arg-type]  # read_manifest checked it
    except MissingPartError:
        return f"{key.library} is not installed"
    try:
        _ = runtime.version
    except MissingPartError as error:  # mended, it may be the version that this engine is for
        log.warning("%s is kept: %s", entry.path.stem, error)
        return ""
    wanted = make_key(bundle, runtime, key.precision, key.capability, None)  # type: ignore[arg-type]  # as above
    wrong = key.ahead.differences(wanted)
    return f"for {', '.join(wrong)}" if wrong else ""
