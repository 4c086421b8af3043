"""The int8 graph for x86: u8 activations, s8 weights, Q/DQ pairs.

Weights get seven bits (`reduce_range`). Processors without VNNI add two products of a u8 and an s8 in 16 bits
(vpmaddubsw): 2 x 255 x 127 overflows there and is cut off without a word, 2 x 255 x 64 does not. So the graph gives
the same labels on every processor; see docs/decisions/0002.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationMethod, QuantType, create_calibrator
from onnxruntime.quantization.calibrate import CalibrationDataReader
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

from auroramon.backends.precisions import QUANTISED, kept_in_float32

Ranges = dict[str, tuple[float, float]]
"""Tensor of the float32 graph -> lowest and highest value."""

Method = Literal["minmax", "entropy", "percentile"]
"""How outliers are treated where the range of an activation is found."""

METHODS: dict[Method, CalibrationMethod] = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}


def calibrate_ranges(graph: Path, batches: Iterable[NDArray[np.float32]], method: Method) -> Any:
    """Find the ranges of the activations, as ONNX Runtime's quantiser takes them.

    Args:
        graph: the float32 ONNX file.
        batches: (N,C,S,S) prepared frames of the training cameras.
        method: how outliers are treated.
    """
    with tempfile.TemporaryDirectory() as scratch:
        calibrator: Any = create_calibrator(
            str(graph), QUANTISED, str(Path(scratch) / "augmented.onnx"), calibrate_method=METHODS[method]
        )
        name = onnx.load(graph).graph.input[0].name
        for inputs in batches:  # one at a time: the calibrator keeps every activation of what it is given
            calibrator.collect_data(_Frames(name, inputs))
        return calibrator.compute_data()


def plain_ranges(ranges: Any) -> Ranges:
    """Give what `calibrate_ranges` found as plain numbers: TensorRT's graph is made from them at the station."""
    pairs = {name: [float(np.asarray(v).reshape(-1)[0]) for v in value.range_value] for name, value in ranges.items()}
    return {name: (low, high) for name, (low, high) in pairs.items()}


def quantise(graph: Path, ranges: Any, path: Path) -> None:
    """Write the int8 graph of a float32 graph."""
    model = load_model_with_shape_infer(graph)
    quantiser: Any = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=True,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=ranges,
        nodes_to_quantize=[],
        nodes_to_exclude=kept_in_float32(model),
        op_types_to_quantize=QUANTISED,
        extra_options={},
    )
    quantiser.quantize_model()
    quantiser.model.save_model_to_file(str(path), False)


class _Frames(CalibrationDataReader):  # type: ignore[misc]
    """One batch, frame by frame."""

    def __init__(self, name: str, inputs: NDArray[np.float32]) -> None:
        self._left: Iterator[dict[str, NDArray[np.float32]]] = iter(
            [{name: inputs[k : k + 1]} for k in range(len(inputs))]
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._left, None)
