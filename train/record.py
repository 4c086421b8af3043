"""What a run's folder keeps, so that it can be repeated: the run file, versions, the digest of the data."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

import auroramon
from auroramon.toml_text import toml_value
from train.origin import Origin
from train.runfile import Run

RUN_FILE, RECORD = "run.toml", "record.json"
LIBRARIES = ("torch", "torchvision", "pytorch-metric-learning", "numpy", "pillow", "scikit-learn", "onnxruntime")


def write_record(folder: Path, run: Run, origin: Origin, device: str) -> None:
    """Write `run.toml`, which `fit` takes as it is, and `record.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RUN_FILE).write_text(run_text(run), encoding="utf-8")
    record = {
        "data_digest": origin.digest,
        "data": origin.data,
        "seeds": {"data": run.data.seed, "fit": run.fit.seed},
        "device": device,
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {"auroramon": auroramon.__version__, **{name: version(name) for name in LIBRARIES}},
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def run_text(run: Run) -> str:
    """Give a run as TOML."""
    values = run.model_dump(mode="json", exclude_defaults=True)
    lines = [f"name = {toml_value(values.pop('name'))}"]
    for table, keys in values.items():
        lines += ["", f"[{table}]", *(f"{key} = {toml_value(value)}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"
