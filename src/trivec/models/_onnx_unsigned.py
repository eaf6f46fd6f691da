"""An int8 graph with the same weights as unsigned bytes, for CPUs that multiply those exactly.

Flipping the top bit of a signed byte adds 128: with a zero point of 128 the product is the same
integer. No file is written: the weights are flipped in memory while the graph is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trivec.models._onnx_proto import message

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["UnsignedGraph"]

_OPERATOR = "MatMulIntegerToFloat"
_WEIGHT, _WEIGHT_ZERO = 1, 5  # inputs of that operator
_SIGN = 0x80
_UINT8, _INT8 = 2, 3  # TensorProto.DataType
_TYPES = {1: np.float32, _UINT8: np.uint8, _INT8: np.int8, 6: np.int32, 7: np.int64}
_ZERO = "unsigned_weight_zero"


class UnsignedGraph:
    """An exported int8 graph whose matrices are unsigned.

    Args:
        file: the graph as it was exported, its weights beside it.
    """

    def __init__(self, file: Path) -> None:
        self._folder = file.parent
        self._model = message("Model")
        self._model.ParseFromString(file.read_bytes())
        self._flipped = set(self._flip())

    @property
    def model(self) -> bytes:
        """The graph without the weights that lie beside it."""
        content: bytes = self._model.SerializeToString()
        return content

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return what lies beside the graph: matrices read and flipped, all else mapped.

        Raises:
            OSError: a file is not there.
            ValueError: it is too short.
        """
        files: dict[Path, NDArray[np.uint8]] = {}
        weights = {}
        for tensor in self._model.graph.initializer:
            if not tensor.external_data:
                continue
            place = {entry.key: entry.value for entry in tensor.external_data}
            file = self._folder / place["location"]
            start, length = int(place["offset"]), int(place["length"])
            if tensor.name in self._flipped:  # read, since what is mapped would count twice
                content = np.fromfile(file, np.uint8, length, offset=start)
                content ^= _SIGN
            else:
                if file not in files:
                    files[file] = np.memmap(file, np.uint8, "r")
                content = files[file][start : start + length]
            weights[tensor.name] = content.view(_TYPES[tensor.data_type]).reshape(tensor.dims)
        return weights

    def _flip(self) -> Iterator[str]:
        """Make the matrices unsigned; yield the names of those that lie beside the graph."""
        graph = self._model.graph
        tensors = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type != _OPERATOR or len(node.input) > _WEIGHT_ZERO:
                continue
            node.input.append(_ZERO)
            tensor = tensors[node.input[_WEIGHT]]
            if tensor.data_type != _INT8:  # another product's too, and done
                continue
            tensor.data_type = _UINT8
            if tensor.external_data:
                yield tensor.name
            else:
                signed = np.frombuffer(tensor.raw_data, np.uint8)
                tensor.raw_data = (signed ^ np.uint8(_SIGN)).tobytes()
        graph.initializer.append(
            message("Tensor", name=_ZERO, data_type=_UINT8, raw_data=bytes([_SIGN]))
        )
