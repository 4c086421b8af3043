"""Which configured camera a frame belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from auroramon.config import CameraSettings
from auroramon.times import check_pattern
from auroramon.types import FileStat, RawFrame

DEFAULT_CAMERA = "default"
"""Camera of a file that names none and lies in no configured folder."""


@dataclass(frozen=True)
class Cameras:
    """The cameras of a station, and how a file or a header finds its own.

    Raises:
        ConfigError: a camera's time pattern can give no time.
    """

    configured: tuple[CameraSettings, ...] = ()
    _unconfigured: dict[str, CameraSettings] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        for camera in self.configured:
            check_pattern(camera.time_pattern)

    @cached_property
    def _by_name(self) -> dict[str, CameraSettings]:
        return {camera.name: camera for camera in self.configured}

    def of_frame(self, file: FileStat, raw: RawFrame) -> CameraSettings:
        """Give the camera of a frame: by its folder, else by its header, else by the header's own name.

        The imager id alone is not enough: one imager can serve two sites in the same night.
        """
        if file.camera:
            return self.named(file.camera)
        for camera in self.configured:
            if camera.site and camera.site.lower() == raw.site and camera.imager.lower() in {"", raw.imager}:
                return camera
        return self.named("_".join(part for part in (raw.site, raw.imager) if part) or DEFAULT_CAMERA)

    def named(self, name: str) -> CameraSettings:
        """Give the camera of a name; one that is not configured has nothing but defaults."""
        known = self._by_name.get(name) or self._unconfigured.get(name)
        if known is None:
            plain = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in name)[:64]
            known = CameraSettings(name=plain if plain[:1].isalnum() else DEFAULT_CAMERA)
            self._unconfigured[name] = known
        return known
