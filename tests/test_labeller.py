"""What a user gets of each file: a label for every frame, or a reason."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from auroramon.assemble import make_labeller
from auroramon.backends.runtime import USUAL
from auroramon.backfill import BATCH_FILES
from auroramon.cameras import Cameras
from auroramon.config import CameraSettings, ModelSettings, Settings
from auroramon.labeller import Labeller
from auroramon.ports import Backend
from auroramon.types import FileOutcome, FileStat, Outcome, RawFrame, sentence
from tests.skies import START, sky, stack, write_png
from tests.tiny import write_tiny_bundle


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("model") / "tiny").folder


@pytest.fixture
def labeller(tiny: Path) -> Labeller:
    return make_labeller(Settings(model=ModelSettings(path=tiny)), threads=1)


def stat(path: Path, camera: str = "") -> FileStat:
    status = path.stat()
    return FileStat(str(path), status.st_size, status.st_mtime_ns, camera)


def one(labeller: Labeller, path: Path, camera: str = "") -> FileOutcome:
    (outcome,) = labeller([stat(path, camera)])
    return outcome


def test_every_frame_of_a_stack_gets_a_label_with_scores_that_add_up_to_one(labeller: Labeller, tmp_path: Path) -> None:
    file = tmp_path / "20251221_2000_test_themis99_full.pgm.gz"
    file.write_bytes(stack(range(20)))
    outcome = one(labeller, file)
    assert outcome.outcome is Outcome.LABELLED
    assert [record.info.index for record in outcome.records] == list(range(20))
    assert {record.info.camera for record in outcome.records} == {"test_themis99"}
    assert {record.info.time_source for record in outcome.records} == {"header"}
    for record in outcome.records:
        assert sum(record.classification.scores) == pytest.approx(1)
        assert record.embedding is not None
        assert record.embedding.dtype == np.float16


def test_the_disc_of_another_size_of_frame_is_not_taken(labeller: Labeller, tmp_path: Path) -> None:
    """A preview before the frames, or a camera that was set anew: its disc lies elsewhere."""
    large = [write_png(tmp_path, seed) for seed in (1, 2)]
    for file in large:
        half = Image.open(file)
        half.resize((half.width // 2, half.height // 2)).save(file.with_suffix(".half.png"))
    with tarfile.open(tmp_path / "mixed.tar", "w") as tar:
        for name in (large[0].with_suffix(".half.png"), large[0], large[1].with_suffix(".half.png"), large[1]):
            tar.add(name, f"{name.stem}_{len(tar.getmembers())}.png")
    mixed = labeller([FileStat(str(tmp_path / "mixed.tar"), 1, 1)])[0].records
    (alone,) = one(labeller, large[0]).records
    assert mixed[1].classification == alone.classification
    assert len(mixed) == 4


def test_a_label_depends_on_its_frame_alone(labeller: Labeller, tmp_path: Path) -> None:
    files = [write_png(tmp_path, seed) for seed in range(9)]
    (tmp_path / "a.pgm.gz").write_bytes(stack(range(7)))
    files.append(tmp_path / "a.pgm.gz")
    together = labeller([stat(file) for file in files])
    for batch in (1, 4):
        other = replace(labeller, batch=batch)
        alone = [one(other, file) for file in files]
        for left, right in zip(together, alone, strict=True):
            assert [r.classification for r in left.records] == [r.classification for r in right.records]
            for a, b in zip(left.records, right.records, strict=True):
                assert a.embedding is not None
                assert b.embedding is not None
                assert a.embedding.tobytes() == b.embedding.tobytes()


def test_a_stack_that_breaks_off_gives_its_good_frames_and_says_so(labeller: Labeller, tmp_path: Path) -> None:
    file = tmp_path / "cut.pgm.gz"
    whole = stack(range(10))
    file.write_bytes(whole[: len(whole) // 2])
    outcome = one(labeller, file)
    assert outcome.outcome is Outcome.LABELLED
    assert 0 < len(outcome.records) < 10
    assert f"cut off after {len(outcome.records)} frames" in outcome.reason


def test_bad_files_end_in_a_word_and_a_sentence(labeller: Labeller, tmp_path: Path) -> None:
    empty, text = tmp_path / "empty.png", tmp_path / "text.png"
    empty.touch()
    text.write_text("no picture")
    assert one(labeller, empty).outcome is Outcome.NOT_READY
    said = one(labeller, text)
    assert said.outcome is Outcome.QUARANTINED
    assert "text.png" in said.reason
    gone = labeller([FileStat(str(tmp_path / "gone.png"), 5, 5)])[0]
    assert (gone.outcome, gone.reason) == (Outcome.SKIPPED, "gone before it was read")


def test_a_flat_frame_is_unknown_with_a_reason_and_never_dropped(labeller: Labeller, tmp_path: Path) -> None:
    file = tmp_path / "flat.png"
    Image.fromarray(np.full((64, 64), 51, dtype=np.uint8)).save(file)
    (record,) = one(labeller, file).records
    assert record.classification.label == "unknown"
    assert "51" in record.classification.reason
    assert record.embedding is None


def test_a_frame_in_daylight_is_unknown_with_the_altitude_of_the_sun(tiny: Path, tmp_path: Path) -> None:
    camera = CameraSettings(name="south", latitude=-67.0, longitude=20.0)  # the midnight Sun of December
    labeller = make_labeller(Settings(model=ModelSettings(path=tiny), camera=(camera,)), threads=1)
    (record,) = one(labeller, write_png(tmp_path, 1), "south").records
    assert record.classification.label == "unknown"
    assert "the Sun is at" in record.classification.reason
    assert record.sun_altitude is not None
    assert record.sun_altitude > -6


def test_a_mask_of_another_size_leaves_the_file_for_later_and_names_both_sizes(tiny: Path, tmp_path: Path) -> None:
    mask = tmp_path / "mask.png"
    Image.fromarray(np.full((10, 20), 255, dtype=np.uint8)).save(mask)
    camera = CameraSettings(name="masked", mask=mask)
    labeller = make_labeller(Settings(model=ModelSettings(path=tiny), camera=(camera,)), threads=1)
    outcome = one(labeller, write_png(tmp_path, 1), "masked")
    assert outcome.outcome is Outcome.NOT_READY
    assert "20x10" in outcome.reason
    assert "64x64" in outcome.reason


def test_the_same_sky_gets_the_same_label_in_8_and_16_bits_and_other_gains(labeller: Labeller, tmp_path: Path) -> None:
    pixels = sky(3, bits=16)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray((pixels // 2).astype(np.uint16)).save(tmp_path / "b.png")
    first, second = (one(labeller, tmp_path / name).records[0].classification for name in ("a.png", "b.png"))
    assert first.label == second.label
    assert first.confidence == pytest.approx(second.confidence, abs=1e-2)


def test_a_file_without_a_time_that_the_camera_trusts_goes_into_quarantine(tiny: Path, tmp_path: Path) -> None:
    camera = CameraSettings(name="strict", time_from=("header",))
    labeller = make_labeller(Settings(model=ModelSettings(path=tiny), camera=(camera,)), threads=1)
    outcome = one(labeller, write_png(tmp_path, 1), "strict")
    assert outcome.outcome is Outcome.QUARANTINED
    assert "time" in outcome.reason


@pytest.mark.parametrize("reason", ["a.png: is broken", "/data/a.png: is broken", "is broken"])
def test_a_sentence_names_the_file_once(reason: str) -> None:
    assert sentence("/data/a.png", reason) == "/data/a.png: is broken"


@dataclass
class Card:
    """A backend whose batches run until their answer is taken, as a GPU's may."""

    inner: Backend
    running: int = 0
    taken: int = 0
    name: str = "tensorrt"
    precision: str = "fp16"
    device: str = "pretended"
    fallback: bool = False

    def start(self, inputs: NDArray[np.float32]) -> Callable[[], NDArray[np.float32]]:
        assert not self.running, "an answer was not taken before the next start"
        self.running = len(inputs)
        found = self.inner.embed(inputs)

        def answer() -> NDArray[np.float32]:
            self.running = 0
            self.taken += len(inputs)
            return found

        return answer

    def embed(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.start(inputs)()

    def close(self) -> None:
        """Nothing to give back."""


class Counting(Cameras):
    """Counts the files whose frames are prepared while a batch runs; may fail at one of them."""

    def __init__(self, card: Card, fails_at: int = -1) -> None:
        super().__init__([])
        self._card, self._fails_at = card, fails_at
        self.prepared = self.beside = 0

    def of_frame(self, file: FileStat, raw: RawFrame) -> CameraSettings:
        self.prepared += 1
        self.beside += bool(self._card.running)
        if self.prepared == self._fails_at:
            raise ZeroDivisionError("a mistake of ours")
        return super().of_frame(file, raw)


def test_most_frames_of_a_task_are_prepared_while_the_card_works(labeller: Labeller, tmp_path: Path) -> None:
    card = Card(labeller.backend)
    cameras = Counting(card)
    files = [stat(write_png(tmp_path, seed)) for seed in range(BATCH_FILES)]
    outcomes = replace(labeller, backend=card, cameras=cameras, batch=USUAL)(files)
    assert [outcome.outcome for outcome in outcomes] == [Outcome.LABELLED] * BATCH_FILES
    assert (card.taken, card.running) == (BATCH_FILES, 0)
    assert cameras.beside == BATCH_FILES - USUAL
    assert cameras.beside >= BATCH_FILES / 2


def test_most_minutes_of_a_task_are_prepared_while_the_card_works(labeller: Labeller, tmp_path: Path) -> None:
    card = Card(labeller.backend)
    cameras = Counting(card)
    files = [tmp_path / f"20251221_200{minute}_test_themis99_full.pgm.gz" for minute in range(4)]
    for minute, file in enumerate(files):
        file.write_bytes(stack(range(20), START + timedelta(minutes=minute)))
    replace(labeller, backend=card, cameras=cameras, batch=USUAL)([stat(file) for file in files])
    assert (card.taken, cameras.prepared, cameras.beside) == (80, 4, 3)


def test_a_batch_that_was_begun_is_taken_also_where_preparing_fails(labeller: Labeller, tmp_path: Path) -> None:
    card = Card(labeller.backend)
    files = [stat(write_png(tmp_path, seed)) for seed in range(6)]
    with pytest.raises(ZeroDivisionError):
        replace(labeller, backend=card, cameras=Counting(card, fails_at=6), batch=2)(files)
    assert (card.taken, card.running) == (4, 0)
