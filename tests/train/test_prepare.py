"""Manifests from OATH, from folders, from a table and from the reviews of a station; the frames they name."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import png
import pytest
from click.testing import CliRunner

from auroramon.errors import ConfigError, FrameError
from auroramon.readers import read_frames
from auroramon.sky import sun_altitude
from auroramon.store.reviews import NewReview
from auroramon.store.store import open_store
from tests.readers.samples import fits
from tests.store.station import NOW, Station, labelled, record, stat
from tests.train.oath_folder import oath_manifest, write_oath
from train.commands import main
from train.manifest import read_manifest
from train.oath_layout import CROP, oath_rows, read_classes, read_permutations
from train.pool import pool_of


def command(*args: str | Path) -> str:
    result = CliRunner().invoke(main, [str(a) for a in args])
    assert result.exit_code == 0, result.output
    return result.output


def refused(*args: str | Path) -> str:
    result = CliRunner().invoke(main, [str(a) for a in args])
    assert result.exit_code in {1, 2}
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture(scope="module")
def oath(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_oath(tmp_path_factory.mktemp("oath") / "oath_v1.1", runs=12, length=2)


def test_oath_becomes_a_manifest_with_its_published_splits(oath: Path, tmp_path: Path) -> None:
    said = command("prepare", "oath", oath, "--to", tmp_path / "oath.csv")
    assert "24 frames" in said
    found = read_manifest(tmp_path / "oath.csv")
    orders = read_permutations(oath, 24)
    for split, order in enumerate(orders):
        assert [row.published[split] for row in found.rows].count("1") == 16
        assert all(found.rows[n].published[split] == "1" for n in order[:16])
    first = found.rows[0]
    assert (first.label, first.position, first.grey, first.simulated) == ("arc", 1.0, "green", False)
    assert first.disc is not None
    assert (first.disc.x, first.disc.radius) == (16.0, pytest.approx(16 / CROP, rel=1e-5))


def test_the_rotated_copies_can_be_taken_instead(oath: Path) -> None:
    rows = oath_rows(oath, rotated=True)
    assert all(Path(row.file).exists() and "cropped_scaled_rotated" in row.file for row in rows)


def test_the_published_tables_are_read_from_their_own_folder_too(oath: Path, tmp_path: Path) -> None:
    (tmp_path / "classifications").mkdir()
    for name in ("classifications.csv", "train_test_split.csv"):
        (tmp_path / "classifications" / name).write_bytes((oath / name).read_bytes())
    assert read_classes(tmp_path) == read_classes(oath)


def test_real_oath_images_are_read_in_sixteen_bits(real_data: Path, tmp_path: Path) -> None:
    (frame,) = read_frames(real_data / "oath" / "00001.png")
    assert frame.pixels.dtype == np.uint16
    assert frame.pixels.max(axis=(0, 1)).tolist()[::2] == [0, 0]
    assert len(np.unique(frame.pixels[..., 1])) > 256
    assert len(read_classes(real_data / "oath")) == 5824
    assert read_permutations(real_data / "oath", 5824).shape == (5, 5824)


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("classifications.csv", lambda text: text.replace("class2,", "class3,"), "is not the header"),
        ("classifications.csv", lambda text: text.replace(",arc,", ",arc,,", 1), "is no line of OATH v1.1"),
        ("classifications.csv", lambda text: text.replace("0,0,", "0,9,", 1), "is no line of OATH v1.1"),
        ("train_test_split.csv", lambda text: text.split("\n", 1)[0].replace("e+00", "e+01") + "\n", "once"),
        ("train_test_split.csv", lambda text: "one,two\n", "does not hold numbers only"),
        ("train_test_split.csv", None, "holds no train_test_split.csv"),
    ],
)
def test_a_folder_that_is_not_oath_is_refused(
    oath: Path, tmp_path: Path, name: str, change: object, sentence: str
) -> None:
    for table in ("classifications.csv", "train_test_split.csv"):
        (tmp_path / table).write_bytes((oath / table).read_bytes())
    if callable(change):
        (tmp_path / name).write_text(change((tmp_path / name).read_text()))
    else:
        (tmp_path / name).unlink()
    assert sentence in refused("prepare", "oath", tmp_path, "--to", tmp_path / "m.csv")


def test_a_copy_without_images_is_refused(oath: Path, tmp_path: Path) -> None:
    for table in ("classifications.csv", "train_test_split.csv"):
        (tmp_path / table).write_bytes((oath / table).read_bytes())
    assert "is not there: is" in refused("prepare", "oath", tmp_path, "--to", tmp_path / "m.csv")


def write_grey(path: Path, value: int, side: int = 24) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        png.Writer(side, side, greyscale=True, bitdepth=8).write(file, [[value] * side] * side)


def test_folders_named_by_class_give_camera_and_night_where_the_files_tell(tmp_path: Path) -> None:
    write_grey(tmp_path / "f/arc/20260131_231500_tro_cam1.png", 10)
    write_grey(tmp_path / "f/arc/20260201_011500_tro_cam1.png", 20)
    write_grey(tmp_path / "f/NoAurora/quiet.png", 30)
    write_grey(tmp_path / "f/unknown/frost.png", 40)
    command("prepare", "folders", tmp_path / "f", "--to", tmp_path / "m.csv")
    rows = read_manifest(tmp_path / "m.csv").rows
    assert [row.label for row in rows] == ["clear", "arc", "arc", "unknown"]
    assert [row.night for row in rows] == ["", "2026-01-31", "2026-01-31", ""]
    assert rows[2].position is not None
    assert rows[1].position is not None
    assert rows[2].position - rows[1].position == 7200
    # The settings of the camera whose folder they lie in are theirs, as in serving
    (tmp_path / "auroramon.toml").write_text(
        f'[[camera]]\nname = "tro"\nfolder = "{tmp_path / "f"}"\nlongitude = 19.0\nlatitude = 69.6\n'
        "disc = { x = 12.0, y = 12.0, radius = 10.0 }\n"
    )
    command("prepare", "folders", tmp_path / "f", "--to", tmp_path / "m.csv", "-c", tmp_path / "auroramon.toml")
    rows = read_manifest(tmp_path / "m.csv").rows
    assert {row.camera for row in rows} == {"tro"}
    assert all(row.disc is not None and row.disc.radius == 10.0 for row in rows)
    assert [row.sun is None for row in rows] == [True, False, False, True]
    write_grey(tmp_path / "f/aurora/x.png", 40)
    assert "no label has this name" in refused("prepare", "folders", tmp_path / "f", "--to", tmp_path / "m.csv")


def test_all_files_that_cannot_be_read_are_named_with_their_folders(tmp_path: Path) -> None:
    write_grey(tmp_path / "f/arc/a.png", 10)
    (tmp_path / "f/arc/b.png").write_bytes((tmp_path / "f/arc/a.png").read_bytes()[:40])
    (tmp_path / "f/moon").mkdir()
    (tmp_path / "f/moon/c.png").write_bytes(b"")
    said = refused("prepare", "folders", tmp_path / "f", "--to", tmp_path / "m.csv")
    assert "2 files cannot be read: move them away" in said
    assert f"{tmp_path}/f/arc/b.png: " in said
    assert f"{tmp_path}/f/moon/c.png: " in said
    assert not (tmp_path / "m.csv").exists()
    (tmp_path / "m.csv").write_text("file,label\nf/arc/b.png,arc\n")
    with pytest.raises(FrameError, match=f"{tmp_path}/f/arc/b.png: "):
        pool_of(tmp_path, read_manifest(tmp_path / "m.csv"), False, lambda *_: None)
    (tmp_path / "loose").mkdir()
    write_grey(tmp_path / "loose/a.png", 10)
    assert "holds no frames in folders that are named by a class (arc, " in refused(
        "prepare", "folders", tmp_path / "loose", "--to", tmp_path / "n.csv"
    )


def test_a_table_may_name_times_and_cameras_of_a_configuration(tmp_path: Path) -> None:
    config = tmp_path / "auroramon.toml"
    config.write_text(
        '[[camera]]\nname = "tro"\nfolder = "frames"\nlongitude = 19.0\nlatitude = 69.6\n'
        "disc = { x = 12.0, y = 12.0, radius = 10.0 }\n"
    )
    (tmp_path / "labels.csv").write_text(
        "file,label,camera,time\na.png,Arc,tro,2026-01-31T23:00:00Z\nb.png,no aurora,,2026-02-01T13:00:00\n"
        "frames/c.png,moon,,\n"
    )
    command("prepare", "table", tmp_path / "labels.csv", "--to", tmp_path / "m.csv", "-c", config)
    first, second, third = read_manifest(tmp_path / "m.csv").rows
    assert (second.camera, third.camera) == ("default", "tro"), "of the camera whose folder it lies in"
    assert (first.label, first.camera, first.night) == ("arc", "tro", "2026-01-31")
    assert first.disc is not None
    assert first.disc.radius == 10.0
    assert first.position == datetime(2026, 1, 31, 23, tzinfo=UTC).timestamp()
    assert (second.label, second.night, second.disc) == ("clear", "2026-02-01", None)
    assert first.sun == pytest.approx(sun_altitude(datetime(2026, 1, 31, 23, tzinfo=UTC), 69.6, 19.0), abs=1e-3)
    assert first.moon is not None
    assert second.sun is None, "no place, no Sun"
    (tmp_path / "labels.csv").write_text("file,label,time\na.png,arc,yesterday\n")
    assert "labels.csv, line 2: Invalid isoformat" in refused(
        "prepare", "table", tmp_path / "labels.csv", "--to", tmp_path / "m.csv"
    )


def test_what_a_table_holds_besides_is_told_for_it_may_be_mistyped(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,label,nigth,note\na.png,arc,2026-01-31,fine\n")
    said = command("prepare", "table", tmp_path / "labels.csv", "--to", tmp_path / "m.csv")
    assert "not read, because no manifest has such a column: nigth, note" in said
    (tmp_path / "labels.csv").write_bytes("file,label\nÅ.png,arc\n".encode("latin-1"))
    assert "labels.csv is no CSV file in UTF-8" in refused(
        "prepare", "table", tmp_path / "labels.csv", "--to", tmp_path / "m.csv"
    )


def test_where_nothing_can_be_written_it_is_said_in_one_sentence(tmp_path: Path) -> None:
    write_grey(tmp_path / "f/arc/a.png", 10)
    (tmp_path / "taken").write_text("a file, and no folder")
    said = refused("prepare", "folders", tmp_path / "f", "--to", tmp_path / "taken" / "m.csv")
    assert "taken cannot be read or written" in said


def test_the_reviews_of_a_station_become_a_manifest(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'labels.sqlite'}"
    with closing(open_store(url)) as store:
        station = Station(store)
        files = [stat("a.png"), stat("b.png"), stat("c.png")]
        for number, file in enumerate(files):
            station.commit(labelled(file, record(file.path, time=NOW + timedelta(minutes=number), label="cloudy")))
        for file, label in zip(files, ("arc", "clear"), strict=False):
            (frame,) = store.frames_of_file(file.path)
            store.add_reviews([NewReview(frame, label, "Kirsi")], NOW)
    command("prepare", "reviews", url, "--to", tmp_path / "m.csv")
    rows = read_manifest(tmp_path / "m.csv").rows
    assert [(Path(row.file).name, row.label, row.camera) for row in rows] == [
        ("a.png", "arc", "kiruna"), ("b.png", "clear", "kiruna"),
    ]  # fmt: skip
    assert rows[1].position == NOW.timestamp() + 60
    assert rows[0].night == "2026-01-31"
    with closing(open_store(url)) as store:
        (frame,) = store.frames_of_file(files[2].path)
        store.add_reviews([NewReview(frame, "picket fence", "Kirsi")], NOW)
    assert "new classes are for `auroramon refit`" in refused("prepare", "reviews", url, "--to", tmp_path / "m.csv")
    assert "no.sqlite" in refused("prepare", "reviews", f"sqlite:///{tmp_path}/no.sqlite", "--to", tmp_path / "m.csv")


def test_pixels_come_through_the_readers_and_a_missing_frame_is_named(oath: Path, tmp_path: Path) -> None:
    manifest = oath_manifest(oath, tmp_path / "oath.csv")
    done = []
    pool = pool_of(tmp_path, manifest, False, lambda at, total: done.append((at, total)))
    assert done[-1] == (24, 24)
    (frame,) = read_frames(Path(manifest.rows[7].file))
    np.testing.assert_array_equal(pool.pixels(32, 32, 1)[pool.places[7]], frame.pixels[..., 1])
    again = pool_of(tmp_path, manifest, False, lambda at, total: done.append((at, total)))
    assert again.digest == pool.digest
    assert len(done) == 24
    (tmp_path / "m.csv").write_text(f"file,label,index\n{manifest.rows[0].file},arc,3\n")
    with pytest.raises(ConfigError, match="has no frame 3, which"):
        pool_of(tmp_path, read_manifest(tmp_path / "m.csv"), False, lambda *_: None)
    (tmp_path / "m.csv").write_text("file,label\nnowhere.png,arc\n")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        pool_of(tmp_path, read_manifest(tmp_path / "m.csv"), False, lambda *_: None)


@pytest.mark.parametrize(
    ("kind", "factor"), [(np.float32, 1e-30), (np.float64, 1.0), (np.float32, 1e9), (np.uint32, 1e6)]
)
def test_counts_that_sixteen_bits_do_not_hold_are_scaled(kind: type, factor: float, tmp_path: Path) -> None:
    """They had been cut off at 65535, or rounded to nothing: black frames to learn from."""
    pixels = (np.random.default_rng(1).uniform(0.1, 1, (32, 32)) * factor).astype(kind)
    (tmp_path / "a.fits").write_bytes(fits(pixels, {"DATE-OBS": "2026-01-31T20:00:00"}))
    (tmp_path / "m.csv").write_text("file,label\na.fits,arc\n")
    pool = pool_of(tmp_path, read_manifest(tmp_path / "m.csv"), False, lambda *_: None)
    kept = pool.pixels(32, 32, 1)[0]
    np.testing.assert_allclose(kept / 65535, pixels / pixels.max(), atol=1e-4)
