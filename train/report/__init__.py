"""The evaluation report: one HTML file with everything in it, and the same figures as JSON."""

from __future__ import annotations

from pathlib import Path

from train.cards import as_json
from train.judged import Judged
from train.report.numbers import Numbers
from train.report.page import page

PAGE, VALUES = "report.html", "report.json"


def write_report(judged: Judged, numbers: Numbers, folder: Path) -> Path:
    """Write report.html and report.json into a folder, and give the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / VALUES).write_text(as_json(numbers), encoding="utf-8")
    (folder / PAGE).write_text(page(judged, numbers), encoding="utf-8")
    return folder / PAGE
