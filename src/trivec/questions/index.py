"""The question index: passages found by the questions they answer, and by what users said of them.

A question is more like another question than like its answer. Questions that a language model
wrote for each chunk, and those that users judged answers to, lie in a collection of their own
beside the index, so that its counts, IDF statistics and filters stay those of the passages. They
are compared by dense vectors alone: learned sparse weights and BM25 find questions worse, which
have few words and share those that say nothing (measured in benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, Unpack

from trivec._runtime.checks import check_choice, check_least
from trivec._runtime.typed import checked
from trivec.arms import DENSE
from trivec.errors import CollectionNotFoundError, InputError
from trivec.index import DEFAULT_SEARCH, HybridIndex, IndexConfig
from trivec.index.hybrid import binding_of
from trivec.index.options import Progress, merged_options
from trivec.index.planning import as_texts
from trivec.protocols import ChatModel, Encoder, Store
from trivec.query import Filter
from trivec.questions.fusion import QuestionOptions
from trivec.questions.generating import GenerationRun, QuestionReport, recipe_of
from trivec.questions.records import PAYLOAD_INDEXES, QuestionRecord, Verdict
from trivec.questions.searching import QuestionEncoder, QuestionSearch, current_chunks
from trivec.questions.writing import QuestionPrompts, QuestionWriter
from trivec.text import clean, is_blank
from trivec.types import Chunk, Hit, QueryText, SearchOptions, SearchOverrides

__all__ = ["QuestionIndex", "QuestionOptions", "QuestionReport"]

SIBLING = "questions"
DEFAULT_QUESTIONS = QuestionOptions()


class QuestionIndex:
    """Questions that belong to the passages of an index, and users' verdicts on its answers.

    Use :meth:`open`. In a folder the questions lie in its subfolder ``questions``, on a server in
    the collection ``<collection>_questions``. Searching has the arguments of the index itself and
    gives its chunks, so this takes the index's place wherever something searches.

    Example:
        >>> with QuestionIndex.open(index) as questions:  # doctest: +SKIP
        ...     questions.generate(OpenAIChat.connect("qwen3"))
        ...     questions.add_feedback("my tummy aches after milk", "lactose", "good")
        ...     hits = questions.search("why does milk hurt me?")
    """

    @checked
    def __init__(self, index: HybridIndex, questions: HybridIndex) -> None:
        self._index = index
        self._questions = questions
        self._search = QuestionSearch(index, questions)

    @classmethod
    @checked
    def open(cls, index: HybridIndex, *, store: Store | None = None, create: bool = True) -> Self:
        """Open the questions of an index, or create the collection for them.

        Args:
            index: the index of the passages; it stays the caller's to close.
            store: where the questions are; None is beside the index's own.
            create: False raises where there are no questions, instead of creating a place for them.

        Raises:
            CollectionNotFoundError: there are none and ``create`` is False.
            InputError: nothing can lie beside the index's store; give the questions' ``store``.
            CollectionError, StoreError: as :meth:`HybridIndex.open`.
        """
        binding = binding_of(index)
        if store is None:
            store = binding.store.sibling(SIBLING)
            if store is None:
                raise InputError(
                    f"{binding.store!r} has no place beside it; give store=..., where the "
                    "questions are to be kept"
                )
        if not create and store.schema is None:
            raise CollectionNotFoundError(
                "this index has no questions yet; generate() writes them, as does the command: "
                "trivec questions PLACE --chat-model NAME"
            )
        config = IndexConfig(arms=(DENSE.name,), payload_indexes=PAYLOAD_INDEXES)
        encoder = QuestionEncoder(index.encoder)
        questions = HybridIndex.open(store, encoder, config=config, tenant=binding.tenant)
        return cls(index, questions)

    @property
    def index(self) -> HybridIndex:
        """The index of the passages."""
        return self._index

    @property
    def encoder(self) -> Encoder:
        """The model that the index encodes with."""
        return self._index.encoder

    @checked
    def arms(self, options: SearchOptions = DEFAULT_SEARCH) -> dict[str, float]:
        """Return the arms that passages are searched by; see :meth:`HybridIndex.arms`."""
        return self._index.arms(options)

    @checked
    def generate(
        self,
        chat: ChatModel,
        *,
        model: str | None = None,
        prompts: QuestionPrompts | None = None,
        filter: Filter | Mapping[str, Any] | None = None,
        concurrency: int = 4,
        max_failures: int = 10,
        progress: Progress | None = None,
    ) -> QuestionReport:
        """Let a language model write the questions that each chunk answers.

        Chunks that have questions of their present text, by the same prompts and model, are not
        asked for again. Each chunk's questions are stored as soon as they are written: a run that
        was ended, however, is continued by calling this again, and has lost what was with the
        model at that moment. A failure leaves its chunk without questions and is reported.

        Args:
            chat: the model; it is called from ``concurrency`` threads.
            model: the name that the questions are remembered by; under another name they are
                written anew. None is ``chat.identity``, else the class.
            prompts: how it is asked: how many questions, in which words.
            filter: the chunks to write for, as in :meth:`search`; all without it.
            concurrency: how many chunks are with the model at a time.
            max_failures: failures one after another that end the run.
            progress: called with the number of chunks dealt with.

        Raises:
            InputError: a number below 1.
            ModelError: the model failed ``max_failures`` times in a row; what was stored stays.
        """
        check_least("concurrency", concurrency, 1)
        check_least("max_failures", max_failures, 1)
        prompts = prompts or QuestionPrompts()
        name = model or str(getattr(chat, "identity", type(chat).__name__))
        run = GenerationRun(
            writer=QuestionWriter(chat, prompts),
            questions=self._questions,
            recipe=recipe_of(prompts.version, name),
            concurrency=concurrency,
            max_failures=max_failures,
            progress=progress,
        )
        return run.over(self._index.chunks(filter))

    @checked
    def add(self, questions: Mapping[str, Sequence[str]], *, source: str | None = None) -> int:
        """Add questions of your own to chunks, beside those that were generated.

        Args:
            questions: by the id of the chunk that answers them.
            source: of the chunks, where several sources have these ids.

        Returns:
            How many were not there before.

        Raises:
            InputError: a blank question, no such chunk, or several.
        """
        chunks = self._require_chunks(list(questions), source)
        records = [
            QuestionRecord.of(chunks[identity], _cleaned(text))
            for identity, texts in questions.items()
            for text in texts
        ]
        report = self._questions.add(record.to_chunk() for record in records)
        report.require_complete()
        return report.added

    @checked
    def add_feedback(
        self, question: str, chunk_id: str, verdict: Verdict, *, source: str | None = None
    ) -> None:
        """Remember whether a chunk was a good answer to a question; the last verdict counts.

        Args:
            question: what was asked.
            chunk_id: the chunk's id.
            verdict: ``good`` or ``bad``.
            source: the chunk's source, where several sources have this id.

        Raises:
            InputError: a blank question, no such chunk or several, or another verdict than good
                or bad.
        """
        check_choice("verdict", verdict, Verdict)
        record = self._feedback(question, chunk_id, verdict, source)
        self._questions.add([record.to_chunk()]).require_complete()

    @checked
    def remove_feedback(self, question: str, chunk_id: str, *, source: str | None = None) -> bool:
        """Forget a verdict; return whether there was one.

        Args:
            question: what was asked.
            chunk_id: the chunk's id.
            source: the chunk's source, where several sources have this id.

        Raises:
            InputError: a blank question, no such chunk, or several.
        """
        stored = self._feedback(question, chunk_id, "good", source).to_chunk()
        binding = binding_of(self._questions)
        twins = [stored, replace(stored, source=None)]  # as records were before ids had a source
        points = [binding.point_of(twin) for twin in twins]
        return bool(self._questions.delete(filter=binding.of_points(points)))

    @checked
    def questions(self, chunk_id: str, *, source: str | None = None) -> list[str]:
        """Return the questions of a chunk as it is now, feedback left out, in no promised order.

        Args:
            chunk_id: the chunk's id; several sources may have it.
            source: of this source alone.
        """
        by_id = self._search.chunks([chunk_id])
        chunks = {
            identity: [chunk for chunk in same_id if source in (None, chunk.source)]
            for identity, same_id in by_id.items()
        }
        stored = self._questions.chunks({"chunk": chunk_id, "kind": "question"})
        records = map(QuestionRecord.from_chunk, stored)
        return [record.text for record in records if current_chunks(record, chunks)]

    def pairs(self) -> Iterator[tuple[str, Chunk, Verdict | None]]:
        """Yield every question with a chunk as it is now, and what a user said of the two.

        The verdict is None for questions that were generated or added. Those of chunks that are
        gone or have another text are left out. They come in an order of their own, always the same.
        """
        binding = binding_of(self._questions)
        for points in binding.pages(binding.scope({"kind": ["question", "feedback"]})):
            records = [QuestionRecord.from_chunk(binding.codec.decode(point)) for point in points]
            chunks = self._search.chunks(list({record.chunk for record in records}))
            for record in records:
                for chunk in current_chunks(record, chunks):
                    yield record.text, chunk, record.verdict

    def count(self) -> int:
        """Return how many questions are stored, feedback left out."""
        return self._questions.count({"kind": "question"})

    @checked
    def search(
        self,
        query: str | QueryText | Sequence[QueryText],
        k: int = 10,
        *,
        filter: Filter | Mapping[str, Any] | None = None,
        options: SearchOptions = DEFAULT_SEARCH,
        questions: QuestionOptions = DEFAULT_QUESTIONS,
        **overrides: Unpack[SearchOverrides],
    ) -> list[Hit]:
        """Find the chunks that answer a query, by their own text and by their questions.

        The query is encoded once. A chunk whose text has changed since a question was written is
        never found by that question.

        Args:
            query: as in :meth:`HybridIndex.search`; of several texts the first is compared with
                questions.
            k: how many chunks.
            filter: of the chunks, as in :meth:`HybridIndex.search`.
            options: how passages are searched.
            questions: what is searched besides, and how it counts.
            **overrides: fields of :class:`trivec.SearchOptions` for this call.

        Returns:
            Hits, best first. ``matches`` names the question that found a hit (``question``) and the
            verdicts on it (``feedback``), ``arms`` their parts of the score.

        Raises:
            InputError, FilterError: as :meth:`HybridIndex.search`.
        """
        return self.search_batch(
            [query], k, filter=filter, options=options, questions=questions, **overrides
        )[0]

    @checked
    def search_batch(
        self,
        queries: Sequence[str | QueryText | Sequence[QueryText]],
        k: int = 10,
        *,
        filter: Filter | Mapping[str, Any] | None = None,
        options: SearchOptions = DEFAULT_SEARCH,
        questions: QuestionOptions = DEFAULT_QUESTIONS,
        **overrides: Unpack[SearchOverrides],
    ) -> list[list[Hit]]:
        """Run several searches, all texts encoded in one call; see :meth:`search`."""
        check_least("k", k, 0)
        searches = [as_texts(query) for query in queries]
        options = merged_options(options, overrides)
        return self._search.run(searches, k, filter, options, questions)

    def prune(self) -> int:
        """Delete what belongs to chunks that are gone or have another text; return how many.

        Searches never use it; this gives its room back.
        """
        binding = binding_of(self._questions)
        deleted = 0
        for points in binding.pages(binding.scope()):
            stored = [binding.codec.decode(point) for point in points]
            records = [QuestionRecord.from_chunk(chunk) for chunk in stored]
            chunks = self._search.chunks(list({record.chunk for record in records}))
            stale = [
                point.id
                for point, record in zip(points, records, strict=True)
                if not current_chunks(record, chunks)
            ]
            if stale:
                deleted += self._questions.delete(filter=binding.of_points(stale))
        return deleted

    @checked
    def copy_to(self, other: QuestionIndex, *, progress: Progress | None = None) -> int:
        """Copy all questions and verdicts, after the index itself was copied; nothing is encoded.

        See :meth:`HybridIndex.copy_to`.
        """
        return self._questions.copy_to(other._questions, progress=progress)

    @checked
    def write_to(self, other: QuestionIndex, *, progress: Progress | None = None) -> int:
        """Write all questions and verdicts into the questions of another index, by its model.

        The passages have to be in the other index already. What is there is not encoded again.

        Args:
            other: the questions of an index of another model.
            progress: called with the number of questions dealt with.

        Returns:
            How many there are.
        """
        report = other._questions.add(self._questions.chunks(), progress=progress)
        report.require_complete()
        return self._questions.count()

    def optimize(self) -> None:
        """Build the engine's indexes now; worth it after generating (embedded only)."""
        self._questions.optimize()

    def close(self) -> None:
        """Release the questions' folder; the index of the passages stays open."""
        self._questions.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"QuestionIndex({self._questions!r})"

    def _feedback(
        self, question: str, chunk_id: str, verdict: Verdict, source: str | None
    ) -> QuestionRecord:
        chunk = self._require_chunks([chunk_id], source)[chunk_id]
        return QuestionRecord.of(chunk, _cleaned(question), kind="feedback", verdict=verdict)

    def _require_chunks(self, ids: Sequence[str], source: str | None) -> dict[str, Chunk]:
        """Return the one chunk that each id means."""
        stored = self._search.chunks(ids)
        chunks: dict[str, Chunk] = {}
        for identity in ids:
            candidates = [
                chunk for chunk in stored.get(identity, ()) if source in (None, chunk.source)
            ]
            if len(candidates) > 1:
                sources = sorted(str(chunk.source) for chunk in candidates)
                raise InputError(
                    f"the id {identity!r} is that of {len(candidates)} chunks, of the sources "
                    f"{sources}; say which with source=..."
                )
            if candidates:
                chunks[identity] = candidates[0]
        if missing := sorted(set(ids) - set(chunks)):
            raise InputError(f"the index has no chunks {missing}; add them first, or give others")
        return chunks


def _cleaned(question: str) -> str:
    text = " ".join(clean(question).split())
    if is_blank(text):
        raise InputError("a question is blank; give it at least one word")
    return text
