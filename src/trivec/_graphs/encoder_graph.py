"""The graph of an XLM-RoBERTa or BERT encoder, in ONNX Runtime's fused operators.

It is written down rather than traced: the architecture is fixed and small, each operator and the
layout of each weight can be chosen, and nothing depends on how a library phrases its forward.
Tokens are rows of one matrix throughout; only attention sees the texts they belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from trivec._graphs.checkpoint import Checkpoint
from trivec._graphs.graph import MICROSOFT, Branch, Graph
from trivec._graphs.linear import Weights
from trivec.types import FloatArray

__all__ = ["add_encoder", "layer_states"]

_FLATTEN = np.array([-1])
_GELU_LOWEST = -0.17  # -.16997, at -.7518


def add_encoder(
    graph: Graph, checkpoint: Checkpoint, weights: Weights, *, with_types: bool = False
) -> str:
    """Add the inputs and all layers; return the name of the ``(tokens, hidden)`` last states.

    The inputs are ``input_ids`` and ``attention_mask``, ``(texts, length)`` int64, texts padded on
    the right; with ``with_types`` also ``token_type_ids``.

    Besides what it returns, ``shape`` names the shape of ``input_ids``.
    """
    ids = graph.input("input_ids", "int64", ["texts", "length"])
    mask = graph.input("attention_mask", "int64", ["texts", "length"])
    flatten = graph.constant("flatten", _FLATTEN)
    graph.node("Shape", [ids], "shape")
    tokens = graph.node("Reshape", [ids, flatten], "tokens")
    weights.begin(graph, graph.node("Shape", [tokens], "token_count"))
    _add_lengths(graph, mask)
    states = _embeddings(graph, checkpoint, weights, tokens, with_types=with_types)
    width = graph.constant("width", np.array([checkpoint.shape.hidden_size]))
    graph.node("Concat", ["shape", width], "states_shape", attributes={"axis": 0})
    for layer in range(checkpoint.shape.layers):
        states = _layer(graph, checkpoint, weights, states, f"encoder.layer.{layer}")
    return states


def layer_states(layer: int) -> str:
    """Return the name of the ``(tokens, hidden)`` states that a layer gives, counted from 1."""
    return f"encoder.layer.{layer - 1}.output.LayerNorm.rows"


def _add_lengths(graph: Graph, mask: str) -> None:
    """Add how long each text is, and whether none is padded, in which case no mask is needed."""
    axis = graph.constant("last_axis", np.array([1]))
    lengths = graph.node("ReduceSum", [mask, axis], "lengths64", attributes={"keepdims": 0})
    graph.node("Cast", [lengths], "lengths", attributes={"to": 6})  # int32
    shortest = graph.node("ReduceMin", [mask], "least_mask", attributes={"keepdims": 0})
    graph.node("Cast", [shortest], "unpadded", attributes={"to": 9})  # bool


def _embeddings(
    graph: Graph, checkpoint: Checkpoint, weights: Weights, tokens: str, *, with_types: bool
) -> str:
    name = "embeddings"
    words = weights.embedding(
        graph,
        checkpoint.encoder(f"{name}.word_embeddings.weight"),
        tokens,
        f"{name}.word_embeddings",
    )
    table = checkpoint.encoder(f"{name}.position_embeddings.weight")
    types = checkpoint.encoder(f"{name}.token_type_embeddings.weight")
    if not with_types:  # every token is of the first type: fold it into the positions
        table = table + types[0]
    places = graph.constant(f"{name}.position_embeddings.weight", table)
    positions = graph.node("Gather", [places, _positions(graph, checkpoint)], f"{name}.positions")
    if with_types:
        graph.input("token_type_ids", "int64", ["texts", "length"])
        kinds = graph.constant(f"{name}.token_type_embeddings.weight", types)
        flat = graph.node("Reshape", ["token_type_ids", "flatten"], f"{name}.type_ids")
        chosen = graph.node("Gather", [kinds, flat], f"{name}.types")
        positions = graph.node("Add", [positions, chosen], f"{name}.positions_and_types")
    return _normalized_sum(graph, checkpoint, (words, positions), f"{name}.LayerNorm")


def _positions(graph: Graph, checkpoint: Checkpoint) -> str:
    """Add the position of every token, flat."""
    pad = checkpoint.shape.pad
    if pad is None:
        length = graph.node("Gather", ["shape", graph.constant("index_1", np.array(1))], "length")
        start = graph.constant("range_start", np.array(0))
        row = graph.node("Range", [start, length, "index_1"], "position_row")
        expanded = graph.node("Expand", [row, "shape"], "position_rows")
        return graph.node("Reshape", [expanded, "flatten"], "position_ids")
    # as XLM-RoBERTa counts: padding ids, wherever they stand, have the padding's position
    padding = graph.constant("padding", np.array(pad))
    is_padding = graph.node("Equal", ["input_ids", padding], "is_padding")
    counted = graph.node("Not", [is_padding], "counted")
    numbers = graph.node("Cast", [counted], "counted64", attributes={"to": 7})
    axis = graph.constant("length_axis", np.array(1))
    running = graph.node("CumSum", [numbers, axis], "running")
    masked = graph.node("Mul", [running, numbers], "running_of_tokens")
    places = graph.node("Add", [masked, padding], "position_rows")
    return graph.node("Reshape", [places, "flatten"], "position_ids")


def _layer(graph: Graph, checkpoint: Checkpoint, weights: Weights, states: str, name: str) -> str:
    def linear(rows: Any, layer: str) -> str:
        weight = checkpoint.encoder(f"{name}.{layer}.weight")
        return weights.linear(graph, rows, weight, f"{name}.{layer}")

    def bias(layer: str) -> FloatArray:
        return checkpoint.encoder(f"{name}.{layer}.bias")

    kinds = ("query", "key", "value")
    prepared = weights.prepared(graph, states, f"{name}.attention.input")
    stacked = np.concatenate(
        [checkpoint.encoder(f"{name}.attention.self.{kind}.weight") for kind in kinds]
    )
    # one product and a split are quicker than three products
    product = weights.linear(graph, prepared, stacked, f"{name}.attention.self")
    projections = graph.split(product, [f"{name}.attention.self.{kind}" for kind in kinds])
    biases = np.concatenate([bias(f"attention.self.{kind}") for kind in kinds])
    context = _attention(graph, checkpoint, projections, biases, f"{name}.attention")
    prepared = weights.prepared(graph, context, f"{name}.attention.output.input")
    attended = linear(prepared, "attention.output.dense")
    states = _normalized_sum(
        graph,
        checkpoint,
        (attended, states),
        f"{name}.attention.output.LayerNorm",
        bias("attention.output.dense"),
    )
    prepared = weights.prepared(graph, states, f"{name}.intermediate.input")
    widened = linear(prepared, "intermediate.dense")
    widened_bias = graph.constant(f"{name}.intermediate.bias", bias("intermediate.dense"))
    # the runtime's fused BiasGelu is a third slower than its parts
    widened = graph.node("Add", [widened, widened_bias], f"{name}.intermediate.sum")
    active = graph.node("Gelu", [widened], f"{name}.intermediate.active", domain=MICROSOFT)
    prepared = weights.prepared(graph, active, f"{name}.output.input", _GELU_LOWEST)
    narrowed = linear(prepared, "output.dense")
    return _normalized_sum(
        graph, checkpoint, (narrowed, states), f"{name}.output.LayerNorm", bias("output.dense")
    )


def _attention(
    graph: Graph,
    checkpoint: Checkpoint,
    projections: Sequence[str],
    biases: FloatArray,
    name: str,
) -> str:
    """Add multi-head attention within each text; return flat rows.

    Without padding no mask is passed: the runtime then takes its flash attention, whose memory
    does not grow with the square of the length.
    """
    shape = checkpoint.shape
    operands = [
        graph.node("Reshape", [rows, "states_shape"], f"{rows}.texts") for rows in projections
    ]
    operands.append(graph.constant(f"{name}.bias", biases))

    def attend(branch: str, mask: Sequence[str]) -> Branch:
        return graph.branch(
            lambda: graph.node(
                "MultiHeadAttention",
                [*operands, *mask],
                f"{name}.{branch}",
                domain=MICROSOFT,
                attributes={"num_heads": shape.attention_heads},
            )
        )

    branches = {"then_branch": attend("whole", ()), "else_branch": attend("masked", ("lengths",))}
    context = graph.node("If", ["unpadded"], f"{name}.context", attributes=branches)
    rows_shape = graph.constant("rows_shape", np.array([-1, shape.hidden_size]))
    return graph.node("Reshape", [context, rows_shape], f"{name}.context_rows")


def _normalized_sum(
    graph: Graph,
    checkpoint: Checkpoint,
    addends: tuple[str, str],
    name: str,
    bias: FloatArray | None = None,
) -> str:
    """Add layer normalisation of a sum of rows, and of a bias."""
    total = graph.node("Add", list(addends), f"{name}.sum")
    if bias is not None:
        addend = graph.constant(f"{name}.addend", bias)
        total = graph.node("Add", [total, addend], f"{name}.sum_with_bias")
    operands = [
        total,
        graph.constant(f"{name}.weight", checkpoint.encoder(f"{name}.weight")),
        graph.constant(f"{name}.bias", checkpoint.encoder(f"{name}.bias")),
    ]
    # the runtime's fused SkipLayerNormalization is a scalar loop, four times as slow
    settings = {"epsilon": checkpoint.shape.epsilon, "axis": -1}
    return graph.node("LayerNormalization", operands, f"{name}.rows", attributes=settings)
