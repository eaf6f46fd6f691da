"""The arms of a search as data: one row for each, which everything else reads.

A new arm is a row of ``ARMS`` for a head that the encoders have. One whose vectors come from
the text itself needs its analyser besides (``trivec.index.collection.Binding.analyzer``).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import assert_never

from trivec._runtime.checks import check_texts, shown
from trivec._runtime.typed import checked
from trivec.errors import InputError
from trivec.schema import VectorKind, VectorSpec
from trivec.types import ALL_HEADS, EncoderInfo, Encoding, Head, Vector

__all__ = [
    "ARMS",
    "BM25",
    "COLBERT",
    "DENSE",
    "LEXICAL",
    "SEMANTIC",
    "SPARSE",
    "Arm",
    "arm_named",
    "arm_names",
    "arms_among",
    "heads_of",
    "vectors_by_arm",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to match a query with passages, and the vector that it needs.

    Attributes:
        name: what options, results and collections call it.
        kind: how Qdrant keeps its vector.
        head: the encoder's output that it stores; None where an analyser makes it from the text.
        lexical: True where it matches words, False where it matches meaning.
        idf: whether Qdrant multiplies query weights by IDF.
        default: whether a new collection has it, and a search uses it, where nobody names arms.
        linear_weight: its weight in linear fusion where nobody gives one.
        adaptive_weight: its weight in adaptive fusion.
        wordless_weight: its weight there where no arm of words is believed; None: the same.
    """

    name: str
    kind: VectorKind
    head: Head | None
    lexical: bool
    idf: bool = False
    default: bool = True
    linear_weight: float = 1.0
    adaptive_weight: float = 1.0
    wordless_weight: float | None = None

    @checked
    def is_made_by(self, info: EncoderInfo) -> bool:
        """Say whether a collection of this encoder can have the arm."""
        return self.head is None or self.head in info.heads

    @checked
    def width(self, info: EncoderInfo) -> int | None:
        """Return the width of the encoder's vectors, None for sparse ones."""
        match self.head:
            case "dense":
                return info.dense_dim
            case "colbert":
                return info.colbert_dim
            case "sparse" | None:
                return None
            case _:
                assert_never(self.head)

    @checked
    def spec(self, name: str, info: EncoderInfo) -> VectorSpec:
        """Return the vector of that name in which trivec keeps the arm."""
        return VectorSpec(name, self.kind, self.width(info), idf=self.idf)


DENSE = Arm(name="dense", kind="dense", head="dense", lexical=False)
"""One vector for each text."""

SPARSE = Arm(
    name="sparse",
    kind="sparse",
    head="sparse",
    lexical=True,
    linear_weight=0.3,
)
"""Learned weights of tokens."""

BM25 = Arm(
    name="bm25",
    kind="sparse",
    head=None,
    lexical=True,
    idf=True,
    linear_weight=0.03,
    adaptive_weight=1.5,
)
"""Words, weighed by how often they stand in a text and how rare they are."""

COLBERT = Arm(
    name="colbert",
    kind="multivector",
    head="colbert",
    lexical=False,
    default=False,
    wordless_weight=10.0,
)
"""A vector for each token, compared one by one."""

ARMS: tuple[Arm, ...] = (DENSE, SPARSE, BM25, COLBERT)
"""Every arm, in the order of collections, results and messages.

ColBERT is no default, since it takes a row for every token. The linear weights are M3's training
ensemble (dense + 0.3 sparse + ColBERT). BM25's scores have no upper bound: its weight was set on
held-out text (benchmarks/README.md), and so were the adaptive weights (docs/fusion.md).
"""

LEXICAL: tuple[str, ...] = tuple(arm.name for arm in ARMS if arm.lexical)
"""The names of the arms that match words."""

SEMANTIC: tuple[str, ...] = tuple(arm.name for arm in ARMS if not arm.lexical)
"""The names of the arms that match meaning."""


@checked
def arm_names() -> tuple[str, ...]:
    """Return the names of all arms."""
    return tuple(arm.name for arm in ARMS)


@checked
def arm_named(name: str) -> Arm:
    """Return an arm.

    Raises:
        InputError: there is none of that name.
    """
    for arm in ARMS:
        if arm.name == name:
            return arm
    raise InputError(f"arm={shown(name)}; allowed: {', '.join(arm_names())}")


@checked
def arms_among(names: Collection[str]) -> list[Arm]:
    """Return the arms of these names, in the order of the table.

    Raises:
        InputError: a name is not a text.
    """
    check_texts("names", names)
    wanted = set(names)
    return [arm for arm in ARMS if arm.name in wanted]


@checked
def heads_of(names: Collection[str]) -> tuple[Head, ...]:
    """Return the heads that an encoder must compute for these arms."""
    needed = {arm.head for arm in arms_among(names)}
    return tuple(head for head in ALL_HEADS if head in needed)


@checked
def vectors_by_arm(encoding: Encoding, analyzed: Vector | None = None) -> dict[str, Vector]:
    """Return a text's vectors by arm; empty ones are left out.

    Args:
        encoding: what the encoder made of the text.
        analyzed: what the analyser made of it, for the arms without a head.
    """
    vectors = {}
    for arm in ARMS:
        vector = analyzed if arm.head is None else getattr(encoding, arm.head)
        if vector is not None and len(vector):
            vectors[arm.name] = vector
    return vectors
