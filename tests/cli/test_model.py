"""model: which there are, what is in one, and which one speaks."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from auroramon.bundle import Sides
from auroramon.store.results import ModelRow
from auroramon.store.store import open_store
from auroramon.types import LABELS
from tests.cli.conftest import EVENING, Command, Winter
from tests.tiny import write_tiny_bundle


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle that the settings name."""
    bundle = write_tiny_bundle(tmp_path / "tiny")
    monkeypatch.setenv("AURORAMON_MODEL__PATH", str(bundle.folder))
    return bundle.folder


def test_the_configured_model_and_those_of_the_database_are_listed(
    auroramon: Command, winter: Winter, tiny: Path
) -> None:
    entries = json.loads(auroramon("model", "list", "-c", winter.config, "--json").out)
    by_name = {entry["name"]: entry for entry in entries}
    assert by_name["tiny"]["used"]
    assert not by_name["tiny"]["in_database"]
    assert by_name["tiny"]["folder"] == str(tiny)
    assert by_name["first"]["speaks"]
    assert by_name["first"]["folder"] is None
    assert (by_name["first"]["labels"], by_name["tiny"]["labels"]) == (360, 0)
    shown = auroramon("model", "list", "-c", winter.config).out
    assert str(tiny) in shown
    assert "speaks" in shown
    assert "360" in shown


def test_a_damaged_bundle_is_listed_with_what_is_wrong(auroramon: Command, winter: Winter, tiny: Path) -> None:
    (tiny / "head.npz").write_bytes(b"no")
    said = auroramon("model", "list", "-c", winter.config)
    assert said.code == 0
    assert "head.npz is not the file" in said.out


def test_a_promoted_model_speaks(auroramon: Command, winter: Winter) -> None:
    with closing(open_store(winter.url)) as store:
        store.register_model(ModelRow("second", "d2", "e1", LABELS, 5.0, EVENING + timedelta(days=1)))
    speaks = [e for e in json.loads(auroramon("model", "list", "-c", winter.config, "--json").out) if e["speaks"]]
    assert [entry["name"] for entry in speaks] == ["second"]
    said = auroramon("model", "promote", "first", "-c", winter.config)
    assert said.code == 0
    speaks = [e for e in json.loads(auroramon("model", "list", "-c", winter.config, "--json").out) if e["speaks"]]
    assert [entry["name"] for entry in speaks] == ["first"]
    assert speaks[0]["promoted"]
    unknown = auroramon("model", "promote", "third", "-c", winter.config)
    assert unknown.code == 1
    assert "it knows first, second" in unknown.err


def test_models_of_one_name_are_listed_with_the_digests_that_tell_them_apart(
    auroramon: Command, winter: Winter
) -> None:
    with closing(open_store(winter.url)) as store:
        older = store.models()[0]
        store.register_model(replace(older, digest="ab" * 32, created=EVENING + timedelta(days=1)))
    shown = auroramon("model", "list", "-c", winter.config).out
    assert f"first ({'ab' * 6})" in shown
    assert f"first ({older.digest[:12]})" in shown
    one = auroramon("model", "compare", "first", "first", "-c", winter.config)
    assert one.code == 2
    assert "give the digests that `auroramon model list` shows" in one.err
    assert auroramon("model", "promote", "ab" * 6, "-c", winter.config).code == 0
    speaks = [e for e in json.loads(auroramon("model", "list", "-c", winter.config, "--json").out) if e["speaks"]]
    assert [entry["digest"] for entry in speaks] == ["ab" * 32]


@pytest.mark.parametrize("named", [[], ["tiny"], ["./tiny"]])
def test_a_model_is_shown_with_what_would_run_and_why(auroramon: Command, tiny: Path, named: list[str]) -> None:
    said = auroramon("model", "show", *named, "--json")
    told = json.loads(said.out)
    assert said.code == 0
    assert told["name"] == "tiny"
    assert told["labels"] == list(LABELS)
    assert told["graph"] == "embedder.onnx"
    assert told["precision"] == "float32"
    assert told["why"] == "the bundle has no int8 graph"
    assert told["golden"] == {"repeated": True, "frames": 4, "said": told["golden"]["said"]}
    assert set(told["files"]) == {"embedder.onnx", "head.npz", "golden.npz", "MODEL_CARD.md"}
    shown = auroramon("model", "show", *named).out
    assert "mahalanobis on 16 dimensions" in shown
    assert "A model for tests" in shown


def test_a_model_with_a_second_look_says_how_often_float32_takes_it(
    auroramon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AURORAMON_MODEL__PATH", str(write_tiny_bundle(tmp_path / "near", near=0.25).folder))
    told = json.loads(auroramon("model", "show", "--json").out)
    assert told["why"] == (
        "the labels of int8 agree with float32 on 99.87% of 800 frames (frames of nothing); near a border, at 5.2% of "
        "them, float32 looks again"
    )
    assert told["agreement"]["near"] == 0.25
    assert told["golden"]["said"].endswith("float32 near a border")
    assert "float32 looks again" in auroramon("model", "show").out
    path = tmp_path / "near" / "bundle.json"
    path.write_text(path.read_text().replace('"near": 0.25', '"near": -0.25'))
    broken = auroramon("model", "show")
    assert broken.code == 1
    assert "int8 has near -0.25: it must be a distance of 0 or more" in broken.err
    assert "Traceback" not in broken.err


def test_a_model_says_from_how_many_sides_it_looks(
    auroramon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = "within 0.5 of a border of the head, where 8.1% of its evaluation set lie, from one elsewhere"
    for sides, words in ((None, "from one side"), (Sides(near=0.5, count=4, part=0.081), f"from 4 sides {where}")):
        bundle = write_tiny_bundle(tmp_path / f"{sides is None}", sides=sides)
        monkeypatch.setenv("AURORAMON_MODEL__PATH", str(bundle.folder))
        assert f"looks      {words}\n" in auroramon("model", "show").out
        told = json.loads(auroramon("model", "show", "--json").out)
        assert told["sides"] == (None if sides is None else {"near": 0.5, "count": 4, "part": 0.081})
        assert told["golden"]["said"].endswith("sides near a border") == (sides is not None)


def test_a_model_that_is_not_there_is_named(auroramon: Command, winter: Winter, tiny: Path) -> None:
    nobody = auroramon("model", "show", "nobody", "-c", winter.config)
    assert nobody.code == 1
    assert "there is no model nobody" in nobody.err
    assert "only the database knows first" in auroramon("model", "show", "first", "-c", winter.config).err
