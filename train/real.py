"""Scores a model on real frames: only to report it, never to choose or to tune one."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auroramon.backends.second_look import open_on_processor
from auroramon.bundle import Precision, load_bundle
from auroramon.cameras import Cameras
from auroramon.labeller import Labeller
from auroramon.types import AURORA_LABELS, FileStat


@dataclass(frozen=True, slots=True)
class Scored:
    """One real file: its frames share one accepted answer."""

    file: str
    camera: str
    accepted: frozenset[str]
    said: tuple[str, ...]  # label of each frame; empty where the file was refused
    reason: str  # why it was refused

    @property
    def part_right(self) -> float:
        """Part of its frames that got an accepted label; a refused file is right where `unknown` is accepted."""
        if not self.said:
            return float("unknown" in self.accepted)
        return float(np.mean([label in self.accepted for label in self.said]))


def score_real(bundle: Path, precision: Precision, folder: Path) -> list[Scored]:
    """Label every file of a folder with MANIFEST.csv (`file`, `accept`, `camera`), as serving would."""
    model = load_bundle(bundle)
    labeller = Labeller(model, open_on_processor(model, precision, threads=2), Cameras(()), batch=32)
    with (folder / "MANIFEST.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["accept"]]
    return [_score(labeller, folder, row) for row in rows]


def _score(labeller: Labeller, folder: Path, row: dict[str, str]) -> Scored:
    path = folder / row["file"]
    stat = path.stat()
    (outcome,) = labeller([FileStat(str(path), stat.st_size, stat.st_mtime_ns)])
    said = tuple(record.classification.label for record in outcome.records)
    return Scored(row["file"], row["camera"], frozenset(row["accept"].split("|")), said, outcome.reason)


def summary(scored: list[Scored]) -> str:
    """Give the figures by camera and in all as Markdown: a camera counts once, however many frames it has."""
    cameras = sorted({s.camera for s in scored})
    lines = ["| camera | files | right | said |", "|---|---|---|---|"]
    parts = []
    for camera in cameras:
        own = [s for s in scored if s.camera == camera]
        parts.append(float(np.mean([s.part_right for s in own])))
        words = "; ".join(f"{s.file}: {_words(s)} ({'|'.join(sorted(s.accepted))})" for s in own)
        lines.append(f"| {camera} | {len(own)} | {100 * parts[-1]:.0f} % | {words} |")
    with_aurora = [s for s in scored if s.accepted <= AURORA_LABELS and s.said]
    without = [s for s in scored if not s.accepted & AURORA_LABELS and s.said]
    recall = np.mean([np.mean([label in AURORA_LABELS for label in s.said]) for s in with_aurora])
    alarms = np.mean([np.mean([label in AURORA_LABELS for label in s.said]) for s in without])
    right = np.mean([s.part_right for s in scored])
    lines.append(
        f"\nMean over {len(cameras)} cameras {100 * np.mean(parts):.1f} %, "
        f"over {len(scored)} files {100 * right:.1f} %; "
        f"aurora recall {100 * recall:.1f} % of {len(with_aurora)} files, "
        f"false alarms {100 * alarms:.1f} % of {len(without)} files."
    )
    return "\n".join(lines) + "\n"


def agreement(one: list[Scored], other: list[Scored]) -> str:
    """Say how often two graphs gave a frame the same label."""
    pairs = [pair for a, b in zip(one, other, strict=True) for pair in zip(a.said, b.said, strict=True)]
    same = sum(a == b for a, b in pairs)
    return f"Both give the same label to {same} of {len(pairs)} frames ({100 * same / max(len(pairs), 1):.1f} %).\n"


def _words(scored: Scored) -> str:
    if not scored.said:
        return "refused"
    return ", ".join(f"{label} x{scored.said.count(label)}" for label in dict.fromkeys(scored.said))
