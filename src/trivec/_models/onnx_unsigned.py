"""An int8 graph with the same weights as unsigned bytes, for CPUs that multiply those exactly.

Flipping the top bit of a signed byte adds 128: with a zero point of 128 the product is the same
integer. No file is written: the weights are flipped in memory while the graph is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trivec._models.onnx_proto import ELEMENT_TYPES, message

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["UnsignedGraph"]

_OPERATOR = "MatMulIntegerToFloat"
_WEIGHT, _WEIGHT_ZERO = 1, 5  # inputs of that operator
_SIGN = 0x80
_UINT8, _INT8 = ELEMENT_TYPES["uint8"], ELEMENT_TYPES["int8"]
_ZERO = "unsigned_weight_zero"


class UnsignedGraph:
    """An exported int8 graph whose matrices are unsigned.

    Args:
        file: the graph as it was exported, its weights beside it.

    Attributes:
        folder: where the files are that the graph names; not the graph's own if that is a link.
    """

    def __init__(self, file: Path) -> None:
        self._model = message("Model")
        self._model.ParseFromString(file.read_bytes())
        self._flipped = list(self._flip())
        self.folder = file.parent
        self._follow_links()

    @property
    def model(self) -> bytes:
        """The graph itself."""
        content: bytes = self._model.SerializeToString()
        return content

    def weights(self) -> dict[str, NDArray[np.uint8]]:
        """Return the matrices that lie beside the graph, read and flipped.

        Raises:
            OSError: the file is not there.
            ValueError: it is too short.
        """
        # one block: many of some megabytes would leave holes between those of the runtime
        block = np.empty(sum(int(_place(tensor)["length"]) for tensor in self._flipped), np.uint8)
        weights, start = {}, 0
        for tensor in self._flipped:
            place = _place(tensor)
            length = int(place["length"])
            weight = block[start : start + length]
            with (self.folder / place["location"]).open("rb") as stream:
                stream.seek(int(place["offset"]))
                if stream.readinto(weight.data) != length:
                    raise ValueError(f"{stream.name} is cut off")
            weight ^= _SIGN
            weights[tensor.name] = weight.reshape(tensor.dims)
            start += length
        return weights

    def _follow_links(self) -> None:
        """Name the files that links lead to; the runtime leaves no folder."""
        folder = self.folder
        for tensor in self._model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    target = (folder / entry.value).resolve()
                    self.folder, entry.value = target.parent, target.name

    def _flip(self) -> Iterator[Any]:
        """Make the matrices unsigned; yield those that lie beside the graph."""
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
                yield tensor
            else:
                signed = np.frombuffer(tensor.raw_data, np.uint8)
                tensor.raw_data = (signed ^ np.uint8(_SIGN)).tobytes()
        graph.initializer.append(
            message("Tensor", name=_ZERO, data_type=_UINT8, raw_data=bytes([_SIGN]))
        )


def _place(tensor: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in tensor.external_data}
