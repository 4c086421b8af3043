"""From a trained network to a bundle: export, head, int8, golden frames, figures, card."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import auroramon
from auroramon.backends.onnx import OnnxBackend
from auroramon.borders import Borders
from auroramon.bundle import (
    Agreement,
    Golden,
    ModelBundle,
    Precision,
    Provenance,
    Sides,
    check_golden,
)
from auroramon.bundle_writing import BundleParts, write_bundle
from auroramon.errors import BundleError, ConfigError
from auroramon.fit import Examples, calibrate, fit_mahalanobis, fit_ridge
from auroramon.heads import Head
from auroramon.types import LABELS
from train.backbones import Embedder
from train.cards import int8_words, model_card, sides_words
from train.data import plain_batches
from train.embed import Embed, embed_frames, examples, graph_embed, look_at_all
from train.evaluate import Answers, Report, answer, report
from train.export import export_float32
from train.frames import FrameSet, read_split
from train.leaks import read_judged
from train.loop import learning_digest
from train.near import measure_near, served
from train.origin import origin_of, units_of
from train.quantise import calibrate_ranges, plain_ranges, quantise
from train.ranges import best, measure_methods
from train.runfile import HeadTable, Run

MOST = 12000
"""Training frames whose embeddings a head is fitted on, where a run asks for the training cameras."""

CLOSE = 0.995
"""Cosine between the embeddings of both graphs from which a frame may be a golden one: they are there to find machines
that compute something else, so they must not lie at the border of what int8 may do."""


@dataclass(frozen=True, slots=True)
class Graphs:
    """The exported graphs of a network."""

    float32: Path
    int8: Path | None
    ranges: dict[str, tuple[float, float]]


def export_graphs(net: Embedder, run: Run, frames: Path, folder: Path, say: Callable[[str], None]) -> Graphs:
    """Write the graphs of a network; the float32 one is refused where it differs from torch."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = run.preprocess.spec()
    training = read_split(frames, "train")
    some = np.linspace(0, len(training) - 1, run.export.int8_frames).round().astype(np.intp)
    float32 = folder / "embedder.onnx"
    export_float32(net, next(iter(plain_batches(training, some[:: len(some) // 8 or 1], spec, 8))), float32)
    if run.export.int8 == "none":
        return Graphs(float32, None, {})

    def prepared() -> Iterable[NDArray[np.float32]]:
        return plain_batches(training, some, spec, 32)

    if run.export.int8 == "measured":
        ranges = _measured(run, float32, frames, prepared, say)
    else:
        ranges = calibrate_ranges(float32, prepared(), run.export.int8)
    int8 = folder / "embedder.int8.onnx"
    quantise(float32, ranges, int8)
    return Graphs(float32, int8, plain_ranges(ranges))


def graphs_made(bundle: ModelBundle, run: Run, frames: Path) -> Graphs:
    """Give the graphs that a run's bundle holds.

    Raises:
        ConfigError: another run made it, or the run learnt from other frames than these.
    """
    seeds = {"data": run.data.seed, "fit": run.fit.seed}
    mine = bundle.name == run.name and bundle.preprocess == run.preprocess.spec() and bundle.provenance.seeds == seeds
    if not mine or bundle.width != run.network.width or bundle.provenance.adapted is not None:
        raise ConfigError(f"{bundle.folder} was not made by the run {run.name}: fit it, and export without --graphs")
    if bundle.provenance.learnt not in {None, learning_digest(run)}:
        raise ConfigError(f"{bundle.folder} was trained otherwise than the run {run.name} says now: undo what was "
                          f"changed in its tables, or fit it anew and export without --graphs")  # fmt: skip
    if bundle.provenance.data_digest != origin_of(frames).digest:
        raise ConfigError(f"{bundle.folder} has learnt from other frames than those in {frames}, of which some may be "
                          f"judged: fit the run {run.name} anew")  # fmt: skip
    int8 = None if bundle.agreement is None or run.export.int8 == "none" else bundle.graph("int8")
    return Graphs(bundle.graph("float32"), int8, dict(bundle.activation_ranges))


def _measured(
    run: Run,
    graph: Path,
    frames: Path,
    prepared: Callable[[], Iterable[NDArray[np.float32]]],
    say: Callable[[str], None],
) -> Any:
    """Give the ranges that keep most labels of the calibration cameras, and say what each method keeps."""
    head = fit_head(run.head, *head_examples(run, graph_embed(graph, run.fit.threads), frames))
    held_out = read_split(frames, "calibrate")
    found = measure_methods(
        graph, prepared, head, lambda path: _embed_all(run, graph_embed(path, run.fit.threads), held_out)
    )
    for kept in found:
        say(str(kept))
    return best(found).ranges


def fit_head(table: HeadTable, known: Examples, held_out: Examples) -> Head:
    """Fit and calibrate the head that a run asks for."""
    head = fit_ridge(known, table.alpha) if table.kind == "ridge" else fit_mahalanobis(known, table.covariance)
    return calibrate(head, held_out)


def head_examples(run: Run, embed: Embed, frames: Path) -> tuple[Examples, Examples]:
    """Give the embeddings that a head is fitted on, and those that it is calibrated on."""
    spec = run.preprocess.spec()
    known = examples(embed, read_split(frames, run.head.fit_on), spec, MOST)
    return known, examples(embed, read_split(frames, "calibrate"), spec)


def judge_split(run: Run, embed: Embed, head: Head, frames: FrameSet) -> Answers:
    """Let a head judge all frames of a split, those that are no sky included."""
    return answer(head, _embed_all(run, embed, frames), frames.targets, frames.camera_numbers)


def _embed_all(run: Run, embed: Embed, frames: FrameSet) -> NDArray[np.float32]:
    return embed_frames(embed, frames, np.arange(len(frames)), run.preprocess.spec())


def build_bundle(
    run: Run, graphs: Graphs, frames: Path, to: Path, say: Callable[[str], None]
) -> tuple[ModelBundle, Report]:
    """Fit the head, compare int8 with float32, work out the figures on the evaluation cameras, and write the bundle.

    Raises:
        BundleError: the folder exists, or the golden frames are not repeated.
    """
    embed = graph_embed(graphs.float32, run.fit.threads)
    quick = None if graphs.int8 is None else graph_embed(graphs.int8, run.fit.threads)
    head = fit_head(run.head, *head_examples(run, embed, frames))
    say(f"head fitted: temperature {head.temperature:.3g}, threshold {head.threshold:.3g}")
    found = _judge_graphs(run, embed, quick, head, frames)
    figures = found.figures
    say(f"accuracy {figures.accuracy}, aurora recall {figures.aurora_recall}, false alarms {figures.false_alarms}")
    for sentence in found.words:
        say(sentence)
    golden = golden_frames(run, embed, quick, head, read_judged(frames), found.sure)
    origin = origin_of(frames)
    trained = len(read_split(frames, "train"))
    bundle = write_bundle(to, BundleParts(
        name=run.name,
        preprocess=run.preprocess.spec(),
        head=head,
        golden=golden,
        provenance=_provenance(run, frames, figures),
        float32=graphs.float32,
        card=model_card(run, figures, found.words, trained, origin),
        int8=graphs.int8,
        agreement=found.agreement,
        sides=found.sides,
        activation_ranges=graphs.ranges,
    ))  # fmt: skip
    _prove(bundle)
    return bundle, figures


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """How the graphs do on the evaluation cameras, as they are served."""

    figures: Report  # of float32
    agreement: Agreement | None  # None where there is no int8 graph
    sides: Sides | None
    words: tuple[str, ...]  # about int8 and sides
    sure: NDArray[np.intp]  # frames that may be golden ones


def _judge_graphs(run: Run, embed: Embed, quick: Embed | None, head: Head, frames: Path) -> _Found:
    """Let the float32 graph judge the evaluation cameras, and the quick int8 graph, if there is one."""
    evaluation, origin, borders = read_judged(frames), origin_of(frames), Borders(head)
    units, names = units_of(evaluation, origin.unit)
    sides = _sides(run)
    first = _embed_all(run, embed, evaluation)
    looked = look_at_all(embed, first, head, sides, evaluation, run.preprocess.spec())
    answers = answer(head, looked.embeddings, evaluation.targets, units)
    figures = report(answers, names, origin.split)
    known = answers.targets < len(LABELS)
    close, clear = np.ones(len(known), dtype=bool), ~looked.again
    agreement, words = None, ["There is no int8 graph."]
    if quick is not None:
        near = _near(run, embed, quick, head, frames)
        rounded = _embed_all(run, quick, evaluation)
        room, asked = borders.room(rounded), near + (sides.near if sides else 0.0)
        same = borders.said(rounded) == borders.said(first)
        close, clear = same & (np.sum(rounded * first, axis=1) > CLOSE), clear & (room > asked)
        found = served(head, looked.embeddings[known], rounded[known], asked)
        agreement = Agreement(
            labels=float(found.same.mean()),
            frames=int(known.sum()),
            on=origin.split[0].lower() + origin.split[1:],
            near=near,
            twice=float(found.twice.mean()),
        )
        words = [int8_words(agreement, asked, float(same[known].mean()))]
    if sides is not None:
        sides = replace(sides, part=float(looked.again[known].mean()))
        once = report(answer(head, first, answers.targets, units), names, origin.split)
        words.append(sides_words(sides, once))
    return _Found(figures, agreement, sides, tuple(words), _sure(answers, close, clear, run.export.golden))


def _sides(run: Run) -> Sides | None:
    """Give the sides that a run asks for; what part of the frames they are looked at from is not known yet."""
    export = run.export
    return None if export.sides == 1 else Sides(export.sides_near, export.sides, 0.0)


def _near(run: Run, embed: Embed, quick: Embed, head: Head, frames: Path) -> float:
    """Measure on the calibration cameras how near a border float32 must look again."""
    held_out = read_split(frames, "calibrate")
    return measure_near(head, _embed_all(run, embed, held_out), _embed_all(run, quick, held_out))


def _prove(bundle: ModelBundle) -> None:
    """Check the golden frames on both graphs; a bundle that does not repeat them is removed."""
    precisions: tuple[Precision, ...] = ("float32",) if bundle.agreement is None else ("float32", "int8")
    try:
        for precision in precisions:
            check_golden(bundle, OnnxBackend(bundle, precision, 1))
    except BundleError:
        shutil.rmtree(bundle.folder)
        raise


def golden_frames(
    run: Run, embed: Embed, quick: Embed | None, head: Head, frames: FrameSet, numbers: NDArray[np.intp]
) -> Golden:
    """Give these frames as golden ones: inputs in float16, and what the graph gives for exactly these.

    Those are left out that the int8 graph, if there is one, sees otherwise in float16.
    """
    (inputs,) = plain_batches(frames, numbers, run.preprocess.spec(), len(numbers))
    exact = inputs.astype(np.float16).astype(np.float32)
    embeddings, borders = embed(exact), Borders(head)
    if quick is not None:
        rounded = quick(exact)
        alike = (borders.said(rounded) == borders.said(embeddings)) & (np.sum(rounded * embeddings, axis=1) > CLOSE)
        kept = alike if alike.any() else np.ones(len(alike), dtype=bool)  # else the bundle is refused, with the figures
        exact, embeddings = exact[kept], embeddings[kept]
    return Golden(exact, embeddings, head.judge(embeddings).scores)


def _sure(answers: Answers, close: NDArray[np.bool_], clear: NDArray[np.bool_], each: int) -> NDArray[np.intp]:
    """Give frames of each class that were labelled rightly, surely and alike by both graphs, spread over cameras.

    Args:
        answers: of float32.
        close: (N,) both graphs see nearly the same.
        clear: (N,) far from every border: these first, for another machine rounds otherwise.
        each: frames of each class.
    """
    chosen = []
    for k in range(len(LABELS)):
        right = np.flatnonzero((answers.targets == k) & (answers.said == k) & close)
        if len(right) == 0:
            continue  # a class that the model never gets right has no golden frame
        right = right[clear[right]] if clear[right].any() else right
        sure = right[answers.confidence[right] >= np.median(answers.confidence[right])]
        chosen.append(sure[np.linspace(0, len(sure) - 1, min(each, len(sure))).round().astype(np.intp)])
    if not chosen:
        raise BundleError("the model labels no frame that it is judged by rightly, and alike by both graphs: no bundle "
                          "is written; train it longer, or set int8 = \"none\"")  # fmt: skip
    return np.concatenate(chosen)


def _provenance(run: Run, frames: Path, figures: Report) -> Provenance:
    origin = origin_of(frames)
    metrics = {
        "frames": figures.frames,
        "cameras": figures.cameras,
        "accuracy": figures.accuracy.value,
        "balanced_accuracy": figures.balanced_accuracy.value,
        "aurora_recall": figures.aurora_recall.value,
        "false_alarms": figures.false_alarms.value,
        "calibration_error": figures.calibration_error,
        "refused_known": figures.refused_known,
        "strange_auroc": figures.strange_auroc,
    }
    return Provenance(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        code_version=auroramon.__version__,
        data=origin.data + (f"; begun with the features of {run.network.start}" if run.network.start else ""),
        data_digest=origin.digest,
        seeds={"data": run.data.seed, "fit": run.fit.seed},
        metrics={name: round(float(value), 4) for name, value in metrics.items() if math.isfinite(value)},
        learnt=learning_digest(run),
    )
