"""What looking from several sides gives, by how near a border it begins: `python -m train.sides RUN BUNDLE`.

The float32 graph judges the calibration cameras, so that the evaluation cameras stay out of the choice; temperature and
threshold come from these cameras, too. Frames that are no sky are not among them.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from auroramon.backends.sides import mean_embedding, other_sides
from auroramon.borders import Borders
from auroramon.bundle import SIDES, ModelBundle, load_bundle
from auroramon.types import AURORA_LABELS, LABELS, UNKNOWN
from train.commands.options import RUN, WORK
from train.commands.report import BUNDLE
from train.data import plain_batches
from train.embed import BATCH, graph_embed
from train.frames import FrameSet, read_split
from train.runfile import read_run
from train.simulate import frames_of

NEAR = (0.5, 1.0, 1.5, 2.0, np.inf)
"""Units of the head's distance."""


def sides_table(bundle: ModelBundle, frames: FrameSet) -> str:
    """Give a table of accuracy, aurora recall and false alarms, and of the part that is looked at from all sides.

    Args:
        bundle: its float32 graph and its head are asked; gates are not.
        frames: of simulated cameras; those without a class are left out.
    """
    embed, borders = graph_embed(bundle.graph("float32"), 1), Borders(bundle.head)
    known = frames.only(range(len(LABELS)))
    parts = []
    for inputs in plain_batches(frames, known, bundle.preprocess, BATCH):
        parts.append(np.stack([embed(side) for side in (inputs, *other_sides(inputs, max(SIDES)))]))
    seen = np.concatenate(parts, axis=1)
    room, targets = borders.room(seen[0]), frames.targets[known]
    aurora = np.array([label in AURORA_LABELS for label in (*LABELS, UNKNOWN)])
    with_it = aurora[targets]

    def row(near: float, count: int) -> str:
        again = room <= near
        said = borders.said(np.where(again[:, None], mean_embedding(seen[:count]), seen[0]))
        found = (said == targets).mean(), aurora[said][with_it].mean(), aurora[said][~with_it].mean(), again.mean()
        return " | ".join(f"{100 * part:.1f} %" for part in found)

    lines = ["| near | sides | accuracy | aurora recall | false alarms | from all sides |", "|---|---|---|---|---|---|"]
    lines.append(f"| - | 1 | {row(-np.inf, 1)} |")
    lines += [f"| {near:g} | {count} | {row(near, count)} |" for near in NEAR for count in SIDES]
    return "\n".join(lines)


@click.command()
@RUN
@BUNDLE
@WORK
def main(run_file: Path, bundle: Path, work: Path) -> None:
    """Compare sides on the calibration cameras of a run."""
    click.echo(sides_table(load_bundle(bundle), read_split(frames_of(work, read_run(run_file)), "calibrate")))


if __name__ == "__main__":
    main()
