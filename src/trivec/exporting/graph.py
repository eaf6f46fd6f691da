"""An ONNX graph under construction, its weights written to one file beside it as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

__all__ = ["MICROSOFT", "Graph"]

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own fused operators."""

_OPSETS = {"": 21, MICROSOFT: 1}
_IR_VERSION = 10  # of opset 21; newer ones would ask for a newer runtime
_INLINE_BYTES = 1024
_ALIGNMENT = 4096  # a page, so that the runtime can map a tensor rather than read it


class Graph:
    """Nodes and constants in the order in which they are added.

    Args:
        weights: where large constants are written.
        location: that file's name, as the graph will refer to it.
    """

    def __init__(self, weights: IO[bytes], location: str) -> None:
        self._weights, self._location = weights, location
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: str, shape: Sequence[int | str]) -> str:
        """Declare an input; ``kind`` is the name of an element type, as ``INT64``."""
        self._inputs.append(_value(name, kind, shape))
        return name

    def switch(self, name: str, *, default: bool) -> str:
        """Declare an input that may be left out."""
        self.constant(name, np.array(default))
        return self.input(name, "BOOL", [])

    def output(self, name: str, kind: str, shape: Sequence[int | str]) -> None:
        """Declare that the value of this name is an output."""
        self._outputs.append(_value(name, kind, shape))

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        name: str,
        *,
        domain: str = "",
        attributes: Mapping[str, Any] | None = None,
    ) -> str:
        """Add a node with one output, which has its name; return the name."""
        from onnx import helper

        self._nodes.append(
            helper.make_node(
                operator, list(inputs), [name], name=name, domain=domain, **(attributes or {})
            )
        )
        return name

    def split(self, rows: str, names: Sequence[str]) -> list[str]:
        """Add equal parts of the last axis, under these names; return the names."""
        from onnx import helper

        settings: dict[str, Any] = {"axis": -1, "num_outputs": len(names)}
        self._nodes.append(helper.make_node("Split", [rows], list(names), **settings))
        return list(names)

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant unless the name is known already; return the name."""
        if name not in self._constants:
            self._constants[name] = self._tensor(name, np.asarray(value, order="C"))
        return name

    def branch(self, build: Callable[[], str]) -> onnx.GraphProto:
        """Return what ``build`` adds as a branch of an ``If``; it returns the output's name.

        A branch sees every value of the graph; constants are added to the graph itself.
        """
        from onnx import helper

        outside, self._nodes = self._nodes, []
        output = build()
        inside, self._nodes = self._nodes, outside
        result = helper.make_empty_tensor_value_info(output)
        return helper.make_graph(inside, f"branch_{output}", [], [result])

    def model(self) -> onnx.ModelProto:
        """Return the whole."""
        from onnx import helper

        graph = helper.make_graph(
            self._nodes,
            "trivec",
            self._inputs,
            self._outputs,
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="trivec"
        )

    def _tensor(self, name: str, value: NDArray[Any]) -> onnx.TensorProto:
        from onnx import TensorProto, helper, numpy_helper

        if value.nbytes <= _INLINE_BYTES:
            return numpy_helper.from_array(value, name)
        self._weights.write(b"\0" * (-self._weights.tell() % _ALIGNMENT))
        tensor = TensorProto(
            name=name,
            dims=value.shape,
            data_type=helper.np_dtype_to_tensor_dtype(value.dtype),
            data_location=TensorProto.EXTERNAL,
        )
        place = {
            "location": self._location,
            "offset": self._weights.tell(),
            "length": value.nbytes,
        }
        for key, entry in place.items():
            tensor.external_data.add(key=key, value=str(entry))
        self._weights.write(value.tobytes() if value.nbytes < 2**20 else value.data)
        return tensor


def _value(name: str, kind: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, getattr(TensorProto, kind), list(shape))
