"""Graphs that an encoder or reranker makes for itself, kept in the cache folder."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from trivec._models.onnx_folder import OnnxFolder, open_export
from trivec._runtime.cache import cache_folder
from trivec._runtime.making import made_once
from trivec.errors import ModelError

if TYPE_CHECKING:
    from trivec._graphs.writing import Source

__all__ = ["WRITER", "cached_export", "named_place"]

logger = logging.getLogger(__name__)

WRITER = 1
"""Raise it whenever other graphs are written: what the cache folder holds is then made again."""


def named_place(model: str, *deciding: object) -> str:
    """Return the name of a model's folder in the cache: who it is, and what decides its files.

    Args:
        model: its name or path.
        deciding: digests and settings, as JSON can express them.
    """
    digest = hashlib.sha256(json.dumps([WRITER, *deciding], sort_keys=True).encode()).hexdigest()
    name = re.sub(r"[^\w.-]+", "--", model).strip("-.")[-80:]
    return f"onnx/{name}-{digest[:12]}"


def cached_export(place: str, precision: str, source: Callable[[], Source]) -> OnnxFolder:
    """Open a model's graph in one precision, written into the cache folder if it is not there.

    A folder that is damaged is made again, which the log says.

    Args:
        place: the folder's name in the cache, without the precision.
        precision: ``fp32`` or ``int8``.
        source: gives the model.

    Raises:
        ModelError: the folder cannot be written, or the model cannot be read.
    """
    folder = cache_folder() / f"{place}-{precision}"
    if folder.is_dir():
        try:
            return open_export(folder)
        except ModelError as err:
            logger.warning("%s is made again: %s", folder, err)
            shutil.rmtree(folder, ignore_errors=True)

    def write(partial: Path) -> None:
        from trivec._graphs.writing import write_export  # only the first use of a model needs it

        write_export(partial, source(), [precision])

    try:
        made_once(folder, write, what=f"graphs of {Path(place).name} in {precision}")
    except OSError as err:
        raise ModelError(
            f"the graphs of {Path(place).name} cannot be written to {folder} ({err}); they take "
            "a quarter of the model's float32 weights in int8, all of them in fp32; "
            "TRIVEC_CACHE_DIR chooses another place"
        ) from err
    return open_export(folder)
