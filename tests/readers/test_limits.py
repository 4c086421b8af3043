"""No file takes the machine's memory with it."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from auroramon.readers.limits import MAX_FILE_BYTES, MAX_FRAME_BYTES, MIB
from tests.readers import samples
from tests.readers.cases import START


def _gzip_of_zeros(head: bytes, mebibytes: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    block = bytes(MIB)
    return packer.compress(head) + b"".join(packer.compress(block) for _ in range(mebibytes)) + packer.flush()


def _png_bomb() -> bytes:
    data = bytearray(samples.png(np.zeros((4, 4), np.uint8)))
    struct.pack_into(">II", data, 16, 60000, 60000)
    struct.pack_into(">I", data, 29, zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def _tiff_bomb() -> bytes:
    tags = [(256, 3, 60000), (257, 3, 60000), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, 8), (279, 4, 100)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 200) + bytes(192) + struct.pack("<H", len(tags)) + entries + bytes(4)


def _hdf5_bomb(folder: Path) -> bytes:
    path = folder / "bomb"
    with h5py.File(path, "w") as file:
        file.create_dataset("data/images", (60000, 60000, 3, 4), np.uint8, chunks=(60, 60, 3, 1), compression="gzip")
        file["data/timestamp"] = np.array([b"2020-01-01 00:00:00 UTC"] * 4)
    return path.read_bytes()


def _fits_bomb() -> bytes:
    data = samples.fits(np.zeros((4, 4), np.uint16), {})
    for axis in (1, 2):
        data = data.replace(b"NAXIS%d  =                    4" % axis, b"NAXIS%d  =                60000" % axis)
    return data


def _cdf_bomb() -> bytes:
    data = bytearray(samples.themis_cdf(samples.frames(8, 8, 8), START))
    (gdr_at,) = struct.unpack_from(">q", data, 20)
    (variable_at,) = struct.unpack_from(">q", data, gdr_at + 20)
    struct.pack_into(">ii", data, variable_at + 344, 60000, 60000)
    return bytes(data)


def _tar_bomb() -> bytes:
    data = bytearray(samples.tar({"a.png": b"x"}))
    data[124:136] = b"77777777777\0"
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 8 * 32 + sum(data[156:512]))
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bomb.pgm.gz", "holds more than 512 MiB of frames"),
        ("many.pgm", "holds more than 4096 frames"),
        ("bomb.png", "60000x60000 pixels would take"),
        ("bomb.tif", "60000x60000 pixels would take"),
        ("bomb.fits.gz", f"has more than {MAX_FILE_BYTES // MIB} MiB"),
        ("bomb.fits", "60000x60000 pixels would take"),
        ("bomb.h5", "60000x60000 pixels would take"),
        ("bomb.cdf", "is a damaged CDF after 0 frames"),
        ("bomb.tar", "says that it has 8589934591 bytes"),
        ("bomb.img", "cut off after 0 frames"),
    ],
)
def test_a_bomb_is_refused_within_a_bounded_memory(tmp_path: Path, name: str, reason: str) -> None:
    content = {
        "bomb.pgm.gz": lambda: _gzip_of_zeros(b"P5 8192 16384 255\n", 128) * 5,
        "many.pgm": lambda: b"P5 1 1 255\n\x00" * 5000,
        "bomb.png": _png_bomb,
        "bomb.tif": _tiff_bomb,
        "bomb.fits.gz": lambda: _gzip_of_zeros(samples.fits(np.zeros((4, 4), np.uint8), {}), 300),
        "bomb.fits": _fits_bomb,
        "bomb.h5": lambda: _hdf5_bomb(tmp_path),
        "bomb.cdf": _cdf_bomb,
        "bomb.tar": _tar_bomb,
        "bomb.img": lambda: bytes(60) + struct.pack("<HHH", 9000, 9000, 2),
    }[name]()
    path = tmp_path / name
    path.write_bytes(content)
    assert len(content) < 8 * MIB
    # a child, for the peak of this process may be higher already
    script = (
        "import resource, sys; from pathlib import Path\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "from auroramon.readers import read_frames\n"
        "try:\n    for _ in read_frames(Path(sys.argv[1])): pass\n"
        "except Exception as error: print(type(error).__name__, error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    said, kibibytes = done.stdout.strip().splitlines()
    assert said.startswith("FrameError")
    assert reason in said
    assert int(kibibytes) / 1024 < 2 * max(MAX_FILE_BYTES, MAX_FRAME_BYTES) / MIB
