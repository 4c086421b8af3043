"""Figures on a copy of OATH v1.1: those that do not leak first, then those of the published random splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from auroramon.errors import ConfigError
from train.divided import frames_of_manifest
from train.evaluate import Figure, Report
from train.runfile import ManifestTable, Run
from train.splits import SplitKind
from train.trial import Bench, Trial, best_class, figures, make_trial, pool

SIMULATED = "Simulated skies, not comparable with any figure on OATH"
EXPLAINED = (
    "Intervals: 95 %, bootstrap over blocks. `unknown` counts as wrong; the accuracy of the best class ignores the "
    "threshold, as published figures do."
)
PUBLISHED = (
    "For orientation, as published, each on a random split of its own, on which neighbours of learnt frames were "
    "judged: Clausen & Nickisch 2018 82 %, Endo & Matsumoto 2022 95.8 %."
)


@dataclass(frozen=True, slots=True)
class SplitFigures:
    """The figures of one way to divide the frames."""

    words: str
    apart: bool  # no neighbour of a learnt frame was judged
    report: Report
    best_class: Figure  # accuracy whatever the distance
    neighbours: int  # judged frames that are neighbours or copies of learnt ones
    trained: int  # frames, on average
    seconds: float  # of training, in all


def divided_run(run: Run, **change: object) -> Run:
    """Give a run with another split, under a name of its own.

    Raises:
        ConfigError: it names no manifest.
    """
    data = ManifestTable.model_validate({**run.listed.model_dump(), **change})
    return run.model_copy(update={"name": f"{run.name}-{data.split}-{data.part}", "data": data})


def oath_trials(bench: Bench, run: Run, folds: int, permutations: int) -> tuple[list[Trial], list[Trial]]:
    """Train on everything but each of some parts made of whole blocks, and on some published permutations."""
    if not 1 <= folds <= run.listed.parts:
        raise ConfigError(f"the run {run.name} makes {run.listed.parts} parts of blocks: folds is 1 to that number")
    ways: list[tuple[SplitKind, int]] = [("blocks", folds), ("published", permutations)]
    runs = [[divided_run(run, split=split, part=part) for part in range(count)] for split, count in ways]
    for one in chain(*runs):  # what cannot be divided shall be known before hours of training
        frames_of_manifest(bench.work, one, bench.read)
    blocks, random = ([make_trial(bench, one) for one in several] for several in runs)
    return blocks, random


def split_figures(trials: Sequence[Trial], words: str) -> SplitFigures:
    """Give the pooled figures of trials that were divided in one way."""
    answers = pool([trial.answers for trial in trials])
    return SplitFigures(
        words=words,
        apart=all(trial.origin.apart for trial in trials),
        report=figures(answers, trials[0].origin.unit, words),
        best_class=best_class(answers),
        neighbours=sum(trial.leaks.copies + trial.leaks.neighbours for trial in trials),
        trained=round(sum(trial.trained for trial in trials) / len(trials)),
        seconds=sum(trial.seconds for trial in trials),
    )


def oath_table(run: Run, found: Sequence[SplitFigures], simulated: bool) -> str:
    """Give the figures as Markdown; what does not leak stands first."""
    columns = ("split", "judged", "of these, neighbours of learnt frames", "accuracy of the best class", "accuracy",
               "balanced accuracy", "aurora recall", "false alarms", "trained on", "seconds")  # fmt: skip
    what = f"{run.network.backbone}, {run.preprocess.size} x {run.preprocess.size} pixels, {run.loss.kind} loss"
    lines = [
        f"# {SIMULATED if simulated else 'OATH v1.1'}: {run.name}",
        "",
        f"{what}, {run.fit.epochs} epochs, head {run.head.kind}. {EXPLAINED}",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ]
    for item in sorted(found, key=lambda item: not item.apart):
        r = item.report
        lines.append(
            f"| {item.words}{'' if item.apart else ' (leaks)'} | {r.frames} | {item.neighbours} "
            f"| {item.best_class} | {r.accuracy} | {r.balanced_accuracy} | {r.aurora_recall} "
            f"| {r.false_alarms} | {item.trained} | {item.seconds:.0f} |"
        )
    if not simulated:
        lines += ["", PUBLISHED]
    return "\n".join(lines) + "\n"
