"""What encoders that run their model in this process have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivec._models.batching import Batching, run_in_batches
from trivec._runtime.lazy import Lazy
from trivec.encoders.arguments import check_arguments
from trivec.encoders.query_map import QueryMap
from trivec.encoders.similarity import Similarity, explain, similarity
from trivec.encoders.spans import LongReading, TokenOutputs, encode_spans
from trivec.encoders.tokens import TextTokenizer, TokenizedText
from trivec.types import ALL_HEADS, EncoderInfo, Encoding, Head, MatchedTerm

if TYPE_CHECKING:
    import numpy as np
    import tokenizers
    from numpy.typing import NDArray

__all__ = ["LocalEncoder", "Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """How a model is used: what texts are read as, and how many at a time.

    Attributes:
        query_instruction: text put before a query.
        query_max_length: tokens read of a query.
        passage_instruction: text put before a passage.
        passage_max_length: tokens read of a passage.
        normalized: whether dense and ColBERT vectors have unit length.
        batching: the budget of a forward.
        query_map: what the dense vector of a query goes through; None: it stays as it is.
    """

    query_instruction: str
    query_max_length: int
    passage_instruction: str
    passage_max_length: int
    normalized: bool
    batching: Batching
    query_map: QueryMap | None = None


class LocalEncoder(ABC):
    """Texts to tokens, batches of them through a model, and what else all such encoders offer."""

    _tokenizer: Lazy[TextTokenizer]

    @property
    @abstractmethod
    def info(self) -> EncoderInfo:
        """What identifies the vectors."""

    @abstractmethod
    def load(self) -> None:
        """Load the model now rather than at the first text."""

    def load_for_texts(self) -> None:
        """Load what short texts need: not every word of the tokenizer, where that is separate."""
        self.load()

    @abstractmethod
    def _usage(self) -> Usage:
        """Return how the model is used."""

    @abstractmethod
    def _forward(self, texts: Sequence[TokenizedText], heads: Sequence[Head]) -> list[Encoding]:
        """Encode one batch in one forward, once the model is loaded."""

    @abstractmethod
    def _outputs(self, ids: NDArray[np.int64], heads: Collection[Head]) -> TokenOutputs:
        """Return what the heads make of every token of one text."""

    @property
    def tokenizer(self) -> tokenizers.Tokenizer:
        """The model's tokenizer, without truncation; it must not be changed."""
        return self._tokenizer().backend

    def encode_documents(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode passages, one forward for all heads.

        Args:
            texts: any texts; lone surrogates are read as U+FFFD.
            heads: what to compute.

        Returns:
            One encoding for each text, in order.

        Raises:
            InputError: ``texts`` is a single string, or ``heads`` names an unknown head.
            ModelError: the model cannot be loaded, or not even one text fits into memory.
            MissingHeadError: a head is missing or has the wrong shape.
            MissingDependencyError: an extra that the model needs is not installed.
        """
        return self._encode(texts, heads, of_queries=False)

    def encode_queries(
        self, texts: Sequence[str], *, heads: Sequence[Head] = ALL_HEADS
    ) -> list[Encoding]:
        """Encode queries; as :meth:`encode_documents`, with the query's instruction and length."""
        return self._encode(texts, heads, of_queries=True)

    def encode_long(
        self,
        document: str,
        spans: Sequence[tuple[int, int]],
        *,
        heads: Sequence[Head] = ALL_HEADS,
    ) -> list[Encoding]:
        """Encode a document once and give every passage its vectors out of it (late chunking).

        A passage's dense vector is the mean of its tokens' states, its sparse weights and ColBERT
        rows are its tokens' own; all of them saw the whole document, or of one that is longer than
        ``passage_max_length`` the window around the passage. Experimental for models that pool by
        CLS, as BGE-M3: their dense vector was trained for another state.

        Args:
            document: the text.
            spans: where each passage begins and ends in it, in characters.
            heads: what to compute.

        Returns:
            One encoding for each span, in order.

        Raises:
            InputError: a span is empty or lies outside of the document, or an unknown head.
            ModelError: the model cannot be loaded.
        """
        check_arguments([document], heads)
        self.load_for_texts()
        usage = self._usage()
        reading = LongReading(
            self._tokenizer(),
            self._outputs,
            heads,
            usage.passage_instruction,
            usage.passage_max_length,
            usage.normalized,
        )
        return encode_spans(document, spans, reading)

    def decode_tokens(self, ids: Sequence[int]) -> list[str]:
        """Return the text of sparse indices.

        Raises:
            InputError: an index is not in the vocabulary.
        """
        return self._tokenizer().decode([int(token) for token in ids])

    def similarity(
        self,
        queries: Sequence[str],
        passages: Sequence[str],
        *,
        weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> Similarity:
        """Score every query against every passage, as FlagEmbedding's ``compute_score`` does.

        Args:
            queries: any number of queries.
            passages: any number of passages.
            weights: of dense, sparse and ColBERT in the combined scores, which are weighted means.

        Raises:
            InputError: the weights are not three numbers whose means exist.
            ModelError: the model lacks a head.
        """
        return similarity(self, queries, passages, weights=weights)

    def explain(self, query: str, passage: str) -> tuple[MatchedTerm, ...]:
        """Return the tokens that query and passage share in the sparse head, heaviest first.

        The scores sum to the sparse similarity.
        """
        return explain(self, query, passage)

    def _encode(
        self, texts: Sequence[str], heads: Sequence[Head], *, of_queries: bool
    ) -> list[Encoding]:
        check_arguments(texts, heads)
        texts = list(texts)  # an array's truth is another thing
        if not texts:
            return []
        self.load_for_texts()
        usage = self._usage()
        read = self._tokenizer().read(
            texts,
            instruction=usage.query_instruction if of_queries else usage.passage_instruction,
            max_length=usage.query_max_length if of_queries else usage.passage_max_length,
        )
        wanted = [head for head in ALL_HEADS if head in heads]
        lengths = [len(text.ids) for text in read]
        encodings = run_in_batches(
            read, lengths, lambda batch: self._forward(batch, wanted), usage.batching
        )
        if not of_queries or usage.query_map is None:
            return encodings
        return usage.query_map.of_queries(encodings)
