"""An ONNX graph under construction, its weights written to one file beside it as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from trivec._models.onnx_proto import ELEMENT_TYPES, message

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MICROSOFT", "Branch", "Graph"]

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own fused operators."""

_OPSETS = {"": 21, MICROSOFT: 1}
_IR_VERSION = 10  # of opset 21; newer ones would ask for a newer runtime
_INLINE_BYTES = 1024
_ALIGNMENT = 4096  # a page, so that the runtime can map a tensor rather than read it
_EXTERNAL = 1  # TensorProto.DataLocation
_FLOAT, _INT, _GRAPH = 1, 2, 5  # AttributeProto.AttributeType


class Branch:
    """What one side of an ``If`` does.

    Args:
        content: the message of its graph.
    """

    def __init__(self, content: Any) -> None:
        self.content = content


class Graph:
    """Nodes and constants in the order in which they are added.

    Args:
        weights: where large constants are written.
        location: that file's name, as the graph will refer to it.
    """

    def __init__(self, weights: IO[bytes], location: str) -> None:
        self._weights, self._location = weights, location
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, kind: str, shape: Sequence[int | str]) -> str:
        """Declare an input; ``kind`` is a numpy type, as ``int64``."""
        self._inputs.append(_value(name, kind, shape))
        return name

    def switch(self, name: str, *, default: bool) -> str:
        """Declare an input that may be left out."""
        self.constant(name, np.array(default))
        return self.input(name, "bool", [])

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
        self._add(operator, inputs, [name], domain, attributes or {})
        return name

    def split(self, rows: str, names: Sequence[str]) -> list[str]:
        """Add equal parts of the last axis, under these names; return the names."""
        self._add("Split", [rows], names, "", {"axis": -1, "num_outputs": len(names)})
        return list(names)

    def _add(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        domain: str,
        attributes: Mapping[str, Any],
    ) -> None:
        node = message(
            "Node",
            op_type=operator,
            input=list(inputs),
            output=list(outputs),
            name=outputs[0],
            attribute=[_attribute(name, value) for name, value in attributes.items()],
        )
        if domain:
            node.domain = domain
        self._nodes.append(node)

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant unless the name is known already; return the name."""
        if name not in self._constants:
            self._constants[name] = self._tensor(name, np.asarray(value, order="C"))
        return name

    def branch(self, build: Callable[[], str]) -> Branch:
        """Return what ``build`` adds as a branch of an ``If``; it returns the output's name.

        A branch sees every value of the graph; constants are added to the graph itself.
        """
        outside, self._nodes = self._nodes, []
        output = build()
        inside, self._nodes = self._nodes, outside
        result = message("Value", name=output)
        return Branch(message("Graph", name=f"branch_{output}", node=inside, output=[result]))

    def content(self) -> bytes:
        """Return the whole as the bytes of an ``.onnx`` file."""
        graph = message(
            "Graph",
            name="trivec",
            node=self._nodes,
            input=self._inputs,
            output=self._outputs,
            initializer=list(self._constants.values()),
        )
        operators = [
            message("Operators", domain=domain, version=version)
            for domain, version in _OPSETS.items()
        ]
        model = message(
            "Model",
            ir_version=_IR_VERSION,
            producer_name="trivec",
            graph=graph,
            opset_import=operators,
        )
        serialized: bytes = model.SerializeToString()
        return serialized

    def _tensor(self, name: str, value: NDArray[Any]) -> Any:
        kind = ELEMENT_TYPES[value.dtype.name]
        tensor = message("Tensor", name=name, dims=value.shape, data_type=kind)
        if value.nbytes <= _INLINE_BYTES:
            tensor.raw_data = value.tobytes()
            return tensor
        self._weights.write(b"\0" * (-self._weights.tell() % _ALIGNMENT))
        tensor.data_location = _EXTERNAL
        place = {
            "location": self._location,
            "offset": self._weights.tell(),
            "length": value.nbytes,
        }
        for key, entry in place.items():
            tensor.external_data.add(key=key, value=str(entry))
        self._weights.write(value.tobytes() if value.nbytes < 2**20 else value.data)
        return tensor


def _attribute(name: str, value: float | Branch) -> Any:
    if isinstance(value, Branch):
        return message("Attribute", name=name, g=value.content, type=_GRAPH)
    if isinstance(value, int):
        return message("Attribute", name=name, i=value, type=_INT)
    return message("Attribute", name=name, f=value, type=_FLOAT)


def _value(name: str, kind: str, shape: Sequence[int | str]) -> Any:
    sizes = [
        message("Dimension", **{"dim_param" if isinstance(size, str) else "dim_value": size})
        for size in shape
    ]
    tensor = message("TensorType", elem_type=ELEMENT_TYPES[kind], shape=message("Shape", dim=sizes))
    return message("Value", name=name, type=message("Type", tensor_type=tensor))
