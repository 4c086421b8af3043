"""Near a border of the head float32's embedding counts, elsewhere int8's: a matter of each frame alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auroramon.backends.choice import choose
from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.second_look import SecondLookBackend, open_on_processor, prove
from auroramon.backends.sides import SidesBackend
from auroramon.borders import Borders
from auroramon.bundle import ModelBundle, Sides, load_bundle
from auroramon.bundle_writing import write_bundle
from auroramon.errors import BundleError
from tests.backends.bordering import FRAMES, NEAR, frames, write_bordering
from tests.backends.machines import none_installed, wish
from tests.backends.tiny_model import WIDTH, make_parts, write_graph


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return write_bordering(tmp_path_factory.mktemp("near"))


@settings(max_examples=25, deadline=None)  # each opens graphs
@given(near=st.floats(0, 3), order=st.permutations(range(FRAMES)), count=st.integers(0, FRAMES))
def test_frames_near_a_border_get_float32s_bits_and_others_int8s(
    bundle: ModelBundle, near: float, order: list[int], count: int
) -> None:
    inputs = frames()[order[:count]]
    quick, exact = (OnnxBackend(bundle, precision, 1).embed(inputs) for precision in ("int8", "float32"))
    again = Borders(bundle.head).room(quick) <= near
    found = SecondLookBackend(bundle, near, 1).look(inputs)
    np.testing.assert_array_equal(found.again, again)
    np.testing.assert_array_equal(found.embeddings, np.where(again[:, None], exact, quick))
    assert found.embeddings.dtype == np.float32


def test_what_is_compared_differs(bundle: ModelBundle) -> None:
    """Or the tests here would prove nothing: the graphs differ on each frame, and some frames lie near a border."""
    quick, exact = (OnnxBackend(bundle, precision, 1).embed(frames()) for precision in ("int8", "float32"))
    assert (quick != exact).any(axis=1).all()
    assert 0 < (Borders(bundle.head).room(quick) <= NEAR).sum() < FRAMES
    said = [Borders(bundle.head).said(embeddings) for embeddings in (quick, exact)]
    assert (said[0] != said[1]).any()
    assert set(said[1].tolist()) == {0, 1, 2, 3}


def test_the_labels_near_a_border_are_those_of_float32(bundle: ModelBundle) -> None:
    backend, exact = open_on_processor(bundle, "int8", 1), OnnxBackend(bundle, "float32", 1)
    said, wanted = (bundle.head.predict(one.embed(frames())) for one in (backend, exact))
    assert [one.label for one in said] == [one.label for one in wanted]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_equals_its_frames_one_by_one_bit_for_bit(bundle: ModelBundle, threads: int) -> None:
    backend = SecondLookBackend(bundle, NEAR, threads)
    together = backend.start(frames())()
    for size in (1, 3, 32):
        parts = [backend.embed(frames()[k : k + size]) for k in range(0, FRAMES, size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)
    assert backend.embed(frames()[:0]).shape == (0, WIDTH)


def test_a_frame_that_int8_makes_no_number_of_is_looked_at_again(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "tiny-1", make_parts(tmp_path / "parts", int8=True, near=0.2))
    write_graph(bundle.graph("int8"), off=float("inf"))
    found = SecondLookBackend(bundle, 0.2, 1).look(frames()[:3])
    assert found.again.all()
    np.testing.assert_array_equal(found.embeddings, OnnxBackend(bundle, "float32", 1).embed(frames()[:3]))


def test_frames_of_another_size_are_refused(bundle: ModelBundle) -> None:
    with pytest.raises(ValueError, match=r"inputs \(1, 2, 8, 8\) do not end in \(2, 16, 16\)"):
        SecondLookBackend(bundle, 0.2, 1).embed(np.zeros((1, 2, 8, 8), dtype=np.float32))


def test_the_choice_takes_the_second_look_where_the_bundle_has_one_and_says_so(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    for name in ("auto", "onnx"):
        choice = choose(bundle, wish(tmp_path, name=name), none_installed)
        assert isinstance(choice.backend, SecondLookBackend)
        assert choice.line().startswith("onnx (int8, CPU, 1 thread; float32 near a border)")
        assert not choice.remarkable
    exact = choose(bundle, wish(tmp_path, precision="float32"), none_installed).backend
    assert isinstance(exact, OnnxBackend)
    assert exact.precision == "float32"


def test_a_bundle_that_does_not_say_how_near_runs_int8_alone(tmp_path: Path) -> None:
    plain = write_bundle(tmp_path / "tiny-1", make_parts(tmp_path / "parts", int8=True))
    backend = choose(plain, wish(tmp_path), none_installed).backend
    assert isinstance(backend, OnnxBackend)
    assert (backend.precision, backend.device) == ("int8", "CPU, 1 thread")


@pytest.mark.parametrize("wrong", ["int8", "float32"])
def test_both_graphs_must_repeat_the_golden_frames(tmp_path: Path, wrong: str) -> None:
    parts = make_parts(tmp_path / "parts", int8=True, near=0.2)
    other = write_graph(tmp_path / "other.onnx", seed=7)
    bundle = write_bundle(tmp_path / "b", replace(parts, **{wrong: other}))
    with pytest.raises(BundleError, match=rf"on onnx \({wrong}, CPU, 1 thread\) does not repeat its golden frames"):
        choose(bundle, wish(tmp_path, precision="int8"), none_installed)


def test_float32_is_asked_so_much_earlier_as_it_looks_from_all_sides(bundle: ModelBundle, tmp_path: Path) -> None:
    """Then both serve the same: float32 may look from several sides wherever int8 leaves it so much room."""
    many = replace(bundle, sides=Sides(near=0.5, count=4, part=0.1))
    quick, exact = open_on_processor(many, "int8", 1), open_on_processor(many, "float32", 1)
    assert isinstance(quick, SecondLookBackend)
    assert isinstance(exact, SidesBackend)
    found, first = quick.look(frames()), quick.quick.embed(frames())
    np.testing.assert_array_equal(found.again, Borders(many.head).room(first) <= NEAR + 0.5)
    wanted = exact.look(frames())
    assert wanted.again.any()
    np.testing.assert_array_equal(found.embeddings[found.again], wanted.embeddings[found.again])
    assert quick.device == "CPU, 1 thread; float32 near a border, from 4 sides"
    prove(many, quick)


def test_the_shipped_model_is_proven_on_both_graphs_which_serve_the_same_labels() -> None:
    from auroramon.backends.trust import simulated_inputs
    from auroramon.bundle import default_bundle

    shipped = load_bundle(default_bundle())
    quick, exact = open_on_processor(shipped, "int8", 1), open_on_processor(shipped, "float32", 1)
    assert isinstance(quick, SecondLookBackend)
    assert isinstance(exact, SidesBackend)
    prove(shipped, quick)
    inputs = np.concatenate(list(simulated_inputs(shipped.preprocess, 120)))
    borders, found, wanted = Borders(shipped.head), quick.look(inputs), exact.look(inputs)
    assert 0 < wanted.again.mean() < found.again.mean() < 0.3
    np.testing.assert_array_equal(borders.said(found.embeddings), borders.said(wanted.embeddings))
