"""From a question to an answer with citations, as a LangChain runnable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypedDict

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.runnables.utils import AddableDict

from trivec.errors import InputError
from trivec.rag.answering import AnswerReader, Outcome, Reason, refusal
from trivec.rag.prompts import Language, answer_messages, language_of

__all__ = ["Citation", "RagAnswer", "create_rag_chain"]

RagInput: TypeAlias = str | Mapping[str, Any]


class Citation(TypedDict):
    """A passage that the answer cites: its number there, and the document."""

    number: int
    document: Document


class RagAnswer(TypedDict):
    """What :func:`create_rag_chain` gives.

    Attributes:
        question: what was asked.
        documents: what was found, passage 1 first.
        answer: the answer, or what the user is told instead.
        citations: the documents that the answer cites.
        refused: True when there is no answer.
        reason: ``no_hits``, ``weak_evidence`` or ``model_refused`` of a refusal; ``unsupported``
            on an answer that cites no passage; None on one that does.
    """

    question: str
    documents: list[Document]
    answer: str
    citations: list[Citation]
    refused: bool
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class _Chain:
    """The steps of the chain; synchronous and asynchronous share all but the waiting."""

    retriever: Runnable[str, list[Document]]
    llm: BaseChatModel
    min_relevance: float | None
    language: Language | None

    def stream(self, given: RagInput, config: RunnableConfig) -> Iterator[AddableDict]:
        question = _question(given)
        documents = self.retriever.invoke(question, config)
        yield AddableDict(question=question, documents=documents)
        if (ended := self._refused(question, documents)) is not None:
            yield _closing(ended.answer, ended, documents)
            return
        reader = AnswerReader(len(documents), self._language(question))
        for message in self.llm.stream(self._messages(question, documents), config):
            if shown := reader.feed(message.text):
                yield AddableDict(answer=shown)
        yield _closing(*reader.finish(), documents)

    async def astream(self, given: RagInput, config: RunnableConfig) -> AsyncIterator[AddableDict]:
        question = _question(given)
        documents = await self.retriever.ainvoke(question, config)
        yield AddableDict(question=question, documents=documents)
        if (ended := self._refused(question, documents)) is not None:
            yield _closing(ended.answer, ended, documents)
            return
        reader = AnswerReader(len(documents), self._language(question))
        async for message in self.llm.astream(self._messages(question, documents), config):
            if shown := reader.feed(message.text):
                yield AddableDict(answer=shown)
        yield _closing(*reader.finish(), documents)

    def _refused(self, question: str, documents: Sequence[Document]) -> Outcome | None:
        """Return a refusal where there is no evidence; the model is not asked then."""
        if not documents:
            return refusal("no_hits", self._language(question))
        if self.min_relevance is None or _relevance(documents) >= self.min_relevance:
            return None
        return refusal("weak_evidence", self._language(question))

    def _messages(self, question: str, documents: Sequence[Document]) -> list[BaseMessage]:
        passages = [document.page_content for document in documents]
        return convert_to_messages(answer_messages(question, passages, self.language))

    def _language(self, question: str) -> Language:
        return self.language or language_of(question)


def create_rag_chain(
    retriever: Runnable[str, list[Document]],
    llm: BaseChatModel,
    *,
    min_relevance: float | None = None,
    language: Language | None = None,
) -> Runnable[RagInput, RagAnswer]:
    """Return a runnable that answers questions from what a retriever finds.

    The passages are numbered and delimited, the model is told to cite them, and its citations are
    checked against them. Where nothing is found the model is not called. ``stream`` and
    ``astream`` give dicts that add up to :class:`RagAnswer`: first ``documents``, then pieces of
    ``answer``, last ``citations``, ``refused`` and ``reason``.

    Args:
        retriever: any LangChain retriever.
        llm: any chat model.
        min_relevance: refuse when no document has a ``relevance_score`` of at least this in its
            metadata, as rerankers put it there; None takes whatever was found.
        language: of instructions and refusals, ``en`` or ``zh``; None follows the question.

    Returns:
        A runnable over a question, or a dict with the key ``question``.

    Example:
        >>> chain = create_rag_chain(TrivecRetriever(index=index), llm)  # doctest: +SKIP
        >>> chain.invoke("Which fruit has more vitamin C?")["answer"]  # doctest: +SKIP
        'The baobab fruit has three times that of an orange [1].'
    """
    chain = _Chain(retriever, llm, min_relevance, language)
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


def _closing(rest: str, outcome: Outcome, documents: Sequence[Document]) -> AddableDict:
    """Return the last piece of the stream: what is left of the answer, and its outcome."""
    citations = [
        Citation(number=number, document=documents[number - 1]) for number in outcome.citations
    ]
    return AddableDict(
        answer=rest, citations=citations, refused=outcome.refused, reason=outcome.reason
    )
