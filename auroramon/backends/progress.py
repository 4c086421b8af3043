"""How far a build is: the phases of TensorRT as one number that only grows."""

from __future__ import annotations

from typing import Any

from auroramon.backends.runtime import Progress


def monitor(trt: Any, progress: Progress) -> Any:
    """Give the library's progress monitor that tells `progress`.

    Phases lie in one another, and how long each takes nobody knows beforehand: a phase gets the share of its parent
    that one step of the parent has, and each step of it its own part of that share.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self._phases = Phases(progress)

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            self._phases.start(name, parent, steps)

        def step_complete(self, name: str, step: int) -> bool:
            self._phases.step(name, step)
            return True

        def phase_finish(self, name: str) -> None:
            self._phases.finish(name)

    return Monitor()


class Phases:
    """Nested phases, each a span of 0..1."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._spans: dict[str, tuple[float, float, int]] = {}  # name -> where it begins, length, steps
        self._done: dict[str, int] = {}
        self._told = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        begin, length = 0.0, 1.0
        if parent in self._spans:
            first, whole, parts = self._spans[parent]
            length = whole / max(parts, 1)
            begin = first + length * min(self._done[parent], max(parts - 1, 0))
        self._spans[name] = (begin, length, steps)
        self._done[name] = 0
        self._tell(name, begin)

    def step(self, name: str, step: int) -> None:
        begin, length, steps = self._spans[name]
        self._done[name] = step + 1
        self._tell(name, begin + length * min((step + 1) / max(steps, 1), 1))

    def finish(self, name: str) -> None:
        begin, length, _ = self._spans.pop(name)
        del self._done[name]
        self._tell(name, begin + length)

    def _tell(self, name: str, part: float) -> None:
        self._told = max(self._told, min(part, 1.0))
        self._progress(name, self._told)
