"""ONNX graphs to measure: a model's for inputs of another size, and one of nothing but dense convolutions."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from auroramon.backends.precisions import to_half


def resized(graph: bytes, size: int) -> bytes:
    """Give the graph for inputs of another size: everything in it that depends on the size is worked out anew."""
    model = onnx.load_from_string(graph)
    del model.graph.value_info[:]
    for dimension in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dimension.dim_value = size
    return bytes(model.SerializeToString())


def gflop(graph: bytes) -> float:
    """Count the multiplications and additions of a frame's convolutions, in thousand millions."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(graph)).graph
    shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*model.value_info, *model.output)}
    weights = {w.name: list(w.dims) for w in model.initializer}
    return sum(
        2 * float(np.prod(weights[node.input[1]])) * float(np.prod(shapes[node.output[0]][2:])) / 1e9
        for node in model.node
        if node.op_type == "Conv"
    )


def dense(precision: str, channels: int = 128, layers: int = 6, size: int = 32) -> bytes:
    """Give a graph of nothing but 3x3 convolutions with many channels, and outputs as an engine has them."""
    rng = np.random.default_rng(0)
    first = rng.normal(0, 0.05, (channels, 2, 3, 3)).astype(np.float32)
    weights = [first, *(rng.normal(0, 0.03, (channels, channels, 3, 3)).astype(np.float32) for _ in range(layers))]
    names = ["inputs", *(f"c{k}" for k in range(len(weights)))]
    nodes = [
        helper.make_node("Conv", [names[k], f"w{k}"], [names[k + 1]], name=f"conv{k}", pads=[1, 1, 1, 1])
        for k in range(len(weights))
    ]
    nodes += [
        helper.make_node("GlobalAveragePool", [names[-1]], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embedding"]),
        helper.make_node("Identity", ["embedding"], ["head"]),
    ]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", channels]) for n in ("embedding", "head")]
    graph = helper.make_graph(
        nodes, "dense", [helper.make_tensor_value_info("inputs", TensorProto.FLOAT, ["batch", 2, size, size])],
        outputs, [numpy_helper.from_array(w, f"w{k}") for k, w in enumerate(weights)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if precision == "fp16":
        model = to_half(model)
    return _processor_int8(model, names) if precision == "int8" else bytes(model.SerializeToString())


def _processor_int8(model: onnx.ModelProto, names: list[str]) -> bytes:
    """Quantise as the bundle's int8 graph is, with ranges that fit numbers of this size."""
    from onnxruntime.quantization import CalibrationMethod
    from onnxruntime.quantization.calibrate import TensorsData

    from train.quantise import quantise

    with tempfile.TemporaryDirectory() as scratch:
        plain, int8 = Path(scratch) / "plain.onnx", Path(scratch) / "int8.onnx"
        onnx.save(model, plain)
        ranges = {name: (np.float32(-4), np.float32(4)) for name in names}
        quantise(plain, TensorsData(CalibrationMethod.MinMax, ranges), int8)
        return int8.read_bytes()
