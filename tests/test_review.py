"""Files of labels: every way to name a frame, and every mistake told with its line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auroramon.review import Classes, ReviewError, ReviewFile, read_reviews
from auroramon.store.results import FrameKey
from auroramon.store.reviews import FoundFrame
from auroramon.types import LABELS

START = datetime(2026, 1, 31, 22, tzinfo=UTC)
KNOWN = Classes({*LABELS, "unknown"})


class Station:
    """Knows one single image, and one minute of three frames of which two share a time."""

    def frames_of_file(self, path: str) -> list[FoundFrame]:
        if path == "/data/one.png":
            return [FoundFrame(FrameKey(1, 0), path, "kiruna", "", START)]
        if path == "/data/minute.pgm":
            times = (START + timedelta(minutes=1), START + timedelta(minutes=2), START + timedelta(minutes=2))
            return [FoundFrame(FrameKey(2, k), path, "kiruna", "", time) for k, time in enumerate(times)]
        return []

    def frames_at(self, camera: str, time: datetime) -> list[FoundFrame]:
        every = [*self.frames_of_file("/data/one.png"), *self.frames_of_file("/data/minute.pgm")]
        return [frame for frame in every if (frame.camera, frame.time) == (camera, time)]


def read(tmp_path: Path, text: str, classes: Classes = KNOWN) -> ReviewFile:
    file = tmp_path / "labels.csv"
    file.write_text(text, encoding="utf-8")
    return read_reviews(file, Station(), classes)


def test_frames_are_named_by_path_and_index_or_by_camera_and_time(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "path,index,camera,time,label,reviewer,note\n"
        "/data/one.png,,,,arc,anna,\n"
        '/data/minute.pgm,2,,,moon,,"low, in the west"\n'
        ",,kiruna,2026-01-31T23:01:00+01:00,clear,ben,\n",
    )
    said = [(one.frame.key, one.label, one.reviewer, one.note) for one in found.reviews]
    assert said == [
        (FrameKey(1, 0), "arc", "anna", ""),
        (FrameKey(2, 2), "moon", "", "low, in the west"),
        (FrameKey(2, 0), "clear", "ben", ""),
    ]


def test_a_list_filled_in_part_by_part_is_imported_part_by_part(tmp_path: Path) -> None:
    found = read(tmp_path, "path,index,said,label\n/data/one.png,0,moon,\n\n/data/minute.pgm,0,arc,arc\n")
    assert (len(found.reviews), found.empty, found.ignored) == (1, 1, ("said",))


def test_what_spreadsheets_make_of_it_is_read_too(tmp_path: Path) -> None:
    found = read(tmp_path, "\ufeffPath;Index;Label\r\n/data/one.png;0;arc\r\n;;\r\n")
    assert [one.label for one in found.reviews] == ["arc"]


def test_a_path_may_be_as_seen_from_the_file(tmp_path: Path) -> None:
    class Beside(Station):
        def frames_of_file(self, path: str) -> list[FoundFrame]:
            known = path == str(tmp_path / "night" / "a.png")
            return [FoundFrame(FrameKey(3, 0), path, "kiruna", "", START)] if known else []

    file = tmp_path / "labels.csv"
    file.write_text("path,label\nnight/a.png,arc\n")
    (found,) = read_reviews(file, Beside(), KNOWN).reviews
    assert found.frame.key == FrameKey(3, 0)


def test_every_mistake_is_told_with_its_line_and_nothing_is_given(tmp_path: Path) -> None:
    lines = {
        "/data/none.png,0,,,arc": "line 2: there is no frame /data/none.png[0] in the database",
        "/data/one.png,7,,,arc": "line 3: there is no frame /data/one.png[7] in the database",
        "/data/minute.pgm,,,,arc": "line 4: /data/minute.pgm has 3 frames: say which by index",
        "/data/one.png,x,,,arc": "line 5: the index 'x' is no number",
        ",,kiruna,yesterday,arc": "line 6: 'yesterday' is no time such as 2026-01-31T22:00:00Z",
        ",,kiruna,2026-01-31T22:02Z,arc": "line 7: camera kiruna at 2026-01-31T22:02Z has 2 frames: say which by path",
        ",,,,arc": "line 8: names no frame: fill in path (and index), or camera and time",
        "/data/one.png,0,,,Arc!": "line 9: 'Arc!' is no name for a label",
        "/data/one.png,0,,,diffuze": "line 10: nobody has used the label 'diffuze' yet: did you mean 'diffuse'?",
        "/data/one.png,0,,,arc,anna": "line 11: has 6 cells under 5 headings",
    }
    with pytest.raises(ReviewError) as told:
        read(tmp_path, "path,index,camera,time,label\n" + "\n".join(lines) + "\n")
    assert "nothing was imported" in str(told.value)
    for sentence in lines.values():
        assert sentence in str(told.value)


def test_two_labels_for_one_frame_by_one_person_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="line 3: the frame is 'moon' here and 'arc' in line 2: keep one"):
        read(tmp_path, "path,label\n/data/one.png,arc\n/data/one.png,moon\n")
    both = read(tmp_path, "path,label,reviewer\n/data/one.png,arc,a\n/data/one.png,moon,b\n/data/one.png,arc,a\n")
    assert [one.label for one in both.reviews] == ["arc", "moon"]


def test_a_new_class_is_announced(tmp_path: Path) -> None:
    text = "path,label\n/data/one.png,frost\n"
    with pytest.raises(ReviewError, match="A new class is announced with --new frost"):
        read(tmp_path, text)
    assert read(tmp_path, text, Classes(KNOWN.known, ("frost",))).reviews[0].label == "frost"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the first line must name the columns"),
        ("path,lable\n", "it says path,lable"),
        ("label,camera\n", "the first line must name the columns"),
        ("path,path,label\n", "the column path is there twice"),
        ('path,label\n"/data/one.png,arc\n', "is no CSV"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ReviewError, match=told):
        read(tmp_path, text)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"path,label\n\xff\xfe\x00")
    with pytest.raises(ReviewError, match="cannot be read as a CSV file in UTF-8"):
        read_reviews(tmp_path / "labels.csv", Station(), KNOWN)


def test_of_many_mistakes_twenty_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="and 30 more"):
        read(tmp_path, "path,label\n" + "/data/none.png,arc\n" * 50)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.text(max_size=200))
def test_any_text_gives_labels_or_one_error(tmp_path: Path, text: str) -> None:
    try:
        read(tmp_path, "path,index,label\n" + text.encode("utf-8", "replace").decode())
    except ReviewError as error:
        assert str(tmp_path) in str(error)  # noqa: PT017 - both ends are right
