"""The heads on top of an encoder's last states; in float32 in every precision, they cost little."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trivec._graphs.checkpoint import Checkpoint
from trivec._graphs.graph import Graph
from trivec._models.onnx_folder import WITH_COLBERT
from trivec.types import FloatArray

__all__ = ["add_classifier", "add_dense_head", "add_m3_heads", "add_token_states"]


def add_m3_heads(
    graph: Graph,
    states: str,
    *,
    pooling: str,
    normalize: bool,
    sparse: Mapping[str, FloatArray],
    colbert: Mapping[str, FloatArray],
) -> None:
    """Add the outputs of an M3 model.

    - ``token_states``: ``(texts, length, hidden)``;
    - ``dense``: ``(texts, hidden)``;
    - ``sparse``: ``(texts, length)``, the weight of each token;
    - ``colbert``: ``(texts, length, dim)``; ``(0,)`` where the input ``with_colbert`` is false.

    ONNX Runtime computes every output whichever are fetched. So the one head that costs something
    has a switch.
    """
    hidden, dim = sparse["weight"].shape[1], len(colbert["weight"])
    add_dense_head(graph, states, hidden, pooling=pooling, normalize=normalize)
    weights = graph.node("Relu", [_linear(graph, states, sparse, "sparse_linear")], "sparse_rows")
    graph.node("Reshape", [weights, "shape"], "sparse")
    graph.output("sparse", "float32", ["texts", "length"])
    _add_colbert(graph, states, colbert, normalize=normalize)
    graph.output("colbert", "float32", ["texts", "length", dim])


def add_dense_head(
    graph: Graph, states: str, hidden: int, *, pooling: str, normalize: bool
) -> None:
    """Add the outputs ``token_states``, ``(texts, length, hidden)``, and ``dense`` of a model."""
    add_token_states(graph, states, "token_states", hidden)
    pooled = _pooled(graph, pooling)
    _normalized(graph, pooled, "dense") if normalize else graph.node("Identity", [pooled], "dense")
    graph.output("dense", "float32", ["texts", hidden])


def add_token_states(graph: Graph, states: str, name: str, hidden: int) -> None:
    """Add ``(tokens, hidden)`` states as an output ``(texts, length, hidden)``."""
    graph.node("Reshape", [states, "states_shape"], name)
    graph.output(name, "float32", ["texts", "length", hidden])


def add_classifier(graph: Graph, states: str, checkpoint: Checkpoint) -> None:
    """Add the output ``logits``, ``(texts, 1)``, of a sequence classifier.

    RoBERTa's head and BERT's pooler with its classifier are the same two layers.
    """
    names = ("classifier.dense", "classifier.out_proj")
    if checkpoint.shape.pad is None:
        names = (f"{checkpoint.prefix}pooler.dense", "classifier")
    graph.node("Reshape", [states, "states_shape"], "token_states")
    rows = _pooled(graph, "cls")
    for name, activation in zip(names, ("Tanh", "Identity"), strict=True):
        layer = {kind: checkpoint.read(f"{name}.{kind}") for kind in ("weight", "bias")}
        output = "logits" if activation == "Identity" else f"{name}.active"
        rows = graph.node(activation, [_linear(graph, rows, layer, name)], output)
    graph.output("logits", "float32", ["texts", 1])


def _pooled(graph: Graph, pooling: str) -> str:
    """Add what of the token states becomes a text's one vector."""
    if pooling == "cls":
        first = graph.constant("index_0", np.array(0))
        return graph.node("Gather", ["token_states", first], "pooled", attributes={"axis": 1})
    axis = graph.constant("last_axis", np.array([1]))
    real = graph.node("Cast", ["attention_mask"], "mask_numbers", attributes={"to": 1})
    count = graph.node("ReduceSum", [real, axis], "mask_sum", attributes={"keepdims": 1})
    shares = graph.node("Div", [real, count], "mask_shares")
    rows = graph.node("Unsqueeze", [shares, axis], "mask_rows")  # (texts, 1, length)
    averaged = graph.node("MatMul", [rows, "token_states"], "averaged")
    return graph.node("Squeeze", [averaged, axis], "pooled")


def _add_colbert(
    graph: Graph, states: str, head: Mapping[str, FloatArray], *, normalize: bool
) -> None:
    dim = len(head["weight"])
    last = graph.constant("colbert_dim", np.array([dim]))
    graph.node("Concat", ["shape", last], "colbert_shape", attributes={"axis": 0})
    graph.switch(WITH_COLBERT, default=True)

    def rows() -> str:
        product = _linear(graph, states, head, "colbert_linear")
        if normalize:
            product = _normalized(graph, product, "colbert_normalized")
        return graph.node("Reshape", [product, "colbert_shape"], "colbert_rows")

    def nothing() -> str:
        empty = graph.constant("no_rows", np.empty((0, 0, dim), np.float32))
        return graph.node("Identity", [empty], "colbert_nothing")

    branches = {"then_branch": graph.branch(rows), "else_branch": graph.branch(nothing)}
    graph.node("If", [WITH_COLBERT], "colbert", attributes=branches)


def _linear(graph: Graph, rows: str, layer: Mapping[str, FloatArray], name: str) -> str:
    weight = graph.constant(f"{name}.weight", layer["weight"].T)
    bias = graph.constant(f"{name}.bias", layer["bias"])
    product = graph.node("MatMul", [rows, weight], f"{name}.product")
    return graph.node("Add", [product, bias], f"{name}.sum")


def _normalized(graph: Graph, rows: str, name: str) -> str:
    """Give rows unit length; a zero row stays zero."""
    axis = graph.constant("vector_axis", np.array([-1]))
    length = graph.node("ReduceL2", [rows, axis], f"{name}.length", attributes={"keepdims": 1})
    least = graph.constant("least_length", np.array(1e-12, np.float32))
    positive = graph.node("Max", [length, least], f"{name}.positive_length")
    return graph.node("Div", [rows, positive], name)
