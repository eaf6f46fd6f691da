"""A trivec reranker as a LlamaIndex node postprocessor."""

from __future__ import annotations

from typing import Any

import llama_index.core.instrumentation as instrument
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

from trivec.errors import InputError
from trivec.protocols import Reranker
from trivec.rerankers import RankingOptions, rank

__all__ = ["TrivecRerank"]

dispatcher = instrument.get_dispatcher(__name__)  # type: ignore[attr-defined]  # no __all__

RETRIEVAL_SCORE = "retrieval_score"
"""LlamaIndex's own metadata key for the score that a node had before it was reranked."""


class TrivecRerank(BaseNodePostprocessor):
    """Orders nodes by a model that reads query and node together.

    New nodes are returned; those given stay as they were. The asynchronous method runs in a
    worker thread.

    Args:
        reranker: any :class:`trivec.protocols.Reranker`, for instance a cross-encoder or
            :class:`trivec.rerankers.MaxSimReranker`.
        top_n: how many nodes are kept; None keeps all.
        threshold: the least score that is kept, after ``normalize``.
        normalize: turn the reranker's logits into probabilities.
        retrieval_weight: how much the nodes' earlier scores count in the new order, see
            :class:`trivec.rerankers.RankingOptions`; every node needs one then.
        keep_retrieval_score: keep the earlier score in ``metadata["retrieval_score"]``, which
            neither prompts nor embeddings show.
        callback_manager: LlamaIndex's callbacks.

    Raises:
        InputError: a negative ``top_n``, or a threshold that no probability can have.
    """

    top_n: int | None = Field(default=None, description="How many nodes are kept.")
    threshold: float | None = Field(default=None, description="The least score that is kept.")
    normalize: bool = Field(default=False, description="Whether scores become probabilities.")
    retrieval_weight: float = Field(default=0.0, description="What the earlier scores count.")
    keep_retrieval_score: bool = Field(default=False, description="Whether to keep the old score.")

    _reranker: Reranker = PrivateAttr()

    def __init__(
        self,
        reranker: Reranker,
        *,
        top_n: int | None = None,
        threshold: float | None = None,
        normalize: bool = False,
        retrieval_weight: float = 0.0,
        keep_retrieval_score: bool = False,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        RankingOptions(
            top_n=top_n,
            threshold=threshold,
            normalize=normalize,
            retrieval_weight=retrieval_weight,
        )
        fields: dict[str, Any] = {
            "top_n": top_n,
            "threshold": threshold,
            "normalize": normalize,
            "retrieval_weight": retrieval_weight,
            "keep_retrieval_score": keep_retrieval_score,
            "callback_manager": callback_manager or CallbackManager([]),
        }
        super().__init__(**fields)
        self._reranker = reranker

    @classmethod
    def class_name(cls) -> str:
        """Return the name that serialised components carry."""
        return "TrivecRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise InputError("reranking needs the query; pass query_bundle or query_str")
        if not nodes:
            return []
        name = type(self._reranker).__name__
        count = len(nodes) if self.top_n is None else self.top_n
        dispatcher.event(
            ReRankStartEvent(query=query_bundle, nodes=nodes, top_n=count, model_name=name)
        )
        payload: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: name,
            EventPayload.QUERY_STR: query_bundle.query_str,
            EventPayload.TOP_K: count,
        }
        with self.callback_manager.event(CBEventType.RERANKING, payload=payload) as event:
            kept = self._ranked(nodes, query_bundle.query_str)
            event.on_end(payload={EventPayload.NODES: kept})
        dispatcher.event(ReRankEndEvent(nodes=kept))
        return kept

    def _ranked(self, nodes: list[NodeWithScore], query: str) -> list[NodeWithScore]:
        passages = [node.node.get_content(MetadataMode.EMBED) for node in nodes]
        options = RankingOptions(
            top_n=self.top_n,
            threshold=self.threshold,
            normalize=self.normalize,
            retrieval_weight=self.retrieval_weight,
        )
        scores = [node.score for node in nodes if node.score is not None]
        return [
            self._rescored(nodes[ranked.position], ranked.score)
            for ranked in rank(self._reranker, query, passages, options, retrieved=scores)
        ]

    def _rescored(self, given: NodeWithScore, score: float) -> NodeWithScore:
        """Return a copy with the new score; containers that change are copied too."""
        node = given.node.model_copy()
        if self.keep_retrieval_score:
            node.metadata = {**node.metadata, RETRIEVAL_SCORE: given.score}
            node.excluded_embed_metadata_keys = [
                *node.excluded_embed_metadata_keys,
                RETRIEVAL_SCORE,
            ]
            node.excluded_llm_metadata_keys = [*node.excluded_llm_metadata_keys, RETRIEVAL_SCORE]
        return NodeWithScore(node=node, score=score)
