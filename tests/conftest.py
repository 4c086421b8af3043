"""What every test can ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import auroramon.backends  # noqa: F401 - before the first import of ONNX Runtime: it keeps it silent

ROOT = Path(__file__).resolve().parent.parent


def missing(what: str) -> None:
    """Skip a test whose program or data is not here; where everything is required, fail instead."""
    if os.environ.get("AURORAMON_REQUIRE") == "all":
        pytest.fail(f"AURORAMON_REQUIRE=all, but {what}")
    pytest.skip(what)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real frames of real cameras, with MANIFEST.csv."""
    folder = Path(os.environ.get("AURORAMON_REAL_DATA", ROOT / "../shared/real")).resolve()
    if not (folder / "MANIFEST.csv").exists():
        missing(f"the real frames are not in {folder} (set AURORAMON_REAL_DATA)")
    return folder
