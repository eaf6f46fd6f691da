"""From a question to an answer with citations, as a LlamaIndex query engine."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import aclosing, closing, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

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
from llama_index.core.prompts import BasePromptTemplate, ChatPromptTemplate
from llama_index.core.prompts.mixin import PromptDictType
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers.base import BaseSynthesizer
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, QueryType
from llama_index.core.types import RESPONSE_TEXT_TYPE, TokenAsyncGen, TokenGen
from llama_index.core.workflow import Event, StartEvent, StopEvent, Workflow, step

from llama_index_trivec._convert import chat_messages
from llama_index_trivec.retriever import TrivecRetriever
from llama_index_trivec.rewriting import ModelText
from trivec.adapters import aending, ending
from trivec.answers import AnswerEnd, Answerer, AnswerOptions, AnswerPiece, Evidence, Outcome, Turn
from trivec.chat import (
    INSTRUCTIONS,
    Language,
    answer_messages,
    passages_block,
    quoted_question,
)
from trivec.errors import InputError
from trivec.protocols import Encoder
from trivec.types import ChatReply

__all__ = ["CitedAnswer", "CitedSynthesizer", "RetrievedNodes", "create_query_engine"]

dispatcher = instrument.get_dispatcher(__name__)  # type: ignore[attr-defined]  # no __all__

OUTCOME = "trivec"
"""The key of a response's metadata that says what it cites and whether it refuses."""

TEMPLATE = "text_qa_template"
"""LlamaIndex's name for the prompt of an answer."""

DEFAULT_OPTIONS = AnswerOptions()

TurnEvent: TypeAlias = AnswerPiece | AnswerEnd


class RetrievedNodes(Event):
    """What :class:`CitedAnswer` found for a question."""

    query: QueryBundle
    nodes: list[NodeWithScore]


class CitedSynthesizer(BaseSynthesizer):
    """Answers from numbered passages, checks what is cited, and refuses without evidence.

    As many nodes as the budget of tokens holds become passages. ``response.metadata["trivec"]``
    holds ``citations`` (a list of ``number`` and ``node_id``), ``unknown`` (cited numbers that no
    passage has), ``claims`` (the answer's sentences as dicts of :class:`trivec.answers.Claim`),
    ``refused`` and ``reason``; see :class:`trivec.answers.Outcome`. A streamed response has
    it once the stream has ended. The node's own metadata stand beside it, by node id, as in
    LlamaIndex's own responses.

    Args:
        llm: any LlamaIndex LLM; None takes ``Settings.llm``.
        min_relevance: refuse when no node scores at least this. Give it with a reranker only: a
            fused retrieval score says nothing about relevance. It takes the place of
            ``options.min_evidence``.
        language: of instructions and refusals, ``en`` or ``zh``; None follows the question.
        options: the budget of tokens, thresholds of evidence and support, and refusal; the same as
            of :class:`trivec.RagPipeline`.
        encoder: measures evidence and support; None measures neither.
        text_qa_template: all that the model is told, in place of trivec's own instructions:
            ``{context_str}`` are the numbered passages, ``{query_str}`` the question. It should ask
            for citations such as [1], and for NO_EVIDENCE where there is no answer.
            ``update_prompts`` sets it too.
        streaming: whether responses are streams.
        callback_manager: LlamaIndex's callbacks.

    Raises:
        InputError: a threshold in the options, and no encoder to measure with.
    """

    def __init__(
        self,
        llm: LLM | None = None,
        *,
        min_relevance: float | None = None,
        language: Language | None = None,
        options: AnswerOptions = DEFAULT_OPTIONS,
        encoder: Encoder | None = None,
        text_qa_template: BasePromptTemplate | None = None,
        streaming: bool = False,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(llm=llm, streaming=streaming, callback_manager=callback_manager)
        self._min_relevance = min_relevance
        options = options if language is None else replace(options, language=language)
        self._answerer = Answerer(options, encoder=encoder)
        if text_qa_template is not None and options.instructions:
            raise InputError(
                "both text_qa_template and options.instructions are given; the template says all "
                "that the model is told, put the instructions there"
            )
        self._template = text_qa_template

    def _get_prompts(self) -> PromptDictType:
        return {TEMPLATE: self._template or self._default_template()}

    def _update_prompts(self, prompts: PromptDictType) -> None:
        self._template = prompts.get(TEMPLATE, self._template)

    def _default_template(self) -> BasePromptTemplate:
        """Return what the model is told where no template is given, as one."""
        options = self._answerer.options
        told = (INSTRUCTIONS[options.language or "en"], options.instructions.strip())
        system = "\n\n".join(filter(None, told)).replace("{", "{{").replace("}", "}}")
        messages = [("system", system), ("user", "{context_str}\n\nQuestion: {query_str}")]
        return ChatPromptTemplate.from_messages(messages)

    def get_response(
        self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any
    ) -> RESPONSE_TEXT_TYPE:
        """Return the answer's text, or a stream of it."""
        messages = self._messages(query_str, text_chunks)
        if self._streaming:
            return _deltas(self._llm.stream_chat(messages, **response_kwargs))
        return ModelText.of(self._llm.chat(messages, **response_kwargs))

    async def aget_response(
        self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any
    ) -> RESPONSE_TEXT_TYPE:
        """Return the answer's text, or a stream of it."""
        messages = self._messages(query_str, text_chunks)
        if self._streaming:
            return _adeltas(await self._llm.astream_chat(messages, **response_kwargs))
        return ModelText.of(await self._llm.achat(messages, **response_kwargs))

    def synthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        """Answer a query from nodes; the model is not called without evidence."""

        def ask(_messages: object) -> Iterable[ChatReply]:
            return _replies(self.get_response(str(query), turn.passages, **response_kwargs))

        with self._reported(query) as report:
            turn = self._answerer.begin(str(query), _texts(nodes), self._evidence(nodes))
            response = self._response(turn, nodes, additional_source_nodes)
            events = turn.read(ask)
            return report(response.streamed(events) if self._streaming else response.whole(events))

    async def asynthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        """Answer a query from nodes; see :meth:`synthesize`."""

        async def ask(_messages: object) -> AsyncIterable[ChatReply]:
            return _areplies(await self.aget_response(str(query), turn.passages, **response_kwargs))

        with self._reported(query) as report:
            turn = await self._answerer.abegin(str(query), _texts(nodes), self._evidence(nodes))
            response = self._response(turn, nodes, additional_source_nodes)
            events = await turn.aread(ask)
            if self._streaming:
                return report(response.astreamed(events))
            return report(response.whole([event async for event in events]))

    def _evidence(self, nodes: Sequence[NodeWithScore]) -> Evidence | None:
        """Return the reranker's word on the nodes, where the synthesizer goes by that."""
        if self._min_relevance is None or not nodes:
            return None
        return Evidence(max(node.get_score() for node in nodes), self._min_relevance)

    def _response(
        self,
        turn: Turn,
        nodes: list[NodeWithScore],
        additional: Sequence[NodeWithScore] | None,
    ) -> _Response:
        metadata = self._get_metadata_for_response([node.node for node in nodes]) or {}
        response = _Response(turn, nodes, [*nodes, *(additional or ())], metadata)
        if turn.refused is not None:  # a streamed refusal is known before the stream is read
            response.note(turn.refused)
        return response

    def _messages(self, question: str, passages: Sequence[str]) -> list[ChatMessage]:
        if self._template is not None:
            return self._template.format_messages(
                llm=self._llm,
                context_str=passages_block(passages),
                query_str=quoted_question(question),
            )
        options = self._answerer.options
        return chat_messages(
            answer_messages(question, passages, options.language, instructions=options.instructions)
        )

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


@dataclass(frozen=True, slots=True)
class _Response:
    """A turn as LlamaIndex's responses; their metadata hold the outcome once it is known."""

    turn: Turn
    nodes: Sequence[NodeWithScore]
    sources: list[NodeWithScore]
    metadata: dict[str, Any]

    def whole(self, events: Iterable[TurnEvent]) -> Response:
        text = "".join(map(self._text, events))
        return Response(text, self.sources, self.metadata)

    def streamed(self, events: Generator[TurnEvent, None, None]) -> StreamingResponse:
        return StreamingResponse(self._pieces(events), self.sources, self.metadata)

    def astreamed(self, events: AsyncGenerator[TurnEvent, None]) -> AsyncStreamingResponse:
        return AsyncStreamingResponse(self._apieces(events), self.sources, self.metadata)

    def note(self, outcome: Outcome) -> None:
        """Say in the metadata how the question ended."""
        self.metadata[OUTCOME] = {
            "citations": [
                {"number": number, "node_id": node.node_id}
                for number, node in self.turn.cited(outcome, self.nodes)
            ],
            "unknown": list(outcome.unknown),
            "claims": [asdict(claim) for claim in outcome.claims],
            "refused": outcome.refused,
            "reason": outcome.reason,
        }

    def _pieces(self, events: Generator[TurnEvent, None, None]) -> TokenGen:
        with closing(events):
            yield from filter(None, map(self._text, events))

    async def _apieces(self, events: AsyncGenerator[TurnEvent, None]) -> TokenAsyncGen:
        async with aclosing(events):
            async for event in events:
                if text := self._text(event):
                    yield text

    def _text(self, event: TurnEvent) -> str:
        if isinstance(event, AnswerEnd):
            self.note(event.outcome)
        return event.text


def create_query_engine(
    retriever: BaseRetriever,
    llm: LLM | None = None,
    *,
    node_postprocessors: Sequence[BaseNodePostprocessor] = (),
    min_relevance: float | None = None,
    language: Language | None = None,
    options: AnswerOptions = DEFAULT_OPTIONS,
    encoder: Encoder | None = None,
    text_qa_template: BasePromptTemplate | None = None,
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
        options: the budget of tokens, thresholds of evidence and support, and refusal.
        encoder: measures evidence and support; None takes that of a :class:`TrivecRetriever`, and
            measures neither with any other retriever.
        text_qa_template: all that the model is told; see :class:`CitedSynthesizer`.
        streaming: whether responses are streams.
        callback_manager: LlamaIndex's callbacks.

    Returns:
        A ``RetrieverQueryEngine`` with a :class:`CitedSynthesizer`.

    Raises:
        InputError: ``min_relevance`` without a postprocessor: a fused score is not a relevance; or
            a threshold in the options, and no encoder to measure with.

    Example:
        >>> engine = create_query_engine(TrivecRetriever(index), llm)  # doctest: +SKIP
        >>> engine.query("Which fruit has more vitamin C?").metadata["trivec"]  # doctest: +SKIP
        {'citations': [{'number': 1, 'node_id': 'baobab'}], 'unknown': [], 'refused': False, ...}
    """
    if min_relevance is not None and not node_postprocessors:
        raise InputError(
            f"min_relevance={min_relevance} without a reranker: a retrieval score is not a "
            "relevance; pass node_postprocessors=[TrivecRerank(...)], or leave min_relevance out"
        )
    synthesizer = CitedSynthesizer(
        llm,
        min_relevance=min_relevance,
        language=language,
        options=options,
        encoder=_encoder_of(retriever) if encoder is None else encoder,
        text_qa_template=text_qa_template,
        streaming=streaming,
        callback_manager=callback_manager,
    )
    return RetrieverQueryEngine(
        retriever, synthesizer, list(node_postprocessors), callback_manager=callback_manager
    )


class CitedAnswer(Workflow):
    """A LlamaIndex workflow: a question is searched for, and answered by a synthesizer.

    ``await workflow.run(query=...)`` gives the response that a query engine would. Each of its two
    steps can be replaced in a subclass, or the class nested in a workflow of your own.

    Args:
        retriever: any LlamaIndex retriever, usually a :class:`TrivecRetriever`.
        synthesizer: usually a :class:`CitedSynthesizer`.
        node_postprocessors: run over what was found, a :class:`TrivecRerank` for instance.
        timeout: seconds for the whole; None sets no limit.

    Example:
        >>> synthesizer = CitedSynthesizer(llm, encoder=encoder)  # doctest: +SKIP
        >>> workflow = CitedAnswer(TrivecRetriever(index), synthesizer)  # doctest: +SKIP
        >>> response = await workflow.run(query="Which has more?")  # doctest: +SKIP
    """

    def __init__(
        self,
        retriever: BaseRetriever,
        synthesizer: BaseSynthesizer,
        *,
        node_postprocessors: Sequence[BaseNodePostprocessor] = (),
        timeout: float | None = 60.0,
    ) -> None:
        super().__init__(timeout=timeout)
        self._retriever = retriever
        self._synthesizer = synthesizer
        self._node_postprocessors = list(node_postprocessors)

    @step
    async def retrieve(self, event: StartEvent) -> RetrievedNodes:
        """Find nodes for ``event.query`` and postprocess them."""
        query = event.get("query")
        if not isinstance(query, (str, QueryBundle)) or not str(query).strip():
            raise InputError("the workflow needs a question: run(query=...)")
        bundle = QueryBundle(query) if isinstance(query, str) else query
        nodes = await self._retriever.aretrieve(bundle)
        for postprocessor in self._node_postprocessors:
            nodes = await postprocessor.apostprocess_nodes(nodes, query_bundle=bundle)
        return RetrievedNodes(query=bundle, nodes=nodes)

    @step
    async def synthesize(self, event: RetrievedNodes) -> StopEvent:
        """Answer from the nodes; the workflow's result is the response."""
        response = await self._synthesizer.asynthesize(event.query, event.nodes)
        return StopEvent(result=response)


def _encoder_of(retriever: BaseRetriever) -> Encoder | None:
    """Return the encoder of a :class:`TrivecRetriever`; None of any other."""
    return retriever.index.encoder if isinstance(retriever, TrivecRetriever) else None


def _texts(nodes: Sequence[NodeWithScore]) -> list[str]:
    return [node.node.get_content(MetadataMode.LLM) for node in nodes]


def _replies(response: RESPONSE_TEXT_TYPE) -> Iterator[ChatReply]:
    """Yield what :meth:`CitedSynthesizer.get_response` gives as a model's reply."""
    with ending(response if isinstance(response, Generator) else [response]) as pieces:
        yield from map(_reply, pieces)


async def _areplies(response: RESPONSE_TEXT_TYPE) -> AsyncIterator[ChatReply]:
    if not isinstance(response, AsyncGenerator):
        yield _reply(response)
        return
    async with aending(response) as pieces:
        async for piece in pieces:
            yield _reply(piece)


def _reply(text: object) -> ChatReply:
    """Return what a synthesizer's own or an overridden ``get_response`` gives as a reply."""
    return text.reply if isinstance(text, ModelText) else ChatReply(str(text))


def _deltas(responses: ChatResponseGen) -> TokenGen:
    with ending(responses) as pieces:
        for response in pieces:
            yield ModelText.of(response, delta=True)


async def _adeltas(responses: ChatResponseAsyncGen) -> TokenAsyncGen:
    async with aending(responses) as pieces:
        async for response in pieces:
            yield ModelText.of(response, delta=True)
