"""The report says every figure, with its data, split and n; it is one file that needs nothing else."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from sklearn.covariance import EmpiricalCovariance
from sklearn.metrics import roc_auc_score

from auroramon.bundle import default_bundle, load_bundle
from auroramon.fit import Examples
from auroramon.types import LABELS
from tests.train.oath_folder import oath_manifest, write_oath
from train.cards import as_json
from train.commands import main
from train.conditions import unknown_conditions
from train.divided import frames_of_manifest
from train.embed import graph_embed
from train.evaluate import Answers
from train.frames import CameraFrames, FrameSet
from train.judged import Facts, Judged, Subject, judge, subject_of_run
from train.leaks import Leaks
from train.origin import Origin
from train.report import write_report
from train.report.numbers import embedding_map, numbers_of, risk_curve, wrong_frames
from train.report.page import page
from train.runfile import ManifestTable, Run
from train.unknown import detectors, unknown_report, unknown_tables

EACH = 40  # frames of each of 3 cameras
STRANGE = 8  # of them no sky


def judged(*, apart: bool = True, sun: bool = True, strange: int = STRANGE) -> Judged:
    """Three cameras; embeddings in clusters, what is no sky far from all of them."""
    rng = np.random.default_rng(0)
    bundle = load_bundle(default_bundle())
    targets = np.tile(np.r_[np.arange(EACH - strange) % 6, np.full(strange, 6)], 3)
    cameras = np.repeat(np.arange(3), EACH)
    means = bundle.head.tied.means
    embeddings = np.where((targets < 6)[:, None], means[targets % 6], -means.mean(axis=0))
    embeddings = (embeddings + rng.normal(0, 0.25, embeddings.shape)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = bundle.head.judge(embeddings)
    closed = found.scores.argmax(axis=1)
    said = np.where(found.distance <= bundle.head.threshold, closed, 6)
    for wrong in (5, 50, 90):
        said[wrong] = closed[wrong] = (targets[wrong] + 1) % 6
    gated = ["flat: every pixel of the sky is 3" if n in {0, EACH - 1} else "" for n in range(len(targets))]
    said[[n for n, reason in enumerate(gated) if reason]] = 6
    kinds = tuple(("", "person", "closed")[(t == 6) * (1 + n % 2)] for n, t in enumerate(targets))
    conditions = unknown_conditions(len(targets))
    if sun:
        conditions.sun[targets < 6] = rng.uniform(-30, -8, (targets < 6).sum())
        conditions.moon[targets < 6] = np.where(rng.random((targets < 6).sum()) < 0.5, -90, 20)
    names = tuple(f"camera-{c}" for c in cameras)
    frames = FrameSet(
        tuple(
            CameraFrames(
                camera=f"camera-{c}",
                pixels=rng.integers(0, 60000, (EACH, 32, 34)).astype(np.uint16),
                targets=targets[cameras == c],
                discs=np.tile([17.0, 16.0, 15.0], (EACH, 1)),
                groups=np.arange(EACH),
            )
            for c in range(3)
        )
    )
    facts = Facts(cameras, ("one", "two", "three"), names, ("2026-11-23 01:02:03",) * len(names), kinds, conditions)
    origin = Origin(True, "Cameras <left> out", "camera", apart, "0" * 64)
    bank = Examples(means[np.arange(120) % 6] + rng.normal(0, 0.2, (120, bundle.width)), np.arange(120) % 6, LABELS)
    return Judged(
        subject=Subject(frames, facts, origin, Leaks(len(targets), 0, 0 if apart else 7), None),
        bundle=bundle,
        precision="float32",
        answers=Answers(targets, said, closed, found.scores.max(axis=1), found.distance, cameras),
        raw=bundle.head.logits(embeddings),
        scores=found.scores,
        embeddings=embeddings,
        gated=tuple(gated),
        bank=bank,
    )


class Page(HTMLParser):
    """Collects what a page says and what it asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.asked: list[str] = []
        self.ids: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.asked += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture(scope="module")
def made() -> Judged:
    return judged()


@pytest.fixture(scope="module")
def folder(made: Judged, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    assert write_report(made, numbers_of(made), folder) == folder / "report.html"
    return folder


def test_the_page_needs_nothing_but_itself(folder: Path) -> None:
    page = Page((folder / "report.html").read_text())
    assert "script" not in page.tags
    assert page.asked
    assert all(asked.startswith(("data:image/", "#")) for asked in page.asked)
    assert not re.search(r"url\((?!#)", (folder / "report.html").read_text())
    assert len(page.ids) == len(set(page.ids)), "an id of one chart is another's"
    assert {asked[1:] for asked in page.asked if asked.startswith("#")} <= set(page.ids)


def test_the_page_says_what_was_judged_before_any_figure(folder: Path) -> None:
    words = " ".join(Page((folder / "report.html").read_text()).words.split())
    first = words.index("accuracy")
    assert words.index("Cameras <left> out: 96 simulated frames of 3 cameras") < first
    assert words.index("bootstrap over 3 cameras") < first
    for said in ("Rows: the truth", "ECE", "Sun", "Moon", "Recall@k", "no sky", "person", "called", "simulated"):
        assert said in words
    assert "This split leaks" not in words


def test_the_page_takes_every_colour_from_its_theme(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) >= 6
    for drawing in drawings:
        assert set(re.findall(r"(?:fill|stroke): (#\w+)", drawing)) <= {"#000000"}, "black is where nothing is drawn"
        assert "var(--" in drawing


def test_a_split_that_leaks_says_so_first(tmp_path: Path) -> None:
    given = judged(apart=False)
    words = Page(write_report(given, numbers_of(given), tmp_path).read_text()).words
    assert words.index("This split leaks") < words.index("accuracy")
    assert "7 neighbours" in words


def test_the_json_holds_the_same_figures(folder: Path, made: Judged) -> None:
    values = json.loads((folder / "report.json").read_text())
    known = made.answers.targets < 6
    right = (made.answers.said == made.answers.targets)[known]
    assert values["head"]["accuracy"]["value"] == pytest.approx(right.mean())
    assert values["head"]["frames"] == known.sum() == sum(map(sum, values["head"]["confusion"]))
    assert values["coverage"][0]["accuracy"]["value"] == pytest.approx(right.mean())
    assert values["risk_area"] == pytest.approx(1 - risk_curve(made).mean())
    assert sum(p["frames"] for p in values["by_camera"]) == known.sum()
    assert sum(p["frames"] for p in values["by_sun"]) == known.sum()
    assert [w["number"] for w in values["wrong"]] == wrong_frames(made, known)[:30].tolist() == sorted_wrong(made)
    assert values["gated"] == pytest.approx(1 / known.sum())


def test_what_cannot_be_worked_out_is_null_and_the_page_still_stands(tmp_path: Path) -> None:
    given = judged(sun=False, strange=0)
    numbers = numbers_of(given)
    values = json.loads(as_json(numbers))
    assert values["unknown"] is None
    assert values["by_sun"] == []
    assert np.isnan(numbers.head.strange_auroc)
    assert values["head"]["strange_auroc"] is None
    words = Page(write_report(given, numbers, tmp_path).read_text()).words
    assert "not known for these frames" in words
    assert "no frames here that are no sky" in words


def sorted_wrong(made: Judged) -> list[int]:
    a = made.answers
    bad = [n for n in range(len(a.targets)) if a.targets[n] < 6 and a.said[n] < 6 and a.said[n] != a.targets[n]]
    return sorted(bad, key=lambda n: -a.confidence[n])


def test_a_gated_frame_is_refused_but_no_error(made: Judged) -> None:
    everything = np.ones(len(made.answers.targets), dtype=bool)
    assert 0 not in wrong_frames(made, everything)
    assert {5, 50, 90} <= set(wrong_frames(made, everything).tolist())


def test_neighbours_of_the_same_unit_do_not_count_as_found(made: Judged) -> None:
    first = numbers_of(made).retrieval[0]
    known = made.answers.targets < 6
    x, targets, units = made.embeddings[known], made.answers.targets[known], made.answers.cameras[known]
    hits = []
    for row in range(len(x)):
        others = np.flatnonzero(units != units[row])
        hits.append(targets[others[np.argmax(x[others] @ x[row])]] == targets[row])
    assert first.k == 1
    assert first.recall == pytest.approx(np.mean(hits))


def test_the_map_is_made_of_frames_with_a_class_alone(made: Judged) -> None:
    places, explained = embedding_map(made)
    known = made.answers.targets < 6
    assert np.abs(places[known].mean(axis=0)).max() < 1e-6
    assert 0 < explained[1] <= explained[0] < 1


def test_detectors_equal_slow_references(made: Judged) -> None:
    assert made.bank is not None
    found = {name: score(made.embeddings[:5]) for name, score in detectors(made.bank)}
    bank, targets = made.bank.rounded(), made.bank.targets
    means = np.stack([bank[targets == k].mean(axis=0) for k in range(6)])
    covariance = np.mean([np.outer(r, r) for r in bank - means[targets]], axis=0)
    for n, x in enumerate(made.embeddings[:5].astype(float)):
        slow = min((x - m) @ np.linalg.solve(covariance, x - m) for m in means)
        assert found["Mahalanobis, one covariance, empirical"][n] == pytest.approx(slow, rel=1e-6)
        assert found["nearest neighbour, k = 1"][n] == pytest.approx(np.linalg.norm(bank - x, axis=1).min(), rel=1e-4)
    own = EmpiricalCovariance(assume_centered=True).fit((bank - means[targets])[targets == 2])
    assert own.mahalanobis(made.embeddings[:1] - means[2])[0] >= found["Mahalanobis, one a class, empirical"][0] - 1e-6
    assert {"relative Mahalanobis", "Mahalanobis, one covariance, Ledoit-Wolf"} <= set(found)


def test_the_comparison_says_n_for_each_kind_and_equals_scikit_learn(made: Judged) -> None:
    found = unknown_report(made)
    assert found is not None
    cells = {c.kind: c for c in found.detections[0].cells}
    assert {k: c.frames for k, c in cells.items()} == {"person": 12, "closed": 12, "all": 24}
    strange = made.answers.targets == 6
    assert cells["all"].auroc == pytest.approx(roc_auc_score(strange, made.answers.distance))
    limit = np.quantile(made.answers.distance[~strange], 0.95)
    assert cells["all"].fpr95 == pytest.approx((made.answers.distance[strange] <= limit).mean())
    last = found.refusals[-1]
    assert (last.kind, last.frames) == ("all that is no sky", 24)
    assert last.gated == pytest.approx(1 / 24)
    assert last.reasons == (("flat", 1),)
    text = unknown_tables(found)
    assert text.startswith("Cameras <left> out (simulated skies): 24 frames")
    assert "person (n = 12)" in text
    assert "| all known | 96 | 1.0 % |" in text


def test_a_list_of_labelled_files_becomes_a_report(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "index", "label", "camera", "night", "sun", "moon"])
        for n in range(16):
            sky = np.clip(rng.normal(40, 6, (64, 64)) + 3 * np.mgrid[:64, :64][n % 2], 0, 255).astype(np.uint8)
            Image.fromarray(sky).save(tmp_path / f"{n}.png")
            rows.writerow(
                [f"{n}.png", 0, "unknown" if n > 12 else LABELS[n % 6], "hut", f"2026-01-0{1 + n % 3}", -20 + n, ""]
            )
    arguments = ["evaluate", tmp_path / "labels.csv", default_bundle(), "--work", tmp_path / "work"]
    result = CliRunner().invoke(main, [str(a) for a in [*arguments, "--json", "--report", tmp_path / "out"]])
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert (values["unit"], values["units"], values["head"]["frames"]) == ("night", 3, 13)
    assert values["copies"] is None
    assert {part["name"]: part["frames"] for part in values["by_sun"]} == {
        "below −18°": 2, "−18° to −15°": 3, "−15° to −12°": 3, "−12° to −9°": 3, "above −9°": 2,
    }  # fmt: skip
    assert values["by_moon"] == []
    words = Page((tmp_path / "out" / "report.html").read_text()).words
    assert "the word of whoever listed them" in words
    assert "not checked whether the model has learnt from them" in words[: words.index("accuracy")]
    compared = CliRunner().invoke(
        main, ["unknown", *map(str, [tmp_path / "labels.csv", default_bundle(), "--work", tmp_path / "work"])]
    )
    assert "no sky (n = 3)" in compared.stdout


def test_a_list_without_any_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,label\na.png,unknown\nb.png,unknown\n")
    for name in ("a.png", "b.png"):
        Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)).save(tmp_path / name)
    result = CliRunner().invoke(
        main, ["evaluate", *map(str, [tmp_path / "labels.csv", default_bundle(), "--work", tmp_path / "work"])]
    )
    assert result.exit_code == 2
    assert "fewer than two frames with a class: there is nothing to judge" in result.output


@pytest.mark.parametrize(("split", "apart"), [("blocks", True), ("published", False)])
def test_an_oath_folder_is_judged_by_blocks_and_a_published_split_is_said_to_leak(
    split: str, apart: bool, run: Run, tmp_path: Path
) -> None:
    write_oath(tmp_path / "oath_v1.1", runs=48, length=4)
    oath_manifest(tmp_path / "oath_v1.1", tmp_path / "oath.csv")
    table = {"manifest": "oath.csv", "split": split, "seed": 1, "part": 0, "parts": 4, "block": 8, "gap": 1}
    listed = run.model_copy(update={"data": ManifestTable.model_validate(table)})
    listed = listed.model_copy(update={"head": run.head.model_copy(update={"fit_on": "train"})})
    folder = frames_of_manifest(tmp_path, listed, lambda *_: None)
    subject = subject_of_run(folder, listed)
    bundle = load_bundle(default_bundle())
    found = judge(subject, bundle, "float32", graph_embed(bundle.graph("float32"), 1), with_gates=False)
    numbers = numbers_of(found)
    assert (numbers.unit, numbers.apart, numbers.cameras) == ("block", apart, 1)
    assert numbers.units > 3
    assert numbers.neighbours is not None
    assert (numbers.neighbours == 0) is apart
    assert found.bank is not None
    assert ("This split leaks" in page(found, numbers)) is not apart
