"""A machine with a pretended GPU, for programs that run as processes of their own, and for those that they start.

TensorRT for RTX is a runtime on the processor there (tests/backends/processor.py), whose builds go on until the test
lets them end.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

FOLDER = "PRETENDED_GPU"


@dataclass(frozen=True)
class PretendedGpu:
    """What a test and the programs tell each other, in a folder."""

    folder: Path

    def environ(self) -> dict[str, str]:
        """Give the environment in which every Python finds the GPU."""
        (self.folder / "sitecustomize.py").write_text("from tests import on_a_card\n\non_a_card.pretend()\n")
        return os.environ | {"PYTHONPATH": f"{self.folder}{os.pathsep}{ROOT}", FOLDER: str(self.folder)}

    def builder(self) -> int | None:
        """Give the process that began to build."""
        return next((int(path.name) for path in self.folder.glob("[0-9]*")), None)

    def let_builds_end(self) -> None:
        (self.folder / "end").touch()

    def build(self) -> None:
        """Tell who builds, and wait for `let_builds_end`."""
        (self.folder / str(os.getpid())).touch()
        while not (self.folder / "end").exists():
            time.sleep(0.02)


def pretend() -> None:
    """Have this process find the GPU."""
    from auroramon.backends import tensorrt
    from auroramon.errors import MissingPartError
    from tests.backends.processor import ProcessorRuntime

    gpu = PretendedGpu(Path(os.environ[FOLDER]))

    def opened(library: str) -> ProcessorRuntime:
        if library != "tensorrt_rtx":
            raise MissingPartError(f"the module {library} is not installed")
        return ProcessorRuntime(library, while_building=gpu.build)

    tensorrt.open_runtime = opened  # type: ignore[assignment]
