"""An engine is built once, proven before it labels, built anew when anything it depends on changes, else refused."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auroramon.backends.engine import EngineBackend, EngineShop, Unready
from auroramon.backends.engine_cache import EngineCache
from auroramon.backends.manifest import manifest_text, read_manifest
from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.runtime import Card
from auroramon.backends.trust import DEMANDS, LABELS_ALIKE
from auroramon.bundle import ModelBundle, default_bundle, load_bundle
from auroramon.bundle_writing import write_bundle
from auroramon.errors import BundleError, EngineError, NoCardError
from tests.backends.conftest import MakeShop
from tests.backends.processor import CARD, ProcessorRuntime
from tests.backends.tiny_model import SIZE, make_parts


def test_an_engine_is_built_once_proven_and_found_again(shop: EngineShop, runtime: ProcessorRuntime) -> None:
    assert shop.ready(CARD) == Unready(
        "no engine for this GPU: none was built yet (sm89, fp16, tensorrt_rtx)", final=False
    )
    first = shop.obtain(CARD)
    assert first.verified
    assert first.trial is not None
    assert first.trial.figures.golden_labels == first.trial.figures.golden == 4
    assert first.trial.figures.trial == 6
    assert shop.ready(CARD) == first
    assert shop.obtain(CARD) == first
    assert runtime.built == ["sm89"]
    assert runtime.open == 0
    assert set(runtime.batches) == {4, 1, 5}  # golden frames, and simulated ones alone and together


def test_the_plan_is_the_library_s_own_and_the_manifest_stands_beside_it(shop: EngineShop, cache: EngineCache) -> None:
    manifest = shop.obtain(CARD)
    plan = cache.folder / manifest.plan
    assert plan.read_bytes() == cache.plan(manifest)
    assert plan.stat().st_size == manifest.size
    assert plan.name.startswith("tiny-1-sm89-fp16-tensorrt_rtx-")
    assert read_manifest(plan.with_suffix(".json")) == manifest
    assert cache.kernels(manifest) == b"compiled late"
    assert cache.timings(manifest.key) == b"t"
    assert not list(cache.folder.glob("*.new"))


@pytest.mark.parametrize(
    ("card", "version", "said"),
    [
        (replace(CARD, driver="560.35"), "1.0", "driver 550.54 instead of 560.35"),
        (replace(CARD, name="Other RTX"), "1.0", "GPU Pretend RTX instead of Other RTX"),
        (CARD, "1.1", "version 1.0 instead of 1.1"),
    ],
)
def test_what_an_engine_depends_on_has_changed_so_it_is_built_anew_and_the_reason_told(
    make_shop: MakeShop, caplog: pytest.LogCaptureFixture, card: Card, version: str, said: str
) -> None:
    make_shop().obtain(CARD)
    changed = ProcessorRuntime(version=version, has=card)
    shop = make_shop(runtime=changed)
    assert shop.ready(card) == Unready(f"no engine for this GPU: the nearest one is for {said}", final=False)
    caplog.set_level("INFO")
    assert shop.obtain(card).verified
    assert said in caplog.text
    assert changed.built == [card.capability]


def test_what_is_wrong_with_another_engine_is_no_reason_to_build_this_one(
    make_shop: MakeShop, cache: EngineCache
) -> None:
    """Three broken neighbours: another precision, another card, and a file that is nobody's."""
    int8 = make_shop(precision="int8").obtain(CARD)
    (cache.folder / int8.plan).write_bytes(b"cut")
    away = make_shop(runtime=ProcessorRuntime(has=None))
    elsewhere = away.build(away.key(None, "sm120"), None)
    (cache.folder / elsewhere.plan).with_suffix(".json").write_text("{}")
    (cache.folder / "aaa.json").write_text("no manifest")
    assert make_shop().ready(CARD) == Unready(
        "no engine for this GPU: none was built yet (sm89, fp16, tensorrt_rtx)", final=False
    )
    assert "3 bytes instead of" in str(make_shop(precision="int8").ready(CARD))


@pytest.mark.parametrize("ahead", [False, True])
def test_what_is_wrong_with_the_engine_that_is_wanted_is_told(
    make_shop: MakeShop, cache: EngineCache, caplog: pytest.LogCaptureFixture, ahead: bool
) -> None:
    shop = make_shop()
    other = make_shop(runtime=ProcessorRuntime(has=replace(CARD, driver="1")))
    other.build(other.key(replace(CARD, driver="1")), None)  # a whole neighbour, one driver older
    away = make_shop(runtime=ProcessorRuntime(has=None))
    manifest = away.build(away.key(None, "sm89"), None) if ahead else shop.build(shop.key(CARD), CARD)
    (cache.folder / manifest.plan).with_suffix(".json").write_text("{}")
    ready = shop.ready(CARD)
    assert isinstance(ready, Unready)
    assert f"{Path(manifest.plan).stem}.json is no manifest of an engine" in ready.why
    caplog.set_level("INFO")
    shop.build(shop.key(CARD), CARD)
    assert "is no manifest of an engine" in caplog.text


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(shop: EngineShop, cache: EngineCache) -> None:
    assert cache.entries() == []
    cache.folder.parent.mkdir(parents=True)
    cache.folder.write_text("a file where the folder should be")
    with pytest.raises(EngineError, match=r"engines cannot be read \(Not a directory\): let this user read it"):
        cache.entries()
    with pytest.raises(EngineError, match="cannot be read"):
        shop.ready(CARD)


def test_a_manifest_that_cannot_be_read_is_not_called_none(shop: EngineShop, cache: EngineCache) -> None:
    manifest = shop.obtain(CARD)
    path = (cache.folder / manifest.plan).with_suffix(".json")
    with pytest.raises(EngineError, match=r"engines cannot be read \(Is a directory\)"):
        read_manifest(path.parent)
    if os.geteuid() != 0:
        path.chmod(0)
        (entry,) = cache.entries()
        assert entry.problem.startswith(f"{path} cannot be read (Permission denied)")


def test_a_changed_model_gets_an_engine_of_its_own(make_shop: MakeShop, tmp_path: Path) -> None:
    make_shop().obtain(CARD)
    parts = make_parts(tmp_path / "other")
    other = write_bundle(tmp_path / "other-1", replace(parts, card="# another card\n"))
    shop = make_shop(bundle=other)
    assert shop.ready(CARD) == Unready("no engine for this GPU: the nearest one is for another model", final=False)
    assert shop.obtain(CARD).key.model == other.digest
    assert make_shop().ready(CARD) != shop.ready(CARD)


def test_an_engine_built_ahead_of_time_is_not_used_before_it_has_proven_itself_on_the_card(
    make_shop: MakeShop, runtime: ProcessorRuntime
) -> None:
    away = make_shop(runtime=ProcessorRuntime(has=None))
    manifest = away.build(away.key(None, "sm89"), None)
    assert not manifest.verified
    shop = make_shop()
    assert shop.ready(CARD) == Unready(f"{manifest.plan} has not been tried on this GPU", final=False)
    proven = shop.obtain(CARD)
    assert proven.plan == manifest.plan
    assert proven.verified
    assert runtime.built == []
    another = replace(CARD, name="Other RTX")
    assert shop.ready(another) == Unready(f"{manifest.plan} has not been tried on this GPU", final=False)


def test_an_engine_from_elsewhere_that_does_not_load_is_built_anew_and_the_reason_told(
    make_shop: MakeShop, runtime: ProcessorRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    away = make_shop(runtime=ProcessorRuntime(has=None))
    sent = away.build(away.key(None, "sm89"), None)
    runtime.refusals = 1
    manifest = make_shop().obtain(CARD)
    assert manifest.verified
    assert manifest.key.card == CARD.name
    assert f"{sent.plan} is removed, to be built anew: tensorrt_rtx 1.0 does not take the engine" in caplog.text
    assert [entry.manifest for entry in make_shop().cache.entries()] == [manifest]
    assert runtime.built == ["sm89"]


def test_an_engine_that_does_not_load_though_it_was_just_built_is_not_built_again(
    make_shop: MakeShop, runtime: ProcessorRuntime
) -> None:
    runtime.refuses = True
    with pytest.raises(EngineError, match="does not take the engine"):
        make_shop().obtain(CARD)
    assert runtime.built == ["sm89"]


def test_the_shipped_model_in_int8_passes_the_whole_trial_with_a_frame_to_spare(cache: EngineCache) -> None:
    """By this processor's arithmetic; a card that rounds a sum otherwise must not be refused for it."""
    bundle = load_bundle(default_bundle())
    shop = EngineShop(ProcessorRuntime(), cache, bundle, "int8", lambda: OnnxBackend(bundle, "float32", 1))
    trial = shop.obtain(CARD).trial
    assert trial is not None
    found = trial.figures
    differing = round(found.trial * (1 - found.trial_labels))
    assert differing + 1 <= found.trial * (1 - LABELS_ALIKE)
    assert found.cosine > DEMANDS["int8"].cosine


def test_an_engine_that_says_something_else_is_refused_with_the_figures_and_not_tried_again(
    make_shop: MakeShop,
) -> None:
    runtime = ProcessorRuntime(spoils=0.7)
    shop = make_shop(runtime=runtime)
    with pytest.raises(EngineError) as refused:
        shop.obtain(CARD)
    sentence = str(refused.value)
    assert "is refused on this GPU" in sentence
    assert "the least cosine of an embedding is 0." in sentence
    assert "(at least 0.999)" in sentence
    loaded = runtime.loaded
    assert "is refused on this GPU" in str(shop.ready(CARD))
    with pytest.raises(EngineError, match="is refused on this GPU"):
        shop.obtain(CARD)
    assert runtime.loaded == loaded
    assert runtime.built == ["sm89"]


def test_a_truncated_plan_is_refused_and_built_anew(shop: EngineShop, cache: EngineCache) -> None:
    manifest = shop.obtain(CARD)
    plan = cache.folder / manifest.plan
    plan.write_bytes(plan.read_bytes()[:-1])
    assert "bytes instead of" in str(shop.ready(CARD))
    shop.obtain(CARD)
    assert cache.plan(manifest)


def test_a_plan_from_elsewhere_is_refused_although_its_size_is_right(shop: EngineShop, cache: EngineCache) -> None:
    manifest = shop.obtain(CARD)
    plan = cache.folder / manifest.plan
    content = bytearray(plan.read_bytes())
    content[100] ^= 1
    plan.write_bytes(content)
    with pytest.raises(EngineError, match=r"is not the engine that was built \(sha256 differs from its manifest\)"):
        shop.load(manifest)
    rebuilt = shop.obtain(CARD)
    assert cache.plan(rebuilt)


def test_a_manifest_that_was_changed_is_refused(shop: EngineShop, cache: EngineCache) -> None:
    manifest = shop.obtain(CARD)
    path = (cache.folder / manifest.plan).with_suffix(".json")
    described = json.loads(path.read_text())
    described["trial"]["refusal"] = "no"
    path.write_text(json.dumps(described))
    with pytest.raises(EngineError, match="was changed after it was written"):
        read_manifest(path)
    assert "was changed after it was written" in str(shop.ready(CARD))


@pytest.mark.parametrize(
    "changed",
    [
        {"plan": 5}, {"built": 5}, {"built": "yesterday"}, {"size": "many"}, {"size": True}, {"seconds": None},
        {"model_name": None}, {"kernels_sha256": []}, {"trial": 5}, {"trial": {"card": "Pretend RTX"}}, {"key": []},
        {"key": {"precision": "fp4"}}, {"key": {"library": "foo"}}, {"key": {"recipe": "2"}}, {"key": {"model": 1}},
        {"plan": "../tiny-1.plan"},
    ],
)  # fmt: skip
def test_a_right_digest_does_not_make_a_manifest_of_wrong_types(
    make_shop: MakeShop, cache: EngineCache, changed: dict[str, Any]
) -> None:
    """Another program, or another version of this one, may know how the digest is made."""
    other = make_shop(precision="float32").build(make_shop(precision="float32").key(CARD), CARD)
    manifest = make_shop().obtain(CARD)
    key = changed.pop("key", {})
    wrong = replace(manifest, key=replace(manifest.key, **key) if isinstance(key, dict) else key, **changed)
    path = (cache.folder / manifest.plan).with_suffix(".json")
    path.write_text(manifest_text(wrong))
    (problem,) = [entry.problem for entry in cache.entries() if entry.manifest is None]
    assert str(path) in problem
    assert "is no manifest of an engine" in problem or "has no plan beside it" in problem
    assert [entry.manifest for entry in cache.entries() if entry.manifest] == [other]
    assert isinstance(make_shop().ready(CARD), Unready)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"format": 1}', '{"format": 2, "digest": ""}', "[" * 200_000, b"\xff"]
)
def test_what_is_no_manifest_is_named_and_does_not_hide_the_others(
    shop: EngineShop, cache: EngineCache, content: str | bytes
) -> None:
    manifest = shop.obtain(CARD)
    (cache.folder / "stray.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    (problem,) = [entry.problem for entry in cache.entries() if entry.manifest is None]
    assert "stray.json" in problem
    assert "auroramon engine clean" in problem
    assert shop.ready(CARD) == manifest


def test_kernels_that_were_changed_are_not_given_to_the_library(shop: EngineShop, cache: EngineCache) -> None:
    manifest = shop.obtain(CARD)
    (cache.folder / manifest.plan).with_suffix(".kernels").write_bytes(b"something else")
    assert cache.kernels(manifest) == b""


def test_two_builders_at_once_build_one_engine(make_shop: MakeShop, caplog: pytest.LogCaptureFixture) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def while_building() -> None:
        begun.set()
        assert go_on.wait(30)

    caplog.set_level("INFO")
    first, second = ProcessorRuntime(while_building=while_building), ProcessorRuntime()
    built: list[str] = []

    def work(runtime: ProcessorRuntime) -> None:
        shop = make_shop(runtime=runtime)
        built.append(shop.build(shop.key(CARD), CARD).plan)

    threads = [threading.Thread(target=work, args=(runtime,)) for runtime in (first, second)]
    threads[0].start()
    assert begun.wait(30)
    threads[1].start()
    while "another process builds an engine" not in caplog.text and threads[1].is_alive():
        threads[1].join(0.01)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert (first.built, second.built) == (["sm89"], [])
    assert built[0] == built[1]


def _build_with_little_room(folder: Path, cache: Path, answers: multiprocessing.Queue[str]) -> None:
    from auroramon.backends.onnx import OnnxBackend
    from auroramon.bundle import load_bundle

    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    bundle = load_bundle(folder)
    shop = EngineShop(ProcessorRuntime(), EngineCache(cache), bundle, "fp16", lambda: OnnxBackend(bundle, "float32", 1))
    try:
        shop.build(shop.key(CARD), CARD)
    except EngineError as error:
        answers.put(str(error))
    else:
        answers.put("built")


def test_a_full_disk_leaves_nothing_half_written_and_says_what_to_do(tiny: ModelBundle, cache: EngineCache) -> None:
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[str] = context.Queue()  # type: ignore[assignment]
    child = context.Process(target=_build_with_little_room, args=(tiny.folder, cache.folder, answers))
    child.start()
    sentence = answers.get(timeout=60)
    child.join(30)
    assert "cannot be written: File too large; free some space" in sentence
    assert [path.name for path in cache.folder.iterdir()] == ["build.lock"]
    assert cache.entries() == []


def test_the_cache_is_bounded_and_keeps_what_was_used_last(make_shop: MakeShop, cache: EngineCache) -> None:
    drivers = ("1", "2", "3")
    cards = [replace(CARD, driver=driver) for driver in drivers]
    first, second = (make_shop(runtime=ProcessorRuntime(has=card)).obtain(card) for card in cards[:2])
    cache.used(first)  # after the second was built
    small = EngineCache(cache.folder, most_bytes=sum(path.stat().st_size for path in cache.folder.iterdir()))
    shop = replace(make_shop(runtime=ProcessorRuntime(has=cards[2])), cache=small)
    third = shop.build(shop.key(cards[2]), cards[2])
    assert {entry.manifest for entry in cache.entries()} == {first, third}
    assert not (cache.folder / second.plan).exists()


def test_everything_in_the_folder_counts_and_what_is_broken_goes_first(make_shop: MakeShop, cache: EngineCache) -> None:
    cards = [replace(CARD, driver=driver) for driver in ("1", "2", "3")]
    first, second = (make_shop(runtime=ProcessorRuntime(has=card)).obtain(card) for card in cards[:2])
    (cache.folder / second.plan).write_bytes(b"cut")  # used last, and of no use
    old = cache.folder / "tensorrt-10.7.0-sm75.timings"
    old.write_bytes(b"t" * 10_000)
    os.utime(old, ns=(0, 0))
    (cache.folder / "notes.txt").write_text("a person's own")
    together = sum(path.stat().st_size for path in cache.folder.iterdir())
    shop = make_shop(runtime=ProcessorRuntime(has=cards[2]))
    replace(shop, cache=EngineCache(cache.folder, together)).build(shop.key(cards[2]), cards[2])
    assert not (cache.folder / second.plan).with_suffix(".json").exists()
    assert not (cache.folder / second.plan).with_suffix(".kernels").exists()
    assert cache.plan(first)
    assert not old.exists()
    assert (cache.folder / "notes.txt").exists()
    assert sum(path.stat().st_size for path in cache.folder.iterdir()) <= together


def test_kernels_compiled_on_the_card_count_too(make_shop: MakeShop, cache: EngineCache) -> None:
    cards = [replace(CARD, driver=driver) for driver in ("1", "2")]
    first = make_shop(runtime=ProcessorRuntime(has=cards[0])).obtain(cards[0])
    shop = make_shop(runtime=ProcessorRuntime(has=cards[1]))
    second = shop.build(shop.key(cards[1]), cards[1])
    small = sum(path.stat().st_size for path in cache.folder.iterdir()) + 5  # less than the kernels
    replace(shop, cache=EngineCache(cache.folder, small)).prove(second, cards[1])
    assert [entry.manifest.plan for entry in cache.entries() if entry.manifest] == [second.plan]
    assert not (cache.folder / first.plan).exists()


def test_what_killed_builds_left_is_removed_by_the_next_one_and_not_while_it_waits(
    make_shop: MakeShop, cache: EngineCache
) -> None:
    shop = make_shop()
    other = replace(CARD, driver="1")
    manifest = shop.build(shop.key(other), other)
    stem = "tiny-1-sm75-int8-tensorrt_rtx-0123456789abcdef"
    left = [cache.folder / name for name in (f".{stem}.plan.x1y2.new", f"{stem}.plan", f"{stem}.kernels")]
    left.append(cache.folder / f"{stem.replace('sm75', 'sm86')}.json")
    kept = [cache.folder / name for name in ("mine.plan", "mine.json", "tensorrt-10.7-sm75.timings")]
    for path in left + kept:
        path.write_bytes(b"half")
    seen: list[bool] = []
    slow = ProcessorRuntime(while_building=lambda: seen.extend(path.exists() for path in left))
    with cache.building():  # a build that runs: these may be its files
        waiting = threading.Thread(target=lambda: make_shop(runtime=slow).build(shop.key(CARD), CARD))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        assert all(path.exists() for path in left)
    waiting.join(30)
    assert seen == [True] * 4
    assert [path.name for path in left if path.exists()] == []
    assert all(path.exists() for path in kept)
    assert cache.plan(manifest)


def test_a_target_that_the_library_does_not_know_is_refused(shop: EngineShop) -> None:
    with pytest.raises(NoCardError, match="does not build for sm90, only for sm75, sm89, sm120"):
        shop.build(shop.key(None, "sm90"), None)


def test_int8_without_calibration_ranges_leaves_no_engine(
    make_shop: MakeShop, tmp_path: Path, cache: EngineCache
) -> None:
    plain = write_bundle(tmp_path / "plain", replace(make_parts(tmp_path / "p"), activation_ranges={}))
    shop = make_shop(bundle=plain, precision="int8")
    with pytest.raises(BundleError, match="no calibration ranges"):
        shop.obtain(CARD)
    assert cache.entries() == []


def test_the_backend_cuts_what_is_larger_than_the_largest_profile(
    shop: EngineShop, tiny: ModelBundle, runtime: ProcessorRuntime
) -> None:
    manifest = shop.obtain(CARD)
    backend = EngineBackend(shop.load(manifest), manifest, CARD, tiny)
    assert (backend.name, backend.precision) == ("tensorrt", "fp16")
    assert backend.device == "Pretend RTX, tensorrt_rtx 1.0"
    inputs = np.random.default_rng(3).normal(size=(300, 2, SIZE, SIZE)).astype(np.float32)
    runtime.batches.clear()
    together = backend.embed(inputs)
    assert runtime.batches == [256, 44]
    np.testing.assert_allclose(together[7], backend.embed(inputs[7:8])[0], atol=1e-3)
    assert backend.embed(inputs[:0]).shape == (0, tiny.width)
    with pytest.raises(ValueError, match=r"inputs \(1, 2, 8, 8\) do not end in"):
        backend.embed(np.zeros((1, 2, 8, 8), dtype=np.float32))
    backend.close()
    assert runtime.open == 0
