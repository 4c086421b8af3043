"""Features of a network that is not ours, from an ONNX file: model 1 of the paper is Inception-v4 with a ridge head.

The weights of Inception-v4 are not in torchvision and not shipped; docs/oath.md says how to write such a file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auroramon.backends.onnx import open_session
from auroramon.errors import ConfigError
from train.embed import Embed
from train.runfile import PreprocessTable


def feature_recipe(file: Path) -> PreprocessTable:
    """Give the preprocessing that a file of features wants: its own size, values from -1 to 1 (Szegedy et al. 2016).

    Raises:
        ConfigError: it does not take (N,3,S,S) images of one size.
        BundleError: it is no ONNX file that can be run.
    """
    shape = open_session(file, 1).get_inputs()[0].shape
    if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3] or not isinstance(shape[2], int):
        raise ConfigError(f"{file} takes inputs of shape {shape}, not (N, 3, S, S) with S given")
    return PreprocessTable(size=shape[2], crop=0.85, low_percentile=0.5, high_percentile=99.5,
                           channels=("stretched",), mean=(0.5,), std=(0.5,))  # fmt: skip


def file_embed(file: Path, threads: int) -> Embed:
    """Give the function from (N,1,S,S) inputs to (N,D) features; grey is given as three equal planes."""
    session = open_session(file, threads)
    name = session.get_inputs()[0].name

    def embed(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = [session.run(None, {name: np.repeat(image[None], 3, axis=1)})[0] for image in inputs]
        return np.concatenate(parts).reshape(len(inputs), -1)

    return embed
