"""int8 on the processor, with a second look by float32 where the embedding lies near a border of the head.

Rounding to int8 moves an embedding a little. That changes a label only near a border, and there float32 embeds the
frame again and its embedding is what counts, for the label and for the database. How near is near stands in the bundle,
in units of the head's distance (auroramon/borders.py); where float32 looks from several sides near a border, it must be
asked so much earlier. Whether a frame lies near depends on that frame alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.sides import Looked, SidesBackend, from_all_sides
from auroramon.borders import Borders
from auroramon.bundle import ModelBundle, Precision, check_golden
from auroramon.ports import Backend


class SecondLookBackend:
    """Runs the int8 graph on every frame, and the float32 graph on those that lie near a border.

    Args:
        bundle: the model, with both graphs.
        near: units of the head's distance: so far rounding may carry an embedding.
        threads: of one inference, at least 1.

    Raises:
        BundleError: a graph cannot be loaded, or does not take or give what the bundle says.
    """

    name = "onnx"
    precision: str = "int8"
    fallback = False

    def __init__(self, bundle: ModelBundle, near: float, threads: int) -> None:
        self.quick = OnnxBackend(bundle, "int8", threads)
        self.exact = from_all_sides(bundle, OnnxBackend(bundle, "float32", threads))
        self._borders = Borders(bundle.head)
        self._near = near + (bundle.sides.near if bundle.sides else 0.0)
        self.device = f"{self.quick.device}; float32 near a border"
        if bundle.sides:
            self.device += f", from {bundle.sides.count} sides"

    def look(self, inputs: NDArray[np.float32]) -> Looked:
        """Embed (N,C,S,S) inputs, and say which of them float32 embedded again.

        Raises:
            ValueError: the inputs do not have the shape that the model takes.
        """
        embeddings = self.quick.embed(inputs)
        again = ~(self._borders.room(embeddings) > self._near)  # what is no number is looked at again, too
        if again.any():
            embeddings[again] = self.exact.embed(inputs[again])
        return Looked(embeddings, again)

    def embed(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give (N,D) unit vectors for (N,C,S,S) inputs; see `look`."""
        return self.look(inputs).embeddings

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], NDArray[np.float32]]:
        """Give what gives the embeddings: they are ready, as nothing here runs beside its caller."""
        found = self.embed(inputs)
        return lambda: found

    def close(self) -> None:
        """Nothing to release: the sessions go with this object."""


ProcessorBackend = OnnxBackend | SidesBackend | SecondLookBackend


def open_on_processor(bundle: ModelBundle, precision: Precision, threads: int) -> ProcessorBackend:
    """Open what serves a precision on the processor: int8 with a second look where the bundle says how near is near,
    and either from all sides that it asks for.

    Raises:
        BundleError: a graph is not there, cannot be loaded, or does not take or give what the bundle says.
    """
    agreement = bundle.agreement
    if precision == "int8" and agreement is not None and agreement.near is not None:
        return SecondLookBackend(bundle, agreement.near, threads)
    return from_all_sides(bundle, OnnxBackend(bundle, precision, threads))


def graphs_of(backend: Backend) -> tuple[Backend, ...]:
    """Give what runs each graph of a backend by itself and looks once, the quick one first."""
    if isinstance(backend, SidesBackend):
        return graphs_of(backend.backend)
    if isinstance(backend, SecondLookBackend):
        return (*graphs_of(backend.quick), *graphs_of(backend.exact))
    return (backend,)


def prove(bundle: ModelBundle, backend: Backend) -> None:
    """Check the golden frames on each graph that a backend runs.

    They lie far from every border, so a backend with a second look would show them to its int8 graph alone.

    Raises:
        BundleError: a graph does not give what the model gave when it was made.
    """
    for graph in graphs_of(backend):
        check_golden(bundle, graph)
