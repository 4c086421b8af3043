"""A bundle is whole, or it is refused with one sentence."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auroramon.backends.onnx import OnnxBackend
from auroramon.bundle import (
    INT8,
    ModelBundle,
    Sides,
    check_golden,
    choose_precision,
    default_bundle,
    load_bundle,
)
from auroramon.bundle_writing import write_bundle
from auroramon.errors import BundleError
from auroramon.heads import Clusters, Head, MahalanobisHead, RidgeHead
from tests.backends.tiny_model import LABELS, SPEC, WIDTH, make_parts


@pytest.fixture
def bundle(tmp_path: Path) -> ModelBundle:
    return write_bundle(tmp_path / "tiny-1", make_parts(tmp_path / "parts", int8=True))


def heads() -> list[Head]:
    rng = np.random.default_rng(3)
    tied = Clusters(rng.normal(size=(3, WIDTH)), np.eye(WIDTH))
    per_class = Clusters(tied.means, np.stack([np.eye(WIDTH) * k for k in (1, 2, 3)]))
    rest: dict[str, Any] = {"tied": tied, "temperature": 1.5, "threshold": 7.0}
    return [
        MahalanobisHead(LABELS, clusters=tied, **rest),
        MahalanobisHead(LABELS, clusters=per_class, **rest),
        RidgeHead(LABELS, rng.normal(size=(3, WIDTH)), rng.normal(size=3), **rest),
    ]


def describe(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "bundle.json"
    described = json.loads(path.read_text())
    change(described)
    path.write_text(json.dumps(described))


def sides(described: dict[str, Any], **changed: object) -> None:
    described["sides"] = {"near": 0.1, "count": 4, "part": 0.1, **changed}


def test_what_is_written_is_read(bundle: ModelBundle) -> None:
    assert bundle.name == "tiny-1"
    assert bundle.labels == LABELS
    assert bundle.width == WIDTH
    assert bundle.preprocess == SPEC
    assert bundle.provenance.metrics == {"accuracy": 0.5}
    assert bundle.activation_ranges == {"c": (-1.5, 2.0)}
    assert bundle.agreement is not None
    assert bundle.agreement.frames == 100
    assert bundle.embedder_digest == hashlib.sha256(bundle.graph("float32").read_bytes()).hexdigest()
    assert bundle.graph("int8").name == INT8
    again = load_bundle(bundle.folder)
    assert again.digest == bundle.digest
    np.testing.assert_array_equal(again.golden.inputs, bundle.golden.inputs)


def test_how_near_is_near_is_written_and_read_and_left_out_where_nothing_is_said(tmp_path: Path) -> None:
    for near, keys in ((None, {"labels", "frames", "on"}), (0.7, {"labels", "frames", "on", "near", "twice"})):
        written = write_bundle(tmp_path / f"{near}", make_parts(tmp_path / "parts", int8=True, near=near))
        assert set(json.loads((written.folder / "bundle.json").read_text())["int8"]) == keys
        agreement = load_bundle(written.folder).agreement
        assert agreement is not None
        assert agreement.near == near


def test_sides_are_written_and_read_and_left_out_where_there_is_but_one(tmp_path: Path) -> None:
    for sides in (None, Sides(near=0.7, count=4, part=0.08)):
        written = write_bundle(tmp_path / f"{sides is None}", replace(make_parts(tmp_path / "parts"), sides=sides))
        assert ("sides" in json.loads((written.folder / "bundle.json").read_text())) == (sides is not None)
        found = load_bundle(written.folder)
        assert found.sides == sides
        assert json.loads((written.folder / "bundle.json").read_text())["format"] == (1 if sides is None else 2)


def test_models_that_look_from_other_sides_do_not_share_their_embeddings(tmp_path: Path) -> None:
    parts = make_parts(tmp_path / "parts")
    several = (None, Sides(0.7, 4, 0.08), Sides(0.7, 2, 0.08), Sides(0.8, 4, 0.08))
    bundles = [write_bundle(tmp_path / f"{n}", replace(parts, sides=sides)) for n, sides in enumerate(several)]
    assert len({bundle.embedder_digest for bundle in bundles}) == 4
    assert bundles[0].embedder_digest == bundles[0].files["embedder.onnx"]
    other = write_bundle(tmp_path / "o", replace(parts, name="other", sides=Sides(0.7, 4, 0.1)))
    assert other.embedder_digest == bundles[1].embedder_digest, "how many frames lie near changes no embedding"


@pytest.mark.parametrize("head", heads())
def test_each_head_judges_after_the_round_trip_as_before(tmp_path: Path, head: Head) -> None:
    parts = make_parts(tmp_path / "parts")
    golden = replace(parts.golden, scores=head.judge(parts.golden.embeddings).scores)
    bundle = write_bundle(tmp_path / "b", replace(parts, head=head, golden=golden))
    assert type(bundle.head) is type(head)
    assert bundle.head.predict(golden.embeddings) == head.predict(golden.embeddings)


def test_nothing_is_left_behind_by_writing(tmp_path: Path) -> None:
    write_bundle(tmp_path / "out" / "b", make_parts(tmp_path / "parts"))
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["b"]


def test_an_existing_folder_is_not_overwritten(bundle: ModelBundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="exists already"):
        write_bundle(bundle.folder, make_parts(tmp_path / "parts"))


def test_a_head_without_a_threshold_is_not_written(tmp_path: Path) -> None:
    parts = make_parts(tmp_path / "parts")
    with pytest.raises(BundleError, match="threshold"):
        write_bundle(tmp_path / "b", replace(parts, head=replace(parts.head, threshold=np.inf)))
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", ["embedder.onnx", "embedder.int8.onnx", "head.npz", "golden.npz", "MODEL_CARD.md"])
def test_a_changed_or_missing_file_is_named(bundle: ModelBundle, name: str) -> None:
    path = bundle.folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BundleError, match=rf"{name} is not the file that bundle.json describes"):
        load_bundle(bundle.folder)
    path.unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        load_bundle(bundle.folder)


def test_the_digest_changes_with_every_word_of_the_description(bundle: ModelBundle) -> None:
    describe(bundle.folder, lambda d: d["provenance"].update(data="something else"))
    assert load_bundle(bundle.folder).digest != bundle.digest


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda d: d.update(format=3), "has format 3, this version of auroramon reads formats 1 and 2: upgrade it"),
        (lambda d: d.update(colour="blue"), "unknown: colour"),
        (lambda d: d.pop("name"), "missing: name"),
        (lambda d: d["head"].update(alpha=1), "unknown: alpha"),
        (lambda d: d["preprocess"].update(gamma=1), "preprocess needs exactly the keys"),
        (lambda d: d["preprocess"].update(size=32), "golden.npz holds arrays of the shapes"),
        (lambda d: d.update(embedding_width=5), "the head has width 4, bundle.json says 5"),
        (lambda d: d.update(labels=["arc", "moon"]), "2 labels for 3 classes"),
        (lambda d: d.update(labels=["arc", "moon", 3]), "must be words"),
        (lambda d: d.update(int8=None), "must be there together"),
        (lambda d: d["files"].update({"../../etc/passwd": "0"}), "bundle.json must list"),
        (lambda d: d["files"].pop("head.npz"), "bundle.json must list"),
        (lambda d: d["head"].update(kind="forest"), "unknown head 'forest'"),
        (lambda d: d["head"].update(kind="ridge"), "coef is missing"),
        (lambda d: d["head"].update(temperature=0), "temperature 0"),
        (lambda d: d["head"].update(threshold="far"), "could not convert"),
        (lambda d: d["provenance"].pop("created"), "missing: created"),
        (lambda d: d["int8"].update(near=-0.1, twice=0.1), "int8 has near -0.1: it must be a distance of 0 or more"),
        (lambda d: d["int8"].update(near=float("nan"), twice=0.1), "int8 has near nan"),
        (lambda d: d["int8"].update(near=float("inf"), twice=0.1), "int8 has near inf"),
        (lambda d: d["int8"].update(near="far", twice=0.1), "int8 has near 'far'"),
        (lambda d: d["int8"].update(near=True, twice=0.1), "int8 has near True"),
        (lambda d: d["int8"].update(near=[0.1], twice=0.1), "int8 has near"),
        (lambda d: d["int8"].update(near=0.1), "int8 needs near and twice together"),
        (lambda d: d["int8"].update(twice=0.1), "int8 needs near and twice together"),
        (lambda d: d["int8"].update(near=0.1, twice=1.1), "int8 has twice 1.1: it must be a part from 0 to 1"),
        (lambda d: d["int8"].update(near=0.1, twice="some"), "int8 has twice 'some'"),
        (lambda d: sides(d, near=-0.1), "sides has near -0.1: it must be a distance of 0 or more"),
        (lambda d: sides(d, near=float("nan")), "sides has near nan"),
        (lambda d: sides(d, near=float("inf")), "sides has near inf"),
        (lambda d: sides(d, near="far"), "sides has near 'far'"),
        (lambda d: sides(d, near=True), "sides has near True"),
        (lambda d: sides(d, count=3), "sides has count 3: it must be one of 2, 4, 8"),
        (lambda d: sides(d, count=True), "sides has count True"),
        (lambda d: sides(d, count=4.0), r"sides has count 4\.0"),
        (lambda d: sides(d, count=[4]), r"sides has count \[4\]"),
        (lambda d: sides(d, part=1.1), "sides has part 1.1: it must be a part from 0 to 1"),
        (lambda d: sides(d, part="some"), "sides has part 'some'"),
        (lambda d: sides(d, nearer=0.1), "unknown: nearer"),
        (lambda d: d.update(sides={"near": 0.1, "count": 4}), "missing: part"),
        (lambda d: d.update(sides=False), "sides is False: it must be an object with keys"),
        (lambda d: d.update(sides=[1, 4, 0.08]), "sides is .*: it must be an object with keys"),
        (lambda d: d.update(sides="four"), "sides is 'four': it must be an object with keys"),
        (lambda d: sides(d, near=10**400), "sides has near 1000.*: it must be a distance"),
        (lambda d: d["int8"].update(labels="all"), "int8 has labels 'all'"),
        (lambda d: d["int8"].update(nearer=0.1), "unknown: nearer"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    bundle: ModelBundle, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    describe(bundle.folder, change)
    with pytest.raises(BundleError, match=sentence):
        load_bundle(bundle.folder)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe"])
def test_a_description_that_is_no_json_is_refused(bundle: ModelBundle, text: bytes) -> None:
    (bundle.folder / "bundle.json").write_bytes(text)
    with pytest.raises(BundleError, match=r"bundle\.json"):
        load_bundle(bundle.folder)


def test_arrays_that_would_need_pickle_are_refused(bundle: ModelBundle) -> None:
    path = bundle.folder / "head.npz"
    np.savez(path, tied_means=np.array([object()]), tied_precision=np.eye(WIDTH))
    describe(bundle.folder, lambda d: d["files"].update({"head.npz": hashlib.sha256(path.read_bytes()).hexdigest()}))
    with pytest.raises(BundleError, match="damaged"):
        load_bundle(bundle.folder)


def test_a_folder_that_is_no_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is no model bundle"):
        load_bundle(tmp_path)


def test_golden_frames_are_repeated_by_the_graph_they_come_from(bundle: ModelBundle) -> None:
    check_golden(bundle, OnnxBackend(bundle, "float32", 1))
    check_golden(bundle, OnnxBackend(bundle, "int8", 1))


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_golden_frames_of_another_network_are_refused(tmp_path: Path, precision: Any) -> None:
    bundle = write_bundle(tmp_path / "b", make_parts(tmp_path / "parts", int8=True, golden_seed=7))
    with pytest.raises(BundleError, match="does not repeat its golden frames"):
        check_golden(bundle, OnnxBackend(bundle, precision, 1))


def test_golden_frames_with_other_labels_are_refused(tmp_path: Path) -> None:
    parts = make_parts(tmp_path / "parts")
    turned = replace(parts.golden, scores=parts.golden.scores[:, ::-1].copy())
    bundle = write_bundle(tmp_path / "b", replace(parts, golden=turned))
    with pytest.raises(BundleError, match=r"labels \d of its 4 golden frames differently"):
        check_golden(bundle, OnnxBackend(bundle, "float32", 1))


@pytest.mark.parametrize(("agreement", "auto"), [(0.99, "int8"), (0.9899, "float32")])
def test_int8_runs_by_itself_only_where_its_labels_are_proven(tmp_path: Path, agreement: float, auto: str) -> None:
    bundle = write_bundle(tmp_path / "b", make_parts(tmp_path / "parts", int8=True, agreement=agreement))
    assert choose_precision(bundle, "auto") == auto
    assert choose_precision(bundle, "int8") == "int8"
    assert choose_precision(bundle, "float32") == "float32"


def test_int8_cannot_be_asked_of_a_bundle_without_it(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b", make_parts(tmp_path / "parts"))
    assert choose_precision(bundle, "auto") == "float32"
    with pytest.raises(BundleError, match="has no int8 graph: use precision float32"):
        choose_precision(bundle, "int8")


def test_the_shipped_model_is_whole_and_repeats_its_golden_frames() -> None:
    bundle = load_bundle(default_bundle())
    check_golden(bundle, OnnxBackend(bundle, "float32", 1))
    check_golden(bundle, OnnxBackend(bundle, "int8", 1))
    graphs = sum(bundle.graph(precision).stat().st_size for precision in ("float32", "int8"))
    assert graphs <= 25e6
    assert "Trained on simulated skies" in (bundle.folder / "MODEL_CARD.md").read_text()


def test_a_copied_bundle_is_the_same_model(bundle: ModelBundle, tmp_path: Path) -> None:
    shutil.copytree(bundle.folder, tmp_path / "copy")
    assert load_bundle(tmp_path / "copy").digest == bundle.digest
