"""`auroramon backfill` and `classify`: every file accounted for, and the same labels as live."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from auroramon.bundle import Sides
from tests.daemon import AURORAMON, account, daemon, labels, run, settled, stop, wait_until, write_config
from tests.skies import START, stack, write_png
from tests.tiny import write_tiny_bundle


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny").folder


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two nights of images, a minute, and two bad files."""
    folder = tmp_path / "archive"
    folder.mkdir()
    for seed in (*range(5), *range(40_000, 40_005)):
        write_png(folder, seed)
    (folder / "20251222_1000_test_themis99_full.pgm.gz").write_bytes(stack(range(20)))
    (folder / "empty.png").touch()
    (folder / "rubbish.jpg").write_bytes(b"rubbish")
    (folder / "notes.txt").write_text("not offered")
    return folder


def test_every_file_is_in_the_final_account_and_the_second_run_finds_nothing_to_do(
    tiny: Path, archive: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, tiny)
    first = json.loads(run("backfill", archive, "-c", config, "--json").stdout)
    assert (first["listed"], first["labelled"], first["quarantined"], first["left"]) == (13, 11, 2, 0)
    assert first["frames"] == 30
    again = json.loads(run("backfill", archive, "-c", config, "--json").stdout)
    assert (again["listed"], again["known"], again["labelled"], again["frames"]) == (13, 13, 0, 0)
    reasons = run("quarantine", "list", "-c", config).stdout
    assert "empty" in reasons
    assert "rubbish" in reasons


def test_live_and_backfill_give_the_same_labels_to_the_last_bit(tiny: Path, archive: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    run("backfill", archive, "-c", config)
    backfilled = labels(f"sqlite:///{tmp_path / 'labels.db'}")
    station = tmp_path / "station"
    station.mkdir()
    live = write_config(station, tiny)
    with daemon(live) as process:
        for file in sorted(archive.iterdir()):
            (station / "in" / file.name).write_bytes(file.read_bytes())
        url = f"sqlite:///{station / 'labels.db'}"
        wait_until(lambda: settled(url, 13), "all is labelled live")
        stop(process)
    seen = labels(url)
    assert seen.keys() == backfilled.keys()
    assert {k: v[1:] for k, v in seen.items()} == {k: v[1:] for k, v in backfilled.items()}


def test_a_copy_whose_original_was_rewritten_is_left_for_the_next_call_and_that_is_said(
    tiny: Path, tmp_path: Path
) -> None:
    """It had been passed over as known: with exit code 0 its frames were gone until somebody happened to call again."""
    config = write_config(tmp_path, tiny)
    archive = tmp_path / "archive"
    archive.mkdir()
    original = archive / "20251222_1000_a_themis99_full.pgm.gz"
    original.write_bytes(stack(range(3)))
    (archive / "20251222_1000_b_themis99_full.pgm.gz").write_bytes(stack(range(3)))
    run("backfill", archive, "-c", config)
    original.write_bytes(stack(range(5), START))
    done = run("backfill", archive, "-c", config, check=False)
    assert done.returncode == 1
    assert "copies of files that were rewritten, to be done again: 1\n1 file not done: call" in done.stdout
    assert run("backfill", archive, "-c", config).stdout.startswith("2 files: 1 labelled, 1 known; 3 frames")
    assert len(labels(f"sqlite:///{tmp_path / 'labels.db'}")) == 8


def test_a_dry_run_counts_and_makes_no_database(tiny: Path, archive: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    said = run("backfill", archive, "-c", config, "--dry-run").stdout
    assert said.startswith("13 of 13 files would be labelled")
    assert not (tmp_path / "labels.db").exists()
    run("backfill", archive, "-c", config)
    (archive / "empty.png").write_bytes((archive / "rubbish.jpg").read_bytes())  # rewritten: wanted again
    told = json.loads(run("backfill", archive, "-c", config, "--dry-run", "--json").stdout)
    assert told == {"listed": 13, "wanted": 1, "bytes": 7, "listed_all": True, "waiting_for": {}}


def test_a_dry_run_says_which_library_files_would_wait_for(tiny: Path, archive: Path, tmp_path: Path) -> None:
    for name in ("20251221_2000_x.h5", "20251221_2001_x.hdf5"):
        (archive / name).write_bytes(b"")
    words = ["auroramon", "backfill", str(archive), "--dry-run", "-c", str(write_config(tmp_path, tiny))]
    lacking = f"import sys; sys.modules['h5py'] = None; sys.argv = {words!r}; from auroramon.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", lacking], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("15 of 15 files would be labelled")
    assert "2 of them (.h5, .hdf5) would wait for a library: pip install 'auroramon[hdf5]'\n" in done.stdout


def test_a_named_file_that_is_passed_over_is_said(tiny: Path, archive: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    done = run("backfill", archive / "notes.txt", "-c", config, "--dry-run")
    assert done.stdout.startswith("0 of 0 files")
    assert f"{archive / 'notes.txt'} is passed over: its name is that of no format" in done.stderr


def test_a_confidence_is_not_shown_for_a_label_that_was_denied(tmp_path: Path) -> None:
    strict = write_tiny_bundle(tmp_path / "strict", threshold=1e-6).folder
    minute = tmp_path / "20251222_1000_test_themis99_full.pgm.gz"
    minute.write_bytes(stack(range(3)))
    rows = list(csv.DictReader(io.StringIO(run("classify", "--csv", "--model", strict, minute).stdout)))
    assert [row["label"] for row in rows] == ["unknown"] * 3
    assert all(float(row["confidence"]) > 0 for row in rows)
    assert "%" not in run("classify", "--model", strict, minute).stdout
    config = write_config(tmp_path, strict)
    run("backfill", minute, "-c", config)
    shown = run("labels", "-c", config).stdout
    assert shown.count("unknown") == 3
    assert "%" not in shown


def test_since_and_until_choose_by_the_time_of_the_frames(tiny: Path, archive: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    run("backfill", archive, "-c", config, "--since", "2025-12-22T09:30", "--until", "2025-12-22T12:00")
    assert {path for path, _ in labels(url)} == {"20251222_1000_test_themis99_full.pgm.gz"}
    run("backfill", archive, "-c", config, "--until", "2025-12-22")
    assert len(labels(url)) == 25


def test_another_model_adds_its_labels_from_the_stored_embeddings(tiny: Path, archive: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    run("backfill", archive, "-c", config)
    second = write_tiny_bundle(tmp_path / "second", name="second", seed=7)
    for file in archive.glob("2025*"):
        file.unlink()  # no image is read again
    done = json.loads(run("backfill", archive, "-c", config, "--model", second.folder, "--json").stdout)
    assert done["relabelled"] == 30
    said = labels(f"sqlite:///{tmp_path / 'labels.db'}")
    assert len(said) == 30


def test_a_model_that_looks_from_more_sides_reads_the_images_again(tiny: Path, archive: Path, tmp_path: Path) -> None:
    """Its network is the same, but an embedding that was looked at once is not one of its own."""
    config = write_config(tmp_path, tiny)
    run("backfill", archive, "-c", config)
    sides = write_tiny_bundle(tmp_path / "sides", name="sides", sides=Sides(near=1e6, count=4, part=1.0)).folder
    done = json.loads(run("backfill", archive, "-c", config, "--model", sides, "--json").stdout)
    assert (done["relabelled"], done["frames"]) == (0, 30)
    run("model", "promote", "sides", "-c", config)
    (tmp_path / "fresh").mkdir()
    fresh = write_config(tmp_path / "fresh", sides)
    run("backfill", archive, "-c", fresh)
    assert labels(f"sqlite:///{tmp_path / 'labels.db'}") == labels(f"sqlite:///{tmp_path / 'fresh' / 'labels.db'}")


def test_wrong_usage_is_exit_code_2(tiny: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    for words in (
        ["backfill"],
        ["backfill", "/no/such/folder", "-c", str(config)],
        ["backfill", ".", "--workers", "x"],
        ["backfill", ".", "--workers", "²"],
        ["backfill", ".", "--workers", "0"],
    ):
        done = run(*words, check=False)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr


def test_quarantine_retry_gives_a_mended_file_its_label(tiny: Path, archive: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    run("backfill", archive, "-c", config)
    run("quarantine", "retry", "--all", "-c", config)
    now = account(f"sqlite:///{tmp_path / 'labels.db'}")
    assert now is not None
    assert (now.pending, now.quarantined) == (2, 0)
    again = json.loads(run("backfill", archive, "-c", config, "--json").stdout)
    assert again["quarantined"] == 2


def test_classify_prints_a_line_a_frame_and_fails_for_a_file_without_any(tiny: Path, archive: Path) -> None:
    minute = archive / "20251222_1000_test_themis99_full.pgm.gz"
    done = run("classify", "--csv", "--model", tiny, minute, archive / "rubbish.jpg", archive / "gone.png", check=False)
    assert done.returncode == 1
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert list(rows[0]) == [
        "path", "index", "time", "camera", "label", "confidence", "distance",
        "score_arc", "score_diffuse", "score_discrete", "score_cloudy", "score_moon", "score_clear",
    ]  # fmt: skip
    assert [int(row["index"]) for row in rows] == list(range(20))
    assert {row["path"] for row in rows} == {str(minute)}
    assert done.stderr.count("\n") == 2
    assert "rubbish.jpg" in done.stderr
    assert "gone.png" in done.stderr


def test_classify_says_of_a_file_in_a_cameras_folder_what_the_database_says(tiny: Path, tmp_path: Path) -> None:
    config = write_config(tmp_path, tiny)
    # A disc and a position that no defaults have: the label is that of this camera or another one.
    own = 'name = "test"\nlatitude = 67.84\nlongitude = 20.41\ndisc = {x = 40, y = 44, radius = 25}'
    config.write_text(config.read_text().replace('name = "test"', own))
    night, noon = write_png(tmp_path / "in", 1), write_png(tmp_path / "in", 17_000)
    run("backfill", tmp_path / "in", "-c", config)
    stored = labels(f"sqlite:///{tmp_path / 'labels.db'}")
    given = [os.path.relpath(file) for file in (night, noon)]
    said = [json.loads(line) for line in run("classify", "--json", "-c", config, *given).stdout.splitlines()]
    assert [record["path"] for record in said] == given
    assert "daylight" in said[1]["reason"]
    for record in said:
        camera, _, label, confidence, _, _, reason = stored[Path(record["path"]).name, 0]
        assert (record["camera"], record["label"], record["reason"]) == (camera, label, reason)
        assert record["confidence"] == pytest.approx(confidence, abs=1e-6)


def test_the_patterns_of_a_camera_hold_in_its_archive_too(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    write_png(folder, 1).rename(folder / "one_full.png")
    write_png(folder, 2).rename(folder / "two_wide.png")
    write_png(folder, 3).rename(folder / "three_full.frame")
    (tmp_path / "elsewhere").mkdir()
    write_png(tmp_path / "elsewhere", 4).rename(tmp_path / "elsewhere" / "four_wide.png")
    config = write_config(tmp_path, tiny)
    config.write_text(config.read_text().replace('name = "test"', 'name = "test"\npatterns = ["*_full.*"]'))
    run("backfill", folder, tmp_path / "elsewhere", "-c", config)
    said = labels(f"sqlite:///{tmp_path / 'labels.db'}")
    assert {(path, row[0]) for (path, _), row in said.items()} == {
        ("one_full.png", "test"), ("four_wide.png", "default"),
    }  # fmt: skip
    assert "three_full.frame" in run("quarantine", "list", "-c", config).stdout  # asked for, and no format of ours


def test_a_link_to_itself_hides_no_other_file(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for seed in range(30):
        write_png(folder, seed)
        (folder / f"loop{seed}.png").symlink_to(f"loop{seed}.png")
    config = write_config(tmp_path, tiny)
    done = run("backfill", folder, "-c", config, "--json", check=False)
    assert json.loads(done.stdout)["labelled"] == 30
    assert "loop3.png" in done.stderr
    assert done.returncode == 1  # something was there that could not be looked at


def test_a_second_backfill_does_not_call_unfinished_files_done(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    mask = tmp_path / "mask.png"
    Image.new("L", (5, 5), 255).save(mask)
    write_png(folder, 1)
    config = write_config(tmp_path, tiny)
    config.write_text(
        config.read_text().replace('name = "test"', f'name = "test"\nmask = "{mask}"').replace("/in", "/frames")
    )
    for _ in range(2):
        done = run("backfill", folder, "-c", config, "--json", check=False)
        said = json.loads(done.stdout)
        assert (done.returncode, said["not_ready"], said["known"], said["left"]) == (1, 1, 0, 1)


def test_ctrl_c_blames_no_file_and_the_next_run_goes_on(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for seed in range(400):
        write_png(folder, seed)
    config = write_config(tmp_path, tiny)
    url = f"sqlite:///{tmp_path / 'labels.db'}"
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        words = (*AURORAMON, "backfill", str(folder), "-c", str(config), "--workers", "3", "--json")
        process = subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, before)
    wait_until(lambda: (now := account(url)) is not None and now.seen > 0, "the first batch is claimed")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too, while they start
    out, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"crashed" not in log
    assert b"Traceback" not in log
    told = json.loads(out)
    assert told["left"] == told["listed"] - told["labelled"], "a file that was found and not done is called left"
    if told["listed_all"]:
        assert told["listed"] == 400
        assert told["left"] > 0
    again = json.loads(run("backfill", folder, "-c", config, "--json").stdout)
    assert (again["left"], again["listed"], again["listed_all"]) == (0, 400, True)
    assert len(labels(url)) == 400
