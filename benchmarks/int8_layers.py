"""What more convolutions in float32 give the GPU's int8 graph: labels kept, against the work that is left to int8.

    python -m benchmarks.int8_layers [BUNDLE] [--frames 3000]

The graph runs on the processor, whose sums are not a card's to the last bit. The frames are simulated, the first of
them those that an engine is tried on (auroramon/backends/trust.py).
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto

from auroramon.backends.precisions import FIRST_KEPT, to_half, to_int8
from auroramon.backends.trust import simulated_inputs
from auroramon.bundle import FLOAT32, ModelBundle, default_bundle, load_bundle
from benchmarks.machine import machine

PARTS = (0.0, 0.25, 0.4, 0.5, 0.6, 0.7, FIRST_KEPT, 0.8)
BATCH = 64


def main() -> None:
    """Print a line for each part of the convolutions kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, nargs="?", default=default_bundle())
    parser.add_argument("--frames", type=int, default=3000)
    words = parser.parse_args()
    bundle = load_bundle(words.bundle)
    inputs = np.concatenate(list(simulated_inputs(bundle.preprocess, words.frames)))
    graph = onnx.load(bundle.graph(FLOAT32))
    wanted = _embed(graph, inputs)
    work = _products(graph, inputs.shape[1:])
    print(machine())
    print(f"{bundle.name}: {len(inputs)} simulated frames\n")
    print("| the GPU's graph | labels of float32 kept | least cosine | mean cosine | products in int8 |")
    print("|---|---:|---:|---:|---:|")
    print(_line("fp16", _embed(to_half(onnx.load(bundle.graph(FLOAT32))), inputs), wanted, bundle, 0.0))
    for part in PARTS:
        made = to_int8(bundle.graph(FLOAT32), bundle.activation_ranges, part)
        rounded = {node.name for node in made.graph.node if node.op_type == "Conv" and _is_int8(made, node.input[0])}
        left = sum(work[name] for name in rounded) / sum(work.values())
        name = f"int8, the first {part:.0%} of the convolutions in float32"
        print(_line(name, _embed(made, inputs), wanted, bundle, left))


def _line(name: str, found: NDArray[np.float32], wanted: NDArray[np.float32], bundle: ModelBundle, int8: float) -> str:
    same = [a.label == b.label for a, b in zip(bundle.head.predict(found), bundle.head.predict(wanted), strict=True)]
    cosine = np.sum(found * wanted, axis=1)
    return f"| {name} | {np.mean(same):.2%} | {cosine.min():.4f} | {cosine.mean():.6f} | {int8:.0%} |"


def _embed(graph: ModelProto, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    import onnxruntime  # behind auroramon.backends, which keeps it from telling that it is used

    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    parts = [session.run(None, {name: inputs[k : k + BATCH]})[0] for k in range(0, len(inputs), BATCH)]
    return np.concatenate(parts)


def _is_int8(graph: ModelProto, tensor: str) -> bool:
    return any(node.op_type == "DequantizeLinear" and tensor in node.output for node in graph.graph.node)


def _products(graph: ModelProto, shape: tuple[int, ...]) -> dict[str, int]:
    """Give the products that each convolution makes of one frame."""
    one = ModelProto()
    one.CopyFrom(graph)
    for axis, size in zip(one.graph.input[0].type.tensor_type.shape.dim, (1, *shape), strict=True):
        axis.dim_value = size
    shapes = {
        value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in onnx.shape_inference.infer_shapes(one, data_prop=True).graph.value_info
    }
    weights = {weight.name: weight.dims for weight in graph.graph.initializer}
    return {
        node.name: math.prod(shapes[node.output[0]][2:]) * math.prod(weights[node.input[1]])
        for node in graph.graph.node
        if node.op_type == "Conv"
    }


if __name__ == "__main__":
    main()
