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
from auroramon.backends.onnx import OnnxBackend, open_session
from auroramon.borders import Borders
from auroramon.bundle import (
    Agreement,
    Golden,
    ModelBundle,
    Precision,
    Provenance,
    SecondLook,
    check_golden,
)
from auroramon.bundle_writing import BundleParts, write_bundle
from auroramon.errors import BundleError, ConfigError
from auroramon.fit import Examples, calibrate, fit_mahalanobis, fit_ridge
from auroramon.heads import Head
from auroramon.types import LABELS
from train.backbones import Embedder
from train.cards import int8_words, look_words, model_card
from train.data import plain_batches
from train.embed import Embed, embed_frames, examples
from train.evaluate import Answers, Report, answer, report
from train.export import export_float32
from train.frames import FrameSet, read_split
from train.leaks import read_judged
from train.near import measure_near, serve
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


def graphs_of(bundle: ModelBundle, run: Run, frames: Path) -> Graphs:
    """Give the graphs that a run's bundle holds.

    Raises:
        ConfigError: another run made it, or the run learnt from other frames than these.
    """
    seeds = {"data": run.data.seed, "fit": run.fit.seed}
    mine = bundle.name == run.name and bundle.preprocess == run.preprocess.spec() and bundle.provenance.seeds == seeds
    if not mine or bundle.width != run.network.width or bundle.provenance.adapted is not None:
        raise ConfigError(f"{bundle.folder} was not made by the run {run.name}: fit it, and export without --graphs")
    if bundle.provenance.data_digest != origin_of(frames).digest:
        raise ConfigError(f"{bundle.folder} has learnt from other frames than those in {frames}, of which some may be "
                          f"judged: fit the run {run.name} anew")  # fmt: skip
    int8 = None if bundle.agreement is None else bundle.graph("int8")
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


def graph_embed(path: Path, threads: int) -> Embed:
    """Give the embedding function of an exported graph."""
    session = open_session(path, threads)
    name = session.get_inputs()[0].name

    def embed(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = session.run(None, {name: inputs})[0]
        return result

    return embed


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
    quick = embed if graphs.int8 is None else graph_embed(graphs.int8, run.fit.threads)
    head = fit_head(run.head, *head_examples(run, embed, frames))
    say(f"head fitted: temperature {head.temperature:.3g}, threshold {head.threshold:.3g}")
    found = _judge_graphs(run, embed, quick, head, frames)
    figures = found.figures
    say(f"accuracy {figures.accuracy}, aurora recall {figures.aurora_recall}, false alarms {figures.false_alarms}")
    for sentence in found.words:
        say(sentence)
    golden = golden_frames(run, embed, head, read_judged(frames), found.sure)
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
        second_look=found.look,
        activation_ranges=graphs.ranges,
    ))  # fmt: skip
    _prove(bundle)
    return bundle, figures


def _second_look(run: Run, embed: Embed, quick: Embed, head: Head, frames: Path) -> SecondLook | None:
    """Give the second look: as near as the run says, and as keeps on the calibration cameras the labels of float32."""
    near = run.export.near
    if quick is not embed:
        held_out = read_split(frames, "calibrate")
        near = max(near, measure_near(head, _embed_all(run, embed, held_out), _embed_all(run, quick, held_out)))
    elif run.export.sides == 1:
        return None
    return SecondLook(near, run.export.sides, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """How the graphs do on the evaluation cameras, as they are served."""

    figures: Report  # of float32
    agreement: Agreement | None  # None where there is no int8 graph
    look: SecondLook | None
    words: tuple[str, ...]  # about int8 and the second look
    sure: NDArray[np.intp]  # frames that may be golden ones


def _judge_graphs(run: Run, embed: Embed, quick: Embed, head: Head, frames: Path) -> _Found:
    """Let both graphs judge the evaluation cameras; `quick` is `embed` where there is no int8 graph."""
    spec, borders, look = run.preprocess.spec(), Borders(head), _second_look(run, embed, quick, head, frames)
    evaluation, origin = read_judged(frames), origin_of(frames)
    units, names = units_of(evaluation, origin.unit)
    exact = serve(embed, embed, head, look, evaluation, spec)
    rounded = exact if quick is embed else serve(quick, embed, head, look, evaluation, spec)
    answers = answer(head, exact.served, evaluation.targets, units)
    known = answers.targets < len(LABELS)
    same = borders.said(rounded.alone) == borders.said(exact.alone)
    agreement, words = None, ["There is no int8 graph."]
    if quick is not embed:
        kept = borders.said(rounded.served[known]) == borders.said(exact.served[known])
        on = origin.split[0].lower() + origin.split[1:]
        agreement = Agreement(labels=float(kept.mean()), frames=int(known.sum()), on=on)
        words = [int8_words(agreement, float(same[known].mean()))]
    if look is not None:
        look = replace(look, twice=float(rounded.twice[known].mean()))
        words.append(look_words(look, report(answer(head, exact.alone, answers.targets, units), names, origin.split)))
    # What is looked at again would prove nothing of the graph that looks first.
    once = ~rounded.twice & ~exact.twice
    close = same & once & (np.sum(rounded.alone * exact.alone, axis=1) > CLOSE)
    figures = report(answers, names, origin.split)
    return _Found(figures, agreement, look, tuple(words), _sure(answers, close, run.export.golden))


def _prove(bundle: ModelBundle) -> None:
    """Check the golden frames on both graphs; a bundle that does not repeat them is removed."""
    precisions: tuple[Precision, ...] = ("float32",) if bundle.agreement is None else ("float32", "int8")
    try:
        for precision in precisions:
            check_golden(bundle, OnnxBackend(bundle, precision, 1))
    except BundleError:
        shutil.rmtree(bundle.folder)
        raise


def golden_frames(run: Run, embed: Embed, head: Head, frames: FrameSet, numbers: NDArray[np.intp]) -> Golden:
    """Give these frames as golden ones: inputs in float16, and what the graph gives for exactly these."""
    (inputs,) = plain_batches(frames, numbers, run.preprocess.spec(), len(numbers))
    exact = inputs.astype(np.float16).astype(np.float32)
    embeddings = embed(exact)
    return Golden(exact, embeddings, head.judge(embeddings).scores)


def _sure(answers: Answers, close: NDArray[np.bool_], each: int) -> NDArray[np.intp]:
    """Give frames of each class that were labelled rightly, surely and alike by both graphs, spread over cameras."""
    chosen = []
    for k in range(len(LABELS)):
        right = np.flatnonzero((answers.targets == k) & (answers.said == k) & close)
        if len(right) == 0:
            continue  # a class that the model never gets right has no golden frame
        sure = right[answers.confidence[right] >= np.median(answers.confidence[right])]
        chosen.append(sure[np.linspace(0, len(sure) - 1, min(each, len(sure))).round().astype(np.intp)])
    if not chosen:
        raise BundleError("the model labels no frame of the evaluation cameras rightly: no bundle is written")
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
    )
