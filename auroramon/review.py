"""What people say of frames, read from a CSV file.

A file has a heading. A line names a frame by `path` (as `auroramon labels` prints it, or relative to the file itself)
and `index`, or by `camera` and `time`; then `label`, and if wanted `reviewer` and `note`. Lines without a label are
left out, so that the list of `review queue` can be filled in part by part. Either every line is good, or nothing is
imported.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from auroramon.errors import AuroramonError
from auroramon.store.reviews import FoundFrame, NewReview

COLUMNS = ("path", "index", "camera", "time", "label", "reviewer", "note")
SHOWN = 20  # mistakes that are told at once
CLASS_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")


class ReviewError(AuroramonError):
    """A file of labels cannot be imported; one line a mistake, each with the number of its line."""


class Frames(Protocol):
    """What knows the frames: the store."""

    def frames_of_file(self, path: str) -> list[FoundFrame]: ...

    def frames_at(self, camera: str, time: datetime) -> list[FoundFrame]: ...


@dataclass(frozen=True, slots=True)
class Classes:
    """Which labels a person may give."""

    known: Collection[str]  # by models and people before
    new: Collection[str] = ()  # that are given for the first time, on purpose

    def check(self, label: str) -> str:
        """Say what is wrong with a label; "" if nothing is."""
        if label in self.known or label in self.new:
            return ""
        if not CLASS_NAME.fullmatch(label):
            return f"{label!r} is no name for a label: lower-case letters, digits, - and _, such as frost"
        near = difflib.get_close_matches(label, sorted({*self.known, *self.new}), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"nobody has used the label {label!r} yet: {hint}A new class is announced with --new {label}"


@dataclass(frozen=True, slots=True)
class ReviewFile:
    """What a file of labels says."""

    reviews: tuple[NewReview, ...]  # in the order of the file
    empty: int  # lines without a label
    ignored: tuple[str, ...]  # columns that were not looked at


@dataclass(slots=True)
class _Reading:
    """One file on its way."""

    file: Path
    frames: Frames
    classes: Classes
    said: dict[tuple[FoundFrame, str], tuple[int, NewReview]] = field(default_factory=dict)  # by frame and reviewer
    mistakes: list[str] = field(default_factory=list)
    empty: int = 0

    def take(self, line: int, row: Mapping[str, str]) -> None:
        """Take one line, or note what is wrong with it."""
        if not row["label"]:
            self.empty += 1
            return
        frame, wrong = self._frame(row)
        wrong = wrong or self.classes.check(row["label"])
        if wrong or frame is None:
            self.mistakes.append(f"line {line}: {wrong}")
            return
        review = NewReview(frame, row["label"], row.get("reviewer", ""), row.get("note", ""))
        before, other = self.said.setdefault((frame, review.reviewer), (line, review))
        if other.label != review.label:
            self.mistakes.append(
                f"line {line}: the frame is {review.label!r} here and {other.label!r} in line {before}: keep one"
            )

    def _frame(self, row: Mapping[str, str]) -> tuple[FoundFrame | None, str]:
        """Find the frame of a line; without one, what is wrong."""
        path, index = row.get("path", ""), row.get("index", "")
        if index and not index.isdecimal():
            return None, f"the index {index!r} is no number: frames of a file count from 0"
        if path:
            found, where = self._of_file(path), path
        elif row.get("camera") and row.get("time"):
            time = _time(row["time"])
            if time is None:
                return None, f"{row['time']!r} is no time such as 2026-01-31T22:00:00Z"
            found, where = self.frames.frames_at(row["camera"], time), f"camera {row['camera']} at {row['time']}"
        else:
            return None, "names no frame: fill in path (and index), or camera and time"
        if index:
            found = [frame for frame in found if frame.key.frame_index == int(index)]
            where += f"[{index}]"
        if len(found) > 1:
            return None, f"{where} has {len(found)} frames: say which by {'index' if path else 'path and index'}"
        return (found[0], "") if found else (None, f"there is no frame {where} in the database")

    def _of_file(self, path: str) -> list[FoundFrame]:
        """Find a file by its path as it stands, else as seen from the folder of the file of labels."""
        beside = str((self.file.parent / path).resolve())
        return self.frames.frames_of_file(path) or self.frames.frames_of_file(beside)


def read_reviews(file: Path, frames: Frames, classes: Classes) -> ReviewFile:
    """Read a file of labels and find its frames.

    Raises:
        ReviewError: the file cannot be read, or lines of it are wrong: all of them are told.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReviewError(f"{file} cannot be read as a CSV file in UTF-8: {error}") from error
    heading = text.partition("\n")[0]
    delimiter = ";" if ";" in heading and "," not in heading else ","  # as spreadsheets write it in half of Europe
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    reading = _Reading(file, frames, classes)
    try:
        columns = _columns(file, next(rows, []))
        for cells in rows:
            if len(cells) > len(columns):
                reading.mistakes.append(f"line {rows.line_num}: has {len(cells)} cells under {len(columns)} headings")
            elif any(cells):
                filled = (*(cell.strip() for cell in cells), *[""] * (len(columns) - len(cells)))
                reading.take(rows.line_num, dict(zip(columns, filled, strict=True)))
    except csv.Error as error:
        raise ReviewError(f"{file}, line {rows.line_num}: is no CSV: {error}") from error
    if reading.mistakes:
        more = [f"and {len(reading.mistakes) - SHOWN} more"] if len(reading.mistakes) > SHOWN else []
        told = "\n  ".join([*reading.mistakes[:SHOWN], *more])
        raise ReviewError(f"{file}: nothing was imported, because\n  {told}")
    ignored = tuple(name for name in columns if name not in COLUMNS)
    return ReviewFile(tuple(review for _, review in reading.said.values()), reading.empty, ignored)


def _columns(file: Path, heading: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in heading)
    doubled = sorted({name for name in names if name in COLUMNS and names.count(name) > 1})
    if doubled:
        raise ReviewError(f"{file}: the column {doubled[0]} is there twice")
    if "label" not in names or not ("path" in names or {"camera", "time"} <= set(names)):
        raise ReviewError(
            f"{file}: the first line must name the columns: path,index,label or camera,time,label "
            f"(and reviewer, note if wanted); it says {','.join(names) or 'nothing'}"
        )
    return names


def _time(text: str) -> datetime | None:
    """Read a time; without a zone it is UTC."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.utcoffset() is None else time.astimezone(UTC)
