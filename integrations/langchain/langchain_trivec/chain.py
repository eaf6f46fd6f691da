"""From a question to an answer with citations, as a LangChain runnable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias, get_type_hints

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.prompts import BasePromptTemplate, format_document
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.runnables.base import coerce_to_runnable
from langchain_core.runnables.utils import AddableDict
from langchain_core.vectorstores import VectorStore
from pydantic import BaseModel, Field, create_model
from typing_extensions import TypedDict

from langchain_trivec.retriever import TrivecRetriever
from langchain_trivec.rewriting import LLMChat
from trivec.answers import (
    AnswerEnd,
    Answerer,
    AnswerOptions,
    AnswerPiece,
    Evidence,
    Reason,
    Turn,
)
from trivec.chat import Language
from trivec.errors import InputError
from trivec.protocols import Encoder

__all__ = ["Citation", "RagAnswer", "create_rag_chain"]

RagInput: TypeAlias = str | Mapping[str, Any] | Sequence[BaseMessage] | PromptValue

_KEYS = ("question", "input", "query", "messages")
"""Where a dict holds the question: ours, those of LangChain's own chains, and an agent's state."""

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


_FIELDS = get_type_hints(RagAnswer)


@dataclass(frozen=True, slots=True)
class _Chain:
    """A retriever and a chat model around the core's turn."""

    retriever: Runnable[str, list[Document]]
    llm: BaseChatModel
    answerer: Answerer
    min_relevance: float | None
    document_prompt: BasePromptTemplate[str] | None

    def stream(self, given: RagInput, config: RunnableConfig) -> Iterator[AddableDict]:
        question = _question(given)
        documents = self.retriever.invoke(question, config)
        yield AddableDict(question=question, documents=documents)
        turn = self.answerer.begin(question, self._texts(documents), self._evidence(documents))
        with closing(turn.read(LLMChat(self.llm, config=config).stream)) as events:
            for event in events:
                yield _piece(event, turn, documents)

    async def astream(self, given: RagInput, config: RunnableConfig) -> AsyncIterator[AddableDict]:
        question = _question(given)
        documents = await self.retriever.ainvoke(question, config)
        yield AddableDict(question=question, documents=documents)
        evidence = self._evidence(documents)
        turn = await self.answerer.abegin(question, self._texts(documents), evidence)
        async with aclosing(await turn.aread(LLMChat(self.llm, config=config).astream)) as events:
            async for event in events:
                yield _piece(event, turn, documents)

    def _texts(self, documents: Sequence[Document]) -> list[str]:
        """Return what the model reads of each document."""
        if self.document_prompt is None:
            return [document.page_content for document in documents]
        return [format_document(document, self.document_prompt) for document in documents]

    def _evidence(self, documents: Sequence[Document]) -> Evidence | None:
        """Return the reranker's word on the documents, where the chain goes by that."""
        if self.min_relevance is None or not documents:
            return None
        return Evidence(_relevance(documents), self.min_relevance)


def _piece(
    event: AnswerPiece | AnswerEnd, turn: Turn, documents: Sequence[Document]
) -> AddableDict:
    """Return an event of the turn as a piece of :class:`RagAnswer`."""
    if isinstance(event, AnswerPiece):
        return AddableDict(answer=event.text)
    outcome = event.outcome
    cited = turn.cited(outcome, documents)
    return AddableDict(
        answer=event.text,
        citations=[Citation(number=number, document=document) for number, document in cited],
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
    document_prompt: BasePromptTemplate[str] | None = None,
) -> Runnable[str | Mapping[str, Any] | Sequence[BaseMessage] | PromptValue, RagAnswer]:
    """Return a runnable that answers questions from what a retriever finds.

    As many passages as the budget of tokens holds are numbered and delimited, the model is told to
    cite them, and its citations are checked against them. Where nothing is found, or nothing that
    bears on the question, the model is not called. ``stream`` and ``astream`` give dicts that add
    up to :class:`RagAnswer`: first ``documents``, then pieces of ``answer``, last ``citations``,
    ``claims``, ``refused`` and ``reason``. Callbacks, tags and the rest of a ``RunnableConfig``
    reach retriever and model.

    Args:
        retriever: any LangChain retriever, or a function that finds documents.
        llm: any chat model, or a model that completes texts.
        min_relevance: refuse when no document has a ``relevance_score`` of at least this in its
            metadata, as rerankers put it there; None takes whatever was found.
            It takes the place of ``options.min_evidence``.
        language: of instructions and refusals, ``en`` or ``zh``; None follows the question.
        options: the budget of tokens, thresholds of evidence and support, instructions of your own,
            and refusal; the same as of :class:`trivec.RagPipeline`.
        encoder: measures evidence and support; None takes that of a :class:`TrivecRetriever`, and
            measures neither with any other retriever.
        document_prompt: writes what the model reads of a document, from ``{page_content}`` and its
            metadata; None gives it the text alone.

    Returns:
        A runnable over a question, messages, of which the last one of the user is the question, a
        filled prompt, or a dict that holds one of them as ``question``, ``input``, ``query`` or
        ``messages``. It has a schema, so that ``as_tool`` and
        ``RunnableWithMessageHistory`` (``input_messages_key="question"``,
        ``output_messages_key="answer"``) take it.

    Example:
        >>> chain = create_rag_chain(TrivecRetriever(index=index), llm)  # doctest: +SKIP
        >>> chain.invoke("Which fruit has more vitamin C?")["answer"]  # doctest: +SKIP
        'The baobab fruit has three times that of an orange [1].'
    """
    if encoder is None and isinstance(retriever, TrivecRetriever):
        encoder = retriever.index.encoder
    if language is not None:
        options = replace(options, language=language)
    answerer = Answerer(options, encoder=encoder)
    chain = _Chain(_retriever(retriever), llm, answerer, min_relevance, document_prompt)
    stream: Callable[..., Any] = chain.stream
    astream: Callable[..., Any] = chain.astream
    return _RagRunnable(stream, astream, name="rag")


class _RagRunnable(RunnableLambda[RagInput, RagAnswer]):
    """The chain with the types of what it takes and gives, which its generators do not tell."""

    @property
    def InputType(self) -> Any:  # noqa: N802  # LangChain's name
        return RagInput

    @property
    def OutputType(self) -> Any:  # noqa: N802  # LangChain's name
        return RagAnswer

    def get_input_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        del config
        return create_model("RagQuestion", question=(str, Field(description="what is asked")))

    def get_output_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        del config
        fields: dict[str, Any] = {name: (kind, ...) for name, kind in _FIELDS.items()}
        return create_model("RagAnswer", **fields)

    @property
    def deps(self) -> list[Runnable[Any, Any]]:
        return []


def _retriever(given: object) -> Runnable[Any, list[Document]]:
    """Return a retriever, or a function that finds documents, as a runnable.

    Raises:
        InputError: it is neither.
    """
    if isinstance(given, VectorStore):
        raise InputError("a vector store is no retriever; give store.as_retriever()")
    if not isinstance(given, Runnable) and not callable(given):
        raise InputError(f"retriever is a {type(given).__name__}; give a retriever")
    runnable: Runnable[Any, list[Document]] = coerce_to_runnable(given)
    return runnable


def _question(given: RagInput) -> str:
    """Return the question in whatever a chain or an agent hands over."""
    question: Any = given
    if isinstance(given, Mapping):
        question = next((given[key] for key in _KEYS if given.get(key)), None)
    if isinstance(question, PromptValue):
        question = question.to_messages()
    if isinstance(question, BaseMessage):
        question = [question]
    if isinstance(question, Sequence) and not isinstance(question, str):
        question = _last_asked(question)
    if not isinstance(question, str) or not question.strip():
        raise InputError(
            "the chain needs a question: a text, messages, or a dict with one of the keys "
            f"{list(_KEYS)}"
        )
    return question


def _last_asked(messages: Sequence[Any]) -> str | None:
    """Return what the last message of the user says; messages may be tuples or dicts, too."""
    try:
        asked = [one for one in convert_to_messages(messages) if isinstance(one, HumanMessage)]
    except (NotImplementedError, ValueError, TypeError):
        return None
    return str(asked[-1].text) if asked else None


def _relevance(documents: Sequence[Document]) -> float:
    scores = [document.metadata.get("relevance_score") for document in documents]
    known = [float(score) for score in scores if score is not None]
    if not known:
        raise InputError(
            "min_relevance needs metadata['relevance_score']; rerank, with "
            "TrivecRetriever(reranker=...) or CrossEncoderCompressor, or leave it out"
        )
    return max(known)
