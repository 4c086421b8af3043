"""Which frames a command is about: --since, --until and --camera."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from auroramon.cli.params import check_span, span_options

if TYPE_CHECKING:
    from auroramon.store.relabel import Which
    from auroramon.store.store import Store

CAMERA = click.option("--camera", "cameras", multiple=True, metavar="NAME", help="This camera; may be given again.")


def which_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --since, --until and --camera."""
    return span_options(CAMERA(command))


def which_of(store: Store, since: datetime | None, until: datetime | None, cameras: tuple[str, ...]) -> Which:
    """Give the choice; a camera that nobody knows is refused, for an empty answer would read as "there was none"."""
    from auroramon.store.relabel import Which

    check_span(since, until)
    known = [status.camera for status in store.camera_status()]
    for camera in cameras:
        if camera not in known:
            raise click.UsageError(f"no camera is called {camera!r} here; there are {', '.join(known) or 'none yet'}")
    return Which(since, until, cameras)
