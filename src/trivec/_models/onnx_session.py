"""An ONNX Runtime session: which threads, which provider, which of a folder's precisions."""

from __future__ import annotations

import logging
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from trivec.errors import InputError, MissingDependencyError, ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "OnnxPrecision",
    "Session",
    "SessionOptions",
    "choose_precision",
    "execution_provider",
    "has_int8_dot_product",
]

logger = logging.getLogger(__name__)

OnnxPrecision: TypeAlias = Literal["auto", "fp32", "int8"]
"""Which graph of an exported folder is run; ``auto`` chooses by the folder and the CPU."""

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_CPU_INFO = Path("/proc/cpuinfo")
#: instructions that multiply bytes and add into 32 bits; without them int8 is no faster and, on
#: x86-64, saturates in 16 bits
_DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Where and how a graph runs; see ``OnnxOptions``."""

    threads: int
    provider: str
    spinning: bool


class Session:
    """A loaded graph.

    Args:
        graph: an ONNX file; its weights may lie beside it.
        options: threads and provider.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        InputError: there is no such provider.
        ModelError: this onnxruntime lacks the provider, or the graph cannot be loaded.
    """

    def __init__(self, graph: Path, options: SessionOptions) -> None:
        try:
            import onnxruntime
        except ImportError as err:
            raise MissingDependencyError("onnxruntime", "onnx") from err
        available = onnxruntime.get_available_providers()
        if options.provider not in available:
            is_known = options.provider in onnxruntime.get_all_providers()
            raise (ModelError if is_known else InputError)(
                f"provider={options.provider!r}; this onnxruntime has {', '.join(available)}"
            )
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.log_severity_level = 3  # errors, which are raised anyway
        # the graph is written in fused operators already, and what the optimiser would fuse
        # further (residual and layer norm) is slower
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        settings.add_session_config_entry(
            "session.intra_op.allow_spinning", "1" if options.spinning else "0"
        )
        logger.info("loading %s", graph)
        try:
            self._session = onnxruntime.InferenceSession(
                str(graph), settings, providers=[options.provider]
            )
        except Exception as err:  # onnxruntime's errors have no common base but Exception
            raise ModelError(
                f"onnxruntime cannot load {graph} ({type(err).__name__}: {err}); update "
                "onnxruntime, or export the model again"
            ) from err

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the graph once and return the named outputs.

        Raises:
            MemoryError: an array could not be allocated.
            ModelError: the graph failed.
        """
        try:
            found: list[NDArray[Any]] = self._session.run(list(outputs), dict(inputs))
        except Exception as err:  # the same
            if "Failed to allocate" in str(err) or "bad_alloc" in str(err):
                raise MemoryError(str(err)) from err
            raise ModelError(f"onnxruntime failed ({type(err).__name__}: {err})") from err
        return found


def execution_provider(device: str) -> str:
    """Return ONNX Runtime's name of what computes on a device.

    Raises:
        InputError: an exported model does not run there.
    """
    if device not in _PROVIDERS:
        raise InputError(f"device={device!r}; an exported model runs on {', '.join(_PROVIDERS)}")
    return _PROVIDERS[device]


def choose_precision(asked: OnnxPrecision, held: Collection[str], place: Path) -> str:
    """Return the precision to load.

    ``auto`` is int8 where the folder holds it and the CPU multiplies bytes, else fp32, else
    whatever there is.

    Raises:
        InputError: the folder does not hold what was asked for.
    """
    if asked != "auto":
        if asked not in held:
            raise InputError(
                f"precision={asked!r}, but {place} holds {', '.join(sorted(held))}; export it "
                f"again with --precision {asked}"
            )
        if asked == "int8" and not has_int8_dot_product():
            logger.warning("this CPU has no 8-bit dot product: int8 is slow and less precise here")
        return asked
    fast = has_int8_dot_product()
    order = ("int8", "fp32") if fast else ("fp32", "int8")
    chosen = next(name for name in order if name in held)
    reason = "an" if fast else "no"
    logger.info("precision='auto' is %r: this CPU has %s 8-bit dot product", chosen, reason)
    return chosen


def has_int8_dot_product() -> bool:
    """Say whether the CPU has an instruction that int8 is fast with."""
    try:
        lines = _CPU_INFO.read_text("ascii", "replace").splitlines()
    except OSError:  # not Linux: every Apple processor that Python 3.11 runs on has it
        return platform.machine() == "arm64"
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return bool(_DOT_PRODUCTS & set(flags.partition(":")[2].split()))
