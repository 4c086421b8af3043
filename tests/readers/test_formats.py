"""The list of formats is whole, and asking for it loads no heavy library."""

from __future__ import annotations

import subprocess
import sys

from auroramon.readers import READERS, table


def test_no_ending_belongs_to_two_readers() -> None:
    endings = [suffix for reader in READERS for suffix in reader.suffixes]
    assert len(endings) == len(set(endings))
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in endings)


def test_the_table_has_a_row_for_each_reader() -> None:
    assert [row.split(" | ")[0].strip("| ") for row in table().splitlines()[2:]] == [reader.name for reader in READERS]


def test_importing_the_readers_loads_no_optional_library() -> None:
    script = "import sys, auroramon.readers; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"astropy", "h5py", "cdflib", "tifffile", "torch", "scipy", "cv2", "matplotlib"} & set(loaded)
