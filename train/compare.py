"""Several runs at an equal budget, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from auroramon.errors import ConfigError
from train.backbones import build_embedder
from train.oath import SIMULATED
from train.runfile import Run
from train.trial import Trial, best_class, figures, pool


def same_budget(runs: Sequence[Run]) -> None:
    """Refuse runs that differ in what a training costs or reads: epochs, batch, size of the inputs, frames.

    Raises:
        ConfigError: two runs differ; they are named.
    """

    def budget(run: Run) -> tuple[object, ...]:
        return run.listed, run.preprocess, run.fit.last, run.fit.batch, run.fit.small

    for run in runs[1:]:
        if budget(run) != budget(runs[0]):
            raise ConfigError(
                f"{runs[0].name} and {run.name} cannot be compared: frames, split, preprocessing, epochs, batch and "
                f"small must be alike"
            )
    names = [run.name for run in runs]
    if len(set(names)) != len(names):
        raise ConfigError("two of the runs have one name: each needs its own, or one would go on where the other ended")


def compare_table(trials: Sequence[Sequence[Trial]], simulated: bool) -> str:
    """Give a Markdown table with a line for each run; the trials of a run are its parts, pooled."""
    first = trials[0][0]
    run, origin = first.run, first.origin
    judged = sum(len(trial.answers.targets) for trial in trials[0])
    held = (
        f"{origin.split.partition(', part')[0]}, {len(trials[0])} of {run.listed.parts} parts, {judged} frames judged"
    )
    budget = f"{run.preprocess.size} x {run.preprocess.size} pixels, {run.fit.last} epochs, batch {run.fit.batch}"
    columns = ("run", "loss", "network", "million weights", "head", "accuracy of the best class", "accuracy",
               "frames/s in training", "seconds")  # fmt: skip
    lines = [
        f"# {f'{SIMULATED}: runs' if simulated else 'Runs'} at an equal budget",
        "",
        f"{held}{'' if origin.apart else ' (leaks)'}; {budget}. Intervals: 95 %, bootstrap over {origin.unit}s.",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ]
    for own in trials:
        run, answers = own[0].run, pool([trial.answers for trial in own])
        net = build_embedder(run.network.backbone, len(run.preprocess.channels), run.network.width)
        weights = sum(p.numel() for p in net.parameters()) / 1e6
        seconds = sum(trial.seconds for trial in own)
        looks = sum(trial.trained for trial in own) * run.fit.last
        lines.append(
            f"| {run.name} | {run.loss.kind}{', last layer only' if run.network.frozen else ''} "
            f"| {run.network.backbone} | {weights:.2f} | {run.head.kind} | {best_class(answers)} "
            f"| {figures(answers, origin.unit, '').accuracy} | {looks / max(seconds, 1e-9):.0f} | {seconds:.0f} |"
        )
    return "\n".join(lines) + "\n"
