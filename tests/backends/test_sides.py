"""Near a border of the head the mean over several sides counts, elsewhere the frame as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auroramon.backends.choice import choose
from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.second_look import open_on_processor
from auroramon.backends.sides import SidesBackend, mean_embedding
from auroramon.borders import Borders
from auroramon.bundle import SIDES, ModelBundle, Precision, Sides
from auroramon.bundle_writing import write_bundle
from tests.backends.bordering import FRAMES, NEAR, frames, write_bordering
from tests.backends.machines import none_installed, wish
from tests.backends.tiny_model import WIDTH, make_parts


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return write_bordering(tmp_path_factory.mktemp("near"))


def looking(bundle: ModelBundle, count: int, near: float = NEAR, threads: int = 1) -> SidesBackend:
    return SidesBackend(OnnxBackend(bundle, "float32", threads), bundle.head, Sides(near, count, 0.1))


def mean_of(backend: OnnxBackend, inputs: np.ndarray, count: int) -> np.ndarray:
    """The same in other words: turns and mirrors by NumPy's own names, one after the other."""
    turned = [np.rot90(inputs, quarters, axes=(2, 3)) for quarters in (0, 2)]
    mirrored = [np.flip(inputs, axis=3), np.flip(inputs, axis=2)]
    crosswise = [np.transpose(view, (0, 1, 3, 2)) for view in (*turned, *mirrored)]
    views = [*turned, *mirrored, *crosswise][:count]
    mean = np.mean([backend.embed(np.ascontiguousarray(view)).astype(float) for view in views], axis=0)
    return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True))


@pytest.mark.parametrize("count", SIDES)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_mean_of_all_sides_counts_near_a_border(bundle: ModelBundle, precision: Precision, count: int) -> None:
    alone = OnnxBackend(bundle, precision, 1)
    first = alone.embed(frames())
    found = SidesBackend(alone, bundle.head, Sides(NEAR, count, 0.1)).look(frames())
    near = Borders(bundle.head).room(first) <= NEAR
    assert 0 < near.sum() < FRAMES
    np.testing.assert_array_equal(found.again, near)
    np.testing.assert_array_equal(found.embeddings[~near], first[~near])
    np.testing.assert_allclose(found.embeddings[near], mean_of(alone, frames()[near], count), atol=1e-6)
    assert (found.embeddings[near] != first[near]).any(axis=1).all()
    assert found.embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found.embeddings, axis=1), 1, atol=1e-6)


def test_a_sky_that_is_turned_or_mirrored_gets_the_same_embedding_from_its_eight_sides(bundle: ModelBundle) -> None:
    backend = looking(bundle, 8, near=1e9)
    wanted = backend.embed(frames())
    for turned in (np.rot90(frames(), axes=(2, 3)), frames()[..., ::-1], frames().swapaxes(2, 3)):
        np.testing.assert_allclose(backend.embed(np.ascontiguousarray(turned)), wanted, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_equals_its_frames_one_by_one_bit_for_bit(bundle: ModelBundle, threads: int) -> None:
    backend = looking(bundle, 4, threads=threads)
    together = backend.start(frames())()
    for size in (1, 3, 32):
        parts = [backend.embed(frames()[k : k + size]) for k in range(0, FRAMES, size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)
    assert backend.embed(frames()[:0]).shape == (0, WIDTH)


def test_sides_that_are_no_number_or_cancel_each_other_leave_the_first_look(bundle: ModelBundle) -> None:
    first = OnnxBackend(bundle, "float32", 1).embed(frames()[:2])
    for other in (first * np.nan, -first):
        np.testing.assert_array_equal(mean_embedding(np.stack([first, other])), first)


def test_what_is_no_number_stays_none(bundle: ModelBundle) -> None:
    inputs = frames()[:3].copy()
    inputs[1] = np.nan
    found = looking(bundle, 4, near=1e9).look(inputs)
    assert np.isnan(found.embeddings[1]).all()
    assert found.again.tolist() == [True, False, True]


def test_the_choice_takes_the_sides_of_the_bundle_and_says_so(bundle: ModelBundle, tmp_path: Path) -> None:
    many = replace(bundle, sides=Sides(NEAR, 4, 0.1))
    exact = choose(many, wish(tmp_path, precision="float32"), none_installed)
    assert isinstance(exact.backend, SidesBackend)
    assert exact.line().startswith("onnx (float32, CPU, 1 thread; 4 sides near a border)")
    quick = choose(many, wish(tmp_path, precision="int8"), none_installed)
    assert quick.line().startswith("onnx (int8, CPU, 1 thread; float32 near a border, from 4 sides)")


def test_int8_by_itself_looks_from_all_sides_too(tmp_path: Path) -> None:
    """A bundle may ask for sides and not for a second look by float32."""
    parts = replace(make_parts(tmp_path / "parts", int8=True), sides=Sides(NEAR, 4, 0.1))
    backend = open_on_processor(write_bundle(tmp_path / "tiny-1", parts), "int8", 1)
    assert isinstance(backend, SidesBackend)
    assert (backend.precision, backend.device) == ("int8", "CPU, 1 thread; 4 sides near a border")


def test_onnx_cuda_looks_from_all_sides(bundle: ModelBundle, tmp_path: Path) -> None:
    def cuda(model: ModelBundle) -> OnnxBackend:
        processor = OnnxBackend(model, "float32", 1)
        processor.name = "onnx-cuda"
        return processor

    many = replace(bundle, sides=Sides(NEAR, 4, 0.1))
    backend = choose(many, wish(tmp_path, name="onnx-cuda"), none_installed, cuda).backend
    assert (backend.name, backend.device) == ("onnx-cuda", "CPU, 1 thread; 4 sides near a border")
    np.testing.assert_array_equal(backend.embed(frames()), looking(bundle, 4).embed(frames()))
