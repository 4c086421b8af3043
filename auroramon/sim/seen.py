"""What of a part of the sky can be seen in the finished frame: measured after the detector, before the noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from auroramon.sim import detector
from auroramon.sim.fields import FloatArray, f32
from auroramon.sim.geometry import CROP, SkyGeometry
from auroramon.sim.station import Station

_OWN_LIGHT = 0.12
"""What a blob must add by itself, as share of the range above the sky, to own the glow around it."""


class Seen:
    """A frame against which parts of it are measured, at half its resolution: that is quicker, and kinder to noise."""

    def __init__(self, geometry: SkyGeometry, place: Station, light: FloatArray) -> None:
        self._geometry, self._place, self._full = geometry, place, light
        self._rim = _halved(place.rim)
        self._kept: NDArray[np.bool_] = geometry.disc_radius < CROP
        self._free: NDArray[np.bool_] = _halved(place.sky * self._kept) > 0.5
        self._light = _halved(light)
        self.factor = detector.exposure_factor(geometry.camera, self._light[:, self._free].mean(axis=0))
        self._x = detector.expose(geometry, self._rim, self._light, self.factor)
        self._shown: FloatArray = _grey(self._tone(self._x))
        # Every layer of light looks brighter towards the horizon: that is no form of aurora.
        self._level = f32(1 / np.clip(_halved(geometry.slant), 1, 2.5)[self._free])

    def _tone(self, x: FloatArray) -> FloatArray:
        return detector.tone(self._geometry.camera, x[:, self._free])

    def _change(self, part: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What a part adds to the displayed frame, to the signal in units of its noise, and in units of the rest."""
        without = detector.expose(self._geometry, self._rim, self._light - _halved(part), self.factor)
        added = (np.minimum(self._x, 1) - np.minimum(without, 1))[:, self._free]
        noise = detector.noise_level(self._geometry, self._x[:, self._free])
        rest = np.maximum(without[:, self._free], 0) + noise
        signal: FloatArray = (added / noise).max(axis=0)
        ratio: FloatArray = _grey(added) / _grey(rest)
        change: FloatArray = self._shown - _grey(self._tone(without))
        return change, signal, ratio

    def saturated(self) -> float:
        """Share of the free sky that is burnt out."""
        return float((self._x[:, self._free].min(axis=0) > 0.97).mean()) if self._free.any() else 1.0

    def structure(self, part: FloatArray) -> float:
        """Contrast of a part: its brightest 2 % above its darker fifth.

        It is measured as share of the displayed range and against the light around it; the lesser counts.

        Light that is everywhere alike, or only slopes from one side to the other, is no form, and one that drowns
        in noise is not seen: below three standard deviations of a pixel's noise the contrast counts for less.
        """
        change, signal, ratio = self._change(part)
        if change.size == 0:
            return 0.0
        change = self._without_slope(change * self._level)
        signal *= self._level
        low, high = _between(change, 0.2, 0.98)
        dim, bright = _between(signal, 0.2, 0.98)
        dark, light = _between(self._shown, 0.005, 0.995)
        # Against a bright sky, or in 8 bits, what takes less than a seventh of the range is hardly there.
        least = max(0.15 if self._geometry.camera.style == "gamma" else 1e-3, 0.15 * light)
        displayed = (high - low) / max(light - dark + 3 * self._grain(), least) * min((bright - dim) / 3, 1)
        weak, strong = _between(ratio, 0.2, 0.98)
        return min(displayed, strong - weak)

    def _grain(self) -> float:
        """The standard deviation of a typical pixel's noise as it is displayed."""
        x = np.median(self._x[:, self._free], axis=1, keepdims=True).astype(np.float32)
        camera = self._geometry.camera
        noisy = x + detector.noise_level(self._geometry, x)
        return float(_grey(detector.tone(camera, noisy) - detector.tone(camera, x)).max())

    def _without_slope(self, values: FloatArray) -> FloatArray:
        """Values over the free sky less the plane that fits them best."""
        rows, cols = np.nonzero(self._free)
        for axis in (f32(rows - rows.mean()), f32(cols - cols.mean())):
            values = values - axis * (float((values * axis).sum()) / max(float((axis * axis).sum()), 1.0))
        return values

    def peak(self, part: FloatArray) -> float:
        """How far a blob stands above the median sky (its two brightest pixels), as share of the range above that sky.

        The glow around the Moon belongs to its blob; but where the blob itself adds little to what shines there anyway,
        as in a bright dawn, only what it adds counts.
        """
        if not self._free.any():
            return 0.0
        row, col = np.unravel_index(int((part[0] * self._kept).argmax()), part.shape[1:])
        near = (slice(None), slice(max(row - 4, 0), row + 5), slice(max(col - 4, 0), col + 5))
        rim, camera = self._place.rim[near[1:]], self._geometry.camera
        light = self._full[near]
        with_it, without = (
            _grey(detector.tone(camera, detector.expose(self._geometry, rim, x, self.factor)))
            for x in (light, light - part[near])
        )
        with_it, without = with_it * self._kept[near[1:]], without * self._kept[near[1:]]
        sky = float(np.median(self._shown))
        room = max(1 - sky, 0.2)
        added, stands = _second(with_it - without) / room, (_second(with_it) - sky) / room
        return min(max(added, stands) if added > _OWN_LIGHT else added, 1.0)

    def strength(self, part: FloatArray) -> float:
        """The mean signal of a part, in units of a pixel's noise."""
        _, signal, _ = self._change(part)
        return float(signal.mean()) if signal.size else 0.0


def _grey(values: FloatArray) -> FloatArray:
    """Luma of three channels, or the only one: what models see of a colour frame."""
    if len(values) == 1:
        return f32(values[0])
    return f32(values[0] * np.float32(0.299) + values[1] * np.float32(0.587) + values[2] * np.float32(0.114))


def _second(values: FloatArray) -> float:
    """The second greatest value, or the only one."""
    return float(np.sort(values, axis=None)[-min(2, values.size)])


def _halved(values: FloatArray) -> FloatArray:
    """Means of 2x2 pixels over the last two axes; an odd last row or column is left out."""
    height, width = values.shape[-2] & ~1, values.shape[-1] & ~1
    v = values[..., :height, :width]
    return (v[..., ::2, ::2] + v[..., 1::2, ::2] + v[..., ::2, 1::2] + v[..., 1::2, 1::2]) * np.float32(0.25)


def _between(values: FloatArray, low: float, high: float) -> tuple[float, float]:
    """Two quantiles."""
    k = (int(low * (values.size - 1)), int(high * (values.size - 1)))
    parts = np.partition(values, k)
    return float(parts[k[0]]), float(parts[k[1]])
