"""Heads are compared side by side; one that cannot be fitted says why and spoils nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner

from train.backbones import build_embedder
from train.commands import main
from train.frames import CameraFrames, read_split, write_camera
from train.heads import compare_heads
from train.runfile import ManifestTable, Run
from train.simulate import NOTE


def test_a_head_that_cannot_be_fitted_says_so_beside_the_others(run: Run, frames: Path) -> None:
    """Two frames of a class that are copies have no spread of their own: no covariance for each class."""
    (camera,) = read_split(frames, "heads").cameras
    first = [int(np.flatnonzero(camera.targets == k)[0 if k == 0 else n]) for k in range(6) for n in range(2)]
    write_camera(frames / "heads" / camera.camera, CameraFrames(
        camera=camera.camera, pixels=np.array(camera.pixels[first]), targets=camera.targets[first],
        discs=camera.discs[first], groups=np.arange(12),
    ))  # fmt: skip
    net = build_embedder(run.network.backbone, len(run.preprocess.channels), run.network.width).eval()
    lines = [line for line in compare_heads(run, net, frames).splitlines() if "| heads |" in line]
    said = [line for line in lines if line.startswith("| mahalanobis, class ")]
    assert len(said) == 1
    assert "cannot be fitted: a precision is not positive definite" in said[0]
    assert any(line.startswith("| ridge ") and "cannot" not in line for line in lines)


def test_a_run_of_a_manifest_simulates_nothing(run: Run, run_file: Path, tmp_path: Path) -> None:
    table = ManifestTable(manifest=Path("m.csv"), split="blocks", seed=1, part=0, parts=3, block=4, gap=1)
    listed = run.model_copy(update={"data": table})
    text = run_file.read_text()
    begun, ended = text.index("[data]"), text.index("[preprocess]")
    keys = "\n".join(
        f"{key} = {value!r}".replace("'", '"') for key, value in listed.data.model_dump(mode="json").items()
    )
    run_file.write_text(f"{text[:begun]}[data]\n{keys}\n{text[ended:]}")
    said = CliRunner().invoke(main, ["simulate", str(run_file), "--work", str(tmp_path / "work")])
    assert said.exit_code == 2
    assert "reads a manifest" in said.output
    assert not (tmp_path / "work" / listed.name / NOTE).exists()
