"""What a look into a folder finds out."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from auroramon.survey.survey import survey
from tests.skies import sky, write_png


def test_frames_without_a_header_are_cameras_by_folder_where_they_differ(tmp_path: Path) -> None:
    for name, size in (("north", 64), ("south", 96)):
        (tmp_path / name).mkdir()
        for seed in range(6):
            Image.fromarray(sky(seed, size)).save(tmp_path / name / f"20251221_2000{seed:02}.png")
    found = survey(tmp_path)
    assert {(camera.name, camera.folder.name, camera.files) for camera in found.cameras} == {
        ("north", "north", 6),
        ("south", "south", 6),
    }
    assert {camera.cadence_s for camera in found.cameras} == {1.0}


def test_a_linked_folder_keeps_the_name_by_which_run_and_backfill_know_it(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    for seed in range(4):
        write_png(tmp_path / "disk", seed)
    (tmp_path / "allsky").symlink_to("disk")
    found = survey(tmp_path / "allsky")
    assert found.folder == tmp_path / "allsky"
    assert [camera.folder for camera in found.cameras] == [tmp_path / "allsky"]


def test_a_disc_that_several_files_share_is_given(tmp_path: Path) -> None:
    for seed in range(8):
        write_png(tmp_path, seed)
    (camera,) = survey(tmp_path).cameras
    disc = camera.disc.disc
    assert disc is not None
    assert abs(disc.x - 32) < 1.5
    assert abs(disc.y - 32) < 1.5
    assert abs(disc.radius - 29) < 2


def test_discs_that_differ_are_not_averaged(tmp_path: Path) -> None:
    for seed in range(8):
        canvas = np.zeros((128, 128), dtype=np.uint8)
        corner = 60 * (seed % 2)
        canvas[corner : corner + 64, corner : corner + 64] = sky(seed)
        Image.fromarray(canvas).save(tmp_path / f"20251221_2000{seed:02}.png")
    (camera,) = survey(tmp_path).cameras
    assert camera.disc.disc is None


def test_folders_by_date_are_one_camera(tmp_path: Path) -> None:
    for day in ("2025-12-20", "2025-12-21"):
        (tmp_path / day).mkdir()
        for seed in range(3):
            write_png(tmp_path / day, seed)
    Image.fromarray(sky(0, 96)).save(tmp_path / "2025-12-21" / "20251221_220000_other_size.png")
    (camera,) = survey(tmp_path).cameras
    assert camera.folder == tmp_path
    assert any("several kinds" in note for note in camera.notes)


def test_times_that_come_too_irregularly_give_no_cadence(tmp_path: Path) -> None:
    for name in ("20251221_200000", "20251221_200003", "20251221_211500", "20251222_030000", "20251223_040000"):
        Image.fromarray(sky(1)).save(tmp_path / f"{name}.png")
    (camera,) = survey(tmp_path).cameras
    assert camera.cadence_s is None


def test_real_cameras_are_found_with_their_names_and_rhythm(real_data: Path, tmp_path: Path) -> None:
    for name in ("themis", "rainbow", "nascam"):
        shutil.copytree(real_data / name, tmp_path / name)
    found = {camera.name: (camera.frames_per_file, camera.cadence_s) for camera in survey(tmp_path).cameras}
    assert found["gill_themis19"] == (20, 3.0)
    assert found["rabb_rainbow-08"] == (10, 6.0)
    assert found["gako"] == (23, 3.0)
    assert found["gill_nascam-iccd02"][0] == 10
