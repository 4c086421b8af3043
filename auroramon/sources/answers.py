"""Whether a folder's file system answers at all: a mount whose server is gone lets every call wait for ever."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path


def look_into(folder: Path) -> None:
    """Read one name of a folder; an error is an answer too."""
    try:
        with os.scandir(folder) as names:
            next(names, None)
    except OSError:
        return


class Probe:
    """Asks one folder, from a thread of its own; a mount that hangs costs that thread and nobody's time.

    Args:
        folder: what is asked.
        look: returns when the folder has answered.
    """

    def __init__(self, folder: Path, look: Callable[[Path], None] = look_into) -> None:
        self._folder = folder
        self._look = look
        self._asking: threading.Thread | None = None

    def answers(self, within_s: float) -> bool:
        """Say whether the folder answers in time. While an earlier question is open no second one is asked."""
        if self._asking is None or not self._asking.is_alive():
            self._asking = threading.Thread(target=self._look, args=(self._folder,), name="probe", daemon=True)
            self._asking.start()
        self._asking.join(within_s)
        return not self._asking.is_alive()
