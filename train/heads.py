"""Which head suits a trained network: compared on calibration cameras, never on the evaluation ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from auroramon.errors import ConfigError
from auroramon.fit import Examples
from train.backbones import Embedder
from train.embed import examples, torch_embed
from train.frames import read_split
from train.model import MOST, fit_head
from train.origin import origin_of, units_of
from train.runfile import HeadTable, Run


def compare_heads(run: Run, net: Embedder, frames: Path) -> str:
    """Give a table of all heads, each calibrated on one half of the calibration cameras and judged on the other.

    Raises:
        ConfigError: there is one camera, night or block only.
    """
    spec, embed = run.preprocess.spec(), torch_embed(net)
    calibration = read_split(frames, "calibrate")
    held_out = examples(embed, calibration, spec)
    unit = origin_of(frames).unit
    units, names = units_of(calibration, unit)
    if len(names) < 2:
        raise ConfigError(f"heads are compared on two halves of the {unit}s that calibrate, and there is only one: "
                          f"take fewer parts")  # fmt: skip
    odd = units[calibration.only(range(len(held_out.labels)))] % 2 == 1
    lines = [
        f"{len(held_out.targets)} frames of {len(names)} calibration {unit}s, two halves in turn",
        "",
        "| head | fitted on | accuracy | log loss |",
        "|---|---|---|---|",
    ]
    for table in _tables(run.head, [split for split in ("train", "heads") if len(read_split(frames, split))]):
        known = examples(embed, read_split(frames, table.fit_on), spec, MOST)
        name = table.kind if table.kind == "ridge" else f"{table.kind}, {table.covariance}"
        right, loss = [], []
        try:
            heads = [fit_head(table, known, _part(held_out, ~judged)) for judged in (odd, ~odd)]
        except ValueError as error:  # a class has too few frames, or they hardly differ
            lines.append(f"| {name} | {table.fit_on} | cannot be fitted: {error} | |")
            continue
        for judged, head in zip((odd, ~odd), heads, strict=True):
            scores = head.judge(held_out.embeddings[judged]).scores
            targets = held_out.targets[judged]
            right.append(scores.argmax(axis=1) == targets)
            loss.append(-np.log(np.maximum(scores[np.arange(len(targets)), targets], 1e-300)))
        accuracy, log_loss = np.concatenate(right).mean(), np.concatenate(loss).mean()
        lines.append(f"| {name} | {table.fit_on} | {accuracy:.4f} | {log_loss:.3f} |")
    return "\n".join(lines)


def _tables(table: HeadTable, splits: list[str]) -> Iterator[HeadTable]:
    """Give every head there is, with the run's alpha."""
    for fit_on in splits:
        for change in ({"covariance": "tied"}, {"covariance": "class"}):
            yield table.model_copy(update={"kind": "mahalanobis", "fit_on": fit_on, **change})
        yield table.model_copy(update={"kind": "ridge", "fit_on": fit_on})


def _part(known: Examples, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Examples:
    return Examples(known.embeddings[chosen], known.targets[chosen], known.labels)
