"""What every cross-encoder does around its network: texts checked, windows joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trivec._models.batching import Batching, run_in_batches
from trivec.errors import InputError
from trivec.rerankers.pairs import PairTokenizer, TokenizedPair

__all__ = ["check_arguments", "score_pairs"]


def check_arguments(query: str, passages: Sequence[str]) -> None:
    """Refuse what cannot be scored.

    Raises:
        InputError: ``passages`` is one text, or something is not a text.
    """
    if isinstance(passages, str):
        raise InputError("passages is one text; give a list")
    for text in (query, *passages):
        if not isinstance(text, str):
            raise InputError(
                f"query and passages must be strings; there is a {type(text).__name__}"
            )


def score_pairs(
    query: str,
    passages: Sequence[str],
    tokenizer: PairTokenizer,
    score: Callable[[Sequence[TokenizedPair]], list[float]],
    batching: Batching,
) -> list[float]:
    """Return the logit of every passage, in their order; of a long one, its best window's.

    Args:
        query: with its instruction.
        passages: with theirs; one that stands twice is read once.
        tokenizer: makes pairs.
        score: scores one batch in one forward.
        batching: the budget.

    Raises:
        ModelError: one pair alone does not fit into memory.
    """
    distinct = list(dict.fromkeys(passages))
    pairs = tokenizer.read(query, distinct)
    logits = run_in_batches(pairs, [len(pair.ids) for pair in pairs], score, batching)
    windows: list[list[float]] = [[] for _ in distinct]
    for pair, logit in zip(pairs, logits, strict=True):
        windows[pair.passage].append(logit)
    scores = {
        passage: max(window_scores)
        for passage, window_scores in zip(distinct, windows, strict=True)
    }
    return [scores[passage] for passage in passages]
