"""What a machine has of NVIDIA's, and what its user asks for: as the choice of a backend meets them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from auroramon.backends.choice import Wish
from auroramon.backends.runtime import Library
from auroramon.errors import MissingPartError
from tests.backends.processor import ProcessorRuntime


def wish(tmp_path: Path, **other: object) -> Wish:
    return replace(Wish("auto", "auto", 1, tmp_path / "cache", "never"), **other)  # type: ignore[arg-type]


def none_installed(library: Library) -> ProcessorRuntime:
    raise MissingPartError(f"the module {library} is not installed (pip install 'auroramon[x]')")


def without_driver(library: Library) -> ProcessorRuntime:
    return ProcessorRuntime(library, has=None)


def only_rtx(runtime: ProcessorRuntime) -> Callable[[Library], ProcessorRuntime]:
    return lambda library: runtime if library == "tensorrt_rtx" else none_installed(library)


@dataclass
class Ending:
    """A build that ends when the test says so."""

    over: bool = False
    closed: bool = False

    def ended(self) -> bool:
        return self.over

    def close(self) -> None:
        self.closed = True
