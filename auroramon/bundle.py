"""The model bundle: one folder that carries everything serving must know, read and checked.

    bundle.json         what is below as `ModelBundle`, with the sha256 of every other file
    embedder.onnx       (N,C,S,S) float32 -> (N,D) float32 of unit norm
    embedder.int8.onnx  the same with u8 activations and s8 weights (optional)
    head.npz            the arrays of the head
    golden.npz          inputs with the embeddings and scores that the float32 graph gives for them
    MODEL_CARD.md       for people

Nothing in it is pickled, and a key that this version does not know is refused.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import BundleError
from auroramon.heads import Clusters, Head, MahalanobisHead, RidgeHead
from auroramon.ports import Backend
from auroramon.preprocess import PreprocessSpec

Precision = Literal["float32", "int8"]
_T = TypeVar("_T")

FORMATS = (1, 2)
"""Two is what looks from several sides or says how it learnt; all else is written as one, which earlier versions
read."""

AGREEMENT = 0.99
"""Part of the evaluation set on which int8 must give the labels of float32 to be chosen by itself."""

SIDES = (2, 4, 8)
"""From how many sides a frame can be looked at: as it is and by half a turn; both mirrored, too; by quarter turns."""

DESCRIPTION, FLOAT32, INT8 = "bundle.json", "embedder.onnx", "embedder.int8.onnx"
HEAD, GOLDEN, CARD = "head.npz", "golden.npz", "MODEL_CARD.md"
FILES = (FLOAT32, INT8, HEAD, GOLDEN, CARD)


@dataclass(frozen=True, slots=True)
class Adapted:
    """How a model was moved to a station."""

    parent: str  # name of the model whose head was moved
    parent_digest: str  # of its bundle
    frames: int  # that people labelled
    frames_digest: str  # sha256 of these frames and labels


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model comes from."""

    created: str  # ISO 8601, UTC
    code_version: str  # of auroramon
    data: str  # what it was trained on, in words
    data_digest: str  # sha256 of the description of the training data
    seeds: Mapping[str, int]
    metrics: Mapping[str, float]  # on the evaluation set named in the model card
    adapted: Adapted | None = None  # None: it was trained
    learnt: str | None = None  # digest of all that the training depended on but the frames; None: it does not say


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often int8 gives the label of float32, both as they are served on the processor.

    Raises:
        ValueError: a figure is none, or what belongs together is not there together.
    """

    labels: float  # part of the frames, 0..1
    frames: int
    on: str  # which frames, in words
    near: float | None = None  # units of the head's distance: so far rounding may carry an embedding; None: int8 alone
    twice: float | None = None  # part of the same frames that float32 embeds again, 0..1; belongs to near

    def __post_init__(self) -> None:
        if not (_is_part(self.labels) and isinstance(self.frames, int) and isinstance(self.on, str)):
            raise ValueError(f"int8 has labels {self.labels!r} of {self.frames!r} frames: it takes a part of a number")
        if (self.near is None) != (self.twice is None):
            raise ValueError("int8 needs near and twice together, or neither")
        if self.near is not None and not (_is_number(self.near) and 0 <= self.near < np.inf):
            raise ValueError(f"int8 has near {self.near!r}: it must be a distance of 0 or more")
        if self.twice is not None and not _is_part(self.twice):
            raise ValueError(f"int8 has twice {self.twice!r}: it must be a part from 0 to 1")


@dataclass(frozen=True, slots=True)
class Sides:
    """From how many sides a frame is looked at that lies near a border of the head (auroramon/backends/sides.py).

    Raises:
        ValueError: a figure is none, or out of its bounds.
    """

    near: float  # units of the head's distance: how near a border
    count: int  # of sides, one of SIDES
    part: float  # of the frames of the evaluation set that lie so near, 0..1

    def __post_init__(self) -> None:
        if not (_is_number(self.near) and 0 <= self.near < np.inf):
            raise ValueError(f"sides has near {self.near!r}: it must be a distance of 0 or more")
        if type(self.count) is not int or self.count not in SIDES:
            raise ValueError(f"sides has count {self.count!r}: it must be one of {', '.join(map(str, SIDES))}")
        if not _is_part(self.part):
            raise ValueError(f"sides has part {self.part!r}: it must be a part from 0 to 1")


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Inputs and what the float32 graph made of them."""

    inputs: NDArray[np.float32]  # (G,C,S,S); every value is exact in float16
    embeddings: NDArray[np.float32]  # (G,D)
    scores: NDArray[np.float64]  # (G,K)


@dataclass(frozen=True, slots=True, eq=False)
class ModelBundle:
    """A bundle that was read and found whole."""

    folder: Path
    digest: str  # sha256 of bundle.json, and so of every file
    name: str
    preprocess: PreprocessSpec
    head: Head
    golden: Golden
    provenance: Provenance
    agreement: Agreement | None  # None where there is no int8 graph
    sides: Sides | None  # None where a frame is looked at as it is
    activation_ranges: Mapping[str, tuple[float, float]]  # empty where nothing was calibrated
    files: Mapping[str, str]  # file name -> sha256

    @property
    def labels(self) -> tuple[str, ...]:
        return self.head.labels

    @property
    def width(self) -> int:
        """D, the length of an embedding."""
        return self.head.width

    @property
    def embedder_digest(self) -> str:
        """Tell what makes the embeddings: models that share it share those that are stored.

        It is the sha256 of the float32 graph, and of the sides where there are several: an embedding that was looked at
        once is not that of a model that would look at it from all sides.
        """
        if self.sides is None:
            return self.files[FLOAT32]
        made = f"{self.files[FLOAT32]} from {self.sides.count} sides within {self.sides.near!r}"
        return hashlib.sha256(made.encode()).hexdigest()

    def graph(self, precision: Precision) -> Path:
        """Give the ONNX file of a precision.

        Raises:
            BundleError: the bundle has no int8 graph.
        """
        if precision == "int8" and INT8 not in self.files:
            raise BundleError(f"model {self.name} in {self.folder} has no int8 graph: use precision float32")
        return self.folder / (INT8 if precision == "int8" else FLOAT32)


def default_bundle() -> Path:
    """Give the folder of the model that is shipped with auroramon."""
    return Path(__file__).parent / "models" / "simsky-6"


def choose_precision(bundle: ModelBundle, wanted: Literal["auto", "float32", "fp16", "int8"]) -> Precision:
    """Give the graph to run: `auto` is int8 only where the bundle has proven that the labels stay the same.

    What a GPU would run in fp16, the processor runs in float32.

    Raises:
        BundleError: int8 is wanted, and the bundle has no int8 graph.
    """
    if wanted == "auto":
        proven = bundle.agreement is not None and bundle.agreement.labels >= AGREEMENT
        return "int8" if proven else "float32"
    if wanted == "fp16":
        return "float32"
    bundle.graph(wanted)
    return wanted


def load_bundle(folder: Path) -> ModelBundle:
    """Read a bundle and check every file in it.

    Raises:
        BundleError: one sentence that says what is wrong with it.
    """
    path = folder / DESCRIPTION
    try:
        text = path.read_bytes()
        described: dict[str, Any] = json.loads(text)
    except FileNotFoundError as error:
        raise BundleError(f"{folder} is no model bundle: it has no {DESCRIPTION}") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} cannot be read ({error}): copy the bundle again") from error
    if not isinstance(described, dict) or described.get("format") not in FORMATS:
        found = described.get("format") if isinstance(described, dict) else None
        reads = " and ".join(map(str, FORMATS))
        raise BundleError(f"{path} has format {found}, this version of auroramon reads formats {reads}: upgrade it")
    try:
        _check_files(folder, described.get("files"))
        return _parse(folder, described, hashlib.sha256(text).hexdigest())
    except (KeyError, TypeError, ValueError, OverflowError, OSError, EOFError, BadZipFile) as error:
        what = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise BundleError(f"the model bundle in {folder} is damaged: {what}") from error


def check_golden(bundle: ModelBundle, backend: Backend) -> None:
    """Run the golden inputs through a backend and compare.

    Raises:
        BundleError: the backend does not give what the model gave when it was made.
    """
    golden = bundle.golden
    found = backend.embed(golden.inputs)
    where = f"model {bundle.name} on {backend.name} ({backend.precision}, {backend.device})"
    if found.shape != golden.embeddings.shape or not np.isfinite(found).all():
        raise BundleError(f"{where} gives no usable embeddings for its golden frames: do not use it on this machine")
    exact = backend.precision == "float32"
    difference = float(np.abs(found - golden.embeddings).max())
    cosine = float(np.sum(found * golden.embeddings, axis=1).min())
    if (exact and difference > 1e-3) or (not exact and cosine < 0.99):
        raise BundleError(
            f"{where} does not repeat its golden frames (largest difference {difference:.2g}, least cosine "
            f"{cosine:.4f}): do not use it on this machine"
        )
    wrong = int((bundle.head.judge(found).scores.argmax(axis=1) != golden.scores.argmax(axis=1)).sum())
    if wrong:
        raise BundleError(f"{where} labels {wrong} of its {len(found)} golden frames differently: do not use it here")


def _check_files(folder: Path, files: object) -> None:
    if not isinstance(files, dict) or not {FLOAT32, HEAD, GOLDEN, CARD} <= set(files) <= set(FILES):
        raise ValueError(f"{DESCRIPTION} must list {', '.join(FILES)} ({INT8} if there is one)")
    for name, digest in files.items():
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{name} is missing")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise ValueError(f"{name} is not the file that {DESCRIPTION} describes (sha256 differs)")


def _parse(folder: Path, described: dict[str, Any], digest: str) -> ModelBundle:
    described = {"sides": None, **described}  # it stands only in models that look from several
    _expect(described, _KEYS, DESCRIPTION)
    labels, width, name = tuple(described["labels"]), described["embedding_width"], described["name"]
    if not (isinstance(name, str) and name and all(isinstance(label, str) and label for label in labels)):
        raise ValueError("the name and the labels must be words")
    head = _read_head(folder / HEAD, described["head"], labels)
    if head.width != width:
        raise ValueError(f"the head has width {head.width}, {DESCRIPTION} says {width}")
    agreement = None if described["int8"] is None else _agreement(described["int8"])
    if (agreement is not None) != (INT8 in described["files"]):
        raise ValueError(f"{INT8} and its agreement with float32 must be there together")
    preprocess = PreprocessSpec.from_json(described["preprocess"])
    return ModelBundle(
        folder=folder,
        digest=digest,
        name=name,
        preprocess=preprocess,
        head=head,
        golden=_read_golden(folder / GOLDEN, preprocess, head),
        provenance=_provenance(described["provenance"]),
        agreement=agreement,
        sides=None if described["sides"] is None else _build(Sides, described["sides"], "sides"),
        activation_ranges={k: (float(low), float(high)) for k, (low, high) in described["activation_ranges"].items()},
        files=described["files"],
    )


def _agreement(described: Mapping[str, Any]) -> Agreement:
    """Give the agreement; `near` and `twice` stand only in models whose int8 float32 looks after."""
    return _build(Agreement, {"near": None, "twice": None, **described}, "int8")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < sys.float_info.max


def _is_part(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _provenance(described: Mapping[str, Any]) -> Provenance:
    """Give the provenance; `adapted` stands only in models that were moved to a station, `learnt` in trained ones."""
    held = {"adapted": None, "learnt": None, **described}
    if held["adapted"] is not None:
        held["adapted"] = _build(Adapted, held["adapted"], "provenance.adapted")
    return _build(Provenance, held, "provenance")


def _read_head(path: Path, described: dict[str, Any], labels: tuple[str, ...]) -> Head:
    _expect(described, {"kind", "temperature", "threshold"}, "head")
    with np.load(path, allow_pickle=False) as arrays:
        held = {name: np.asarray(arrays[name], dtype=np.float64) for name in arrays.files}
    tied = Clusters(held.pop("tied_means"), held.pop("tied_precision"))
    rest = {"temperature": float(described["temperature"]), "threshold": float(described["threshold"])}
    if described["kind"] == "mahalanobis":
        clusters = Clusters(held.pop("means"), held.pop("precision")) if held else tied
        head: Head = MahalanobisHead(labels=labels, clusters=clusters, tied=tied, **rest)
    elif described["kind"] == "ridge":
        head = RidgeHead(labels=labels, coef=held.pop("coef"), intercept=held.pop("intercept"), tied=tied, **rest)
    else:
        raise ValueError(f"unknown head '{described['kind']}'")
    if held:
        raise ValueError(f"{path.name} holds unknown arrays: {', '.join(sorted(held))}")
    return head


def _read_golden(path: Path, spec: PreprocessSpec, head: Head) -> Golden:
    with np.load(path, allow_pickle=False) as arrays:
        _expect(arrays, {"inputs", "embeddings", "scores"}, path.name)
        golden = Golden(
            inputs=arrays["inputs"].astype(np.float32),
            embeddings=arrays["embeddings"].astype(np.float32),
            scores=arrays["scores"].astype(np.float64),
        )
    frames = len(golden.inputs)
    shapes = (golden.inputs.shape, golden.embeddings.shape, golden.scores.shape)
    wanted = ((frames, len(spec.channels), spec.size, spec.size), (frames, head.width), (frames, len(head.labels)))
    if frames == 0 or shapes != wanted:
        raise ValueError(f"{path.name} holds arrays of the shapes {shapes}, not {wanted}")
    return golden


def _expect(found: Any, wanted: set[str], where: str) -> None:
    extra, lacking = set(found) - wanted, wanted - set(found)
    if extra or lacking:
        said = [f"unknown: {', '.join(sorted(extra))}"] if extra else []
        said += [f"missing: {', '.join(sorted(lacking))}"] if lacking else []
        raise ValueError(f"the keys of {where} are not those that this version knows ({'; '.join(said)})")


def _build(kind: Callable[..., _T], values: Mapping[str, Any], where: str) -> _T:
    if not isinstance(values, Mapping):
        raise ValueError(f"{where} is {values!r}: it must be an object with keys")
    _expect(values, {f.name for f in fields(kind)}, where)  # type: ignore[arg-type]
    return kind(**values)


_KEYS = {
    "format", "name", "labels", "preprocess", "embedding_width", "head", "int8", "sides", "activation_ranges",
    "provenance", "files",
}  # fmt: skip
