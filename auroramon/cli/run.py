"""`auroramon run`: the daemon."""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auroramon.cli.opening import look
from auroramon.cli.options import ModelFlags, config_option, model_options, settings_of, start_log
from auroramon.errors import StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from auroramon.config import Settings
    from auroramon.metrics import Metrics
    from auroramon.notify import Lifeline
    from auroramon.sources.watch import FolderWatch

log = logging.getLogger(__name__)


@click.command(short_help="Watch the cameras' folders and label every frame that arrives.")
@click.option("--fresh-database", is_flag=True, help="Where the database is damaged, set it aside and begin a new one.")
@model_options
@config_option
def run(config: Path | None, model: ModelFlags, fresh_database: bool) -> int:
    """Watch the cameras' folders and label every frame that arrives, until SIGTERM or Ctrl-C.

    SIGHUP has the configuration read again: cameras and model change without a frame lost, and a wrong configuration
    is refused while the old one goes on.
    """
    from auroramon.notify import Lifeline, Notifier

    read = partial(settings_of, config, need_file=True, overrides=model.overrides)
    settings = read()
    start_log(settings.log.level)
    # Where systemd ends what has hung (SIGABRT), the journal shows in which line it hung.
    faulthandler.enable()
    with Lifeline(Notifier(os.environ)) as life:
        life.starting("looking at the database")
        look(settings, fresh=fresh_database)
        try:
            _serve(read, settings, life)
        except StoppedError as error:
            log.info("%s", error)
    return 0


def _serve(read: Callable[[], Settings], settings: Settings, life: Lifeline) -> None:
    """Make the parts, join them, and work until a signal ends it."""
    from auroramon.assemble import live_threads, make_labeller
    from auroramon.cli.events import couriers, rules_of
    from auroramon.cli.job import begin
    from auroramon.cli.live import BUSY_S, Reloader, isolated, say_what_is_watched, show, tending
    from auroramon.coordinator import Coordinator
    from auroramon.executors.inline import InlineExecutor
    from auroramon.herald import Herald
    from auroramon.server import StatusServer
    from auroramon.service import Parts, Service

    stop = _stop_by_signal(life)
    watch = _watch(settings)
    metrics = _metrics()
    told = couriers(settings, metrics)  # a library that is missing is said before a model is loaded or a database made
    life.starting("loading the model")
    labeller = make_labeller(settings, live_threads(settings), "beside", stop)
    with ExitStack() as at_end:
        at_end.callback(labeller.backend.close)  # also where the database refuses: a build would live on
        show(metrics, settings, labeller)
        life.starting("opening the database")
        store, job = begin(settings, labeller, "live", settle_s=settings.watch.settle_s, patience_s=BUSY_S)
        metrics.show_newest(store.camera_status())
        metrics.show_account(store.account())  # before the first scrape: a quarantine that grows from 0 is told of
        if store.folder is not None:
            metrics.watch_disk(store.folder)
        _watch_copies(settings, metrics)
        herald = Herald(store, rules_of(settings), told, settings.events)
        service = Service(
            Parts(
                watch,
                Coordinator(store, job, metrics, news=herald.notice),
                InlineExecutor(labeller, labeller.backend.close),
                isolated(settings),
                metrics,
                tending(labeller.backend),
            )
        )
        metrics.follow(watch.state, service.health)
        server = StatusServer(settings.server.listen, metrics.page, service.health) if settings.server.listen else None
        try:
            with herald, Reloader(read, settings, service, metrics, life) as reloader:
                if not _at_a_terminal():
                    signal.signal(signal.SIGHUP, lambda *_: reloader.ask())
                say_what_is_watched(settings, labeller, server.address if server else "")
                life.serving(service)
                service.serve(stop)
            log.info("stopped")
        finally:
            if server is not None:
                server.close()
            store.close()


def _watch_copies(settings: Settings, metrics: Metrics) -> None:
    """Have the age of the newest copy shown; not on a network mount, which could hang and take the page with it."""
    from auroramon.care.backup import KEPT_BESIDE, last_made
    from auroramon.care.copies import sqlite_file
    from auroramon.sources.mounts import filesystem_here, needs_polling

    file = sqlite_file(settings.database_url)
    if file is None:
        return
    folder = settings.database.backup_folder or file.parent / KEPT_BESIDE
    if not needs_polling(filesystem_here(str(folder), follow=False)):
        metrics.watch_copies(folder, partial(last_made, file, folder))


def _stop_by_signal(life: Lifeline) -> threading.Event:
    """Give the flag that SIGTERM and Ctrl-C set; SIGHUP does nothing yet."""
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()
        life.stopping()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    signal.signal(signal.SIGHUP, end if _at_a_terminal() else signal.SIG_IGN)
    return stop


def _at_a_terminal() -> bool:
    """Say whether a person started this: a terminal that closes ends its daemon, a service reads its settings again."""
    return sys.stdin is not None and sys.stdin.isatty()


def _watch(settings: Settings) -> FolderWatch:
    from auroramon.cli.live import folders_of
    from auroramon.sources.timing import Timing
    from auroramon.sources.watch import FolderWatch

    timing = Timing(
        settle_s=settings.watch.settle_s, reconcile_s=settings.watch.reconcile_s, poll_s=settings.watch.poll_s
    )
    return FolderWatch(folders_of(settings), timing)


def _metrics() -> Metrics:
    from prometheus_client import CollectorRegistry, disable_created_metrics

    from auroramon.metrics import Metrics

    disable_created_metrics()  # type: ignore[no-untyped-call]  # a line more for each counter, which nobody reads
    return Metrics(CollectorRegistry(), (), ())
