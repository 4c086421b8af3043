"""Which aurora belongs to which label: the dice for displays, following the rules of docs/simulation.md."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from auroramon.sim.aurora import Curtain, Display, Flow, Veil, Vortex
from auroramon.sim.dice import pick, sign, sometimes
from auroramon.sim.weave import Weave

ARC = {"quiet": 0.88, "low": 0.12}
DIFFUSE = {"veil": 0.12, "half": 0.12, "patches": 0.2, "streaks": 0.12, "band": 0.16, "fading": 0.22, "low": 0.06}
DISCRETE = {"curtains": 0.44, "weave": 0.17, "both": 0.27, "low": 0.12}
"""Kinds of display and how often they are drawn."""

LOW_KM = (190.0, 430.0)
"""How far away aurora stands that is seen low above one horizon: its feet at 28 to 12 degrees."""


def random_display(rng: np.random.Generator, label: str, kind: str | None = None) -> Display:
    """Aurora of the class `arc`, `diffuse` or `discrete`, of a kind or of any, brightness for a dark sky."""
    if label == "arc":
        return arc_display(rng, kind)
    if label == "diffuse":
        return diffuse_display(rng, kind)
    return discrete_display(rng, kind)


def arc_display(rng: np.random.Generator, kind: str | None = None) -> Display:
    """One to three quiet arcs, narrow against the sky and without folds; overhead, or low above the horizon."""
    kind = kind or pick(rng, tuple(ARC), tuple(ARC.values()))
    angle, offset = rng.normal(0, 8), _low(rng) * 0.85 if kind == "low" else _offset(rng)
    count = pick(rng, (1, 2, 3), (0.62, 0.28, 0.1))
    main = 10 ** rng.uniform(0.0, 1.2)
    arcs = []
    for i in range(count):
        width = float(np.clip(np.exp(rng.normal(np.log(11), 0.5)), 4, 24))
        arcs.append(
            Curtain(
                brightness=float(main * (1 if i == 0 else rng.uniform(0.25, 0.9))),
                offset_km=float(offset + i * sign(rng) * rng.uniform(35, 160)),
                angle_deg=float(angle + rng.normal(0, 2)),
                bend=float(rng.normal(-60, 50)),
                width_km=width,
                tail=float(rng.uniform(1, 2.6)),
                wander_km=float(rng.uniform(2, 22)),
                fold=pick(rng, (0.0, 1.0), (1, 1)),
                rays=sometimes(rng, 0.5, 0.1, 0.45),
                ray_km=float(rng.uniform(10, 30)),
                strands=sometimes(rng, 0.5, 0.1, 0.5),
                strand_km=float(rng.uniform(6, 15)),
                unevenness=float(rng.uniform(0, 0.8)),
                centre_km=float(rng.normal(0, 250)),
                extent_km=float(rng.uniform(400, 1500)),
                seed=int(rng.integers(1 << 30)),
                drift_km_s=float(rng.normal(0, 0.3)),
            )
        )
    veils: tuple[Veil, ...] = ()
    if rng.random() < 0.6:  # the glow on the equatorward side, far fainter than the arc
        veils = (_background_veil(rng, offset - rng.uniform(0, 200), main * rng.uniform(0.03, 0.3)),)
    flow = Flow(float(rng.uniform(1, 7)), float(rng.uniform(150, 400)), 0.1, 600.0, int(rng.integers(1 << 30)))
    return Display(tuple(arcs), veils, (), flow, (), float(rng.uniform(0.2, 0.7)))


def diffuse_display(rng: np.random.Generator, kind: str | None = None) -> Display:
    """A broad glow with soft edges: veil, half a sky, patches, streaks, a broad band, a melting arc, or low."""
    kind = kind or pick(rng, tuple(DIFFUSE), tuple(DIFFUSE.values()))
    brightness = float(10 ** rng.uniform(-0.45, 0.75))
    angle, offset, hardness = float(rng.normal(0, 12)), _offset(rng), float(rng.uniform(0.4, 1))
    if kind == "streaks":
        ground = (_background_veil(rng, offset, brightness * rng.uniform(0.2, 0.8)),) if rng.random() < 0.6 else ()
        return Display((), ground, (), None, (_streaks(rng, brightness, angle, offset),), hardness)
    if kind == "fading":
        return _fading(rng, brightness, angle, offset * 0.8)
    half = {"veil": rng.uniform(120, 500), "half": rng.uniform(450, 900), "patches": rng.uniform(150, 600)}
    patchy = {"veil": rng.uniform(0.15, 0.6), "patches": rng.uniform(0.55, 1)}
    width = float(half.get(kind, rng.uniform(40, 95)))
    if kind == "low":  # a glow above the horizon of one side
        offset, width = _low(rng) * 1.2, float(rng.uniform(40, 140))
    if kind == "half":  # its edge crosses the sky, the rest lies beyond the horizon
        offset = float(sign(rng) * width + rng.normal(0, 140))
    veil = Veil(
        brightness=brightness,
        offset_km=offset * (0.7 if kind == "band" else 1.0),
        angle_deg=angle,
        half_width_km=width,
        edge_km=float(rng.uniform(50, 180)),
        wander_km=float(rng.uniform(10, 70)),
        patches=float(patchy.get(kind, rng.uniform(0, 0.5))),
        patch_km=float(np.exp(rng.uniform(np.log(40), np.log(180)))),
        stretch=float(rng.uniform(1, 3)),
        sharpness=float(rng.uniform(0, 0.85)),
        pulse_s=float(rng.uniform(4, 20)) if kind == "patches" and rng.random() < 0.6 else 0.0,
        seed=int(rng.integers(1 << 30)),
        drift_km_s=float(rng.normal(0, 0.3)),
    )
    veils = [veil]
    if rng.random() < 0.5:
        veils.append(_background_veil(rng, veil.offset_km + rng.normal(0, 150), brightness * rng.uniform(0.2, 0.6)))
    faint = (_streaks(rng, brightness * rng.uniform(0.15, 0.5), angle, offset),) if rng.random() < 0.3 else ()
    return Display((), tuple(veils), (), None, faint, hardness)


def _fading(rng: np.random.Generator, brightness: float, angle: float, offset: float) -> Display:
    """A wide band that is all that is left of an arc: threads, no core, and a glow on one side nearly as bright."""
    width = float(rng.uniform(16, 50))
    band = Curtain(
        brightness=brightness * float(rng.uniform(0.8, 1.5)),
        offset_km=offset,
        angle_deg=angle,
        bend=float(rng.normal(-60, 50)),
        width_km=width,
        tail=float(rng.uniform(1.2, 3.5)),
        wander_km=float(rng.uniform(5, 35)),
        fold=0.0,
        rays=sometimes(rng, 0.3, 0.1, 0.35),
        ray_km=float(rng.uniform(15, 40)),
        strands=sometimes(rng, 0.7, 0.2, 0.7),
        strand_km=float(rng.uniform(10, 28)),
        unevenness=float(rng.uniform(0.2, 1.0)),
        centre_km=float(rng.normal(0, 300)),
        extent_km=float(rng.uniform(500, 1500)),
        seed=int(rng.integers(1 << 30)),
        drift_km_s=float(rng.normal(0, 0.3)),
    )
    side, reach = pick(rng, (-1, 1), (0.75, 0.25)), float(rng.uniform(120, 450))
    glow = _background_veil(rng, offset + side * reach, brightness * rng.uniform(0.45, 1.1))
    glow = replace(glow, half_width_km=reach, angle_deg=angle, edge_km=float(rng.uniform(30, 110)))
    return Display((band,), (glow,), (), None, (), float(rng.uniform(0.2, 0.8)))


def _streaks(rng: np.random.Generator, brightness: float, angle: float, offset: float) -> Weave:
    """Broad, faint, parallel streaks."""
    return Weave(
        brightness=float(brightness),
        offset_km=float(offset),
        angle_deg=float(angle + rng.normal(0, 6)),
        half_width_km=float(rng.uniform(80, 400)),
        edge_km=float(rng.uniform(60, 160)),
        scale_km=float(np.exp(rng.uniform(np.log(40), np.log(130)))),
        stretch=float(rng.uniform(4, 11)),
        thin=float(rng.uniform(0, 0.35)),
        fill=float(rng.uniform(0.1, 0.7)),
        unevenness=float(rng.uniform(0.1, 0.8)),
        fold=0.0,
        seed=int(rng.integers(1 << 30)),
        drift_km_s=float(rng.normal(0, 0.3)),
    )


def discrete_display(rng: np.random.Generator, kind: str | None = None) -> Display:
    """Folded, rayed, torn or swirling forms, several at once, over a diffuse ground."""
    kind = kind or pick(rng, tuple(DISCRETE), tuple(DISCRETE.values()))
    main = float(10 ** rng.uniform(0.45, 1.7))
    angle, offset = float(rng.normal(0, 18)), _low(rng) if kind == "low" else _offset(rng, low=0.22) * 0.9
    curtains = []
    for i in range(0 if kind == "weave" else pick(rng, (1, 2, 3, 4, 6), (0.25, 0.25, 0.2, 0.15, 0.15))):
        part = main * (1.0 if i == 0 else float(rng.uniform(0.2, 1.0)))
        turn, away = (0.0, 0.0) if i == 0 else (float(rng.normal(0, 15)), float(rng.normal(0, 130)))
        away = abs(away) * float(np.sign(offset)) if kind == "low" else away  # none of them comes nearer
        curtains.append(_folded(rng, part, angle + turn, offset + away))
    weaves = []
    for _ in range(0 if kind in ("curtains", "low") else pick(rng, (1, 2), (0.65, 0.35))):
        part = main * float(rng.uniform(0.25, 0.7) if kind == "both" else rng.uniform(0.6, 1.2))
        weaves.append(_filaments(rng, part, angle, offset))
    vortices = tuple(
        Vortex(
            east_km=float(rng.normal(0, 180)),
            north_km=float(offset + rng.normal(0, 90)),
            radius_km=float(rng.uniform(50, 260)),
            turn_deg=float(sign(rng) * rng.uniform(40, 260)),
        )
        for _ in range(0 if kind == "low" else pick(rng, (0, 1, 2, 3), (0.42, 0.33, 0.15, 0.1)))
    )
    veils = (_background_veil(rng, offset, main * rng.uniform(0.02, 0.4)),) if rng.random() < 0.7 else ()
    scale = float(np.exp(rng.uniform(np.log(60), np.log(330))))
    flow = Flow(
        depth_km=float(scale * rng.uniform(0.22, 0.5)),
        scale_km=scale,
        drift_km_s=float(rng.normal(0, 1.0)),
        change_s=float(rng.uniform(60, 240)),
        seed=int(rng.integers(1 << 30)),
    )
    return Display(tuple(curtains), veils, vortices, flow, tuple(weaves), float(rng.uniform(0.2, 1)))


def _filaments(rng: np.random.Generator, brightness: float, angle: float, offset: float) -> Weave:
    """A part of the sky full of bright threads that bend together."""
    return Weave(
        brightness=float(brightness),
        offset_km=float(offset + rng.normal(0, 90)),
        angle_deg=float(angle + rng.normal(0, 15)),
        half_width_km=float(rng.uniform(30, 320)),
        edge_km=float(rng.uniform(20, 130)),
        scale_km=float(np.exp(rng.uniform(np.log(22), np.log(110)))),
        stretch=float(np.exp(rng.uniform(np.log(1.3), np.log(6)))),
        thin=float(rng.uniform(0.45, 1)),
        fill=float(rng.uniform(0, 0.35)),
        unevenness=float(rng.uniform(0.4, 1)),
        fold=float(rng.uniform(0.6, 1.3)),
        seed=int(rng.integers(1 << 30)),
        drift_km_s=float(rng.normal(0, 1.2)),
    )


def _folded(rng: np.random.Generator, brightness: float, angle: float, offset: float) -> Curtain:
    rays = sometimes(rng, 0.65, 0.3, 1.0)
    strands = sometimes(rng, 0.65, 0.3, 0.95)
    return Curtain(
        brightness=brightness,
        offset_km=float(offset),
        angle_deg=float(angle),
        bend=float(rng.normal(-40, 80)),
        width_km=float(np.exp(rng.normal(np.log(7), 0.55))),
        tail=float(np.exp(rng.uniform(0, np.log(11)))),
        wander_km=float(rng.uniform(15, 70)),
        fold=float(rng.uniform(0.7, 1.25)),
        rays=rays,
        ray_km=float(np.exp(rng.uniform(np.log(5), np.log(25)))),
        strands=strands * (1 - 0.8 * rays),  # both at once would make a lattice of dots
        strand_km=float(np.exp(rng.uniform(np.log(6), np.log(28)))),
        unevenness=float(rng.uniform(0.4, 1.4)),
        centre_km=float(rng.normal(0, 180)),
        extent_km=float(rng.uniform(250, 900)),
        seed=int(rng.integers(1 << 30)),
        drift_km_s=float(rng.normal(0, 1.5)),
    )


def _background_veil(rng: np.random.Generator, offset: float, brightness: float) -> Veil:
    return Veil(
        brightness=float(brightness),
        offset_km=float(offset + rng.normal(-60, 120)),
        angle_deg=float(rng.normal(0, 10)),
        half_width_km=float(rng.uniform(60, 400)),
        edge_km=float(rng.uniform(60, 200)),
        wander_km=float(rng.uniform(0, 60)),
        patches=float(rng.uniform(0, 0.6)),
        patch_km=float(rng.uniform(40, 200)),
        stretch=float(rng.uniform(1, 6)),
        sharpness=float(rng.uniform(0, 0.5)),
        pulse_s=0.0,
        seed=int(rng.integers(1 << 30)),
        drift_km_s=0.0,
    )


def _low(rng: np.random.Generator) -> float:
    """Where aurora stands that is seen above the horizon of one side only, km north of the station."""
    return float(sign(rng) * rng.uniform(*LOW_KM))


def _offset(rng: np.random.Generator, low: float = 0.12) -> float:
    """Where the aurora lies, km north of the station: anywhere from horizon to horizon, oftenest near overhead."""
    if rng.random() < low:  # low above the horizon
        return float(sign(rng) * rng.uniform(300, 750))
    return float(pick(rng, (-1, 1), (0.4, 0.6)) * abs(rng.normal(0, 190)))
