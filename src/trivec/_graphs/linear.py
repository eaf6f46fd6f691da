"""Linear layers and embeddings of a graph in the precisions that there are.

The biases of linear layers are left to what follows, which adds them for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from trivec._graphs.graph import MICROSOFT, Graph
from trivec.types import FloatArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Float32", "Int8", "Weights", "quantized_rows"]

_LARGEST = 127
_ROWS = 8192  # of a matrix at a time
_ZERO = 128  # of unsigned bytes that stand for signed ones


class Weights(Protocol):
    """How matrices are kept and multiplied."""

    def begin(self, graph: Graph, tokens: str) -> None:
        """Add what all layers share; ``tokens`` is the number of rows, as a ``(1,)`` shape."""
        ...

    def prepared(self, graph: Graph, rows: str, name: str, lowest: float | None = None) -> Any:
        """Make ``(tokens, inputs)`` rows ready to be multiplied, once for several layers.

        ``lowest`` is what no entry is below, if that is known.
        """
        ...

    def linear(self, graph: Graph, rows: Any, weight: FloatArray, name: str) -> str:
        """Multiply prepared rows by an ``(outputs, inputs)`` weight."""
        ...

    def embedding(self, graph: Graph, table: FloatArray, ids: str, name: str) -> str:
        """Take the rows of a table."""
        ...


class Float32:
    """Matrices as they are."""

    def begin(self, graph: Graph, tokens: str) -> None:
        """Add nothing."""

    def prepared(
        self,
        graph: Graph,  # noqa: ARG002  # Weights'
        rows: str,
        name: str,  # noqa: ARG002  # the same
        lowest: float | None = None,  # noqa: ARG002  # the same
    ) -> str:
        """Return the rows themselves."""
        return rows

    def linear(self, graph: Graph, rows: str, weight: FloatArray, name: str) -> str:
        """Multiply."""
        transposed = graph.constant(f"{name}.weight", weight.T)
        return graph.node("MatMul", [rows, transposed], f"{name}.product")

    def embedding(self, graph: Graph, table: FloatArray, ids: str, name: str) -> str:
        """Take the rows."""
        return graph.node("Gather", [graph.constant(f"{name}.weight", table), ids], f"{name}.rows")


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows in 8 bits: ``scale * (bytes - 128)``."""

    bytes: str
    scale: str


class Int8:
    """Weights in 8 bits with a scale for each output, activations with a scale for each token.

    ONNX Runtime's own dynamic quantisation takes one scale for all tokens of a batch: then a long
    word in one text changes the vectors of its neighbours. With a scale of its own a token is
    independent of the batch, and keeps more of its precision. Weights are symmetric, activations
    unsigned with their zero at 128, which is the combination that AVX-512 VNNI multiplies. Where a
    CPU would saturate on it, the weights are made unsigned when the graph is loaded.
    """

    _zeros = "token_zeros"

    def begin(self, graph: Graph, tokens: str) -> None:
        """Add the zero of each token, which the quantising operator wants by row."""
        zero = graph.constant("zeros", np.array([_ZERO], np.uint8))
        graph.node("Expand", [zero, tokens], self._zeros)

    def prepared(self, graph: Graph, rows: str, name: str, lowest: float | None = None) -> _Rows:
        """Quantise rows, each to its largest magnitude.

        A row of zeros has scale 0: whatever its bytes are then, its product is 0.
        """
        axis = graph.constant("last_axis", np.array([1]))
        largest = _largest(graph, rows, name, lowest)
        step = graph.constant("step", np.array([1 / _LARGEST], np.float32))
        scale = graph.node("Mul", [largest, step], f"{name}.scale")
        flat = graph.node("Squeeze", [scale, axis], f"{name}.flat_scale")
        inputs = [rows, flat, self._zeros]
        quantized = graph.node("QuantizeLinear", inputs, f"{name}.bytes", attributes={"axis": 0})
        return _Rows(quantized, scale)

    def linear(self, graph: Graph, rows: _Rows, weight: FloatArray, name: str) -> str:
        """Multiply 8-bit rows by an 8-bit weight into float32."""
        quantized, scale = quantized_rows(weight)
        inputs = [
            rows.bytes,
            graph.constant(f"{name}.weight", quantized.T),
            graph.constant("one", np.array(1, np.float32)),
            graph.constant(f"{name}.scale", scale),
            graph.constant("zero", np.array(_ZERO, np.uint8)),
        ]
        product = graph.node(
            "MatMulIntegerToFloat", inputs, f"{name}.integer_product", domain=MICROSOFT
        )
        return graph.node("Mul", [product, rows.scale], f"{name}.product")

    def embedding(self, graph: Graph, table: FloatArray, ids: str, name: str) -> str:
        """Take 8-bit rows and widen them."""
        quantized, scale = quantized_rows(table)
        weight = graph.constant(f"{name}.weight", quantized)
        scales = graph.constant(f"{name}.scale", scale[:, None])
        taken = graph.node("Gather", [weight, ids], f"{name}.bytes")
        widened = graph.node("Cast", [taken], f"{name}.widened", attributes={"to": 1})
        factor = graph.node("Gather", [scales, ids], f"{name}.factor")
        return graph.node("Mul", [widened, factor], f"{name}.rows")


def _largest(graph: Graph, rows: str, name: str, lowest: float | None) -> str:
    """Add the largest magnitude of each row, or a little more; a known bound saves a pass."""
    axis = graph.constant("last_axis", np.array([1]))
    kept = {"keepdims": 1}
    if lowest is None:
        magnitudes = graph.node("Abs", [rows], f"{name}.magnitudes")
        return graph.node("ReduceMax", [magnitudes, axis], f"{name}.largest", attributes=kept)
    highest = graph.node("ReduceMax", [rows, axis], f"{name}.highest", attributes=kept)
    depth = graph.constant(f"depth_{-lowest:g}", np.array([-lowest], np.float32))
    return graph.node("Max", [highest, depth], f"{name}.largest")


def quantized_rows(matrix: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """Return a matrix in 8 bits and the scale of each row.

    Some rows at a time: the vocabulary of BGE-M3 takes a gigabyte in float32.
    """
    quantized = np.empty(matrix.shape, np.int8)
    scale = np.empty(len(matrix), np.float32)
    for start in range(0, len(matrix), _ROWS):
        rows = matrix[start : start + _ROWS]
        steps = np.maximum(np.abs(rows).max(axis=1), 1e-12) / np.float32(_LARGEST)
        scale[start : start + _ROWS] = steps
        quantized[start : start + _ROWS] = np.rint(rows / steps[:, None])
    return quantized, scale
