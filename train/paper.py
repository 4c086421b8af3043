"""The models of Endo & Matsumoto 2022 (Sensors 22, 6666), trained again fold by fold, and their table beside ours."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auroramon.errors import ConfigError
from auroramon.fit import Examples, fit_mahalanobis, fit_ridge
from auroramon.types import LABELS
from train.before import check_before_fit
from train.divided import frames_of_manifest
from train.embed import Embed, embed_frames, torch_embed
from train.features import feature_recipe, file_embed
from train.frames import FrameSet, read_split
from train.leaks import Leaks, count_leaks, read_judged
from train.loop import fit, seconds_trained
from train.origin import origin_of
from train.record import write_record
from train.runfile import Run, read_run
from train.trial import Bench, units

PaperHead = Literal["softmax", "mahalanobis", "ridge"]
PaperSplit = Literal["paper-blocks", "paper-random"]
INCEPTION_ALPHA = 0.03
"""Ridge parameter of model 1 (Clausen & Nickisch 2018, section 5)."""


@dataclass(frozen=True, slots=True)
class PaperModel:
    """One line of the paper's table of results."""

    number: int
    details: str
    run: str  # name of the run file; empty for model 1, whose features come from a file
    head: PaperHead
    printed: tuple[float, float, float, float]  # accuracy by fold; printed averages of 8 to 11 are medians

    @property
    def mean(self) -> float:
        """The mean of its folds; each is a number of right answers among 600, printed with five digits."""
        return sum(round(600 * accuracy) for accuracy in self.printed) / 2400


MODELS: tuple[PaperModel, ...] = (
    PaperModel(1, "Inception-v4, ridge", "", "ridge", (0.85000, 0.86833, 0.85500, 0.85833)),
    PaperModel(2, "cross entropy, ResNet18", "paper_cross_entropy_resnet18", "softmax",
               (0.84667, 0.87333, 0.88500, 0.89333)),
    PaperModel(3, "cross entropy, ResNet50 (printed: ResNet18)", "paper_cross_entropy_resnet50", "softmax",
               (0.88833, 0.91167, 0.85333, 0.86000)),
    PaperModel(4, "triplet, ResNet18, Mahalanobis", "paper_triplet_resnet18", "mahalanobis",
               (0.95333, 0.96000, 0.95500, 0.96500)),
    PaperModel(5, "triplet, ResNet18, ridge", "paper_triplet_resnet18", "ridge", (0.95500, 0.95333, 0.95667, 0.95000)),
    PaperModel(6, "triplet, ResNet50, Mahalanobis", "paper_triplet_resnet50", "mahalanobis",
               (0.94500, 0.94833, 0.94500, 0.93000)),
    PaperModel(7, "triplet, ResNet50, ridge", "paper_triplet_resnet50", "ridge", (0.96167, 0.95000, 0.95000, 0.94500)),
    PaperModel(8, "ArcFace, ResNet18, Mahalanobis", "paper_arcface_resnet18", "mahalanobis",
               (0.93333, 0.95000, 0.95500, 0.95667)),
    PaperModel(9, "ArcFace, ResNet18, ridge", "paper_arcface_resnet18", "ridge", (0.95167, 0.95667, 0.95500, 0.96500)),
    PaperModel(10, "ArcFace, ResNet50, Mahalanobis", "paper_arcface_resnet50", "mahalanobis",
               (0.94167, 0.95333, 0.95667, 0.95167)),
    PaperModel(11, "ArcFace, ResNet50, ridge", "paper_arcface_resnet50", "ridge", (0.94667, 0.94167, 0.94500, 0.95833)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reduced:
    """What is made smaller than in the paper; None: nothing."""

    size: int | None = None  # pixels of the input
    epochs: int | None = None

    def applied(self, run: Run) -> Run:
        """Give a run of this size, under a name of its own."""
        if self.size is None and self.epochs is None:
            return run
        size, epochs = self.size or run.preprocess.size, self.epochs or run.fit.epochs
        return run.model_copy(update={
            "name": f"{run.name}-{size}px-{epochs}",
            "preprocess": run.preprocess.model_copy(update={"size": size}),
            "fit": run.fit.model_copy(update={"epochs": epochs}),
        })  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class FoldResult:
    """One model on one fold."""

    model: PaperModel
    split: PaperSplit
    fold: int  # from 0
    right: NDArray[np.bool_]  # (N,) judged frames
    units: NDArray[np.intp]  # (N,) what belongs together
    leaks: Leaks
    seconds: float  # of training, shared by the heads of a network


def chosen_models(numbers: Sequence[int], inception: Path | None) -> list[PaperModel]:
    """Give the models of these numbers.

    Raises:
        ConfigError: there is no such model, or model 1 is asked for without its weights.
    """
    known = {model.number: model for model in MODELS}
    missing = [number for number in numbers if number not in known]
    if missing:
        raise ConfigError(f"the paper has the models 1 to {len(MODELS)}: there is no {missing[0]}")
    if 1 in numbers and inception is None:
        raise ConfigError("model 1 needs the features of Inception-v4: give an ONNX file by --inception")
    return [known[number] for number in sorted(set(numbers))]


@dataclass(frozen=True, slots=True)
class Recipes:
    """Where what the models are made of lies."""

    runs: Path  # folder of the run files
    manifest: Path  # absolute
    reduced: Reduced
    inception: Path | None  # ONNX file of model 1's features

    def of(self, name: str) -> Run:
        """Give the run of a network, made smaller where that is asked for."""
        return self.reduced.applied(read_run(self.runs / f"{name}.toml"))

    def fold(self, run: Run, split: PaperSplit, fold: int) -> Run:
        """Give a run on one fold, under a name of its own."""
        data = run.listed.model_copy(update={"manifest": self.manifest, "split": split, "part": fold})
        return run.model_copy(update={"name": f"{run.name}-{split}-{fold}", "data": data})


def run_paper(
    bench: Bench, recipes: Recipes, models: Sequence[PaperModel], split: PaperSplit, folds: int
) -> Iterator[FoldResult]:
    """Train and judge fold by fold, by whole blocks or at random; models that differ in their head share a network."""
    for fold in range(folds):
        for model in models:
            if not model.run and recipes.inception is not None:
                yield _external(bench, recipes, recipes.inception, model, split, fold)
        for name in dict.fromkeys(model.run for model in models if model.run):
            run = recipes.fold(recipes.of(name), split, fold)
            yield from _trained(bench, run, [model for model in models if model.run == name], split, fold)


def _trained(
    bench: Bench, run: Run, models: Sequence[PaperModel], split: PaperSplit, fold: int
) -> Iterator[FoldResult]:
    folder = frames_of_manifest(bench.work, run, bench.read)
    learnt, judged = read_split(folder, "train"), read_judged(folder)
    check_before_fit(bench.work, run, folder)
    write_record(bench.work / run.name, run, origin_of(folder), bench.device)
    net = fit(bench.work / run.name, run, learnt, bench.device, lambda epoch: bench.said(run, epoch), bench.step)
    seconds, leaks = seconds_trained(bench.work / run.name), count_leaks(folder)
    embedded = _Embedded.of(run, torch_embed(net, bench.device), learnt, judged)
    for model in models:
        yield FoldResult(model, split, fold, embedded.right(model.head, run), units(judged), leaks, seconds)


def _external(
    bench: Bench, recipes: Recipes, file: Path, model: PaperModel, split: PaperSplit, fold: int
) -> FoldResult:
    """Judge model 1: features of a file, a ridge classifier; nothing is trained but that."""
    like = recipes.of(MODELS[3].run)
    head = like.head.model_copy(update={"alpha": INCEPTION_ALPHA})
    run = recipes.fold(like.model_copy(update={"preprocess": feature_recipe(file), "head": head}), split, fold)
    folder = frames_of_manifest(bench.work, run, bench.read)
    judged, begun = read_judged(folder), time.perf_counter()
    embedded = _Embedded.of(run, file_embed(file, run.fit.threads), read_split(folder, "train"), judged)
    right = embedded.right(model.head, run)
    seconds = time.perf_counter() - begun
    return FoldResult(model, split, fold, right, units(judged), count_leaks(folder), seconds)


@dataclass(frozen=True, slots=True, eq=False)
class _Embedded:
    """The embeddings that a head is fitted on, and those that it is judged by."""

    learnt: Examples
    judged: Examples

    @classmethod
    def of(cls, run: Run, embed: Embed, learnt: FrameSet, judged: FrameSet) -> _Embedded:
        spec = run.preprocess.spec()
        vectors = [embed_frames(embed, frames, np.arange(len(frames)), spec) for frames in (learnt, judged)]
        return cls(Examples(vectors[0], learnt.targets, LABELS), Examples(vectors[1], judged.targets, LABELS))

    def right(self, kind: PaperHead, run: Run) -> NDArray[np.bool_]:
        """Say which judged frames a head gets right; `softmax` is the network's own last layer."""
        if kind == "softmax":
            scores: NDArray[np.floating[Any]] = self.judged.embeddings
        elif kind == "ridge":
            scores = fit_ridge(self.learnt, run.head.alpha).judge(self.judged.embeddings).scores
        else:
            scores = fit_mahalanobis(self.learnt, run.head.covariance).judge(self.judged.embeddings).scores
        found: NDArray[np.bool_] = scores.argmax(axis=1) == self.judged.targets
        return found
