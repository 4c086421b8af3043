"""Near a border of the head a second look counts, elsewhere the first: a matter of each frame alone."""

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
from auroramon.bundle import SIDES, ModelBundle, Precision, SecondLook, load_bundle
from auroramon.bundle_writing import write_bundle
from auroramon.errors import BundleError
from auroramon.heads import Clusters, MahalanobisHead
from auroramon.ports import Backend
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


def looking(bundle: ModelBundle, near: float, sides: int = 1, threads: int = 1) -> SecondLookBackend:
    quick, exact = (OnnxBackend(bundle, precision, threads) for precision in ("int8", "float32"))
    return SecondLookBackend(bundle.head, SecondLook(near, sides, 0.1), quick, exact)


def from_sides(backend: Backend, inputs: np.ndarray, sides: int) -> np.ndarray:
    """The same in other words: every turn and mirror by NumPy's own names, one after the other."""
    turned = [np.rot90(inputs, quarters, axes=(2, 3)) for quarters in (0, 2)]
    mirrored = [np.flip(inputs, axis=3), np.flip(inputs, axis=2)]
    crosswise = [np.transpose(view, (0, 1, 3, 2)) for view in (*turned, *mirrored)]
    views = [*turned, *mirrored, *crosswise][:sides]
    mean = np.mean([backend.embed(np.ascontiguousarray(view)).astype(float) for view in views], axis=0)
    return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True))


@settings(max_examples=25, deadline=None)  # each opens graphs
@given(near=st.floats(0, 3), order=st.permutations(range(FRAMES)), count=st.integers(0, FRAMES))
def test_frames_near_a_border_get_float32s_bits_and_others_int8s(
    bundle: ModelBundle, near: float, order: list[int], count: int
) -> None:
    inputs = frames()[order[:count]]
    quick, exact = (OnnxBackend(bundle, precision, 1).embed(inputs) for precision in ("int8", "float32"))
    twice = Borders(bundle.head).room(quick) <= near
    found = looking(bundle, near).look(inputs)
    np.testing.assert_array_equal(found.twice, twice)
    np.testing.assert_array_equal(found.embeddings, np.where(twice[:, None], exact, quick))
    assert found.embeddings.dtype == np.float32


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_the_mean_of_all_sides_counts_near_a_border(bundle: ModelBundle, precision: Precision, sides: int) -> None:
    many = replace(bundle, second_look=SecondLook(NEAR, sides, 0.1))
    alone, exact = OnnxBackend(many, precision, 1), OnnxBackend(many, "float32", 1)
    backend, first = open_on_processor(many, precision, 1), alone.embed(frames())
    found = backend.embed(frames())
    twice = Borders(many.head).room(first) <= NEAR
    assert 0 < twice.sum() < FRAMES
    np.testing.assert_array_equal(found[~twice], first[~twice])
    np.testing.assert_allclose(found[twice], from_sides(exact, frames()[twice], sides), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    if sides > 1:
        assert (found[twice] != exact.embed(frames()[twice])).any(axis=1).all()


def test_a_sky_that_is_turned_or_mirrored_gets_the_same_embedding_from_all_its_sides(bundle: ModelBundle) -> None:
    backend = looking(bundle, 1e9, sides=8)
    wanted = backend.embed(frames())
    for turned in (np.rot90(frames(), axes=(2, 3)), frames()[..., ::-1], frames().swapaxes(2, 3)):
        np.testing.assert_allclose(backend.embed(np.ascontiguousarray(turned)), wanted, atol=1e-6)


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
@pytest.mark.parametrize("sides", [1, 4])
def test_a_batch_equals_its_frames_one_by_one_bit_for_bit(bundle: ModelBundle, threads: int, sides: int) -> None:
    backend = looking(bundle, NEAR, sides, threads)
    together = backend.start(frames())()
    for size in (1, 3, 32):
        parts = [backend.embed(frames()[k : k + size]) for k in range(0, FRAMES, size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)
    assert backend.embed(frames()[:0]).shape == (0, WIDTH)


def test_a_frame_that_int8_makes_no_number_of_is_looked_at_again(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "tiny-1", make_parts(tmp_path / "parts", int8=True, near=0.2))
    write_graph(bundle.graph("int8"), off=float("inf"))
    found = looking(bundle, 0.2).look(frames()[:3])
    assert found.twice.all()
    np.testing.assert_array_equal(found.embeddings, OnnxBackend(bundle, "float32", 1).embed(frames()[:3]))


def test_frames_of_another_size_are_refused(bundle: ModelBundle) -> None:
    with pytest.raises(ValueError, match=r"inputs \(1, 2, 8, 8\) do not end in \(2, 16, 16\)"):
        looking(bundle, 0.2).embed(np.zeros((1, 2, 8, 8), dtype=np.float32))


def test_the_choice_takes_the_second_look_where_the_bundle_has_one_and_says_so(
    bundle: ModelBundle, tmp_path: Path
) -> None:
    for name in ("auto", "onnx"):
        choice = choose(bundle, wish(tmp_path, name=name), none_installed)
        assert isinstance(choice.backend, SecondLookBackend)
        assert choice.line().startswith("onnx (int8, CPU, 1 thread; near a border float32)")
        assert not choice.remarkable
    exact = choose(bundle, wish(tmp_path, precision="float32"), none_installed).backend
    assert isinstance(exact, OnnxBackend)
    assert exact.precision == "float32"


def test_float32_looks_again_itself_where_there_are_sides_to_look_from(bundle: ModelBundle, tmp_path: Path) -> None:
    many = replace(bundle, second_look=SecondLook(NEAR, 4, 0.1))
    backend = choose(many, wish(tmp_path, precision="float32"), none_installed).backend
    assert isinstance(backend, SecondLookBackend)
    assert (backend.precision, len(backend.graphs)) == ("float32", 1)
    assert backend.device == "CPU, 1 thread; near a border from 4 sides"
    both = choose(many, wish(tmp_path, precision="int8"), none_installed).backend
    assert both.device == "CPU, 1 thread; near a border float32 from 4 sides"


def test_a_bundle_without_a_second_look_runs_int8_alone(tmp_path: Path) -> None:
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


def test_the_shipped_model_is_proven_on_both_graphs_which_give_the_same_labels() -> None:
    from auroramon.backends.trust import simulated_inputs
    from auroramon.bundle import default_bundle

    shipped = load_bundle(default_bundle())
    quick, exact = (open_on_processor(shipped, precision, 1) for precision in ("int8", "float32"))
    assert isinstance(quick, SecondLookBackend)
    prove(shipped, quick)
    inputs = np.concatenate(list(simulated_inputs(shipped.preprocess, 120)))
    borders, found = Borders(shipped.head), quick.look(inputs)
    assert 0 < found.twice.mean() < 0.2
    np.testing.assert_array_equal(borders.said(found.embeddings), borders.said(exact.embed(inputs)))
