"""The reranker of the model ``mini``: late interaction over its encoder's token states."""

from __future__ import annotations

from collections.abc import Sequence

from trivec._runtime.lazy import Lazy
from trivec._runtime.typed import checked
from trivec.encoders.onnx import OnnxOptions
from trivec.mini.encoder import MiniEncoder
from trivec.mini.reranker_head import load_head
from trivec.mini.states import MiniStates, TokenStates
from trivec.rerankers.scoring import check_arguments

__all__ = ["RETRIEVAL_WEIGHT", "MiniReranker"]

RETRIEVAL_WEIGHT = 0.75
"""What the order of the retrieval counts beside it; chosen on DRCD and Cranfield."""


class MiniReranker:
    """A :class:`~trivec.protocols.Reranker` for laptops and tests; nothing is downloaded.

    Query and passage go through the encoder of ``mini`` apart. Every query token then takes its
    best token of the whole passage and of each stretch of 32 tokens, at the 10th layer and at the
    last; the learned sparse weights say how much each query token counts. No layer reads the two
    together, so it is not a cross-encoder. It is meant to be mixed with the order of the retrieval:
    ``rank(..., RankingOptions(retrieval_weight=0.75), retrieved=scores)``. So mixed, it beats the
    hybrid order on questions about one place of a passage, and leaves others as they were
    (benchmarks/README.md has the figures, ``scripts/train_mini_reranker.py`` makes them).

    The scores are logits; ``RankingOptions(normalize=True)`` makes probabilities of them. Passages
    of any length are read whole, in windows of 512 tokens. Building a reranker costs nothing; the
    model is loaded at the first score. A :class:`~trivec.mini.MiniEncoder` of the same options
    and this share one loaded model. Several threads may share a reranker.

    Args:
        options: precision, threads and the like; instructions and lengths belong to the model.
        states: gives the token states instead of a network of its own, for callers that keep
            those of their passages.

    Example:
        >>> reranker = MiniReranker()
        >>> reranker.score("What is BGE-M3?", ["BGE-M3 is an embedding model.", "Hello."])
    """

    @checked
    def __init__(
        self, options: OnnxOptions | None = None, *, states: TokenStates | None = None
    ) -> None:
        self._options = options or OnnxOptions()
        self._given = states
        self._states = Lazy(self._load_states, forks=False)
        self._head = Lazy(load_head)

    @property
    def options(self) -> OnnxOptions:
        """What the reranker was built with."""
        return self._options

    def load(self) -> None:
        """Load the model now rather than at the first score."""
        self._states()
        self._head()

    @checked
    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """Return the logit of every passage, in their order, higher is better; [] for none.

        Args:
            query: any text; what is beyond 512 tokens is not read.
            passages: any texts; one that stands twice is read once.

        Raises:
            InputError: ``passages`` is one text, or something is not a text.
            ModelError: the model cannot be made or loaded, or a window does not fit into memory.
            MissingDependencyError: the extra ``mini`` is not installed.
        """
        check_arguments(query, passages)
        if not passages:
            return []
        states, head = self._states(), self._head()
        distinct = list(dict.fromkeys(passages))
        logits = head.logits(states.of_query(query), states.of_passages(distinct)).tolist()
        scores: dict[str, float] = dict(zip(distinct, logits, strict=True))
        return [scores[passage] for passage in passages]

    def _load_states(self) -> TokenStates:
        if self._given is not None:
            return self._given
        return MiniStates(MiniEncoder(self._options))

    def __repr__(self) -> str:
        return f"MiniReranker({self._options!r})"
