"""What a typed application of the core writes; mypy --strict reads it, nothing runs it."""

from __future__ import annotations

from trivec import AsyncHybridIndex, Hit, HybridIndex, QuestionIndex, SearchOptions
from trivec.types import SearchOverrides


def found(index: HybridIndex, questions: QuestionIndex) -> list[Hit]:
    """Search by the fields of the options, whole or one by one."""
    named: SearchOverrides = {"arms": {"dense": 1.0, "bm25": 0.5}, "fusion": "rrf"}
    hits = index.search("green tea", 3, explain=True, arms=["dense", "bm25"])
    hits += index.search("green tea", options=SearchOptions(colbert="fuse"), **named)
    hits += questions.search("green tea", mmr_lambda=0.5)
    index.search("green tea", explain=1)  # type: ignore[arg-type]  # a bool is asked for
    index.search("green tea", arm="dense")  # type: ignore[call-arg]  # there is no such field
    return hits


async def sources(index: AsyncHybridIndex) -> list[str]:
    """Read what hits hold."""
    hits = await index.search("green tea", explain=True)
    return [f"{hit.source}: {hit.text} {hit.metadata}" for hit in hits]
