"""The loop that a user would write: PyTorch, a DataLoader, gzip, NumPy, sqlite3. What a backfill is compared with.

    python -m benchmarks.plain_loop ARCHIVE --model BUNDLE --database OUT.db

The same network (the weights of the bundle's graph), the same input size and disc, the same files, the same head, one
row a frame. It knows nothing of damaged files, of frames that show no sky, or of starting again where it stopped.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from auroramon.bundle import FLOAT32, ModelBundle, load_bundle
from auroramon.preprocess import PreprocessSpec
from train.backbones import build_embedder

Item = tuple[NDArray[np.float32], str, int, str]
"""Input, path, number in the file, time."""

PAPER = PreprocessSpec(224, 0.85, 0.5, 99.5, ("stretched",), (0.0,), (1.0,))
"""The images of Endo & Matsumoto 2022, whose network is ResNet18."""

HEADER = re.compile(rb"P5\n(?:#.*\n)*(\d+) (\d+)\n65535\n")
TIME = re.compile(rb'"Image request start" (\S+ \S+) UTC')


def torch_network(bundle: ModelBundle) -> nn.Module:
    """Give the network of a bundle in torch, with the weights of its float32 graph.

    The graph has its batch normalisations folded into the convolutions; here they come back as layers that add the
    folded bias, since that is the network that a user runs in eager mode.
    """
    graph = onnx.load(bundle.folder / FLOAT32).graph
    held = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    channels = held["features.0.weight"].shape
    net = build_embedder(f"slim18-{channels[0]}", int(channels[1]), bundle.width)
    modules: dict[str, Any] = dict(net.named_modules())
    with torch.no_grad():
        for name, module in modules.items():
            if isinstance(module, nn.Conv2d):
                module.weight.copy_(torch.from_numpy(held[f"{name}.weight"].copy()))
                if module.bias is not None:
                    module.bias.copy_(torch.from_numpy(held[f"{name}.bias"].copy()))
                else:
                    norm = modules[_norm_of(name)]
                    norm.running_var.fill_(1 - norm.eps)
                    norm.bias.copy_(torch.from_numpy(held[f"{name}.weight_bias"].copy()))
    return net.eval()


def _norm_of(convolution: str) -> str:
    """Give the name of the batch normalisation behind a convolution: conv1 -> bn1, 0 -> 1."""
    before, _, last = convolution.rpartition(".")
    return f"{before}.{last.replace('conv', 'bn') if last.startswith('conv') else int(last) + 1}"


def read_minute(path: Path) -> Iterator[tuple[NDArray[np.uint16], str]]:
    """Give the images of a minute and their times."""
    with gzip.open(path) as file:
        content = file.read()
    at = 0
    while match := HEADER.match(content, at):
        width, height = int(match[1]), int(match[2])
        image = np.frombuffer(content, ">u2", width * height, match.end()).reshape(height, width)
        found = TIME.search(match.group())
        yield image, found[1].decode() if found else ""
        at = match.end() + 2 * width * height


def prepare(image: NDArray[np.uint16], spec: PreprocessSpec, disc: tuple[float, float, float]) -> NDArray[np.float32]:
    """Crop, resize, stretch between percentiles, equalise: the recipe of the model as one writes it down."""
    x, y, radius = disc[0], disc[1], disc[2] * spec.crop
    box = (x - radius, y - radius, x + radius, y + radius)
    picture = Image.fromarray(image.astype(np.float32))
    grey = np.asarray(picture.resize((spec.size, spec.size), Image.Resampling.BILINEAR, box=box))
    rows, columns = np.mgrid[: spec.size, : spec.size] - (spec.size - 1) / 2
    sky = rows**2 + columns**2 <= (spec.size / 2) ** 2
    low, high = np.percentile(grey[sky], (spec.low_percentile, spec.high_percentile))
    stretched = np.clip((grey - low) / max(high - low, 1e-6), 0, 1)
    counts, edges = np.histogram(stretched[sky], 1024, (0, 1))
    ranks = np.cumsum(counts) / counts.sum()
    planes = {"stretched": stretched * sky, "equalised": np.interp(stretched, edges[1:], ranks) * sky}
    planes["green"] = np.full_like(grey, 0.5)  # the minutes are grey
    inputs = np.stack([planes[name] for name in spec.channels])
    normal: NDArray[np.float32] = (
        (inputs - np.array(spec.mean)[:, None, None]) / np.array(spec.std)[:, None, None]
    ).astype(np.float32)
    return normal


class Minutes(IterableDataset[Item]):
    """All frames of the minutes; each worker of a DataLoader takes its share of the files."""

    def __init__(self, paths: list[Path], spec: PreprocessSpec, disc: tuple[float, float, float]) -> None:
        self.paths, self.spec, self.disc = paths, spec, disc

    def __iter__(self) -> Iterator[Item]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        for path in self.paths[first::step]:
            for index, (image, moment) in enumerate(read_minute(path)):
                yield prepare(image, self.spec, self.disc), str(path), index, moment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--disc", type=float, nargs=3, default=(128.0, 128.0, 124.0), metavar=("X", "Y", "RADIUS"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--files", type=int, help="so many of them only")
    parser.add_argument("--paper", action="store_true", help="ResNet18 at 224, random weights: its labels mean nothing")
    wanted = parser.parse_args()
    torch.set_num_threads(wanted.threads)
    bundle = load_bundle(wanted.model)
    spec = PAPER if wanted.paper else bundle.preprocess
    network = build_embedder("resnet18", 1, bundle.width).eval() if wanted.paper else torch_network(bundle)
    paths = sorted(wanted.archive.rglob("*.pgm.gz"))[: wanted.files]
    frames = DataLoader(Minutes(paths, spec, tuple(wanted.disc)), batch_size=32, num_workers=wanted.workers)
    print(json.dumps(label_all(frames, network, bundle, wanted.database)))


def label_all(frames: DataLoader[Item], net: nn.Module, bundle: ModelBundle, database: Path) -> dict[str, float]:
    """Label everything, and give the number of frames and their pace once the first batch is through."""
    db = sqlite3.connect(database)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE labels (path, frame, time, label, confidence, distance, PRIMARY KEY (path, frame))")
    done = first = 0
    begun = 0.0
    for inputs, paths, numbers, times in frames:
        with torch.inference_mode():
            embeddings = net(inputs).numpy()
        said = bundle.head.predict(embeddings)
        with db:
            db.executemany(
                "INSERT INTO labels VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (path, int(number), moment, one.label, one.confidence, one.distance)
                    for path, number, moment, one in zip(paths, numbers, times, said, strict=True)
                ],
            )
        done += len(paths)
        if not begun:
            begun, first = time.perf_counter(), done
    steady = (done - first) / (time.perf_counter() - begun) if done > first else float("nan")
    db.close()
    return {"frames": done, "steady": steady}


if __name__ == "__main__":
    main()
