"""A manifest says what it says, or names the line that is wrong."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import train.manifest
from auroramon.errors import ConfigError
from auroramon.types import Disc
from train.frames import TARGETS
from train.manifest import COLUMNS, Row, read_manifest, write_manifest

text = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=12)
rows = st.builds(
    Row,
    file=text,
    label=st.sampled_from(TARGETS),
    index=st.integers(0, 10**6),
    camera=text,
    night=st.sampled_from(["", "2026-01-31"]),
    block=st.sampled_from(["", "a, b", "7"]),
    position=st.one_of(st.none(), st.integers(0, 2 * 10**9).map(float)),
    disc=st.one_of(st.none(), st.builds(Disc, *[st.integers(1, 4000).map(float)] * 3, origin=st.just("configured"))),
    grey=st.sampled_from(["luma", "green"]),
    sun=st.one_of(st.none(), st.integers(-90, 90).map(float)),
    moon=st.one_of(st.none(), st.integers(-90, 90).map(float)),
    published=st.sampled_from(["", "10110"]),
    simulated=st.booleans(),
)


@given(st.lists(rows, min_size=1, max_size=5, unique_by=lambda row: (row.file, row.index)))
@settings(max_examples=60, deadline=None)
def test_rows_survive_the_file(given_rows: list[Row]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        written = write_manifest(Path(folder) / "m.csv", given_rows)
        assert read_manifest(written.path) == written


def test_two_columns_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("label,file\narc,a.png\nunknown,b.png\n")
    found = read_manifest(path)
    assert [row.label for row in found.rows] == ["arc", "unknown"]
    assert found.file_of(found.rows[0]) == tmp_path / "a.png"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("file,label\na.png,aurora\n", "line 2: 'aurora' is no label; the labels are arc, diffuse"),
        ("file,label\n,arc\n", "line 2: no file is named"),
        ("file,label,index\na.png,arc,two\n", "line 2: index is 'two', which is no number"),
        ("file,label,index\na.png,arc,-1\n", "line 2: index is -1, and frames of a file are counted from 0"),
        ("file,label,index\na.png,arc,0.5\n", "line 2: index is 0.5"),
        ("file,label,position\na.png,arc,late\n", "line 2: position is 'late', which is no number"),
        ("file,label,position\na.png,arc,nan\n", "line 2: position is 'nan', which is no number"),
        ("file,label,sun\na.png,arc,low\n", "line 2: sun is 'low', which is no number"),
        ("file,label,moon\na.png,arc,120\n", "line 2: moon is 120, and an altitude is -90 to 90 degrees"),
        ("file,label,grey\na.png,arc,pink\n", "grey is 'pink'"),
        ("file,label,x,y,radius\na.png,arc,5,,\n", "line 2: the disc of sky needs x, y and a radius above 0"),
        ("file,label,x,y,radius\na.png,arc,5,5,-3\n", "line 2: the disc of sky needs x, y and a radius above 0"),
        ("file,label,x,y,radius\na.png,arc,inf,5,3\n", "line 2: x is 'inf', which is no number"),
        ("file,label,published\na.png,arc,12\n", "published is '12'"),
        ("file,label,simulated\na.png,arc,yes\n", "simulated is 'yes'"),
        ("file,class\na.png,arc\n", "is no manifest: its header must name file and label"),
        ("file,label,weight\na.png,arc,2\n", "is no manifest, which has no column weight: take it out, or let"),
        ("file,label\na.png,arc\nb.png,arc\na.png,clear\n", "lists frame 0 of a.png 2 times"),
        ("file,label\n", "lists no frame"),
        ("", "is no manifest"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"m\.csv") as caught:
        read_manifest(path)
    assert sentence in str(caught.value)


def test_a_list_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(b"\xef\xbb\xbffile,label\r\na.png,arc\r\n")
    assert read_manifest(path).rows == (Row(file="a.png", label="arc"),)


def test_a_manifest_that_is_not_there_and_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_manifest(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_bytes(b"file,label\n\xff\xfe,arc\n")
    with pytest.raises(ConfigError, match="is no CSV file"):
        read_manifest(tmp_path / "m.csv")
    with pytest.raises(ConfigError, match="no labelled frame"):
        write_manifest(tmp_path / "n.csv", ())


def test_the_columns_are_documented() -> None:
    described = (train.manifest.__doc__ or "").replace(",", " ").split()
    assert set(COLUMNS) <= set(described)
