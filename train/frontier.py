"""Accuracy against speed of one trained network at several input sizes: `python -m train.frontier RUN [--size S ...]`.

A network of convolutions takes any size. The head is fitted anew at each, on its own cameras; the figures come from the
calibration cameras, so that the evaluation cameras stay out of every choice.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from auroramon.heads import Head
from auroramon.types import AURORA_LABELS, LABELS
from train.backbones import Embedder
from train.commands.options import RUN, WORK
from train.commands.progress import tell
from train.data import plain_batches
from train.embed import Embed, graph_embed
from train.frames import read_split
from train.loop import load_embedder
from train.model import export_graphs, fit_head, head_examples
from train.runfile import Run, read_run
from train.simulate import frames_of

BATCH, FRAMES, ROUNDS = 8, 64, 3
"""Frames a call, frames timed, and how often: the best counts."""


def frontier(run: Run, net: Embedder, frames: Path, sizes: Sequence[int]) -> str:
    """Give a table of the sizes: accuracy and aurora recall of both graphs, and frames per second on one thread.

    Each graph runs alone: int8 without the second look that it gets from float32 where it is served.
    """
    lines = ["| input | graph | accuracy | aurora recall | false alarms | frames/s |", "|---|---|---|---|---|---|"]
    for size in sizes:
        sized = run.model_copy(update={"preprocess": run.preprocess.model_copy(update={"size": size})})
        with tempfile.TemporaryDirectory() as scratch:
            graphs = export_graphs(net, sized, frames, Path(scratch), tell)
            head = fit_head(run.head, *head_examples(sized, graph_embed(graphs.float32, 1), frames))
            for name, path in (("float32", graphs.float32), ("int8", graphs.int8)):
                if path is not None:
                    lines.append(f"| {size} | {name} | {_row(sized, graph_embed(path, 1), head, frames)} |")
    return "\n".join(lines)


def _row(run: Run, embed: Embed, head: Head, frames: Path) -> str:
    _, held_out = head_examples(run, embed, frames)
    said = head.judge(held_out.embeddings).scores.argmax(axis=1)
    aurora = np.array([label in AURORA_LABELS for label in LABELS])
    with_it = aurora[held_out.targets]
    figures = (said == held_out.targets), aurora[said][with_it], aurora[said][~with_it]
    split = read_split(frames, "calibrate")
    (inputs,) = plain_batches(split, np.arange(min(FRAMES, len(split))), run.preprocess.spec(), FRAMES)
    return " | ".join([*(f"{100 * part.mean():.1f} %" for part in figures), f"{_speed(embed, inputs):.0f}"])


def _speed(embed: Embed, inputs: NDArray[np.float32]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for start in range(0, len(inputs), BATCH):
            embed(inputs[start : start + BATCH])
        best = min(best, time.perf_counter() - begun)
    return len(inputs) / best


@click.command()
@RUN
@WORK
@click.option("--size", "sizes", type=click.IntRange(32, 512), multiple=True, default=(64, 96, 112, 128, 160))
def main(run_file: Path, work: Path, sizes: tuple[int, ...]) -> None:
    """Compare a trained run at several input sizes."""
    run = read_run(run_file)
    frames = frames_of(work, run)
    click.echo(frontier(run, load_embedder(work / run.name, run, read_split(frames, "train")), frames, sizes))


if __name__ == "__main__":
    main()
