"""float16 and int8 as conversions of an ONNX file: a strongly typed network computes what the file says, nothing else.

What follows the last layer with weights (the unit norm) stays in float32: it is a few hundred multiplications a frame.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auroramon.errors import BundleError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

WEIGHTED = ("Conv", "Gemm", "MatMul")
QUANTISED = ["Conv", "Add", "MaxPool", "Relu"]
LARGEST_HALF = 65504.0


FIRST_KEPT = 0.75
"""Part of the convolutions, from the first on, that the GPU's int8 graph does not round. Its activations lose a bit to
symmetry; what more of them in float32 would give, `python -m benchmarks.int8_layers` prints (docs/decisions/0007)."""


def to_int8(path: Path, ranges: Mapping[str, tuple[float, float]], first_kept: float = FIRST_KEPT) -> ModelProto:
    """Give the float32 graph of a file with Q/DQ pairs around its layers, all zero points 0, biases in float32.

    The int8 graph that a bundle carries for processors is no use here: TensorRT refuses its u8 activations and its
    int32 biases. Both come from the same ranges.

    Args:
        path: of the float32 ONNX file.
        ranges: tensor of that file -> lowest and highest value.
        first_kept: part of the convolutions, from the first on, that stay in float32, as sums and the last one do.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
    from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

    pairs = {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()}
    with tempfile.TemporaryDirectory() as scratch:  # shapes are inferred into a file beside the model
        model = load_model_with_shape_infer(Path(shutil.copy(path, scratch)))
    quantiser: Any = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, pairs),
        nodes_to_quantize=[],
        nodes_to_exclude=_kept_on_gpu(model, first_kept),
        op_types_to_quantize=["Conv"],
        extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
    )
    quantiser.quantize_model()
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "int8.onnx"
        quantiser.model.save_model_to_file(str(file), False)
        return onnx.load(file)


def kept_in_float32(model: ModelProto) -> list[str]:
    """Name the layers that no int8 graph rounds, on the processor or on a GPU.

    The first convolution sees the planes of the frame, whose faint skies take few of 256 steps; the last makes the
    embedding out of the pooled features: it costs nothing and decides the label.
    """
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    return [convolutions[0], convolutions[-1]] if convolutions else []


def _kept_on_gpu(model: ModelProto, first: float) -> list[str]:
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    return list({*kept_in_float32(model), *convolutions[: int(first * len(convolutions))]})


def to_half(model: ModelProto) -> ModelProto:
    """Give the graph with everything up to its last layer with weights in float16; inputs and outputs stay float32.

    Raises:
        BundleError: a weight is too large for float16.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.shape_inference.infer_shapes(model)
    graph = model.graph
    weights = {w.name: numpy_helper.to_array(w) for w in graph.initializer if w.data_type == TensorProto.FLOAT}
    typed = (*graph.input, *graph.output, *graph.value_info)
    floats = {v.name for v in typed if v.type.tensor_type.elem_type == TensorProto.FLOAT} | set(weights)
    end = 1 + max((k for k, node in enumerate(graph.node) if node.op_type in WEIGHTED), default=-1)
    body, rest = list(graph.node[:end]), list(graph.node[end:])
    half: dict[str, str] = {}  # float32 tensor -> the name of its float16 form
    nodes: list[NodeProto] = []
    for node in body:
        if any(name in floats for name in node.output):  # not Shape and its like, which count in integers
            for k, name in enumerate(node.input):
                if name in floats and name not in half:
                    half[name] = f"{name}_half"
                    if name not in weights:  # what comes from outside
                        nodes.append(helper.make_node("Cast", [name], [half[name]], to=TensorProto.FLOAT16))
                node.input[k] = half.get(name, name)
            for k, name in enumerate(node.output):
                half[name] = node.output[k] = f"{name}_half"
        nodes.append(node)
    outside = {name for node in rest for name in node.input} | {value.name for value in graph.output}
    inside = {name for node in body for name in node.output}
    nodes += [
        helper.make_node("Cast", [half[name]], [name], to=TensorProto.FLOAT)
        for name in sorted(outside)
        if half.get(name) in inside
    ]
    del graph.node[:], graph.value_info[:]  # the shapes were inferred for float32
    graph.node.extend(nodes + rest)
    for name in sorted(set(half) & set(weights)):
        graph.initializer.append(numpy_helper.from_array(_halved(name, weights[name]), half[name]))
    return _without_unused(model)


def _halved(name: str, values: Any) -> Any:
    if np.abs(values).max(initial=0) > LARGEST_HALF:
        raise BundleError(f"the weights {name} of the model are too large for float16: use precision float32")
    return values.astype(np.float16)


def _without_unused(model: ModelProto) -> ModelProto:
    """Drop the weights that no node reads any more."""
    used = {name for node in model.graph.node for name in node.input}
    kept = [weights for weights in model.graph.initializer if weights.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model
