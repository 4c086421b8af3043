"""The training loop: seeded, and after a kill it goes on where the last epoch ended."""

from __future__ import annotations

import csv
import hashlib
import math
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from auroramon.errors import AuroramonError, ConfigError
from train.arithmetic import Stepper
from train.backbones import Embedder, build_embedder
from train.data import sampler_of, training_batches
from train.frames import FrameSet, pixel_digests
from train.losses import build_loss
from train.runfile import FitTable, Run

CHECKPOINT, CURVE, WEIGHTS = "checkpoint.pt", "curve.csv", "weights.pt"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One line of the learning curve."""

    epoch: int
    loss: float  # mean over the epoch's batches
    lr: float  # at its end
    frames: int
    seconds: float


def fit(
    folder: Path,
    run: Run,
    frames: FrameSet,
    device: str,
    said: Callable[[Epoch], None],
    show: Callable[[int, int], None] = lambda done, total: None,
) -> Embedder:
    """Train the network of a run and give it, ready to embed.

    Args:
        folder: holds checkpoint, curve and the final weights; a second call goes on from the checkpoint.
        run: what to do.
        frames: the training frames.
        device: "cpu" or "cuda".
        said: called after each epoch.
        show: called after each batch, with those of the epoch that are done and all of them.

    Raises:
        ConfigError: the run begins with the weights of one that was not fitted, the folder is another run's or holds
            what was learnt from other frames, or the frames are not those that the run asks for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = _Training(run, frames, device, _trained_features(folder.parent, run))
    if run.network.start:
        state.learnt = np.union1d(state.learnt, learnt_by(folder.parent / run.network.start))
    held = held_of(folder, run, frames, device)
    if held is None:  # weights that lie there were learnt by a training whose checkpoint was removed
        (folder / WEIGHTS).unlink(missing_ok=True)
    state.load(held)
    while state.epoch < run.fit.last:
        line = state.train_epoch(show)
        _append(folder / CURVE, line)
        state.save(folder / CHECKPOINT)
        said(line)
    net = state.result()
    save_whole(net.state_dict(), folder / WEIGHTS)
    return net


def check_start(work: Path, run: Run) -> None:
    """Refuse a run whose features it begins with are not there.

    Raises:
        ConfigError: that run was not fitted.
    """
    path = work / run.network.start / WEIGHTS
    if run.network.start and not path.exists():
        raise ConfigError(f"{run.name} begins with the features of {run.network.start}, which {path} does not hold: "
                          f"fit that run first")  # fmt: skip


def _trained_features(work: Path, run: Run) -> dict[str, Tensor] | None:
    """Give the weights that a run begins with: the features of another run, without its last layer."""
    if not run.network.start:
        return None
    check_start(work, run)
    path = work / run.network.start / WEIGHTS
    held = _tensors(path, "cpu", "weights", "remove it, and fit or restore that run again")
    return {name[9:]: value for name, value in held.items() if name.startswith("features.")}


def _with_new_planes(held: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Let features look at more input planes than they learnt from: the new ones come last and begin at nothing."""
    first = next(iter(wanted))
    planes = wanted[first].shape[1] - held[first].shape[1] if first in held else 0
    return {**held, first: nn.functional.pad(held[first], (0, 0, 0, 0, 0, planes))} if planes > 0 else held


def seconds_trained(folder: Path) -> float:
    """Give how long the epochs of a run took, stops in between left out."""
    with (folder / CURVE).open(newline="", encoding="utf-8") as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))


def load_embedder(folder: Path, run: Run, frames: FrameSet) -> Embedder:
    """Give the network that `fit` left in a folder.

    Raises:
        ConfigError: it left none there, or one of another run, or one that learnt from other frames than these, or
            its weights cannot be read.
    """
    if held_of(folder, run, frames) is None or not (folder / WEIGHTS).exists():
        raise ConfigError(f"{folder} holds no weights: run `python -m train fit RUN` first")
    net = build_embedder(run.network.backbone, len(run.preprocess.channels), run.network.width)
    held = _tensors(folder / WEIGHTS, "cpu", "weights", "remove it and run `python -m train fit RUN` again")
    net.load_state_dict(held)
    return net.eval()


def _tensors(path: Path, device: str, what: str, remedy: str) -> dict[str, Any]:
    """Read what `save_whole` wrote.

    Raises:
        ConfigError: it is damaged, or no such file.
    """
    try:
        held: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise ConfigError(f"{path} holds no {what}, or is damaged: {remedy}") from error
    return held


def held_of(folder: Path, run: Run, frames: FrameSet, device: str = "cpu") -> dict[str, Any] | None:
    """Give the checkpoint of a folder, if there is one of this very run, learning from these very frames.

    Figures on frames that were kept back mean nothing where the network is that of another division of them.

    Raises:
        ConfigError: the checkpoint belongs to another run, or was learnt from other frames, or cannot be read.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    remedy = "remove it, or give this run another name"
    held = _tensors(path, device, "checkpoint", remedy)
    if held["run"] not in {learning_digest(run), run.digest(*_LEARNING)}:
        raise ConfigError(f"{path} belongs to another run: {remedy}")
    if held.get("frames") != _frames_digest(frames):
        raise ConfigError(f"{path} was learnt from other frames, or other labels of them: {remedy}")
    return held


def learnt_by(folder: Path) -> NDArray[np.uint64]:
    """Give the digests of all frames that the network of a folder has learnt from; none where that is not known."""
    path = folder / CHECKPOINT
    if not path.is_file():
        return np.array([], dtype=np.uint64)
    held = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    return np.asarray(held.get("learnt", torch.tensor([], dtype=torch.int64)).numpy()).view(np.uint64)


_LEARNING = ("preprocess", "augment", "network", "loss", "fit")
"""Tables that decide what is learnt. Checkpoints of earlier versions hold the digest of all that is in them."""

_OF_THE_MACHINE = ("threads", "workers")
"""Keys of `fit` that say how a machine does it: another one, or another number, may go on."""


def learning_digest(run: Run) -> str:
    """Give a digest of all that decides what a network learns, but the frames."""
    return run.digest(*_LEARNING, without=_OF_THE_MACHINE)


def _digests(frames: FrameSet) -> NDArray[np.uint64]:
    return np.unique(np.concatenate([pixel_digests(camera) for camera in frames.cameras]))


def _frames_digest(frames: FrameSet) -> str:
    """Give a digest of what is learnt from: pixels, labels and discs."""
    digest = hashlib.sha256()
    for camera in frames.cameras:
        for part in (pixel_digests(camera), camera.targets.astype(np.int64), camera.discs.astype(np.float64)):
            digest.update(part.tobytes())
    return digest.hexdigest()


def save_whole(values: object, path: Path) -> None:
    """Write tensors, complete or not at all.

    Raises:
        AuroramonError: they cannot be written.
    """
    scratch = path.with_name(path.name + ".tmp")
    try:
        torch.save(values, scratch)
    except RuntimeError as error:  # all that torch says of a disk that takes no more
        scratch.unlink(missing_ok=True)
        raise AuroramonError(f"{path} cannot be written: is its disk full?") from error
    scratch.replace(path)


def learning_rate(table: FitTable, part: float) -> float:
    """Give the rate when this part (0..1) of the steps is done."""
    if part < table.warmup:
        return table.lr * max(part, 1e-3) / table.warmup
    if table.schedule == "constant":
        return table.lr
    return table.lr * 0.5 * (1 + math.cos(math.pi * (part - table.warmup) / (1 - table.warmup)))


def input_size(run: Run, epoch: int) -> int:
    """Give the size of the inputs in an epoch (from 0).

    A network of convolutions takes any size; small frames are quick, and teach the coarse forms first.
    """
    return next((size for part, size in run.fit.small if epoch < part * run.fit.epochs), run.preprocess.size)


class _Training:
    """What a checkpoint holds, and one epoch of moving it on."""

    def __init__(self, run: Run, frames: FrameSet, device: str, begin_with: dict[str, Tensor] | None) -> None:
        torch.manual_seed(run.fit.seed)
        torch.set_num_threads(run.fit.threads)
        net = build_embedder(run.network.backbone, len(run.preprocess.channels), run.network.width)
        if begin_with is not None:
            try:
                net.features.load_state_dict(_with_new_planes(begin_with, net.features.state_dict()))
            except RuntimeError as error:
                begun = f"{run.name} cannot begin with the features of {run.network.start}"
                raise ConfigError(f"{begun}: they are of another backbone, or look at more planes than it") from error
        if run.network.frozen:
            net.freeze_features()
        self.run, self.epoch, self._device = run, 0, torch.device(device)
        self.frames_digest = _frames_digest(frames)
        self.learnt = _digests(frames)
        self._net = net.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._average = (
            AveragedModel(self._net, multi_avg_fn=get_ema_multi_avg_fn(run.fit.average), use_buffers=True)  # type: ignore[no-untyped-call]
            if run.fit.average
            else None
        )
        self._loss = build_loss(run.loss, run.network.width).to(self._device)
        self._stepper = Stepper(run.fit, [*self._net.parameters(), *self._loss.parameters()], self._device)
        self._sampler = sampler_of(run.fit, frames.targets, run.preprocess.size)
        self._batches: DataLoader[tuple[Tensor, int]] = training_batches(
            frames, run.preprocess.spec(), run.augment, self._sampler, run.fit.workers
        )

    def train_epoch(self, show: Callable[[int, int], None]) -> Epoch:
        begun, losses, count = time.perf_counter(), [], 0
        self._sampler.epoch, self._sampler.size = self.epoch, input_size(self.run, self.epoch)
        self._net.train()
        steps = len(self._sampler)
        rate = self.run.fit.lr
        for step, (inputs, targets) in enumerate(self._batches):
            rate = learning_rate(self.run.fit, (self.epoch + step / steps) / self.run.fit.epochs)
            self._stepper.set_rate(rate)
            losses.append(self._step(inputs, targets))
            count += len(targets)
            show(step + 1, steps)
        if not math.isfinite(losses[-1]):
            raise AuroramonError(f"{self.run.name}: the loss became {losses[-1]} in epoch {self.epoch + 1}, of which "
                                 f"nothing is kept; a smaller fit.lr may help")  # fmt: skip
        self.epoch += 1
        return Epoch(self.epoch, float(np.mean(losses)), rate, count, time.perf_counter() - begun)

    def _step(self, inputs: Tensor, targets: Tensor) -> float:
        inputs = inputs.to(self._device, memory_format=torch.channels_last, non_blocking=True)
        with self._stepper.autocast():
            outputs = self._net.logits(inputs) if self._loss.on_logits else self._net(inputs)
        loss: Tensor = self._loss(outputs.float(), targets.to(self._device))
        self._stepper.step(loss)
        if self._average is not None:
            self._average.update_parameters(self._net)
        return float(loss.detach())

    def result(self) -> Embedder:
        net: Any = self._average.module if self._average is not None else self._net
        trained: Embedder = net.to("cpu", memory_format=torch.contiguous_format).eval()
        return trained

    def save(self, path: Path) -> None:
        save_whole(
            {
                "run": learning_digest(self.run),
                "frames": self.frames_digest,
                "learnt": torch.from_numpy(self.learnt.view(np.int64)),
                "epoch": self.epoch,
                "net": self._net.state_dict(),
                "average": None if self._average is None else self._average.state_dict(),
                "loss": self._loss.state_dict(),
                **self._stepper.state(),
            },
            path,
        )

    def load(self, held: dict[str, Any] | None) -> None:
        """Go on from a checkpoint, if there is one."""
        if held is None:
            return
        self._net.load_state_dict(held["net"])
        if self._average is not None:
            self._average.load_state_dict(held["average"])
        self._loss.load_state_dict(held["loss"])
        self._stepper.load(held)
        self.epoch = held["epoch"]


def _append(path: Path, line: Epoch) -> None:
    """Add a line to the curve; what a killed epoch had written is not there, because lines follow whole epochs."""
    rows = []
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if int(row["epoch"]) < line.epoch]
    scratch = path.with_name(path.name + ".tmp")
    with scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Epoch)])
        writer.writeheader()
        writer.writerows([*rows, {k: f"{v:.6g}" for k, v in asdict(line).items()}])
    scratch.replace(path)
