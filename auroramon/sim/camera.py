"""A simulated camera: everything that stays the same from frame to frame, and a dice for it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Projection = Literal["equidistant", "equisolid", "stereographic"]
Band = Literal["white", "colour", "557.7", "630.0", "nir", "427.8"]
Style = Literal["raw", "gamma", "stretched", "cropped"]


@dataclass(frozen=True, slots=True)
class SimCamera:
    """What differs between two all-sky cameras; hashable, so that geometry can be kept per camera."""

    name: str
    seed: int  # fixes landscape, dirt, lamps and pixel defects
    # Frame and lens
    width: int  # pixels of a full frame
    height: int  # pixels of a full frame
    centre_x: float  # disc centre, fraction of the width
    centre_y: float  # disc centre, fraction of the height
    radius: float  # disc radius, fraction of the shorter side; above 0.5 the frame cuts the disc
    projection: Projection
    edge_zenith_deg: float  # zenith angle seen at the edge of the disc
    tilt_deg: float  # angle between optical axis and zenith
    tilt_azimuth_deg: float
    rotation_deg: float  # azimuth of the upward direction of the frame
    flip: bool  # True: east is right of north, as seen from above
    vignetting: float  # loss of light at the edge of the disc, 0..1; below 0 where software corrects too much
    vignetting_power: float  # how late the loss sets in
    psf: float  # blur of the lens, sigma as fraction of the disc radius
    ghosts: float  # strength of reflections between lens surfaces, 0..1
    off_axis: float  # how far from the middle of the disc the lens is brightest, disc radii
    amp_glow: float  # light of the read-out amplifier in a corner, in units of the dark sky
    reflexes: int  # bright crescents that dome and lens make of lights at the horizon
    glare: float  # strength of the halo that dust and lens put around a bright light, 0..1
    # Detector
    band: Band
    exposure: float  # fraction of full scale that a dark clear sky reaches
    auto_exposure: bool  # bright skies are exposed for a shorter time
    bias: float  # counts, as fraction of full scale
    read_noise: float  # fraction of full scale, as seen where the disc is 128 pixels wide
    shot_noise: float  # noise of a full-scale signal, fraction of full scale, likewise
    pattern_noise: float  # row and column noise, fraction of full scale
    hot_pixels: float  # fraction of pixels
    blooming: bool  # a saturated light spills along its column
    full_scale: int  # greatest count in the file: 255, 4095 x 16, 65535, ...
    # File
    style: Style
    gamma: float  # exponent of the tone curve for style `gamma` and `stretched`; 1 is linear
    white_balance: tuple[float, float, float]  # factors for red, green, blue
    sky_colour: tuple[float, float, float]  # of the dark sky, red, green, blue
    saturation: float  # of colours; 0 grey, 1 as seen, above 1 boosted
    jpeg_quality: int  # 0: no JPEG
    caption: str  # text burnt in; empty: none
    caption_corner: int  # 0..3 clockwise from upper left
    # Surroundings
    rim: Literal["dark", "bright", "soft"]  # edge of the disc
    outside: float  # signal outside the disc, fraction of full scale
    trees: float  # height of the skyline, degrees
    masts: int
    buildings: int
    screens: int  # straight edges that cut off a piece of the sky
    lamps: int
    dirt: float  # 0..1
    latitude_deg: float
    dip_from_zenith_deg: float  # angle between the magnetic field and the vertical
    declination_deg: float  # azimuth of magnetic north
    city_azimuth_deg: float
    city: float  # brightness of the light dome at the horizon, in units of the dark sky
    oh_airglow: float  # structure of the airglow, 0..1

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return 3 if self.band == "colour" else 1


_BANDS: tuple[Band, ...] = ("white", "colour", "557.7", "630.0", "nir", "427.8")
_CAPTIONS = ("ALL-SKY CAMERA", "Polar Observatory", "ASC-2  exp 8s", "KVN allsky  gain 200", "Aurora station N7")


def random_camera(rng: np.random.Generator, name: str) -> SimCamera:
    """A camera as one might stand somewhere: drawn anew from `rng`, called `name`."""
    band: Band = _BANDS[rng.choice(len(_BANDS), p=(0.42, 0.34, 0.09, 0.07, 0.05, 0.03))]
    style = _style(rng, band)
    width, height, radius = _frame_shape(rng, style)
    narrow = band not in ("white", "colour")
    sensitive = rng.random() < (0.25 if narrow else 0.6)
    full_scale = 255 if style in ("gamma", "stretched") else int(rng.choice((65535, 65520, 16383, 4095)))
    slack = min(0.5 - radius, 0.08) if radius < 0.5 else 0.03
    gamma = float(rng.uniform(0.38, 0.75)) if style in ("gamma", "stretched") else 1.0
    exposure = _exposure(rng, style, gamma, sensitive)
    # Signal to noise of the dark sky: real frames are cleaner than one expects, a few are much worse.
    clean = float(np.exp(rng.normal(np.log(16 if narrow or style == "cropped" else 32), 0.7)))
    noise = exposure / max(clean, 7.0)
    share = float(rng.beta(2, 2))
    low = style != "cropped"  # whether the frame shows the lowest elevations, where obstacles and lamps are
    return SimCamera(
        name=name,
        seed=int(rng.integers(2**31)),
        width=width,
        height=height,
        centre_x=0.5 + float(rng.uniform(-1, 1)) * slack * height / width,
        centre_y=0.5 + float(rng.uniform(-1, 1)) * slack,
        radius=radius,
        projection=("equidistant", "equisolid", "stereographic")[rng.choice(3, p=(0.6, 0.3, 0.1))],
        edge_zenith_deg=_edge_zenith(rng, style),
        tilt_deg=float(abs(rng.normal(0, 2.0))),
        tilt_azimuth_deg=float(rng.uniform(0, 360)),
        rotation_deg=float(rng.choice((0.0, 180.0, rng.uniform(0, 360)))),
        flip=bool(rng.random() < 0.5),
        vignetting=float(rng.beta(2, 2) * 0.85) if rng.random() < 0.8 else float(-rng.uniform(0.05, 0.7)),
        vignetting_power=float(rng.uniform(1.5, 5)),
        psf=float(rng.uniform(0.0015, 0.0055)),
        ghosts=float(rng.beta(1, 2)),
        off_axis=float(rng.uniform(0, 0.25)) if rng.random() < 0.4 else 0.0,
        amp_glow=float(rng.uniform(0.1, 1.5)) if rng.random() < 0.12 else 0.0,
        reflexes=int(rng.choice((0, 1, 2), p=(0.75, 0.18, 0.07))),
        glare=float(rng.beta(1.5, 2)),
        band=band,
        exposure=exposure,
        auto_exposure=bool(rng.random() < 0.4),
        bias=float(rng.choice((0.0, rng.uniform(0.002, 0.06))))
        if style == "raw"
        else float(rng.choice((0.0, rng.uniform(0, 0.1)))) * exposure,
        read_noise=noise * (1 - share) ** 0.5,
        shot_noise=noise * share**0.5 / exposure**0.5,
        pattern_noise=noise * float(rng.choice((0.0, rng.uniform(0.05, 0.5)), p=(0.85, 0.15))),
        hot_pixels=float(rng.choice((0.0, 10 ** rng.uniform(-4.5, -3)))),
        blooming=bool(rng.random() < 0.18),
        full_scale=full_scale,
        style=style,
        gamma=gamma,
        white_balance=_white_balance(rng),
        sky_colour=_sky_colour(rng),
        saturation=float(rng.uniform(0.7, 1.7)),
        jpeg_quality=int(rng.integers(60, 96)) if style == "gamma" else 0,
        caption=_caption(rng, style),
        caption_corner=int(rng.integers(4)),
        rim=("dark", "bright", "soft")[rng.choice(3, p=(0.5, 0.2, 0.3))],
        outside=float(rng.choice((0.0, 10 ** rng.uniform(-3.5, -1.8)))),
        trees=float(rng.choice((0.0, rng.uniform(1, 12)))),
        masts=int(rng.choice((0, 0, 1, 2, 4))) if low else int(rng.choice((0, 0, 0, 1))),
        buildings=int(rng.choice((0, 0, 0, 1, 2))) if low else 0,
        screens=int(rng.choice((0, 1, 2), p=(0.82, 0.13, 0.05))),
        lamps=int(rng.choice((0, 0, 0, 1, 3))) if low else 0,
        dirt=float(rng.beta(1, 3)),
        latitude_deg=float(rng.choice((-1.0, 1.0), p=(0.25, 0.75)) * rng.uniform(30, 80)),
        dip_from_zenith_deg=float(rng.uniform(4, 18)),
        declination_deg=float(rng.uniform(-30, 30)),
        city_azimuth_deg=float(rng.uniform(0, 360)),
        city=float(rng.choice((0.0, 10 ** rng.uniform(-1, 0.9)))) * (0.25 if narrow else 1.0),
        oh_airglow=float(rng.beta(1, 2)) if band != "nir" else float(rng.uniform(0.4, 1.0)),
    )


def _style(rng: np.random.Generator, band: Band) -> Style:
    """How files of such a camera are written: colour is rarely raw, grey mostly is."""
    if band == "colour":
        return "gamma" if rng.random() < 0.7 else "stretched"
    return ("raw", "gamma", "stretched", "cropped")[rng.choice(4, p=(0.45, 0.15, 0.2, 0.2))]


def _frame_shape(rng: np.random.Generator, style: Style) -> tuple[int, int, float]:
    """Width and height in pixels, and the disc radius as fraction of the shorter side."""
    if style == "cropped":
        return 256, 256, float(rng.uniform(0.41, 0.5))
    side = int(rng.choice((256, 256, 480, 512, 1040)))
    aspect = float(rng.choice((1.0, 1.0, 1.0, 1.18, 4 / 3, 1.5)))
    radius = float(rng.uniform(0.38, 0.5) if rng.random() < 0.85 else rng.uniform(0.5, 0.58))
    return round(side * aspect), side, radius


def _edge_zenith(rng: np.random.Generator, style: Style) -> float:
    """Zenith angle at the edge of the disc: files in the OATH way leave out the lowest elevations."""
    return float(rng.uniform(74, 82)) if style == "cropped" else float(rng.uniform(80, 93))


def _exposure(rng: np.random.Generator, style: Style, gamma: float, sensitive: bool) -> float:
    """What fraction of full scale the dark sky reaches: consumer files show it as a dark grey."""
    if style == "gamma":
        return float((rng.uniform(20, 90) / 255) ** (1 / gamma))
    return float(10 ** rng.uniform(-1.7, -0.8)) if sensitive else float(10 ** rng.uniform(-2.5, -1.4))


def _sky_colour(rng: np.random.Generator) -> tuple[float, float, float]:
    """Brown, olive, neutral, blue-grey or, where airglow prevails, greenish, as towns, airglow and filters make it."""
    red, blue = np.exp(rng.normal(0.08, 0.22)), np.exp(rng.normal(-0.15, 0.28))
    if rng.random() < 0.2:
        red, blue = 0.85 * red, 0.8 * blue
    return (float(red), 1.0, float(blue))


def _white_balance(rng: np.random.Generator) -> tuple[float, float, float]:
    warm = rng.normal(0, 0.12)
    return (float(np.exp(warm)), 1.0, float(np.exp(-warm + rng.normal(0, 0.08))))


def _caption(rng: np.random.Generator, style: Style) -> str:
    if style not in ("gamma", "stretched") or rng.random() < 0.6:
        return ""
    return str(rng.choice(_CAPTIONS))


def standard_camera(name: str, seed: int = 0) -> SimCamera:
    """The white-light camera of demonstrations: 256x256, raw 16 bit, like those of the large networks."""
    rng = np.random.default_rng([23, seed])
    return replace(
        random_camera(rng, name),
        width=256,
        height=256,
        centre_x=0.5 + float(rng.uniform(-0.01, 0.01)),
        centre_y=0.5 + float(rng.uniform(-0.01, 0.01)),
        radius=0.475,
        projection="equidistant",
        edge_zenith_deg=88.0,
        vignetting=0.35,
        off_axis=0.0,
        amp_glow=0.0,
        reflexes=0,
        psf=0.0035,
        band="white",
        exposure=0.03,
        auto_exposure=False,
        bias=0.05,
        read_noise=0.001,
        shot_noise=0.012,
        pattern_noise=0.0,
        hot_pixels=0.0,
        blooming=False,
        full_scale=65535,
        style="raw",
        gamma=1.0,
        jpeg_quality=0,
        caption="",
        trees=3.0,
        buildings=0,
        screens=0,
        latitude_deg=64.0,
        city=0.4,
        oh_airglow=0.2,
    )
