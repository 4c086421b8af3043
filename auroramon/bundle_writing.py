"""Writes a model bundle (see bundle.py), and leaves none that a reader would refuse."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auroramon.bundle import (
    CARD,
    DESCRIPTION,
    FILES,
    FLOAT32,
    FORMATS,
    GOLDEN,
    HEAD,
    INT8,
    Agreement,
    Golden,
    ModelBundle,
    Provenance,
    Sides,
    load_bundle,
)
from auroramon.errors import BundleError
from auroramon.heads import Head, RidgeHead
from auroramon.preprocess import PreprocessSpec


@dataclass(frozen=True, slots=True, eq=False)
class BundleParts:
    """What a bundle is written from."""

    name: str
    preprocess: PreprocessSpec
    head: Head
    golden: Golden
    provenance: Provenance
    float32: Path  # the ONNX graph
    card: str  # text of MODEL_CARD.md
    int8: Path | None = None
    agreement: Agreement | None = None  # belongs to int8
    sides: Sides | None = None
    activation_ranges: Mapping[str, tuple[float, float]] | None = None  # tensor of the float32 graph: lowest, highest


def write_bundle(folder: Path, parts: BundleParts) -> ModelBundle:
    """Write a bundle beside its final place, check it as a reader would, and rename it.

    Raises:
        BundleError: the folder exists already, or the parts do not fit together.
    """
    if folder.exists():
        raise BundleError(f"{folder} exists already: choose another name, or remove it first")
    if not np.isfinite(parts.head.threshold):
        raise BundleError(f"the head of {parts.name} has no threshold: calibrate it first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        new = Path(scratch) / "bundle"
        new.mkdir()
        _write_files(new, parts)
        load_bundle(new)
        new.rename(folder)
    return load_bundle(folder)


def _write_files(folder: Path, parts: BundleParts) -> None:
    shutil.copyfile(parts.float32, folder / FLOAT32)
    if parts.int8 is not None:
        shutil.copyfile(parts.int8, folder / INT8)
    kind, arrays = _head_arrays(parts.head)
    np.savez(folder / HEAD, **arrays)
    golden = parts.golden
    np.savez_compressed(
        folder / GOLDEN,
        inputs=golden.inputs.astype(np.float16),
        embeddings=golden.embeddings.astype(np.float32),
        scores=golden.scores.astype(np.float64),
    )
    (folder / CARD).write_text(parts.card, encoding="utf-8")
    described = {
        "format": FORMATS[parts.sides is not None or parts.provenance.learnt is not None],
        "name": parts.name,
        "labels": list(parts.head.labels),
        "preprocess": parts.preprocess.to_json(),
        "embedding_width": parts.head.width,
        "head": {"kind": kind, "temperature": parts.head.temperature, "threshold": parts.head.threshold},
        "int8": None if parts.agreement is None else _without_none(asdict(parts.agreement)),
        **({} if parts.sides is None else {"sides": asdict(parts.sides)}),
        "activation_ranges": {k: list(v) for k, v in (parts.activation_ranges or {}).items()},
        "provenance": _described(parts.provenance),
        "files": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES if (folder / name).exists()
        },
    }
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


def _described(provenance: Provenance) -> dict[str, Any]:
    """Give the provenance; what was never moved to a station does not say so, as in bundles of before."""
    return _without_none(asdict(provenance))


def _without_none(said: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not said: versions that do not know a key then still read a bundle that does not use it."""
    return {name: value for name, value in said.items() if value is not None}


def _head_arrays(head: Head) -> tuple[str, dict[str, Any]]:
    arrays: dict[str, Any] = {"tied_means": head.tied.means, "tied_precision": head.tied.precision}
    if isinstance(head, RidgeHead):
        return "ridge", arrays | {"coef": head.coef, "intercept": head.intercept}
    if head.clusters is not head.tied:
        arrays |= {"means": head.clusters.means, "precision": head.clusters.precision}
    return "mahalanobis", arrays
