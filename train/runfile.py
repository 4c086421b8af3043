"""A run: everything that decides what a training gives, in one TOML file. Unknown keys are refused."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auroramon.errors import ConfigError
from auroramon.preprocess import PreprocessSpec

Split = Literal["train", "heads", "calibrate", "evaluate"]
SPLITS: tuple[Split, ...] = ("train", "heads", "calibrate", "evaluate")

Span = Annotated[tuple[float, float], Field(description="drawn evenly between the two")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataTable(_Table):
    """The simulated cameras; no camera is in two splits."""

    seed: int
    cameras: dict[Split, int]  # how many
    frames: int = Field(ge=6)  # of each camera, the classes in turn
    unknown: int = Field(ge=0)  # frames that are no sky, of each camera of `train`, `calibrate` and `evaluate`
    sizes: tuple[int, ...]  # shorter side of the simulated frames, pixels; each camera has one of them
    green_share: float = Field(ge=0, le=1)  # of the colour frames that are read by their green plane instead of luma


class PreprocessTable(_Table):
    """The recipe that travels with the model: see auroramon/preprocess.py."""

    size: int
    crop: float
    low_percentile: float
    high_percentile: float
    channels: tuple[Literal["stretched", "equalised"], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def spec(self) -> PreprocessSpec:
        return PreprocessSpec(**self.model_dump())


class AugmentTable(_Table):
    """What is varied from one sight of a training frame to the next."""

    turn: bool  # any rotation about the middle of the disc, and mirroring
    shift: float = Field(ge=0)  # of the disc, part of its radius, as a standard deviation
    scale: Span  # of the disc's radius
    gamma: Span  # as log2 of the exponent
    low_percentile: Span
    high_percentile: Span
    blur: float = Field(ge=0)  # greatest radius of a box blur, pixels
    noise: float = Field(ge=0)  # greatest standard deviation, part of the sky's range
    wedge: float = Field(ge=0, le=1)  # probability that a sector of the sky is hidden
    gradient: float = Field(ge=0)  # greatest slope laid over the sky, part of its range


class NetworkTable(_Table):
    backbone: str
    width: int = Field(ge=2)  # D


class LossTable(_Table):
    kind: Literal["triplet"]
    margin: float = Field(gt=0)
    miner: Literal["all", "semihard", "hard"]
    miner_margin: float = Field(gt=0)


class FitTable(_Table):
    seed: int
    epochs: int = Field(ge=1)
    batch: int = Field(ge=12)  # rounded down to a multiple of the classes
    strange: int = Field(ge=0)  # frames that are no sky in each batch, beside `batch`, pushed away from every class
    lr: float = Field(gt=0)
    warmup: float = Field(ge=0, lt=1)  # part of the steps in which the rate rises
    schedule: Literal["constant", "cosine"]
    weight_decay: float = Field(ge=0)
    small: tuple[tuple[float, int], ...]  # (part of the epochs, size): smaller inputs until then, for speed
    average: float = Field(ge=0, lt=1)  # decay of the running mean of the weights, per step; 0: none
    threads: int = Field(ge=1)
    workers: int = Field(ge=0)  # processes that prepare frames; 0: in the training process


class HeadTable(_Table):
    kind: Literal["mahalanobis", "ridge"]
    covariance: Literal["tied", "class"]
    alpha: float = Field(gt=0)  # of ridge
    fit_on: Literal["train", "heads"]  # whose embeddings the head is fitted on


class ExportTable(_Table):
    golden: int = Field(ge=1)  # golden frames of each class
    int8: Literal["minmax", "entropy", "percentile", "none"]
    int8_frames: int = Field(ge=1)  # of the training cameras, for calibration


class Run(_Table):
    """A run file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    data: DataTable
    preprocess: PreprocessTable
    augment: AugmentTable
    network: NetworkTable
    loss: LossTable
    fit: FitTable
    head: HeadTable
    export: ExportTable

    def digest(self, *tables: str) -> str:
        """Give a digest of some of the tables, or of the whole run."""
        values: dict[str, Any] = self.model_dump(mode="json")
        chosen = {name: values[name] for name in tables} if tables else values
        return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()


def read_run(path: Path) -> Run:
    """Read a run file.

    Raises:
        ConfigError: one sentence for each thing that is wrong with it.
    """
    try:
        return Run.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"the run file {path} cannot be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the run file {path} is no TOML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"the run file {path} is wrong: {wrong}") from error
