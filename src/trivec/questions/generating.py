"""Writing the questions of every chunk of an index: concurrent, and resumed where it stopped."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import TypeAlias

from trivec._runtime.reports import frozen
from trivec._showing.tables import figures
from trivec.errors import ModelError, TrivecError
from trivec.index import HybridIndex
from trivec.index.hybrid import binding_of
from trivec.index.options import Progress
from trivec.questions.records import QuestionRecord
from trivec.questions.writing import QuestionWriter, WrittenQuestions
from trivec.types import Chunk, Point, PointId, Refusal
from trivec.types.passages import refusals_table

__all__ = ["GenerationRun", "QuestionReport", "recipe_of"]

logger = logging.getLogger(__name__)

PAGE = 128
"""Chunks whose questions are looked up in one request."""

Known: TypeAlias = Mapping[str, list[tuple[PointId, QuestionRecord]]]


@dataclass(frozen=True, slots=True)
class QuestionReport:
    """What became of the chunks of one ``generate``.

    Attributes:
        written: chunks that got questions.
        questions: how many questions they got.
        empty: chunks for which the model found no question that can be kept; not asked again.
        skipped: chunks that had questions of the same text, prompts and model already.
        deleted: older questions of the chunks written.
        failed: chunks without questions because the model failed, and why; asked again next time.
        dropped: questions that the model gave and that were not kept.
        input_tokens: of all calls; 0 where the model does not say.
        output_tokens: likewise.
    """

    written: int = 0
    questions: int = 0
    empty: int = 0
    skipped: int = 0
    deleted: int = 0
    failed: tuple[Refusal, ...] = ()
    dropped: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def _repr_html_(self) -> str:
        counts = [
            (one.name.replace("_", " "), f"{getattr(self, one.name):,}")
            for one in fields(self)
            if one.name != "failed"
        ]
        counts.append(("failed", f"{len(self.failed):,}"))
        shown = figures(counts, "Chunks asked for, and what became of them")
        return shown + refusals_table("Failed", self.failed)


@dataclass(slots=True)
class _Tally:
    """The report while it grows."""

    written: int = 0
    questions: int = 0
    empty: int = 0
    skipped: int = 0
    deleted: int = 0
    failed: list[Refusal] = field(default_factory=list)
    failed_in_a_row: int = 0
    dropped: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def report(self) -> QuestionReport:
        return frozen(QuestionReport, self)


def recipe_of(prompts_version: str, model: str) -> str:
    """Return what questions are remembered by: the same prompts and model write the same again."""
    return hashlib.sha256(json.dumps([prompts_version, model]).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRun:
    """One pass over the chunks.

    Attributes:
        writer: asks the model; called from several threads.
        questions: where the questions are stored.
        recipe: which prompts and model write them.
        concurrency: how many chunks are with the model at a time.
        max_failures: failures one after another that end the run.
        progress: called with the number of chunks dealt with.
    """

    writer: QuestionWriter
    questions: HybridIndex
    recipe: str
    concurrency: int
    max_failures: int
    progress: Progress | None = None

    def over(self, chunks: Iterable[Chunk]) -> QuestionReport:
        """Write what is missing.

        Raises:
            ModelError: the model failed ``max_failures`` times in a row.
        """
        tally = _Tally()
        pending: dict[Future[WrittenQuestions], tuple[Chunk, list[PointId]]] = {}
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="trivec-questions")
        try:
            for chunk, outdated in self._missing(chunks, tally):
                if len(pending) >= self.concurrency:
                    self._collect(pending, tally)
                pending[pool.submit(self.writer.write, chunk.text)] = (chunk, outdated)
            while pending:
                self._collect(pending, tally)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return tally.report()

    def _missing(
        self, chunks: Iterable[Chunk], tally: _Tally
    ) -> Iterator[tuple[Chunk, list[PointId]]]:
        """Yield the chunks that lack questions, each with the points of its outdated ones."""
        stream = iter(chunks)
        while page := list(islice(stream, PAGE)):
            known = self._known([str(chunk.id) for chunk in page])
            for chunk in page:
                written = [
                    (point, record)
                    for point, record in known.get(str(chunk.id), [])
                    if record.belongs_to(chunk)
                ]
                outdated = [
                    point
                    for point, record in written
                    if not record.is_current(chunk) or record.recipe != self.recipe
                ]
                if len(outdated) < len(written):
                    tally.skipped += 1
                    self._advance()
                else:
                    yield chunk, outdated

    def _known(self, ids: list[str]) -> Known:
        """Return what was written for chunks before; questions of the user's own stay out of it."""
        known: dict[str, list[tuple[PointId, QuestionRecord]]] = {}
        binding = binding_of(self.questions)
        for stored in self.questions.chunks({"chunk": ids, "kind": ["question", "none"]}):
            record = QuestionRecord.from_chunk(stored)
            if record.recipe is not None:
                known.setdefault(record.chunk, []).append((binding.point_of(stored), record))
        return known

    def _collect(
        self, pending: dict[Future[WrittenQuestions], tuple[Chunk, list[PointId]]], tally: _Tally
    ) -> None:
        """Wait for the next answers and store them."""
        done, _ = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            chunk, outdated = pending.pop(future)
            error = future.exception()
            if error is None:
                self._store(chunk, future.result(), outdated, tally)
            else:
                self._note_failure(chunk, error, tally)
            self._advance()

    def _store(
        self, chunk: Chunk, written: WrittenQuestions, outdated: list[PointId], tally: _Tally
    ) -> None:
        """Store a chunk's questions in one write, then delete what they replace."""
        records = [
            QuestionRecord.of(chunk, question, recipe=self.recipe) for question in written.questions
        ]
        fresh = [record.to_chunk() for record in records]
        if fresh:
            self.questions.add(fresh).require_complete()
            tally.written += 1
        else:
            fresh = [self._mark_empty(chunk)]
            tally.empty += 1
        binding = binding_of(self.questions)
        kept = {binding.point_of(question) for question in fresh}
        if gone := [point for point in outdated if point not in kept]:
            tally.deleted += self.questions.delete(filter=binding.of_points(gone))
        tally.questions += len(records)
        tally.dropped += written.dropped
        tally.input_tokens += written.input_tokens
        tally.output_tokens += written.output_tokens
        tally.failed_in_a_row = 0

    def _mark_empty(self, chunk: Chunk) -> Chunk:
        """Remember that a chunk has none, by a point without vectors, which no search finds."""
        mark = QuestionRecord.of(chunk, str(chunk.id), kind="none", recipe=self.recipe).to_chunk()
        binding = binding_of(self.questions)
        payload = binding.codec.encode(mark, binding.tenant)
        binding.store.upsert([Point(binding.point_of(mark), {}, payload)])
        return mark

    def _note_failure(self, chunk: Chunk, error: BaseException, tally: _Tally) -> None:
        if not isinstance(error, Exception):
            raise error
        # another library's message may repeat a key or the passage
        reason = str(error) if isinstance(error, TrivecError) else type(error).__name__
        logger.debug("no questions for a chunk: %s", type(error).__name__)
        tally.failed.append(Refusal(str(chunk.id), reason))
        tally.failed_in_a_row += 1
        if tally.failed_in_a_row >= self.max_failures:
            raise ModelError(
                f"the chat model failed {self.max_failures} times in a row, last with: {reason}; "
                f"the questions of {tally.written} chunks are stored, run it again to continue"
            ) from error

    def _advance(self) -> None:
        if self.progress is not None:
            self.progress(1)
