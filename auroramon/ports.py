"""Everything that can be exchanged: a new format, backend, store or executor fills in one of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from auroramon.types import FileOutcome, FileStat, RawFrame


class StopFlag(Protocol):
    """Anything that can say "stop now": a threading.Event, or a test's own."""

    def is_set(self) -> bool: ...


class Reader(Protocol):
    """One family of file formats. Exactly one reader claims a file."""

    name: str  # for messages and docs/formats.md
    suffixes: tuple[str, ...]  # lower case, with the dot, longest form: ".pgm.gz"
    description: str  # one line for docs/formats.md
    requires: str  # the pip extra that brings its library, or "" when none is needed

    def claims(self, path: Path, head: bytes) -> bool:
        """Say whether this file is of this family, by its name and its first 512 bytes."""
        ...

    def read(self, path: Path) -> Iterator[RawFrame]:
        """Give the frames in file order.

        A file that breaks off gives its good frames first and raises afterwards.

        Raises:
            FrameError: what follows will never give a frame.
            NotReadyError: the file is still growing or cannot be reached now.
            MissingPartError: the optional library is not installed.
        """
        ...


class Backend(Protocol):
    """Runs the embedder."""

    @property
    def name(self) -> str:
        """What runs: "onnx", "tensorrt", ..."""
        ...

    @property
    def precision(self) -> str:
        """In what numbers: "float32", "int8", "fp16"."""
        ...

    @property
    def device(self) -> str:
        """What it runs on, for people: "CPU, 2 threads"."""
        ...

    @property
    def fallback(self) -> bool:
        """Whether it stands in for a GPU that is here and cannot be used."""
        ...

    def embed(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give (N,D) unit vectors for (N,C,S,S) inputs; a batch of N equals N batches of one.

        On the CPU bit for bit. On a GPU, which sums in another order for another N, as nearly as an engine must agree
        with the float32 graph before it may label; but a frame that lies, so nearly, where another look at it begins
        (auroramon/backends/sides.py) may get that in one batch and not in another.

        Raises:
            CardLostError: the GPU failed, and nothing may take over: the program ends.
        """
        ...

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], NDArray[np.float32]]:
        """Begin to embed, and give what waits for the embeddings; they are taken before the next start."""
        ...

    def close(self) -> None:
        """Give back what is held of a GPU."""
        ...


class Executor(Protocol):
    """Works on batches of files somewhere, and gives the outcomes back in any order."""

    def run(self, batches: Iterable[Sequence[FileStat]], stop: StopFlag) -> Iterator[Sequence[FileOutcome]]:
        """Take batches lazily (never more than are being worked on) and yield their outcomes.

        An empty batch says that there is none just now, and is not worked on.
        While no batch is done an empty sequence comes now and then, so that the caller can give signs of life. A batch
        whose worker died comes back with `crashed` for each of its files. After `stop` is set no further
        batch is taken; those in hand are finished and yielded.
        """
        ...

    def close(self) -> None: ...


LabelFiles = Callable[[Sequence[FileStat]], Sequence[FileOutcome]]
"""The unit of work: no database, no metrics, no clock inside."""
