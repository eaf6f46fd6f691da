"""From a passage to the questions it answers, by a language model, in two passes.

What the model writes is untrusted text: it is bounded in count, length and characters, and used
as text to search in, never as a filter, a template or code.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trivec._runtime.checks import check_least
from trivec._runtime.typed import check_fields
from trivec.chat.languages import Language, language_of, missing_texts, told
from trivec.chat.lists import without_bullet
from trivec.chat.replies import json_values, one_line, plain_reply, said_in
from trivec.chat.wrapping import unwrapped
from trivec.errors import InputError, ModelError
from trivec.protocols import ChatModel
from trivec.questions.prompts import (
    DRAFT_INSTRUCTIONS,
    QUESTIONS_SCHEMA,
    REFINE_INSTRUCTIONS,
    draft_messages,
    refine_messages,
)
from trivec.types import ChatReply

__all__ = ["QuestionPrompts", "QuestionWriter", "WrittenQuestions", "parse_questions"]

SHORTEST_QUESTION, LONGEST_QUESTION = 4, 200
"""Characters; what is shorter says too little, what is longer is not a question."""

_LABEL = re.compile(
    r"[\s*#]{0,9}(?:Q|question|问题|問題|質問|질문)\s?\d{0,3}[*\s]{0,3}[.)、:：][*\s]{0,3}(?!\d)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[\s*]{0,9}\(?\d{1,3}[.)、:：][*\s]{0,3}(?!\d)")
_TAG = re.compile(r"</?(?:questions?|q|item|li|[uo]l|p|br)/?>", re.IGNORECASE)
_QUOTED = re.compile(r'"([^"\n]*[?？؟])"')
_ASKS = re.compile(r"(?:[?？؟]|か[。．.]?|까[.。]?|나요[.。]?)$")
_ANOTHER = re.compile(r"(?<=[?؟])\s{1,9}(?=[\w¿])|(?<=？)\s{0,9}(?=\w)")
_LEANS_ON_THE_PASSAGE = re.compile(
    r"\b(?:the|this|that|above)\s+(?:passage|text|article|document|paragraph|excerpt|author)\b"
    r"|本文|文中|文章|上文|原文|这段|该段|这篇|资料中|資料中|这份资料",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionPrompts:
    """How questions are asked for.

    Attributes:
        per_chunk: how many questions of a chunk are kept at most.
        refine: whether a second call makes the set that is kept from the first one's: without
            repetitions, each understandable alone and answered by the passage.
        language: of the instructions; None follows the passage.
        draft: the first call's instructions by language; ``{count}`` is replaced.
        refinement: the second call's.

    Raises:
        InputError: a value that cannot be used.
    """

    per_chunk: int = 5
    refine: bool = True
    language: Language | None = None
    draft: Mapping[Language, str] = field(default_factory=lambda: DRAFT_INSTRUCTIONS)
    refinement: Mapping[Language, str] = field(default_factory=lambda: REFINE_INSTRUCTIONS)

    def __post_init__(self) -> None:
        check_fields(self)
        check_least("per_chunk", self.per_chunk, 1)
        for name, instructions in (("draft", self.draft), ("refinement", self.refinement)):
            if missing := missing_texts(instructions, self.language):
                raise InputError(f"{name} has no instructions in {missing}; give them")

    @property
    def version(self) -> str:
        """What changes whenever a prompt does: questions of another version are written anew."""
        asked = [self.per_chunk, self.language, dict(self.draft)]
        asked += [dict(self.refinement)] if self.refine else []
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class WrittenQuestions:
    """The questions of one passage.

    Attributes:
        questions: those that are kept; empty where the model found none.
        dropped: how many the model gave that are not kept: repeated, too short or long, beyond
            the count, or not understandable without the passage.
        input_tokens: of all calls; 0 where the model does not say.
        output_tokens: likewise.
    """

    questions: tuple[str, ...]
    dropped: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class QuestionWriter:
    """Asks a chat model for the questions that passages answer; threads may share one.

    Args:
        chat: the model.
        prompts: how it is asked.

    Example:
        >>> QuestionWriter(chat).write("BGE-M3 reads 8,192 tokens.").questions  # doctest: +SKIP
        ('How long a text can BGE-M3 read?',)
    """

    def __init__(self, chat: ChatModel, prompts: QuestionPrompts | None = None) -> None:
        self._chat = chat
        self._prompts = prompts or QuestionPrompts()

    def write(self, passage: str) -> WrittenQuestions:
        """Return the questions that a passage answers.

        Raises:
            ModelError: a reply cannot be read. What the chat model raises passes through.
        """
        prompts = self._prompts
        language = prompts.language or language_of(passage)
        # more than are kept, for the second pass to choose from
        count = prompts.per_chunk * 2 if prompts.refine else prompts.per_chunk
        replies = [self._ask(draft_messages(_told(prompts.draft, language), passage, count))]
        texts = _read(replies[-1])
        if prompts.refine and (drafted := _kept(texts, count)):
            asked = _told(prompts.refinement, language)
            replies.append(self._ask(refine_messages(asked, passage, drafted, prompts.per_chunk)))
            texts = _read(replies[-1])
        questions = tuple(_kept(texts, prompts.per_chunk))
        return WrittenQuestions(
            questions,
            len(texts) - len(questions),
            sum(reply.input_tokens or 0 for reply in replies),
            sum(reply.output_tokens or 0 for reply in replies),
        )

    def _ask(self, messages: list[dict[str, str]]) -> ChatReply:
        return self._chat.chat(messages, schema=QUESTIONS_SCHEMA)


def parse_questions(reply: str, *, limit: int) -> tuple[str, ...]:
    """Read questions from whatever form a model wrote them in.

    Thoughts and code fences are dropped. Then the first JSON value that holds a list of texts
    counts; without one, quoted questions, else lines that ask, without their numbers and bullets;
    else the items of a list.

    Args:
        reply: what the model wrote.
        limit: how many are taken.

    Returns:
        Distinct questions of 4 to 200 characters that can be understood without the passage.

    Raises:
        ModelError: there is neither a list nor a line that is a question.
    """
    return tuple(_kept(_found(reply), limit))


def _told(instructions: Mapping[Language, str], language: Language) -> str:
    return told(instructions, language, of="passage", write="questions")


def _read(reply: ChatReply) -> list[str]:
    text = said_in(reply)
    try:
        return _found(text)
    except ModelError as err:
        if reply.truncated:
            err.add_note("the reply stopped at the model's limit of tokens; raise it")
        raise


def _found(reply: str) -> list[str]:
    """Return all texts of a reply that are offered as questions."""
    text = plain_reply(reply)
    for value in json_values(text):
        if (listed := _texts(value)) is not None:
            return listed
    lines = [
        line for raw in _TAG.sub("\n", text).splitlines() for line in _ANOTHER.split(raw) if line
    ]
    items = [(_question(line), line) for line in lines]
    asking = [question for question, _ in items if _ASKS.search(question)]
    # a list may do without the marks
    asking = asking or [question for question, line in items if question != unwrapped(line)]
    questions = _QUOTED.findall(text) or asking  # quoted: of JSON that was cut off
    if not questions:
        raise ModelError(
            f"the model's reply of {len(reply)} characters holds no questions, neither as JSON nor "
            "as lines; use a model that follows instructions, or other prompts"
        )
    return questions


def _question(line: str) -> str:
    """Return the text of a line without its bullet, number and label."""
    text = without_bullet(unwrapped(line))
    for dress in (_NUMBER, _LABEL):
        match = dress.match(text)
        text = text if match is None else text[match.end() :]
    return unwrapped(text)


def _texts(value: Any) -> list[str] | None:
    """Return the texts in a list, or in the list that an object holds."""
    if isinstance(value, dict):
        held = (value.get("questions"), *value.values())
        value = next((item for item in held if isinstance(item, list)), None)
    if not isinstance(value, list):
        return None
    texts = [item.get("question") if isinstance(item, dict) else item for item in value]
    questions = [text for text in texts if isinstance(text, str)]
    return questions if questions or not value else None


def _kept(questions: Iterable[str], limit: int) -> list[str]:
    """Return the first distinct questions that may be kept."""
    kept: dict[str, str] = {}
    for text in questions:
        question = unwrapped(one_line(text))
        meaning = re.sub(r"[\W_]+", "", question).casefold()
        fits = SHORTEST_QUESTION <= len(question) <= LONGEST_QUESTION
        if fits and meaning and not _LEANS_ON_THE_PASSAGE.search(question):
            kept.setdefault(meaning, question)
    return list(kept.values())[:limit]
