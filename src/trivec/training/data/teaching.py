"""Scores of questions and passages by the dense vectors of an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from trivec.arms import DENSE
from trivec.index import HybridIndex
from trivec.index.hybrid import binding_of
from trivec.training.data.pairs import Corpus, key_of
from trivec.types import FloatArray

__all__ = ["DenseTeacher"]

DRAWN = 256
"""Questions and passages that are compared to see how unrelated ones score."""


@dataclass(frozen=True, slots=True, eq=False)
class DenseTeacher:
    """The dense vectors of a corpus.

    Attributes:
        vectors: ``(passages, dim)``, in the corpus's order; zeros where the index has none.
        floor: the mean score of questions with passages that have nothing to do with them.
        passage_floor: the same of passages with each other.
    """

    vectors: np.ndarray[Any, np.dtype[np.float16]]
    floor: float
    passage_floor: float

    @classmethod
    def of(
        cls, index: HybridIndex, corpus: Corpus, questions: Sequence[str], *, seed: int
    ) -> DenseTeacher | None:
        """Return the teacher of an index; None where it has no dense arm.

        Half precision is enough for comparing, and halves what a large corpus needs.

        Args:
            index: whose vectors are read; no passage is encoded.
            corpus: its passages.
            questions: some of them are encoded, to see how unrelated ones score.
            seed: which ones.
        """
        stored = index.schema.vectors.get(DENSE.name)
        if stored is None or not questions or not corpus:
            return None
        place = {key: at for at, key in enumerate(corpus)}
        vectors = np.zeros((len(corpus), index.encoder.info.dense_dim), dtype=np.float16)
        binding = binding_of(index)
        for points in binding.pages(binding.scope(), with_vectors=(stored.name,)):
            for point in points:
                at = place.get(key_of(binding.codec.decode(point)))
                if at is not None and stored.name in point.vectors:
                    vectors[at] = cast("FloatArray", point.vectors[stored.name])
        draw = np.random.default_rng(seed)
        rows = draw.choice(len(corpus), min(DRAWN, len(corpus)), replace=False)
        drawn = draw.choice(len(questions), min(DRAWN, len(questions)), replace=False)
        asked = index.encoder.encode_queries([questions[at] for at in drawn], heads=("dense",))
        some = vectors[rows].astype(np.float32)
        queries = np.stack([cast("FloatArray", one.dense) for one in asked])
        among = some @ some.T
        pairs = ~np.eye(len(some), dtype=bool)
        between = float(among[pairs].mean()) if pairs.any() else 0.0
        return cls(vectors, float((queries @ some.T).mean()), between)

    def scores(self, query: FloatArray, rows: Sequence[int]) -> FloatArray:
        """Return the score of passages for a question, ``(rows,)``."""
        return np.asarray(self.vectors[list(rows)].astype(np.float32) @ query)

    def likeness(self, row: int, rows: Sequence[int]) -> FloatArray:
        """Return how near passages are to one: 0 as random ones are, 1 as itself."""
        one = self.vectors[row].astype(np.float32)
        cosines = self.vectors[list(rows)].astype(np.float32) @ one
        return np.asarray((cosines - self.passage_floor) / max(1.0 - self.passage_floor, 1e-6))
