"""A bundle is judged by day as it serves by day, where the Sun of a frame is known."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from auroramon.bundle import default_bundle, load_bundle
from auroramon.cameras import Cameras
from auroramon.config import CameraSettings
from auroramon.gates import daylight
from auroramon.sim.camera import random_camera
from auroramon.sim.sky import random_sky
from auroramon.types import LABELS
from train.commands import main
from train.daylight import refused_by_day
from train.embed import graph_embed
from train.judged import judge, subject_of_manifest


@pytest.fixture
def day_and_night(tmp_path: Path) -> Path:
    """A list of 13 frames of camera `hut`: the Sun at -12 to 4 degrees, and not known of the last three."""
    rng = np.random.default_rng(2)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label", "camera", "sun"])
        for n in range(13):
            sky = np.clip(rng.normal(40, 6, (64, 64)) + 3 * np.mgrid[:64, :64][n % 2], 0, 255).astype(np.uint8)
            Image.fromarray(sky).save(tmp_path / f"{n}.png")
            rows.writerow([f"{n}.png", LABELS[n % 6], "hut", -12 + 2 * n if n < 10 else ""])
    return tmp_path / "labels.csv"


def reasons_of(path: Path, cameras: Cameras | None = None) -> list[str]:
    subject = subject_of_manifest(path, path.parent / "work", False, lambda *_: None)
    bundle = load_bundle(default_bundle())
    embed = graph_embed(bundle.graph("float32"), 1)
    return list(refused_by_day(judge(subject, bundle, "float32", embed), cameras or Cameras()).gated)


def test_frames_by_day_are_refused_as_in_serving_where_the_sun_is_known(day_and_night: Path) -> None:
    found = reasons_of(day_and_night)
    limit = CameraSettings(name="hut").sun_below_deg
    assert limit == 6.0
    assert found[:4] == [""] * 4, "-12 to -6 degrees: dark enough"
    assert found[4:10] == [daylight(-12 + 2.0 * n, limit) for n in range(4, 10)]
    assert all(reason.startswith("daylight: ") for reason in found[4:10])
    assert found[10:] == [""] * 3, "where the Sun is not known, nothing changes"


def test_a_camera_that_counts_only_in_deeper_night_is_judged_so(day_and_night: Path) -> None:
    hut = CameraSettings(name="hut", sun_below_deg=9)
    found = reasons_of(day_and_night, Cameras((hut,)))
    assert [bool(reason) for reason in found] == [False] * 2 + [True] * 8 + [False] * 3


def test_it_is_said_of_how_many_frames_the_sun_is_not_known(day_and_night: Path, tmp_path: Path) -> None:
    given = ["evaluate", *map(str, [day_and_night, default_bundle(), "--work", tmp_path / "work"])]
    found = CliRunner().invoke(main, [*given, "--report", str(tmp_path / "out")])
    assert found.exit_code == 0, found.output
    assert "did not see 3 of 13 frames" in found.stdout
    assert "did not see 3 of 13 frames" in (tmp_path / "out" / "report.html").read_text()
    values = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (values["without_sun"], values["frames"]) == (3, 13)
    assert values["gated"] == pytest.approx(6 / 13)

    settings = tmp_path / "auroramon.toml"
    settings.write_text('[[camera]]\nname = "hut"\nsun_below_deg = 9\n')
    strict = json.loads(CliRunner().invoke(main, [*given, "--json", "-c", str(settings)]).stdout)
    assert strict["gated"] == pytest.approx(8 / 13)
    without = CliRunner().invoke(main, [*given, "--no-gates"])
    assert "No gate was asked." in without.stdout
    without = json.loads(CliRunner().invoke(main, [*given, "--no-gates", "--json"]).stdout)
    assert (without["gated"], without["without_sun"]) == (0, None)


def test_no_simulated_sky_is_refused_by_the_sun() -> None:
    """So the figures on simulated cameras mean what they meant before that gate was asked."""
    camera = random_camera(np.random.default_rng(3), "one")
    suns = [random_sky(np.random.default_rng(seed), camera).sun_altitude_deg for seed in range(400)]
    limit = CameraSettings(name="one").sun_below_deg
    assert -19 < max(suns) < -limit, "some are of a dawn, none of a day"
    assert not any(daylight(sun, limit) for sun in suns)
