"""Frames as small pictures inside the page."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from auroramon.preprocess import PreprocessSpec, extract_sky
from train.frames import FrameSet

SIDE = 160  # pixels


def thumbnail(frames: FrameSet, number: int, spec: PreprocessSpec) -> str:
    """Give the sky of a frame, stretched as the network sees it, as a data URL."""
    counts, disc = frames.frame(number)
    sky = extract_sky(np.asarray(counts), 1.0, disc, spec)
    spread = sky.high - sky.low
    tone = np.clip((sky.grey - sky.low) / (spread if spread > 0 else 1), 0, 1) * sky.valid
    picture = Image.fromarray((tone * 255).astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=70)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
