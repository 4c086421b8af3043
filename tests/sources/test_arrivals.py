"""Which files count."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auroramon.errors import ConfigError
from auroramon.sources.arrivals import ArrivalRule, look, printable, unstorable

PLAIN = ArrivalRule(suffixes=(".png", ".pgm", ".pgm.gz", ".jpg"))


@pytest.mark.parametrize(
    "name",
    ["a.png", "A.PNG", "2024/03/10/gill_themis19/ut06/20240310_0600_gill_themis19_full.pgm.gz", "a b.jpg", "ø.png"],
)
def test_a_file_with_a_suffix_that_a_reader_knows_counts(name: str) -> None:
    assert PLAIN.wants(name)


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "png",
        ".a.png",
        ".a.png.k3YQx1",  # rsync
        ".snapshot/a.png",
        "night/.hidden/a.png",
        "a.png.tmp",
        "a.png.part",
        "a.png.filepart",  # WinSCP
        "a.png.crdownload",
        "a.png~",
        ".a.png.swp",
        "@eaDir/a.png",  # Synology
        "night/#recycle/a.png",
        "$RECYCLE.BIN/a.png",
    ],
)
def test_temporary_hidden_and_system_files_do_not_count(name: str) -> None:
    assert not PLAIN.wants(name)
    assert not ArrivalRule(patterns=("**",)).wants(name) or name in ("notes.txt", "png")


@pytest.mark.parametrize("name", ["auroramon.db", "x.sqlite", "x.sqlite3", "x.db-wal", "x.db-shm", "x.db-journal"])
def test_our_own_database_never_counts(name: str) -> None:
    assert not ArrivalRule(patterns=("**/*",)).wants(name)


@pytest.mark.parametrize(
    ("pattern", "wanted", "refused"),
    [
        ("*.png", ["a.png", "x/y/a.png", "A.PNG"], ["a.jpg", "a.png.x"]),
        ("/*.png", ["a.png"], ["x/a.png"]),
        ("**/*.png", ["a.png", "x/a.png", "x/y/a.png"], ["png"]),
        ("2024*/**/*.png", ["20240310/a.png", "2024/03/a.png"], ["a.png", "2023/a.png"]),
        ("x/**", ["x/a.png", "x/y/a"], ["a.png", "xx/a"]),
        ("**", ["a", "x/y"], []),
        ("*_full.pgm.gz", ["2024/a_full.pgm.gz"], ["2024/a_wide.pgm.gz"]),
        ("cam?.png", ["cam1.png"], ["cam10.png", "cam/.png"]),
        ("cam[0-9a].png", ["cam1.png", "camA.png"], ["camb.png", "cam-.png"]),
        ("cam[!0-9].png", ["camb.png"], ["cam1.png"]),
        ("a[.png", ["a[.png"], ["a.png"]),
        ("x/*/a.png", ["x/y/a.png"], ["x/a.png", "x/y/z/a.png"]),
        ("a+b (1).png", ["a+b (1).png"], ["aab (1).png"]),
    ],
)
def test_patterns(pattern: str, wanted: list[str], refused: list[str]) -> None:
    rule = ArrivalRule(suffixes=(".never",), patterns=(pattern,))
    assert [name for name in wanted if not rule.wants(name)] == []
    assert [name for name in refused if rule.wants(name)] == []


def test_one_of_several_patterns_is_enough() -> None:
    rule = ArrivalRule(patterns=("*.png", "raw/*.fits"))
    assert rule.wants("x/a.png")
    assert rule.wants("raw/a.fits")
    assert not rule.wants("a.fits")


@pytest.mark.parametrize("pattern", ["", "/", "../*.png", "a/../b"])
def test_a_pattern_that_names_nothing_below_the_folder_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="names no file below the folder"):
        ArrivalRule(patterns=(pattern,))


PATTERN = st.text(alphabet="ab*?[]!-/.^\\é(+", min_size=1, max_size=8)


@settings(max_examples=60)
@given(st.lists(PATTERN.filter(lambda p: p.strip("/") and ".." not in p.split("/")), max_size=3), st.text(max_size=9))
def test_no_pattern_and_no_name_breaks_the_rule(patterns: list[str], name: str) -> None:
    assert ArrivalRule(patterns=tuple(patterns)).wants(name) in (True, False)


def test_looking_never_opens_and_never_fails_on_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop2")
    (tmp_path / "loop2").symlink_to(tmp_path / "loop")
    (tmp_path / "a").write_bytes(b"123")
    assert look(str(tmp_path / "pipe")) is None
    assert look(str(tmp_path)) is None
    assert look(str(tmp_path / "gone")) is None
    assert look(str(tmp_path / "a" / "below a file")) is None
    assert look("/dev/null") is None
    found = look(str(tmp_path / "a"), "sky")
    assert found is not None
    assert (found.size, found.camera) == (3, "sky")
    with pytest.raises(OSError, match="symbolic links"):
        look(str(tmp_path / "loop"))


def test_a_name_that_is_no_utf8_is_described_in_letters_that_can_be_stored() -> None:
    problem = unstorable(os.fsdecode(b"/data/caf\xe9.png"))
    assert problem is not None
    assert problem.path == "/data/caf\\udce9.png"
    problem.sentence.encode()
    assert unstorable("/data/café.png") is None
    assert printable("/data/café.png") == "/data/café.png"
