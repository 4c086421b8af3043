"""Settings: where they come from, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from auroramon.config import find_config, load_settings
from auroramon.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "auroramon.toml"
    path.write_text(
        '[[camera]]\nname = "a"\nfolder = "frames"\nlatitude = 56.4\nlongitude = 265.3\n'
        '[database]\nurl = "sqlite:////tmp/from_file.db"\n[model]\nprecision = "int8"\n'
    )
    return path


def test_flags_come_before_the_environment_and_that_before_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings(file).database_url == "sqlite:////tmp/from_file.db"
    monkeypatch.setenv("AURORAMON_DATABASE__URL", "sqlite:////tmp/from_environment.db")
    monkeypatch.setenv("AURORAMON_PATHS__CACHE", "/var/cache/here")
    settings = load_settings(file, {"database": {"url": "sqlite:////tmp/from_flag.db"}})
    assert settings.database_url == "sqlite:////tmp/from_flag.db"
    assert load_settings(file).database_url == "sqlite:////tmp/from_environment.db"
    assert load_settings(file).cache_folder == Path("/var/cache/here")
    assert load_settings(file).model.precision == "int8"  # a table set in part keeps the rest


def test_paths_in_a_file_are_relative_to_it(file: Path) -> None:
    assert load_settings(file).camera[0].folder == file.parent / "frames"


def test_a_database_in_the_file_is_relative_to_it_and_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[database]\nurl = "sqlite:///db/x.sqlite"\n', encoding="utf-8-sig")
    assert load_settings(path).database_url == f"sqlite:///{tmp_path}/db/x.sqlite"


def test_a_longitude_east_of_180_is_the_same_place_west(file: Path) -> None:
    assert load_settings(file).camera[0].longitude == pytest.approx(-94.7)


@pytest.mark.parametrize("name", ["AURORAMON_DATABASE__ULR", "AURORAMON_DATABSE__URL", "AURORAMON_URL", "AURORAMON_"])
def test_an_unknown_name_in_the_environment_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(ConfigError, match=r"ulr: unknown|is no setting"):
        load_settings(None)


def test_the_names_that_are_no_settings_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AURORAMON_CONFIG", "AURORAMON_REAL_DATA", "AURORAMON_REQUIRE"):
        monkeypatch.setenv(name, "x")
    load_settings(None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[camera]]\nname = "a"\n[[camera]]\nname = "a"\n', "two cameras are called a"),
        ('[[camera]]\nname = "a b"\n', "name"),
        ('[[camera]]\nname = "a"\nlatitude = 91\nlongitude = 0\n', "latitude"),
        ('[[camera]]\nname = "a"\ncadence_s = 0\n', "cadence_s"),
        ('[model]\nprecision = "int4"\n', "precision"),
        ('camera = "a"\n', "camera"),
        ('[camera]\nname = "a"\n', r"write \[\[camera\]\], with two brackets"),
        ('[[camera]]\nname = "a"\npatterns = "*.png"\n', "write a list"),
        ('[[camera]]\nname = "a"\nfolder = ""\n', "is empty; name it"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        load_settings(path)
    assert str(path) in str(caught.value)


def test_the_file_is_found_in_the_documented_order(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config(Path("given.toml"), {"AURORAMON_CONFIG": "named.toml"}) == Path("given.toml")
    assert find_config(None, {"AURORAMON_CONFIG": "named.toml"}) == Path("named.toml")
    assert find_config(None, {}) == Path("auroramon.toml")
    assert file.exists()


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load_settings(tmp_path / "nothing.toml")
