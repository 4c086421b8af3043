"""Engines of a model: found in the cache, built where there is none, tried on the card before their first label."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon.backends.engine_cache import EngineCache, stem_of
from auroramon.backends.graph import EnginePrecision, engine_graph
from auroramon.backends.manifest import EngineKey, Manifest, make_key
from auroramon.backends.runtime import MOST, Card, Engine, Progress, Runtime, no_progress
from auroramon.backends.trust import FRAMES, Reference, try_engine
from auroramon.bundle import ModelBundle
from auroramon.errors import EngineError, NoCardError, UnloadableError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unready:
    """Why no engine may label yet."""

    why: str
    final: bool  # it was tried and refused: building it once more would change nothing


@dataclass(frozen=True, slots=True)
class EngineShop:
    """What is needed to get an engine of a model: the library, the cache, and the graph that it must agree with."""

    runtime: Runtime
    cache: EngineCache
    bundle: ModelBundle
    precision: EnginePrecision
    reference: Reference
    frames: int = FRAMES  # simulated, of a trial

    def key(self, card: Card | None, target: str = "") -> EngineKey:
        """Give the key of the engine for a card, or for a compute capability whose card is elsewhere."""
        return make_key(self.bundle, self.runtime, self.precision, card.capability if card else target, card)

    def build(self, key: EngineKey, card: Card | None, progress: Progress = no_progress) -> Manifest:
        """Give the engine of a key: the one in the cache, or a new one. Two builders at once build one engine.

        Raises:
            EngineError: it cannot be built or written.
            NoCardError: the library does not build for this target.
            BundleError: the model cannot be had in this precision.
        """
        check_target(self.runtime, key.capability, card)
        found = self.cache.find(key)
        if found.manifest is not None and not self._flaw(found.manifest):
            return found.manifest  # needs no lock: the cache may be one that this user may only read
        with self.cache.building():
            found = self.cache.find(key)
            if found.manifest is not None:
                if not (flaw := self._flaw(found.manifest)):
                    return found.manifest  # another process built it meanwhile
                log.warning("%s", flaw)
            log.info("building an engine of %s for %s (%s): %s", self.bundle.name, key.capability, key.precision,
                     found.why_not or "the one in the cache is broken")  # fmt: skip
            begun = time.monotonic()
            graph = engine_graph(self.bundle, self.precision)
            made = self.runtime.compile(graph, key.capability, self.cache.timings(key), progress)
            manifest = Manifest(
                key=key,
                model_name=self.bundle.name,
                plan=f"{stem_of(self.bundle.name, key)}.plan",
                size=len(made.plan),
                sha256=hashlib.sha256(made.plan).hexdigest(),
                built=datetime.now(UTC).isoformat(timespec="seconds"),
                seconds=round(time.monotonic() - begun, 2),
            )
            self.cache.store(manifest, made.plan, made.timings)
            log.info("built %s in %.1f s (%.1f MB)", manifest.plan, manifest.seconds, manifest.size / 1e6)
            return manifest

    def _flaw(self, manifest: Manifest) -> str:
        """Say why the plan in the cache is not the one that was built, or ""."""
        try:
            self.cache.plan(manifest)
        except EngineError as error:
            return str(error)
        return ""

    def load(self, manifest: Manifest) -> Engine:
        """Load an engine, tried or not, for use.

        Raises:
            EngineError: its file was changed.
            UnloadableError: the library does not take it.
        """
        engine = self._loaded(manifest)
        self.cache.used(manifest)
        return engine

    def _loaded(self, manifest: Manifest) -> Engine:
        return self.runtime.load(self.cache.plan(manifest), self.cache.kernels(manifest))

    def prove(self, manifest: Manifest, card: Card, progress: Progress = no_progress) -> Manifest:
        """Try an engine on a card, and write into its manifest how it did.

        Raises:
            EngineError: it cannot be loaded, or the manifest cannot be written.
            CardLostError: the card fails.
        """
        proven, kernels = self.try_on(manifest, card, progress)
        self.record(proven, kernels)
        return proven

    def try_on(self, manifest: Manifest, card: Card, progress: Progress = no_progress) -> tuple[Manifest, bytes]:
        """Try an engine on a card: give its manifest with how it did, and what was compiled there; nothing is written.

        Raises:
            EngineError: it cannot be loaded.
            CardLostError: the card fails.
        """
        with closing(self._loaded(manifest)) as engine:
            trial = try_engine(
                engine, card, self.bundle, manifest.key.precision, self.reference(), self.frames, progress
            )
            kernels = engine.kernels()
        digest = hashlib.sha256(kernels).hexdigest() if kernels else manifest.kernels_sha256
        return replace(manifest, trial=trial, kernels_sha256=digest), kernels

    def record(self, tried: Manifest, kernels: bytes) -> None:
        """Write down what `try_on` gave.

        Raises:
            EngineError: the folder cannot be written.
        """
        with self.cache.building():
            self.cache.record(tried, kernels)

    def ready(self, card: Card) -> Manifest | Unready:
        """Give the engine that may label on this card, or say why there is none: nothing is built or tried here."""
        found = self.cache.find(self.key(card))
        if found.manifest is None:
            return Unready(f"no engine for this GPU: {found.why_not}", final=False)
        trial = found.manifest.tried_on(card)
        if trial is None:
            return Unready(f"{found.manifest.plan} has not been tried on this GPU", final=False)
        return (
            found.manifest if not trial.refusal else Unready(_refused(found.manifest.plan, trial.refusal), final=True)
        )

    def obtain(self, card: Card, progress: Progress = no_progress) -> Manifest:
        """Build and prove whatever is missing, and give the engine that may label on this card.

        Raises:
            EngineError: it cannot be built, or it was tried and refused: then with the figures.
        """
        ready = self.ready(card)
        if isinstance(ready, Manifest) and not self._flaw(ready):
            return ready
        had = self.cache.find(self.key(card)).manifest
        manifest = self.build(self.key(card), card, progress)
        if manifest.tried_on(card) is None:
            try:
                manifest = self.prove(manifest, card, progress)
            except UnloadableError as error:
                if manifest != had:  # built just now: once more would change nothing
                    raise
                self.discard(manifest, error)
                manifest = self.prove(self.build(self.key(card), card, progress), card, progress)
        trial = manifest.tried_on(card)
        if trial is None or trial.refusal:
            raise EngineError(_refused(manifest.plan, trial.refusal if trial else "it was tried on another card"))
        return manifest

    def discard(self, manifest: Manifest, why: EngineError) -> None:
        """Remove an engine that the library does not take, so that it is built anew.

        Raises:
            EngineError: the folder cannot be written.
        """
        log.warning("%s is removed, to be built anew: %s", manifest.plan, why)
        with self.cache.building():
            self.cache.remove(Path(manifest.plan).stem)


class EngineBackend:
    """Gives embeddings from an engine. What labels them is NumPy's head, as in relabelling, which the trial has
    compared with the engine's own."""

    name = "tensorrt"
    fallback = False

    def __init__(self, engine: Engine, manifest: Manifest, card: Card, bundle: ModelBundle) -> None:
        self.precision = manifest.key.precision
        self.device = f"{card.name}, {manifest.key.library} {manifest.key.version}"
        self._engine = engine
        self._width = bundle.width
        spec = bundle.preprocess
        self._shape = (len(spec.channels), spec.size, spec.size)

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], NDArray[np.float32]]:
        """Begin with (N,C,S,S) inputs, and give what waits for their (N,D) unit vectors.

        Raises:
            ValueError: the inputs do not have the shape that the model takes.
            CardLostError: the card failed; what waits raises it too.
        """
        if inputs.shape[1:] != self._shape:
            raise ValueError(f"inputs {inputs.shape} do not end in {self._shape}")
        if not len(inputs):
            return lambda: np.empty((0, self._width), dtype=np.float32)
        done = [self._engine.start(inputs[k : k + MOST])().embedding for k in range(0, len(inputs) - MOST, MOST)]
        last = self._engine.start(inputs[len(done) * MOST :])
        return lambda: np.concatenate([*done, last().embedding])

    def embed(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give (N,D) unit vectors for (N,C,S,S) inputs; see `start`."""
        return self.start(inputs)()

    def close(self) -> None:
        """Give the card's memory back."""
        self._engine.close()


def _refused(plan: str, refusal: str) -> str:
    return f"{plan} is refused on this GPU: {refusal}"


def check_target(runtime: Runtime, target: str, card: Card | None) -> None:
    """Check that a library builds for a compute capability, on a machine with this card or without one.

    Raises:
        NoCardError: it does not.
    """
    targets, name = runtime.targets(card), f"{runtime.library} {runtime.version}"
    if not targets:
        raise NoCardError(
            f"{name} builds only for a GPU of this machine, and none is {target}: `--library tensorrt_rtx` needs none"
        )
    if target not in targets:
        raise NoCardError(f"{name} does not build for {target}, only for {', '.join(targets)}")
