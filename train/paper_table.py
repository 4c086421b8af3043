"""The paper's table beside ours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from train.oath import SIMULATED
from train.paper import FoldResult, PaperModel, PaperSplit

ROUNDS = 1000  # of the bootstrap
WORDS: dict[PaperSplit, str] = {
    "paper-blocks": "Whole blocks of consecutive images, nothing leaks",
    "paper-random": "Drawn at random as in the paper: neighbours of learnt images are judged",
}
NOTES = """\
The paper's mean is that of its four folds: for models 8 to 11 it prints the median under that name. SD is that of the
population, as in the paper. Interval: 95 %, bootstrap over blocks of consecutive images, all folds together. Of the
paper's own accuracies n = 600 a fold, so +-1.6 points on a fold: models 4, 5 and 7 to 11 cannot be told apart. Seconds
are of training; models that differ in their head share them.
"""


def paper_table(results: Sequence[FoldResult], simulated: bool, budget: str) -> str:
    """Give one table for each way to divide, the one that does not leak first.

    Args:
        results: of some models and folds.
        simulated: whether the images are simulated: then no difference from the paper is given.
        budget: what was trained, in words.
    """
    heading = SIMULATED if simulated else "Endo & Matsumoto 2022 and ours, on OATH"
    lines = [f"# {heading}", "", budget]
    splits: tuple[PaperSplit, ...] = ("paper-blocks", "paper-random")
    for split in splits:
        own = [result for result in results if result.split == split]
        if own:
            lines += ["", *_split_table(split, own, simulated)]
    return "\n".join([*lines, "", NOTES])


def _split_table(split: PaperSplit, results: Sequence[FoldResult], simulated: bool) -> list[str]:
    folds = sorted({result.fold for result in results})
    judged = sum(result.leaks.frames for result in results if result.model is results[0].model)
    near = sum(result.leaks.copies + result.leaks.neighbours for result in results if result.model is results[0].model)
    columns = ["model", "details", *(f"fold {fold + 1}" for fold in folds), "mean", "median", "SD", "interval",
               "paper's mean", *(() if simulated else ("difference",)), "seconds"]  # fmt: skip
    lines = [
        f"## {WORDS[split]}",
        "",
        f"{judged} images judged in {len(folds)} of 4 folds, {near} of them neighbours or copies of learnt ones.",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ]
    for model in dict.fromkeys(result.model for result in results):
        lines.append(_line(model, [result for result in results if result.model is model], simulated))
    return lines


def _line(model: PaperModel, results: Sequence[FoldResult], simulated: bool) -> str:
    folds = np.array([result.right.mean() for result in sorted(results, key=lambda result: result.fold)])
    low, high = _interval(results)
    paper = model.mean
    cells = [
        str(model.number),
        model.details,
        *(f"{value:.4f}" for value in folds),
        f"{folds.mean():.4f}",
        f"{np.median(folds):.4f}",
        f"{folds.std():.4f}" if len(folds) > 1 else "-",
        f"{low:.3f}-{high:.3f}",
        f"{paper:.5f}",
        *(() if simulated else (f"{folds.mean() - paper:+.4f}",)),
        f"{sum(result.seconds for result in results):.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _interval(results: Sequence[FoldResult]) -> tuple[float, float]:
    """Give the 95 % interval of the accuracy when blocks are drawn again."""
    right: NDArray[np.float64] = np.concatenate([result.right for result in results]).astype(float)
    _, unit = np.unique(np.concatenate([result.units for result in results]), return_inverse=True)
    hits, counts = np.bincount(unit, weights=right), np.bincount(unit)
    drawn = np.random.default_rng(0).integers(len(counts), size=(ROUNDS, len(counts)))
    low, high = np.quantile(hits[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)
