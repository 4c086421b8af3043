"""Small dice: `Generator.choice` turns its options into arrays each time, which a frame with 40 choices feels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def pick(rng: np.random.Generator, options: Sequence[T], weights: Sequence[float]) -> T:
    """One of the options, each as likely as its share of the weights."""
    at = rng.random() * sum(weights)
    for option, weight in zip(options, weights, strict=True):
        at -= weight
        if at < 0:
            return option
    return options[-1]


def sometimes(rng: np.random.Generator, chance: float, low: float, high: float) -> float:
    """A number between low and high with the given chance, else 0."""
    return float(rng.uniform(low, high)) if rng.random() < chance else 0.0


def sign(rng: np.random.Generator) -> int:
    """1 or -1."""
    return 1 if rng.random() < 0.5 else -1
