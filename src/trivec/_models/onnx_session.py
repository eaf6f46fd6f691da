"""An ONNX Runtime session: which threads, which provider, which layout of 8-bit weights."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from trivec._models.onnx_measuring import Layout
from trivec._models.onnx_unsigned import UnsignedGraph
from trivec._runtime.dependencies import unavailable
from trivec.errors import InputError, ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Session", "SessionOptions", "execution_provider", "shared_session"]

logger = logging.getLogger(__name__)

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Where and how a graph runs; see ``OnnxOptions``."""

    threads: int
    provider: str
    spinning: bool
    int8_weights: Layout = "signed"  # as they are in the file


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
            raise unavailable(err, "onnxruntime", "onnx") from err
        available = onnxruntime.get_available_providers()
        if options.provider not in available:
            is_known = options.provider in onnxruntime.get_all_providers()
            raise (ModelError if is_known else InputError)(
                f"provider={options.provider!r}; this onnxruntime has {', '.join(available)}"
            )
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads or _threads_asked_for()
        settings.log_severity_level = 3  # errors, which are raised anyway
        # the graph is written in fused operators already, and what the optimiser would fuse
        # further (residual and layer norm) is slower
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        settings.add_session_config_entry(
            "session.intra_op.allow_spinning", "1" if options.spinning else "0"
        )
        logger.info("loading %s", graph)
        self._weights: list[NDArray[Any]] = []
        try:
            unsigned = options.int8_weights == "unsigned"
            model = self._flip(graph, settings) if unsigned else str(graph)
            self._session = onnxruntime.InferenceSession(
                model, settings, providers=[options.provider]
            )
            session = self._session
            entries = [*session.get_inputs(), *session.get_overridable_initializers()]
            self._inputs = frozenset(entry.name for entry in entries)
        except Exception as err:  # onnxruntime's errors have no common base but Exception
            raise ModelError(
                f"onnxruntime cannot load {graph} ({type(err).__name__}: {err}); update "
                "onnxruntime, or export the model again"
            ) from err

    @property
    def inputs(self) -> frozenset[str]:
        """The names of what the graph takes, also of what may be left out."""
        return self._inputs

    def _flip(self, graph: Path, settings: Any) -> bytes:
        """Hand over the matrices as unsigned bytes; return the graph that takes them."""
        from onnxruntime import OrtValue

        unsigned = UnsignedGraph(graph)
        weights = unsigned.weights()
        self._weights = list(weights.values())  # onnxruntime reads them where they are
        settings.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(unsigned.folder)
        )
        settings.add_external_initializers(
            list(weights), [OrtValue.ortvalue_from_numpy(weight) for weight in self._weights]
        )
        return unsigned.model

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Run the graph once and return the named outputs.

        Raises:
            MemoryError: an array could not be allocated.
            ModelError: the graph failed.
        """
        try:
            arrays: list[NDArray[Any]] = self._session.run(list(outputs), dict(inputs))
        except Exception as err:  # the same
            if "Failed to allocate" in str(err) or "bad_alloc" in str(err):
                raise MemoryError(str(err)) from err
            raise ModelError(f"onnxruntime failed ({type(err).__name__}: {err})") from err
        return arrays


def _threads_asked_for() -> int:
    """Return what ``OMP_NUM_THREADS`` says, as PyTorch would take it; 0 where it says nothing.

    ONNX Runtime's wheels are built without OpenMP, and so do not look at it.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    return int(asked) if asked.isdecimal() else 0


_sharing = threading.Lock()
_shared: WeakValueDictionary[tuple[int, Path, SessionOptions], Session] = WeakValueDictionary()


def shared_session(graph: Path, options: SessionOptions) -> Session:
    """Return a session that everybody shares who asks for the same while it is in use.

    An encoder and a reranker of one model so load it once. A forked process has its own.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        InputError: there is no such provider.
        ModelError: the graph cannot be loaded.
    """
    key = os.getpid(), graph.resolve(), options
    with _sharing:
        session = _shared.get(key)
        if session is None:
            session = _shared[key] = Session(graph, options)
        return session


def execution_provider(device: str) -> str:
    """Return ONNX Runtime's name of what computes on a device.

    Raises:
        InputError: an exported model does not run there.
    """
    if device not in _PROVIDERS:
        raise InputError(f"device={device!r}; an exported model runs on {', '.join(_PROVIDERS)}")
    return _PROVIDERS[device]
