"""Labels the real frames with the shipped model, and writes the sheet and the figures of docs/real_frames.md.

    python docs/real_frames.py FOLDER [--model BUNDLE]

FOLDER holds MANIFEST.csv with the accepted labels, camera, credit and licence of each file. Nothing is chosen by these
figures: they are printed after a model was made, and stand in the page whatever they are.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from auroramon.assemble import make_labeller
from auroramon.config import ModelSettings, Settings
from auroramon.disc import find_disc
from auroramon.readers import read_frames
from auroramon.types import AURORA_LABELS, FileStat, RawFrame

DOCS = Path(__file__).parent
SIDE, CAPTION, COLUMNS, FINE = 128, 38, 9, 3
BACK, GREY, WHITE, GOOD, BAD = (24, 24, 28), (150, 150, 158), (235, 235, 235), (96, 220, 120), (255, 96, 80)
NO_PICTURE = {"oath/00751.png"}  # its copy has no licence file, so it is counted and not shown


@dataclass(frozen=True, slots=True)
class Judged:
    """One real file, and what the model made of it."""

    file: str
    camera: str
    credit: str
    licence: str
    accepted: frozenset[str]
    labels: Counter[str]  # of its frames
    first: RawFrame | None

    @property
    def right(self) -> float:
        """Part of the frames with an accepted label."""
        return sum(n for label, n in self.labels.items() if label in self.accepted) / max(1, self.labels.total())

    @property
    def answer(self) -> str:
        return self.labels.most_common(1)[0][0] if self.labels else "refused"


def judge(folder: Path, model: Path | None) -> list[Judged]:
    labeller = make_labeller(Settings(model=ModelSettings(path=model)), threads=1)
    judged = []
    with (folder / "MANIFEST.csv").open() as manifest:
        rows = [row for row in csv.DictReader(manifest) if row["accept"]]
    for row in rows:
        path = folder / row["file"]
        (outcome,) = labeller([FileStat(str(path), path.stat().st_size, path.stat().st_mtime_ns)])
        labels = Counter(record.classification.label for record in outcome.records)
        accepted = frozenset(row["accept"].split("|"))
        first = next(read_frames(path), None)
        judged.append(Judged(row["file"], row["camera"], row["credit"], row["licence"], accepted, labels, first))
    return judged


def interval(right: float, n: int) -> tuple[float, float]:
    """Give the 95 % interval of a proportion (Wilson 1927, JASA 22:209)."""
    z = 1.96
    middle = (right / n + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(right / n * (1 - right / n) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def figures(judged: Sequence[Judged]) -> list[str]:
    """Give the figures as lines of Markdown; each file counts once, with the part of its frames that is right."""
    sky = [one for one in judged if one.accepted != {"unknown"}]
    right = sum(one.right for one in judged)
    low, high = interval(right, len(judged))
    cameras = {one.camera: [other.right for other in judged if other.camera == one.camera] for one in judged}
    mean = float(np.mean([np.mean(parts) for parts in cameras.values()]))
    aurora = [one for one in sky if one.accepted <= AURORA_LABELS]
    dark = [one for one in sky if not one.accepted & AURORA_LABELS]
    hit = sum(sum(one.labels[label] for label in AURORA_LABELS) / one.labels.total() for one in aurora)
    false = sum(sum(one.labels[label] for label in AURORA_LABELS) / one.labels.total() for one in dark)
    refused = sum(one.labels["unknown"] / one.labels.total() for one in sky)
    lines = [
        (
            f"- all files: {right:.1f} of {len(judged)} right ({right / len(judged):.0%}, 95 % interval {low:.0%} to "
            f"{high:.0%}, as if the files were independent, which frames of one camera are not)"
        ),
        f"- mean over {len(cameras)} cameras: {mean:.0%}",
        f"- aurora called aurora (any form): {hit:.1f} of {len(aurora)} files",
        f"- false alarms (aurora where there is none): {false:.1f} of {len(dark)} files",
        f"- sky frames called unknown: {refused:.1f} of {len(sky)} files",
        "",
        "| camera | files | right |",
        "|---|---|---|",
    ]
    lines += [f"| {camera} | {len(parts)} | {np.mean(parts):.0%} |" for camera, parts in sorted(cameras.items())]
    return lines


def thumbnail(raw: RawFrame) -> Image.Image:
    """Draw a frame with the disc that was found, at most 128 pixels."""
    disc = find_disc(raw.pixels, raw.pixel_aspect)
    grey = raw.pixels.astype(np.float64)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    low, high = np.percentile(grey, (0.3, 99.5))
    tone = np.clip((grey - low) / max(high - low, 1e-9), 0, 1) ** 0.45
    height, width = tone.shape[0], tone.shape[1] * raw.pixel_aspect
    zoom = SIDE * FINE / max(height, width)
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    image = Image.fromarray((tone * 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR).convert("RGB")
    tile = Image.new("RGB", (SIDE * FINE, SIDE * FINE), BACK)
    left, top = (tile.width - image.width) // 2, (tile.height - image.height) // 2
    tile.paste(image, (left, top))
    x, y, radius = left + disc.x * zoom, top + disc.y * zoom, disc.radius * zoom
    ring = (255, 150, 64) if disc.origin == "found" else (64, 200, 255)
    ImageDraw.Draw(tile).ellipse((x - radius, y - radius, x + radius, y + radius), outline=ring, width=FINE)
    return tile.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def sheet(judged: Sequence[Judged]) -> Image.Image:
    shown = [one for one in judged if one.file not in NO_PICTURE and one.first is not None]
    rows = -(-len(shown) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * (SIDE + 6) + 6, rows * (SIDE + CAPTION + 6) + 6), BACK)
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(10)
    for number, one in enumerate(shown):
        x, y = 6 + number % COLUMNS * (SIDE + 6), 6 + number // COLUMNS * (SIDE + CAPTION + 6)
        assert one.first is not None  # noqa: S101  chosen above
        page.paste(thumbnail(one.first), (x, y))
        colour = GOOD if one.right > 0.5 else BAD
        pen.text((x, y + SIDE + 1), one.answer, colour, font)
        pen.text((x, y + SIDE + 13), "|".join(sorted(one.accepted)), GREY, font)
        pen.text((x, y + SIDE + 25), f"{number + 1}. {one.camera}"[:24], WHITE, font)
    return page


def main() -> None:
    folder = Path(sys.argv[1])
    model = Path(sys.argv[3]) if len(sys.argv) > 3 and sys.argv[2] == "--model" else None
    judged = judge(folder, model)
    name = make_labeller(Settings(model=ModelSettings(path=model)), threads=1).bundle.name
    page = DOCS / "real_frames.md"
    text = page.read_text()
    head, _, rest = text.partition("<!-- figures -->")
    _, _, tail = rest.partition("<!-- end -->")
    thanks = dict.fromkeys(f"{one.camera}: {one.credit} ({one.licence})" for one in judged)
    lines = [f"Model `{name}`.", "", *figures(judged), "", f"Credits: {'; '.join(thanks)}."]
    page.write_text(head + "<!-- figures -->\n" + "\n".join(lines) + "\n<!-- end -->" + tail)
    sheet(judged).quantize(256, dither=Image.Dither.NONE).save(DOCS / "images" / "real_frames.png", optimize=True)
    print("\n".join(lines[:8]))


if __name__ == "__main__":
    main()
