"""`auroramon classify`: labels without a database."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auroramon.cli.options import ModelFlags, config_option, model_options, settings_of, start_log

if TYPE_CHECKING:
    from auroramon.types import FileOutcome, FileStat, LabelRecord

COLUMNS = ("path", "index", "time", "camera", "label", "confidence", "distance")
FILES_AT_ONCE = 16


@click.command(short_help="Label files without a database.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--csv", "as_csv", is_flag=True, help="CSV on stdout, one line a frame.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines on stdout, one a frame.")
@model_options
@config_option
def classify(
    files: tuple[Path, ...],
    as_csv: bool,
    as_json: bool,
    config: Path | None,
    model: ModelFlags,
) -> int:
    """Label FILES without a database.

    As `run` and `backfill` do, with the settings of the camera whose folder a file lies in, or whose name its header
    says. A file that yields no frame gives one sentence on stderr and exit code 1 at the end.
    """
    from auroramon.archive import owner_of_files
    from auroramon.assemble import live_threads, make_labeller

    settings = settings_of(config, overrides=model.overrides)
    # The answer is on stdout; what else is said is what went wrong, a sentence for each file.
    # Who names a backend is also told what labels, and why nothing else.
    quiet = settings.log.level == "info" and model.backend is None
    start_log("warning" if quiet else settings.log.level)
    labeller = make_labeller(settings, live_threads(settings))
    owner = owner_of_files(labeller.cameras)
    labels = labeller.bundle.labels
    write = _write_csv if as_csv else _write_json if as_json else _write_line
    if as_csv:
        click.echo(",".join((*COLUMNS, *(f"score_{label}" for label in labels))))
    failed = False
    for start in range(0, len(files), FILES_AT_ONCE):
        chunk = files[start : start + FILES_AT_ONCE]
        for outcome in labeller([_stat(file, owner(str(file))) for file in chunk]):
            for record in outcome.records:
                write(record, labels)
            failed |= not outcome.records
            for sentence in _complaints(outcome):
                click.echo(f"auroramon: {sentence}", err=True)
    return 1 if failed else 0


def _stat(file: Path, camera: str) -> FileStat:
    from auroramon.types import FileStat

    try:
        status = file.stat()
    except OSError:
        return FileStat(str(file), 0, 0, camera)  # the reader says what is wrong with it
    return FileStat(str(file), status.st_size, status.st_mtime_ns, camera)


def _complaints(outcome: FileOutcome) -> Iterator[str]:
    from auroramon.types import GONE, sentence

    if outcome.reason:
        yield sentence(outcome.file.path, "there is no such file" if outcome.reason == GONE else outcome.reason)


def _time(record: LabelRecord) -> str:
    return record.info.time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _write_csv(record: LabelRecord, labels: Sequence[str]) -> None:
    said = record.classification
    scores = said.scores or (float("nan"),) * len(labels)
    numbers = (_number(value) for value in (said.confidence, said.distance, *scores))
    csv.writer(sys.stdout, lineterminator="\n").writerow(
        [record.info.path, record.info.index, _time(record), record.info.camera, said.label]
        + ["" if number is None else f"{number:.6g}" for number in numbers]
    )


def _write_json(record: LabelRecord, labels: Sequence[str]) -> None:
    said = record.classification
    scores = dict(zip(labels, said.scores, strict=True)) if said.scores else None
    click.echo(
        json.dumps({
            "path": record.info.path, "index": record.info.index, "time": _time(record),
            "time_source": record.info.time_source, "camera": record.info.camera, "label": said.label,
            "confidence": _number(said.confidence), "distance": _number(said.distance), "scores": scores,
            "reason": said.reason,
        })
    )  # fmt: skip


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value  # NaN has no place in JSON


def _write_line(record: LabelRecord, labels: Sequence[str]) -> None:
    from auroramon.types import UNKNOWN

    said = record.classification
    # How sure the model would have been of a class that it was then denied says nothing of the `unknown`.
    sure = "     -" if math.isnan(said.confidence) or said.label == UNKNOWN else f"{said.confidence:6.1%}"
    far = "" if math.isnan(said.distance) else f"distance {said.distance:.1f}"
    click.echo(f"{_time(record)}  {record.info.camera:<16} {said.label:<9} {sure}  {far:<14} "
               f"{record.info.path}[{record.info.index}]  {said.reason}".rstrip())  # fmt: skip
