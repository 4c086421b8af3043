"""`auroramon relabel`: the labels of another model, from stored embeddings."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auroramon.cli.options import config_option, settings_of, start_log
from auroramon.cli.params import counted
from auroramon.cli.which import which_of, which_options
from auroramon.errors import BundleError

if TYPE_CHECKING:
    from auroramon.bundle import ModelBundle
    from auroramon.relabel import Relabelled
    from auroramon.store.relabel import Which
    from auroramon.store.store import Store

log = logging.getLogger(__name__)

LINE_S = 10.0  # between lines of progress
NOBODY = 0  # the number of no model


@click.command(short_help="Add the labels of another model from stored embeddings; no image is read.")
@click.option("--model", "which", required=True, metavar="PATH|NAME", help="Whose labels.")
@which_options
@click.option("--json", "as_json", is_flag=True, help="The account as JSON on stdout.")
@config_option
def relabel(
    config: Path | None,
    which: str,
    since: datetime | None,
    until: datetime | None,
    cameras: tuple[str, ...],
    as_json: bool,
) -> int:
    """Add the labels of a model to all frames whose embeddings are stored. Nothing is rewritten.

    It can be stopped or killed at any moment and goes on where it was. What is shown stays as it is until
    `auroramon model promote NAME`. Exit code 1 when it was stopped before the end.
    """
    from auroramon import __version__
    from auroramon.cli.events import rules_of
    from auroramon.cli.opening import open_to_change
    from auroramon.coordinator import utc_now
    from auroramon.shelf import find_bundle

    settings = settings_of(config)
    start_log(settings.log.level)
    bundle = find_bundle(settings, which)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with closing(open_to_change(settings)) as store:
        chosen = which_of(store, since, until, cameras)
        model, waiting = _checked(store, bundle, chosen)
        begun = time.monotonic()
        run = store.start_run("relabel", utc_now(), code_version=__version__, rules=rules_of(settings))
        done = _relabel(store, run, bundle, model, chosen, stop, waiting)
        seconds = time.monotonic() - begun
        store.count_hours()
        left = store.count_without_label(model, chosen)
        speaks = store.models()[0].name
        told = {
            "model": bundle.name, "frames": done.judged, "refused_by_gates": done.refused, "left": left,
            "seconds": round(seconds, 3), "speaks": speaks, "database": store.place,
        }  # fmt: skip
    if as_json:
        click.echo(json.dumps(told))
    else:
        _tell(told, bundle.name)
    return 1 if stop.is_set() else 0


def _checked(store: Store, bundle: ModelBundle, chosen: Which) -> tuple[int, int]:
    """Enter the model; give its number and how many frames it has not labelled.

    Raises:
        BundleError: none of the frames was seen by its network, from its sides.
    """
    from auroramon.cli.job import row_of
    from auroramon.coordinator import utc_now

    if bundle.embedder_digest not in {row.embedder_digest for row in store.models()}:
        frames = counted(store.count_without_label(NOBODY, chosen), "frame")
        raise BundleError(
            f"no frame of this database was seen as {bundle.name} sees it (network and sides "
            f"{bundle.embedder_digest[:12]}): "
            f"{frames} need `auroramon backfill PATH --model {bundle.folder}`, which reads the images again"
        )
    if speaks := store.keep_speaking(utc_now()):
        log.info("%s goes on speaking until another model is promoted", speaks)
    model = store.register_model(row_of(bundle))
    return model, store.count_without_label(model, chosen)


def _relabel(
    store: Store, run: int, bundle: ModelBundle, model: int, chosen: Which, stop: threading.Event, waiting: int
) -> Relabelled:
    from auroramon.coordinator import utc_now
    from auroramon.relabel import Relabelling

    try:
        return Relabelling(store, run, model, bundle.head, _lines(waiting)).work(stop, chosen)
    finally:
        store.end_run(run, utc_now())


def _lines(waiting: int) -> Callable[[Relabelled], None]:
    """Give a function that tells the log now and then how far it is."""
    begun = told = time.monotonic()

    def update(done: Relabelled) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= LINE_S:
            told, frames = now, done.judged + done.refused
            log.info("%d of %d frames, %.0f a second", frames, waiting, frames / (now - begun))

    return update


def _tell(told: dict[str, object], name: str) -> None:
    frames, refused, left = (int(str(told[key])) for key in ("frames", "refused_by_gates", "left"))
    click.echo(f"{counted(frames, 'frame')} labelled by {name} in {told['seconds']} s, in {told['database']}")
    if refused:
        click.echo(f"{counted(refused, 'frame')} stay refused by a gate, as before")
    if left:
        click.echo(
            f"{counted(left, 'frame')} without a stored embedding of its network: they need `auroramon backfill`"
        )
    if told["speaks"] != name:
        click.echo(
            f"{told['speaks']} speaks: see `auroramon model compare {told['speaks']} {name}`, then "
            f"`auroramon model promote {name}`"
        )
