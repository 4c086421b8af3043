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

_FREE_FORM = 1.6
"""A form keeps at least so much of its contrast, as 1 to this, when all that a clear sky may do is taken out."""


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
        self._places = [
            _halved(v)[self._free] for v in (geometry.east, geometry.north, geometry.up, geometry.disc_radius)
        ]

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

        Light that is everywhere alike, only slopes from one side to the other, only grows or falls from the zenith to
        the edge, or makes a crescent above the horizon is no form, for clear skies and lenses do that too; and one that
        drowns in noise is not seen: below three standard deviations of a pixel's noise the contrast counts for less.
        """
        change, signal, ratio = self._change(part)
        if change.size == 0:
            return 0.0
        change, signal = change * self._level, signal * self._level
        steps = [high - low for low, high in (_between(v, 0.2, 0.98) for v in self._without_shading(change))]
        step = min(steps[0], _FREE_FORM * steps[1])
        dim, bright = _between(signal, 0.2, 0.98)
        dark, light = _between(self._shown, 0.005, 0.995)
        # Against a bright sky, or in 8 bits, what takes less than a seventh of the range is hardly there.
        least = max(0.15 if self._geometry.camera.style == "gamma" else 1e-3, 0.15 * light)
        displayed = step / max(light - dark + 3 * self._grain(), least) * min((bright - dim) / 3, 1)
        weak, strong = _between(ratio, 0.2, 0.98)
        return min(displayed, strong - weak)

    def _grain(self) -> float:
        """The standard deviation of a typical pixel's noise as it is displayed."""
        x = np.median(self._x[:, self._free], axis=1, keepdims=True).astype(np.float32)
        camera = self._geometry.camera
        noisy = x + detector.noise_level(self._geometry, x)
        return float(_grey(detector.tone(camera, noisy) - detector.tone(camera, x)).max())

    def _without_shading(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Values over the free sky less the slope that fits them best; and less slope, dish and crescent."""
        east, north, up, radius = self._places
        side = np.array([float((values * v).sum()) for v in (east, north)])
        side /= max(float(np.hypot(*side)), 1e-9)
        toward = (east * side[0] + north * side[1]) / np.maximum(np.hypot(east, north), 1e-3)
        crescent = np.exp(1.6 * (toward - 1))
        low = (crescent * np.exp(-7 * up), crescent * np.exp(-3 * up))
        slope = np.stack((np.ones_like(east), east, north), axis=1)
        shading = np.concatenate((slope, np.stack((radius**2, radius**4, *low), axis=1)), axis=1)
        return _less(values, slope), _less(values, shading)

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

    def dots(self, part: FloatArray) -> float:
        """The signal of the tenth brightest pixel of a part, in units of its noise: whether stars are seen."""
        _, signal, _ = self._change(part)
        return float(np.sort(signal)[-10]) if signal.size >= 10 else 0.0

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


def _less(values: FloatArray, columns: FloatArray) -> FloatArray:
    """Values less the multiples of all columns but the first that fit them best."""
    factors = np.linalg.lstsq(columns.T @ columns, columns.T @ values, rcond=None)[0]
    return values - f32(columns[:, 1:] @ factors[1:])


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
