"""Feeds the readers with damaged files of every format, in a process whose memory is bounded.

    python -m tests.readers.fuzz INPUTS_PER_FORMAT [SEED]

prints one JSON object. A file may give frames or one of the reader's two errors, within `LONGEST_S` of CPU time and
`MOST_MIB` of memory; anything else ends the campaign with the input that did it.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.readers.cases import Case, cases, read_until_fault

LONGEST_S = 5.0
MOST_MIB = 512
HUNG_S = 300.0
GUARD_BYTES = 2 << 30

TEXTS = [b"999999999", b"-1", b"\n", b"\0" * 64, b"NaN", b"%s", b"../../etc/passwd"]
NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


@st.composite
def damaged(draw: Any, case: Case) -> bytes:
    """Damage a sample: bytes, numbers, pieces moved, doubled, lost or taken from another format, cut off."""
    data = bytearray(case.data)
    for _ in range(draw(st.integers(0, 4))):
        how = draw(st.sampled_from(["byte", "byte", "number", "lose", "double", "splice", "text"]))
        near = draw(st.sampled_from([64, 700, 4000, max(1, len(data))]))
        at = draw(st.integers(0, max(0, min(near, len(data)) - 1)))
        size = draw(st.integers(1, 300))
        if how == "byte" and data:
            data[at] = draw(st.integers(0, 255))
        elif how == "number":
            form = draw(st.sampled_from([">I", "<I", ">H", "<H", ">Q", "<Q"]))
            number = draw(st.sampled_from(NUMBERS)) & ((1 << 8 * struct.calcsize(form)) - 1)
            data[at : at + struct.calcsize(form)] = struct.pack(form, number)
        elif how == "lose":
            del data[at : at + size]
        elif how == "double":
            data[at:at] = data[at : at + size] * draw(st.sampled_from([1, 2, 50]))
        elif how == "splice":
            other = cases()[draw(st.sampled_from(sorted(cases())))].data
            begin = draw(st.integers(0, max(0, len(other) - 1)))
            data[at:at] = other[begin : begin + size * 20]
        else:
            data[at:at] = draw(
                st.sampled_from([b"999999999", b"-1", b"\n", b"\0" * 64, b"NaN", b"%s", b"../../etc/passwd"])
            )
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


class Campaign:
    """Counts what happened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inputs = self.refused = self.frames = 0
        self.slowest_s = 0.0
        self.before = peak_mib()

    def try_one(self, case: Case, data: bytes) -> None:
        path = self.folder / case.name
        path.write_bytes(data)
        faulthandler.dump_traceback_later(HUNG_S, exit=True)
        begun = time.process_time()
        found, reason = read_until_fault(path)
        took = time.process_time() - begun
        faulthandler.cancel_dump_traceback_later()
        self.inputs += 1
        self.frames += len(found)
        self.refused += bool(reason)
        self.slowest_s = max(self.slowest_s, took)
        assert took < LONGEST_S, f"{case.name}: {took:.1f} s of CPU time"
        grown = peak_mib() - self.before
        assert grown < MOST_MIB, f"{case.name}: {grown:.0f} MiB"


def peak_mib() -> float:
    """Give the most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(inputs: int, number: int) -> Campaign:
    """Try so many inputs of each format."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + GUARD_BYTES, held + GUARD_BYTES))
    with tempfile.TemporaryDirectory(prefix="auroramon-fuzz-") as folder:
        campaign = Campaign(Path(folder))
        for case in cases().values():
            try_format(campaign, case, inputs, number)
    return campaign


def try_format(campaign: Campaign, case: Case, inputs: int, number: int) -> None:
    """Try so many damaged files of one format."""

    @seed(number)
    @settings(
        max_examples=inputs,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=damaged(case))
    def try_many(data: bytes) -> None:
        campaign.try_one(case, data)

    try_many()


def main() -> None:
    inputs, number = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    begun = time.monotonic()
    done = run(inputs, number)
    told = {
        "formats": len(cases()),
        "inputs": done.inputs,
        "refused": done.refused,
        "frames": done.frames,
        "slowest_s": round(done.slowest_s, 2),
        "memory_mib": round(peak_mib() - done.before),
        "seconds": round(time.monotonic() - begun),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
