"""An engine that is built beside the work, by a process of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from auroramon.backends.engine import EngineShop, Unready
from auroramon.backends.manifest import Manifest
from auroramon.backends.runtime import Card
from auroramon.backends.switching import Build
from auroramon.errors import EngineError, StoppedError
from auroramon.ports import StopFlag

log = logging.getLogger(__name__)

BeginBuild = Callable[[EngineShop], Build]

STOP_S = 10.0  # a build that is told to stop gets so long
LOOK_S = 0.1  # between two looks at a stop, and at the build that it would end


class ChildBuild:
    """Builds and proves an engine in a process of its own: what goes wrong there cannot stop the labelling."""

    def __init__(self, shop: EngineShop) -> None:
        # Our own interpreter, with arguments of our own.
        self._child = subprocess.Popen(build_command(shop), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # noqa: S603

    def ended(self) -> bool:
        """Say whether it is over, well or not."""
        return self._child.poll() is not None

    def close(self) -> None:
        """Stop it if it still goes on."""
        self._child.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(STOP_S)
        self._child.kill()
        self._child.wait()


def build_command(shop: EngineShop) -> list[str]:
    """Give the command that builds an engine; it takes no configuration, and no module of the current folder (-P)."""
    return [
        sys.executable, "-P", "-m", "auroramon", "engine", "build", "-c", os.devnull, "--library", shop.runtime.library,
        "--precision", shop.precision, "--model", str(shop.bundle.folder), "--cache", str(shop.cache.folder.parent),
    ]  # fmt: skip


def obtain_apart(shop: EngineShop, card: Card, stop: StopFlag, begin_build: BeginBuild = ChildBuild) -> Manifest:
    """Give the engine that may label on a card; what is missing is built and tried by a process of its own.

    For a library that builds, and a card that is tried, heed no signal for minutes.

    Raises:
        EngineError: there is none to be had.
        StoppedError: the stop was set meanwhile.
    """
    ready = shop.ready(card)
    if isinstance(ready, Manifest):
        if is_whole(shop, ready):
            return ready
    elif ready.final:
        raise EngineError(ready.why)
    else:
        log.info("%s", ready.why)
    build = begin_build(shop)
    try:
        while not build.ended() and not stop.is_set():
            time.sleep(LOOK_S)
    finally:
        build.close()
    if stop.is_set():
        raise StoppedError("stopped while its engine was built: call the same command again")
    built = shop.ready(card)
    if isinstance(built, Unready):
        raise EngineError(built.why + ("" if built.final else "; its build failed, and said above why"))
    return built


def is_whole(shop: EngineShop, manifest: Manifest) -> bool:
    """Say whether the plan in the cache is the one that was built; tell why it is not."""
    try:
        shop.cache.plan(manifest)
    except EngineError as error:
        log.warning("%s", error)
        return False
    return True
