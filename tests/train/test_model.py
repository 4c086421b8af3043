"""Every command on a run of a few frames: from simulated skies to a bundle that serves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from auroramon.backends.onnx import OnnxBackend
from auroramon.backends.second_look import SecondLookBackend, open_on_processor
from auroramon.backends.sides import SidesBackend
from auroramon.borders import Borders
from auroramon.bundle import FLOAT32, INT8, SIDES, ModelBundle, Sides, check_golden, default_bundle, load_bundle
from train.commands import main
from train.data import plain_batches
from train.frames import read_split
from train.runfile import SPLITS, Run
from train.sides import sides_table
from train.simulate import NOTE, frames_of


def train(*args: str | Path) -> str:
    result = CliRunner().invoke(main, [str(a) for a in args])
    assert result.exit_code == 0, result.output
    return result.output


def refused(*args: str | Path) -> str:
    result = CliRunner().invoke(main, [str(a) for a in args])
    assert result.exit_code != 0
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def work(frames: Path, run: Run) -> Path:
    """A work folder whose frames are there already."""
    own = frames.parent / run.name
    own.mkdir()
    (own / NOTE).write_text(frames.name + "\n")
    return frames.parent


def test_simulated_frames_hold_every_class_and_share_no_camera(run_file: Path, run: Run, tmp_path: Path) -> None:
    folder = Path(train("simulate", run_file, "--work", tmp_path / "w", "--processes", "1").splitlines()[-1])
    splits = {split: read_split(folder, split) for split in SPLITS}
    names = [camera.camera for split in splits.values() for camera in split.cameras]
    assert len(names) == len(set(names)) == 7
    assert np.bincount(splits["train"].targets).tolist() == [4, 4, 4, 4, 4, 4, 6]
    assert np.bincount(splits["heads"].targets).tolist() == [2] * 6
    assert np.bincount(splits["evaluate"].targets).tolist() == [4, 4, 4, 4, 4, 4, 6]
    counts, disc = splits["train"].frame(3)
    assert counts.dtype == np.uint16
    assert min(counts.shape) == 32
    assert 0 < disc.radius < 40
    before = (folder / "index.json").stat().st_mtime_ns
    train("simulate", run_file, "--work", tmp_path / "w")
    assert (folder / "index.json").stat().st_mtime_ns == before


def test_a_run_becomes_a_bundle_that_serves(run_file: Path, run: Run, work: Path, tmp_path: Path) -> None:
    assert "run `python -m train fit RUN` first" in refused("heads", run_file, "--work", work)
    run_file.write_text(run_file.read_text().replace("epochs = 2", "epochs = 12").replace("lr = 1e-3", "lr = 4e-3"))
    train("fit", run_file, "--work", work, "--device", "cpu")
    compared = train("heads", run_file, "--work", work)
    assert compared.count("| mahalanobis, tied |") == 2
    assert compared.count("| ridge |") == 2
    to = tmp_path / "models" / "tiny-1"
    train("export", run_file, "--work", work, "--to", to)
    bundle = load_bundle(to)
    assert bundle.labels == ("arc", "diffuse", "discrete", "cloudy", "moon", "clear")
    assert bundle.width == 8
    assert bundle.agreement is not None
    assert bundle.agreement.frames == 48
    _is_served_as_it_says(bundle, run, work)
    assert bundle.provenance.seeds == {"data": 1, "fit": 1}
    assert 0 < len(bundle.golden.inputs) <= 6
    assert all(low <= high for low, high in bundle.activation_ranges.values())
    check_golden(bundle, OnnxBackend(bundle, "float32", 1))
    check_golden(bundle, OnnxBackend(bundle, "int8", 1))
    said = train("evaluate", run_file, to, "--work", work, "--json", "--precision", "float32", "--no-gates")
    judged = json.loads(said[said.index("{") :])  # after the bar on stderr
    figures = judged["head"]
    assert figures["frames"] == 48
    assert (judged["cameras"], judged["units"], judged["copies"]) == (2, 2, 0)
    assert figures["strange"] == 6
    assert figures["accuracy"]["value"] == pytest.approx(bundle.provenance.metrics["accuracy"], abs=1e-4)
    assert f"{100 * figures['accuracy']['value']:.1f} %" in (to / "MODEL_CARD.md").read_text()
    assert "| balanced accuracy |" in train("evaluate", run_file, to, "--work", work)
    assert "exists already" in refused("model", run_file, "--work", work, "--to", to)
    assert "exists already: name another folder" in refused("export", run_file, "--work", work, "--to", to)
    _the_rest_is_made_anew_around_its_graphs(bundle, run_file, work)
    _sides_are_compared_as_they_would_be_served(bundle, run_file, run, work)
    begun = run_file.with_name("begun.toml")
    begun.write_text(run_file.read_text().replace("[loss]", 'start = "nobody"\n[loss]').replace('"tiny-1"', '"begun"'))
    assert "fit that run first" in refused("model", begun, "--work", work)
    assert not (work / "begun").exists(), "nothing was drawn before that"
    assert "begins with random weights" in refused("restore", to, run_file, "--work", work)
    _another_run_begins_with(to, run_file, run, work)


def _is_served_as_it_says(bundle: ModelBundle, run: Run, work: Path) -> None:
    """What the bundle and its card say of int8 and of sides is what the backends do that serve it."""
    agreement, sides = bundle.agreement, bundle.sides
    assert agreement is not None
    assert agreement.near is not None
    assert sides is not None
    assert (sides.near, sides.count) == (run.export.sides_near, run.export.sides) == (0.5, 2)
    frames = read_split(frames_of(work, run), "evaluate")
    known = frames.only(range(6))
    (inputs,) = plain_batches(frames, known, bundle.preprocess, len(known))
    quick, exact = open_on_processor(bundle, "int8", 1), open_on_processor(bundle, "float32", 1)
    assert isinstance(quick, SecondLookBackend)
    assert isinstance(exact, SidesBackend)
    borders, found, wanted = Borders(bundle.head), quick.look(inputs), exact.look(inputs)
    said = borders.said(wanted.embeddings)
    assert (borders.said(found.embeddings) == said).mean() == agreement.labels
    assert 0 < wanted.again.mean() == sides.part <= found.again.mean() == agreement.twice
    assert bundle.provenance.metrics["accuracy"] == pytest.approx((said == frames.targets[known]).mean(), abs=1e-4)
    alone, once = (borders.said(OnnxBackend(bundle, precision, 1).embed(inputs)) for precision in ("int8", "float32"))
    words = " ".join((bundle.folder / "MODEL_CARD.md").read_text().split())
    assert f"label of the float32 graph (`unknown` included) on {100 * (alone == once).mean():.2f} % of 48" in words
    assert f"looks again within a distance of {agreement.near + 0.5:.3g} of a border" in words
    assert f"{100 * agreement.twice:.1f} % of these frames: then {100 * agreement.labels:.2f} % have the label" in words
    assert f"Within a distance of 0.5 of a border of the head, at {100 * sides.part:.1f} % of the evaluation" in words
    first = 100 * (once == frames.targets[known]).mean()
    assert f"Without that it would have an accuracy of {first:.1f} %" in words


def _the_rest_is_made_anew_around_its_graphs(bundle: ModelBundle, run_file: Path, work: Path) -> None:
    to, other = bundle.folder.with_name("anew"), run_file.with_name("other.toml")
    other.write_text(run_file.read_text().replace("sides = 2", "sides = 4"))
    train("export", other, "--work", work, "--to", to, "--graphs", bundle.folder)
    anew = load_bundle(to)
    assert anew.sides is not None
    assert anew.sides.count == 4
    assert [anew.files[name] for name in (FLOAT32, INT8)] == [bundle.files[name] for name in (FLOAT32, INT8)]
    assert (anew.head.threshold, anew.head.temperature) == (bundle.head.threshold, bundle.head.temperature)
    away = ("--work", work, "--to", to.with_name("never"), "--graphs", bundle.folder)
    for was, then in (('"tiny-1"', '"tiny-2"'), ("width = 8", "width = 4"), ("seed = 1", "seed = 2")):
        other.write_text(run_file.read_text().replace(was, then))
        (work / "tiny-2").mkdir(exist_ok=True)
        (work / "tiny-2" / NOTE).write_text((work / "tiny-1" / NOTE).read_text())
        assert "was not made by the run" in refused("export", other, *away)
    for was, then in (
        ("epochs = 12", "epochs = 13"),
        ("noise = 0.02", "noise = 0.03"),
        ("margin = 0.2", "margin = 0.3"),
    ):
        other.write_text(run_file.read_text().replace(was, then))
        assert "was trained otherwise than the run tiny-1 says now" in refused("export", other, *away)
    other.write_text(run_file.read_text().replace("turn = true", "turn = false"))
    assert "export.sides > 1 needs augment.turn" in refused("export", other, *away)
    other.write_text(run_file.read_text().replace('"measured"', '"none"').replace("sides_near = 0.5", "sides_near = 9"))
    train("export", other, "--work", work, "--to", to.with_name("plain"), "--graphs", bundle.folder)
    plain = load_bundle(to.with_name("plain"))
    assert INT8 not in plain.files
    assert plain.sides is not None
    assert plain.sides.part == 1, "a golden frame need not lie far from every border where none does"
    path = bundle.folder / "bundle.json"
    kept = path.read_text()
    path.write_text(kept.replace(bundle.provenance.data_digest, "0" * 64))
    assert "has learnt from other frames" in refused("export", run_file, *away)
    path.write_text(kept)


def _sides_are_compared_as_they_would_be_served(bundle: ModelBundle, run_file: Path, run: Run, work: Path) -> None:
    frames = read_split(frames_of(work, run), "calibrate")
    table = sides_table(bundle, frames, "some").splitlines()
    assert table[0].endswith(f"on {len(frames.only(range(6)))} frames (some).")
    assert len(table) == 5 + 5 * len(SIDES)
    known = frames.only(range(6))
    (inputs,) = plain_batches(frames, known, bundle.preprocess, len(known))
    for near, count in ((0.5, 2), (1.0, 4), (2.0, 8)):
        backend = open_on_processor(replace(bundle, sides=Sides(near, count, 0.1)), "float32", 1)
        assert isinstance(backend, SidesBackend)
        found = backend.look(inputs)
        said = Borders(bundle.head).said(found.embeddings)
        right, again = (said == frames.targets[known]).mean(), found.again.mean()
        (row,) = [line for line in table if line.startswith(f"| {near:g} | {count} | {100 * right:.1f} % |")]
        assert row.endswith(f"| {100 * again:.1f} % |")
    printed = train("sides", run_file, bundle.folder, "--work", work)
    assert printed.startswith(f"tiny-1, float32, without gates, on {len(known)} frames (simulated, of 2 cameras that")
    assert table[2:] == printed.rstrip().splitlines()[2:]
    assert "looks at colours" in refused("sides", run_file, default_bundle(), "--work", work)


def _another_run_begins_with(bundle: Path, run_file: Path, run: Run, work: Path) -> None:
    second = run_file.with_name("second.toml")
    text = run_file.read_text().replace(f'name = "{run.name}"', 'name = "second"')
    text = text.replace("[loss]", f'start = "{run.name}"\n[loss]').replace('"equalised"]', '"equalised", "green"]')
    second.write_text(text.replace("[0.5, 0.5]\n", "[0.5, 0.5, 0.5]\n").replace("[0.25, 0.25]", "[0.25, 0.25, 0.25]"))
    (work / "second").mkdir()
    (work / "second" / NOTE).write_text((work / run.name / NOTE).read_text())
    assert "is there already" in refused("restore", bundle, second, "--work", work)
    (work / run.name / "weights.pt").unlink()
    assert "does not hold" in refused("fit", second, "--work", work, "--device", "cpu")
    train("restore", bundle, second, "--work", work)
    train("fit", second, "--work", work, "--device", "cpu")
    train("export", second, "--work", work)
    written = load_bundle(work / "second" / "bundle")
    assert f"begun with the features of {run.name}" in written.provenance.data
    assert f"begun with the features of {run.name}" in (written.folder / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("epochs = 2", "epoch = 2", "fit.epoch: Extra inputs are not permitted"),
        ("epochs = 2", "epochs = 0", "fit.epochs"),
        ("slim18-8", "slim18-12", "network.backbone: Value error, there are resnet18, resnet50 and slim18-W"),
        ("[data]", "[data", "is no TOML"),
        ('miner = "semihard"', 'miner = "lucky"', "loss.miner"),
        (
            '["stretched", "equalised"]',
            '["equalised", "stretched"]',
            "channels are given once each, in the order stretched",
        ),
        ('["stretched", "equalised"]', '["stretched"]', "mean and std need one"),
    ],
)
def test_a_run_file_that_is_wrong_is_named(run_file: Path, old: str, new: str, sentence: str) -> None:
    run_file.write_text(run_file.read_text().replace(old, new))
    assert sentence in refused("fit", run_file)


def test_frames_that_were_never_drawn_are_asked_for(run_file: Path, tmp_path: Path) -> None:
    assert "has no frames yet" in refused("fit", run_file, "--work", tmp_path)
