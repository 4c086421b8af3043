"""A model for a station: a bundle that a daemon loads, with an honest account of how it came to be."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.second_look import SecondLookBackend, open_on_processor, prove
from auroramon.borders import Borders
from auroramon.bundle import ModelBundle, Sides, check_golden, load_bundle
from auroramon.errors import BundleError, MissingPartError
from auroramon.refit import TooFewError, check_enough, gather, refit
from auroramon.store.results import FrameKey
from auroramon.store.reviews import ReviewedFrame
from auroramon.types import LABELS
from tests.tiny import write_tiny_bundle

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
SHIFT = np.linspace(-0.35, 0.35, 16)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return write_tiny_bundle(tmp_path_factory.mktemp("models") / "tiny", threshold=8.0)


def frame(
    parent: ModelBundle,
    label: str,
    number: int,
    *,
    night: int = 0,
    camera: str = "kiruna",
    at: str = "",
    shift: NDArray[np.float64] = SHIFT,
) -> ReviewedFrame:
    """Give a frame near its class as this station's camera shows it."""
    rng = np.random.default_rng((number, night, len(label)))
    mean = parent.head.tied.means[LABELS.index(at or label)] + shift
    vector = (mean + rng.standard_normal(16) * 0.05).astype(np.float16)
    later = timedelta(days=night)
    time = datetime(2026, 1, 10, 20, tzinfo=UTC) + later + timedelta(minutes=number)
    return ReviewedFrame(FrameKey(number, 0), camera, date(2026, 1, 10) + later, time, label, vector, False)


def some(parent: ModelBundle, nights: int = 5, each: int = 1, labels: Sequence[str] = LABELS) -> list[ReviewedFrame]:
    return [
        frame(parent, label, 10 * place + k, night=night)
        for night in range(nights)
        for place, label in enumerate(labels)
        for k in range(each)
    ]


def test_a_moved_model_is_a_whole_bundle_and_says_where_it_comes_from(tiny: ModelBundle, tmp_path: Path) -> None:
    material = gather(tiny, some(tiny))
    check_enough(material, tiny)
    done = refit(tiny, material, "site-1", tmp_path / "site-1", now=NOW)
    bundle = load_bundle(tmp_path / "site-1")
    assert bundle.digest == done.bundle.digest
    assert bundle.digest != tiny.digest
    assert bundle.embedder_digest == tiny.embedder_digest
    check_golden(bundle, OnnxBackend(bundle, "float32", 1))
    expected = bundle.head.judge(bundle.golden.embeddings).scores
    np.testing.assert_array_equal(bundle.golden.scores, expected)
    assert (bundle.head.temperature, bundle.head.threshold) == (tiny.head.temperature, tiny.head.threshold)
    adapted = bundle.provenance.adapted
    assert adapted is not None
    assert (adapted.parent, adapted.parent_digest, adapted.frames) == ("tiny", tiny.digest, 30)
    assert adapted.frames_digest == material.digest()
    assert bundle.provenance.created == "2026-02-01T12:00:00+00:00"
    card = (bundle.folder / "MODEL_CARD.md").read_text()
    assert "The model tiny, moved to a station** on 2026-02-01" in card
    assert "30 (5 arc, 5 diffuse, 5 discrete, 5 cloudy, 5 moon, 5 clear), of 5 nights" in card
    assert done.gains[0].sentence() in card
    assert "A model for tests" in card


def test_the_second_look_stays_as_it_was(tmp_path: Path) -> None:
    sides = Sides(near=0.1, count=2, part=0.03)
    parent = write_tiny_bundle(tmp_path / "parent", threshold=8.0, near=0.15, sides=sides)
    bundle = refit(parent, gather(parent, some(parent)), "site-1", tmp_path / "site-1", now=NOW).bundle
    assert bundle.agreement is not None
    assert (bundle.agreement.near, bundle.agreement.twice) == (0.15, 0.0525)
    assert bundle.sides == sides
    assert bundle.agreement.on == "frames of nothing, with the head of tiny"
    backend = open_on_processor(bundle, "int8", 1)
    assert isinstance(backend, SecondLookBackend)
    prove(bundle, backend)
    inputs = np.random.default_rng(5).random((60, 2, 32, 32)).astype(np.float32)
    again, first = backend.look(inputs).again, backend.quick.embed(inputs)
    # By the borders of the head that was moved, not of the parent's.
    np.testing.assert_array_equal(again, Borders(bundle.head).room(first) <= 0.25)
    assert (again != (Borders(parent.head).room(first) <= 0.25)).any()
    assert "how near a border is looked at again" in (bundle.folder / "MODEL_CARD.md").read_text()


def test_held_out_nights_gain_on_a_camera_that_shifts_every_frame(tiny: ModelBundle, tmp_path: Path) -> None:
    done = refit(tiny, gather(tiny, some(tiny, nights=6, each=4)), "site", tmp_path / "site", now=NOW)
    (gain,) = done.gains
    assert (gain.split, gain.groups, gain.frames) == ("nights", 6, 144)
    assert gain.after > gain.before
    assert gain.low > 0


def test_with_several_cameras_nights_come_first_and_cameras_second(tiny: ModelBundle, tmp_path: Path) -> None:
    rows = [*some(tiny, nights=3), frame(tiny, "arc", 99, night=1, camera="abisko")]
    done = refit(tiny, gather(tiny, rows), "site", tmp_path / "site", now=NOW, even_if_worse=True)
    assert [gain.split for gain in done.gains] == ["nights", "cameras"]


def test_one_night_is_held_out_by_stretches(tiny: ModelBundle, tmp_path: Path) -> None:
    rows = sorted(some(tiny, nights=1, each=3), key=lambda row: row.time)
    done = refit(tiny, gather(tiny, rows), "site", tmp_path / "site", now=NOW, even_if_worse=True)
    assert (done.gains[0].split, done.gains[0].groups) == ("stretches of one night", 5)


def test_a_new_class_is_added_and_said(tiny: ModelBundle, tmp_path: Path) -> None:
    frost = [
        ReviewedFrame(
            FrameKey(k, 0), "kiruna", date(2026, 1, 10 + k), NOW - timedelta(days=k), "frost",
            (np.eye(16)[k % 2] * 0.1 + 0.6).astype(np.float16), False,
        )
        for k in range(6)
    ]  # fmt: skip
    done = refit(tiny, gather(tiny, some(tiny) + frost), "site", tmp_path / "site", now=NOW)
    assert done.bundle.labels == (*LABELS, "frost")
    assert done.counts["frost"] == 6
    (said,) = done.bundle.head.predict(np.full((1, 16), 0.6))
    assert said.label == "frost"
    new = done.gains[0].classes[-1]
    assert (new.label, new.before) == ("frost", 0)
    assert new.after > 0


def test_frames_called_unknown_are_counted_and_not_learned(tiny: ModelBundle, tmp_path: Path) -> None:
    far = ReviewedFrame(FrameKey(7, 0), "kiruna", date(2026, 1, 10), NOW, "unknown", np.full(16, 5, np.float16), False)
    material = gather(tiny, [*some(tiny), far])
    assert "unknown" not in material.labelled.examples.labels
    done = refit(tiny, material, "site", tmp_path / "site", now=NOW)
    assert (done.no_sky, done.no_sky_refused) == (1, (1, 1))


def test_frames_without_an_embedding_are_counted(tiny: ModelBundle) -> None:
    none = ReviewedFrame(FrameKey(7, 0), "kiruna", date(2026, 1, 10), NOW, "arc", None, False)
    gated = ReviewedFrame(FrameKey(8, 0), "kiruna", date(2026, 1, 10), NOW, "clear", None, True)
    material = gather(tiny, [none, gated])
    assert (material.unseen, material.gated, len(material.rows)) == (1, 1, 0)
    with pytest.raises(TooFewError, match=r"tiny has 0 labelled frames \(none\), 1 more need `auroramon backfill`"):
        check_enough(material, tiny)


def test_too_few_labels_are_refused_in_a_sentence(tiny: ModelBundle) -> None:
    with pytest.raises(
        TooFewError, match=r"tiny has 2 labelled frames \(2 arc\): it takes 10, of two classes at least"
    ):
        check_enough(gather(tiny, [frame(tiny, "arc", k) for k in range(2)]), tiny)
    with pytest.raises(TooFewError, match="of two classes at least"):
        check_enough(gather(tiny, [frame(tiny, "arc", k) for k in range(30)]), tiny)
    frost = [frame(tiny, "frost", k, at="moon") for k in range(3)]
    with pytest.raises(TooFewError, match="the new class 'frost' has 3 labelled frames: it takes 5"):
        check_enough(gather(tiny, some(tiny) + frost), tiny)


def test_labels_that_make_it_worse_write_nothing_unless_told_to(tiny: ModelBundle, tmp_path: Path) -> None:
    means = tiny.head.tied.means
    apart = 0.4 * (means[0] - means[1])  # what one night teaches is the contrary of what the other needs
    rows = [
        frame(tiny, label, 8 * place + k, night=night, shift=apart if night else -apart)
        for night in range(2)
        for place, label in enumerate(LABELS)
        for k in range(8)
    ]
    material = gather(tiny, rows)
    with pytest.raises(TooFewError, match="no model is written"):
        refit(tiny, material, "site", tmp_path / "site", now=NOW)
    assert not (tmp_path / "site").exists()
    assert refit(tiny, material, "site", tmp_path / "site", now=NOW, even_if_worse=True).bundle.name == "site"


def test_a_folder_that_is_there_is_left_alone(tiny: ModelBundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="exists already"):
        refit(tiny, gather(tiny, some(tiny)), "site", tmp_path, now=NOW)


def test_without_scikit_learn_the_pip_command_is_named(
    tiny: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def absent(name: str, *rest: object) -> object:
        if name.partition(".")[0] == "sklearn":
            raise ImportError(name)
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingPartError, match=r"pip install 'auroramon\[refit\]'"):
        refit(tiny, gather(tiny, some(tiny)), "site", tmp_path / "site", now=NOW)
    assert not (tmp_path / "site").exists()
