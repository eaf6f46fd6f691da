"""Reranking as LangChain knows it: a document compressor, and a cross-encoder."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.callbacks import Callbacks
from langchain_core.cross_encoders import BaseCrossEncoder
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.runnables import run_in_executor
from pydantic import ConfigDict, Field, model_validator

from langchain_trivec._convert import Relevance
from trivec.protocols import Reranker
from trivec.rerankers import RankingOptions, rank

__all__ = ["BGECrossEncoder", "CrossEncoderCompressor"]


class CrossEncoderCompressor(BaseDocumentCompressor):
    """Orders documents by a trivec reranker and keeps the best.

    The documents that come back are copies with the score in ``metadata["relevance_score"]``;
    those that were given are not changed. The asynchronous method runs in a worker thread.

    Attributes:
        reranker: what scores; :class:`trivec.rerankers.MaxSimReranker` needs no further model.
        top_n: at most so many documents; None keeps all.
        threshold: the least ``relevance_score`` that is kept; None keeps all.
        normalize: turn logits, as a cross-encoder gives them, into probabilities.
        retrieval_weight: how much the scores that :class:`TrivecRetriever` put under
            ``metadata["trivec"]`` count in the new order; see
            :class:`trivec.rerankers.RankingOptions`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    reranker: Reranker = Field(exclude=True)
    top_n: int | None = 3
    threshold: float | None = None
    normalize: bool = False
    retrieval_weight: float = 0.0

    @model_validator(mode="after")
    def _check(self) -> CrossEncoderCompressor:
        self._ranking()
        return self

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002  # part of LangChain's interface
    ) -> list[Document]:
        """Return the documents that are kept, best first; [] for none."""
        texts = [document.page_content for document in documents]
        scores = [score for score in map(_retrieved, documents) if score is not None]
        return [
            with_relevance(documents[ranked.position], ranked.score)
            for ranked in rank(self.reranker, query, texts, self._ranking(), retrieved=scores)
        ]

    async def acompress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,
    ) -> list[Document]:
        """Return the documents that are kept; see :meth:`compress_documents`."""
        return await run_in_executor(None, self.compress_documents, documents, query, callbacks)

    def _ranking(self) -> RankingOptions:
        return RankingOptions(
            top_n=self.top_n,
            threshold=self.threshold,
            normalize=self.normalize,
            retrieval_weight=self.retrieval_weight,
        )


class BGECrossEncoder(BaseCrossEncoder):
    """A trivec reranker as the cross-encoder of LangChain's own ``CrossEncoderReranker``.

    Args:
        reranker: what scores.
    """

    def __init__(self, reranker: Reranker) -> None:
        self._reranker = reranker

    def score(self, text_pairs: list[tuple[str, str]]) -> list[float]:
        """Return a score for every ``(query, passage)``; each query's passages in one call."""
        by_query: dict[str, list[int]] = {}
        for position, (query, _) in enumerate(text_pairs):
            by_query.setdefault(query, []).append(position)
        scores = [0.0] * len(text_pairs)
        for query, positions in by_query.items():
            passages = [text_pairs[position][1] for position in positions]
            for ranked in rank(self._reranker, query, passages):
                scores[positions[ranked.position]] = ranked.score
        return scores

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._reranker!r})"


def _retrieved(document: Document) -> float | None:
    """Return the score that the retriever found a document with."""
    retrieved = document.metadata.get("trivec")
    return retrieved.get("score") if isinstance(retrieved, dict) else None


def with_relevance(document: Document, score: float) -> Document:
    """Return a copy of a document that has its score in ``metadata["relevance_score"]``."""
    metadata = {**document.metadata, "relevance_score": Relevance(score)}
    return document.model_copy(update={"metadata": metadata})
