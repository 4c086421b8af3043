"""A second look at frames whose embedding lies near a border of the head, where little decides the label.

Rounding to int8 moves an embedding a little, and so does how the camera happens to be turned: a sky that is turned or
mirrored is the same sky, and the network gives it nearly the same embedding. Either changes a label only near a border.
There the network embeds the frame again, on the processor in float32, as it is and turned and mirrored, and the mean is
what counts, for the label and for the database. How near is near and how many sides are looked at stands in the bundle,
near in units of the head's distance (auroramon/borders.py). Whether a frame lies near depends on that frame alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from auroramon.backends.onnx import OnnxBackend
from auroramon.borders import Borders
from auroramon.bundle import ModelBundle, Precision, SecondLook, check_golden
from auroramon.heads import Head, sum_of_squares
from auroramon.ports import Backend

Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N,C,S,S) inputs to (N,D) unit vectors."""

_B = TypeVar("_B", bound=Backend)


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """N embeddings, and which of them come from a second look."""

    embeddings: NDArray[np.float32]  # (N,D)
    twice: NDArray[np.bool_]  # (N,) looked at a second time


def look_again(
    inputs: NDArray[np.float32], seen: NDArray[np.float32], again: Embed, look: SecondLook, borders: Borders
) -> Looked:
    """Embed again what lies near a border.

    Args:
        inputs: (N,C,S,S).
        seen: (N,D) what the first look gave for them.
        again: embeds for the second look.
        look: how near is near, and how many sides are looked at.
        borders: of the head.
    """
    twice = ~(borders.room(seen) > look.near)  # what is no number is looked at again, too
    embeddings = seen.copy()
    if twice.any():
        shown = sides_of(inputs[twice], look.sides)
        found = again(shown.reshape(-1, *inputs.shape[1:]))
        embeddings[twice] = mean_of_sides(found.reshape(look.sides, -1, found.shape[1]))
    return Looked(embeddings, twice)


def sides_of(inputs: NDArray[np.float32], sides: int) -> NDArray[np.float32]:
    """Give (sides,N,C,S,S): (N,C,S,S) inputs as they are; by half a turn; both mirrored; these four by a quarter turn.

    Args:
        inputs: square, the sky's disc in the middle.
        sides: 1, 2, 4 or 8.
    """
    half = inputs[..., ::-1, ::-1]
    upright = [inputs, half, inputs[..., ::-1], half[..., ::-1]]
    return np.stack([*upright, *(view.swapaxes(2, 3) for view in upright)][:sides])


def mean_of_sides(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give (N,D) unit vectors in the mean direction of (sides,N,D); of one side they are themselves, to the bit.

    The sums are taken in a fixed order, so that a batch of N gives exactly what N batches of one give.
    """
    if len(embeddings) == 1:
        return np.asarray(embeddings[0])
    total = np.zeros(embeddings.shape[1:])
    for side in embeddings:
        total += side
    length = np.sqrt(sum_of_squares(np.ascontiguousarray(total.T)))
    mean: NDArray[np.float32] = (total / length[:, None]).astype(np.float32)
    return mean


class SecondLookBackend:
    """Embeds every frame once, and those that lie near a border again.

    Args:
        head: whose borders they are.
        look: how near is near, and how many sides are looked at.
        quick: takes the first look.
        exact: takes the second; it may be the same.
    """

    def __init__(self, head: Head, look: SecondLook, quick: Backend, exact: Backend) -> None:
        self._quick, self._exact = quick, exact
        self._look = look
        self._borders = Borders(head)
        self.name = quick.name
        self.precision = quick.precision
        self.fallback = quick.fallback
        how = [exact.precision] if exact is not quick else []
        how += [f"from {look.sides} sides"] if look.sides > 1 else []
        self.device = f"{quick.device}; near a border {' '.join(how)}"

    @property
    def graphs(self) -> tuple[Backend, ...]:
        """What runs each graph by itself, the quick one first."""
        return (self._quick,) if self._exact is self._quick else (self._quick, self._exact)

    def look(self, inputs: NDArray[np.float32]) -> Looked:
        """Embed (N,C,S,S) inputs, and say which of them were looked at twice.

        Raises:
            ValueError: the inputs do not have the shape that the model takes.
            CardLostError: the GPU failed.
        """
        return self._again(inputs, self._quick.embed(inputs))

    def embed(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give (N,D) unit vectors for (N,C,S,S) inputs; see `look`."""
        return self.look(inputs).embeddings

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], NDArray[np.float32]]:
        """Begin with the first look, and give what waits for it and takes the second; see `look`."""
        first = self._quick.start(inputs)
        return lambda: self._again(inputs, first()).embeddings

    def close(self) -> None:
        """Give back what is held of a GPU."""
        for graph in self.graphs:
            graph.close()

    def _again(self, inputs: NDArray[np.float32], seen: NDArray[np.float32]) -> Looked:
        return look_again(inputs, seen, self._exact.embed, self._look, self._borders)


ProcessorBackend = OnnxBackend | SecondLookBackend


def with_second_look(bundle: ModelBundle, quick: _B, exact: Backend | None = None) -> _B | SecondLookBackend:
    """Give a backend the second look that its bundle asks for.

    Args:
        bundle: the model.
        quick: takes the first look.
        exact: takes the second; without it `quick` does, and the same side is not looked at twice for nothing.
    """
    look = bundle.second_look
    if look is None or (exact is None and look.sides == 1):
        return quick
    return SecondLookBackend(bundle.head, look, quick, exact or quick)


def open_on_processor(bundle: ModelBundle, precision: Precision, threads: int) -> ProcessorBackend:
    """Open what serves a precision on the processor, with the second look that the bundle asks for, in float32.

    Raises:
        BundleError: a graph is not there, cannot be loaded, or does not take or give what the bundle says.
    """
    quick = OnnxBackend(bundle, precision, threads)
    needs_float32 = precision != "float32" and bundle.second_look is not None
    return with_second_look(bundle, quick, OnnxBackend(bundle, "float32", threads) if needs_float32 else None)


def prove(bundle: ModelBundle, backend: Backend) -> None:
    """Check the golden frames on each graph that a backend runs.

    They lie far from every border, so a backend with a second look would show them to its quick graph alone.

    Raises:
        BundleError: a graph does not give what the model gave when it was made.
    """
    for graph in backend.graphs if isinstance(backend, SecondLookBackend) else (backend,):
        check_golden(bundle, graph)
