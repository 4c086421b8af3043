"""`auroramon simulate` and `auroramon demo`: skies that never were, for trying everything out."""

from __future__ import annotations

import csv
import gzip
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auroramon.cli.options import UTC_TIME, config_option
from auroramon.errors import ConfigError, MissingPartError

if TYPE_CHECKING:
    from auroramon.cli.demo_view import Progress
    from auroramon.demo import DemoFolder
    from auroramon.sim.frame import SimFrame
    from auroramon.store.results import OccurrenceRow

TRUTH = "simulated_truth.csv"
LOOK_S = 0.2  # between looks at the database of a demo
Moment = tuple[datetime, str, "SimFrame"]


@click.command(short_help="Write simulated nights as files of a camera.")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--nights", type=click.IntRange(1, 400), default=1, show_default=True, help="How many.")
@click.option("--start", type=UTC_TIME, default="2025-12-21T17:00", show_default=True,
              help="Beginning of the first night (UTC).")  # fmt: skip
@click.option("--hours", type=click.FloatRange(0.01, 24), default=10.0, show_default=True, help="Length of a night.")
@click.option("--cadence", type=click.FloatRange(0.1), help="Seconds between frames  [default: 60; 3 for pgm.gz]")
@click.option("--format", "kind", type=click.Choice(["png", "pgm.gz"]), default="png", show_default=True,
              help="One PNG a frame, or minutes of 20 frames as THEMIS writes them.")  # fmt: skip
@click.option(
    "--camera", default="simu_sim01", show_default=True, metavar="NAME", help="SITE_IMAGER, as in real names."
)
@click.option("--size", type=click.IntRange(32, 2048), default=256, show_default=True, help="Shorter side, pixels.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed, another camera and sky."
)
@config_option
def simulate(
    out: Path,
    nights: int,
    start: datetime,
    hours: float,
    cadence: float | None,
    kind: str,
    camera: str,
    size: int,
    seed: int,
    config: Path | None,
) -> int:
    """Write NIGHTS of a simulated camera below the folder OUT, as OUT/YYYY/MM/DD/files.

    What was simulated in each frame stands in OUT/simulated_truth.csv, which other calls add to.
    """
    from auroramon.demo import station_camera
    from auroramon.sim.night import night

    del config  # taken by every command; this one has nothing to configure
    if kind == "pgm.gz" and cadence not in (None, 3):
        raise click.UsageError("a minute in the way of THEMIS holds a frame every 3 seconds: leave --cadence out")
    site, _, imager = camera.partition("_")
    step = cadence or (3.0 if kind == "pgm.gz" else 60.0)
    own = station_camera(seed, white=kind == "pgm.gz")
    write = _write_minutes if kind == "pgm.gz" else _write_pictures
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _truth(out / TRUTH) as truth:
            for number in range(nights):
                begun = time.monotonic()
                moments = night(seed + number, own, start + timedelta(days=number), hours, step, size)
                frames = 0
                for row in write(out, moments, site, imager or "sim01"):
                    truth.writerow(row)
                    frames += 1
                rate = frames / max(time.monotonic() - begun, 1e-3)
                click.echo(f"night {number + 1} of {nights}: {frames} frames, {rate:.0f} a second", err=True)
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}") from None
    click.echo(
        f"{nights} simulated night{'s' if nights > 1 else ''} in {out}; {out / TRUTH} says what is in each frame"
    )
    return 0


@contextmanager
def _truth(path: Path) -> Iterator[Any]:
    """Open the list of what was simulated behind what earlier calls wrote; the last word on a frame stays."""
    with path.open("a", newline="", encoding="utf-8") as file:
        truth = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            truth.writerow(["path", "index", "time", "label"])
        yield truth
    with path.open(newline="", encoding="utf-8") as file:
        rows = {tuple(row[:2]): row for row in csv.reader(file)}
    partial = path.with_name(f"{path.name}.tmp")
    with partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows.values())
    partial.replace(path)


def _day(out: Path, moment: datetime) -> Path:
    folder = out / f"{moment.astimezone(UTC):%Y/%m/%d}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_pictures(out: Path, moments: Iterator[Moment], site: str, imager: str) -> Iterator[list[Any]]:
    from auroramon.cli.params import utc_text
    from auroramon.sim.writers import file_name, write_png

    for moment, label, frame in moments:
        path = _day(out, moment) / file_name(moment, site, imager)
        write_png(path, frame, moment)
        yield [path.relative_to(out), 0, utc_text(moment), label]


def _write_minutes(out: Path, moments: Iterator[Moment], site: str, imager: str) -> Iterator[list[Any]]:
    from auroramon.cli.params import utc_text
    from auroramon.sim.writers import themis_minute

    for _, inside in groupby(moments, key=lambda moment: moment[0].replace(second=0, microsecond=0)):
        minute = list(inside)
        first = minute[0][0]
        path = _day(out, first) / f"{first:%Y%m%d_%H%M}_{site}_{imager}_full.pgm.gz"
        raw = themis_minute([frame for _, _, frame in minute], first, site, imager)
        partial = path.with_name(f"{path.name}.tmp")
        partial.write_bytes(gzip.compress(raw, compresslevel=6, mtime=0))
        partial.replace(path)
        for index, (moment, label, _) in enumerate(minute):
            yield [path.relative_to(out), index, utc_text(moment), label]


@click.command(short_help="Play a simulated night through the real daemon.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default="demo")
@click.option(
    "--seconds", type=click.FloatRange(5, 3600), default=60.0, show_default=True, help="How long the night takes."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Another seed, another camera and sky."
)
@config_option
def demo(folder: Path, seconds: float, seed: int, config: Path | None) -> int:
    """Play a simulated winter night into FOLDER/incoming, with the real daemon and the shipped model labelling it.

    Exit code 1 if a frame got lost on the way.
    """
    from auroramon.cli.demo_view import Progress, agreement, view
    from auroramon.cli.occurrence import show
    from auroramon.demo import choose_pace, daemon, page, play, prepare, station_camera
    from auroramon.store.store import open_store

    del config  # taken by every command; the demo writes its own
    click.echo("a simulated station: no real sky is in these frames", err=True)
    camera = station_camera(seed, white=True)
    pace = choose_pace(seconds, camera, seed)
    place = prepare(folder, pace)
    progress, looked = Progress(pace), 0.0
    with daemon(place) as daemon_process, closing(open_store(place.database_url, create=False)) as store:
        click.echo(f"the daemon runs: http://{place.listen}/metrics, its log is {place.log}", err=True)
        with view(progress) as update:

            def look(wait: float) -> None:
                nonlocal looked
                if time.monotonic() - looked >= LOOK_S:
                    update(progress.take(list(store.labels())))
                    looked = time.monotonic()
                time.sleep(min(wait, LOOK_S / 4))

            for shown in play(place, pace, camera, seed, look):
                progress.shown[shown.path] = shown
            _catch_up(progress, look)
        place.metrics.write_bytes(page(place, "/metrics"))
        store.update_expected(datetime.now(UTC))
        store.count_hours()
        day = timedelta(days=1)
        rows = store.occurrence("hour", since=pace.start - day, until=pace.start + day)
        account = store.account()
        model = store.models()[0].name
    show(rows)
    if len(progress.shown) < pace.frames:
        click.echo(f"the night broke off after {len(progress.shown)} of {pace.frames} frames: its time was over")
    click.echo(agreement(progress))
    click.echo(
        f"{len(progress.shown)} files written: {account.seen} seen = {account.labelled} labelled + "
        f"{account.skipped} skipped + {account.quarantined} quarantined + {account.pending} pending"
    )
    _say_where(place, rows, model)
    if progress.lost:
        click.echo(f"auroramon: {len(progress.lost)} frames have no label, the first is {progress.lost[0]}", err=True)
    return 1 if progress.lost or account.seen != len(progress.shown) or daemon_process.returncode else 0


def _catch_up(progress: Progress, look: Callable[[float], None]) -> None:
    """Wait until the last frame has its label too."""
    from auroramon.demo import PATIENCE_S

    deadline = time.monotonic() + PATIENCE_S
    while progress.lost and time.monotonic() < deadline:
        look(LOOK_S)


def _say_where(place: DemoFolder, rows: Sequence[OccurrenceRow], model: str) -> None:
    from auroramon.plots import Legend, plot_occurrence

    try:
        plot_occurrence(rows, "hour", place.picture, Legend(model, simulated=True))
        picture = str(place.picture)
    except MissingPartError as error:
        picture = f"none: {error}"
    for what, where in (
        ("frames", place.incoming),
        ("database", place.database),
        ("picture", picture),
        ("metrics", f"{place.metrics}, as they were at http://{place.listen}/metrics"),
        ("again", f"auroramon run -c {place.config}"),
    ):
        click.echo(f"{what:<9} {where}")
