"""From a user's question to the words of the domain.

What a language model writes, and what a corpus offers it, is untrusted text: it is bounded in
count, length and characters, and used as search words only, never as a filter, a template or code.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from trivec._runtime.checks import check_choice, check_least, check_number
from trivec._runtime.typed import check_fields, checked
from trivec.arms import LEXICAL, SEMANTIC
from trivec.chat.languages import Language, language_of, missing_texts
from trivec.chat.replies import parse_keywords, parse_reply, said_in
from trivec.errors import InputError, ModelError
from trivec.index import HybridIndex
from trivec.protocols import AsyncChatModel, ChatModel
from trivec.rewriting.prompts import (
    KEYWORD_EXAMPLES,
    KEYWORD_INSTRUCTIONS,
    KEYWORD_PROMPT_VERSION,
    KeywordPrompt,
    RewriteExample,
    keyword_messages,
    keyword_schema,
)
from trivec.rewriting.reply_cache import RecentReplies
from trivec.rewriting.vocabulary import CorpusTerms, CorpusVocabulary
from trivec.types import QueryText

__all__ = [
    "DEFAULT_WEIGHTS",
    "KEYWORD_INSTRUCTIONS",
    "FeedbackRewriter",
    "KeywordRewriter",
    "KeywordSource",
    "Rewrite",
    "RewriteErrorMode",
    "RewriteExample",
    "RewriteWeights",
    "Rewriter",
    "parse_keywords",
]

KeywordSource: TypeAlias = Literal["model", "corpus", "question"]
"""Who keywords are from: a chat model, the corpus, or nobody but the question itself."""

RewriteErrorMode: TypeAlias = Literal["raise", "question"]
"""What becomes of a rewriting that fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteWeights:
    """What each text of a rewritten question counts.

    The defaults were chosen by measurement (benchmarks/README.md). Distribution-based fusion takes
    no weights that differ from each other; the others do.

    Attributes:
        question: the question as it was asked, in the arms that match meaning.
        keywords: the question and its keywords, in the arms that match words; 0 leaves the
            keywords out.
        sub_questions: each of them, in every arm; 0 leaves them out.
    """

    question: float = 1.0
    keywords: float = 1.0
    sub_questions: float = 1.0

    def __post_init__(self) -> None:
        check_fields(self)
        check_number("question", self.question, above=0)  # the question stays
        check_number("keywords", self.keywords, least=0)
        check_number("sub_questions", self.sub_questions, least=0)


DEFAULT_WEIGHTS = RewriteWeights()
"""The weights of a rewriter that is given none."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A question and what is searched for besides.

    Attributes:
        question: as it was asked; it always stays part of the search.
        keywords: without repetitions; empty where there are none.
        sub_questions: what the question consists of; empty where it was not split.
        source: who the keywords are from: ``model``, ``corpus`` (the passages of a first search),
            or ``question`` where there is only the question.
        error: why there is only the question, None where there simply were no keywords.
        offered: the corpus's words that the model could choose from.
        covered: True where a vocabulary found the question to be in the corpus's own words, so
            that nothing was added and no model asked.
        weights: what each text counts.
    """

    question: str
    keywords: tuple[str, ...] = ()
    sub_questions: tuple[str, ...] = ()
    source: KeywordSource = "question"
    error: str | None = None
    offered: tuple[str, ...] = ()
    covered: bool = False
    weights: RewriteWeights = DEFAULT_WEIGHTS

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts to search for, the question first."""
        return tuple(text.text for text in self.query_texts())

    def query_texts(self) -> tuple[QueryText, ...]:
        """Return the texts of the search with their arms and weights.

        The arms that match meaning get the question, those that match words the question with its
        keywords, all of them each sub-question.
        """
        weights = self.weights
        subs = self.sub_questions if weights.sub_questions else ()
        parts = [QueryText(sub_question, weight=weights.sub_questions) for sub_question in subs]
        if not self.keywords or not weights.keywords:
            return (QueryText(self.question, weight=weights.question), *parts)
        worded = " ".join((self.question, *self.keywords))
        return (
            QueryText(self.question, arms=SEMANTIC, weight=weights.question),
            QueryText(worded, arms=LEXICAL, weight=weights.keywords),
            *parts,
        )


@runtime_checkable
class Rewriter(Protocol):
    """Turns a question into what is searched for."""

    def rewrite(self, question: str) -> Rewrite:
        """Return the question with its keywords."""
        ...

    async def arewrite(self, question: str) -> Rewrite:
        """Return the question with its keywords."""
        ...


class KeywordRewriter:
    """Asks a chat model for the domain's words for a question.

    With a ``vocabulary`` the model chooses from the words of the passages that a first search
    finds, so that lay words meet the documents' own; it is not asked at all where the question is
    in the documents' words already. Safe to use from several threads.

    Args:
        chat: the model. :meth:`arewrite` awaits an :class:`trivec.protocols.AsyncChatModel` and
            asks any other in a thread; :meth:`rewrite` needs a :class:`trivec.protocols.ChatModel`.
        domain: a few words that say what the documents are about: ``"skin diseases"``.
        examples: questions rewritten as they should be, in the language of the questions; None
            takes two of each language about bread and brakes.
        max_keywords: how many are used at most.
        max_sub_questions: how many sub-questions are asked for and used; 0 for none.
        vocabulary: offers the model the corpus's words; None asks without.
        weights: what question, keywords and sub-questions count.
        instructions: what the model is told, by language; ``{count}`` is replaced.
        language: of the instructions; None follows the question. Where none are in it, the English
            ones ask for keywords in the question's language.
        on_error: what becomes of a model that fails: ``raise``, or ``question`` searches for the
            question alone and says so in :attr:`Rewrite.error`.
        cache: keeps the model's replies under a digest of the model and all that it was told; any
            mapping of texts. None keeps the last 1,024 in memory. Share one between rewriters only
            where their chats say what they are (``chat.identity``, as ``OpenAIChat`` does).

    Raises:
        InputError: an option that cannot be used.

    Example:
        >>> rewriter = KeywordRewriter(chat, domain="digestion")  # doctest: +SKIP
        >>> rewriter.rewrite("Why does my tummy hurt after milk?").keywords  # doctest: +SKIP
        ('lactose intolerance', 'lactase deficiency', 'abdominal pain', 'dairy')
    """

    @checked
    def __init__(
        self,
        chat: ChatModel | AsyncChatModel,
        *,
        domain: str | None = None,
        examples: Sequence[RewriteExample] | None = None,
        max_keywords: int = 8,
        max_sub_questions: int = 0,
        vocabulary: CorpusVocabulary | None = None,
        weights: RewriteWeights = DEFAULT_WEIGHTS,
        instructions: Mapping[Language, str] = KEYWORD_INSTRUCTIONS,
        language: Language | None = None,
        on_error: RewriteErrorMode = "raise",
        cache: MutableMapping[str, str] | None = None,
    ) -> None:
        check_least("max_keywords", max_keywords, 1)
        check_least("max_sub_questions", max_sub_questions, 0)
        check_choice("on_error", on_error, RewriteErrorMode)
        if missing := missing_texts(instructions, language):
            raise InputError(f"there are no instructions in {missing}; give them")
        given = None if examples is None else tuple(examples)
        self._chat = chat
        self._prompt = KeywordPrompt(
            instructions=dict(instructions),
            examples=KEYWORD_EXAMPLES if given is None else {"en": given, "zh": given},
            domain=domain,
            max_keywords=max_keywords,
            max_sub_questions=max_sub_questions,
        )
        self._vocabulary = vocabulary
        self._weights = weights
        self._language = language
        self._on_error = on_error
        self._cache: MutableMapping[str, str] = RecentReplies() if cache is None else cache

    @checked
    def rewrite(self, question: str) -> Rewrite:
        """Return the question with its keywords.

        Raises:
            InputError: the question is blank, or the model can only be awaited.
            ModelError: the model failed, unless ``on_error`` is ``question``.
        """
        if not isinstance(self._chat, ChatModel):
            raise InputError(f"{type(self._chat).__name__} has no chat(); await arewrite()")
        offered = self._offered(question)
        if offered.covered:
            return Rewrite(question, covered=True, weights=self._weights)
        asking = self._asking(question, offered.words)
        if (known := self._cache.get(asking.digest)) is not None:
            return self._read(known, asking)
        try:
            reply = self._chat.chat(asking.messages, schema=asking.schema)
            text = said_in(reply)
        except Exception as err:  # whatever a model of anybody's raises
            if self._on_error == "question":
                return self._alone(asking, err)
            if isinstance(err, ModelError):
                raise
            raise ModelError(f"the chat model failed: {type(err).__name__}") from err
        if not reply.truncated and reply.ended is None:  # a longer limit would give more
            self._cache[asking.digest] = text
        return self._read(text, asking)

    @checked
    async def arewrite(self, question: str) -> Rewrite:
        """Return the question with its keywords; see :meth:`rewrite`."""
        if not isinstance(self._chat, AsyncChatModel):
            return await asyncio.to_thread(self.rewrite, question)
        alone = self._vocabulary is None  # else there is a search, which takes a while
        offered = (
            self._offered(question) if alone else await asyncio.to_thread(self._offered, question)
        )
        if offered.covered:
            return Rewrite(question, covered=True, weights=self._weights)
        asking = self._asking(question, offered.words)
        if (known := self._cache.get(asking.digest)) is not None:
            return self._read(known, asking)
        try:
            reply = await self._chat.achat(asking.messages, schema=asking.schema)
            text = said_in(reply)
        except Exception as err:  # whatever a model of anybody's raises
            if self._on_error == "question":
                return self._alone(asking, err)
            if isinstance(err, ModelError):
                raise
            raise ModelError(f"the chat model failed: {type(err).__name__}") from err
        if not reply.truncated and reply.ended is None:  # a longer limit would give more
            self._cache[asking.digest] = text
        return self._read(text, asking)

    def _offered(self, question: str) -> CorpusTerms:
        _require_words(question)
        return CorpusTerms() if self._vocabulary is None else self._vocabulary.look_up(question)

    def _asking(self, question: str, terms: tuple[str, ...]) -> _Asking:
        language = self._language or language_of(question)
        messages = keyword_messages(question, language, self._prompt, terms)
        schema = keyword_schema(self._prompt, terms)
        told = [KEYWORD_PROMPT_VERSION, _identity(self._chat), messages, schema]
        digest = sha256(json.dumps(told, ensure_ascii=True).encode()).hexdigest()
        return _Asking(question, terms, messages, schema, digest)

    def _read(self, reply: str, asking: _Asking) -> Rewrite:
        parsed = parse_reply(
            reply,
            max_keywords=self._prompt.max_keywords,
            max_sub_questions=self._prompt.max_sub_questions,
        )
        said = bool(parsed.keywords or parsed.sub_questions)
        return Rewrite(
            asking.question,
            parsed.keywords,
            parsed.sub_questions,
            source="model" if said else "question",
            offered=asking.terms,
            weights=self._weights,
        )

    def _alone(self, asking: _Asking, error: Exception) -> Rewrite:
        name = type(error).__name__
        return Rewrite(asking.question, error=name, offered=asking.terms, weights=self._weights)


class FeedbackRewriter:
    """Adds the strongest words of the passages that a first search finds; asks no model.

    Nothing is added to a question that is in the documents' words already.
    Pseudo-relevance feedback, in the manner of Lavrenko and Croft, "Relevance-based language
    models" (SIGIR 2001).

    Args:
        vocabulary: finds the words.
        max_keywords: how many are used at most.
        weights: what question and keywords count.

    Raises:
        InputError: ``max_keywords`` is less than 1.
    """

    @checked
    def __init__(
        self,
        vocabulary: CorpusVocabulary,
        *,
        max_keywords: int = 8,
        weights: RewriteWeights = DEFAULT_WEIGHTS,
    ) -> None:
        check_least("max_keywords", max_keywords, 1)
        self._vocabulary = vocabulary
        self._max_keywords = max_keywords
        self._weights = weights

    @checked
    def rewrite(self, question: str) -> Rewrite:
        """Return the question with words of the passages that it finds.

        Raises:
            InputError: the question is blank.
        """
        return self.rewrite_batch([question])[0]

    @checked
    def rewrite_batch(self, questions: Sequence[str]) -> list[Rewrite]:
        """Return several questions with words of the passages that they find; one request for all.

        Raises:
            InputError: a question is blank.
        """
        for question in questions:
            _require_words(question)
        looked_up = self._vocabulary.look_up_batch(questions)
        return list(map(self._rewritten, questions, looked_up))

    @checked
    def over(self, index: HybridIndex) -> FeedbackRewriter:
        """Return the same over another index of the same passages."""
        vocabulary = self._vocabulary.over(index)
        return type(self)(vocabulary, max_keywords=self._max_keywords, weights=self._weights)

    def _rewritten(self, question: str, entries: CorpusTerms) -> Rewrite:
        words = entries.words[: self._max_keywords]
        source: KeywordSource = "corpus" if words else "question"
        return Rewrite(
            question, words, source=source, covered=entries.covered, weights=self._weights
        )

    @checked
    async def arewrite(self, question: str) -> Rewrite:
        """Return the question with words of the passages that it finds, searching in a thread."""
        return await asyncio.to_thread(self.rewrite, question)


@dataclass(frozen=True, slots=True)
class _Asking:
    """What a model is asked for one question, and the digest that its reply is kept under."""

    question: str
    terms: tuple[str, ...]
    messages: list[dict[str, str]]
    schema: dict[str, Any]
    digest: str


def _require_words(question: str) -> None:
    if not question.strip():
        raise InputError("the question is blank; give it at least one word")


def _identity(chat: ChatModel | AsyncChatModel) -> str:
    """Return what a chat says it is; one that does not say is like no other."""
    return str(getattr(chat, "identity", None) or f"{type(chat).__qualname__} {id(chat)}")
