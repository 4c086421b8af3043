"""Whether an engine may label: compared on this card with the float32 graph on the processor, or refused with figures.

Builds of an engine are not repeatable, libraries and drivers differ, and a card may be broken: so every engine is
tried once on the card that it will run on, before its first label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from auroramon.backends.manifest import Figures, Trial
from auroramon.backends.runtime import LIVE, MOST, Answer, Card, Engine, Progress, no_progress
from auroramon.bundle import ModelBundle
from auroramon.heads import Head, MahalanobisHead
from auroramon.ports import Backend
from auroramon.preprocess import PreprocessSpec, extract_sky, to_input
from auroramon.types import LABELS

FRAMES = 500  # simulated, seen by CAMERAS cameras
CAMERAS = 10
LEAST_SIZE = 64  # pixels of a simulated frame: in a smaller one a faint arc cannot be seen
SEED = 20261123
LABELS_ALIKE = 0.995  # part of the simulated frames
SCORES_ALIKE = 1e-2  # of a golden frame, and between the engine's head and NumPy


@dataclass(frozen=True, slots=True)
class Demand:
    """What an engine of a precision must reach."""

    cosine: float  # least, between its embedding of a simulated frame and that of the float32 graph
    scores: bool  # whether the scores of the golden frames are compared, not only their labels


DEMANDS = {"float32": Demand(0.999, True), "fp16": Demand(0.999, True), "int8": Demand(0.99, False)}


def try_engine(
    engine: Engine,
    card: Card,
    bundle: ModelBundle,
    precision: str,
    reference: Backend,
    frames: int = FRAMES,
    progress: Progress = no_progress,
) -> Trial:
    """Let an engine label the golden frames and the simulated ones, and say how it did.

    Args:
        engine: on the card.
        card: this one.
        bundle: the model that it was built from.
        precision: of the engine.
        reference: the float32 graph on the processor.
        frames: number of simulated ones.
        progress: told how many frames are compared.

    Raises:
        CardLostError: the card fails.
    """
    found = compare(engine, bundle, reference, frames, progress)
    refusal = judge(found, DEMANDS[precision])
    return Trial(card.name, card.driver, datetime.now(UTC).isoformat(timespec="seconds"), refusal, found)


def compare(engine: Engine, bundle: ModelBundle, reference: Backend, frames: int, progress: Progress) -> Figures:
    """Work out the figures of an engine."""
    head, golden = bundle.head, bundle.golden
    said = _answer(engine, golden.inputs)
    scores = head.judge(said.embedding).scores
    same, cosine, apart = 0, 1.0, _scores_apart(head, said)
    done = 0
    for inputs in simulated_inputs(bundle.preprocess, frames):
        said = _answer(engine, inputs)
        wanted = reference.embed(inputs)
        same += sum(a.label == b.label for a, b in zip(head.predict(said.embedding), head.predict(wanted), strict=True))
        cosine = min(cosine, _least(np.sum(said.embedding * wanted, axis=1)))
        apart = max(apart, _scores_apart(head, said))
        done += len(inputs)
        progress("comparing with the float32 graph on simulated frames", done / frames)
    return Figures(
        golden=len(golden.inputs),
        golden_labels=int((scores.argmax(axis=1) == golden.scores.argmax(axis=1)).sum()),
        golden_scores=_largest(scores - golden.scores),
        trial=done,
        trial_labels=same / done,
        cosine=cosine,
        head=apart,
    )


def judge(found: Figures, demand: Demand) -> str:
    """Say why an engine with these figures is refused, or ""."""
    wrong = []
    if found.golden_labels < found.golden:
        wrong.append(f"{found.golden - found.golden_labels} of {found.golden} golden frames get another label")
    if demand.scores and not found.golden_scores <= SCORES_ALIKE:
        wrong.append(f"a score of a golden frame differs by {found.golden_scores:.2g} (at most {SCORES_ALIKE:g})")
    if not found.trial_labels >= LABELS_ALIKE:
        wrong.append(f"{found.trial_labels:.2%} of {found.trial} simulated frames get the same label "
                     f"(at least {LABELS_ALIKE:.1%})")  # fmt: skip
    if not found.cosine >= demand.cosine:
        wrong.append(f"the least cosine of an embedding is {found.cosine:.4f} (at least {demand.cosine:g})")
    if not found.head <= SCORES_ALIKE:
        wrong.append(f"its head differs from NumPy's by {found.head:.2g} in a score (at most {SCORES_ALIKE:g})")
    return "; ".join(wrong)


def simulated_inputs(spec: PreprocessSpec, frames: int) -> Iterator[NDArray[np.float32]]:
    """Give (N,C,S,S) inputs of simulated frames: batches of the largest profile, odd ones, and frames alone."""
    held: list[NDArray[np.float32]] = []
    sizes = iter((LIVE, 7, LIVE, MOST - 1))  # odd numbers of frames, so that padding mistakes show
    size = next(sizes)
    for number in range(frames):
        held.append(_simulated(number, spec))
        if len(held) == size or number == frames - 1:
            yield np.stack(held)
            held, size = [], next(sizes, MOST)


def _simulated(number: int, spec: PreprocessSpec) -> NDArray[np.float32]:
    from auroramon.sim.camera import random_camera  # a daemon that only labels needs no simulated sky
    from auroramon.sim.scene import draw

    camera = random_camera(np.random.default_rng((SEED, number % CAMERAS)), f"trial-{number % CAMERAS}")
    size = max(spec.size, LEAST_SIZE)
    frame = draw(np.random.default_rng((SEED, CAMERAS, number)), LABELS[number % len(LABELS)], camera, size)
    return to_input(extract_sky(frame.pixels, 1.0, frame.disc, spec), spec)


def _answer(engine: Engine, inputs: NDArray[np.float32]) -> Answer:
    return engine.start(inputs)()


def _scores_apart(head: Head, said: Answer) -> float:
    """Give the largest difference of a score between the engine's head and NumPy's, on the engine's embeddings."""
    logits = said.head.astype(np.float64) / (-2.0 if isinstance(head, MahalanobisHead) else 1.0)
    power = np.exp((logits - logits.max(axis=1, keepdims=True)) / head.temperature)
    return _largest(power / power.sum(axis=1, keepdims=True) - head.judge(said.embedding).scores)


def _largest(differences: NDArray[np.float64]) -> float:
    found = float(np.abs(differences).max())
    return found if np.isfinite(found) else 1e9  # no number at all is as wrong as can be, and JSON knows no NaN


def _least(cosines: NDArray[np.float32]) -> float:
    found = float(cosines.min())
    return found if np.isfinite(found) else -1.0


Reference = Callable[[], Backend]
"""Opens the float32 graph on the processor, where it is needed."""
