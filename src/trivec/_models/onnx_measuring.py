"""How fast and how exactly ONNX Runtime multiplies bytes on this CPU, against float32.

CPU flags do not tell: AVX-512 without VNNI, AVX-VNNI, AMX and the kinds of ARM differ, and so do
the runtime's kernels for them. A product of bytes that is added up in 16 bits saturates there
without a word; the values multiplied here would.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from trivec._models.onnx_proto import ELEMENT_TYPES, message
from trivec._runtime.dependencies import unavailable
from trivec.errors import IncompatibleDependencyError, MissingDependencyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LAYOUTS", "Int8Product", "Layout", "Measured", "measure", "product_model"]

logger = logging.getLogger(__name__)

Layout: TypeAlias = Literal["signed", "unsigned"]

LAYOUTS: tuple[Layout, ...] = ("signed", "unsigned")
FEW, MANY = 12, 128
"""Rows: the tokens of a query, and of a passage or two."""

_ROWS = (1, FEW, MANY)
_INPUTS, _OUTPUTS = 1024, 2048
_ROUNDS = 7
_ZERO = 128
_CLEARLY = 1.1
"""So much faster unsigned weights must be to be taken where both layouts are exact."""


@dataclass(frozen=True, slots=True)
class Int8Product:
    """One way to multiply bytes.

    Attributes:
        exact: whether every integer was right.
        few: how many times as fast as float32 it is for the rows of a query; 0 if it cannot run.
        many: the same for the rows of a passage.
    """

    exact: bool
    few: float
    many: float

    @property
    def speed(self) -> float:
        """The geometric mean of both."""
        return sqrt(self.few * self.many)


@dataclass(frozen=True, slots=True)
class Measured:
    """The two ways to multiply the same weights."""

    signed: Int8Product
    unsigned: Int8Product

    def of(self, layout: Layout) -> Int8Product:
        """Return what was measured of one of them."""
        return self.signed if layout == "signed" else self.unsigned

    @property
    def layout(self) -> Layout | None:
        """The fastest one that is exact; None where neither is.

        Signed is how the weights are stored, and is kept unless the other is clearly faster.
        """
        exact = [layout for layout in LAYOUTS if self.of(layout).exact]
        if len(exact) == 2:
            return "unsigned" if self.unsigned.speed > _CLEARLY * self.signed.speed else "signed"
        return exact[0] if exact else None


def measure() -> Measured:
    """Multiply once in each way for a fraction of a second, in one thread.

    The ways take turns, and each is compared with the float32 of its own turn: what slows the
    machine for a moment slows both.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
    """
    random = np.random.default_rng(0)
    weight = random.integers(-127, 128, (_INPUTS, _OUTPUTS), np.int8)
    weight[:, 0], weight[:, 1] = 127, -127
    rows = random.integers(0, 256, (MANY, _INPUTS), np.uint8)
    rows[0], rows[1] = 255, 0  # row 0 is what one row alone multiplies
    works = _works(rows, weight)
    exact = {layout: _is_exact(works.get(layout), rows, weight) for layout in LAYOUTS}
    few, many = (_speeds(works, count) for count in (FEW, MANY))
    return Measured(
        **{layout: Int8Product(exact[layout], few[layout], many[layout]) for layout in LAYOUTS}
    )


_Work: TypeAlias = Callable[[int], "NDArray[Any]"]  # multiplies so many rows


def _works(rows: NDArray[np.uint8], weight: NDArray[np.int8]) -> dict[str, _Work]:
    """Return the ways to multiply that this runtime has."""
    wide, flipped = rows.astype(np.float32), weight.view(np.uint8) ^ _ZERO
    operands: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {
        "float32": (wide, weight.astype(np.float32)),
        "signed": (rows, weight),
        "unsigned": (rows, flipped),
    }
    works = {}
    for name, (left, right) in operands.items():
        try:
            session = _session(product_model(right))
        except (MissingDependencyError, IncompatibleDependencyError):
            raise
        except Exception as err:  # noqa: BLE001  # onnxruntime's errors have no common base
            logger.warning("onnxruntime cannot multiply %s weights here: %s", name, err)
            continue
        works[name] = _work(session, left)
    return works


def _work(session: Any, rows: NDArray[Any]) -> _Work:
    return lambda count: session.run(None, {"rows": rows[:count]})[0]


def _is_exact(work: _Work | None, rows: NDArray[np.uint8], weight: NDArray[np.int8]) -> bool:
    """Compare with the integers, which float32 holds: none is above 2 ** 24."""
    if work is None:
        return False
    expected = (rows.astype(np.float64) - _ZERO) @ weight.astype(np.float64)
    return all(np.array_equal(work(count), expected[:count]) for count in _ROWS)


def _speeds(works: Mapping[str, _Work], count: int) -> dict[str, float]:
    """Return how many times as fast as float32 each way is, the median of some rounds."""
    for work in works.values():
        work(count)
    rounds = [{name: _seconds(work, count) for name, work in works.items()} for _ in range(_ROUNDS)]
    return {
        layout: float(np.median([times["float32"] / times[layout] for times in rounds]))
        if layout in works
        else 0.0
        for layout in LAYOUTS
    }


def _seconds(work: _Work, count: int) -> float:
    started = perf_counter()
    work(count)
    return perf_counter() - started


def product_model(weight: NDArray[Any]) -> bytes:
    """Return a graph that multiplies ``rows`` by a weight, as the exported graphs do.

    Args:
        weight: (inputs, outputs); float32, or bytes, whose zero is 128 where they are unsigned.
    """
    kind = weight.dtype.name
    constants: dict[str, Any] = {"weight": weight}
    node: dict[str, Any] = {"op_type": "MatMul", "input": ["rows", "weight"]}
    if kind != "float32":
        inputs = ["rows", "weight", "one", "one", "zero"]
        constants |= {"one": np.float32(1), "zero": np.uint8(_ZERO)}
        node = {
            "op_type": "MatMulIntegerToFloat",
            "domain": "com.microsoft",
            "input": [*inputs, "zero"] if kind == "uint8" else inputs,
        }
    rows_kind = "float32" if kind == "float32" else "uint8"
    inputs_count, outputs_count = weight.shape
    graph = message(
        "Graph",
        name="product",
        node=[message("Node", name="product", output=["product"], **node)],
        initializer=[_tensor(name, np.asarray(value)) for name, value in constants.items()],
        input=[_value("rows", rows_kind, inputs_count)],
        output=[_value("product", "float32", outputs_count)],
    )
    operators = [
        message("Operators", domain=domain, version=version)
        for domain, version in (("", 21), ("com.microsoft", 1))
    ]
    model: bytes = message(
        "Model", ir_version=10, graph=graph, opset_import=operators
    ).SerializeToString()
    return model


def _tensor(name: str, value: NDArray[Any]) -> Any:
    return message(
        "Tensor",
        name=name,
        dims=value.shape,
        data_type=ELEMENT_TYPES[value.dtype.name],
        raw_data=value.tobytes(),
    )


def _value(name: str, kind: str, width: int) -> Any:
    dimensions = [message("Dimension", dim_param="count"), message("Dimension", dim_value=width)]
    tensor = message(
        "TensorType", elem_type=ELEMENT_TYPES[kind], shape=message("Shape", dim=dimensions)
    )
    return message("Value", name=name, type=message("Type", tensor_type=tensor))


def _session(model: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as err:
        raise unavailable(err, "onnxruntime", "onnx") from err
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3  # errors, which are raised anyway
    return onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
