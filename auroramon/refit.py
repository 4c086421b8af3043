"""A new version of a model for a station, from the frames that people labelled there: no image is read again.

The head is moved (adapt.py), judged by cross-validation that never splits a night, and written as a bundle of its own
with the parent's network in it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon import __version__
from auroramon.adapt import Labelled, adapt
from auroramon.backends.onnx import OnnxBackend
from auroramon.bundle import CARD, Adapted, Golden, ModelBundle, Precision, Provenance, check_golden
from auroramon.bundle_writing import BundleParts, write_bundle
from auroramon.errors import AuroramonError, BundleError
from auroramon.fit import Examples
from auroramon.gain import Gain, Split, measure
from auroramon.heads import Head
from auroramon.store.reviews import ReviewedFrame
from auroramon.types import UNKNOWN

FEWEST = 10
"""Labelled frames without which nothing is moved."""

FEWEST_NEW = 5
"""The same for a class that the parent does not know."""

SURE = 0.2
"""Golden frames must not lie at a border: machines that compute something else are told by them, not by rounding."""


class TooFewError(AuroramonError):
    """There are not enough labelled frames, or they do not help: no model is written."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What people labelled, sorted by what it is good for."""

    labelled: Labelled  # frames with an embedding and a class
    rows: tuple[ReviewedFrame, ...]  # the same frames, in the same order
    no_sky: NDArray[np.float16]  # (M,D) embeddings of frames that a person called `unknown`
    gated: int  # frames without embedding, because a gate refused them
    unseen: int  # frames that the network never saw: they need `backfill`

    def counts(self) -> dict[str, int]:
        """Give the number of labelled frames by class, classes without any too."""
        known = self.labelled.examples
        return {label: int((known.targets == k).sum()) for k, label in enumerate(known.labels)}

    def digest(self) -> str:
        """Give the sha256 of the frames and what was said of them."""
        said = [[r.camera, r.time.isoformat(), r.label] for r in self.rows]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Refit:
    """A new model and what is known of it."""

    bundle: ModelBundle
    gains: tuple[Gain, ...]  # the split that leaks least first
    counts: dict[str, int]  # labelled frames by class
    no_sky: int  # frames that a person called `unknown`
    no_sky_refused: tuple[int, int]  # of them the parent refuses, and the new head


def gather(parent: ModelBundle, reviewed: Sequence[ReviewedFrame]) -> Material:
    """Sort what people labelled."""
    seen = [row for row in reviewed if row.vector is not None]
    rows = tuple(row for row in seen if row.label != UNKNOWN)
    labels = (*parent.labels, *sorted({row.label for row in rows} - set(parent.labels)))
    places = {label: k for k, label in enumerate(labels)}
    nights = {pair: k for k, pair in enumerate(sorted({(row.camera, row.night) for row in rows}))}
    known = Examples(
        _stacked([row.vector for row in rows if row.vector is not None], parent.width),
        np.array([places[row.label] for row in rows], dtype=np.intp),
        labels,
    )
    return Material(
        labelled=Labelled(known, np.array([nights[row.camera, row.night] for row in rows], dtype=np.intp)),
        rows=rows,
        no_sky=_stacked([row.vector for row in seen if row.label == UNKNOWN and row.vector is not None], parent.width),
        gated=sum(row.refused for row in reviewed),
        unseen=sum(row.vector is None and not row.refused for row in reviewed),
    )


def _stacked(vectors: Sequence[NDArray[np.float16]], width: int) -> NDArray[np.float16]:
    return np.array(vectors, dtype=np.float16).reshape(len(vectors), width)


def check_enough(material: Material, parent: ModelBundle) -> None:
    """Refuse what no head can be fitted on.

    Raises:
        TooFewError: one sentence that says how many are there and how many it takes.
    """
    counts, total = material.counts(), len(material.rows)
    if total < FEWEST or sum(count > 0 for count in counts.values()) < 2:
        unseen = f", {material.unseen} more need `auroramon backfill` first" if material.unseen else ""
        told = ", ".join(f"{count} {label}" for label, count in counts.items() if count) or "none"
        raise TooFewError(
            f"{parent.name} has {total} labelled frames ({told}){unseen}: it takes {FEWEST}, of two classes at least; "
            "`auroramon review queue` lists the most useful ones"
        )
    for label, count in counts.items():
        if label not in parent.labels and count < FEWEST_NEW:
            raise TooFewError(
                f"the new class {label!r} has {count} labelled frames: it takes {FEWEST_NEW}; label more, or name it "
                "`unknown`"
            )


def splits(rows: Sequence[ReviewedFrame]) -> tuple[Split, ...]:
    """Give the ways to hold frames out: by night, else by stretch of time; and by camera where there are several."""
    nights = np.unique([row.night.toordinal() for row in rows], return_inverse=True)[1]
    cameras = np.unique([row.camera for row in rows], return_inverse=True)[1]
    if nights.max() > 0:
        found = [Split("nights", nights)]
    else:
        stretches = np.arange(len(rows)) * 5 // len(rows)  # rows are in the order of time
        found = [Split("stretches of one night", stretches)]
    if cameras.max() > 0:
        found.append(Split("cameras", cameras))
    return tuple(found)


def refit(
    parent: ModelBundle, material: Material, name: str, folder: Path, *, now: datetime, even_if_worse: bool = False
) -> Refit:
    """Fit, judge and write a new version of a model.

    Args:
        parent: a trained model, not one that was moved itself (its labels would count twice).
        material: of `gather`, enough by `check_enough`.
        name: of the new model.
        folder: of its bundle, not there yet.
        now: aware UTC.
        even_if_worse: write it though cross-validation says that it labels fewer frames rightly.

    Raises:
        TooFewError: the new head would be worse.
        BundleError: the folder exists, or the new bundle does not repeat its golden frames.
        MissingPartError: scikit-learn is not installed.
    """
    head = adapt(parent.head, material.labelled)
    gains = tuple(measure(parent.head, material.labelled, split) for split in splits(material.rows))
    first = gains[0]
    if first.worse and not even_if_worse:
        raise TooFewError(
            f"held out by {first.split}, the new head labels {first.after} of {first.frames} frames rightly, "
            f"{parent.name} {first.before}: no model is written; label more frames, look for wrong labels "
            "(`auroramon review list`), or insist with --even-if-worse"
        )
    refused = (_refused(parent.head, material.no_sky), _refused(head, material.no_sky))
    bundle = _written(parent, head, material, gains, name, folder, now)
    return Refit(bundle, gains, material.counts(), len(material.no_sky), refused)


def _refused(head: Head, vectors: NDArray[np.float16]) -> int:
    return int(head.judge(vectors).refused(head.threshold).sum())


def _written(
    parent: ModelBundle,
    head: Head,
    material: Material,
    gains: Sequence[Gain],
    name: str,
    folder: Path,
    now: datetime,
) -> ModelBundle:
    """Write the bundle, and remove it again if either graph does not repeat its golden frames."""
    first = gains[0]
    adapted = Adapted(parent.name, parent.digest, len(material.rows), material.digest())
    bundle = write_bundle(folder, BundleParts(
        name=name,
        preprocess=parent.preprocess,
        head=head,
        golden=_golden(parent.golden, head),
        provenance=Provenance(
            created=now.astimezone(UTC).isoformat(timespec="seconds"),
            code_version=__version__,
            data=f"{parent.name}, moved to {len(material.rows)} frames that people labelled",
            data_digest=adapted.frames_digest,
            seeds={},
            metrics={
                "frames": first.frames,
                "accuracy_before": round(first.before / first.frames, 4),
                "accuracy": round(first.after / first.frames, 4),
                "gain_low": round(first.low, 4),
                "gain_high": round(first.high, 4),
            },
            adapted=adapted,
        ),
        float32=parent.graph("float32"),
        card=card(parent, material, gains, name, now),
        int8=parent.graph("int8") if parent.agreement else None,
        agreement=replace(parent.agreement, on=f"{parent.agreement.on}, with the head of {parent.name}")
        if parent.agreement
        else None,
        sides=parent.sides,
        activation_ranges=parent.activation_ranges,
    ))  # fmt: skip
    precisions: tuple[Precision, ...] = ("float32", "int8") if bundle.agreement else ("float32",)
    try:
        for precision in precisions:
            check_golden(bundle, OnnxBackend(bundle, precision, 1))
    except BundleError:
        shutil.rmtree(bundle.folder)
        raise
    return bundle


def _golden(old: Golden, head: Head) -> Golden:
    """Give the golden frames with the scores of a new head, without those that now lie at a border."""
    scores = head.judge(old.embeddings).scores
    two = np.sort(scores, axis=1)[:, -2:]
    sure = two[:, 1] - two[:, 0] >= SURE
    kept = sure if sure.any() else np.ones(len(scores), dtype=bool)
    return Golden(old.inputs[kept], old.embeddings[kept], scores[kept])


def card(parent: ModelBundle, material: Material, gains: Sequence[Gain], name: str, now: datetime) -> str:
    """Give the text of MODEL_CARD.md: what was moved, by what, with what gain, and the parent's card below."""
    counts = ", ".join(f"{count} {label}" for label, count in material.counts().items() if count)
    nights = len({(row.camera, row.night) for row in material.rows})
    cameras = Counter(row.camera for row in material.rows)
    figures = "\n".join(f"- {gain.sentence()}" for gain in gains)
    again = parent.sides is not None or (parent.agreement is not None and parent.agreement.near is not None)
    kept = "Temperature, threshold and how near a border is looked at again" if again else "Temperature and threshold"
    below = (parent.folder / CARD).read_text(encoding="utf-8").strip()
    return f"""# {name}

**The model {parent.name}, moved to a station** on {now.astimezone(UTC):%Y-%m-%d} by auroramon {__version__}: its
network is that of {parent.name} (bundle {parent.digest[:12]}), its head was moved to frames that people labelled.

- Labelled frames: {len(material.rows)} ({counts}), of {nights} nights of
  {", ".join(f"{camera} ({count})" for camera, count in sorted(cameras.items()))}.
  sha256 of frames and labels: `{material.digest()}`.
- {kept} are those of {parent.name}.

## What it gained
Cross-validated on the labelled frames, `unknown` counted as wrong. Frames that a person chose because they are hard
are no sample of the station's frames: read the difference, not the height.

{figures}

## The card of {parent.name}

{below}
"""
