"""What looking from several sides gives, by how near a border it begins.

The float32 graph judges the calibration cameras, so that the evaluation cameras stay out of the choice; temperature and
threshold come from these cameras, too. Frames that are no sky are not among them.
"""

from __future__ import annotations

import numpy as np

from auroramon.backends.sides import mean_embedding, other_sides
from auroramon.borders import Borders
from auroramon.bundle import SIDES, ModelBundle
from auroramon.types import AURORA_LABELS, LABELS, UNKNOWN
from train.data import plain_batches
from train.embed import BATCH, graph_embed
from train.frames import FrameSet

NEAR = (0.5, 1.0, 1.5, 2.0, np.inf)
"""Units of the head's distance."""


def sides_table(bundle: ModelBundle, frames: FrameSet, what: str) -> str:
    """Give a table of accuracy, aurora recall and false alarms, and of the part that is looked at from all sides.

    Args:
        bundle: its float32 graph and its head are asked; gates are not.
        frames: of a split; those without a class are left out.
        what: the frames are, in words.
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

    lines = [f"{bundle.name}, float32, without gates, on {len(known)} frames ({what}).", ""]
    lines += [
        "| near | sides | accuracy | aurora recall | false alarms | from all sides |",
        "|---|---|---|---|---|---|",
    ]
    lines.append(f"| - | 1 | {row(-np.inf, 1)} |")
    lines += [f"| {near:g} | {count} | {row(near, count)} |" for near in NEAR for count in SIDES]
    return "\n".join(lines)
