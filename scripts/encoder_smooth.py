"""Even out activations before they are rounded to int8, so that a few loud channels do not cost the rest their digits.

Dynamic quantisation has one scale for all channels of an activation. Where a channel is twenty times louder than most,
most have four bits left. Dividing each channel before a product, and multiplying the rows of its weights instead,
changes nothing in exact arithmetic. Source: Xiao and others 2023, SmoothQuant (arXiv 2211.10438).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

EVENNESS = 0.75
"""Share of a channel's loudness that moves into the weights: 0 leaves all in the activations, 1 moves all."""
_SMOOTHED = ("gelu", "layer_norm")

Feed = dict[str, np.ndarray]


def smoothed(model: onnx.ModelProto, feeds: Sequence[Feed]) -> onnx.ModelProto:
    """The same function, with activations evened out as these feeds show how loud each channel gets."""
    even = onnx.ModelProto()
    even.CopyFrom(model)
    graph = even.graph
    weights = {one.name: one for one in graph.initializer}
    products: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights and node.input[0].startswith(_SMOOTHED):
            products.setdefault(node.input[0], []).append(node)
    loudest = _loudest(model, list(products), feeds)
    divisions = {}
    for name, nodes in products.items():
        tables = [numpy_helper.to_array(weights[node.input[1]]) for node in nodes]
        scale = _scale(loudest[name], np.max([np.abs(table).max(axis=1) for table in tables], axis=0))
        for node, table in zip(nodes, tables, strict=True):
            weights[node.input[1]].CopyFrom(numpy_helper.from_array(table * scale[:, None], node.input[1]))
            node.input[0] = f"{name}_even"
        graph.initializer.append(numpy_helper.from_array(1 / scale, f"{name}_scale"))
        divisions[name] = helper.make_node("Mul", [name, f"{name}_scale"], [f"{name}_even"], name=f"even_{name}")
    nodes = [part for node in graph.node for part in (node, *(divisions[o] for o in node.output if o in divisions))]
    del graph.node[:]
    graph.node.extend(nodes)
    return even


def _scale(loudest: np.ndarray, heaviest: np.ndarray) -> np.ndarray:
    """One factor a channel, of geometric mean 1."""
    logs = EVENNESS * np.log(np.maximum(loudest, 1e-5)) - (1 - EVENNESS) * np.log(np.maximum(heaviest, 1e-5))
    return np.exp(logs - logs.mean()).astype(np.float32)


def _loudest(model: onnx.ModelProto, names: list[str], feeds: Sequence[Feed]) -> dict[str, np.ndarray]:
    """The largest absolute value of each channel of these activations, over the feeds."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    found = [
        [np.abs(value).reshape(-1, value.shape[-1]).max(axis=0) for value in session.run(names, feed)] for feed in feeds
    ]
    return {name: np.max([row[at] for row in found], axis=0) for at, name in enumerate(names)}
