"""A dataset of the user's own: passages drawn from an index, each with a question that it answers.

What a model asks of a passage is easier than what people ask. Such a dataset compares ways to
search; it does not say how often people find what they need.
"""

from __future__ import annotations

import csv
import heapq
import logging
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from trivec._runtime.checks import check_least
from trivec._runtime.paths import user_path
from trivec._runtime.typed import checked
from trivec.errors import InputError, ModelError
from trivec.evaluation.dataset import Dataset, Question
from trivec.index import HybridIndex
from trivec.index.options import Progress
from trivec.protocols import ChatModel
from trivec.questions import QuestionIndex, QuestionPrompts
from trivec.questions.writing import QuestionWriter
from trivec.types import Chunk

__all__ = ["sample_dataset", "save_questions"]

logger = logging.getLogger(__name__)

SPARE = 3
"""How many times as many passages are drawn: some answer no question."""

MOST_FAILURES = 10
"""Passages in a row that a model may fail on."""


@checked
def sample_dataset(
    index: HybridIndex,
    asker: ChatModel | QuestionIndex,
    count: int = 100,
    *,
    name: str = "sample",
    seed: int = 0,
    progress: Progress | None = None,
) -> Dataset:
    """Draw passages of an index, and give each a question that it answers.

    The same seed draws the same passages, also after others were added.

    Args:
        index: whose passages are drawn.
        asker: a chat model, which is asked for a question of each passage; or the index's
            questions, of which one is taken. The latter must not be searched in the evaluation.
        count: how many questions are wanted; fewer where fewer passages have one.
        name: of the dataset.
        seed: of the draw.
        progress: called with the number of questions.

    Returns:
        Questions alone, for an evaluation over this index.

    Raises:
        InputError: ``count`` is less than 1, or no passage has a question.
        ModelError: the model failed 10 times in a row.
    """
    check_least("count", count, 1)
    questions: list[Question] = []
    for chunk, asked in _asked(_drawn(index, asker, count, seed), asker, seed):
        document = chunk.source or str(chunk.id)
        questions.append(Question(f"q{len(questions)}", asked, {str(chunk.id): 1}, document))
        if progress is not None:
            progress(1)
        if len(questions) == count:
            break
    if not questions:
        raise InputError(
            "no passage of the index has a question; let a chat model write some: 'trivec "
            "questions' does, or give one to sample_dataset()"
        )
    return Dataset(name, (), tuple(questions))


def _drawn(
    index: HybridIndex, asker: ChatModel | QuestionIndex, count: int, seed: int
) -> list[Chunk]:
    """Return passages in an order that depends on their ids and the seed alone."""
    if not isinstance(asker, QuestionIndex):
        return heapq.nsmallest(SPARE * count, index.chunks(), key=lambda one: _draw(one, seed))
    # few passages may have questions, so that all are drawn; their texts are not wanted
    chunks = (replace(chunk, text="") for chunk in index.chunks())
    return sorted(chunks, key=lambda one: _draw(one, seed))


def _draw(chunk: Chunk, seed: int) -> bytes:
    return sha256(f"{seed} {chunk.source} {chunk.id}".encode("utf-8", "replace")).digest()


def _asked(
    chunks: list[Chunk], asker: ChatModel | QuestionIndex, seed: int
) -> Iterator[tuple[Chunk, str]]:
    writer = None
    if not isinstance(asker, QuestionIndex):
        writer = QuestionWriter(asker, QuestionPrompts(per_chunk=1, refine=False))
    failures = 0
    for chunk in chunks:
        try:
            if writer is not None:
                found = list(writer.write(chunk.text).questions)
            else:
                found = asker.questions(str(chunk.id), source=chunk.source)  # type: ignore[union-attr]
            failures = 0
        except ModelError as err:
            failures += 1
            if failures == MOST_FAILURES:
                raise
            logger.warning("no question of %s: %s", chunk.id, err)
            continue
        if found:
            yield chunk, sorted(found)[_draw(chunk, seed)[0] % len(found)]


@checked
def save_questions(dataset: Dataset, path: str | Path) -> None:
    """Write a dataset's questions as csv: ``question``, ``id``, ``document``.

    ``read_dataset`` reads it; passages are not written.

    Args:
        dataset: the questions; a row for each relevant passage.
        path: the file; one that is there is replaced.
    """
    with user_path("path", path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "id", "document"])
        for one in dataset.questions:
            writer.writerows([one.text, key, one.document] for key in one.relevant)
