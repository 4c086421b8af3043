"""Embeddings of cached frames, by a torch network or by an exported graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from auroramon.fit import Examples
from auroramon.preprocess import PreprocessSpec
from auroramon.types import LABELS
from train.backbones import Embedder
from train.data import plain_batches
from train.frames import FrameSet

Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N,C,S,S) inputs to (N,D) embeddings."""

BATCH = 64


def torch_embed(net: Embedder, device: str = "cpu") -> Embed:
    """Give the embedding function of a network in evaluation mode, moved to a device, in float32."""
    placed = net.to(device)

    def embed(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            result: NDArray[np.float32] = placed(torch.from_numpy(inputs).to(device)).cpu().numpy()
        return result

    return embed


def embed_frames(
    embed: Embed, frames: FrameSet, numbers: NDArray[np.intp], spec: PreprocessSpec
) -> NDArray[np.float32]:
    """Give (N,D) embeddings of some frames, prepared as in serving."""
    return np.concatenate([embed(inputs) for inputs in plain_batches(frames, numbers, spec, BATCH)])


def examples(embed: Embed, frames: FrameSet, spec: PreprocessSpec, most: int | None = None) -> Examples:
    """Give the embeddings of the frames that have a class (the first `most`, spread evenly over the cameras)."""
    numbers = frames.only(range(len(LABELS)))
    if most is not None and len(numbers) > most:
        numbers = numbers[np.linspace(0, len(numbers) - 1, most).round().astype(np.intp)]
    return Examples(embed_frames(embed, frames, numbers, spec), frames.targets[numbers], LABELS)
