"""The ONNX graph that an engine is compiled from: the embedder with its head behind it, in the precision asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from auroramon.backends.precisions import to_half, to_int8
from auroramon.bundle import ModelBundle
from auroramon.errors import BundleError, MissingPartError
from auroramon.heads import Clusters, Head, RidgeHead

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

EnginePrecision = Literal["float32", "fp16", "int8"]

INPUT, EMBEDDING, HEAD = "inputs", "embedding", "head"
RECIPE = 2
"""Changes whenever this package makes another graph of the same model: engines of another recipe are built anew."""


def engine_graph(bundle: ModelBundle, precision: EnginePrecision) -> bytes:
    """Give the ONNX file of the embedder and its head: `inputs` (N,C,S,S) to `embedding` (N,D) and `head` (N,K).

    `head` holds what `head_numbers` says. All three are float32 in every precision.

    Raises:
        BundleError: the model has no calibration ranges for int8, or a weight is beyond float16.
        MissingPartError: the onnx library is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingPartError(
            "building an engine needs the onnx library: pip install 'auroramon[tensorrt-rtx]' (or [tensorrt])"
        ) from error
    path = bundle.graph("float32")
    if precision == "int8" and not bundle.activation_ranges:
        raise BundleError(
            f"model {bundle.name} in {bundle.folder} has no calibration ranges, which an int8 engine is made from: "
            f"use precision fp16"
        )
    model = to_int8(path, bundle.activation_ranges) if precision == "int8" else onnx.load(path)
    _rename(model.graph, model.graph.input[0].name, INPUT)
    _rename(model.graph, model.graph.output[0].name, EMBEDDING)
    if precision == "fp16":
        model = to_half(model)
    _append_head(model.graph, bundle.head)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def head_numbers(head: Head, embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give (N,K) what the engine's `head` must hold for (N,D) embeddings: the reference, in NumPy.

    The linear scores of a ridge head; the squared distances to the class means of a Mahalanobis head. The temperature
    is not in them, so a head that is calibrated anew keeps its meaning.
    """
    return head.logits(embeddings) if isinstance(head, RidgeHead) else head.logits(embeddings) * -2


def _rename(graph: GraphProto, old: str, new: str) -> None:
    """Give a tensor another name; a tensor inside that has this name already gives way."""
    if old == new:
        return
    names = {old: new, new: f"{new}_inside"}
    for node in graph.node:
        for listed in (node.input, node.output):
            for k, name in enumerate(listed):
                listed[k] = names.get(name, name)
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)


def _append_head(graph: GraphProto, head: Head) -> None:
    """Let the graph go on from the embedding to the head's numbers, in float32."""
    from onnx import TensorProto, helper

    _rename(graph, HEAD, f"{HEAD}_of_embedder")
    # Rounded as it is stored: the head then says the same of a frame today and, years later, from the database.
    nodes = [
        helper.make_node("Cast", [EMBEDDING], ["head_stored"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["head_stored"], ["head_embedding"], to=TensorProto.FLOAT),
    ]
    if isinstance(head, RidgeHead):
        nodes += _ridge(graph, head)
    else:
        nodes += _distances(graph, head.clusters)
    graph.node.extend(nodes)
    batch = graph.output[0].type.tensor_type.shape.dim[0].dim_param or "batch"
    graph.output.append(helper.make_tensor_value_info(HEAD, TensorProto.FLOAT, [batch, len(head.labels)]))


def _ridge(graph: GraphProto, head: RidgeHead) -> list[NodeProto]:
    """w.x + b for every class: (N,D) to (N,K).

    Products are summed one by one, here and below: TensorRT for RTX has no float32 matrix product on Turing cards,
    and where it has one, it may round to TF32.
    """
    from onnx import helper

    _constant(graph, "head_coef", head.coef)  # (K,D)
    _constant(graph, "head_intercept", head.intercept)
    _constant(graph, "head_axis", np.array([1], dtype=np.int64))
    _constant(graph, "head_last", np.array([2], dtype=np.int64))
    return [
        helper.make_node("Unsqueeze", ["head_embedding", "head_axis"], ["head_row"]),  # (N,1,D)
        helper.make_node("Mul", ["head_row", "head_coef"], ["head_products"]),  # (N,K,D)
        helper.make_node("ReduceSum", ["head_products", "head_last"], ["head_linear"], keepdims=0),
        helper.make_node("Add", ["head_linear", "head_intercept"], [HEAD]),
    ]


def _distances(graph: GraphProto, clusters: Clusters) -> list[NodeProto]:
    """|F^T (x - m)|^2 for every class, F F^T being the inverse covariance: (N,D) to (N,K)."""
    from onnx import helper

    classes, width = clusters.means.shape
    factor = np.linalg.cholesky(clusters.precision.reshape(-1, width, width))
    columns = np.broadcast_to(factor.transpose(0, 2, 1), (classes, width, width))
    _constant(graph, "head_means", clusters.means[:, None, :])  # (K,1,D)
    _constant(graph, "head_factor", columns[:, None])  # (K,1,E,D)
    _constant(graph, "head_axis", np.array([2], dtype=np.int64))
    _constant(graph, "head_last", np.array([3], dtype=np.int64))
    return [
        helper.make_node("Sub", ["head_embedding", "head_means"], ["head_apart"]),  # (K,N,D)
        helper.make_node("Unsqueeze", ["head_apart", "head_axis"], ["head_row"]),  # (K,N,1,D)
        helper.make_node("Mul", ["head_row", "head_factor"], ["head_products"]),  # (K,N,E,D)
        helper.make_node("ReduceSum", ["head_products", "head_last"], ["head_white"], keepdims=0),
        helper.make_node("Mul", ["head_white", "head_white"], ["head_squares"]),
        helper.make_node("ReduceSum", ["head_squares", "head_axis"], ["head_by_class"], keepdims=0),  # (K,N)
        helper.make_node("Transpose", ["head_by_class"], [HEAD], perm=[1, 0]),
    ]


def _constant(graph: GraphProto, name: str, values: NDArray[Any]) -> None:
    from onnx import numpy_helper

    kept = values if values.dtype == np.int64 else values.astype(np.float32)
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(kept), name))
