"""Whole trainings on a folder in the layout of OATH: fit and evaluate on a manifest, oath, compare, paper."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

from auroramon.bundle import default_bundle, load_bundle
from auroramon.types import LABELS
from tests.train.conftest import TINY
from tests.train.oath_folder import write_oath
from train.commands import main
from train.commands.trials import RUNS
from train.leaks import Leaks
from train.paper import MODELS, FoldResult
from train.paper_table import paper_table
from train.runfile import ArcFaceTable, CrossEntropyTable, TripletTable, read_run

DATA = """[data]
manifest = "oath.csv"
split = "blocks"
seed = 1
part = 0
parts = 4
block = 8
gap = 1
"""


SGD = 'optimiser = "sgd"\nmomentum = 0.9\narithmetic = "bfloat16"\nsampling = "shuffled"'


def train(*args: str | Path) -> str:
    result = CliRunner().invoke(main, [str(a) for a in args])
    assert result.exit_code == 0, result.output
    return result.output


def refused(*args: str | Path) -> str:
    result = CliRunner().invoke(main, [str(a) for a in args])
    assert result.exit_code in {1, 2}
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture(scope="module")
def oath(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_oath(tmp_path_factory.mktemp("oath") / "oath_v1.1", runs=36, length=4)


def run_text(name: str, **change: str) -> str:
    before, _, after = TINY.partition("[data]")
    text = before.replace("tiny-1", name) + DATA + "[preprocess]" + after.partition("[preprocess]")[2]
    text = text.replace('fit_on = "heads"', 'fit_on = "train"').replace('int8 = "measured"', 'int8 = "none"')
    text = text.replace("sides = 2\nsides_near = 0.5\n", "")
    for old, new in {"lr = 1e-3": "lr = 4e-3", "strange = 4": "strange = 0", **change}.items():
        assert old in text
        text = text.replace(old, new)
    return text


def test_oath_gives_the_figure_without_leaks_first_and_a_bundle(oath: Path, tmp_path: Path) -> None:
    run = tmp_path / "tiny.toml"
    run.write_text(run_text("tiny", **{"epochs = 2": "epochs = 3"}))
    args = ("oath", oath, "--run", run, "--folds", "1", "--work", tmp_path / "w", "--device", "cpu")
    said = train(*args, "--to", tmp_path / "results")
    lines = (tmp_path / "results/table.md").read_text().splitlines()
    assert lines[0] == "# OATH v1.1: tiny"
    blocks, random = [line.split(" | ") for line in lines if line.startswith(("| 1 of 4", "| 1 published"))]
    assert blocks[2] == "0"
    assert random[0].endswith("(leaks)")
    assert (random[1], int(random[2]) > 30) == ("44", True)
    assert said.index("1 of 4 parts") < said.index("1 published random split")
    figures = json.loads((tmp_path / "results/figures.json").read_text(), parse_constant=pytest.fail)
    assert [item["apart"] for item in figures] == [True, False]
    assert "Blocks of at least 8 consecutive frames" in (tmp_path / "results/report.html").read_text()
    bundle = load_bundle(tmp_path / "results/bundle")
    assert bundle.labels == LABELS
    assert "Blocks of at least 8 consecutive frames, part 1 of 4" in bundle.provenance.data
    card = (tmp_path / "results/bundle/MODEL_CARD.md").read_text()
    assert "Trained on labelled frames of files." in card
    assert "nan" not in card
    assert re.search(r"^\| block \d+ \| \d+ \| [\d.]+ \|$", card, re.MULTILINE)
    record = json.loads((tmp_path / "w/tiny-blocks-0/record.json").read_text())
    assert record["seeds"] == {"data": 1, "fit": 1}
    assert record["data_digest"] == bundle.provenance.data_digest
    assert {"torch", "auroramon"} <= set(record["versions"])
    # The run folder's own run file does the same again: nothing is left to train, and the figures are the same
    said = train(
        "evaluate", tmp_path / "w/tiny-blocks-0/run.toml", tmp_path / "results/bundle", "--work", tmp_path / "w"
    )
    assert "frames of" in said
    assert "bootstrap over blocks" in said
    assert "holds finished results already" in refused(*args, "--to", tmp_path / "results")
    # A bundle that this run did not make may have learnt from what it judges
    other = tmp_path / "other.toml"
    other.write_text((tmp_path / "w/tiny-blocks-0/run.toml").read_text().replace("part = 0", "part = 1"))
    said = train("evaluate", other, tmp_path / "results/bundle", "--work", tmp_path / "w", "--report", tmp_path / "r")
    assert "that it has learnt from none of the judged frames is not checked" in said
    assert json.loads((tmp_path / "r/report.json").read_text())["neighbours"] is None
    other.write_text(run_text("third", **{"width = 8": 'width = 8\nstart = "tiny-blocks-0"'}))
    train("prepare", "oath", oath, "--to", tmp_path / "w2/oath.csv")
    said = train("restore", tmp_path / "results/bundle", other, "--work", tmp_path / "w2")
    assert "which frames tiny-blocks-0 has learnt from is not known here" in said
    # Killed before the report was written, the same command goes on
    (tmp_path / "results/report.html").unlink()
    made = (tmp_path / "results/bundle/bundle.json").stat().st_mtime_ns
    train(*args, "--to", tmp_path / "results")
    assert (tmp_path / "results/report.html").exists()
    assert (tmp_path / "results/bundle/bundle.json").stat().st_mtime_ns == made
    shutil.copytree(default_bundle(), tmp_path / "shipped/bundle")
    assert "holds the results of another run" in refused(*args, "--to", tmp_path / "shipped")


def test_runs_at_an_equal_budget_are_compared(oath: Path, tmp_path: Path) -> None:
    work = tmp_path / "w"
    train("prepare", "oath", oath, "--to", work / "oath.csv")
    triplet = 'kind = "triplet"\nmargin = 0.2\nminer = "semihard"\nminer_margin = 0.2\n'
    changes = {
        "a-probe": {triplet: 'kind = "cross_entropy"\n', "width = 8": 'width = 6\nstart = "b-supcon"\nfrozen = true'},
        "b-supcon": {triplet: 'kind = "supcon"\ntemperature = 0.1\n'},
        "c-arcface": {
            triplet: 'kind = "arcface"\nmargin_deg = 20\nscale = 16\n',
            "threads = 1": "threads = 1\n" + SGD,
        },
    }
    files = []
    for name, change in changes.items():
        files.append(tmp_path / f"{name}.toml")
        files[-1].write_text(run_text(name, **change))
    table = train("compare", *files, "--work", work, "--device", "cpu", "--part", "1")
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[1] for line in lines[1:]] == ["supcon", "arcface", "cross_entropy, last layer only"]
    assert "Blocks of at least 8 consecutive frames, 1 of 4 parts" in table
    assert "heads" not in refused("compare", files[0], "--work", work)
    assert "fit that run first" in refused("compare", files[0], "--work", work)
    other = tmp_path / "d.toml"
    other.write_text(run_text("d", **{"epochs = 2": "epochs = 3"}))
    assert "cannot be compared" in refused("compare", files[1], other, "--work", work)
    # The single steps read the manifest too
    assert "weights and curve are in" in train("fit", files[1], "--work", work, "--device", "cpu")
    assert "| ridge | train |" in train("heads", files[1], "--work", work)


def test_tables_of_trainings_are_of_one_side(oath: Path, tmp_path: Path) -> None:
    run = tmp_path / "sides.toml"
    run.write_text(run_text("sides", **{"int8_frames = 16": "int8_frames = 16\nsides = 4"}))
    said = refused("oath", oath, "--run", run, "--work", tmp_path / "w")
    assert "the run sides looks from 4 sides" in said
    assert "leave export.sides out here" in said
    assert not (tmp_path / "w").exists()


def test_a_network_of_another_part_is_not_judged_on_what_it_has_learnt(oath: Path, tmp_path: Path) -> None:
    work, run, second = tmp_path / "w", tmp_path / "one.toml", tmp_path / "two.toml"
    train("prepare", "oath", oath, "--to", work / "oath.csv")
    run.write_text(run_text("one", **{"epochs = 2": "epochs = 1"}))
    train("fit", run, "--work", work, "--device", "cpu")
    before = (work / "one/run.toml").read_bytes(), (work / "one/record.json").read_bytes()
    run.write_text(run.read_text().replace("part = 0", "part = 1"))
    for command in ("fit", "heads", "export"):
        assert "was learnt from other frames" in refused(command, run, "--work", work)
    assert before == ((work / "one/run.toml").read_bytes(), (work / "one/record.json").read_bytes())
    text = run_text("two", **{"epochs = 2": "epochs = 1", "width = 8": 'width = 8\nstart = "one"'})
    second.write_text(text.replace("part = 0", "part = 2"))
    said = refused("fit", second, "--work", work, "--device", "cpu")
    assert re.search(r"two begins with one, which has learnt from \d+ of the \d+ frames that are judged", said)
    second.write_text(text)
    train("fit", second, "--work", work, "--device", "cpu")


def test_the_paper_is_trained_fold_by_fold(oath: Path, tmp_path: Path) -> None:
    features = tmp_path / "features.onnx"
    write_features(features)
    args = ("paper", oath, "--folds", "1", "--size", "32", "--epochs", "1", "--work", tmp_path, "--device", "cpu")
    said = train(*args, "--models", "1,4-5", "--inception", features, "--split", "random", "--to", tmp_path / "t.md")
    assert (tmp_path / "t.md").read_text() in said
    lines = [line for line in said.splitlines() if line.startswith(("| 1 ", "| 4 ", "| 5 "))]
    assert [line.split(" | ")[1] for line in lines] == [MODELS[0].details, MODELS[3].details, MODELS[4].details]
    assert [line.split(" | ")[5] for line in lines] == ["-", "-", "-"], "one fold has no spread"
    assert "24 images judged in 1 of 4 folds" in said
    assert "32 x 32 pixels; 1 epochs instead of the paper's; on cpu." in said
    assert "give an ONNX file by --inception" in refused(*args, "--models", "1")
    assert "there is no 12" in refused(*args, "--models", "12")
    assert "is not of the form" in refused(*args, "--models", "four")
    assert "t.md" in refused(*args, "--models", "1", "--inception", tmp_path / "t.md")


def write_features(path: Path) -> None:
    """A network that is not ours: the mean of each of 48 strips of 32 x 32 pixels."""
    nodes = [
        helper.make_node("AveragePool", ["x"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Flatten", ["pooled"], ["y"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 48])]
    graph = helper.make_graph(nodes, "features", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def results(split: str) -> list[FoldResult]:
    rng = np.random.default_rng(0)
    return [
        FoldResult(
            model, split, fold, rng.random(600) < model.printed[fold], np.arange(600) // 50, Leaks(600, 0, 0), 10.0  # type: ignore[arg-type]
        )
        for model in MODELS
        for fold in range(4)
    ]  # fmt: skip


def test_the_table_gives_the_papers_true_means_and_no_difference_for_simulated_skies() -> None:
    table = paper_table([*results("paper-random"), *results("paper-blocks")], simulated=False, budget="As printed.")
    assert table.index("Whole blocks") < table.index("Drawn at random")
    line = next(line for line in table.splitlines() if line.startswith("| 8 "))
    cells = line.strip("| ").split(" | ")
    folds = np.array([float(cell) for cell in cells[2:6]])
    assert float(cells[6]) == pytest.approx(folds.mean(), abs=1e-4)
    assert float(cells[7]) == pytest.approx(np.median(folds), abs=1e-4)
    assert float(cells[8]) == pytest.approx(np.sqrt(np.mean((folds - folds.mean()) ** 2)), abs=1e-4)
    assert cells[10] == "0.94875"  # printed as 0.95250, which is the median
    assert float(cells[11]) == pytest.approx(folds.mean() - 0.94875, abs=1e-4)
    means = [
        line.split(" | ")[10] for line in table.splitlines() if line.startswith(("| 8 ", "| 9 ", "| 10 ", "| 11 "))
    ]
    assert means[:4] == ["0.94875", "0.95708", "0.95083", "0.94792"]
    simulated = paper_table(results("paper-blocks"), simulated=True, budget="As printed.")
    assert simulated.startswith("# Simulated skies, not comparable")
    assert "difference" not in simulated
    assert "paper's mean" in simulated


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
def test_the_run_files_hold_what_the_paper_prints(backbone: str) -> None:
    triplet = read_run(RUNS / f"paper_triplet_{backbone}.toml")
    assert isinstance(triplet.loss, TripletTable)
    fit = triplet.fit
    assert (fit.epochs, fit.lr, triplet.network.width, fit.batch, fit.optimiser) == (40, 1e-3, 16, 32, "adam")
    arcface = read_run(RUNS / f"paper_arcface_{backbone}.toml")
    assert isinstance(arcface.loss, ArcFaceTable)
    fit = arcface.fit
    assert (fit.epochs, fit.lr, arcface.network.width, fit.batch, fit.optimiser) == (50, 1e-2, 256, 64, "sgd")
    assert isinstance(read_run(RUNS / f"paper_cross_entropy_{backbone}.toml").loss, CrossEntropyTable)
    assert {run.network.backbone for run in (triplet, arcface)} == {backbone}


def test_every_run_file_can_be_read_under_a_name_of_its_own() -> None:
    names = [read_run(path).name for path in sorted(RUNS.glob("*.toml"))]
    assert len(set(names)) == len(names) > 10
