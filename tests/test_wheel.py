"""What `pip install .` brings: everything that serving needs, and nothing of training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from auroramon.bundle import FLOAT32, INT8, default_bundle
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("wheel")
    words = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, "-m", *words], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_the_model_the_migrations_and_the_types(names: list[str]) -> None:
    model = f"auroramon/models/{default_bundle().name}"
    wanted = {f"{model}/{file.name}" for file in default_bundle().iterdir()}
    wanted |= {
        f"auroramon/store/migrations/versions/{file.name}"
        for file in (ROOT / "auroramon/store/migrations/versions").glob("*.py")
    }
    assert wanted | {"auroramon/py.typed", f"{model}/{FLOAT32}"} <= set(names)
    sizes = [(default_bundle() / name) for name in (FLOAT32, INT8)]
    assert sum(path.stat().st_size for path in sizes if path.exists()) <= 25_000_000


def test_the_wheel_holds_nothing_of_training_and_tests(names: list[str]) -> None:
    tops = {Path(name).parts[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"auroramon"}
