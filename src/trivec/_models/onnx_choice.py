"""Which precision is fast on this CPU, and in which layout int8 is exact: measured, not guessed.

The measurement is remembered in the cache folder by CPU, onnxruntime and the rules of measuring.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import subprocess
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from trivec._models.onnx_measuring import LAYOUTS, Int8Product, Layout, Measured, measure
from trivec._runtime.cache import cache_folder, read_index, write_index
from trivec._runtime.dependencies import unavailable
from trivec._runtime.lazy import Lazy
from trivec.errors import InputError, ModelError

__all__ = [
    "Cpu",
    "Int8Weights",
    "OnnxPrecision",
    "best_precision",
    "choose_layout",
    "choose_precision",
    "describe",
    "find_cpu",
    "measured",
    "reason",
]

logger = logging.getLogger(__name__)

OnnxPrecision: TypeAlias = Literal["auto", "fp32", "int8"]
"""Which graph of an exported folder is run; ``auto`` chooses by the folder and the CPU."""
Int8Weights: TypeAlias = Literal["auto", "signed", "unsigned"]
"""How the bytes of an int8 model are laid out; ``auto`` takes what is exact and fast here."""

PRECISION_VARIABLE = "TRIVEC_ONNX_PRECISION"
WEIGHTS_VARIABLE = "TRIVEC_INT8_WEIGHTS"

_WORTH = 1.2
"""So many times as fast as float32 int8 products must be, since what is around them is not."""
_RULES = 1
"""Raise it whenever something else is measured or checked: what is remembered is then stale."""
_FILE = "onnx-products.json"
_CPU_INFO = Path("/proc/cpuinfo")
_MODEL = ("model name", "cpu family", "model", "stepping")  # of x86-64
_PART = ("CPU implementer", "CPU part", "CPU variant", "CPU revision")  # of ARM
_FLAGS = ("flags", "Features")
_TELLING = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp", "i8mm")


@dataclass(frozen=True, slots=True)
class Cpu:
    """What the operating system says of the CPU.

    Attributes:
        model: its name and numbers.
        instructions: those that matter for products, where the system tells them.
        key: a digest of all instructions; virtual machines call different CPUs the same.
    """

    model: str
    instructions: tuple[str, ...]
    key: str


def find_cpu() -> Cpu:
    """Return the CPU of this machine."""
    try:
        first = _CPU_INFO.read_text("utf-8", "replace").split("\n\n")[0]
    except OSError:  # not Linux
        first = ""
    fields = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in first.splitlines())
    }
    flags = sorted({flag for name in _FLAGS for flag in fields.get(name, "").split()})
    parts = [fields[name] for name in (*_MODEL, *_PART) if name in fields]
    return Cpu(
        model=" ".join(parts) or _brand(),
        instructions=tuple(flag for flag in _TELLING if flag in flags),
        key=hashlib.sha256(" ".join(flags).encode()).hexdigest()[:16],
    )


def _brand() -> str:
    """Return the CPU's name where there is no ``/proc/cpuinfo``."""
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            return subprocess.run(  # noqa: S603  # nothing of it is anybody's input
                command, capture_output=True, check=True, text=True
            ).stdout.strip()
        except (OSError, subprocess.CalledProcessError) as err:
            logger.info("the CPU's name is unknown: %s", err)
    return f"{platform.machine()} {platform.processor()}".strip()


def _recall() -> Measured:
    """Return what is remembered of this CPU and onnxruntime, measured now if nothing is."""
    cpu = find_cpu()
    key = f"{cpu.model} {cpu.key}, onnxruntime {_runtime()}, rules {_RULES}"
    file = cache_folder() / _FILE
    known = _read(read_index(file).get(key))
    if known is not None:
        return known
    measured = measure()
    logger.info("measured on %s: %s", key, measured)
    try:
        write_index(file, {**read_index(file), key: asdict(measured)})
    except OSError as err:
        logger.warning("cannot remember in %s how fast int8 is: %s", file, err)
    return measured


def _read(entry: Any) -> Measured | None:
    """Return what an entry of the file says; None if it is not whole."""
    try:
        products = {layout: Int8Product(**entry[layout]) for layout in LAYOUTS}
    except (TypeError, KeyError):
        return None
    for product in products.values():
        if type(product.exact) is not bool or not all(
            isinstance(speed, (int, float)) and speed >= 0 for speed in (product.few, product.many)
        ):
            return None
    return Measured(**products)


def _runtime() -> str:
    try:
        import onnxruntime
    except ImportError as err:
        raise unavailable(err, "onnxruntime", "onnx") from err
    version: str = onnxruntime.__version__
    return version


_measured = Lazy(_recall)  # once in a process, also where the cache folder cannot be written


def measured() -> Measured:
    """Return how fast and how exactly this CPU multiplies bytes.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
    """
    return _measured()


def reason(products: Measured) -> str:
    """Say what was measured, in a sentence without its beginning and end."""
    layout = products.layout
    if layout is None:
        return "onnxruntime multiplies bytes exactly in neither layout on this CPU"
    best = products.of(layout)
    speed = (
        f"int8 with {layout} weights is exact here and {best.speed:.1f} times as fast as fp32 "
        f"(few rows {best.few:.1f}, many {best.many:.1f})"
    )
    inexact = ", ".join(name for name in LAYOUTS if not products.of(name).exact)
    return f"{speed}; {inexact} weights are not exact" if inexact else speed


def describe() -> dict[str, Any]:
    """Say of this machine what ``auto`` takes of a folder with both precisions, and why.

    Raises:
        InputError: an environment variable asks for what is not allowed, or is not exact here.
        MissingDependencyError: onnxruntime is not installed.
    """
    cpu, products = find_cpu(), measured()
    asked = [
        f"{variable}={value!r}"
        for variable in (PRECISION_VARIABLE, WEIGHTS_VARIABLE)
        if (value := os.environ.get(variable))
    ]
    precision = _from_environment(PRECISION_VARIABLE, OnnxPrecision)
    return {
        "cpu": cpu.model,
        "instructions": list(cpu.instructions),
        "onnxruntime": _runtime(),
        "precision": best_precision(products) if precision == "auto" else precision,
        "int8_weights": None if products.layout is None else choose_layout("auto"),
        "why": "; ".join([*asked, reason(products)]),
    }


def choose_precision(
    asked: OnnxPrecision,
    held: Collection[str],
    place: str | Path,
    provider: str = "CPUExecutionProvider",
) -> str:
    """Return the precision to load, and say in the log why.

    ``auto`` is what ``TRIVEC_ONNX_PRECISION`` says, else int8 where the folder holds it and it
    is exact and clearly faster than fp32, else fp32, else what there is.

    Args:
        asked: the option.
        held: what the folder holds.
        place: the folder or model, for messages.
        provider: where the graph runs; only CPUs multiply bytes.

    Raises:
        InputError: the folder does not hold what was asked for.
        MissingDependencyError: onnxruntime is not installed, and must be asked.
    """
    said = "precision"
    if asked == "auto":
        asked, said = _from_environment(PRECISION_VARIABLE, OnnxPrecision), PRECISION_VARIABLE
    if asked != "auto":
        if asked not in held:
            raise InputError(
                f"{said}={asked!r}, but {place} holds {', '.join(sorted(held))}; export it "
                f"again with --precision {asked}"
            )
        logger.info("%s=%r", said, asked)
        return asked
    chosen, why = _automatic(held, provider)
    logger.info("precision='auto' is %r: %s", chosen, why)
    return chosen


def _automatic(held: Collection[str], provider: str) -> tuple[str, str]:
    if len(held) == 1:
        return next(iter(held)), "the folder holds no other"
    if provider != "CPUExecutionProvider":
        return "fp32", f"{provider} does not multiply bytes"
    products = measured()
    return best_precision(products), reason(products)


def best_precision(products: Measured) -> Literal["fp32", "int8"]:
    """Return what is taken of a folder that holds both."""
    layout = products.layout
    fast = layout is not None and products.of(layout).speed >= _WORTH
    return "int8" if fast else "fp32"


def choose_layout(asked: Int8Weights) -> Layout:
    """Return how the weights of an int8 graph are given to ONNX Runtime, and say in the log why.

    ``auto`` is what ``TRIVEC_INT8_WEIGHTS`` says, else the fastest layout that is exact here.

    Raises:
        InputError: the layout that was asked for is not exact on this CPU.
        ModelError: none is.
        MissingDependencyError: onnxruntime is not installed.
    """
    said = "int8_weights"
    if asked == "auto":
        asked, said = _from_environment(WEIGHTS_VARIABLE, Int8Weights), WEIGHTS_VARIABLE
    products = measured()
    best = products.layout
    if best is None:
        raise ModelError(
            f"int8 would be wrong here: {reason(products)}; take precision='fp32', or another "
            "version of onnxruntime"
        )
    if asked == "auto":
        logger.info("int8 with %s weights: %s", best, reason(products))
        return best
    if not products.of(asked).exact:
        raise InputError(
            f"{said}={asked!r}, but onnxruntime does not multiply {asked} weights exactly on this "
            f"CPU; take {best!r} or 'auto'"
        )
    logger.info("int8 with %s weights: %s=%r", asked, said, asked)
    return asked


def _from_environment(variable: str, choices: Any) -> Any:
    """Return what a variable says, ``auto`` where it says nothing.

    Raises:
        InputError: it says something that is not allowed.
    """
    value = os.environ.get(variable) or "auto"
    if value not in get_args(choices):
        raise InputError(f"{variable}={value!r}; allowed: {', '.join(get_args(choices))}")
    return value
