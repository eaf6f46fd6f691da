"""What a collection's strict mode allows, and how requests keep to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trivec.errors import InputError
from trivec.fusion import method_of
from trivec.query import Filter, StoreQuery
from trivec.stores.server.slicing import sliced

if TYPE_CHECKING:
    from qdrant_client import models

__all__ = ["Limits", "RequiredIndex", "advice", "is_full", "limits_of", "required_index"]

_INDEX = re.compile(
    r'Index required but not found for "(.+)" of one of the following types: \[(.*?)\]'
)
_EXCEEDED = re.compile(r'Limit exceeded (\S+) > (\S+) for "(.*?)"')

_REACHED = re.compile(r"(Filter condition|Condition size) limit reached \((\S+) > (\S+)\)")
_NOT_EXACT = "Exact search disabled"
_FULL = ("storage size limit of", "points count limit", "maximum number of points")

_OPTIONS = {
    "timeout": "give RetryPolicy a shorter write_deadline",
    "search batch size": "give search_batch fewer queries",
    "upsert limit": "set a smaller IndexConfig.batch_size",
    "update limit": "set a smaller IndexConfig.batch_size",
    "Filter condition": "use a filter with fewer conditions",
    "Condition size": (
        "use filters with shorter lists, give fewer ids at once, or set a smaller "
        "IndexConfig.batch_size"
    ),
    "filter": "use a filter with fewer conditions",
    "limit": "ask for a smaller k",
}
"""What to do, by what the server calls the limit, or by a word of that."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of strict mode that trivec's requests can exceed; None is no limit.

    Attributes:
        query_limit: points of one search or page.
        timeout: seconds that a request may ask for.
        searches: searches of one request.
        upserts: points of one write.
        write_rate: points that are written a minute.
        exact: whether exact search is allowed.
        conditions: conditions of one filter.
        values: values in a list of one condition.
    """

    query_limit: int | None = None
    timeout: int | None = None
    searches: int | None = None
    upserts: int | None = None
    write_rate: int | None = None
    exact: bool = True
    conditions: int | None = None
    values: int | None = None

    @property
    def points(self) -> int | None:
        """The points of one write."""
        given = [limit for limit in (self.upserts, self.write_rate) if limit is not None]
        return max(1, min(given)) if given else None

    def page(self, limit: int) -> int:
        """Return how many points a page may have."""
        return limit if self.query_limit is None else min(limit, self.query_limit)

    def filter(self, filter: Filter | None) -> Filter | None:
        """Return a filter whose lists are as long as is allowed."""
        if filter is None or self.values is None:
            return filter
        return sliced(filter, self.values, self.conditions)

    def query(self, query: StoreQuery) -> StoreQuery:
        """Return a search whose lists are as deep, and whose filter's are as long, as is allowed.

        Raises:
            InputError: as many results as are asked for are not allowed.
        """
        if self.values is not None:
            query = replace(query, filter=self.filter(query.filter))
        most = self.query_limit
        if most is None:
            return query
        if query.limit + query.offset > most:
            raise InputError(
                f"{query.limit + query.offset} results are asked for, offset included; the "
                f"collection's strict mode allows {most} (max_query_limit); ask for a smaller k, "
                "offset or mmr_candidates"
            )
        plain = [prefetch for prefetch in query.prefetches if not prefetch.over_candidates]
        if query.fusion is not None and method_of(query.fusion).adds_scores:
            most = max(1, most // max(1, len(plain)))  # their union is scored by every arm
        if all(prefetch.limit <= most for prefetch in query.prefetches):
            return query
        shallower = tuple(
            replace(prefetch, limit=min(prefetch.limit, most)) for prefetch in query.prefetches
        )
        return replace(query, prefetches=shallower)


@dataclass(frozen=True, slots=True)
class RequiredIndex:
    """The payload index without which strict mode refuses a filter.

    Attributes:
        path: the payload path.
        kinds: the index types that would do; empty where the server named none.
    """

    path: str
    kinds: tuple[str, ...]

    @property
    def kind(self) -> str:
        """The type to make: of those for numbers, the one that holds integers and floats."""
        if "float" in self.kinds:
            return "float"
        return self.kinds[0] if self.kinds else "keyword"


def limits_of(config: models.CollectionConfig) -> Limits:
    """Return the limits of a collection."""
    mode = getattr(config, "strict_mode_config", None)
    if mode is None or not mode.enabled:
        return Limits()
    return Limits(
        query_limit=mode.max_query_limit,
        timeout=mode.max_timeout,
        searches=mode.search_max_batchsize,
        upserts=mode.upsert_max_batchsize,
        write_rate=mode.write_rate_limit,
        exact=mode.search_allow_exact is not False,
        conditions=mode.filter_max_conditions,
        values=mode.condition_max_size,
    )


def required_index(reason: str) -> RequiredIndex | None:
    """Return the index that a server's refusal asks for."""
    match = _INDEX.search(reason)
    if match is None:
        return None
    kinds = tuple(kind.strip() for kind in match[2].split(",") if kind.strip())
    return RequiredIndex(match[1].replace('\\"', '"'), kinds)


def advice(reason: str) -> str | None:
    """Return what to do about a limit that the server names in its refusal."""
    if _NOT_EXACT in reason:
        return "the collection's strict mode allows no exact search; allow it (search_allow_exact)"
    if match := _EXCEEDED.search(reason):
        _given, allowed, name = match.groups()
    elif match := _REACHED.search(reason):
        name, _given, allowed = match.groups()
    else:
        return None
    steps = [step for word, step in _OPTIONS.items() if name == word]
    steps += [step for word, step in _OPTIONS.items() if word in name]
    todo = steps[0] if steps else "raise the limit"
    return f"the collection's strict mode allows {allowed} here; {todo}"


def is_full(reason: str) -> bool:
    """Say whether the collection holds as much as strict mode lets it: no other point passes."""
    return any(words in reason for words in _FULL)
