"""Keyword rewriting as a LlamaIndex query transform."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.callbacks.token_counting import get_tokens_from_response
from llama_index.core.indices.query.query_transform.base import BaseQueryTransform
from llama_index.core.llms import LLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.prompts.mixin import PromptDictType
from llama_index.core.schema import QueryBundle
from llama_index.core.settings import Settings

from llama_index_trivec._convert import chat_messages
from llama_index_trivec._searching import RewrittenQuery, query_texts
from trivec.adapters import aending, ending
from trivec.chat import Language, Listener, ending_of, reply_of, response_format, said
from trivec.rewriting import (
    DEFAULT_WEIGHTS,
    KEYWORD_INSTRUCTIONS,
    CorpusVocabulary,
    KeywordRewriter,
    RewriteErrorMode,
    RewriteExample,
    RewriteWeights,
)
from trivec.types import ChatReply, Ending

__all__ = ["KeywordQueryTransform", "LLMChat", "ModelText"]


class LLMChat:
    """A LlamaIndex LLM as trivec's chat model, called and awaited.

    It is a :class:`trivec.protocols.ChatModel` and a :class:`trivec.protocols.AsyncChatModel`.
    Token counts are those of the provider's raw response, where the LLM hands it on. Thoughts are
    left out, as tags in the text and as blocks of their own.

    Args:
        llm: any LlamaIndex LLM.
        structured: hand a JSON schema on as OpenAI's ``response_format``, which LlamaIndex's
            ``OpenAI`` and ``OpenAILike`` take; without it the LLM is asked in words alone.
    """

    def __init__(self, llm: LLM, *, structured: bool = False) -> None:
        self._llm = llm
        self._structured = structured

    def chat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """Return the whole answer."""
        response = self._llm.chat(chat_messages(messages), **self._options(schema))
        return _reply(said(response.message.content or ""), response)

    def stream(self, messages: Sequence[Mapping[str, str]]) -> Iterator[ChatReply]:
        """Yield the answer piece by piece."""
        response: ChatResponse | None = None
        listener = Listener()
        with ending(self._llm.stream_chat(chat_messages(messages))) as responses:
            for response in responses:
                if text := listener.feed(response.delta or ""):
                    yield ChatReply(text)
        if rest := listener.finish():
            yield ChatReply(rest)
        yield _reply("", response)

    async def achat(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> ChatReply:
        """Return the whole answer."""
        response = await self._llm.achat(chat_messages(messages), **self._options(schema))
        return _reply(said(response.message.content or ""), response)

    async def astream(self, messages: Sequence[Mapping[str, str]]) -> AsyncIterator[ChatReply]:
        """Yield the answer piece by piece."""
        response: ChatResponse | None = None
        listener = Listener()
        async with aending(await self._llm.astream_chat(chat_messages(messages))) as responses:
            async for response in responses:
                if text := listener.feed(response.delta or ""):
                    yield ChatReply(text)
        if rest := listener.finish():
            yield ChatReply(rest)
        yield _reply("", response)

    def _options(self, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        return {"response_format": response_format(schema)} if schema and self._structured else {}


class ModelText(str):
    """What a model wrote, or a piece of it, and what ended it, where a text is asked for.

    Attributes:
        ended: what ended the response early; None where nothing did, or it goes on.
    """

    __slots__ = ("ended",)
    ended: Ending | None

    @classmethod
    def of(cls, response: ChatResponse, *, delta: bool = False) -> ModelText:
        """Return the text of a response, or what this piece adds to it."""
        text = cls((response.delta if delta else response.message.content) or "")
        text.ended = _ended(response)
        return text

    @property
    def reply(self) -> ChatReply:
        """The same as a reply of a chat model."""
        return reply_of(str(self), self.ended)


def _reply(text: str, response: ChatResponse | None) -> ChatReply:
    """Return a reply with what the last response says of the whole answer."""
    if response is None:
        return ChatReply(text)
    ended = _ended(response)
    try:
        read, wrote = get_tokens_from_response(response)
    except (TypeError, ValueError):  # a raw response in a form that LlamaIndex does not know
        read, wrote = 0, 0
    return reply_of(text, ended, read or None, wrote or None)


def _ended(response: ChatResponse) -> Ending | None:
    """Return what ended a response, by any provider's name for it, wherever it stands."""
    holders = [
        response.raw,
        *_listed(response.raw, "choices"),
        *_listed(response.raw, "candidates"),
    ]
    holders += [response.additional_kwargs, response.message.additional_kwargs]
    keys = ("finish_reason", "stop_reason", "done_reason", "stopReason", "finishReason")
    reasons = [_get(holder, key) for holder in holders for key in keys]
    reasons += [_get(_get(response.raw, "incomplete_details"), "reason")]  # OpenAI's responses
    ended = next((known for reason in reasons if (known := ending_of(reason))), None)
    return ended or ("tool_calls" if _asks_for_tools(response) else None)


def _asks_for_tools(response: ChatResponse) -> bool:
    asked = response.message.additional_kwargs.get("tool_calls")
    return bool(asked) and not (response.message.content or "").strip()


def _listed(raw: Any, name: str) -> list[Any]:
    """Return the first of the choices in a raw response."""
    choices = _get(raw, name)
    return [choices[0]] if isinstance(choices, Sequence) and choices else []


def _get(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


class KeywordQueryTransform(BaseQueryTransform):
    """Adds the domain's words for a question, found by an LLM, to the query.

    ``query_str`` stays the question. :class:`TrivecRetriever` searches for it on every arm, for
    the keywords on the lexical arms and for sub-questions on every arm, weighted as told.
    ``custom_embedding_strs`` hold the same texts (LlamaIndex's own retrievers average their dense
    vectors). What a transform before this one put there stays.

    Its prompts, ``keyword_instructions_en`` and ``keyword_instructions_zh``, can be read and
    updated as LlamaIndex's own; ``{count}`` in them is the most keywords.

    Args:
        llm: any LlamaIndex LLM; None takes ``Settings.llm``.
        max_keywords: how many are used at most.
        max_sub_questions: how many sub-questions are used at most; 0 asks for none.
        domain: a few words that say what the documents are about.
        examples: questions rewritten as they should be; None takes two about other things.
        vocabulary: offers the LLM the corpus's own words to choose from.
        weights: what question, keywords and sub-questions count.
        language: of the instructions; None follows the question.
        on_error: what becomes of an LLM that fails: ``raise``, or ``question`` searches for the
            question alone.
        structured: hand the JSON schema of a reply on; see :class:`LLMChat`.
    """

    def __init__(
        self,
        llm: LLM | None = None,
        *,
        max_keywords: int = 8,
        max_sub_questions: int = 0,
        domain: str | None = None,
        examples: Sequence[RewriteExample] | None = None,
        vocabulary: CorpusVocabulary | None = None,
        weights: RewriteWeights = DEFAULT_WEIGHTS,
        language: Language | None = None,
        on_error: RewriteErrorMode = "raise",
        structured: bool = False,
    ) -> None:
        super().__init__()
        chat = LLMChat(llm or Settings.llm, structured=structured)

        def build(instructions: Mapping[Language, str]) -> KeywordRewriter:
            return KeywordRewriter(
                chat,
                domain=domain,
                examples=examples,
                max_keywords=max_keywords,
                max_sub_questions=max_sub_questions,
                vocabulary=vocabulary,
                weights=weights,
                instructions=instructions,
                language=language,
                on_error=on_error,
            )

        self._build = build
        self._instructions: dict[Language, str] = dict(KEYWORD_INSTRUCTIONS)
        self._rewriter = build(self._instructions)

    def _get_prompts(self) -> PromptDictType:
        return {
            f"keyword_instructions_{language}": PromptTemplate(text)
            for language, text in self._instructions.items()
        }

    def _update_prompts(self, prompts: PromptDictType) -> None:
        for language in self._instructions:
            if (prompt := prompts.get(f"keyword_instructions_{language}")) is not None:
                self._instructions[language] = prompt.get_template()
        self._rewriter = self._build(self._instructions)

    def _run(self, query_bundle: QueryBundle, metadata: dict[str, Any]) -> QueryBundle:  # noqa: ARG002
        question, *added = self._rewriter.rewrite(query_bundle.query_str).query_texts()
        earlier = [
            text for text in query_texts(query_bundle) if text.text and text.text != question.text
        ]
        texts = (question, *earlier, *added)
        return RewrittenQuery(
            query_str=query_bundle.query_str,
            image_path=query_bundle.image_path,
            custom_embedding_strs=list(dict.fromkeys(text.text for text in texts)),
            texts=texts,
        )
