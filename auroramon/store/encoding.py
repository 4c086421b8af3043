"""How the values of a frame become small columns, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

_F16 = np.dtype("<f2")
_LARGEST = 2_000_000_000  # a distance of two million says as much as a larger one, and fits every INTEGER column
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def epoch(time: datetime) -> float:
    """Give seconds since 1970, exact to the microsecond; a time without zone is refused."""
    if time.utcoffset() is None:
        raise ValueError(f"{time} has no time zone")
    return time.timestamp()


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def day_number(day: date) -> int:
    return day.toordinal() - _EPOCH_DAY


def day_date(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=number)


def scaled(value: float | None, scale: float) -> int | None:
    """Give the nearest whole number of 1/scale; None for None and NaN."""
    if value is None or math.isnan(value):
        return None
    return round(max(-_LARGEST, min(_LARGEST, value * scale)))


def scaled_column(values: NDArray[np.float64], scale: float) -> list[int | None]:
    """Give what `scaled` gives for each of (N,) values."""
    absent = np.isnan(values)
    bounded = np.clip(np.where(absent, 0.0, values * scale), -_LARGEST, _LARGEST)
    numbers: list[int | None] = np.rint(bounded).astype(np.int64).tolist()
    for place in np.flatnonzero(absent).tolist():
        numbers[place] = None
    return numbers


def pack(values: NDArray[np.float16] | Sequence[float]) -> bytes | None:
    """Give little-endian float16, two bytes a value; None for no values."""
    return np.asarray(values, _F16).tobytes() or None


def unpack(blob: bytes | None) -> NDArray[np.float16]:
    """Give back what `pack` took; empty for None."""
    return np.frombuffer(blob or b"", _F16).astype(np.float16)
