"""Whether the watches of the folders live: a hung thread must be noticed, a hung network mount must be outlived."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from auroramon.sources.answers import Probe
from auroramon.sources.watch import FolderWatch

WATCH_PATIENCE_S = 600.0
"""A watch may be silent for so long: listening to a hundred thousand folders of a slow disk takes minutes."""

ANSWER_S = 1.0


class WatchPulse:
    """Looks after the threads of a FolderWatch.

    A thread that is silent because its file system does not answer (an NFS server that is gone) is not stuck: starting
    the daemon anew would not mend the mount, and would cost the other cameras their frames. It counts as down in
    /healthz and in the metrics. See docs/decisions/0005-what-the-watchdog-watches.md.
    """

    def __init__(
        self, watch: FolderWatch, patience_s: float = WATCH_PATIENCE_S, probe: Callable[[Path], Probe] = Probe
    ) -> None:
        self._watch = watch
        self._patience_s = patience_s
        self._probe = probe
        self._probes: dict[Path, Probe] = {}

    def started(self) -> bool:
        """Say whether every folder was looked at, or does not answer."""
        return all(state.looked or not self._answers(state.folder) for state in self._watch.state())

    def stuck(self) -> str:
        """Say which watch has hung although its folder answers; "" where there is none."""
        for state in self._watch.state():
            if state.age_s > self._patience_s and self._answers(state.folder):
                return f"the watch of {state.folder} has been silent for {state.age_s:.0f} s, though the folder answers"
        return ""

    def _answers(self, folder: Path) -> bool:
        return self._probes.setdefault(folder, self._probe(folder)).answers(ANSWER_S)
