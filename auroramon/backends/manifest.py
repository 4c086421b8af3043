"""What stands beside an engine: for what it was built, that it is whole, and whether it has proven itself on a card.

The plan itself has no header of ours, so that NVIDIA's own tools can load it.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from auroramon.backends.graph import RECIPE, EnginePrecision
from auroramon.backends.runtime import LIVE, MOST, USUAL, Card, Library, Runtime
from auroramon.bundle import ModelBundle
from auroramon.errors import EngineError

FORMAT = 1
ANY = "any"
"""In a key: built ahead of time, without a card at hand."""

PROFILE = f"{LIVE} and up to {MOST}, tuned for {USUAL}"

Described = TypeVar("Described")

_KNOWN = {"library": get_args(Library), "precision": get_args(EnginePrecision)}
_TIMES = {"built", "when"}

_WORDS = {
    "model": "another model", "library": "the library", "version": "version", "capability": "compute capability",
    "card": "GPU", "driver": "driver", "precision": "precision", "profile": "batches of", "recipe": "recipe",
    "platform": "platform",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class EngineKey:
    """Everything that a plan depends on. A plan of another key is no use, and is not tried."""

    model: str  # digest of the bundle
    library: str
    version: str  # of the library
    capability: str  # "sm89"
    card: str  # name of the GPU, or "any"
    driver: str  # version, or "any"
    precision: str
    profile: str  # frames of the optimisation profiles
    recipe: int  # version of the graph that is made of the model
    platform: str  # system and processor

    @property
    def digest(self) -> str:
        return hashlib.sha256(_canonical(asdict(self))).hexdigest()

    @property
    def ahead(self) -> EngineKey:
        """The key that the same engine has when it is built ahead of time."""
        return replace(self, card=ANY, driver=ANY)

    def serves(self, wanted: EngineKey) -> bool:
        """Say whether an engine of this key is one of the wanted key."""
        return not self.differences(wanted)

    def differences(self, wanted: EngineKey) -> list[str]:
        """Say what about this key is not as wanted, in words."""
        said = []
        for name in (field.name for field in fields(self)):
            have, want = getattr(self, name), getattr(wanted, name)
            if have not in {want, ANY}:
                said.append(_WORDS[name] if name == "model" else f"{_WORDS[name]} {have} instead of {want}")
        return said


@dataclass(frozen=True, slots=True)
class Figures:
    """How an engine compares with the float32 graph on the processor."""

    golden: int  # golden frames
    golden_labels: int  # of them with the label that they must have
    golden_scores: float  # largest difference of a score
    trial: int  # simulated frames
    trial_labels: float  # part of them with the same label, `unknown` included, 0..1
    cosine: float  # least cosine between the embeddings of one simulated frame
    head: float  # largest difference of a score between the engine's head and NumPy, on the engine's embeddings


@dataclass(frozen=True, slots=True)
class Trial:
    """How an engine did on a card."""

    card: str
    driver: str
    when: str  # ISO 8601, UTC
    refusal: str  # why it is not used, or ""
    figures: Figures


@dataclass(frozen=True, slots=True)
class Manifest:
    """One engine of the cache."""

    key: EngineKey
    model_name: str
    plan: str  # file name
    size: int  # bytes of the plan
    sha256: str  # of the plan
    built: str  # ISO 8601, UTC
    seconds: float  # that the build took
    kernels_sha256: str = ""  # of what was compiled on the card, beside the plan
    trial: Trial | None = None

    @property
    def verified(self) -> bool:
        """Say whether it has proven itself on some card."""
        return self.trial is not None and not self.trial.refusal

    def tried_on(self, card: Card) -> Trial | None:
        """Give its trial on a card of this name with this driver."""
        if self.trial is None or (self.trial.card, self.trial.driver) != (card.name, card.driver):
            return None
        return self.trial


def make_key(
    bundle: ModelBundle, runtime: Runtime, precision: EnginePrecision, capability: str, card: Card | None
) -> EngineKey:
    """Give the key of the engine of a model, for a card that is here or (None) for any of a compute capability."""
    return EngineKey(
        model=bundle.digest,
        library=runtime.library,
        version=runtime.version,
        capability=capability,
        card=card.name if card else ANY,
        driver=card.driver if card else ANY,
        precision=precision,
        profile=PROFILE,
        recipe=RECIPE,
        platform=f"{platform.system().lower()}-{platform.machine()}",
    )


def manifest_text(manifest: Manifest) -> str:
    """Give the file: the manifest and a digest over it."""
    described = {"format": FORMAT, **asdict(manifest)}
    described["digest"] = hashlib.sha256(_canonical(described)).hexdigest()
    return json.dumps(described, indent=1) + "\n"


def read_manifest(path: Path) -> Manifest:
    """Read a manifest and check its digest.

    Raises:
        EngineError: it cannot be read, is no manifest, or was changed since it was written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EngineError(f"{path} cannot be read ({error.strerror}): let this user read it, or remove it") from error
    try:
        described: dict[str, Any] = json.loads(content)
        digest = described.pop("digest")
        if described.pop("format") != FORMAT:
            raise EngineError(f"{path} is of another version of auroramon: `auroramon engine clean` removes it")
        if hashlib.sha256(_canonical({"format": FORMAT, **described})).hexdigest() != digest:
            raise EngineError(
                f"{path} was changed after it was written, so its engine is not used: "
                f"`auroramon engine clean` removes it"
            )
        return _read(Manifest, described)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EngineError(
            f"{path} is no manifest of an engine ({error}): `auroramon engine clean` removes it"
        ) from error


def _read(kind: type[Described], described: Any) -> Described:
    """Make one of our dataclasses of what JSON holds: a right digest says who wrote it, not that it can be used.

    Raises:
        TypeError: a field is missing, unknown, or of another type.
        ValueError: a library or precision that there is not, or no time.
    """
    given = dict(described)
    for name, wanted in get_type_hints(kind).items():
        if name in given:
            given[name] = _value(name, wanted, given[name])
    return kind(**given)


def _value(name: str, wanted: Any, value: Any) -> Any:
    if wanted == Trial | None:
        return None if value is None else _read(Trial, value)
    if is_dataclass(wanted):
        return _read(wanted, value)  # type: ignore[arg-type]  # a class, for it is a type hint
    if type(value) not in ((int, float) if wanted is float else (wanted,)):  # a bool is no number here
        raise TypeError(f"{name} is {value!r}")
    if value not in _KNOWN.get(name, (value,)):
        raise ValueError(f"{name} is {value!r}")
    if name in _TIMES:
        datetime.fromisoformat(value)
    return value


def _canonical(described: Any) -> bytes:
    return json.dumps(described, sort_keys=True, separators=(",", ":")).encode()
