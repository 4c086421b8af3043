"""An engine that is built beside the work, by a process of its own."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress

from auroramon.backends.engine import EngineShop

STOP_S = 10.0  # a build that is told to stop gets so long


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
    """Give the command that builds an engine, as a person would type it."""
    return [
        sys.executable, "-m", "auroramon", "engine", "build", "--library", shop.runtime.library,
        "--precision", shop.precision, "--model", str(shop.bundle.folder), "--cache", str(shop.cache.folder.parent),
    ]  # fmt: skip
