"""Near a border of the head the sky is looked at from several sides: as it is, turned and mirrored.

A sky that is turned or mirrored is the same sky, but the network gives it another embedding, and near a border of the
head often another label. There the mean over the sides is what counts, for the label and for the database. How near is
near and how many sides there are stands in the bundle, near in units of the head's distance (auroramon/borders.py).
Whether a frame lies near depends on that frame alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from auroramon.borders import Borders
from auroramon.bundle import ModelBundle, Sides
from auroramon.heads import Head, sum_of_squares
from auroramon.ports import Backend

Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N,C,S,S) inputs to (N,D) unit vectors."""

_B = TypeVar("_B", bound=Backend)


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """N embeddings, and which of them come from more than a first look."""

    embeddings: NDArray[np.float32]  # (N,D)
    again: NDArray[np.bool_]  # (N,) embedded more than once


def look_from_sides(
    inputs: NDArray[np.float32], seen: NDArray[np.float32], embed: Embed, sides: Sides, borders: Borders
) -> Looked:
    """Embed the other sides of what lies near a border.

    Args:
        inputs: (N,C,S,S).
        seen: (N,D) what `embed` gives for them as they are.
        embed: embeds the other sides.
        sides: how near is near, and how many sides there are.
        borders: of the head.
    """
    again = borders.room(seen) <= sides.near
    embeddings = seen.copy()
    if again.any():
        others = other_sides(inputs[again], sides.count)
        found = embed(others.reshape(-1, *inputs.shape[1:])).reshape(len(others), -1, seen.shape[1])
        embeddings[again] = mean_embedding(np.stack([seen[again], *found]))
    return Looked(embeddings, again)


def other_sides(inputs: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Give (count-1,N,C,S,S): (N,C,S,S) inputs by half a turn; both mirrored; and all four by a quarter turn.

    Args:
        inputs: square, the sky's disc in the middle.
        count: of all sides, with the inputs themselves: 2, 4 or 8.
    """
    half = inputs[..., ::-1, ::-1]
    upright = [inputs, half, inputs[..., ::-1], half[..., ::-1]]
    return np.stack([*upright, *(view.swapaxes(2, 3) for view in upright)][1:count])


def mean_embedding(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give (N,D) unit vectors in the mean direction of (sides,N,D); the first where that is none.

    The sums are taken in a fixed order, so that a batch of N gives exactly what N batches of one give.
    """
    total = np.zeros(embeddings.shape[1:])
    for side in embeddings:
        total += side
    length = np.sqrt(sum_of_squares(np.ascontiguousarray(total.T)))
    usable = (length > 0) & np.isfinite(length)
    mean = total / np.where(usable, length, 1)[:, None]
    return np.where(usable[:, None], mean.astype(np.float32), embeddings[0])


class SidesBackend:
    """Embeds every frame as it is, and those that lie near a border from their other sides, too.

    Args:
        backend: what embeds.
        head: whose borders they are.
        sides: how near is near, and how many sides there are.
    """

    def __init__(self, backend: Backend, head: Head, sides: Sides) -> None:
        self.backend = backend
        self._sides = sides
        self._borders = Borders(head)
        self.name = backend.name
        self.precision = backend.precision
        self.device = f"{backend.device}; {sides.count} sides near a border"
        self.fallback = backend.fallback

    def look(self, inputs: NDArray[np.float32]) -> Looked:
        """Embed (N,C,S,S) inputs, and say which of them were looked at from all sides.

        Raises:
            ValueError: the inputs do not have the shape that the model takes.
            CardLostError: the GPU failed.
        """
        return self._look(inputs, self.backend.embed(inputs))

    def embed(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give (N,D) unit vectors for (N,C,S,S) inputs; see `look`."""
        return self.look(inputs).embeddings

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], NDArray[np.float32]]:
        """Begin with the inputs as they are, and give what waits for them and looks at the other sides; see `look`."""
        first = self.backend.start(inputs)
        return lambda: self._look(inputs, first()).embeddings

    def close(self) -> None:
        """Give back what is held of a GPU."""
        self.backend.close()

    def _look(self, inputs: NDArray[np.float32], seen: NDArray[np.float32]) -> Looked:
        return look_from_sides(inputs, seen, self.backend.embed, self._sides, self._borders)


def from_all_sides(bundle: ModelBundle, backend: _B) -> _B | SidesBackend:
    """Let a backend look from as many sides as its bundle asks for."""
    return backend if bundle.sides is None else SidesBackend(backend, bundle.head, bundle.sides)
