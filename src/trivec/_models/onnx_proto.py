"""The messages of an ONNX file, as far as they are read and written here.

The package onnx is large, and protobuf is there already, since ONNX Runtime needs it. Fields that
are not named below are kept as they are.
"""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["ELEMENT_TYPES", "message"]

ELEMENT_TYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int32": 6,
    "int64": 7,
    "bool": 9,
}
"""TensorProto.DataType, by the names that numpy has."""

_PACKAGE = "trivec.onnx"
#: name, number and type by message, from onnx.proto of ONNX's IR version 10; a ``*`` is repeated
_FIELDS = {
    "Entry": (("key", 1, "string"), ("value", 2, "string")),
    "Tensor": (
        ("dims", 1, "int64*"),
        ("data_type", 2, "int32"),
        ("name", 8, "string"),
        ("raw_data", 9, "bytes"),
        ("external_data", 13, "Entry*"),
        ("data_location", 14, "int32"),
    ),
    "Node": (
        ("input", 1, "string*"),
        ("output", 2, "string*"),
        ("name", 3, "string"),
        ("op_type", 4, "string"),
        ("attribute", 5, "Attribute*"),
        ("domain", 7, "string"),
    ),
    "Attribute": (
        ("name", 1, "string"),
        ("f", 2, "float"),
        ("i", 3, "int64"),
        ("g", 6, "Graph"),
        ("type", 20, "int32"),
    ),
    "Dimension": (("dim_value", 1, "int64"), ("dim_param", 2, "string")),
    "Shape": (("dim", 1, "Dimension*"),),
    "TensorType": (("elem_type", 1, "int32"), ("shape", 2, "Shape")),
    "Type": (("tensor_type", 1, "TensorType"),),
    "Value": (("name", 1, "string"), ("type", 2, "Type")),
    "Graph": (
        ("node", 1, "Node*"),
        ("name", 2, "string"),
        ("initializer", 5, "Tensor*"),
        ("input", 11, "Value*"),
        ("output", 12, "Value*"),
    ),
    "Operators": (("domain", 1, "string"), ("version", 2, "int64")),
    "Model": (
        ("ir_version", 1, "int64"),
        ("producer_name", 2, "string"),
        ("graph", 7, "Graph"),
        ("opset_import", 8, "Operators*"),
    ),
}


def message(kind: str, /, **fields: Any) -> Any:
    """Return a new message, such as a ``Model``, with these fields."""
    return _messages()[kind](**fields)


@cache
def _messages() -> dict[str, Any]:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="trivec/onnx.proto", package=_PACKAGE, syntax="proto2"
    )
    for name, fields in _FIELDS.items():
        described = file.message_type.add(name=name)
        for field, number, kind_and_star in fields:
            kind = kind_and_star.removesuffix("*")
            label = 1 if kind == kind_and_star else 3  # optional or repeated
            entry = described.field.add(name=field, number=number, label=label)
            if kind in _FIELDS:
                entry.type, entry.type_name = entry.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                entry.type = getattr(entry, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()  # of its own: names cannot meet those of onnx
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in _FIELDS
    }
