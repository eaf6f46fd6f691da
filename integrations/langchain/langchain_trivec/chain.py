"""From a question to an answer with citations, as a LangChain runnable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias, TypedDict

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda, run_in_executor
from langchain_core.runnables.utils import AddableDict

from langchain_trivec.retriever import TrivecRetriever
from langchain_trivec.rewriting import heard
from trivec.answers.outcome import Outcome, Reason
from trivec.answers.packing import TokenCounter, counter_of
from trivec.answers.turn import AnswerOptions, Draft, Standards
from trivec.chat.prompts import Language
from trivec.errors import InputError
from trivec.protocols import Encoder

__all__ = ["Citation", "RagAnswer", "create_rag_chain"]

RagInput: TypeAlias = str | Mapping[str, Any]

DEFAULT_OPTIONS = AnswerOptions()


class Citation(TypedDict):
    """A passage that the answer cites: its number there, and the document."""

    number: int
    document: Document


class RagAnswer(TypedDict):
    """What :func:`create_rag_chain` gives.

    Attributes:
        question: what was asked.
        documents: what was found, best first.
        answer: the answer, or what the user is told instead.
        citations: the documents that the answer cites.
        claims: the answer's sentences as dicts of :class:`trivec.answers.Claim`, each with what it
            cites, how well that supports it, and whether well enough.
        refused: True when there is no answer.
        reason: ``no_hits``, ``weak_evidence``, ``model_refused`` or ``unsupported`` of a refusal,
            and where the model said nothing ``length``, ``content_filter``, ``tool_calls``,
            ``error`` or ``empty``. ``unsupported`` too on an answer of which no sentence is
            supported, and what else ended an answer early; else None.
    """

    question: str
    documents: list[Document]
    answer: str
    citations: list[Citation]
    claims: list[dict[str, Any]]
    refused: bool
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class _Chain:
    """The steps of the chain; synchronous and asynchronous share all but the waiting."""

    retriever: Runnable[str, list[Document]]
    llm: BaseChatModel
    min_relevance: float | None
    options: AnswerOptions
    standards: Standards
    count: TokenCounter

    def stream(self, given: RagInput, config: RunnableConfig) -> Iterator[AddableDict]:
        question = _question(given)
        documents = self.retriever.invoke(question, config)
        yield AddableDict(question=question, documents=documents)
        turn = self._begin(question, documents)
        if turn.refused is not None:
            yield turn.closing(turn.refused.answer, turn.refused)
            return
        reader = turn.draft.reader()
        for message in self.llm.stream(turn.messages(), config):
            if shown := reader.hear(heard(message)):
                yield AddableDict(answer=shown)
        yield turn.ending(*reader.finish())

    async def astream(self, given: RagInput, config: RunnableConfig) -> AsyncIterator[AddableDict]:
        question = _question(given)
        documents = await self.retriever.ainvoke(question, config)
        yield AddableDict(question=question, documents=documents)
        turn = await run_in_executor(config, self._begin, question, documents)
        if turn.refused is not None:
            yield turn.closing(turn.refused.answer, turn.refused)
            return
        reader = turn.draft.reader()
        async for message in self.llm.astream(turn.messages(), config):
            if shown := reader.hear(heard(message)):
                yield AddableDict(answer=shown)
        yield await run_in_executor(config, turn.ending, *reader.finish())

    def _begin(self, question: str, documents: Sequence[Document]) -> _Turn:
        """Pack the passages and weigh them; where there is no evidence no model is asked."""
        texts = [document.page_content for document in documents]
        draft = Draft(question, texts, self.options, self.count)
        standards = self.standards.for_one_answer()
        if self.min_relevance is not None and documents:
            refused = draft.refusal(_relevance(documents), self.min_relevance)
        else:
            refused = draft.weighed(standards)
        return _Turn(draft, documents, standards, refused)


@dataclass(frozen=True, slots=True)
class _Turn:
    """One question on its way to an answer."""

    draft: Draft
    documents: Sequence[Document]
    standards: Standards
    refused: Outcome | None

    def messages(self) -> list[BaseMessage]:
        return convert_to_messages(self.draft.messages())

    def ending(self, rest: str, outcome: Outcome) -> AddableDict:
        """Check what the model wrote; return the last piece."""
        checked = self.draft.checked(outcome, self.standards)
        return self.closing(self.draft.rest(rest, checked), checked)

    def closing(self, rest: str, outcome: Outcome) -> AddableDict:
        """Return the last piece of the stream: what is left of the answer, and its outcome."""
        positions = [packed.position for packed in self.draft.packed]
        citations = [
            Citation(number=number, document=self.documents[positions[number - 1]])
            for number in outcome.citations
        ]
        return AddableDict(
            answer=rest,
            citations=citations,
            claims=[asdict(claim) for claim in outcome.claims],
            refused=outcome.refused,
            reason=outcome.reason,
        )


def create_rag_chain(
    retriever: Runnable[str, list[Document]],
    llm: BaseChatModel,
    *,
    min_relevance: float | None = None,
    language: Language | None = None,
    options: AnswerOptions = DEFAULT_OPTIONS,
    encoder: Encoder | None = None,
) -> Runnable[str | Mapping[str, Any], RagAnswer]:
    """Return a runnable that answers questions from what a retriever finds.

    As many passages as the budget of tokens holds are numbered and delimited, the model is told to
    cite them, and its citations are checked against them. Where nothing is found, or nothing that
    bears on the question, the model is not called. ``stream`` and ``astream`` give dicts that add
    up to :class:`RagAnswer`: first ``documents``, then pieces of ``answer``, last ``citations``,
    ``claims``, ``refused`` and ``reason``. Callbacks, tags and the rest of a ``RunnableConfig``
    reach retriever and model.

    Args:
        retriever: any LangChain retriever.
        llm: any chat model.
        min_relevance: refuse when no document has a ``relevance_score`` of at least this in its
            metadata, as rerankers put it there; None takes whatever was found.
            It takes the place of ``options.min_evidence``.
        language: of instructions and refusals, ``en`` or ``zh``; None follows the question.
        options: the budget of tokens, thresholds of evidence and support, and refusal; the same as
            of :class:`trivec.RagPipeline`.
        encoder: measures evidence and support; None takes that of a :class:`TrivecRetriever`, and
            measures neither with any other retriever.

    Returns:
        A runnable over a question, or a dict with the key ``question``.

    Example:
        >>> chain = create_rag_chain(TrivecRetriever(index=index), llm)  # doctest: +SKIP
        >>> chain.invoke("Which fruit has more vitamin C?")["answer"]  # doctest: +SKIP
        'The baobab fruit has three times that of an orange [1].'
    """
    if encoder is None and isinstance(retriever, TrivecRetriever):
        encoder = retriever.index.encoder
    if language is not None:
        options = replace(options, language=language)
    standards = Standards.of(options, encoder)
    chain = _Chain(retriever, llm, min_relevance, options, standards, counter_of(encoder))
    stream: Callable[..., Any] = chain.stream
    astream: Callable[..., Any] = chain.astream
    return RunnableLambda(stream, astream, name="rag")


def _question(given: RagInput) -> str:
    question = given.get("question") if isinstance(given, Mapping) else given
    if not isinstance(question, str) or not question.strip():
        raise InputError("the chain needs a question: a text, or a dict with the key 'question'")
    return question


def _relevance(documents: Sequence[Document]) -> float:
    scores = [document.metadata.get("relevance_score") for document in documents]
    known = [float(score) for score in scores if score is not None]
    if not known:
        raise InputError(
            "min_relevance needs metadata['relevance_score']; rerank, with "
            "TrivecRetriever(reranker=...) or CrossEncoderCompressor, or leave it out"
        )
    return max(known)
