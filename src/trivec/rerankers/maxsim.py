"""Reranking by late interaction: the ColBERT vectors of the encoder that is there anyway."""

from __future__ import annotations

from collections.abc import Sequence

from trivec._runtime.typed import checked
from trivec.colbert import max_sim
from trivec.errors import InputError, ModelError
from trivec.protocols import Encoder

__all__ = ["MaxSimReranker"]


class MaxSimReranker:
    """A :class:`~trivec.protocols.Reranker` that needs no model besides the encoder.

    A passage scores the mean over the query's ColBERT rows of the most similar passage row, as
    FlagEmbedding's ``colbert_score`` does (Khattab and Zaharia 2020,
    https://arxiv.org/abs/2004.12832). Scores are cosines between -1 and 1, not probabilities.
    Where the collection stores the ``colbert`` arm, ``SearchOptions(colbert="rescore")`` gives
    the same order inside the engine, without encoding passages.

    Args:
        encoder: an encoder with a ColBERT head; its model is loaded at the first score.
    """

    @checked
    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def encoder(self) -> Encoder:
        """The encoder that computes the ColBERT vectors."""
        return self._encoder

    @checked
    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """Return a score for every passage, in their order, higher is better; [] for none.

        The passages are encoded in one call, a text that stands twice once.

        Raises:
            InputError: ``passages`` is one text, or the encoder has no ColBERT head.
        """
        if not passages:
            return []
        if "colbert" not in self._encoder.info.heads:
            raise InputError(
                f"{self._encoder.info.model!r} has the heads {list(self._encoder.info.heads)}; "
                "MaxSim needs 'colbert', use an encoder of BGE-M3's shape"
            )
        distinct = list(dict.fromkeys(passages))
        asked = self._encoder.encode_queries([query], heads=("colbert",))[0].colbert
        encodings = self._encoder.encode_documents(distinct, heads=("colbert",))
        rows = [encoding.colbert for encoding in encodings if encoding.colbert is not None]
        if asked is None or len(rows) < len(distinct):
            raise ModelError("the encoder gave no colbert vectors, though its info lists them")
        scores: list[float] = (max_sim(asked, rows) / max(len(asked), 1)).tolist()
        by_text = dict(zip(distinct, scores, strict=True))
        return [by_text[passage] for passage in passages]

    def __repr__(self) -> str:
        return f"MaxSimReranker({self._encoder!r})"
