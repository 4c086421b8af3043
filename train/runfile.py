"""A run: everything that decides what a training gives, in one TOML file. Unknown keys are refused.

Few keys may be left out: those that most runs have no use for.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from auroramon.errors import ConfigError
from auroramon.preprocess import InputChannel, PreprocessSpec
from auroramon.types import LABELS
from train.splits import SplitKind

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
    green_share: float = Field(ge=0, le=1)  # of the colour cameras that are read by their green plane instead of luma


class ManifestTable(_Table):
    """Frames of files that a manifest lists (`python -m train prepare`), divided by one rule (train/splits.py)."""

    manifest: Path  # relative to the work folder
    split: SplitKind
    seed: int
    part: int = Field(ge=0)  # which part, fold or published permutation is judged, from 0
    parts: int = Field(ge=3)
    block: int = Field(ge=1)  # at least so many consecutive frames make a block
    gap: float = Field(ge=0)  # frames this near to a judged one are left out: image numbers of OATH, seconds elsewhere


def _data_kind(values: Any) -> str:
    """Say which table is meant: one that names a manifest, or one that draws."""
    listed = isinstance(values, ManifestTable) or (isinstance(values, dict) and "manifest" in values)
    return "listed" if listed else "simulated"


class PreprocessTable(_Table):
    """The recipe that travels with the model: see auroramon/preprocess.py."""

    size: int
    crop: float
    low_percentile: float
    high_percentile: float
    channels: tuple[InputChannel, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @model_validator(mode="after")
    def _whole(self) -> PreprocessTable:
        self.spec()  # raises ValueError
        order = [get_args(InputChannel).index(name) for name in self.channels]
        if order != sorted(set(order)):  # features of another run are known by their place alone
            raise ValueError(f"channels are given once each, in the order {', '.join(get_args(InputChannel))}")
        return self

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
    cast: float = Field(default=0.0, ge=0)  # of colour frames: how red and blue vary, logarithm, standard deviation
    colourless: float = Field(default=0.0, ge=0, le=1)  # probability that a colour frame is seen in grey


class NetworkTable(_Table):
    backbone: str
    width: int = Field(ge=2)  # D
    start: str = ""  # name of a run whose trained features are begun with; "": random weights
    frozen: bool = False  # whether they stay as they are, and only the last layer learns: a linear probe

    @field_validator("backbone")
    @classmethod
    def _known(cls, name: str) -> str:
        width = re.fullmatch(r"slim18-([1-9]\d*)", name)
        if name not in {"resnet18", "resnet50"} and (width is None or int(width[1]) % 8):
            raise ValueError("there are resnet18, resnet50 and slim18-W, W a multiple of 8")
        return name


class TripletTable(_Table):
    """Triplet margin loss over the triplets that a miner finds in a batch."""

    kind: Literal["triplet"]
    margin: float = Field(gt=0)
    miner: Literal["all", "semihard", "hard"]
    miner_margin: float = Field(gt=0)


class ArcFaceTable(_Table):
    """Additive angular margin loss."""

    kind: Literal["arcface"]
    margin_deg: float = Field(gt=0, lt=90)
    scale: float = Field(gt=0)


class SupConTable(_Table):
    """Supervised contrastive loss."""

    kind: Literal["supcon"]
    temperature: float = Field(gt=0)


class CrossEntropyTable(_Table):
    """Softmax over the network's last layer: `network.width` is the number of classes."""

    kind: Literal["cross_entropy"]


LossTable = Annotated[TripletTable | ArcFaceTable | SupConTable | CrossEntropyTable, Field(discriminator="kind")]


class FitTable(_Table):
    seed: int
    epochs: int = Field(ge=1)
    batch: int = Field(ge=12)  # rounded down to a multiple of the classes where they are balanced
    strange: int = Field(ge=0)  # frames that are no sky in each batch, beside `batch`, pushed away from every class
    lr: float = Field(gt=0)
    warmup: float = Field(ge=0, lt=1)  # part of the steps in which the rate rises
    schedule: Literal["constant", "cosine"]
    weight_decay: float = Field(ge=0)
    small: tuple[tuple[float, int], ...]  # (part of the epochs, size): smaller inputs until then, for speed
    average: float = Field(ge=0, lt=1)  # decay of the running mean of the weights, per step; 0: none
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    momentum: float = Field(0.0, ge=0, lt=1)  # of sgd
    sampling: Literal["balanced", "shuffled"] = "balanced"  # each class alike in a batch, or frames as they come
    arithmetic: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: bfloat16 on CUDA, float32 on CPU
    stop: int = Field(
        default=0, ge=0
    )  # epochs after which training ends, though the rate is meant for `epochs`; 0: all
    threads: int = Field(ge=1)
    workers: int = Field(ge=0)  # processes that prepare frames; 0: in the training process

    @property
    def last(self) -> int:
        """The number of epochs that are trained."""
        return self.stop or self.epochs


class HeadTable(_Table):
    kind: Literal["mahalanobis", "ridge"]
    covariance: Literal["tied", "class"]
    alpha: float = Field(gt=0)  # of ridge
    fit_on: Literal["train", "heads"]  # whose embeddings the head is fitted on


class ExportTable(_Table):
    golden: int = Field(ge=1)  # golden frames of each class
    # How the ranges of activations are found; `measured` tries all and takes what keeps most labels.
    int8: Literal["minmax", "entropy", "percentile", "measured", "none"]
    int8_frames: int = Field(ge=1)  # of the training cameras, for calibration
    # From how many sides a frame is looked at (docs/decisions/0012-sides.md), and how near a border of the head that
    # begins, in units of its distance.
    sides: Literal[1, 2, 4, 8] = 1
    sides_near: float = Field(default=1.0, ge=0, allow_inf_nan=False)


class Run(_Table):
    """A run file."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    data: Annotated[
        Annotated[DataTable, Tag("simulated")] | Annotated[ManifestTable, Tag("listed")], Discriminator(_data_kind)
    ]
    preprocess: PreprocessTable
    augment: AugmentTable
    network: NetworkTable
    loss: LossTable
    fit: FitTable
    head: HeadTable
    export: ExportTable

    @model_validator(mode="after")
    def _last_layer(self) -> Run:
        classes = self.loss.kind == "cross_entropy"
        if classes and self.network.width != len(LABELS):
            raise ValueError(f"cross entropy needs network.width = {len(LABELS)}, one output for each class")
        return self

    @model_validator(mode="after")
    def _turned(self) -> Run:
        if self.export.sides > 1 and not self.augment.turn:
            raise ValueError("export.sides > 1 needs augment.turn: a network that saw no frame turned looks from one")
        return self

    @property
    def simulated(self) -> DataTable:
        """The simulated cameras.

        Raises:
            ConfigError: the run reads a manifest.
        """
        if not isinstance(self.data, DataTable):
            raise ConfigError(f"the run {self.name} reads a manifest: it draws no simulated cameras")
        return self.data

    @property
    def listed(self) -> ManifestTable:
        """The manifest and its split.

        Raises:
            ConfigError: the run draws simulated cameras.
        """
        if not isinstance(self.data, ManifestTable):
            raise ConfigError(f"the run {self.name} draws simulated cameras: its table data names no manifest")
        return self.data

    def digest(self, *tables: str, without: Collection[str] = ()) -> str:
        """Give a digest of some of the tables, or of the whole run; without some keys of the table `fit`."""
        values: dict[str, Any] = self.model_dump(mode="json", exclude_defaults=True)
        values["fit"] = {key: value for key, value in values["fit"].items() if key not in without}
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
        wrong = "; ".join(f"{_place(e['loc'])}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"the run file {path} is wrong: {wrong}") from error


def _place(parts: tuple[str | int, ...]) -> str:
    """Give the key as it stands in the file: pydantic names the chosen kind of a table after the table."""
    kinds = {"simulated", "listed", "triplet", "arcface", "supcon", "cross_entropy"}
    return ".".join(str(part) for place, part in enumerate(parts) if not (place == 1 and part in kinds))
