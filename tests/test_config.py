"""Settings: where they come from, and what is refused."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from auroramon.config import find_config, load_settings, state_folder
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
    with pytest.raises(ConfigError, match=rf"{name}: unknown|is no setting"):
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
        ('[[camera]]\nname = "gillam"\ncadence_s = -1\n', r'camera "gillam": cadence_s: should be greater than 0'),
        ('[[camera]]\nname = "a"\n[[camera]]\nsite = "b"\n', "camera number 2: name: is needed and is not there$"),
        ('[[camera]]\nname = "a"\nlatitude = 3\n', 'camera "a": give both latitude and longitude, or neither$'),
        ('[[camera]]\nname = "a"\ndisc = {x = 1, y = 2, radius = -3}\n', r'"a": disc.radius: .* than 0 \(got -3\)$'),
        ('[[camera]]\nname = "a"\ndisc = "circle"\n', r'"a": disc: write "auto", or .*120\.0} \(got \'circle\'\)$'),
        ('[[camera]]\nname = "a"\n[[camera]]\nname = "a"\n', "counts would be added up$"),
        ("watch = 3\n", "watch: is no table of settings"),
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


def test_a_wrong_value_in_the_environment_is_not_blamed_on_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AURORAMON_WATCH__SETTLE_S", "soon")
    with pytest.raises(ConfigError, match=r"environment: AURORAMON_WATCH__SETTLE_S: is no number \(got 'soon'\)"):
        load_settings(file)


def test_an_empty_path_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AURORAMON_MODEL__PATH", "")
    assert load_settings(None).model.path is None


@pytest.mark.parametrize("home", ["", "here", None])
def test_a_home_that_says_nothing_is_looked_up_and_relative_folders_do_not_count(
    monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    if home is None:
        monkeypatch.delenv("HOME", raising=False)
    else:
        monkeypatch.setenv("HOME", home)
    assert state_folder() == Path(pwd.getpwuid(os.getuid()).pw_dir) / ".local/state/auroramon"
    monkeypatch.setenv("HOME", "/home/station")
    assert state_folder() == Path("/home/station/.local/state/auroramon")
    monkeypatch.setenv("XDG_STATE_HOME", "/var/lib")
    assert state_folder() == Path("/var/lib/auroramon")


def test_a_user_without_a_home_is_told_what_to_set() -> None:
    """In containers the user is often only a number."""
    asked = "import os; from auroramon.config import state_folder; os.setuid(987654); state_folder()"
    if os.geteuid() != 0:
        pytest.skip("only root may become a user that has no name")
    done = subprocess.run([sys.executable, "-c", asked], env={"HOME": ""}, capture_output=True, text=True, check=False)
    assert "ConfigError: nothing says where this user is at home: set HOME or XDG_STATE_HOME" in done.stderr


@pytest.mark.parametrize(
    ("key", "address", "said"),
    [
        ("mqtt", "mqtts://u:hush@broker:88831/x", "must look like mqtt://broker:1883/topic"),
        ("mqtt", "mqtts://u:hush@broker/sky/+/aurora", "may hold neither"),
        ("webhook", "ftp://u:hush@host/x", "must look like https://example.org/aurora"),
        ("webhook", "https://u:hush@host/a b", "write them as %20"),
        ("webhook", "https://u:hush@host/ä", "write them as %20"),
    ],
)
def test_a_wrong_address_is_said_without_its_password(tmp_path: Path, key: str, address: str, said: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(f'[events]\n{key} = "{address}"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=said) as caught:
        load_settings(path)
    assert "hush" not in str(caught.value)
    path.write_text('[database]\nurl = ["postgresql://u:hush@host/x"]\n')
    with pytest.raises(ConfigError, match="url: is no text") as caught:
        load_settings(path)
    assert "hush" not in str(caught.value)
