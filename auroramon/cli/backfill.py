"""`auroramon backfill`: an archive, once and for all."""

from __future__ import annotations

import json
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from auroramon.cli.opening import look
from auroramon.cli.options import ModelFlags, config_option, model_options, settings_of, start_log
from auroramon.cli.params import check_span, counted, span_options
from auroramon.errors import ConfigError, MissingPartError
from auroramon.places import is_remote

if TYPE_CHECKING:
    from auroramon.archive import Archive
    from auroramon.assemble import LabellerRecipe
    from auroramon.backfill import Account
    from auroramon.config import Settings
    from auroramon.labeller import Labeller
    from auroramon.ports import Executor
    from auroramon.sources.arrivals import Problem

log = logging.getLogger(__name__)


@click.command(short_help="Label an archive: every file under the PATHs that has no label yet.")
@click.argument("paths", nargs=-1)
@click.option(
    "--from-list",
    "names",
    metavar="FILE|-",
    type=click.File("r", encoding="utf-8", errors="surrogateescape"),
    help="Also the files that a list names, one on each line; - is standard input. Nothing is walked.",
)
@click.option("--workers", default="auto", show_default=True, help="Worker processes: a number, or auto for all cores.")
@click.option(
    "--cluster",
    metavar="ADDRESS|local|slurm",
    help="Work on a Dask cluster: the address of its scheduler, processes of this machine, or jobs of SLURM.",
)
@span_options
@click.option("--dry-run", "only_count", is_flag=True, help="Say how many files would be labelled, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="The account as JSON on stdout.")
@model_options
@config_option
def backfill(
    paths: tuple[str, ...],
    names: IO[str] | None,
    workers: str,
    cluster: str | None,
    since: datetime | None,
    until: datetime | None,
    only_count: bool,
    as_json: bool,
    config: Path | None,
    model: ModelFlags,
) -> int:
    """Label every readable file under the PATHs that has no label of the model yet.

    A PATH is a folder, a file, or an address such as s3://bucket/2024/03.

    It can be stopped at any moment and goes on where it stopped. Exit code 0 when every file is labelled, skipped or
    quarantined; 1 when work was left.
    """
    settings = settings_of(config, overrides=model.overrides)
    start_log(settings.log.level)
    check_span(since, until)
    if not paths and names is None:
        raise click.UsageError("name a folder, a file or an address, or give --from-list")
    for given in paths:
        if not is_remote(given) and not Path(given).exists():
            raise ConfigError(f"{given}: there is no such file or folder")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    from auroramon.archive import Archive, Period
    from auroramon.assemble import make_labeller

    labeller = make_labeller(settings, settings.model.threads or 1, "never" if only_count else "wait", stop)
    labeller.backend.close()  # it has shown that it works; each worker opens its own
    unlisted: list[Problem] = []

    def report(problem: Problem) -> None:
        log.warning("%s", problem.sentence)
        if problem.lost:
            unlisted.append(problem)

    archive = Archive(paths, labeller.cameras, Period(since, until), report, _lines(names))
    if only_count:
        from auroramon.cli.dry_run import dry_run
        from auroramon.readahead import ReadAhead

        return dry_run(settings, labeller, ReadAhead(archive, stop), as_json)
    left = _label(settings, labeller, archive, _Workers(_worker_count(workers), cluster), stop, as_json)
    if unlisted:
        log.error("%d files or folders could not be looked at, the first: %s", len(unlisted), unlisted[0].sentence)
    return 1 if unlisted else left


def _lines(names: IO[str] | None) -> Iterator[str]:
    """Give the names of a list as they come; empty lines are none."""
    for line in names or ():
        if name := line.rstrip("\r\n"):
            yield name


@dataclass(frozen=True, slots=True)
class _Workers:
    """Where the work is done."""

    count: int  # processes on this machine
    cluster: str | None  # a Dask cluster instead of a pool of processes

    def executor(self, settings: Settings, recipe: LabellerRecipe) -> Executor:
        if self.cluster is None:
            from auroramon.executors.pool import PoolExecutor

            return PoolExecutor(recipe, self.count)
        try:
            from auroramon.executors.dask import DaskExecutor
        except ModuleNotFoundError as error:
            raise MissingPartError("--cluster needs Dask: pip install 'auroramon[cluster]'") from error
        from auroramon.assemble import send

        executor = DaskExecutor(self.cluster, send(recipe), self.count, settings.cluster.slurm)
        log.info("the cluster's dashboard: %s", executor.dashboard)
        return executor


def _worker_count(text: str) -> int:
    from auroramon.cores import available_cores

    if text == "auto":
        return available_cores()
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise click.BadParameter(f"{text!r} is neither a number of processes nor auto", param_hint="--workers")


def _label(
    settings: Settings, labeller: Labeller, archive: Archive, workers: _Workers, stop: threading.Event, as_json: bool
) -> int:
    from auroramon.assemble import LabellerRecipe
    from auroramon.backfill import Backfill
    from auroramon.cli.job import begin
    from auroramon.cli.progress import shown
    from auroramon.coordinator import Coordinator, utc_now
    from auroramon.cursor import Cursor
    from auroramon.executors.pool import PoolExecutor
    from auroramon.readahead import ReadAhead

    recipe = LabellerRecipe(settings, settings.model.threads or 1)
    look(settings)
    store, job = begin(settings, labeller, "backfill", settle_s=0.0)
    with ExitStack() as at_end:
        at_end.callback(store.close)
        at_end.callback(lambda: store.end_run(job.run, utc_now()))
        isolated = at_end.enter_context(closing(PoolExecutor(recipe, workers=1, in_hand=1)))
        executor = at_end.enter_context(closing(workers.executor(settings, recipe)))
        cursor = Cursor.begin(store, archive, job.model, utc_now())
        listing = ReadAhead(archive, stop, cursor)
        progress = at_end.enter_context(shown(listing))
        work = Backfill(Coordinator(store, job, None), executor, isolated, progress, entered=listing.entered)
        relabelled = work.relabel(labeller.bundle.head, stop)
        account = work.run(listing, stop)
        if listing.complete and not stop.is_set():
            cursor.end()
        account.waiting = store.pending_of(account.reopened)
        store.update_expected(utc_now())
        store.count_hours()
    account.relabelled = relabelled
    account.listed = listing.listed  # after a stop, what was found and never taken in hand is left too
    _tell(account, store.place, listing.complete, as_json)
    return 1 if account.left or not listing.complete else 0


def _tell(account: Account, place: str, complete: bool, as_json: bool) -> None:
    from auroramon.types import Outcome

    counts = {word.value: account.outcomes[word] for word in Outcome} | {
        "listed": account.listed, "left": account.left, "frames": account.frames, "relabelled": account.relabelled,
        "listed_all": complete,
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(counts | {"database": place}))
        return
    words = ", ".join(f"{counts[word.value]} {word.value.replace('_', ' ')}" for word in Outcome if counts[word.value])
    files, frames = counted(account.listed, "file"), counted(account.frames, "frame")
    click.echo(f"{files}: {words or ('nothing to do' if complete else 'none done')}; {frames} labelled, in {place}")
    if account.relabelled:
        click.echo(f"{counted(account.relabelled, 'frame')} labelled from stored embeddings")
    if account.outcomes[Outcome.QUARANTINED]:
        click.echo("`auroramon quarantine list` says why files are in quarantine")
    if account.waiting:
        click.echo(f"copies of files that were rewritten, to be done again: {account.waiting}")
    if account.left or not complete:
        more = "" if complete else ", and there may be more that were not listed yet"
        click.echo(f"{counted(account.left, 'file')} not done{more}: call the same command again")
