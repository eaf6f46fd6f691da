"""Points that lack an arm: what is left out rightly, what must be encoded again."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from trivec.arms import arms_among
from trivec.index.collection import Binding
from trivec.index.steps import Steps, read
from trivec.query import Filter, qdrant
from trivec.types import Encoding, Head, PointId, StoredPoint

__all__ = [
    "empty_arms",
    "encoded_arms",
    "known_empty",
    "left_out",
    "mark_empty",
    "unfinished_steps",
]

EMPTY = "empty"
"""Which of trivec's own fields names the arms for which a text rightly has no vector."""


def encoded_arms(binding: Binding) -> dict[str, Head]:
    """Return the head of each arm that the model computes."""
    return {arm.name: arm.head for arm in arms_among(binding.schema.written) if arm.head}


def left_out(heads: Mapping[str, Head], encoding: Encoding) -> list[str]:
    """Return the arms whose head the encoder left out.

    A dense vector exists for every text. The others may be empty: a text without a word that the
    model weighs.
    """
    return [
        arm
        for arm, head in heads.items()
        if (vector := getattr(encoding, head)) is None or (head == "dense" and not len(vector))
    ]


def empty_arms(heads: Mapping[str, Head], encoding: Encoding) -> list[str]:
    """Return the arms whose head the encoder computed, and found nothing; see ``mark_empty``."""
    return [
        arm
        for arm, head in heads.items()
        if (vector := getattr(encoding, head)) is not None and not len(vector)
    ]


def mark_empty(binding: Binding, payload: Mapping[str, Any], arms: Sequence[str]) -> None:
    """Remember in a payload that was just encoded which arms it has rightly no vector for."""
    if arms and isinstance(own := binding.codec.own(payload), MutableMapping):
        own[EMPTY] = list(arms)


def known_empty(binding: Binding, payload: Mapping[str, Any]) -> list[str]:
    """Return the arms that a stored point has rightly no vector for."""
    empty = binding.codec.own(payload).get(EMPTY)
    return empty if isinstance(empty, list) else []


def unfinished_steps(
    binding: Binding, texts: Mapping[PointId, str], payloads: Mapping[PointId, Mapping[str, Any]]
) -> Steps[set[PointId]]:
    """Return those of some stored points that lack the vector of an arm.

    Args:
        binding: the collection.
        texts: the points' texts.
        payloads: their payloads; points that are being written are not asked about.
    """
    names = {arm: spec.name for arm, spec in binding.schema.written.items()}
    if not texts or not names:
        return set()
    asked = _lacking(list(texts), list(names.values()))
    lacking, _ = yield from read(lambda store: store.scroll(filter=asked, limit=len(texts)))
    if not lacking:
        return set()
    ids = [point.id for point in lacking]
    wanted = list(names.values())
    points = yield from read(lambda store: store.retrieve(ids, with_vectors=wanted))
    return {point.id for point in points if _is_unfinished(binding, point, texts, payloads)}


def _is_unfinished(
    binding: Binding,
    point: StoredPoint,
    texts: Mapping[PointId, str],
    payloads: Mapping[PointId, Mapping[str, Any]],
) -> bool:
    expected = set(binding.document_vectors(texts[point.id]))  # of the arms without a head
    empty = known_empty(binding, payloads[point.id])
    for arm in arms_among(binding.schema.written):
        name = binding.schema.written[arm.name].name
        absent = arm.name in empty if arm.head else name not in expected
        if name not in point.vectors and not absent:
            return True
    return False


def _lacking(ids: Sequence[PointId], names: Sequence[str]) -> Filter:
    return qdrant.Filter(
        must=[qdrant.HasIdCondition(has_id=list(ids))],
        min_should=qdrant.MinShould(
            conditions=[
                qdrant.Filter(must_not=[qdrant.HasVectorCondition(has_vector=name)])
                for name in names
            ],
            min_count=1,
        ),
    )
