"""The reranker of the model ``mini``: late interaction over its encoder's token states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trivec._runtime.checks import Precision, check_choice, check_least
from trivec._runtime.lazy import Lazy
from trivec._runtime.typed import check_fields, checked
from trivec.mini.encoder import MINI_OPTIONS, MiniEncoder
from trivec.mini.reranker_head import load_head
from trivec.mini.states import MiniStates, StatesOptions, TokenStates
from trivec.rerankers.scoring import check_arguments

__all__ = ["RETRIEVAL_WEIGHT", "MiniReranker", "MiniRerankerOptions"]

RETRIEVAL_WEIGHT = 0.75
"""What the order of the retrieval counts beside it; chosen on DRCD and Cranfield."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MiniRerankerOptions:
    """How a :class:`MiniReranker` runs.

    Attributes:
        device: where it computes, as PyTorch names it: ``cpu``, ``cuda:0``, ``mps``.
        precision: ``fp32``, ``bf16`` or ``fp16``, of weights and activations.
        max_batch_tokens: the most padded tokens of one forward; one longer window goes alone.

    Raises:
        InputError: a value is not allowed.
    """

    device: str = "cpu"
    precision: Precision = "fp32"
    max_batch_tokens: int = 2048

    def __post_init__(self) -> None:
        check_fields(self)
        check_choice("precision", self.precision, Precision)
        check_least("max_batch_tokens", self.max_batch_tokens, 1)


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
    model is loaded at the first score, beside that of a :class:`~trivec.mini.MiniEncoder`.
    Several threads may share one.

    Args:
        options: device, precision, batches.
        states: gives the token states instead of a network of its own, for callers that keep
            those of their passages.

    Example:
        >>> reranker = MiniReranker()
        >>> reranker.score("What is BGE-M3?", ["BGE-M3 is an embedding model.", "Hello."])
    """

    @checked
    def __init__(
        self, options: MiniRerankerOptions | None = None, *, states: TokenStates | None = None
    ) -> None:
        self._options = options or MiniRerankerOptions()
        self._given = states
        self._states = Lazy(self._load_states, forks=self._options.device == "cpu")
        self._head = Lazy(load_head)

    @property
    def options(self) -> MiniRerankerOptions:
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
        options = self._options
        return MiniStates(
            MiniEncoder(MINI_OPTIONS),
            StatesOptions(
                device=options.device,
                precision=options.precision,
                max_batch_tokens=options.max_batch_tokens,
            ),
        )

    def __repr__(self) -> str:
        return f"MiniReranker({self._options!r})"
