"""Scores of a batch by the three heads, and what they should have been."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivec.training.batches import Batch
from trivec.training.network import Outputs
from trivec.training.options import FinetuneOptions

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Losses", "losses_of", "scores_of"]

ARMS = ("dense", "sparse", "colbert")
FEW_TOKENS = 256
"""Query tokens that are compared with all passages' tokens at a time."""


@dataclass(frozen=True, slots=True)
class Losses:
    """The loss of a step, and of what it is made."""

    total: Tensor
    parts: dict[str, float]


def scores_of(
    queries: Outputs, passages: Outputs, unused: Tensor, arms: Sequence[str] = ARMS
) -> dict[str, Tensor]:
    """Return the scores ``(queries, passages)`` of each arm, as the product computes them.

    In float32 whatever surrounds this: bfloat16 has three digits, and cosines are near each other.
    """
    import torch

    found: dict[str, Tensor] = {}
    with torch.autocast("cpu", enabled=False):
        if "dense" in arms:
            found["dense"] = queries.dense @ passages.dense.T
        if "sparse" in arms:
            found["sparse"] = _sparse(queries, passages, unused)
        if "colbert" in arms:
            found["colbert"] = _colbert(queries, passages)
    return found


def losses_of(
    scores: dict[str, Tensor], batch: Batch, guide: Tensor, options: FinetuneOptions
) -> Losses:
    """Return the loss of a batch.

    Args:
        scores: ``(queries, passages)`` of each arm that learns.
        batch: the texts.
        guide: the base model's dense scores ``(queries, passages)``, which tell false negatives.
        options: temperatures, weights and shares.
    """
    import torch
    from torch.nn.functional import cross_entropy

    kept = _negatives(batch, guide, options.false_negative_margin)
    own = torch.arange(len(batch.queries))
    logits = {
        arm: (one / _temperature(arm, options)).masked_fill(~kept, -torch.inf)
        for arm, one in scores.items()
    }
    soft = _teacher(batch, options.teacher_temperature)
    together = torch.stack(list(logits.values())).mean(dim=0).detach() if logits else None
    total, parts = torch.zeros(()), {}
    shares = dict(zip(ARMS, options.weights, strict=True))
    for arm, one in logits.items():
        loss = cross_entropy(one, own)
        if soft is not None and options.distillation:
            followed = _followed(scores[arm] / _temperature(arm, options), soft)
            loss = (1 - options.distillation) * loss + options.distillation * followed
        if options.self_distillation and together is not None:
            target = torch.softmax(together, dim=1)
            followed = -(target * torch.log_softmax(one, dim=1).masked_fill(~kept, 0)).sum(1).mean()
            share = options.self_distillation
            loss = (1 - share) * loss + share * followed
        total = total + shares[arm] * loss
        parts[arm] = float(loss.detach())
    return Losses(total, parts)


def _temperature(arm: str, options: FinetuneOptions) -> float:
    return options.sparse_temperature if arm == "sparse" else options.temperature


def _negatives(batch: Batch, guide: Tensor, margin: float | None) -> Tensor:
    """Return ``(queries, passages)`` bool: a query's own passage, and what is no answer to it."""
    import torch

    count = len(batch.queries)
    own = torch.zeros_like(guide, dtype=torch.bool)
    own[torch.arange(count), torch.arange(count)] = True
    known = torch.tensor([[one in right for one in batch.passages] for right in batch.known])
    kept = ~known
    if margin is not None:  # Solatorio 2024, arXiv 2402.16829: GISTEmbed
        mined = torch.zeros_like(own)
        for query, places in enumerate(batch.mined):
            mined[query, list(places)] = True
        # Mining has judged a query's own hard negatives. That the base ranks one of them above
        # the answer is the very thing to learn.
        kept &= mined | (guide <= guide[own][:, None] - margin)
    return kept | own


def _teacher(batch: Batch, temperature: float) -> Tensor | None:
    """Return a teacher's logits ``(queries, passages)``, NaN where it has none."""
    import torch

    if not any(batch.scores):
        return None
    scores = torch.full((len(batch.queries), len(batch.passages)), torch.nan)
    for at, known in enumerate(batch.scores):
        for place, score in known.items():
            scores[at, place] = score / temperature
    return scores


def _followed(logits: Tensor, teacher: Tensor) -> Tensor:
    """Return the cross entropy with the teacher's softmax over the passages that it has scored."""
    import torch

    known = ~torch.isnan(teacher)
    asked = known.sum(dim=1) > 1
    if not bool(asked.any()):
        return logits.sum() * 0
    known, logits = known[asked], logits[asked]
    target = torch.softmax(teacher[asked].masked_fill(~known, -torch.inf), dim=1)
    log = torch.log_softmax(logits.masked_fill(~known, -torch.inf), dim=1).masked_fill(~known, 0)
    return -(target * log).sum(dim=1).mean()


def _sparse(queries: Outputs, passages: Outputs, unused: Tensor) -> Tensor:
    """Only tokens of the queries can count: the matrices are as wide as they have distinct ones."""
    import torch

    vocabulary = torch.unique(queries.ids)
    vocabulary = vocabulary[~torch.isin(vocabulary, unused)]
    return _matrix(queries, vocabulary) @ _matrix(passages, vocabulary).T


def _matrix(texts: Outputs, vocabulary: Tensor) -> Tensor:
    """Return ``(texts, vocabulary)``: the highest weight of every token, as in the product."""
    import torch

    count, width = len(texts.counts), len(vocabulary)
    columns = torch.searchsorted(vocabulary, texts.ids).clamp(max=max(width - 1, 0))
    known = vocabulary[columns] == texts.ids
    rows = torch.repeat_interleave(torch.arange(count), texts.counts)
    cells = (rows * width + columns)[known]
    flat = torch.zeros(count * width).scatter_reduce(0, cells, texts.weights[known], "amax")
    return flat.view(count, width)


def _colbert(queries: Outputs, passages: Outputs) -> Tensor:
    """Return the mean over a query's rows of the best row of each passage."""
    import torch

    owners = torch.repeat_interleave(torch.arange(len(passages.counts)), passages.counts)
    best = []
    for rows in torch.split(queries.rows, FEW_TOKENS):
        alike = rows @ passages.rows.T
        least = torch.full((len(rows), len(passages.counts)), -torch.inf)
        index = owners.expand(len(rows), -1)
        best.append(least.scatter_reduce(1, index, alike, "amax"))
    asked = torch.repeat_interleave(torch.arange(len(queries.counts)), queries.counts)
    sums = torch.zeros(len(queries.counts), len(passages.counts))
    sums = sums.index_add(0, asked, torch.cat(best))
    return sums / queries.counts.clamp(min=1)[:, None]
