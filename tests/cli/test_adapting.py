"""From a person's labels to a model that speaks: the commands of docs/adapting.md, as they stand there."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from auroramon.store.store import open_store
from auroramon.types import LABELS
from tests.cli.conftest import Command, Said
from tests.conftest import ROOT
from tests.daemon import run
from tests.skies import write_png
from tests.tiny import write_tiny_bundle

DOCUMENT = (ROOT / "docs" / "adapting.md").read_text(encoding="utf-8")
STEPS = [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)]
FRAMES_A_NIGHT = 24


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A station with three nights in its database, labelled by a model called as the shipped one."""
    folder = tmp_path_factory.mktemp("station")
    (folder / "in").mkdir()
    model = write_tiny_bundle(folder / "simsky-6", name="simsky-6").folder
    for night in range(3):
        for frame in range(FRAMES_A_NIGHT):
            write_png(folder / "in", 28_800 * night + 300 * frame)
    (folder / "night.toml").write_text(
        f'[database]\nurl = "sqlite:///labels.sqlite"\n[server]\nlisten = ""\n[model]\npath = "{model}"\n'
        f'[[camera]]\nname = "test"\nfolder = "in"\n'
    )
    run("backfill", folder / "in", "-c", folder / "night.toml")
    return folder


@pytest.fixture
def station(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same with a database of its own, in the folder that the document is read in."""
    for name in ("night.toml", "labels.sqlite"):
        (tmp_path / name).write_bytes((archive / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def step(auroramon: Command, number: int) -> list[Said]:
    """Do what a block of the document says; where it sends output to a file, the file is written."""
    said = []
    for line in STEPS[number - 1]:
        command, _, target = line.partition(" > ")
        program, *words = shlex.split(command)
        assert program == "auroramon"
        done = auroramon(*words)
        assert done.code == 0, (line, done.err)
        if target:
            Path(target).write_text(done.out)
        said.append(done)
    return said


def fill_in(path: Path) -> int:
    """Label as a person does to whom every frame is what the model held for the second likeliest."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["label"] = row["or"]
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    return len(rows)


def test_the_walk_through_works_as_it_is_written(auroramon: Command, station: Path) -> None:
    assert len(STEPS) == 5
    shown, listed = step(auroramon, 1)
    assert "simsky-6" not in shown.err
    assert "uncertain" in shown.out
    assert len(listed.out.splitlines()) == 31
    frames = fill_in(station / "labels.csv")
    imported, said = step(auroramon, 2)
    assert f"{frames} labels: {frames} new, 0 known before" in imported.out
    assert "anna" in said.out
    words = ("review", "import", "labels.csv", "-c", "night.toml", "--reviewer", "anna", "--json")
    again = json.loads(auroramon(*words).out)
    assert (again["new"], again["known"]) == (0, frames)
    (refitted,) = step(auroramon, 3)
    assert "held out by nights (3), n = 30 frames: " in refitted.out
    assert (station / "models" / "site-1" / "bundle.json").exists()
    before = speaking(station)
    relabelled, compared = step(auroramon, 4)
    account = (
        re.search(r"(\d+) frames labelled by site-1", relabelled.out),
        re.search(r"(\d+) frames stay", relabelled.out),
    )
    assert sum(int(found[1]) for found in account if found) == 3 * FRAMES_A_NIGHT
    assert "simsky-6 speaks" in relabelled.out
    assert speaking(station) == before == {"simsky-6", "human"}
    assert f"both {3 * FRAMES_A_NIGHT}" in compared.out
    assert "labelled by people at any time" in compared.out
    step(auroramon, 5)
    assert speaking(station) == {"site-1", "human"}
    listed = auroramon("model", "list", "-c", "night.toml", "--json")
    assert {entry["name"]: entry["speaks"] for entry in json.loads(listed.out)}["site-1"]
    assert auroramon("model", "show", "site-1", "-c", "night.toml").code == 0


def speaking(station: Path) -> set[str]:
    store = open_store(f"sqlite:///{station / 'labels.sqlite'}")
    try:
        return {row.model for row in store.labels()}
    finally:
        store.close()


def labelled(auroramon: Command, station: Path) -> None:
    for number in (1, 2):
        if number == 2:
            fill_in(station / "labels.csv")
        step(auroramon, number)


def test_a_second_refit_starts_again_from_the_trained_model(auroramon: Command, station: Path) -> None:
    labelled(auroramon, station)
    step(auroramon, 3)
    again = auroramon("refit", "--name", "site-2", "--from", "site-1", "-c", "night.toml", "--json", "--even-if-worse")
    assert again.code == 0, again.err
    assert json.loads(again.out)["parent"] == "simsky-6"
    assert "site-1 was moved itself: starting again from simsky-6" in again.err


def test_names_that_are_taken_or_no_names_are_refused(auroramon: Command, station: Path) -> None:
    labelled(auroramon, station)
    for name, why in (("simsky-6", "knows a model simsky-6 already"), ("a/b", "is no name for a model")):
        said = auroramon("refit", "--name", name, "-c", "night.toml")
        assert (said.code, why in said.err) == (2, True), said.err


def test_too_few_labels_end_with_a_sentence(auroramon: Command, station: Path) -> None:
    said = auroramon("refit", "--name", "site-1", "-c", "night.toml")
    assert said.code == 1
    assert "simsky-6 has 0 labelled frames (none): it takes 10" in said.err


def test_a_model_of_another_network_is_refused_with_the_number_of_frames(auroramon: Command, station: Path) -> None:
    other = write_tiny_bundle(station / "other", name="other", graph="other")
    said = auroramon("relabel", "--model", other.folder, "-c", "night.toml")
    assert said.code == 1
    assert "no frame of this database was seen as" in said.err
    assert f"): {3 * FRAMES_A_NIGHT} frames need `auroramon backfill" in said.err
    listed = json.loads(auroramon("model", "list", "-c", "night.toml", "--json").out)
    assert "other" not in {entry["name"] for entry in listed}


def test_words_go_out_and_come_back(auroramon: Command, station: Path) -> None:
    labelled(auroramon, station)
    assert auroramon("review", "export", "words.csv", "-c", "night.toml").code == 0
    back = json.loads(auroramon("review", "import", "words.csv", "-c", "night.toml", "--json").out)
    assert (back["labels"], back["new"]) == (30, 0)
    assert auroramon("review", "export", "words.csv", "-c", "night.toml").code == 1  # no file is written over
    rows = [json.loads(line) for line in auroramon("review", "list", "-c", "night.toml", "--json").out.splitlines()]
    assert {row["label"] for row in rows} <= set(LABELS)


def test_mistakes_in_a_file_change_nothing(auroramon: Command, station: Path) -> None:
    Path("bad.csv").write_text("path,label\nnone.png,arc\n")
    said = auroramon("review", "import", "bad.csv", "-c", "night.toml")
    assert said.code == 1
    assert "line 2: there is no frame none.png in the database" in said.err
    assert auroramon("review", "list", "-c", "night.toml", "--json").out == ""


def test_the_list_is_the_same_each_time_and_leaves_out_what_is_labelled(auroramon: Command, station: Path) -> None:
    words = ("review", "queue", "-c", "night.toml", "--json", "--limit", "10")
    first = auroramon(*words).out
    assert auroramon(*words).out == first
    before = {json.loads(line)["path"] for line in first.splitlines()}
    Path("some.csv").write_text("path,label\n" + "".join(f"{path},arc\n" for path in sorted(before)))
    assert auroramon("review", "import", "some.csv", "-c", "night.toml").code == 0
    after = {json.loads(line)["path"] for line in auroramon(*words).out.splitlines()}
    assert len(after) == 10
    assert not after & before


def test_changes_are_written_as_json_lines_or_csv(auroramon: Command, station: Path) -> None:
    second = write_tiny_bundle(station / "second", name="second", seed=7)
    done = json.loads(auroramon("relabel", "--model", second.folder, "-c", "night.toml", "--json").out)
    assert (done["frames"] + done["refused_by_gates"], done["left"]) == (3 * FRAMES_A_NIGHT, 0)
    words = ("model", "compare", "simsky-6", "second", "-c", "night.toml")
    told = json.loads(auroramon(*words, "--changed", "changed.jsonl", "--json").out)
    lines = [json.loads(line) for line in Path("changed.jsonl").read_text().splitlines()]
    assert len(lines) == told["all"]["frames"] - told["all"]["same"] > 0
    assert all(line["a"] != line["b"] for line in lines)
    assert sum(row["frames"] for row in told["transitions"]) == told["all"]["frames"] == 3 * FRAMES_A_NIGHT
    auroramon(*words, "--changed", "changed.csv")
    with Path("changed.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(lines)
    assert auroramon(*words, "--changed", "changed.txt").code == 2
    assert "are one model" in auroramon("model", "compare", "second", "second", "-c", "night.toml").err
