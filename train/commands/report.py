"""`evaluate` and `unknown`: what a bundle says of frames whose label is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from auroramon.backends.second_look import open_on_processor
from auroramon.bundle import ModelBundle, choose_precision, load_bundle
from auroramon.cameras import Cameras
from auroramon.errors import ConfigError
from auroramon.types import LABELS
from train.cards import as_json, report_tables
from train.commands.options import CONFIG, RUN, WORK, cameras_of
from train.commands.progress import progress, tell
from train.commands.steps import frames_of_run
from train.daylight import refused_by_day
from train.frames import read_split
from train.judged import Judged, judge, subject_of_manifest, subject_of_run
from train.origin import origin_of
from train.report import write_report
from train.report.numbers import numbers_of
from train.runfile import DataTable, Run, read_run
from train.sides import sides_table
from train.unknown import sun_words, unknown_report, unknown_tables

JUDGED = click.argument(
    "judged", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="RUN|MANIFEST"
)  # fmt: skip
BUNDLE = click.argument("bundle", type=click.Path(path_type=Path, exists=True, file_okay=False))
JSON = click.option("--json", "in_json", is_flag=True, help="JSON instead of Markdown.")
GATES = click.option(
    "--gates/--no-gates",
    default=True,
    show_default=True,
    help="Without, network and head alone, as the model card has it.",
)
PRECISION = click.option(
    "--precision", type=click.Choice(["auto", "float32", "int8"]), default="auto", show_default=True
)


@click.command()
@JUDGED
@BUNDLE
@WORK
@JSON
@PRECISION
@GATES
@CONFIG
@click.option(
    "--report", "to", type=click.Path(path_type=Path, file_okay=False),
    help="Folder for report.html, with all figures and pictures in one file, and report.json.",
)  # fmt: skip
def evaluate(
    judged: Path,
    bundle: Path,
    work: Path,
    in_json: bool,
    precision: Any,
    gates: bool,
    config: Path | None,
    to: Path | None,
) -> None:
    """Judge a bundle on the frames that a run keeps for it, or on those of a manifest (a CSV file).

    Nothing may have been learnt from the frames of a manifest: that is not checked.
    """
    found = _judge(judged, bundle, work, precision, gates, cameras_of(config))
    if (found.answers.targets < len(LABELS)).sum() < 2:
        raise ConfigError(f"{judged} has fewer than two frames with a class: there is nothing to judge")
    numbers = numbers_of(found, gates)
    if to is not None:
        click.echo(f"report: {write_report(found, numbers, to)}", err=True)
    if in_json:
        click.echo(as_json(numbers), nl=False)
        return
    click.echo(report_tables(numbers.head, numbers.unit, numbers.apart, numbers.simulated), nl=False)
    click.echo(f"\n{sun_words(numbers.without_sun, numbers.frames)}")


@click.command()
@JUDGED
@BUNDLE
@WORK
@JSON
@PRECISION
@CONFIG
def unknown(judged: Path, bundle: Path, work: Path, in_json: bool, precision: Any, config: Path | None) -> None:
    """Compare ways to tell what is no sky, on the frames of a run or a manifest."""
    found = unknown_report(_judge(judged, bundle, work, precision, True, cameras_of(config)))
    if found is None:
        raise ConfigError(f"{judged} has no frames labelled `unknown`, or no others: there is nothing to compare")
    click.echo(as_json(found) if in_json else unknown_tables(found), nl=False)


@click.command()
@RUN
@BUNDLE
@WORK
def sides(run_file: Path, bundle: Path, work: Path) -> None:
    """Compare from how many sides to look near a border, on the frames that a run calibrates with."""
    run, model = read_run(run_file), load_bundle(bundle)
    frames = frames_of_run(run, work)
    _check_colour(model, run, run_file)
    origin, held_out = origin_of(frames), read_split(frames, "calibrate")
    kind = f"{'simulated, ' if origin.simulated else ''}of {len(held_out.cameras)} {origin.unit}s that calibrate"
    click.echo(sides_table(model, held_out, kind))


def _check_colour(bundle: ModelBundle, run: Run, path: Path) -> None:
    """Refuse to judge a model that looks at colours on frames that are kept in grey."""
    if bundle.preprocess.colour and not run.preprocess.spec().colour:
        raise ConfigError(f"{bundle.name} looks at colours, and the frames of {path} are kept in grey: judge it on "
                          f"a run whose preprocess.channels has green, or on a list of files")  # fmt: skip


def _judge(path: Path, folder: Path, work: Path, precision: Any, gates: bool, cameras: Cameras) -> Judged:
    bundle = load_bundle(folder)
    if bundle.labels != LABELS:
        raise ConfigError(f"{folder} has other labels than {', '.join(LABELS)}: its figures cannot be worked out here")
    chosen = choose_precision(bundle, precision)
    simulated = False
    if path.suffix.lower() == ".csv":
        with progress("frames read") as show:
            subject = subject_of_manifest(path, work, bundle.preprocess.colour, show)
    else:
        run = read_run(path)
        simulated = isinstance(run.data, DataTable)
        frames = frames_of_run(run, work)
        _check_colour(bundle, run, path)
        subject = subject_of_run(frames, run)
    if subject.leaks is not None and bundle.provenance.data_digest != subject.origin.digest and not simulated:
        tell(f"{bundle.name} was not made from the frames and the split of {path}: that it has learnt from none of the "
             f"judged frames is not checked")  # fmt: skip
        subject = replace(subject, leaks=None)
    found = judge(subject, bundle, chosen, open_on_processor(bundle, chosen, threads=2).embed, gates)
    return refused_by_day(found, cameras) if gates else found
