"""One training and what it gives on the frames that were held out; several of them can be pooled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from train.before import check_before_fit
from train.divided import frames_of_manifest
from train.embed import torch_embed
from train.evaluate import Answers, Figure, Report, report
from train.frames import FrameSet, read_split
from train.leaks import Leaks, count_leaks, read_judged
from train.loop import Epoch, fit, seconds_trained
from train.model import fit_head, head_examples, judge_split
from train.origin import Origin, origin_of
from train.record import write_record
from train.runfile import Run

Progress = Callable[[int, int], None]
Said = Callable[[Run, Epoch], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and on what a trial is made, and who is told."""

    work: Path
    device: str  # cpu or cuda
    read: Progress  # called while frames are read: done and total
    said: Said  # called after each epoch
    step: Progress  # called after each batch: done and total of the epoch


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A trained run, judged by its own head."""

    run: Run
    frames: Path  # folder
    origin: Origin
    answers: Answers  # its cameras are the units of the split, numbered over the whole manifest
    leaks: Leaks
    trained: int  # frames
    seconds: float  # of training


def make_trial(bench: Bench, run: Run) -> Trial:
    """Train a run on its manifest and judge it.

    Raises:
        LeakError: the split had promised to keep neighbours apart, and did not.
    """
    folder = frames_of_manifest(bench.work, run, bench.read)
    origin, learnt = origin_of(folder), read_split(folder, "train")
    check_before_fit(bench.work, run, folder)
    write_record(bench.work / run.name, run, origin, bench.device)
    net = fit(bench.work / run.name, run, learnt, bench.device, lambda epoch: bench.said(run, epoch), bench.step)
    seconds = seconds_trained(bench.work / run.name)
    embed = torch_embed(net, bench.device)
    head = fit_head(run.head, *head_examples(run, embed, folder))
    judged = read_judged(folder)
    answers = replace(judge_split(run, embed, head, judged), cameras=units(judged))
    net.to("cpu")
    return Trial(run, folder, origin, answers, count_leaks(folder), len(learnt), seconds)


def units(frames: FrameSet) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Give (N,) what belongs together: intervals draw these, not frames."""
    return np.concatenate([camera.groups for camera in frames.cameras])


def pool(parts: Sequence[Answers]) -> Answers:
    """Give the answers of several trials together: each judged frame once for each trial that judged it."""
    return Answers(
        targets=np.concatenate([p.targets for p in parts]),
        said=np.concatenate([p.said for p in parts]),
        closed=np.concatenate([p.closed for p in parts]),
        confidence=np.concatenate([p.confidence for p in parts]),
        distance=np.concatenate([p.distance for p in parts]),
        cameras=np.concatenate([p.cameras for p in parts]),
    )


def figures(answers: Answers, unit: str, words: str) -> Report:
    """Give the figures of answers whose cameras are units of a split, with intervals over these."""
    return report(answers, tuple(f"{unit} {k + 1}" for k in range(int(answers.cameras.max()) + 1)), words)


def best_class(answers: Answers) -> Figure:
    """Give the accuracy of the best class, whatever the distance: what is published elsewhere."""
    return figures(replace(answers, said=answers.closed), "unit", "").accuracy
