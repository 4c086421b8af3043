"""Near a border of the head float32's embedding counts, elsewhere int8's: a matter of each frame alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auroramon.backends.choice import choose
from auroramon.backends.onnx import OnnxBackend, open_session
from auroramon.backends.second_look import SecondLookBackend, open_on_processor, prove
from auroramon.borders import Borders
from auroramon.bundle import ModelBundle, load_bundle
from auroramon.bundle_writing import write_bundle
from auroramon.errors import BundleError
from auroramon.heads import Clusters, MahalanobisHead
from tests.backends.machines import none_installed, wish
from tests.backends.tiny_model import LABELS, SIZE, WIDTH, make_parts, write_graph

FRAMES = 40
NEAR = 1.0


def frames(seed: int = 2) -> np.ndarray:
    """Frames of different brightness and contrast, so that their embeddings lie apart."""
    rng = np.random.default_rng(seed)
    each = rng.normal(size=(2, FRAMES, 2, 1, 1))
    return (each[0] + each[1] * rng.normal(size=(FRAMES, 2, SIZE, SIZE))).astype(np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A model whose borders, that of `unknown` too, lie among the frames here."""
    folder = tmp_path_factory.mktemp("near")
    parts = make_parts(folder / "parts", int8=True, near=NEAR)
    shown = open_session(parts.float32, 1).run(None, {"inputs": frames()})[0]
    tied = Clusters(shown[[3, 9, 17]].astype(float), np.eye(WIDTH) * 400)
    head = MahalanobisHead(LABELS, tied, tied, temperature=2.0, threshold=1.0)
    head = replace(head, threshold=float(np.median(head.judge(shown).distance)))
    golden = replace(parts.golden, scores=head.judge(parts.golden.embeddings).scores)
    return write_bundle(folder / "tiny-1", replace(parts, head=head, golden=golden))


@settings(max_examples=25, deadline=None)  # each opens graphs
@given(near=st.floats(0, 3), order=st.permutations(range(FRAMES)), count=st.integers(0, FRAMES))
def test_frames_near_a_border_get_float32s_bits_and_others_int8s(
    bundle: ModelBundle, near: float, order: list[int], count: int
) -> None:
    inputs = frames()[order[:count]]
    quick, exact = (OnnxBackend(bundle, precision, 1).embed(inputs) for precision in ("int8", "float32"))
    twice = Borders(bundle.head).room(quick) <= near
    found = SecondLookBackend(bundle, near, 1).look(inputs)
    np.testing.assert_array_equal(found.twice, twice)
    np.testing.assert_array_equal(found.embeddings, np.where(twice[:, None], exact, quick))
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
    assert found.twice.all()
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


def test_the_shipped_model_with_a_second_look_is_proven_on_both_graphs_and_gives_float32s_labels() -> None:
    from auroramon.backends.trust import simulated_inputs
    from auroramon.bundle import default_bundle

    shipped = load_bundle(default_bundle())
    backend, exact = SecondLookBackend(shipped, 0.7, 1), OnnxBackend(shipped, "float32", 1)
    prove(shipped, backend)
    inputs = np.concatenate(list(simulated_inputs(shipped.preprocess, 120)))
    borders, found = Borders(shipped.head), backend.look(inputs)
    assert 0 < found.twice.mean() < 0.2
    np.testing.assert_array_equal(borders.said(found.embeddings), borders.said(exact.embed(inputs)))
