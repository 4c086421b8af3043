"""Works on batches in the calling thread: the live daemon, whose latency is one frame's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from auroramon.errors import CardLostError
from auroramon.ports import LabelFiles, StopFlag
from auroramon.types import FileOutcome, FileStat, Outcome

log = logging.getLogger(__name__)


def crashed(batch: Sequence[FileStat], reason: str) -> list[FileOutcome]:
    """Give the outcome of a batch that nobody can tell anything of."""
    return [FileOutcome(file, Outcome.CRASHED, reason) for file in batch]


def guarded(label_files: LabelFiles, batch: Sequence[FileStat]) -> Sequence[FileOutcome]:
    """Work on a batch; an error that no stage foresaw costs this batch and is told, not the daemon.

    Raises:
        CardLostError: no file is to blame, and no other file would fare better.
    """
    try:
        return label_files(batch)
    except CardLostError:
        raise
    except Exception as error:  # the one place: a mistake of ours must never stop the line
        log.exception("unforeseen error in %s", ", ".join(file.path for file in batch[:3]))
        return crashed(batch, f"unforeseen error: {type(error).__name__}: {error}")


class InlineExecutor:
    """One batch after the other, here.

    Args:
        label_files: the unit of work.
        release: called at the end, gives back what the work held.
    """

    def __init__(self, label_files: LabelFiles, release: Callable[[], None] = lambda: None) -> None:
        self._label_files = label_files
        self._release = release

    def run(self, batches: Iterable[Sequence[FileStat]], stop: StopFlag) -> Iterator[Sequence[FileOutcome]]:
        for batch in batches:
            yield guarded(self._label_files, batch) if batch else ()
            if stop.is_set():
                return

    def close(self) -> None:
        """Give back what the work held."""
        self._release()
