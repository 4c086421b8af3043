"""The recipe and the gates frame by frame, as one writes them down: what the quick ones must repeat to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from auroramon.gates import (
    BLOCKS,
    LEAST_COUNTS,
    LEAST_STRUCTURE,
    NEAR_TOP,
    SAMPLES,
    SATURATED_PART,
)
from auroramon.lines import COARSEST_LINES, INNER, LEAST_BEND, ONE_LINE, ONE_WAY, SAME_BEND, SAME_PLACE
from auroramon.preprocess import DARK, LEVELS, PreprocessSpec, Sky

Grey = NDArray[np.float32]
Seen = NDArray[np.bool_]


def ends(grey: Grey, valid: Seen, spec: PreprocessSpec) -> tuple[float, float]:
    """Give the counts at the two percentiles."""
    values = np.sort(grey[valid])
    if not values.size:
        return 0.0, 0.0
    low, high = (float(values[round(p / 100 * (values.size - 1))]) for p in (spec.low_percentile, spec.high_percentile))
    return low, high


def to_input(sky: Sky, spec: PreprocessSpec) -> NDArray[np.float32]:
    spread = np.float32(sky.high - sky.low)
    with np.errstate(invalid="ignore"):
        stretched = np.clip((sky.grey - np.float32(sky.low)) / (spread if spread > 0 else np.float32(np.inf)), 0, 1)
    stretched[~(sky.valid & (stretched >= 0))] = 0
    made = {
        "stretched": lambda: stretched,
        "equalised": lambda: _equalise(stretched, sky.valid),
        "green": lambda: _green(sky),
    }
    planes = [made[name]() for name in spec.channels]
    shape = (-1, 1, 1)
    mean, std = (np.array(values, dtype=np.float32).reshape(shape) for values in (spec.mean, spec.std))
    result: NDArray[np.float32] = (np.stack(planes) - mean) / std
    return result


def _green(sky: Sky) -> Grey:
    plane = np.full(sky.grey.shape, 0.5, dtype=np.float32)
    if sky.excess is None or not sky.valid.any():
        return plane
    grey = np.where(sky.grey < 0, np.float32(0), sky.grey)
    values = grey[sky.valid]
    with np.errstate(invalid="ignore", divide="ignore"):
        darker = values <= np.sort(values)[values.size // 2]
        parts = [(v[sky.valid] * darker).sum(dtype=np.float64) for v in (sky.excess, grey)]
        tint = np.float32(parts[0] / parts[1])
        own = sky.excess - grey * tint
        divisor = 3 * (grey + np.float32(DARK) * np.float32(max(sky.high, 0)))
        green = np.float32(0.5) + np.float32(0.5) * own / divisor
    for at in np.argwhere(sky.valid):
        if green[tuple(at)] == green[tuple(at)]:  # a number
            plane[tuple(at)] = min(max(green[tuple(at)], np.float32(0)), np.float32(1))
    return plane


def _equalise(stretched: Grey, valid: Seen) -> Grey:
    level = (stretched * np.float32(LEVELS - 1)).astype(np.intp)
    count = np.bincount(level[valid], minlength=LEVELS)
    if not count.sum():
        return np.zeros_like(stretched)
    rank = ((np.cumsum(count) - count / 2) / count.sum()).astype(np.float32)
    return np.where(valid, rank[level], np.float32(0))


def refuse(pixels: NDArray[Any], sky: Sky) -> str:
    values = sky.grey[sky.valid]
    if not values.size:
        return "no sky: disc and mask leave nothing of the frame"
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        return f"not finite: {bad / values.size:.1%} of the sky has no number"
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-5 * max(abs(high), abs(low)):
        return f"flat: every pixel of the sky is {high:g}"
    part = float(np.mean(values >= high - NEAR_TOP * (high - low)))
    if part > SATURATED_PART:
        return f"saturated: {part:.0%} of the sky is {high:g}"
    return _no_light(pixels, sky) or _straight_lines(sky)


def _no_light(pixels: NDArray[Any], sky: Sky) -> str:
    spread, noise = _structure(sky.grey, sky.valid)
    if pixels.dtype.kind in "iu" and spread < LEAST_COUNTS:
        return f"no light: the sky varies by {spread:.2g} counts (is the shutter closed?)"
    if spread < LEAST_STRUCTURE * noise and _frame_is_noise(pixels):
        return f"no light: the sky varies by {spread:.3g} with a noise of {noise:.3g} (is the shutter closed?)"
    return ""


def _structure(grey: Grey, valid: Seen) -> tuple[float, float]:
    high, wide = grey.shape[0] // BLOCKS, grey.shape[1] // BLOCKS
    cut = np.s_[: high * BLOCKS, : wide * BLOCKS]
    parts = (BLOCKS, high, BLOCKS, wide)
    full = valid[cut].reshape(parts).all(axis=(1, 3)) if high and wide else np.zeros(0, dtype=np.bool_)
    if full.sum() < BLOCKS:
        return float("inf"), 0.0
    blocks = np.sort(grey[cut].reshape(parts).mean(axis=1).mean(axis=2)[full])
    spread = blocks[int(0.95 * (blocks.size - 1))] - blocks[int(0.05 * (blocks.size - 1))]
    rows, seen = grey[::4], valid[::4]
    return float(spread), float(np.median(np.abs(rows[:, 1:] - rows[:, :-1])[seen[:, 1:] & seen[:, :-1]]))


def _frame_is_noise(pixels: NDArray[Any]) -> bool:
    step = max(1, min(pixels.shape[:2]) // SAMPLES)
    thin = pixels[::step, ::step].astype(np.float32)
    grey = thin if thin.ndim == 2 else thin[..., 0] + thin[..., 1] + thin[..., 2]
    spread, noise = _structure(grey, np.isfinite(grey))
    return spread < LEAST_STRUCTURE * noise


def _straight_lines(sky: Sky) -> str:
    size = sky.grey.shape[0]
    if size < COARSEST_LINES:
        return ""
    margin = int(size * (1 - INNER) / 2)
    inner = np.s_[margin : size - margin, margin : size - margin]
    grey, valid = np.clip(sky.grey[inner], np.float32(sky.low), np.float32(sky.high)), sky.valid[inner]
    columns, rows = _lines(grey[::2], valid[::2]), _lines(grey.T[::2], valid.T[::2])
    if columns is None or rows is None:
        return ""
    most, least = max(columns[2], rows[2]), min(columns[2], rows[2])
    if most < (LEAST_BEND * (sky.high - sky.low)) ** 2:
        return ""
    for name, (bend, place, _) in (("columns", columns), ("rows", rows)):
        if bend > SAME_BEND or place > SAME_PLACE:
            return f"no sky image: the frame is made of straight lines along its {name}"
    if most > ONE_WAY * least:
        name = "columns" if columns[2] > rows[2] else "rows"
        return f"no sky image: neighbouring {name} of the frame do not belong together"
    return ""


def _lines(grey: Grey, valid: Seen) -> tuple[float, float, float] | None:
    bend = grey[:, 2:] + grey[:, :-2] - 2 * grey[:, 1:-1]
    if not valid.all():
        bend = bend * (valid[:, 2:] & valid[:, 1:-1] & valid[:, :-2])
    energy = np.einsum("ij,ij->j", bend, bend) / np.float32(len(bend))
    strongest, reach = int(energy.argmax()), max(2, int(ONE_LINE / INNER * grey.shape[1]))
    kept = np.ones(len(energy), dtype=np.bool_)
    kept[max(0, strongest - reach) : strongest + reach + 1] = False
    total = float(energy[kept].mean()) if kept.any() else 0.0
    if not total > 0:
        return None
    shared = float((bend.mean(axis=0)[kept] ** 2).mean()) / total
    size = np.abs(bend).mean(axis=0)[kept]
    spread = total - float(size.mean()) ** 2
    return shared, float(size.var()) / spread if spread > 0 else 0.0, total
