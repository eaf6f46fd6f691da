"""Which point each chunk is, and which chunks claim a point that another one has already."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trivec._runtime.checks import shown
from trivec._runtime.plain import own_text
from trivec.errors import InputError
from trivec.index.collection import Binding
from trivec.index.tally import Tally
from trivec.payloads.trivec import identify
from trivec.text import clean
from trivec.types import Chunk, PointId, StoredPoint

__all__ = ["first_claims", "identified"]


def identified(
    binding: Binding, window: Sequence[Chunk], tally: Tally
) -> dict[PointId, list[Chunk]]:
    """Return the chunks of a window by the point that they claim, cleaned and with their ids."""
    claims: defaultdict[PointId, list[Chunk]] = defaultdict(list)
    for given in window:
        try:
            chunk = identify(given)
        except InputError as err:
            tally.refuse(_named(given), str(err))
            if isinstance(given.source, str):
                tally.incomplete.add(clean(given.source))
            continue
        if chunk.text.strip():
            claims[binding.point_of(chunk)].append(chunk)
        else:
            tally.refuse(str(chunk.id), "the text is blank")
    return dict(claims)


def first_claims(
    binding: Binding,
    claims: Mapping[PointId, list[Chunk]],
    stored: Mapping[PointId, Mapping[str, Any]],
    tally: Tally,
    *,
    dry_run: bool,
) -> dict[PointId, Chunk]:
    """Return the chunk that each point is of: the first that claimed it in this ``add``.

    Of the others an equal one is skipped, another refused.

    Args:
        binding: the collection.
        claims: the chunks of a window by point.
        stored: the payloads that the collection has of these points.
        tally: knows the points of the windows before, and counts what is left out.
        dry_run: whether the windows before were not stored.
    """
    taken = tally.seen.among(claims)
    first: dict[PointId, Chunk] = {}
    for key, chunks in claims.items():
        if key in taken and key in stored:  # else a mere likeness of hashes
            before = binding.codec.decode(StoredPoint(key, stored[key]))
        elif key in taken and dry_run:
            before = chunks[0]
        else:
            before = first[key] = chunks[0]
            chunks = chunks[1:]  # noqa: PLW2901  # the others
        for chunk in chunks:
            _count_again(chunk, before, tally)
    return first


def _count_again(chunk: Chunk, first: Chunk, tally: Tally) -> None:
    if chunk == first:
        tally.skipped += 1
    else:
        tally.refuse(str(chunk.id), _collision(chunk, first))


def _collision(chunk: Chunk, first: Chunk) -> str:
    """Say what two chunks share, and what to do."""
    where = "" if chunk.source is None else f" of source {chunk.source!r}"
    if chunk.id == identify(replace(chunk, id=None)).id:
        shared = f"position {chunk.position}{where} was given twice, with different contents"
        return f"{shared}; the first is stored, give each chunk a position or an id of its own"
    shared = f"the id {chunk.id!r}{where} was given twice, with different contents"
    if first.source != chunk.source:
        other = "without source" if first.source is None else f"of source {first.source!r}"
        shared = f"the id {chunk.id!r}{where} is also that of a passage {other}"
    elif first.id != chunk.id:
        shared = f"the ids {first.id!r} and {chunk.id!r}{where} are one to the engine"
    return f"{shared}; the first is stored, give each chunk an id of its own"


def _named(chunk: Chunk) -> str:
    """Return what a chunk that cannot be stored is called: its id, or its place."""
    if chunk.id is None:
        source = "no source" if chunk.source is None else _shown(chunk.source)
        return f"{source} #{shown(chunk.position)}"
    return _shown(chunk.id)


def _shown(value: object) -> str:
    return clean(own_text(value)) if isinstance(value, str) else shown(value)
