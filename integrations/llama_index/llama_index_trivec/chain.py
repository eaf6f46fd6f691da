"""From a question to an answer with citations, as a LlamaIndex query engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import llama_index.core.instrumentation as instrument
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.llms.types import ChatResponseAsyncGen, ChatResponseGen
from llama_index.core.base.response.schema import (
    RESPONSE_TYPE,
    AsyncStreamingResponse,
    Response,
    StreamingResponse,
)
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.synthesis import (
    SynthesizeEndEvent,
    SynthesizeStartEvent,
)
from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.prompts.mixin import PromptDictType
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers.base import BaseSynthesizer
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryType
from llama_index.core.types import RESPONSE_TEXT_TYPE, TokenAsyncGen, TokenGen

from llama_index_trivec._convert import chat_messages
from trivec.errors import InputError
from trivec.rag.answering import AnswerReader, Outcome, refusal
from trivec.rag.prompts import Language, answer_messages, language_of

__all__ = ["CitedSynthesizer", "create_query_engine"]

dispatcher = instrument.get_dispatcher(__name__)  # type: ignore[attr-defined]  # no __all__

OUTCOME = "trivec"
"""The key of a response's metadata that says what it cites and whether it refuses."""


class CitedSynthesizer(BaseSynthesizer):
    """Answers from numbered passages, checks what is cited, and refuses without evidence.

    ``response.metadata["trivec"]`` holds ``citations`` (a list of ``number`` and ``node_id``),
    ``unknown`` (cited numbers that no passage has), ``refused`` and ``reason``; see
    :class:`trivec.rag.answering.Outcome`. A streamed response has it once the stream has ended.
    The node's own metadata stand beside it, by node id, as in LlamaIndex's own responses.

    Args:
        llm: any LlamaIndex LLM; None takes ``Settings.llm``.
        min_relevance: refuse when no node scores at least this. Give it with a reranker only: a
            fused retrieval score says nothing about relevance.
        language: of instructions and refusals, ``en`` or ``zh``; None follows the question.
        streaming: whether responses are streams.
        callback_manager: LlamaIndex's callbacks.
    """

    def __init__(
        self,
        llm: LLM | None = None,
        *,
        min_relevance: float | None = None,
        language: Language | None = None,
        streaming: bool = False,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(llm=llm, streaming=streaming, callback_manager=callback_manager)
        self._min_relevance = min_relevance
        self._language = language

    def _get_prompts(self) -> PromptDictType:
        return {}

    def _update_prompts(self, prompts: PromptDictType) -> None:
        pass

    def get_response(
        self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any
    ) -> RESPONSE_TEXT_TYPE:
        """Return the answer's text, or a stream of it."""
        messages = self._messages(query_str, text_chunks)
        if self._streaming:
            return _deltas(self._llm.stream_chat(messages, **response_kwargs))
        return self._llm.chat(messages, **response_kwargs).message.content or ""

    async def aget_response(
        self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any
    ) -> RESPONSE_TEXT_TYPE:
        """Return the answer's text, or a stream of it."""
        messages = self._messages(query_str, text_chunks)
        if self._streaming:
            return _adeltas(await self._llm.astream_chat(messages, **response_kwargs))
        return (await self._llm.achat(messages, **response_kwargs)).message.content or ""

    def synthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        """Answer a query from nodes; the model is not called without evidence."""
        draft = self._draft(query, nodes, additional_source_nodes)
        with self._reported(query) as report:
            if draft.refused is not None:
                text = draft.close(draft.refused)
                stream = _once(text)
                return report(draft.streamed(stream) if self._streaming else draft.whole(text))
            reply = self.get_response(draft.question, draft.passages, **response_kwargs)
            if isinstance(reply, Generator):
                return report(draft.streamed(_read(reply, draft)))
            return report(draft.whole(draft.finish(str(reply))))

    async def asynthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        """Answer a query from nodes; see :meth:`synthesize`."""
        draft = self._draft(query, nodes, additional_source_nodes)
        with self._reported(query) as report:
            if draft.refused is not None:
                text = draft.close(draft.refused)
                stream = _aonce(text)
                return report(draft.astreamed(stream) if self._streaming else draft.whole(text))
            reply = await self.aget_response(draft.question, draft.passages, **response_kwargs)
            if isinstance(reply, AsyncGenerator):
                return report(draft.astreamed(_aread(reply, draft)))
            return report(draft.whole(draft.finish(str(reply))))

    def _draft(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional: Sequence[NodeWithScore] | None,
    ) -> _Draft:
        question = str(query)
        language = self._language or language_of(question)
        return _Draft(
            question=question,
            nodes=nodes,
            sources=[*nodes, *(additional or ())],
            language=language,
            refused=self._refused(nodes, language),
            metadata=self._get_metadata_for_response([each.node for each in nodes]) or {},
        )

    def _refused(self, nodes: Sequence[NodeWithScore], language: Language) -> Outcome | None:
        """Return a refusal where there is no evidence."""
        if not nodes:
            return refusal("no_hits", language)
        best = max(each.get_score() for each in nodes)
        if self._min_relevance is not None and best < self._min_relevance:
            return refusal("weak_evidence", language)
        return None

    def _messages(self, question: str, passages: Sequence[str]) -> list[ChatMessage]:
        return chat_messages(answer_messages(question, passages, self._language))

    @contextmanager
    def _reported(self, query: QueryType) -> Iterator[Callable[[RESPONSE_TYPE], RESPONSE_TYPE]]:
        """Tell instrumentation and callbacks of the synthesis and of the response reported."""
        dispatcher.event(SynthesizeStartEvent(query=query))
        payload: dict[str, Any] = {EventPayload.QUERY_STR: str(query)}
        with self._callback_manager.event(CBEventType.SYNTHESIZE, payload=payload) as event:

            def report(response: RESPONSE_TYPE) -> RESPONSE_TYPE:
                event.on_end(payload={EventPayload.RESPONSE: response})
                dispatcher.event(SynthesizeEndEvent(query=query, response=response))
                return response

            yield report


@dataclass(slots=True)
class _Draft:
    """A response in the making: what it is made from, and what it will say of itself."""

    question: str
    nodes: Sequence[NodeWithScore]
    sources: list[NodeWithScore]
    language: Language
    refused: Outcome | None
    metadata: dict[str, Any]

    @property
    def passages(self) -> list[str]:
        return [each.node.get_content(MetadataMode.LLM) for each in self.nodes]

    def reader(self) -> AnswerReader:
        return AnswerReader(len(self.nodes), self.language)

    def finish(self, reply: str) -> str:
        """Read a whole reply; return what the user is told."""
        reader = self.reader()
        reader.feed(reply)
        return self.close(reader.finish()[1])

    def close(self, outcome: Outcome) -> str:
        """Note the outcome in the metadata; return what the user is told."""
        self.metadata[OUTCOME] = {
            "citations": [
                {"number": number, "node_id": self.nodes[number - 1].node_id}
                for number in outcome.citations
            ],
            "unknown": list(outcome.unknown),
            "refused": outcome.refused,
            "reason": outcome.reason,
        }
        return outcome.answer

    def whole(self, text: str) -> Response:
        return Response(text, self.sources, self.metadata)

    def streamed(self, pieces: TokenGen) -> StreamingResponse:
        return StreamingResponse(pieces, self.sources, self.metadata)

    def astreamed(self, pieces: TokenAsyncGen) -> AsyncStreamingResponse:
        return AsyncStreamingResponse(pieces, self.sources, self.metadata)


def create_query_engine(
    retriever: BaseRetriever,
    llm: LLM | None = None,
    *,
    node_postprocessors: Sequence[BaseNodePostprocessor] = (),
    min_relevance: float | None = None,
    language: Language | None = None,
    streaming: bool = False,
    callback_manager: CallbackManager | None = None,
) -> RetrieverQueryEngine:
    """Return a query engine that answers with citations, or refuses.

    Args:
        retriever: any LlamaIndex retriever, usually a :class:`TrivecRetriever`.
        llm: any LlamaIndex LLM; None takes ``Settings.llm``.
        node_postprocessors: run over what was found, a :class:`TrivecRerank` for instance.
        min_relevance: refuse when no node scores at least this, without asking the model.
        language: of instructions and refusals, ``en`` or ``zh``; None follows the question.
        streaming: whether responses are streams.
        callback_manager: LlamaIndex's callbacks.

    Returns:
        A ``RetrieverQueryEngine`` with a :class:`CitedSynthesizer`.

    Raises:
        InputError: ``min_relevance`` without a postprocessor: a fused score is no relevance.

    Example:
        >>> engine = create_query_engine(TrivecRetriever(index), llm)  # doctest: +SKIP
        >>> engine.query("Which fruit has more vitamin C?").metadata["trivec"]  # doctest: +SKIP
        {'citations': [{'number': 1, 'node_id': 'baobab'}], 'unknown': [], 'refused': False, ...}
    """
    if min_relevance is not None and not node_postprocessors:
        raise InputError(
            f"min_relevance={min_relevance} without a reranker: a retrieval score is no relevance; "
            "pass node_postprocessors=[TrivecRerank(...)], or leave min_relevance out"
        )
    synthesizer = CitedSynthesizer(
        llm,
        min_relevance=min_relevance,
        language=language,
        streaming=streaming,
        callback_manager=callback_manager,
    )
    return RetrieverQueryEngine(
        retriever, synthesizer, list(node_postprocessors), callback_manager=callback_manager
    )


def _read(pieces: TokenGen, draft: _Draft) -> TokenGen:
    """Yield what may be shown of a reply; a refusal is known by its first words."""
    reader = draft.reader()
    for piece in pieces:
        if shown := reader.feed(piece):
            yield shown
    rest, outcome = reader.finish()
    draft.close(outcome)
    if rest:
        yield rest


async def _aread(pieces: TokenAsyncGen, draft: _Draft) -> TokenAsyncGen:
    reader = draft.reader()
    async for piece in pieces:
        if shown := reader.feed(piece):
            yield shown
    rest, outcome = reader.finish()
    draft.close(outcome)
    if rest:
        yield rest


def _once(text: str) -> TokenGen:
    yield text


async def _aonce(text: str) -> TokenAsyncGen:
    yield text


def _deltas(responses: ChatResponseGen) -> TokenGen:
    for response in responses:
        yield response.delta or ""


async def _adeltas(responses: ChatResponseAsyncGen) -> TokenAsyncGen:
    async for response in responses:
        yield response.delta or ""
