"""`auroramon run`: the daemon."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auroramon import __version__
from auroramon.cli.options import ModelFlags, config_option, model_options, settings_of, start_log
from auroramon.errors import ConfigError

if TYPE_CHECKING:
    from auroramon.config import Settings
    from auroramon.labeller import Labeller
    from auroramon.metrics import Metrics
    from auroramon.sources.watch import FolderWatch

log = logging.getLogger(__name__)


@click.command(short_help="Watch the cameras' folders and label every frame that arrives.")
@model_options
@config_option
def run(config: Path | None, model: ModelFlags) -> int:
    """Watch the cameras' folders and label every frame that arrives, until SIGTERM or Ctrl-C."""
    from auroramon.assemble import LabellerRecipe, live_threads, make_labeller
    from auroramon.cli.job import begin
    from auroramon.coordinator import Coordinator
    from auroramon.executors.inline import InlineExecutor
    from auroramon.executors.pool import PoolExecutor
    from auroramon.server import StatusServer
    from auroramon.service import Parts, Service

    settings = settings_of(config, need_file=True, overrides=model.overrides)
    start_log(settings.log.level)
    if not settings.camera:
        raise ConfigError("no [[camera]] is configured, so there is no folder to watch; `auroramon init FOLDER` helps")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = live_threads(settings)
    watch = _watch(settings)
    labeller = make_labeller(settings, threads)
    metrics = _metrics(settings, labeller)
    store, job = begin(settings, labeller, "live", settle_s=settings.watch.settle_s)
    metrics.show_newest(store.camera_status())
    if store.folder is not None:
        metrics.watch_disk(store.folder)
    service = Service(
        Parts(
            watch,
            Coordinator(store, job, metrics),
            InlineExecutor(labeller),
            PoolExecutor(LabellerRecipe(settings, threads), workers=1, in_hand=1),
            metrics,
        )
    )
    metrics.follow(watch.state, service.health)
    server = StatusServer(settings.server.listen, metrics.page, service.health) if settings.server.listen else None
    try:
        log.info(
            "watching %s with model %s (%s, %s)%s",
            ", ".join(f"{camera.name}: {camera.folder}" for camera in settings.camera),
            labeller.bundle.name,
            labeller.backend.precision,
            labeller.backend.device,
            f"; metrics on http://{server.address}/metrics" if server else "",
        )
        service.serve(stop)
        log.info("stopped")
    finally:
        if server is not None:
            server.close()
        store.close()
    return 0


def _watch(settings: Settings) -> FolderWatch:
    from auroramon.archive import watched_folders
    from auroramon.cameras import Cameras
    from auroramon.sources.timing import Timing
    from auroramon.sources.watch import FolderWatch

    for camera in settings.camera:
        if camera.folder is None:
            raise ConfigError(f"camera {camera.name}: `run` needs its folder")
    poll = {"always": True, "never": False, "auto": None}[settings.watch.poll]
    timing = Timing(
        settle_s=settings.watch.settle_s, reconcile_s=settings.watch.reconcile_s, poll_s=settings.watch.poll_s
    )
    return FolderWatch(watched_folders(Cameras(settings.camera), poll), timing)


def _metrics(settings: Settings, labeller: Labeller) -> Metrics:
    from prometheus_client import CollectorRegistry, disable_created_metrics

    from auroramon.cli.job import place_of
    from auroramon.coordinator import utc_now
    from auroramon.metrics import Metrics

    disable_created_metrics()  # type: ignore[no-untyped-call]  # a line more for each counter, which nobody reads
    registry = CollectorRegistry()
    metrics = Metrics(registry, [camera.name for camera in settings.camera], labeller.bundle.labels)
    metrics.show_cameras(map(place_of, settings.camera), utc_now)
    metrics.build.info({"version": __version__})
    metrics.model.info({"name": labeller.bundle.name, "digest": labeller.bundle.digest})
    metrics.backend.info(
        {
            "backend": labeller.backend.name,
            "precision": labeller.backend.precision,
            "device": labeller.backend.device,
        }
    )
    return metrics
