"""init and config: from a folder of frames to settings that can be trusted."""

from __future__ import annotations

import gzip
import json
import sys
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from auroramon.config import load_settings
from tests.cli.conftest import Command, Winter
from tests.daemon import run
from tests.skies import START, stack, write_png
from tests.tiny import write_tiny_bundle


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    monkeypatch.setenv("AURORAMON_MODEL__PATH", str(bundle.folder))
    return bundle.folder


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    for seed in range(12):
        write_png(folder, seed)
    return folder


def test_init_writes_settings_that_config_check_passes(auroramon: Command, frames: Path, tiny: Path) -> None:
    before = sorted(frames.iterdir())
    said = auroramon("init", frames)
    assert said.code == 0
    assert "12 files" in said.out
    assert "image, 8 bit grey, 64x64 pixels, one frame a file" in said.out
    assert "cadence 3 s" in said.out
    assert sorted(frames.iterdir()) == before
    (camera,) = load_settings(Path("auroramon.toml")).camera
    assert (camera.name, camera.folder, camera.cadence_s) == ("frames", frames, 3.0)
    checked = auroramon("config", "check")
    assert checked.code == 0
    assert "error" not in checked.out
    assert "ok     model: tiny runs on onnx" in checked.out


def test_init_names_cameras_after_their_headers_and_keeps_them_apart(auroramon: Command, tmp_path: Path) -> None:
    for imager in ("themis99", "themis98"):
        for minute in range(3):
            start = START + timedelta(minutes=minute)
            folder = tmp_path / "data" / f"{start:%Y/%m/%d}"
            folder.mkdir(parents=True, exist_ok=True)
            raw = gzip.decompress(stack(range(4), start)).replace(b"themis99", imager.encode())
            (folder / f"{start:%Y%m%d_%H%M}_test_{imager}_full.pgm.gz").write_bytes(gzip.compress(raw))
    assert auroramon("init", "data", "-o", "two.toml").code == 0
    cameras = {camera.name: camera for camera in load_settings(Path("two.toml")).camera}
    assert set(cameras) == {"test_themis98", "test_themis99"}
    assert cameras["test_themis98"].patterns == ("*test_themis98*.pgm.gz",)
    assert cameras["test_themis98"].cadence_s == 3.0


def test_init_does_not_write_over_a_configuration(auroramon: Command, frames: Path) -> None:
    Path("auroramon.toml").write_text("# mine\n")
    said = auroramon("init", frames)
    assert said.code == 2
    assert "--force" in said.err
    assert Path("auroramon.toml").read_text() == "# mine\n"
    assert auroramon("init", frames, "--force").code == 0
    assert Path("auroramon.toml").read_text() != "# mine\n"


def test_init_of_an_empty_folder_gives_a_camera_to_fill_in(auroramon: Command, tmp_path: Path) -> None:
    (tmp_path / "new camera").mkdir()
    assert auroramon("init", "new camera").code == 0
    (camera,) = load_settings(Path("auroramon.toml")).camera
    assert (camera.name, camera.folder) == ("new-camera", tmp_path / "new camera")


def test_init_says_which_files_gave_nothing(auroramon: Command, frames: Path) -> None:
    (frames / "20251221_210000_test.png").write_bytes(b"no image")
    said = auroramon("init", frames)
    assert said.code == 0
    assert "1 file gave nothing" in said.out
    assert "20251221_210000_test.png" in said.out


def test_init_writes_down_which_formats_gave_nothing_and_which_library_is_missing(
    auroramon: Command, frames: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)  # as if it were not installed
    for name in ("20251221_2000_x.h5", "20251221_2001_x.h5"):
        (frames / name).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    (frames / "20251221_200000\x01.img").write_bytes(b"nothing")
    said = auroramon("init", frames)
    assert said.code == 0
    written = Path("auroramon.toml").read_text()
    tomllib.loads(written)
    for text in (said.out, written.replace("\n# ", " ")):
        assert "2 files .h5: none that was looked at gave a frame, because a library is missing" in text
        assert "pip install 'auroramon[hdf5]'" in text
        assert "1 file .img: none that was looked at gave a frame: " in text


def test_config_show_is_toml_and_says_where_a_value_is_from(
    auroramon: Command, winter: Winter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AURORAMON_WATCH__SETTLE_S", "7")
    said = auroramon("config", "show", "-c", winter.config)
    assert said.code == 0
    values = tomllib.loads(said.out)
    assert values["camera"][0]["name"] == "kiruna"
    assert values["watch"]["settle_s"] == 7.0
    lines = {line.split(" =")[0]: line for line in said.out.splitlines()}
    assert lines["settle_s"].endswith("# AURORAMON_WATCH__SETTLE_S")
    assert lines["url"].endswith("# file")
    assert lines["level"].endswith("# default")


@pytest.mark.parametrize(
    "url", ["postgresql://me:sec@ret@host/db", "postgresql://me@host/db?password=sec%40ret&sslmode=require"]
)
def test_config_show_hides_passwords(auroramon: Command, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AURORAMON_DATABASE__URL", url)
    for words in ([], ["--json"]):
        said = auroramon("config", "show", *words)
        assert said.code == 0
        assert "sec" not in said.out
        assert "host/db" in said.out


def test_config_show_as_json(auroramon: Command, winter: Winter) -> None:
    told = json.loads(auroramon("config", "show", "-c", winter.config, "--json").out)
    assert told["file"] == str(winter.config)
    assert told["settings"]["server"]["listen"] == ""
    assert told["database_url"] == winter.url


def test_config_check_names_what_is_wrong_and_ends_with_two(auroramon: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Path("bad.toml").write_text(
        '[[camera]]\nname = "a"\nfolder = "file"\ntime_pattern = "%Y%Q"\n'
        '[[camera]]\nname = "b"\nfolder = "away"\nmask = "no.png"\nlatitude = 67\nlongitude = 20\n'
        '[[camera]]\nname = "c"\nfolder = "away"\npatterns = ["../x"]\n'
        '[[camera]]\nname = "d"\nfolder = "away"\n'
        '[database]\nurl = "sqlite:///bad.toml"\n[model]\npath = "away"\n'
    )
    said = auroramon("config", "check", "-c", "bad.toml", "--json")
    assert said.code == 2
    errors = {f"{f['about']}: {f['sentence']}" for f in json.loads(said.out) if f["level"] == "error"}
    parts = (
        "file is no folder", "'%Q' is unknown", "no.png: there is no such file", "'../x'", "no model bundle",
        "camera d: has the folder and the patterns of camera b", f"database: {Path('bad.toml').resolve()}",
    )  # fmt: skip
    for part in parts:
        assert any(part in error for error in errors), part
    notes = [f["sentence"] for f in json.loads(said.out) if f["level"] == "note"]
    assert any("has no cadence_s" in note for note in notes)
    assert any("`run` will wait" in note for note in notes)


def test_a_broker_without_the_library_for_it_is_said_before_the_night(
    auroramon: Command, tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("told.toml").write_text(
        f'[[camera]]\nname = "a"\nfolder = "{tmp_path}"\n[database]\nurl = "sqlite:///new.db"\n'
        '[events]\nmqtt = "mqtt://broker/aurora"\n'
    )
    assert "ok     events: the library for MQTT is there" in auroramon("config", "check", "-c", "told.toml").out
    monkeypatch.setitem(sys.modules, "paho.mqtt.enums", None)  # as if it were not installed
    checked = auroramon("config", "check", "-c", "told.toml")
    assert checked.code == 2
    assert "error  events: MQTT needs its library: pip install 'auroramon[mqtt]'" in checked.out
    lines = json.loads(auroramon("doctor", "-c", "told.toml", "--json").out)
    (line,) = (line for line in lines if line["about"] == "events")
    assert (line["level"], "bin/pip install 'auroramon[mqtt]'" in line["remedy"]) == ("failure", True)
    (tmp_path / "none/paho").mkdir(parents=True)
    (tmp_path / "none/paho/__init__.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "none"))
    refused = run("run", "-c", "told.toml", check=False)
    assert (refused.returncode, "pip install 'auroramon[mqtt]'" in refused.stderr) == (1, True)
    assert not Path("new.db").exists()


def test_an_unknown_key_is_wrong_configuration(auroramon: Command) -> None:
    Path("odd.toml").write_text("[databse]\n")
    for words in (["config", "check"], ["config", "show"], ["status"]):
        said = auroramon(*words, "-c", "odd.toml")
        assert said.code == 2
        assert "databse" in said.err


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://user:secret@host/x", "use sqlite:////path/to/file.db or postgresql://user@host/name"),
        ("nonsense", "use sqlite:////path/to/file.db or postgresql://user@host/name"),
        ("sqlite:////dev/null/state/x.db", "the database /dev/null/state/x.db cannot be there: /dev/null is no folder"),
    ],
)
def test_a_database_that_cannot_be_there_is_wrong_configuration_in_every_command(
    auroramon: Command, monkeypatch: pytest.MonkeyPatch, tiny: Path, tmp_path: Path, url: str, says: str
) -> None:
    monkeypatch.setenv("AURORAMON_DATABASE__URL", url)
    monkeypatch.setenv("AURORAMON_MODEL__PATH", str(tiny))
    Path("run.toml").write_text(f'[[camera]]\nname = "a"\nfolder = "{tmp_path}"\n')
    for words in (["status"], ["labels"], ["config", "check"]):
        said = auroramon(*words, "-c", "run.toml")
        assert said.code == 2, words
        assert says in said.out + said.err
        assert "secret" not in said.out + said.err
    for words in (["backfill", "run.toml"], ["run"]) if url.startswith("sqlite") else ():  # they answer to signals
        done = run(*words, "-c", "run.toml", check=False)
        assert done.returncode == 2, words
        assert says in done.stderr


def test_a_table_in_a_table_is_shown_with_where_its_values_are_from(
    auroramon: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("site.toml").write_text('[cluster.slurm]\nqueue = "short"\n')
    monkeypatch.setenv("AURORAMON_CLUSTER__SLURM__CORES", "3")
    said = auroramon("config", "show", "-c", "site.toml")
    assert said.code == 0
    slurm = tomllib.loads(said.out)["cluster"]["slurm"]
    assert (slurm["queue"], slurm["cores"]) == ("short", 3)
    lines = {line.split(" =")[0]: line.split("# ")[-1] for line in said.out.splitlines()}
    assert (lines["queue"], lines["cores"]) == ("file", "AURORAMON_CLUSTER__SLURM__CORES")
