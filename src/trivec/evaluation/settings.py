"""A way to search in a file, which commands and programs load."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trivec._runtime.paths import user_path
from trivec.errors import InputError
from trivec.evaluation.systems import System
from trivec.types import SearchOptions

__all__ = ["load_options", "load_settings", "save_settings"]

FORMAT = 1
FIELDS = ("format", "system", "about")


def save_settings(system: System, path: str | Path, about: Mapping[str, Any] | None = None) -> None:
    """Write a way to search.

    Args:
        system: the way.
        path: the file; one that is there is replaced.
        about: JSON values that say where it came from; nothing reads them.
    """
    data = {"format": FORMAT, "system": str(system), "about": dict(about or {})}
    text = json.dumps(data, ensure_ascii=False, indent=2)
    user_path("path", path).write_text(f"{text}\n", encoding="utf-8")


def load_settings(path: str | Path) -> System:
    """Read what ``save_settings`` or ``trivec tune`` wrote.

    Raises:
        InputError: the file is missing, or is not such a file.
    """
    try:
        data = json.loads(user_path("path", path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as err:
        raise InputError(f"{path} cannot be read as settings: {err}") from err
    if not isinstance(data, dict) or data.get("format") != FORMAT or set(data) - set(FIELDS):
        raise InputError(
            f"{path} is not a settings file of format {FORMAT}; trivec tune writes them, as does "
            "save_settings()"
        )
    return System.from_text(str(data.get("system")))


def load_options(path: str | Path) -> SearchOptions:
    """Read the options of a search, for ``HybridIndex.search(options=...)`` and the adapters.

    Raises:
        InputError: the file is not a settings file, or needs more than a search: a rewriter, a
            reranker or a question index, which a program gives itself.

    Example:
        >>> options = load_options("settings.json")  # doctest: +SKIP
        >>> index.search("which fruit is sour?", options=options)  # doctest: +SKIP
    """
    system = load_settings(path)
    if system.rewriting or system.reranker or system.questions:
        raise InputError(
            f"{path} says {str(system)!r}, which is more than a search; take "
            "load_settings(path).search, and do the rest where the program rewrites and reranks"
        )
    return system.search
