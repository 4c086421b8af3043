"""Training is seeded, goes on after a kill, and learns."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from auroramon.errors import AuroramonError, ConfigError
from train.frames import FrameSet, read_split
from train.loop import Epoch, fit, input_size, learning_rate, load_embedder, seconds_trained
from train.runfile import Run


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(folder / "weights.pt", weights_only=True)
    return found


def longer(run: Run, epochs: int, **change: object) -> Run:
    return run.model_copy(update={"fit": run.fit.model_copy(update={"epochs": epochs, **change})})


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_a_seed_decides_everything_and_another_seed_changes_it(run: Run, frames: Path, tmp_path: Path) -> None:
    train = read_split(frames, "train")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        fit(tmp_path / name, longer(run, 1, seed=seed), train, "cpu", lambda _: None)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_a_training_may_end_before_its_schedule(run: Run, frames: Path, tmp_path: Path) -> None:
    lines: list[Epoch] = []
    fit(tmp_path / "a", longer(run, 4, stop=1), read_split(frames, "train"), "cpu", lines.append)
    assert [line.epoch for line in lines] == [1]
    assert lines[0].lr > 0.5 * run.fit.lr, "the rate is that of the first of four epochs"
    assert (tmp_path / "a" / "weights.pt").exists()


def test_worker_processes_give_the_same_as_none(run: Run, frames: Path, tmp_path: Path) -> None:
    train = read_split(frames, "train")
    for name, workers in (("a", 0), ("b", 1)):
        fit(tmp_path / name, longer(run, 1, workers=workers), train, "cpu", lambda _: None)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_a_killed_training_goes_on_and_ends_as_if_nothing_had_happened(
    run: Run, run_file: Path, frames: Path, tmp_path: Path
) -> None:
    run_file.write_text(run_file.read_text().replace("epochs = 2", "epochs = 15"))
    code = (
        "import sys; from pathlib import Path\n"
        "from train.frames import read_split; from train.loop import fit; from train.runfile import read_run\n"
        "fit(Path(sys.argv[1]), read_run(Path(sys.argv[2])), read_split(Path(sys.argv[3]), 'train'), 'cpu', print)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "killed"), str(run_file), str(frames)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        curve = tmp_path / "killed" / "curve.csv"
        while not (curve.exists() and len(curve.read_text().splitlines()) > 2):
            assert process.poll() is None, "the training ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    train, fifteen, lines = read_split(frames, "train"), longer(run, 15), list[Epoch]()
    fit(tmp_path / "killed", fifteen, train, "cpu", lines.append)
    assert 0 < len(lines) < 15
    fit(tmp_path / "whole", fifteen, train, "cpu", lambda _: None)
    assert same(weights(tmp_path / "killed"), weights(tmp_path / "whole"))
    assert seconds_trained(tmp_path / "killed") > sum(line.seconds for line in lines) - 0.1
    with curve.open(newline="") as file:
        assert [int(row["epoch"]) for row in csv.DictReader(file)] == list(range(1, 16))


def test_a_checkpoint_of_another_run_is_refused(run: Run, frames: Path, tmp_path: Path) -> None:
    train = read_split(frames, "train")
    fit(tmp_path / "a", longer(run, 1), train, "cpu", lambda _: None)
    with pytest.raises(ConfigError, match="belongs to another run"):
        fit(tmp_path / "a", longer(run, 1, lr=0.5), train, "cpu", lambda _: None)


def killed(_: Epoch) -> None:
    """End a training after its first epoch."""
    raise KeyboardInterrupt


def test_a_training_goes_on_with_other_threads_and_workers_and_nothing_else(
    run: Run, frames: Path, tmp_path: Path
) -> None:
    train, lines = read_split(frames, "train"), list[Epoch]()
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "a", longer(run, 3), train, "cpu", killed)
    for change in ({"seed": 2}, {"batch": 18}, {"average": 0.5}, {"schedule": "constant"}):
        with pytest.raises(ConfigError, match="belongs to another run"):
            fit(tmp_path / "a", longer(run, 3, **change), train, "cpu", lambda _: None)
    fit(tmp_path / "a", longer(run, 3, workers=1), train, "cpu", lines.append)
    assert [line.epoch for line in lines] == [2, 3]
    fit(tmp_path / "whole", longer(run, 3), train, "cpu", lambda _: None)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "whole"))
    load_embedder(tmp_path / "a", longer(run, 3, threads=run.fit.threads + 1), train)


def test_a_checkpoint_of_an_earlier_version_goes_on_with_its_own_threads(
    run: Run, frames: Path, tmp_path: Path
) -> None:
    train, lines = read_split(frames, "train"), list[Epoch]()
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "a", longer(run, 3), train, "cpu", killed)
    path = tmp_path / "a" / "checkpoint.pt"
    held = torch.load(path, weights_only=True)
    held["run"] = longer(run, 3).digest("preprocess", "augment", "network", "loss", "fit")
    torch.save(held, path)
    with pytest.raises(ConfigError, match="belongs to another run"):
        fit(tmp_path / "a", longer(run, 3, workers=1), train, "cpu", lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "a", longer(run, 3), train, "cpu", killed)
    fit(tmp_path / "a", longer(run, 3, workers=1), train, "cpu", lines.append)
    assert [line.epoch for line in lines] == [3], "its next checkpoint is of this version"


def test_what_was_learnt_from_other_frames_is_neither_trained_on_nor_judged(
    run: Run, frames: Path, tmp_path: Path
) -> None:
    train, others = read_split(frames, "train"), read_split(frames, "calibrate")
    relabelled = FrameSet(tuple(replace(c, targets=np.roll(c.targets, 1)) for c in train.cameras))
    fit(tmp_path / "a", longer(run, 1), train, "cpu", lambda _: None)
    for wrong in (others, relabelled):
        with pytest.raises(ConfigError, match="was learnt from other frames, or other labels of them: remove it"):
            fit(tmp_path / "a", longer(run, 1), wrong, "cpu", lambda _: None)
        with pytest.raises(ConfigError, match="was learnt from other frames"):
            load_embedder(tmp_path / "a", longer(run, 1), wrong)
    with pytest.raises(ConfigError, match="holds no weights"):
        load_embedder(tmp_path / "b", longer(run, 1), train)


def test_a_training_that_was_begun_anew_and_killed_leaves_no_weights_of_the_one_before(
    run: Run, frames: Path, tmp_path: Path
) -> None:
    def killed(_: Epoch) -> None:
        raise KeyboardInterrupt

    fit(tmp_path / "a", longer(run, 1), read_split(frames, "train"), "cpu", lambda _: None)
    (tmp_path / "a" / "checkpoint.pt").unlink()
    others = read_split(frames, "calibrate")
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "a", longer(run, 2), others, "cpu", killed)
    with pytest.raises(ConfigError, match="holds no weights"):
        load_embedder(tmp_path / "a", longer(run, 2), others)


def test_a_training_that_runs_away_is_stopped(run: Run, frames: Path, tmp_path: Path) -> None:
    with pytest.raises(AuroramonError, match=r"tiny-1: the loss became nan in epoch 1, .* a smaller fit\.lr may help"):
        fit(tmp_path / "a", longer(run, 2, lr=1e12, warmup=0), read_split(frames, "train"), "cpu", lambda _: None)
    assert not (tmp_path / "a" / "checkpoint.pt").exists()


def test_damaged_weights_are_named(run: Run, frames: Path, tmp_path: Path) -> None:
    train = read_split(frames, "train")
    fit(tmp_path, run, train, "cpu", lambda _: None)
    kept = tmp_path / "weights.pt"
    kept.write_bytes(kept.read_bytes()[:5000])
    with pytest.raises(ConfigError, match=r"weights\.pt holds no weights, or is damaged: remove it and run"):
        load_embedder(tmp_path, run, train)


@pytest.mark.parametrize("name", ["index.json", "train/tiny-0/pixels.npy", "train/tiny-0/rows.npz"])
def test_damaged_frames_are_named(name: str, frames: Path) -> None:
    name = name.replace("tiny-0", sorted((frames / "train").iterdir())[0].name)
    (frames / name).write_bytes((frames / name).read_bytes()[:100])
    with pytest.raises(ConfigError, match=r"damaged.*: remove "):
        read_split(frames, "train")


def test_a_damaged_checkpoint_is_named(run: Run, frames: Path, tmp_path: Path) -> None:
    train = read_split(frames, "train")
    fit(tmp_path / "a", longer(run, 1), train, "cpu", lambda _: None)
    checkpoint = tmp_path / "a" / "checkpoint.pt"
    whole = checkpoint.read_bytes()
    for damaged in (b"", b"no tensors", whole[: len(whole) // 2]):
        checkpoint.write_bytes(damaged)
        with pytest.raises(ConfigError, match=r"checkpoint\.pt holds no checkpoint, or is damaged: remove it"):
            fit(tmp_path / "a", longer(run, 1), train, "cpu", lambda _: None)


def test_a_full_disk_is_said_and_costs_no_epoch_that_was_kept(run: Run, frames: Path, tmp_path: Path) -> None:
    train, lines = read_split(frames, "train"), list[Epoch]()
    fit(tmp_path / "a", longer(run, 2, stop=1), train, "cpu", lambda _: None)
    kept = (tmp_path / "a" / "checkpoint.pt").read_bytes()
    (tmp_path / "a" / "weights.pt.tmp").symlink_to("/dev/full")
    with pytest.raises(AuroramonError, match=r"weights\.pt cannot be written: is its disk full\?"):
        fit(tmp_path / "a", longer(run, 2, stop=1), train, "cpu", lines.append)
    assert (tmp_path / "a" / "checkpoint.pt").read_bytes() == kept
    fit(tmp_path / "a", longer(run, 2, stop=1), train, "cpu", lines.append)
    assert not lines


def test_the_averaged_weights_are_kept_over_a_stop(run: Run, frames: Path, tmp_path: Path) -> None:
    train, averaged = read_split(frames, "train"), longer(run, 1, average=0.9)
    net = fit(tmp_path / "a", averaged, train, "cpu", lambda _: None)
    again = load_embedder(tmp_path / "a", averaged, train)
    assert same(net.state_dict(), again.state_dict())
    assert same(fit(tmp_path / "a", averaged, train, "cpu", lambda _: None).state_dict(), net.state_dict())


def test_the_rate_rises_then_falls_to_nothing(run: Run) -> None:
    table = run.fit.model_copy(update={"lr": 1.0, "warmup": 0.1})
    rates = [learning_rate(table, part) for part in (0.0, 0.05, 0.1, 0.55, 1.0)]
    assert rates == pytest.approx([0.01, 0.5, 1.0, 0.5, 0.0])
    constant = table.model_copy(update={"schedule": "constant"})
    assert learning_rate(constant, 0.9) == 1.0


def test_inputs_are_small_first(run: Run) -> None:
    assert [input_size(run, epoch) for epoch in range(2)] == [24, 32]


def test_features_that_never_saw_colour_begin_a_run_that_looks_at_it(run: Run, frames: Path, tmp_path: Path) -> None:
    train = read_split(frames, "train")
    fit(tmp_path / run.name, run, train, "cpu", lambda _: None)
    recipe = {"channels": ("stretched", "equalised", "green"), "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}
    coloured = longer(run, 1, lr=1e-12).model_copy(update={
        "name": "coloured",
        "preprocess": run.preprocess.model_copy(update=recipe),
        "network": run.network.model_copy(update={"start": run.name}),
    })  # fmt: skip
    fit(tmp_path / "coloured", coloured, train, "cpu", lambda _: None)
    (before, after), first = (weights(tmp_path / name) for name in (run.name, "coloured")), "features.0.weight"
    assert torch.allclose(after[first][:, :2], before[first])
    assert after[first].shape[1] == 3
    assert after[first][:, 2].abs().max() < 1e-9


def test_features_that_do_not_fit_are_refused(run: Run, frames: Path, tmp_path: Path) -> None:
    train = read_split(frames, "train")
    fit(tmp_path / run.name, run, train, "cpu", lambda _: None)
    begun = {"name": "second", "network": run.network.model_copy(update={"start": run.name, "backbone": "slim18-16"})}
    with pytest.raises(
        ConfigError, match="second cannot begin with the features of tiny-1: they are of another backbone"
    ):
        fit(tmp_path / "second", run.model_copy(update=begun), train, "cpu", lambda _: None)
    fewer = run.preprocess.model_copy(update={"channels": ("stretched",), "mean": (0.5,), "std": (0.25,)})
    begun = {"network": run.network.model_copy(update={"start": run.name}), "preprocess": fewer}
    with pytest.raises(ConfigError, match="look at more planes than it"):
        fit(tmp_path / "second", run.model_copy(update=begun), train, "cpu", lambda _: None)
    (tmp_path / run.name / "weights.pt").write_bytes(b"no tensors")
    with pytest.raises(ConfigError, match=r"weights\.pt holds no weights, or is damaged"):
        fit(tmp_path / "second", run.model_copy(update=begun), train, "cpu", lambda _: None)
