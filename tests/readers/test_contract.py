"""What every reader promises, tried on a sample of each format."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auroramon.errors import FrameError, NotReadyError
from auroramon.readers import READERS, read_frames, reader_for, suffixes
from tests.readers.cases import Case, cases, read_until_fault

FORMATS = sorted(cases())
FEW = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=FORMATS)
def case(request: pytest.FixtureRequest) -> Case:
    return cases()[request.param]


def _write(folder: Path, case: Case, data: bytes | None = None) -> Path:
    path = folder / case.name
    path.write_bytes(case.data if data is None else data)
    return path


def test_a_file_gives_its_frames_in_order_with_their_times(case: Case, tmp_path: Path) -> None:
    frames = list(read_frames(_write(tmp_path, case)))
    assert [frame.index for frame in frames] == list(range(len(case.pixels)))
    assert [frame.header_time for frame in frames] == case.times
    for frame, pixels in zip(frames, case.pixels, strict=True):
        assert frame.pixels.dtype == pixels.dtype
        assert frame.pixels.flags.c_contiguous
        np.testing.assert_array_equal(frame.pixels, pixels)


def test_times_are_utc_and_know_it(case: Case, tmp_path: Path) -> None:
    for frame in read_frames(_write(tmp_path, case)):
        assert frame.header_time is None or str(frame.header_time.tzinfo) == "UTC"


def test_reading_twice_gives_the_same(case: Case, tmp_path: Path) -> None:
    path = _write(tmp_path, case)
    for first, second in zip(read_frames(path), read_frames(path), strict=True):
        np.testing.assert_array_equal(first.pixels, second.pixels)
        assert first.header_time == second.header_time


def test_a_file_is_left_as_it_was(case: Case, tmp_path: Path) -> None:
    path = _write(tmp_path, case)
    before = path.stat()
    list(read_frames(path))
    after = path.stat()
    assert (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
    assert path.read_bytes() == case.data
    assert [child.name for child in tmp_path.iterdir()] == [case.name]


def test_a_file_cut_off_anywhere_gives_its_whole_frames_and_says_so(case: Case, tmp_path: Path) -> None:
    size = len(case.data)
    cuts = {*range(1, min(size, 24)), *range(max(1, size - 24), size), *range(1, size, max(1, size // 60))}
    for cut in sorted(cuts):
        frames, reason = read_until_fault(_write(tmp_path, case, case.data[:cut]))
        for frame, pixels in zip(frames, case.pixels, strict=False):
            np.testing.assert_array_equal(frame.pixels, pixels)
        if len(frames) < len(case.pixels) and reason != f"{case.name}: holds no image":
            at_a_frame_boundary = case.name.endswith(".pgm") and not reason
            assert f"cut off after {len(frames)} frames" in reason or at_a_frame_boundary, (cut, reason)
            assert case.name in reason or at_a_frame_boundary


@FEW
@given(data=st.data())
def test_a_damaged_file_raises_only_the_two_errors(case: Case, tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(case.data)
    near = data.draw(st.sampled_from([64, 700, len(damaged)]))
    for at in data.draw(st.lists(st.integers(0, min(near, len(damaged)) - 1), min_size=1, max_size=12)):
        damaged[at] = data.draw(st.sampled_from([0, 1, 127, 128, 255]))
    cut = data.draw(st.sampled_from([len(damaged), len(damaged), len(damaged) * 2 // 3]))
    read_until_fault(_write(tmp_path, case, bytes(damaged[:cut])))


@FEW
@given(junk=st.binary(max_size=600))
def test_junk_behind_the_right_first_bytes_raises_only_the_two_errors(case: Case, tmp_path: Path, junk: bytes) -> None:
    for keep in (12, 80):
        read_until_fault(_write(tmp_path, case, case.data[:keep] + junk))


def test_an_empty_file_is_not_ready(case: Case, tmp_path: Path) -> None:
    path = _write(tmp_path, case, b"")
    with pytest.raises(NotReadyError, match=f"{case.name} is empty"):
        list(read_frames(path))
    reader = reader_for(_write(tmp_path, case))
    _write(tmp_path, case, b"")
    with pytest.raises(NotReadyError, match="is empty"):
        list(reader.read(path))


def test_a_file_that_went_away_is_not_ready(case: Case, tmp_path: Path) -> None:
    path = _write(tmp_path, case)
    reader = reader_for(path)
    path.unlink()
    with pytest.raises(NotReadyError, match="cannot be read now"):
        list(reader.read(path))


def test_exactly_one_reader_claims_each_sample(case: Case) -> None:
    claims = [reader.name for reader in READERS if reader.claims(Path(case.name), case.data[:512])]
    assert len(claims) == 1


def test_every_reader_has_a_sample() -> None:
    used = {reader.name for reader in READERS for c in cases().values() if reader.claims(Path(c.name), c.data[:512])}
    assert used == {reader.name for reader in READERS}


def test_a_name_of_another_kind_is_refused_with_the_list_of_endings(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("cloudy until two")
    with pytest.raises(FrameError, match=r"not a format that auroramon reads: .*\.pgm\.gz"):
        reader_for(path)
    assert ".png" in suffixes()


def test_a_right_name_with_wrong_content_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.png"
    path.write_text("<html>404</html>")
    with pytest.raises(FrameError, match=r"first bytes .* are not what its name says"):
        reader_for(path)


def test_a_pipe_or_a_folder_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    folder = tmp_path / "folder.png"
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(FrameError, match="not a regular file"):
            reader_for(path)


def test_an_unreadable_file_is_not_ready(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="cannot be read now"):
        reader_for(tmp_path / "gone.png")
    with pytest.raises(NotReadyError, match="cannot be read now"):
        reader_for(tmp_path / ("long" * 100 + ".png"))
