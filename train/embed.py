"""Embeddings of cached frames, by a torch network or by an exported graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from auroramon.backends.onnx import open_session
from auroramon.backends.sides import Looked, look_from_sides
from auroramon.borders import Borders
from auroramon.bundle import Sides
from auroramon.fit import Examples
from auroramon.heads import Head
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


def graph_embed(path: Path, threads: int) -> Embed:
    """Give the embedding function of an exported graph."""
    session = open_session(path, threads)
    name = session.get_inputs()[0].name

    def embed(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        result: NDArray[np.float32] = session.run(None, {name: inputs})[0]
        return result

    return embed


def embed_frames(
    embed: Embed, frames: FrameSet, numbers: NDArray[np.intp], spec: PreprocessSpec
) -> NDArray[np.float32]:
    """Give (N,D) embeddings of some frames, prepared as in serving."""
    return np.concatenate([embed(inputs) for inputs in plain_batches(frames, numbers, spec, BATCH)])


def look_at_all(
    embed: Embed, first: NDArray[np.float32], head: Head, sides: Sides | None, frames: FrameSet, spec: PreprocessSpec
) -> Looked:
    """Look at the frames of a split from several sides, where they lie near a border of the head.

    Args:
        embed: what embeds them.
        first: (N,D) what it gives for all of them as they are.
        head: whose borders they are.
        sides: None where there is but one.
        frames: of the split.
        spec: how they are prepared.
    """
    if sides is None:
        return Looked(first, np.zeros(len(first), dtype=bool))
    found, borders, done = [], Borders(head), 0
    for inputs in plain_batches(frames, np.arange(len(frames)), spec, BATCH):
        found.append(look_from_sides(inputs, first[done : done + len(inputs)], embed, sides, borders))
        done += len(inputs)
    return Looked(np.concatenate([f.embeddings for f in found]), np.concatenate([f.again for f in found]))


def examples(embed: Embed, frames: FrameSet, spec: PreprocessSpec, most: int | None = None) -> Examples:
    """Give the embeddings of the frames that have a class (the first `most`, spread evenly over the cameras)."""
    numbers = frames.only(range(len(LABELS)))
    if most is not None and len(numbers) > most:
        numbers = numbers[np.linspace(0, len(numbers) - 1, most).round().astype(np.intp)]
    return Examples(embed_frames(embed, frames, numbers, spec), frames.targets[numbers], LABELS)
