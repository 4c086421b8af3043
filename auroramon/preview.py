"""Draws what the model sees of a frame, for a person: the frame with its disc and mask, and the input planes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from auroramon import gates
from auroramon.preprocess import (
    InputChannel,
    PreprocessSpec,
    Sky,
    extract_sky,
    square_size,
    to_input,
)
from auroramon.resample import ChannelRule, to_grey
from auroramon.types import Disc

SIDE = 512  # pixels of the longer side of the frame, and of an input plane's place
MARGIN = 12
TEXT = 16  # font size
PAPER, INK, FAINT = (24, 24, 28), (235, 235, 235), (150, 150, 158)
DISC, CROP, MASK, WARNING = (255, 96, 64), (64, 200, 255), (200, 40, 160), (255, 210, 60)
TONE = 0.5  # the frame is drawn brighter than the model sees it, so that a dark disc's edge shows
MEANING: dict[InputChannel, str] = {
    "stretched": "stretched: linear between the percentiles",
    "equalised": "equalised: rank within the sky",
    "green": "green: white greener than the darker sky, black less",
}
ORIGIN = {
    "configured": "configured",
    "found": "found in this frame",
    "whole": "NO DISC FOUND: the whole frame is used",
}


def render(
    pixels: NDArray[Any],
    pixel_aspect: float,
    disc: Disc,
    mask: NDArray[np.bool_] | None,
    spec: PreprocessSpec,
    rule: ChannelRule,
    title: str,
) -> Image.Image:
    """Give an RGB picture: left the frame with its circles, right each input plane, below the numbers.

    Args:
        pixels: (H,W) or (H,W,3), native counts.
        pixel_aspect: width / height of a pixel.
        disc: where the sky is.
        mask: (H,W), True where the camera sees sky, or None.
        spec: the model's recipe.
        rule: how colour becomes grey.
        title: the first line, such as the file's name.
    """
    sky = extract_sky(pixels, pixel_aspect, disc, spec, rule, mask)
    frame = _draw_frame(pixels, pixel_aspect, disc, mask, spec, rule)
    planes = [_plane(plane, spec, n) for n, plane in enumerate(to_input(sky, spec))]
    facts = _facts(pixels, pixel_aspect, disc, sky, spec, rule)
    lines = TEXT + 6
    top = MARGIN + lines * 2
    width = MARGIN + frame.width + sum(MARGIN + SIDE for _ in planes) + MARGIN
    page = Image.new("RGB", (width, top + SIDE + MARGIN + lines * len(facts) + MARGIN), PAPER)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(TEXT)
    pen.text((MARGIN, MARGIN), title, INK, font)
    pen.text((MARGIN, MARGIN + lines), "frame: red = disc, blue = what is kept of it", FAINT, font)
    page.paste(frame, (MARGIN, top))
    left = MARGIN + frame.width + MARGIN
    for name, plane in zip(spec.channels, planes, strict=True):
        pen.text((left, MARGIN + lines), MEANING[name], FAINT, font)
        page.paste(plane, (left, top))
        left += SIDE + MARGIN
    for n, (text, colour) in enumerate(facts):
        pen.text((MARGIN, top + SIDE + MARGIN + n * lines), text, colour, font)
    return page


def _draw_frame(
    pixels: NDArray[Any],
    pixel_aspect: float,
    disc: Disc,
    mask: NDArray[np.bool_] | None,
    spec: PreprocessSpec,
    rule: ChannelRule,
) -> Image.Image:
    """Draw the stretched frame in square pixels with disc, kept circle, centre and mask."""
    height, width = square_size(pixels.shape, pixel_aspect)
    zoom = SIDE / max(height, width)
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    grey = np.nan_to_num(np.asarray(to_grey(pixels, rule)), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = (float(v) for v in np.percentile(grey, (0.5, 99.5)))
    tone = np.clip((grey - low) / max(high - low, 1e-9), 0, 1) ** TONE
    image = Image.fromarray((tone * 255).astype(np.uint8)).resize(size, Image.Resampling.BOX).convert("RGB")
    if mask is not None:
        hidden = Image.fromarray(np.where(mask, 0, 140).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
        image.paste(Image.new("RGB", size, MASK), (0, 0), hidden)
    pen = ImageDraw.Draw(image)
    x, y = disc.x * zoom, disc.y * zoom
    for radius, colour in ((disc.radius * zoom, DISC), (disc.radius * spec.crop * zoom, CROP)):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=2)
    pen.line((x - 8, y, x + 8, y), DISC, 2)
    pen.line((x, y - 8, x, y + 8), DISC, 2)
    return image


def _plane(plane: NDArray[np.float32], spec: PreprocessSpec, n: int) -> Image.Image:
    """Draw one (S,S) input plane as the values were before the normalisation, 0 black and 1 white."""
    value = np.clip(plane * np.float32(spec.std[n]) + np.float32(spec.mean[n]), 0, 1)
    image = Image.fromarray((value * 255 + 0.5).astype(np.uint8))
    return image.resize((SIDE, SIDE), Image.Resampling.NEAREST).convert("RGB")


def _facts(
    pixels: NDArray[Any], pixel_aspect: float, disc: Disc, sky: Sky, spec: PreprocessSpec, rule: ChannelRule
) -> list[tuple[str, tuple[int, int, int]]]:
    """Give the lines below the pictures with their colours."""
    height, width = pixels.shape[:2]
    colour = f", {rule} of colour" if pixels.ndim == 3 else ""
    aspect = f", pixels {pixel_aspect:.3f} as wide as high" if pixel_aspect != 1 else ""
    stretch = f"black = {sky.low:.6g}, white = {sky.high:.6g} counts"
    stretch += f" (percentiles {spec.low_percentile:g} and {spec.high_percentile:g})"
    facts = [
        (f"frame {width}x{height} {pixels.dtype}{colour}{aspect}", INK),
        (
            f"disc x = {disc.x:.1f}, y = {disc.y:.1f}, radius = {disc.radius:.1f} square pixels: {ORIGIN[disc.origin]}",
            WARNING if disc.origin == "whole" else INK,
        ),
        (f"input {spec.size}x{spec.size}, inner {spec.crop:.0%} of the disc, {stretch}", INK),
    ]
    refusal = gates.shape(pixels, pixel_aspect) or gates.refuse(pixels, sky)
    facts.append(
        (f"labelled unknown without the model: {refusal}", WARNING) if refusal else ("no gate refuses it", INK)
    )
    return facts
