"""From a torch network to ONNX, refused where the two do not agree."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from auroramon.backends.onnx import open_session
from auroramon.errors import BundleError
from train.backbones import Embedder
from train.embed import torch_embed

OPSET = 18
TOLERANCE = 1e-4
"""Greatest difference of an element of an embedding between torch and ONNX Runtime."""


def export_float32(net: Embedder, inputs: NDArray[np.float32], path: Path) -> float:
    """Write the ONNX graph of a network and give its greatest difference from torch.

    Args:
        net: in evaluation mode.
        inputs: (N,C,S,S) prepared frames on which the two are compared, at least 2.
        path: of the ONNX file.

    Raises:
        BundleError: the graph does not give what the network gives; no file is left.
    """
    _write_graph(net, inputs, path)
    try:
        return check_graph(path, net, inputs)
    except BundleError:
        path.unlink()
        raise


def check_graph(path: Path, net: Embedder, inputs: NDArray[np.float32]) -> float:
    """Compare a graph with its network on all frames at once and on each alone, and give the greatest difference.

    Raises:
        BundleError: they differ by more than the tolerance.
    """
    session = open_session(path, threads=1)
    name = session.get_inputs()[0].name
    wanted = torch_embed(net)(inputs)
    together = session.run(None, {name: inputs})[0]
    alone = np.concatenate([session.run(None, {name: inputs[k : k + 1]})[0] for k in range(len(inputs))])
    difference = float(max(np.abs(together - wanted).max(), np.abs(alone - wanted).max()))
    if not difference <= TOLERANCE:
        raise BundleError(
            f"the ONNX graph differs from the torch network by {difference:.2g} (at most {TOLERANCE:.0e} is allowed): "
            f"no model is written"
        )
    return difference


def _write_graph(net: Embedder, inputs: NDArray[np.float32], path: Path) -> None:
    with warnings.catch_warnings():
        # The exporter of torch 2.13 calls deprecated parts of torch itself.
        warnings.filterwarnings("ignore", category=FutureWarning)
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        program: Any = torch.onnx.export(
            net,
            (torch.from_numpy(inputs[:2]),),
            input_names=["inputs"],
            output_names=["embeddings"],
            dynamic_shapes={"inputs": {0: "batch"}},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    model: onnx.ModelProto = program.model_proto
    _forget_where_it_was_made(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _forget_where_it_was_made(model: onnx.ModelProto) -> None:
    """Remove the stack traces that the exporter attaches: they name the folders of the machine."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for item in [*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output]:
        del item.metadata_props[:]
        item.doc_string = ""
    model.doc_string = model.graph.doc_string = ""
    model.graph.name = "embedder"
