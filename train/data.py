"""Batches of inputs from cached frames; which frame is seen when, and how, follows from the seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from auroramon.errors import ConfigError
from auroramon.preprocess import PreprocessSpec
from auroramon.types import LABELS
from train.augment import plain_input, varied_input
from train.frames import FrameSet
from train.runfile import AugmentTable, FitTable

Sight = tuple[int, int, int, int]
"""One look at one frame: seed, epoch, number of the frame, size of the input."""


class VariedFrames(Dataset[tuple[Tensor, int]]):
    """The training frames; each look at one is varied by its own dice."""

    def __init__(self, frames: FrameSet, spec: PreprocessSpec, table: AugmentTable) -> None:
        self._frames, self._spec, self._table = frames, spec, table
        self._targets = frames.targets

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, sight: Sight) -> tuple[Tensor, int]:
        seed, epoch, number, size = sight
        counts, disc = self._frames.frame(number)
        rng = np.random.default_rng((seed, epoch, number))
        inputs = varied_input(counts, disc, replace(self._spec, size=size), self._table, rng)
        return torch.from_numpy(inputs), int(self._targets[number])


class BalancedBatches(Sampler[list[Sight]]):
    """Batches with equally many frames of each class, and some that are no sky.

    An epoch is about as many looks as there are frames with a class.

    Raises:
        ValueError: a class has no frames, or frames that are no sky are wanted and there are none.
    """

    def __init__(self, targets: NDArray[np.intp], batch: int, seed: int, size: int, strange: int = 0) -> None:
        self._members = [np.flatnonzero(targets == k) for k in range(len(LABELS))]
        self._strange = np.flatnonzero(targets >= len(LABELS))
        if min(map(len, self._members)) == 0:
            raise ValueError("a class has no training frames")
        if strange and not len(self._strange):
            raise ValueError(f"each batch shall have {strange} frames that are no sky, but there are none")
        self._each, self._strange_each = batch // len(LABELS), strange
        self._count = max(1, sum(map(len, self._members)) // (self._each * len(LABELS)))
        self._seed = seed
        self.epoch = 0
        self.size = size

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[Sight]]:
        rng = np.random.default_rng((self._seed, self.epoch))
        order = [_endless(rng, members, self._count * self._each) for members in self._members]
        if self._strange_each:
            order.append(_endless(rng, self._strange, self._count * self._strange_each))
        for batch in range(self._count):
            parts = (numbers.reshape(self._count, -1)[batch] for numbers in order)
            yield [(self._seed, self.epoch, int(n), self.size) for numbers in parts for n in numbers]


class ShuffledBatches(Sampler[list[Sight]]):
    """Batches of all frames that have a class, in any order, each once in an epoch; a lone last frame is left out.

    Raises:
        ValueError: there are no frames, or frames that are no sky are wanted, which come in balanced batches only.
    """

    def __init__(self, targets: NDArray[np.intp], batch: int, seed: int, size: int, strange: int = 0) -> None:
        self._numbers = np.flatnonzero(targets < len(LABELS))
        if len(self._numbers) < 2 or strange:
            raise ValueError("shuffled batches hold frames that have a class, at least two, and no others")
        self._batch = batch
        self._seed = seed
        self.epoch = 0
        self.size = size

    def __len__(self) -> int:
        whole, rest = divmod(len(self._numbers), self._batch)
        return whole + (rest > 1)

    def __iter__(self) -> Iterator[list[Sight]]:
        order = np.random.default_rng((self._seed, self.epoch)).permutation(self._numbers)
        for batch in range(len(self)):
            numbers = order[batch * self._batch : (batch + 1) * self._batch]
            yield [(self._seed, self.epoch, int(n), self.size) for n in numbers]


Batches = BalancedBatches | ShuffledBatches


def sampler_of(table: FitTable, targets: NDArray[np.intp], size: int) -> Batches:
    """Give the batches that a run asks for.

    Raises:
        ConfigError: there are not the frames that it asks for.
    """
    kind = ShuffledBatches if table.sampling == "shuffled" else BalancedBatches
    try:
        return kind(targets, table.batch, table.seed, size, table.strange)
    except ValueError as error:
        raise ConfigError(f"the training frames do not fit the run: {error}") from error


def _endless(rng: np.random.Generator, members: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """Give `count` members: all of them shuffled, and again where they are too few."""
    rounds = -(-count // len(members))
    return np.concatenate([rng.permutation(members) for _ in range(rounds)])[:count]


def training_batches(
    frames: FrameSet, spec: PreprocessSpec, table: AugmentTable, sampler: Batches, workers: int
) -> DataLoader[tuple[Tensor, int]]:
    """Give the loader of an epoch's batches: ((N,C,S,S), (N,)) tensors."""
    return DataLoader(
        VariedFrames(frames, spec, table),
        batch_sampler=sampler,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
    )


def plain_batches(
    frames: FrameSet, numbers: NDArray[np.intp], spec: PreprocessSpec, batch: int
) -> Iterator[NDArray[np.float32]]:
    """Give the (N,C,S,S) inputs of some frames as serving would see them."""
    for start in range(0, len(numbers), batch):
        some = [frames.frame(int(number)) for number in numbers[start : start + batch]]
        yield np.stack([plain_input(counts, disc, spec) for counts, disc in some])
