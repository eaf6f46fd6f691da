"""The options of adding and of searching, and the fields of a search that a call names itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias

from trivec._runtime.checks import shown
from trivec.errors import InputError
from trivec.types import PointId, SearchOptions

__all__ = [
    "DEFAULT_SEARCH",
    "AddOptions",
    "ColbertOverflow",
    "Contents",
    "Progress",
    "merged_options",
]

ColbertOverflow: TypeAlias = Literal["pool", "refuse"]
"""What becomes of more ColBERT rows than one point can hold; see :class:`trivec.IndexConfig`."""
Progress: TypeAlias = Callable[[int], None]
"""Called with the number of chunks, or points, dealt with since the last call."""
Contents: TypeAlias = tuple[str, str | None]
"""What vectors are of: the digest of a text, and of the document that they know, if any."""

DEFAULT_SEARCH = SearchOptions()
"""The options of a search that is given none."""


def _never(_source: str) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOptions:
    """How chunks are added.

    Attributes:
        batch_size: chunks that are encoded together and written together.
        colbert_overflow: what becomes of more ColBERT rows than Qdrant takes: neighbouring rows
            are averaged (``pool``), or the chunk is refused.
        replace_sources: delete the points of every given source that it no longer holds.
        keeps_source: says of a source that nothing of it may be deleted.
        late_chunking: encode the passages of a source in the light of all of them.
        known: points whose vectors are copied for a new chunk of the same contents.
        dry_run: count alone; nothing is encoded or written.
    """

    batch_size: int = 128
    colbert_overflow: ColbertOverflow = "pool"
    replace_sources: bool = False
    keeps_source: Callable[[str], bool] = _never
    late_chunking: bool = False
    known: Mapping[Contents, PointId] = field(default_factory=dict)
    dry_run: bool = False


def merged_options(options: SearchOptions, overrides: Mapping[str, Any]) -> SearchOptions:
    """Return the options of a search with the fields that the call names besides.

    Raises:
        InputError: a name that is not a field, or a field that both give, with different values.
    """
    if not overrides:
        return options
    allowed = [option.name for option in fields(SearchOptions)]
    if unknown := sorted(set(overrides) - set(allowed)):
        raise InputError(f"unknown arguments {unknown}; allowed: k, filter, options, {allowed}")
    SearchOptions(**overrides)  # what is no option's value is refused before it is compared
    for name, value in overrides.items():
        given = getattr(options, name)
        if not _same(given, value) and not _same(given, getattr(DEFAULT_SEARCH, name)):
            raise InputError(
                f"{name} is given twice: {name}={shown(value)}, and {name}={shown(given)} in "
                "options; leave one of them out"
            )
    return replace(options, **overrides)


def _same(first: Any, second: Any) -> bool:
    """Compare two values of an option; a list of arms equals a tuple of the same."""
    return bool(_listed(first) == _listed(second))


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value
